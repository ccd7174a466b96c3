"""The order of a list, and where in it a page begins: behind a row, before one, at a value, or at an end.

No row is skipped or counted to get there. What lies behind a row is found by comparing with its values, so that each
page costs what the first one does, and shows no row twice when others come and go meanwhile. PostgreSQL can read an
index in the order of its columns, or wholly the other way round; `parts` are therefore what it can read in one go, and
rows with an empty value, which come last whichever way round, are a part of their own.
"""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Enum,
    Float,
    Integer,
    Numeric,
    SmallInteger,
    String,
    Text,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.orm import aliased

from admin_app.models import Instant
from admin_app.queries.filters import Word, relation_of, yes_or_no
from admin_app.queries.periods import Viewer, edges
from admin_app.queries.ranges import number

END = "end"
"""In place of a row: the end of the list."""
CURSOR_LENGTH = 4_000
MOMENT = timedelta(microseconds=1)
"""The shortest time between two instants."""


@dataclass(frozen=True, eq=False)
class Key:
    """A column by which a list is sorted, and whether the greatest comes first; the `values` it may have, where few."""

    name: str
    column: ColumnElement[Any]
    descending: bool
    nullable: bool
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Position:
    """Where a page begins: `after` or `before` a row of these key values, or `at` a first one; else at the beginning.

    Without values `before` is before the end. `text` is what stands in the address.
    """

    side: Literal["", "after", "before", "at"] = ""
    text: str = ""
    values: tuple[Any, ...] = ()

    @property
    def backward(self) -> bool:
        """Whether a page is read from its end."""
        return self.side == "before"


START = Position()


@dataclass(frozen=True, eq=False)
class Part:
    """Rows that follow each other in the order of an index: what they fulfil, and how they are ordered."""

    conditions: tuple[ColumnElement[bool], ...]
    order: tuple[ColumnElement[Any], ...]


# ---- The order


def keys_of(model: Any, sort: str, default: str) -> tuple[Key, ...]:
    """The columns by which `-priority_rank,created_at` sorts, and further ones until no two rows tie.

    These go the way of the last column named: the `default` sort behind a column of few values, whose rows would else
    have no order that anybody understands, and the id.
    """
    return _keys(model, sort, default)


@lru_cache(maxsize=1_000)
def _keys(model: Any, sort: str, default: str) -> tuple[Key, ...]:
    keys = [_key(model, name) for name in sort.split(",")]
    last = keys[-1]
    if len(keys) == 1:
        keys[0] = replace(last, values=())
    if isinstance(last.column.type, Enum | Boolean | SmallInteger):
        keys += [replace(_key(model, name), descending=last.descending) for name in default.split(",")]
    keys.append(replace(_key(model, "id"), descending=last.descending))
    distinct: dict[str, Key] = {}
    for key in keys:
        distinct.setdefault(key.name, key)
        if key.name == "id":
            break
    return tuple(distinct.values())


def _key(model: type[Any], text: str) -> Key:
    name = text.removeprefix("-")
    relation = relation_of(model, name)
    column = by_key(model, name, -1) if relation else getattr(model, name)
    if isinstance(column.type, String) and not isinstance(column.type, Enum) and (relation or name in model.lookup):
        column = func.lower(column, type_=Text())
    nullable = relation is not None or bool(getattr(getattr(model, name).expression, "nullable", True))
    values = () if nullable or relation else _values(column)
    return Key(name, column, text.startswith("-"), nullable, values)


def _values(column: Any) -> tuple[Any, ...]:
    """The values that a column may have: an enumeration's, those of a switch, or those that its model tells."""
    if isinstance(column.type, Enum):
        return tuple(member.value for member in column.type.enum_class or ())
    if isinstance(column.type, Boolean):
        return (False, True)
    return tuple(getattr(column, "info", {}).get("values", ()))


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


def ordered(columns: Sequence[Any], keys: Sequence[Key], *, backward: bool = False) -> list[ColumnElement[Any]]:
    """These columns, one for each key, as what a statement is ordered by: empty values last, whichever way round.

    All of it the other way round where the list is read `backward`.
    """
    turned = _turned(keys) if backward else keys
    return [_ordered(column, key, nulls_last=not backward) for column, key in zip(columns, turned, strict=True)]


