"""The rows of a list: one page of them, how many there are, and the names in its filters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, ColumnElement, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload
from sqlalchemy.sql.base import ExecutableOption

from admin_app.models import Base
from admin_app.queries.filters import among, named, relation_of
from admin_app.queries.keyset import END, ordered, parts
from admin_app.queries.light import Reference, Row, in_sql, shape_of
from admin_app.queries.listing import DEEPEST, ListQuery
from admin_app.queries.shortened import beginning, lean, long_columns

__all__ = ["Loaded", "Page", "Reference", "Row", "count_of", "order", "page_of", "records_of", "related"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A whole record of a page, and the beginnings of its long values, which are not loaded whole."""

    record: Any
    short: dict[str, Any]

    def value(self, name: str) -> Any:
        """What a list shows of an attribute."""
        return self.short[name] if name in self.short else getattr(self.record, name)

    def row(self, names: Sequence[str], **instead: Any) -> Row:
        """The record as a row, with these of its columns, and with other values `instead`."""
        values = {name: _referred(self.value(name)) for name in names} | instead
        return Row(self.record.id, getattr(self.record, "version", 0), values, str(self.record.label))


Item = TypeVar("Item", Row, Loaded)


@dataclass(frozen=True)
class Page(Generic[Item]):
    """The rows of one page in order, and where the pages before and after it are found; None where there is none.

    `query` is what was asked for, as it was understood.
    """

    query: ListQuery
    rows: Sequence[Item]
    previous: str | None
    next: str | None


async def page_of(session: AsyncSession, query: ListQuery, names: Sequence[str]) -> Page[Row]:
    """One page of a list with the values of these columns, in one statement; nothing else is read of its records.

    A rare word is looked for without asking first how rare it is. Where a plugin's model knows what its records are
    called, or a column of them, in Python only, whole records are read for it in a further statement.
    """
    if (guessed := query.guessed) and (found := await _light(session, guessed, names)).rows:
        return found
    return await _light(session, await query.understood(session), names)


async def _light(session: AsyncSession, query: ListQuery, names: Sequence[str]) -> Page[Row]:
    """The same of what is understood."""
    model = query.listed.model
    shape = shape_of(model, tuple(names), query.sort, query.listed.default_sort)
    found = (await session.execute(shape.page(query))).all()
    page = _page(query, found)
    rows = await _completed(session, model, [shape.row(row) for row in page.rows], names)
    return replace(page, rows=rows)


async def records_of(
    session: AsyncSession, query: ListQuery, shown: Sequence[str], *, whole: bool = False
) -> Page[Loaded]:
    """One page of a list as records with all that the `shown` columns need, a statement more for each to-many column.

    Long values come by their beginnings, unless they are asked for as a `whole`.
    """
    model, query = query.listed.model, await query.understood(session)
    long = set() if whole else long_columns(model)
    short = {name: beginning(getattr(model, name)) for name in shown if name in long}
    read = select(model, *short.values(), *(key.column for key in query.keys)).where(*query.conditions())
    read = read.options(*_options(model, shown, whole=shown if whole else ()))
    found: list[Any] = []
    for part in parts(query.keys, query.position):
        if len(found) <= query.size:
            nearest = read.where(*part.conditions).order_by(*part.order).limit(query.size + 1 - len(found))
            found += (await session.execute(nearest)).all()
    page = _page(query, found[::-1] if query.position.backward else found)
    rows = [Loaded(row[0], dict(zip(short, row[1:], strict=False))) for row in page.rows]
    return replace(page, rows=rows)


def _page(query: ListQuery, found: Sequence[Any]) -> Page[Any]:
    """What was found, in which a row too many says that there are more, as a page with the places of its two ends.

    The last values of each row are those of the keys.
    """
    position, more = query.position, len(found) > query.size
    rows = found[-query.size :] if position.backward else found[: query.size]
    if not rows:
        return Page(query, rows, END if position.side and not position.backward else None, None)
    first, last = (query.cursor(row[-len(query.keys) :]) for row in (rows[0], rows[-1]))
    before = more if position.backward else bool(position.side)
    behind = bool(position.values) if position.backward else more
    return Page(query, rows, first if before else None, last if behind else None)


