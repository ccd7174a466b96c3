"""All rows of a list for a file, written by PostgreSQL itself: one SELECT, sent by COPY as fast as a reader takes it.

Related records are joined and come by the text that finds them. Nothing here holds more than a piece of the file.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    Enum,
    Integer,
    Numeric,
    Select,
    String,
    Text,
    Uuid,
    any_,
    case,
    cast,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import RelationshipProperty, aliased

from admin_app.models import Instant
from admin_app.queries.filters import relation_of
from admin_app.queries.listing import ListQuery
from admin_app.queries.rows import order

FORMULA = "\t\n\r+-=@＋－＝＠"
"""A text that begins so would be calculated by a spreadsheet, with whatever a stranger wrote into it."""
HARMLESS = (Integer, Numeric, Boolean, Date, DateTime, Instant, Enum, Uuid, JSON)
"""Types whose values no stranger can let begin so; a number may, and stays one."""
BATCH = 500
"""Rows that are in memory at a time where they are not copied."""

Sink = Callable[[bytes], Awaitable[None]]
Column = ColumnElement[Any]


@dataclass(frozen=True)
class Extract:
    """What a file is to hold: the columns of every row that a list finds, under their headings.

    Related records in the columns `unnamed` come by id only.
    """

    query: ListQuery
    columns: tuple[str, ...]
    headings: tuple[str, ...]
    unnamed: Collection[str] = ()


async def unhurried(session: AsyncSession, minutes: int) -> None:
    """Let this transaction's statements run for so long, and write times in one way whatever the server's is.

    Rows in the order of their index mostly lie side by side. At what PostgreSQL takes for the price of reading them so,
    it would read the whole table instead, and sort it, to send a tenth.
    """
    settings = {"statement_timeout": f"{minutes}min", "timezone": "UTC", "datestyle": "ISO", "random_page_cost": "1.1"}
    await session.execute(select(*(func.set_config(name, value, True) for name, value in settings.items())))


async def copy_csv(session: AsyncSession, extract: Extract, sink: Sink, *, formulas: bool) -> int:
    """Send the rows as lines of CSV, without a heading; returns how many there were.

    Unless `formulas` are let be, a text that would be one gets a ' in front.
    """
    return await copy(session, await csv_rows(session, extract, formulas=formulas), sink)


async def csv_rows(session: AsyncSession, extract: Extract, *, formulas: bool) -> Select[Any]:
    """The statement that finds the rows, with every value as the text that stands in a file."""

    def one(value: Column) -> Column:
        return as_text(value, guarded=not formulas)

    def many(key: Column) -> Column:
        return _safe(_joined(key), guarded=not formulas)

    return _selected(await _understood(session, extract), one, many)


async def copy_jsonl(session: AsyncSession, extract: Extract, sink: Sink) -> int:
    """Send the rows as lines of one JSON object each; returns how many there were."""
    rows = _selected(await _understood(session, extract), lambda value: value, _in_order).subquery("record")
    lines = select(func.row_to_json(literal_column(rows.name))).select_from(rows)
    # JSON writes control characters as \u0001, so that with these two no line is ever quoted
    return await copy(session, lines, sink, delimiter="\x02", quote="\x01")


async def batches(session: AsyncSession, extract: Extract) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """The rows as values of Python, to-many columns as lists."""
    found = _selected(await _understood(session, extract), lambda value: value, _in_order)
    stream = await session.stream(found, execution_options={"yield_per": BATCH})
    async for batch in stream.partitions():
        yield batch


# ---- The statement


async def _understood(session: AsyncSession, extract: Extract) -> Extract:
    """The same with what the database knows of the names and words that are looked for."""
    return replace(extract, query=await extract.query.understood(session))


def _selected(extract: Extract, one: Callable[[Column], Column], many: Callable[[Column], Column]) -> Select[Any]:
    """The rows in the list's order: plain columns and to-one relations written by `one`, to-many ones by `many`."""
    model, values, joins = extract.query.listed.model, list[Column](), list[tuple[Any, Any]]()
    for name in extract.columns:
        relation, named = relation_of(model, name), name not in extract.unnamed
        if relation is None:
            values.append(one(getattr(model, name)))
            continue
        if relation.uselist:
            value, joined = _to_many(model, relation, many, named=named)
        else:
            key, joined = _to_one(model, relation, named=named)
            value = one(key)
        values.append(value)
        joins += joined
    headed = (value.label(heading) for value, heading in zip(values, extract.headings, strict=True))
    found = select(*headed).select_from(model)
    for target, condition in joins:
        found = found.outerjoin(target, condition)
    return found.where(*extract.query.conditions()).order_by(*order(extract.query))


Joins = list[tuple[Any, Any]]


def _to_one(model: type[Any], relation: RelationshipProperty[Any], *, named: bool) -> tuple[Column, Joins]:
    """The text by which a related record is found, or its id; and what has to be joined for it."""
    if not named and (pairs := relation.local_remote_pairs) and [remote.name for _, remote in pairs] == ["id"]:
        return pairs[0][0], []
    target = aliased(relation.mapper.class_)
    return _key(target, named=named), [(target, getattr(model, relation.key).of_type(target))]


