"""How the audit log calls records: by the names that they have at present, of all tables in one statement."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Base, Role, Tag, Ticket, User
from admin_app.queries.arrays import as_array
from admin_app.queries.readable import Names, mapper_of, target_of

NAMED_BY = {
    User.__tablename__: "full_name",
    Role.__tablename__: "name",
    Tag.__tablename__: "name",
    Ticket.__tablename__: "ticket_number",
}
"""The column by which a record is called in an entry; other tables use the first of their lookup columns."""


@cache
def _keyed_by(table: Table) -> tuple[str, ...]:
    """The tables that the parts of a table's key are ids of: its own, or those that its rows link."""
    return tuple(target_of(key) or table.name for key in table.primary_key)


def called(row: Any, names: Names) -> str:
    """The name of a row's record, or of each record that it links; a key that has no name stands for itself."""
    table = Base.metadata.tables.get(row.table_name)
    keyed_by = _keyed_by(table) if table is not None else (row.table_name,)
    parts = row.record_id.split(",", len(keyed_by) - 1)
    pairs = zip(keyed_by, parts, strict=False)
    return ", ".join(names.get((target, int(part) if part.isdecimal() else 0)) or part for target, part in pairs)


async def names_of(session: AsyncSession, wanted: Iterable[tuple[str, int]]) -> Names:
    """How records are called, of all tables in one statement."""
    ids: dict[str, list[int]] = {}
    for table, key in wanted:
        ids.setdefault(table, []).append(key)
    naming = _naming(tuple(sorted(ids)))
    if naming is None:
        return {}
    found = await session.execute(naming, {f"of_{table}": sorted(keys) for table, keys in ids.items()})
    return {(table, key): name for table, key, name in found}


@cache
def _naming(tables: tuple[str, ...]) -> CompoundSelect[Any] | None:
    """Table, id and name of rows of these tables; None where none of them has names."""
    ids = {table: bindparam(f"of_{table}", type_=ARRAY(BigInteger)) for table in tables}
    parts = [part for table in tables if (part := _named(table, ids[table])) is not None]
    return union_all(*parts) if parts else None


def _named(table: str, ids: ColumnElement[Any]) -> Select[Any] | None:
    """Table, id and name of rows of one table; None where rows have no name."""
    mapper = mapper_of(table)
    if mapper is None or not mapper.class_.lookup or not isinstance(mapper.primary_key[0].type, Integer):
        return None
    by = NAMED_BY.get(table) or mapper.class_.lookup[0]
    name, key = mapper.columns.get(by, getattr(mapper.class_, by)), mapper.primary_key[0]
    said = fixed(table).label("table"), key.label("id"), cast(name, Text).label("name")
    return select(*said).where(key == func.any(ids))


def names_in(found: CTE, table: str, links: Iterable[str]) -> ColumnElement[Any]:
    """Table, id and name of what entries refer to that are about a record, whose id is `own`, and about its links."""
    columns: dict[str, list[str]] = {table: ["id"]}
    for name in (table, *links):
        for column in Base.metadata.tables[name].columns if name in Base.metadata.tables else ():
            if target := target_of(column):
                columns.setdefault(target, []).append(column.name)
    ids = {target: _ids_in(found, names) for target, names in columns.items()}
    ids[table] = func.array_append(ids[table], bindparam("own", type_=BigInteger))
    parts = [part for target, held in ids.items() if (part := _named(target, held)) is not None]
    return as_array(select(func.row(*union_all(*parts).subquery().c))) if parts else null()


def _ids_in(found: CTE, names: Iterable[str]) -> ColumnElement[Any]:
    """The ids that entries hold under these names, before or after."""
    wanted = " || ".join(f'@.key == "{name}"' for name in names)
    fits = f'@.value.type() == "number" && @.value <= {2**63 - 1}'
    numbers = f"$.*.keyvalue() ? ({fits} && ({wanted})).value"
    return as_array(select(cast(func.jsonb_path_query(found.c.changes, fixed(numbers)), BigInteger)))


def fixed(value: int | str) -> ColumnElement[Any]:
    """A number, or a name of ours, that stands in the statement, so that PostgreSQL can keep its plan."""
    return literal_column(f"{value}") if isinstance(value, int) else literal_column(f"'{value}'")
