"""What a list could be narrowed down to: how many of its rows have which value, counted no further than is cheap.

Nothing here reads a whole table: of values those are told that are found among the first CAPPED rows of the list, of
periods up to MANY rows are counted, and all of it stops when a list would.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import CTE, BigInteger, ColumnElement, Select, Text, func, inspect, literal, null, select, union_all
from sqlalchemy import cast as as_type
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper

from admin_app.queries.filters import among, kind_of, relation_of
from admin_app.queries.listing import Listed, ListQuery
from admin_app.queries.periods import DAY, Viewer, period
from admin_app.queries.rows import order
from admin_app.queries.shortened import lean

CAPPED = 10_000
"""Rows of a list that are looked at."""
TOP = 10
"""Related records that are told, those with the most rows."""
OVERDUE = "overdue"
"""The filter that no column stands for."""
MANY = 1_000
"""Rows up to which those of one period are counted."""
YEARS = 30
"""Years that are told, the latest."""


@dataclass(frozen=True)
class Facet:
    """How many of the first rows of a list have which value of a filter.

    Values are written as the filter takes them, None for rows without one. There may be `more` of each where the list
    goes on beyond the rows that were looked at.
    """

    name: str
    counts: tuple[tuple[str | None, int], ...]
    more: bool


@dataclass(frozen=True)
class Span:
    """A year, a month or a day of the viewer, up to the day after its last; `count` is None where it is not known."""

    first: date
    after: date
    count: int | None = None


async def hurry(session: AsyncSession, milliseconds: int) -> None:
    """Let no statement of this transaction take longer."""
    await session.execute(select(func.set_config("statement_timeout", str(milliseconds), True)))


# ---- Values


def facetable(listed: Listed) -> list[str]:
    """The filters of a list whose values can be told with their numbers."""
    names = [name for name in listed.filters if _counted(listed.model, name)]
    return names + [OVERDUE] * hasattr(listed.model, "is_overdue")


def _counted(model: type[Any], name: str) -> bool:
    relation = relation_of(model, name)
    if relation is not None and relation.uselist:
        return relation.secondary is not None
    return kind_of(model, name) in {"choice", "switch", "record"}


async def values_of(session: AsyncSession, query: ListQuery) -> list[Facet]:
    """How often each value of each filter is among the first rows of a list, whatever that filter itself asks for now.

    One statement for the filters that ask for nothing, and one for each that does.
    """
    names, query = facetable(query.listed), await query.understood(session)
    asking = [name for name in names if _without(query, name) is not query]
    found: dict[str, Facet] = {}
    for together in [[name for name in names if name not in asking], *([name] for name in asking)]:
        if together:
            found |= await _values(session, _without(query, together[0]), together)
    return [found[name] for name in names]


def _without(query: ListQuery, name: str) -> ListQuery:
    """The list without what one of its filters asks for; the same where it asks for nothing."""
    if name == OVERDUE:
        return query if query.overdue is None else replace(query, overdue=None)
    kept = tuple(item for item in query.filters if item.name != name or item.negated)
    return query if len(kept) == len(query.filters) else replace(query, filters=kept)


async def _values(session: AsyncSession, query: ListQuery, names: Sequence[str]) -> dict[str, Facet]:
    first = _first_rows(query, names)
    total = select(literal("").label("name"), null().label("value"), func.count().label("number")).select_from(first)
    parts = [select(part.subquery()) for part in (_grouped(query.listed.model, first, name) for name in names)]
    rows = (await session.execute(union_all(total, *parts))).all()
    more = next(number for name, _, number in rows if not name) > CAPPED
    counts = {name: tuple((value, number) for known, value, number in rows if known == name) for name in names}
    return {name: Facet(name, _ranked(counts[name]), more) for name in names}


def _ranked(counts: Iterable[tuple[str | None, int]]) -> tuple[tuple[str | None, int], ...]:
    return tuple(sorted(counts, key=lambda pair: -pair[1]))


def _first_rows(query: ListQuery, names: Sequence[str]) -> CTE:
    """The first rows of a list with what is counted of them; one more than CAPPED where there are more."""
    model = query.listed.model
    values = [_value(model, name).label(f"of_{name}") for name in names if not _is_many(model, name)]
    found = select(model.id, *values).where(*query.conditions()).order_by(*order(query)).limit(CAPPED + 1)
    return found.cte("first_rows")


def _is_many(model: type[Any], name: str) -> bool:
    relation = relation_of(model, name)
    return relation is not None and bool(relation.uselist)


def _value(model: type[Any], name: str) -> ColumnElement[Any]:
    if name == OVERDUE:
        return cast(ColumnElement[Any], model.is_overdue)
    relation = relation_of(model, name)
    return relation.local_remote_pairs[0][0] if relation and relation.local_remote_pairs else getattr(model, name)


def _grouped(model: type[Any], first: CTE, name: str) -> Select[str, str, int]:
    """The values that the rows have most often, each with the number of rows."""
    number = func.count().label("number")
    relation = relation_of(model, name)
    if relation is not None and relation.uselist:
        assert relation.secondary is not None  # noqa: S101  what else has many is not counted
        mine, theirs = (_link(relation, side) for side in ("synchronize_pairs", "secondary_synchronize_pairs"))
        value = as_type(theirs, Text)
        rows = select(literal(name).label("name"), value.label("value"), number)
        rows = rows.select_from(first.join(relation.secondary, mine == first.c.id))
    else:
        column = first.c[f"of_{name}"]
        value = as_type(column, Text)
        rows = select(literal(name).label("name"), value.label("value"), number).select_from(first)
    return rows.group_by(value).order_by(number.desc(), value).limit(TOP if relation else None)


def _link(relation: Any, pairs: str) -> Any:
    """The column of the table between two models that holds the id of one of them."""
    return getattr(relation, pairs)[0][1]


async def records_of(session: AsyncSession, model: type[Any], ids: Collection[int]) -> Sequence[Any]:
    """The records with these ids, without what may be long, to say how they are called."""
    found = select(model).where(among(model.id, sorted(ids), BigInteger)).options(*lean(model))
    return (await session.scalars(found)).all()


# ---- Periods


def main_time(listed: Listed) -> str | None:
    """The time by which a list is walked through years, months and days: the one it is sorted by, else its first.

    One that it is filtered by and that an index knows; None where there is none.
    """
    times = [name for name in listed.filters if kind_of(listed.model, name) == "time" and _indexed(listed.model, name)]
    preferred = listed.default_sort.removeprefix("-").split(",")[0].removeprefix("-")
    return preferred if preferred in times else next(iter(times), None)


def _indexed(model: type[Any], name: str) -> bool:
    """Whether the earliest and the latest value of a column are found without reading the others."""
    column = getattr(model, name).expression.name
    indexes: Iterable[Any] = getattr(cast(Mapper[Any], inspect(model)).local_table, "indexes", ())
    return any(getattr(next(iter(index.expressions), None), "name", "") == column for index in indexes)


def period_of(query: ListQuery, name: str, viewer: Viewer) -> tuple[date | None, date | None]:
    """The days that the list is limited to by a time: the first, and the one after the last; None where it is open."""
    text = next((item.text for item in query.filters if item.name == name and not item.negated), "")
    try:
        first, after = period(text, viewer) if text else (None, None)
    except (ValueError, OverflowError):
        return None, None
    return _day(first, viewer), _day(after, viewer)


def _day(moment: datetime | None, viewer: Viewer) -> date | None:
    return None if moment is None else moment.astimezone(viewer.zone).date()


async def spans_of(session: AsyncSession, query: ListQuery, name: str, viewer: Viewer) -> list[Span]:
    """The years of a list; the months where it is limited to one of them, the days where it is limited to a month.

    The numbers are not known yet. Two probes of an index.
    """
    first, after = period_of(query, name, viewer)
    if first and after and after - first <= 366 * DAY and _whole(first, after):
        return _months(first) if after - first > 31 * DAY else _days(first)
    column = getattr(query.listed.model, name)
    narrow = replace(query, filters=(), q="", overdue=None, change_set=None, among=None)
    ends = [
        select(column).where(*narrow.conditions(), column.is_not(None)).order_by(way).limit(1).scalar_subquery()
        for way in (column.asc(), column.desc())
    ]
    earliest, latest = (await session.execute(select(*ends))).one()
    if earliest is None or latest is None:
        return []
    return _years(earliest.astimezone(viewer.zone).year, latest.astimezone(viewer.zone).year)


def _whole(first: date, after: date) -> bool:
    """Whether this is a whole year, a whole month, or a day, whose month is then meant."""
    next_month = (first.replace(day=1) + 31 * DAY).replace(day=1)
    year = first == date(first.year, 1, 1) and after == date(first.year + 1, 1, 1)
    return year or (first.day == 1 and after == next_month) or after - first == DAY


def inside(spans: Sequence[Span]) -> list[Span]:
    """The months of the only year that there is; nothing where there is more than one period, or no year."""
    return _months(spans[0].first) if len(spans) == 1 and spans[0].after - spans[0].first > 31 * DAY else []


def _years(first: int, last: int) -> list[Span]:
    return [Span(date(year, 1, 1), date(year + 1, 1, 1)) for year in range(max(first, last - YEARS + 1), last + 1)]


def _months(year: date) -> list[Span]:
    firsts = [date(year.year, month, 1) for month in range(1, 13)]
    return [Span(first, (first + 31 * DAY).replace(day=1)) for first in firsts]


def _days(month: date) -> list[Span]:
    first = month.replace(day=1)
    days = [first + number * DAY for number in range(31)]
    return [Span(day, day + DAY) for day in days if day.month == first.month]


async def counted(
    session: AsyncSession, query: ListQuery, name: str, spans: Sequence[Span], viewer: Viewer
) -> list[Span]:
    """Periods with the number of rows in each, MANY + 1 where there are more; those without any are left out."""
    if not spans:
        return []
    column = getattr(query.listed.model, name)
    conditions = _without(await query.understood(session), name).conditions()
    each = []
    for place, span in enumerate(spans):
        within = (column >= viewer.midnight(span.first), column < viewer.midnight(span.after))
        found = select(literal(1)).select_from(query.listed.model).where(*conditions, *within).limit(MANY + 1)
        each.append(select(literal(place).label("place"), func.count().label("number")).select_from(found.subquery()))
    numbers = {row.place: row.number for row in await session.execute(union_all(*each))}
    return [replace(span, count=numbers[place]) for place, span in enumerate(spans) if numbers[place]]