def _turned(keys: Sequence[Key]) -> list[Key]:
    return [replace(key, descending=not key.descending) for key in keys]


def _ordered(column: Any, key: Key, *, nulls_last: bool, known: bool = False) -> ColumnElement[Any]:
    """A column in order; PostgreSQL has empty values last, or first where the greatest comes first."""
    plain: ColumnElement[Any] = column.desc() if key.descending else column.asc()
    if known or not key.nullable or key.descending != nulls_last:
        return plain
    return plain.nulls_last() if nulls_last else plain.nulls_first()


# ---- Where a page begins


def parts(keys: tuple[Key, ...], position: Position) -> Sequence[Part]:
    """What is behind a position, in reading order; where it is read from its end, the other way round."""
    return _parts(keys, position) if position.values else _all_parts(keys, position)


@lru_cache(maxsize=1_000)
def _all_parts(keys: tuple[Key, ...], position: Position) -> Sequence[Part]:
    """The same of a whole list, read from one of its ends."""
    return _parts(keys, position)


def _parts(keys: Sequence[Key], position: Position) -> Sequence[Part]:
    backward = position.backward
    turned = _turned(keys) if backward else keys
    if turned[0].values:
        found = _by_value(turned, position, nulls_last=not backward)
    elif not position.values:
        found = _from_the_start(turned, nulls_last=not backward)
    elif position.side == "at":
        found = _from_value(turned, position.values[0])
    else:
        found = _behind(turned, position.values, nulls_last=not backward)
    return [
        Part(tuple(conditions), tuple(_in_part(turned, known, nulls_last=not backward))) for conditions, known in found
    ]


Found = tuple[list[ColumnElement[bool]], int]
"""What the rows of a part fulfil; and of how many keys it is known by that whether they are empty."""


def _in_part(keys: Sequence[Key], known: int, *, nulls_last: bool) -> Iterator[ColumnElement[Any]]:
    for place, key in enumerate(keys):
        yield _ordered(key.column, key, nulls_last=nulls_last, known=place < known)


def _by_value(keys: Sequence[Key], position: Position, *, nulls_last: bool) -> Iterator[Found]:
    """Parts of one value of the first column each, within which an index can give any order of the others."""
    first, rest, value = keys[0], keys[1:], position.values[0] if position.values else None
    if len(position.values) > 1:
        same = (first.column == literal(value, first.column.type),)
        yield from ((c, known + 1) for c, known in _behind(rest, position.values[1:], nulls_last=nulls_last, same=same))
    for place in range(len(first.values)):
        same = (first.column == _value_at(first, place, value, included=position.side == "at"),)
        yield from (([*same, *c], known + 1) for c, known in _from_the_start(rest, nulls_last=nulls_last))


def _value_at(key: Key, place: int, bound: Any, *, included: bool) -> ColumnElement[Any]:
    """The value at a place among those behind a bound, as PostgreSQL orders them; NULL where there are fewer."""
    kind = Text() if isinstance(key.column.type, Enum) else key.column.type
    value = func.unnest(literal(list(key.values), ARRAY(kind))).column_valued("value")
    found = select(value).order_by(value.desc() if key.descending else value.asc()).offset(place).limit(1)
    if bound is not None:
        limit = literal(bound.value if isinstance(bound, enum.Enum) else bound, kind)
        beyond = value < limit if key.descending else value > limit
        found = found.where(beyond | (value == limit) if included else beyond)
    return found.scalar_subquery()


def _from_the_start(keys: Sequence[Key], *, nulls_last: bool) -> Iterator[Found]:
    first = keys[0]
    if not first.nullable or first.descending != nulls_last:
        yield [], 0
        return
    yield [first.column.is_not(None) if nulls_last else first.column.is_(None)], 1
    yield [first.column.is_(None) if nulls_last else first.column.is_not(None)], 1