def _to_many(
    model: type[Any], relation: RelationshipProperty[Any], many: Callable[[Column], Column], *, named: bool
) -> tuple[Column, Joins]:
    """The texts by which many related records are found, or their ids, as one value; and what has to be joined for it.

    Through a table between, the ids come first and the texts by these: many rows have the same ids, and PostgreSQL
    remembers what it has put together for them.
    """
    target, pairs = aliased(relation.mapper.class_), relation.synchronize_pairs
    links = relation.secondary_synchronize_pairs or []
    if [key.name for key, _ in (*pairs, *links)] != ["id", "id"]:
        parent = aliased(model)
        every = select(many(_key(target, named=named))).select_from(parent)
        every = every.join(getattr(parent, relation.key).of_type(target)).where(parent.id == model.id)
        return every.correlate(model).scalar_subquery(), []
    [(_, of_parent)], [(_, of_target)] = pairs, links
    if not named:
        return select(many(of_target)).where(of_parent == model.id).correlate(model).scalar_subquery(), []
    ids = select(of_target).where(of_parent == model.id).correlate(model).scalar_subquery()
    kept = select(func.array(ids, type_=ARRAY(BigInteger)).label("ids")).offset(literal_column("0")).lateral()
    found = select(many(_key(target, named=True)).label("texts")).where(target.id == any_(kept.c.ids))
    texts = found.correlate(kept).lateral()
    return texts.c.texts, [(kept, true()), (texts, true())]


def _key(target: Any, *, named: bool) -> Column:
    lookup = target.lookup if named else ()
    key: Column = getattr(target, lookup[0] if lookup else "id")
    return key


# ---- How values are written


def _in_order(key: Column) -> Column:
    """Many values as an array in order; an empty one where there is none."""
    return func.coalesce(func.array_agg(aggregate_order_by(key, key)), literal_column("'{}'"))


def _joined(key: Column) -> Column:
    """Many values as one text, in order."""
    return func.string_agg(cast(key, Text), aggregate_order_by(literal_column("', '"), key))


def as_text(value: Column, *, guarded: bool) -> Column:
    """A value as it stands in a file: times in ISO 8601 with their offset, yes or no as `true` or `false`."""
    kind = value.type
    if isinstance(kind, Instant | DateTime):
        exact = func.to_json(value).op("#>>")(literal_column("'{}'"))
        return case((value.between(FIRST, LAST), _instant(value)), else_=exact) if isinstance(kind, Instant) else exact
    if isinstance(kind, Boolean):
        return cast(value, Text)
    if isinstance(kind, ARRAY):
        return _safe(func.array_to_string(value, literal_column("', '")), guarded=guarded)
    if isinstance(kind, HARMLESS):
        return value
    return _safe(value if isinstance(kind, String) else cast(value, Text), guarded=guarded)


FIRST = literal_column("'0001-01-01 00:00+00'::timestamptz", Instant())
LAST = literal_column("'9999-12-31 23:59:59.999999+00'::timestamptz", Instant())
"""The first and the last instant that is written with four digits of a year."""


def _instant(value: Column) -> Column:
    """An ordinary instant in ISO 8601, made of how PostgreSQL writes it in UTC, in half the time that JSON takes."""
    return func.replace(cast(value, Text), literal_column("' '"), literal_column("'T'")).concat(literal_column("':00'"))


def _safe(text: Column, *, guarded: bool) -> Column:
    return safe(text) if guarded else text


def safe(text: Column) -> Column:
    """A text of which no spreadsheet makes a formula."""
    codes = ",".join(str(ord(character)) for character in FORMULA)
    dangerous = func.ascii(text) == any_(literal_column(f"'{{{codes}}}'::int[]"))
    return case((dangerous, literal_column("''''").concat(text)), else_=text)


# ---- Copying

QUOTED = re.compile("'[^']*'|\"[^\"]*\"")
PLACE = re.compile(r"\$[0-9]+\b")


async def copy(session: AsyncSession, statement: Select[Any], sink: Sink, **written: str) -> int:
    """Send what a statement finds as lines of CSV, waiting for the reader after each piece; returns how many rows.

    What the reader raises ends the statement, and so does cancelling.
    """
    connection = await session.connection()
    text, values = _bound(statement, connection.dialect)
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    try:
        status: str = await driver.copy_from_query(text, *values, output=sink, format="csv", **written)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DBAPIError("COPY", None, error, hide_parameters=True) from error
    return int(status.removeprefix("COPY "))


def _bound(statement: Select[Any], dialect: Dialect) -> tuple[str, list[Any]]:
    """A statement as a text with places, and the values for these.

    COPY takes no values, so that the driver has the server write each as a quoted text and puts it in its place. It
    does not look whether a place stands between quotes, so none may.
    """
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    text, values = str(compiled), compiled.construct_params()
    if len(PLACE.findall(text)) != len(PLACE.findall(QUOTED.sub("", text))):
        raise ValueError("between quotes in this statement stands a $ with a number, where a value would be put")
    types = {name: bind.type.dialect_impl(dialect) for bind, name in compiled.bind_names.items()}
    bound = []
    for name in compiled.positiontup or ():
        known = name if name in types else name.rpartition("_")[0]  # one of many values, such as status_1_2
        process = types[known].bind_processor(dialect)
        bound.append(process(values[name]) if process else values[name])
    return text, bound
