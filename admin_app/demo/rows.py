"""Many rows in one statement: the made-up desk is written as JSON, which the database turns into rows."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.demo.people import Person
from admin_app.models import Base


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as one JSON array; a person stands for their id."""
    return json.dumps(rows, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Person):
        return value.id
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be a value of a row")


async def insert_rows(session: AsyncSession, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert rows that all have the same columns; returns their ids in the order of the rows, where they have ids."""
    table = _table(model)
    columns = ", ".join(rows[0])
    returning = "RETURNING id" if "id" in table.c else ""
    inserted = await session.execute(
        text(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {_recordset(table)} {returning}"),
        {"rows": as_json(rows)},
    )
    return sorted(inserted.scalars()) if returning else []


async def update_rows(session: AsyncSession, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Give rows, found by their id, new values; all have the same columns."""
    table = _table(model)
    changes = ", ".join(f"{column} = n.{column}" for column in rows[0] if column != "id")
    await session.execute(
        text(f"UPDATE {table.name} t SET {changes} FROM {_recordset(table)} n WHERE t.id = n.id"),
        {"rows": as_json(rows)},
    )


def _table(model: type[Base]) -> Table:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} has no table of its own")
    return table


def _recordset(table: Table) -> str:
    return f"jsonb_populate_recordset(NULL::{table.name}, CAST(:rows AS jsonb))"