def _from_value(keys: Sequence[Key], value: Any) -> Iterator[Found]:
    first = keys[0]
    bound = literal(value, first.column.type)
    yield [first.column <= bound if first.descending else first.column >= bound], 1
    if first.nullable:
        yield [first.column.is_(None)], 1


def _behind(
    keys: Sequence[Key],
    values: Sequence[Any],
    *,
    nulls_last: bool,
    place: int = 0,
    same: tuple[ColumnElement[bool], ...] = (),
) -> Iterator[Found]:
    """The parts behind a row of these values, the nearest first; up to `place` their rows have the `same` values.

    Columns of one direction are compared together, which is one range of an index; `NULL` compares with nothing.
    """
    if place == len(keys):
        return
    first = keys[place]
    if values[place] is None:
        alike = (*same, first.column.is_(None))
        yield from _behind(keys, values, nulls_last=nulls_last, place=place + 1, same=alike)
        if not nulls_last:
            yield [*same, first.column.is_not(None)], place + 1
        return
    after = place + 1
    while after < len(keys) and keys[after].descending == first.descending and not keys[after].nullable:
        after += 1
    columns = [key.column for key in keys[place:after]]
    bounds = [literal(value, column.type) for column, value in zip(columns, values[place:after], strict=True)]
    if after < len(keys):
        alike = (*same, *(column == bound for column, bound in zip(columns, bounds, strict=True)))
        yield from _behind(keys, values, nulls_last=nulls_last, place=after, same=alike)
    left, right = tuple_(*columns), tuple_(*bounds)
    yield [*same, left < right if first.descending else left > right], after
    if first.nullable and nulls_last:
        yield [*same, first.column.is_(None)], place + 1


def value_from(key: Key, text: str, viewer: Viewer) -> Any:
    """The value at which a page is to begin: of a day its first moment, or its last where the latest comes first.

    Raises ValueError with what can be named.
    """
    kind = key.column.type
    if isinstance(kind, Instant):
        first, after = edges(text, viewer)
        return after - MOMENT if key.descending and after is not None else first
    if isinstance(kind, Enum):
        if text not in (known := [member.value for member in kind.enum_class or ()]):
            raise ValueError(f"takes one of {', '.join(known)}.")
        return text
    if isinstance(kind, Boolean):
        return yes_or_no(Word(text))
    if isinstance(kind, Integer | Numeric):
        return number(kind, text)
    if isinstance(kind, String):
        return text.lower()
    raise ValueError("goes with an order by times, numbers or texts only.")


# ---- Cursors: the values of a row's keys, signed for one list in one order


def cursor(signer: URLSafeSerializer, model: type[Any], sort: str, values: Sequence[Any]) -> str:
    """A row's place in a list, by the values of its keys, as it stands in an address."""
    return str(signer.dumps([_plain(value) for value in values], salt=_salt(model, sort)))


def values_from(
    signer: URLSafeSerializer, model: type[Any], sort: str, keys: Sequence[Key], text: str
) -> tuple[Any, ...]:
    """What a cursor holds; raises ValueError for one that is not ours, or of another list or order."""
    try:
        found = signer.loads(text[:CURSOR_LENGTH], salt=_salt(model, sort))
        if signer.dumps(found, salt=_salt(model, sort)) != text:  # base64 has several spellings of one signature
            raise ValueError(text)
        return tuple(_typed(value, key.column.type) for value, key in zip(found, keys, strict=True))
    except (BadData, ValueError, TypeError, ArithmeticError):
        reason = "is no place in this list in this order. Start again from its first page."
        raise ValueError(reason) from None


def _salt(model: type[Any], sort: str) -> bytes:
    return f"cursor {model.__name__} {sort}".encode()


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            return str(value)
        case enum.Enum():
            return value.value
        case _:
            return value


def _typed(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, Instant):
        return datetime.fromisoformat(value)
    if isinstance(kind, Enum):
        return kind.enum_class(value) if kind.enum_class else value
    if isinstance(kind, Numeric) and not isinstance(kind, Float):
        return Decimal(value)
    return value