def _referred(value: Any) -> Any:
    """A related record, or several, as references; any other value as it is."""
    if isinstance(value, Base):
        return Reference.to(value)
    many = isinstance(value, list) and all(isinstance(item, Base) for item in value)
    return tuple(map(Reference.to, value)) if many else value


async def _completed(session: AsyncSession, model: type[Any], rows: list[Row], names: Sequence[str]) -> list[Row]:
    """The rows with what only Python knows of them."""
    unknown = [name for name in names if not in_sql(model, name)]
    related = {name: relation.mapper.class_ for name in names if (relation := relation_of(model, name))}
    unnamed = {name: target for name, target in related.items() if not in_sql(target, "label")}
    if rows and (unknown or not in_sql(model, "label")):
        records = await _by_id(session, model, {row.id for row in rows})
        rows = [
            replace(
                row,
                label=str(records[row.id].label),
                values=row.values | {name: getattr(records[row.id], name) for name in unknown},
            )
            for row in rows
            if row.id in records
        ]
    for name, target in unnamed.items():
        records = await _by_id(session, target, {item.id for row in rows for item in _items(row.values[name])})
        for row in rows:
            value = row.values[name]
            called = tuple(Reference.to(records[item.id]) for item in _items(value) if item.id in records)
            row.values[name] = called if isinstance(value, tuple) else next(iter(called), None)
    return rows


def _items(value: Reference | tuple[Reference, ...] | None) -> tuple[Reference, ...]:
    return value if isinstance(value, tuple) else (value,) if value is not None else ()


async def _by_id(session: AsyncSession, model: type[Any], ids: set[int]) -> dict[int, Any]:
    found = select(model).where(among(model.id, sorted(ids), BigInteger)).options(*lean(model))
    return {record.id: record for record in await session.scalars(found)}


def order(query: ListQuery) -> list[ColumnElement[Any]]:
    """The columns by which a list is sorted: empty values last, whichever way round, and no two rows tie."""
    return ordered([key.column for key in query.keys], query.keys)


async def count_of(session: AsyncSession, query: ListQuery, limit: int | None = DEEPEST) -> int:
    """How many rows match; `limit` + 1 where there are more than `limit`, all of them without one."""
    query = await query.understood(session)
    if limit is None:
        found = select(func.count()).select_from(query.listed.model).where(*query.conditions())
        return await session.scalar(found) or 0
    found = select(literal(1)).select_from(query.listed.model).where(*query.conditions()).limit(limit + 1)
    return await session.scalar(select(func.count()).select_from(found.subquery())) or 0


async def related(session: AsyncSession, query: ListQuery) -> dict[type[Any], list[Any]]:
    """The records that filters and search name, by model, so that they can be shown by name; one statement a model."""
    wanted: dict[type[Any], list[ColumnElement[bool]]] = {}
    for item in (*query.filters, *(query.search.filters if query.q and query.search else ())):
        if item.target is not None and (item.ids or item.names):
            wanted.setdefault(item.target, []).append(named(item.target, item.ids, item.names))
    return {
        target: list(await session.scalars(select(target).where(or_(*conditions)).options(*lean(target))))
        for target, conditions in wanted.items()
    }


def _options(model: type[Any], shown: Sequence[str], whole: Sequence[str] = ()) -> list[ExecutableOption]:
    options: list[ExecutableOption] = lean(model, whole)
    for name in shown:
        if relation := relation_of(model, name):
            load = selectinload if relation.uselist else joinedload
            options.append(load(getattr(model, name)).options(*lean(relation.mapper.class_)))
    return options
