"""Sample rows of every audited table, and the ways in which somebody could write them."""

import json
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, Table, delete, insert, inspect, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import (
    ApiToken,
    Attachment,
    Base,
    Comment,
    Recipe,
    Role,
    RolePermission,
    SavedView,
    Tag,
    Ticket,
    TicketTag,
    User,
    UserRole,
    UserSession,
)
from admin_app.postgres import client_environment, find_client

Values = dict[str, Any]
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """How new rows of a table look, and what can be changed in them; None where a row can only come and go."""

    model: type[Base]
    row: Callable[[int], Values]
    change: Values | None


SAMPLES = {
    sample.model.__tablename__: sample
    for sample in (
        Sample(
            User,
            lambda n: {"email": f"row{n}@example.com", "full_name": f"Row {n}", "password_hash": "$argon2id$first"},
            {"full_name": "Changed", "is_active": False, "time_zone": "Europe/Berlin", "password_hash": "$second"},
        ),
        Sample(
            Ticket,
            lambda n: {"title": f"Row {n}", "description": "Long.", "creator_id": 1, "due_at": NOON},
            {"title": "Changed", "priority": "high", "assignee_id": 2, "due_at": None},
        ),
        Sample(
            Comment,
            lambda n: {"ticket_id": 1, "author_id": 1, "content": f"Row {n}"},
            {"content": "Changed", "is_internal": False},
        ),
        Sample(
            Attachment,
            lambda n: {
                "ticket_id": 1,
                "filename": f"{n}.txt",
                "content_type": "text/plain",
                "size_bytes": 1,
                "sha256": "0" * 64,
                "storage_key": f"key{n}",
            },
            {"filename": "changed.txt", "size_bytes": 2**40, "scan_status": "clean"},
        ),
        Sample(Tag, lambda n: {"name": f"row {n}"}, {"color": "#000000", "description": "Changed"}),
        Sample(
            TicketTag,
            lambda n: {"ticket_id": n + 1, "tag_id": 1},
            {"created_at": NOON, "created_by_id": 2},
        ),
        Sample(Role, lambda n: {"name": f"row {n}"}, {"description": "Changed"}),
        Sample(RolePermission, lambda n: {"role_id": 1, "permission": f"row.{n}"}, None),
        Sample(UserRole, lambda n: {"user_id": n + 1, "role_id": 1}, None),
        Sample(
            UserSession,
            lambda n: {"token_sha256": n.to_bytes(32, "big"), "user_id": 1, "expires_at": NOON},
            {"revoked_at": NOON, "address": "::1"},
        ),
        Sample(
            ApiToken,
            lambda n: {"token_sha256": n.to_bytes(32, "big"), "user_id": 1, "name": f"row {n}", "expires_at": NOON},
            {"revoked_at": NOON, "name": "Changed"},
        ),
        Sample(
            Recipe,
            lambda n: {"name": f"Row {n}", "resource": "ticket", "action": "assign.assign", "inputs": {"agent": None}},
            {"inputs": {"agent": {"id": None}}, "filter": "status=open", "reason": "Changed"},
        ),
        Sample(
            SavedView,
            lambda n: {"resource": "ticket", "name": f"Row {n}", "query": "assignee=me&sort=-priority"},
            {"query": "assignee=none", "position": 7, "user_id": 1},
        ),
    )
}


async def people_and_things(session: AsyncSession) -> None:
    """Sixteen people, sixteen tickets and a tag, with the ids from 1, for the samples to refer to."""
    session.add_all(User(email=f"person{n}@example.com", full_name=f"Person {n}") for n in range(1, 17))
    await session.flush()
    session.add_all(Ticket(title=f"Ticket {n}", description="d", creator_id=1) for n in range(1, 17))
    session.add(Tag(name="tag"))
    await session.flush()


def as_json(values: Values | list[Values]) -> str:
    def converted(value: Any) -> str:
        return "\\x" + value.hex() if isinstance(value, bytes) else str(value.isoformat())

    return json.dumps(values, default=converted)


def keys_of(table: Table, rows: list[Values]) -> Any:
    keys = list(table.primary_key)
    return tuple_(*keys).in_([tuple(row[key.name] for key in keys) for row in rows])


async def by_orm(session: AsyncSession, sample: Sample, verb: str, rows: list[Values]) -> None:
    """Through objects of the session, as a form does."""
    if verb == "insert":
        session.add_all(sample.model(**row) for row in rows)
    else:
        table = inspect(sample.model).local_table
        assert isinstance(table, Table)
        for record in await session.scalars(select(sample.model).where(keys_of(table, rows))):
            if verb == "delete":
                await session.delete(record)
            for name, value in (sample.change or {}).items() if verb == "update" else ():
                setattr(record, name, value)
    await session.flush()


async def by_statement(session: AsyncSession, sample: Sample, verb: str, rows: list[Values]) -> None:
    """Through one statement for all rows, as a bulk action does."""
    table = inspect(sample.model).local_table
    assert isinstance(table, Table)
    if verb == "insert":
        await session.execute(insert(table).values(rows))
    elif verb == "update":
        await session.execute(update(table).where(keys_of(table, rows)).values(sample.change or {}))
    else:
        await session.execute(delete(table).where(keys_of(table, rows)))


def as_sql(sample: Sample, verb: str, rows: list[Values]) -> str:
    """What somebody would type."""
    table = sample.model.__tablename__
    if verb == "insert":
        names = ", ".join(rows[0])
        source = f"jsonb_populate_recordset(NULL::{table}, '{as_json(rows)}')"
        return f"INSERT INTO {table} ({names}) SELECT {names} FROM {source}"
    keys = [column.name for column in inspect(sample.model).primary_key]
    where = " OR ".join("(" + " AND ".join(f"{key} = '{row[key]}'" for key in keys) + ")" for row in rows)
    if verb == "update":
        names, changed = ", ".join(sample.change or {}), as_json(sample.change or {})
        source = f"jsonb_populate_record(NULL::{table}, '{changed}')"
        return f"UPDATE {table} SET ({names}) = (SELECT {names} FROM {source}) WHERE {where}"
    return f"DELETE FROM {table} WHERE {where}"


async def by_raw_sql(session: AsyncSession, sample: Sample, verb: str, rows: list[Values]) -> None:
    """Through SQL as text, as a plugin might."""
    await (await session.connection()).exec_driver_sql(as_sql(sample, verb, rows))


Write = Callable[[AsyncSession, Sample, str, list[Values]], Awaitable[None]]
WAYS: dict[str, Write] = {"orm": by_orm, "statement": by_statement, "raw sql": by_raw_sql}


def psql(url: URL, *statements: str) -> subprocess.CompletedProcess[str]:
    """Somebody at psql, connected as the owner of the tables."""
    orders = [word for statement in statements for word in ("-c", statement)]
    command = [str(find_client("psql")), "-XAtq", "-v", "ON_ERROR_STOP=1", *orders]
    return subprocess.run(command, env=client_environment(url), capture_output=True, text=True)


async def images(session: AsyncSession, table: str) -> dict[str, Values]:
    """Every row of a table as the database would write it in JSON, by the id that the audit log gives it."""
    keys = [column.name for column in Base.metadata.tables[table].primary_key]
    rows = (await session.scalars(text(f"SELECT to_jsonb(t) FROM {table} t"))).all()
    return {",".join(str(row[key]) for key in keys): row for row in rows}
