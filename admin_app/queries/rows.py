"""The rows of a list: one page of them, how many there are, and the names in its filters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    String,
    case,
    func,
    inspect,
    literal,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper, aliased, defer, joinedload, selectinload
from sqlalchemy.sql.base import ExecutableOption

from admin_app.queries.filters import named, relation_of
from admin_app.queries.listing import DEEPEST, ListQuery

SHORT = 200
"""Characters of a long text that a list shows."""
SHORT_ITEM = 80
"""Characters of a value inside a JSON object that a list shows."""


@dataclass(frozen=True)
class Row:
    """A record of a page, and the beginnings of its long values, which are not loaded whole."""

    record: Any
    short: dict[str, Any]

    def value(self, name: str) -> Any:
        """What a list shows of an attribute."""
        return self.short[name] if name in self.short else getattr(self.record, name)


@dataclass(frozen=True)
class Page:
    """The rows of one page in order, and whether there is another page."""

    rows: Sequence[Row]
    has_next: bool


async def page_of(session: AsyncSession, query: ListQuery, shown: Sequence[str], *, whole: bool = False) -> Page:
    """One page of a list with all that the `shown` columns need, in one statement and one for each to-many column.

    Long values come by their beginnings, unless they are asked for as a `whole`.
    """
    model = query.listed.model
    long = set() if whole else long_columns(model)
    short = {name: _beginning(getattr(model, name)) for name in shown if name in long}
    found = (
        select(model, *short.values())
        .where(*query.conditions())
        .order_by(*order(query))
        .limit(query.size + 1)
        .offset((query.page - 1) * query.size)
        .options(*_options(model, shown, whole=shown if whole else ()))
    )
    rows = [Row(record, dict(zip(short, values, strict=True))) for record, *values in await session.execute(found)]
    return Page(rows[: query.size], len(rows) > query.size)


async def count_of(session: AsyncSession, query: ListQuery, limit: int = DEEPEST) -> int:
    """How many rows match; `limit` + 1 where there are more than `limit`."""
    found = select(literal(1)).select_from(query.listed.model).where(*query.conditions()).limit(limit + 1)
    return await session.scalar(select(func.count()).select_from(found.subquery())) or 0


async def related(session: AsyncSession, query: ListQuery) -> dict[type[Any], list[Any]]:
    """The records that the filters name, by model, so that a filter can be shown by name; one statement a model."""
    wanted: dict[type[Any], list[ColumnElement[bool]]] = {}
    for item in query.filters:
        if item.target is not None and (item.ids or item.names):
            wanted.setdefault(item.target, []).append(named(item.target, item.ids, item.names))
    return {
        target: list(await session.scalars(select(target).where(or_(*conditions)).options(*lean(target))))
        for target, conditions in wanted.items()
    }


def long_columns(model: type[Any]) -> set[str]:
    """Columns whose values can be of any size."""
    columns = cast(Mapper[Any], inspect(model)).column_attrs
    return {item.key for item in columns if item.columns[0].info.get("audit") == "long" or _is_json(item.columns[0])}


def _is_json(column: Any) -> bool:
    return isinstance(column.type, JSONB)


def secret_columns(model: type[Any]) -> set[str]:
    """Columns that nobody is shown."""
    columns = cast(Mapper[Any], inspect(model)).column_attrs
    return {item.key for item in columns if item.columns[0].info.get("audit") == "secret"}


def lean(model: type[Any], whole: Sequence[str] = ()) -> list[Any]:
    """Options by which a record is read without its secrets and without what may be long, unless it is wanted whole."""
    names = sorted((long_columns(model) - {*whole}) | secret_columns(model))
    return [defer(getattr(model, name), raiseload=True) for name in names]


def _options(model: type[Any], shown: Sequence[str], whole: Sequence[str] = ()) -> list[ExecutableOption]:
    options: list[ExecutableOption] = lean(model, whole)
    for name in shown:
        if relation := relation_of(model, name):
            load = selectinload if relation.uselist else joinedload
            options.append(load(getattr(model, name)).options(*lean(relation.mapper.class_)))
    return options


def _beginning(column: Any) -> ColumnElement[Any]:
    """The first characters of a long text; of a JSON object, each value on two levels as the beginning of its text."""
    if not _is_json(column):
        return func.left(column, SHORT)
    return case((func.jsonb_typeof(column) == "object", _short_object(column, _short_item)), else_=null())


def _short_object(value: Any, shorten: Callable[[Any], Any]) -> Any:
    items = func.jsonb_each(value).table_valued("key", "value")
    shortened = func.jsonb_object_agg(items.c.key, shorten(items.c.value), type_=JSONB)
    return select(shortened).select_from(items).scalar_subquery()


def _short_item(value: Any) -> Any:
    inner = _short_object(value, _short_text)
    return case((func.jsonb_typeof(value) == "object", inner), else_=_short_text(value))


def _short_text(value: Any) -> Any:
    """A number, yes or no as it is; anything else as the beginning of its text."""
    beginning = func.to_jsonb(func.left(value.op("#>>")(literal_column("'{}'")), SHORT_ITEM))
    return case((func.jsonb_typeof(value).in_(["number", "boolean"]), value), else_=beginning)


def order(query: ListQuery) -> list[ColumnElement[Any]]:
    """The sort column, empty values last whichever way round, then the id, so that no two rows tie."""
    model, name = query.listed.model, query.sort.removeprefix("-")
    relation = relation_of(model, name)
    column = by_key(model, name, -1) if relation else getattr(model, name)
    if isinstance(column.type, String) and (relation is not None or name in model.lookup):
        column = func.lower(column)
    if name == "id":
        return [model.id.desc() if query.sort.startswith("-") else model.id.asc()]
    if not query.sort.startswith("-"):
        return [column.asc(), model.id.asc()]
    nullable = relation is not None or getattr(getattr(model, name).expression, "nullable", True)
    return [column.desc().nulls_last() if nullable else column.desc(), model.id.desc()]


def by_key(model: type[Any], name: str, position: int | None = 0) -> ColumnElement[Any]:
    """A related record, or a list of many, by the lookup column at `position` or by id; a value that hides no row."""
    relation = relation_of(model, name)
    assert relation is not None  # noqa: S101  the callers have seen that it is one
    parent, target = aliased(model), aliased(relation.mapper.class_)
    lookup = relation.mapper.class_.lookup
    key = getattr(target, lookup[position] if lookup and position is not None else "id")
    value = func.array_agg(aggregate_order_by(key, key)) if relation.uselist else key
    found = select(value).select_from(parent).join(getattr(parent, name).of_type(target)).where(parent.id == model.id)
    return found.correlate(model).scalar_subquery()
