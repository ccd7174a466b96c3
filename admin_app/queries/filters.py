"""Filters of lists: what stands in a query parameter becomes a condition, or a sentence that says what it takes.

Which filter a name has follows from the model's attribute: an enumeration, yes or no, a time, a number, a text, one
related record or many. Nothing is ignored: whatever cannot be understood raises BadRequest with the parameter's name.
"""

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Enum,
    Float,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    and_,
    func,
    inspect,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapper, RelationshipProperty

from admin_app.models import Instant, User
from admin_app.queries.periods import Viewer, period

Kind = Literal["choice", "switch", "time", "number", "text", "json", "record", "records"]

NONE = "none"
"""How "nobody" or "nothing" is written."""
ME = "me"
"""How the viewer writes "I" where a person is meant."""
BIGGEST = 2**63 - 1
VALUES = 200
"""Values that one filter takes: more than anybody picks, and few enough to name each of them on the page."""


class Word(NamedTuple):
    """One value of a comma-separated list; one in double quotes is taken literally, commas and all."""

    text: str
    quoted: bool = False

    def __str__(self) -> str:
        return f'"{self.text}"' if self.quoted else self.text


@dataclass(frozen=True)
class Filtered:
    """A filter in force: its name and kind, the values as they are written in an address, and what they ask of a row.

    `ids` and `names` are the related records that are asked for, by id or by name.
    """

    name: str
    kind: Kind
    words: tuple[Word, ...]
    condition: ColumnElement[bool]
    target: type[Any] | None = None
    ids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What stands in the address."""
        return ",".join(str(word) for word in self.words)


TOKEN = re.compile(r'"([^"]*)"|([^,"]+)|,|(")')


def words_of(texts: Sequence[str]) -> tuple[Word, ...]:
    """The distinct values of a repeated or comma-separated parameter; raises ValueError for a quote left open."""
    found: dict[Word, None] = {}
    for text in texts:
        for quoted, plain, rest in (match.groups() for match in TOKEN.finditer(text)):
            if rest:
                raise ValueError("has a double quote without its other one.")
            if quoted is not None:
                found[Word(quoted, quoted=True)] = None
            elif plain is not None and plain.strip():
                found[Word(plain.strip())] = None
    return tuple(found)


def relation_of(model: type[Any], name: str) -> RelationshipProperty[Any] | None:
    """The relationship of that name, if the name is one."""
    return cast(Mapper[Any], inspect(model)).relationships.get(name)


def kind_of(model: type[Any], name: str) -> Kind:
    """What kind of value a model's attribute has."""
    if relation := relation_of(model, name):
        return "records" if relation.uselist else "record"
    match getattr(getattr(model, name, None), "type", None):
        case Enum():
            return "choice"
        case Boolean():
            return "switch"
        case Instant():
            return "time"
        case Integer() | Numeric():
            return "number"
        case JSON():
            return "json"
        case _:
            return "text"


def choices_of(model: type[Any], name: str) -> list[str]:
    """The values of an enumeration."""
    members = cast(type[enum.StrEnum], getattr(model, name).type.enum_class)
    return [member.value for member in members]


def optional(model: type[Any], name: str) -> bool:
    """Whether the attribute may be empty."""
    if relation := relation_of(model, name):
        return relation.uselist or all(bool(getattr(column, "nullable", True)) for column in relation.local_columns)
    return bool(getattr(getattr(model, name).expression, "nullable", False))


def filtered(model: type[Any], name: str, texts: Sequence[str], viewer: Viewer) -> Filtered:
    """The filter that a parameter asks for; raises ValueError with what it takes when it cannot be understood."""
    kind = kind_of(model, name)
    try:
        if not (words := words_of(texts)):
            raise ValueError("holds no value.")
        if len(words) > VALUES:
            raise ValueError(f"holds {len(words):,} values; at most {VALUES} fit.")
        if kind not in {"choice", "text"} and any(map(_empty, words)) and not optional(model, name):
            raise ValueError(f"“{NONE}” cannot be, because every record has one.")
        match kind:
            case "record" | "records":
                return _related(model, name, kind, words, viewer)
            case "time":
                return Filtered(name, kind, words, _in_period(getattr(model, name), _only(words), viewer))
            case "number":
                return Filtered(name, kind, words, _in_numbers(getattr(model, name), _only(words)))
            case "switch":
                return Filtered(name, kind, words, getattr(model, name).is_(yes_or_no(_only(words))))
            case "choice" | "text":
                return Filtered(name, kind, words, _one_of(model, name, kind, words))
            case _:
                raise ValueError("is no filter.")
    except (ValueError, OverflowError) as error:
        reason = str(error) if isinstance(error, ValueError) else "is too far away."
        raise ValueError(f"{reason} {takes(model, name)}".strip()) from error


def takes(model: type[Any], name: str) -> str:
    """What a filter takes, as a sentence for a person."""
    nothing = f", or {NONE}" if optional(model, name) else ""
    match kind_of(model, name):
        case "choice":
            return f"It takes one or more of {', '.join(choices_of(model, name))}{nothing}."
        case "switch":
            return "It takes yes or no."
        case "time":
            return (
                "It takes a day such as 2026-01-31, a period such as 2026-01-01..2026-02-01 whose end is left out, "
                f"or today, yesterday, tomorrow, this-week, this-month, last-month, last-7-days, next-7-days{nothing}."
            )
        case "number":
            return f"It takes a number such as 5, or a range such as 5..10{nothing}."
        case "record":
            person = f", {ME}" if _is_person(model, name) else ""
            return f"It takes ids{person}{nothing}, separated by commas."
        case "records":
            return f'It takes names or ids, separated by commas{nothing}; a name in digits is written "2026".'
        case _:
            return f"It takes one or more texts, separated by commas{nothing}."


def yes_or_no(word: Word) -> bool:
    """What `yes` and `no` mean; raises ValueError for anything else."""
    if word.text not in {"yes", "no"}:
        raise ValueError(f"“{word.text[:60]}” is neither yes nor no.")
    return word.text == "yes"


def _only(words: Sequence[Word]) -> Word:
    if len(words) != 1:
        raise ValueError("takes one value.")
    return words[0]


def _empty(word: Word) -> bool:
    return word.text == NONE and not word.quoted


def among(column: Any, values: Sequence[Any], kind: Any) -> ColumnElement[bool]:
    """The condition that a column has one of many values, which travel as one parameter."""
    return cast(ColumnElement[bool], column == func.any(literal(list(values), ARRAY(kind))))


def _one_of(model: type[Any], name: str, kind: Kind, words: Sequence[Word]) -> ColumnElement[bool]:
    column = getattr(model, name)
    empty = optional(model, name) and any(_empty(word) for word in words)
    values = [word.text for word in words if not (_empty(word) and empty)]
    if kind == "choice" and (wrong := [value for value in values if value not in choices_of(model, name)]):
        raise ValueError(f"“{wrong[0][:60]}” is not known.")
    choices = [column.type.enum_class(value) for value in values] if kind == "choice" else []
    present = column.in_(choices) if kind == "choice" else among(column, values, Text)
    return or_(present, column.is_(None)) if empty else cast(ColumnElement[bool], present)


# ---- Related records


def _is_person(model: type[Any], name: str) -> bool:
    relation = relation_of(model, name)
    return relation is not None and relation.mapper.class_ is User


def _related(model: type[Any], name: str, kind: Kind, words: Sequence[Word], viewer: Viewer) -> Filtered:
    relation = relation_of(model, name)
    assert relation is not None  # noqa: S101  the caller has seen that it is one
    target = relation.mapper.class_
    ids, names = [], []
    for word in words:
        if not word.quoted and word.text.isascii() and word.text.isdecimal():
            ids.append(_id(word.text))
        elif word == Word(ME) and target is User:
            ids.append(viewer.user_id)
        elif kind == "records" and target.lookup and not _empty(word):
            names.append(word.text)
        elif not _empty(word):
            raise ValueError(f"“{word.text[:60]}” is not known.")
    found = _has(model, relation, ids, names) if ids or names else literal(False)
    without = _has_none(model, relation) if any(map(_empty, words)) else literal(False)
    return Filtered(name, kind, tuple(words), or_(found, without), target, tuple(ids), tuple(names))


def _id(text: str) -> int:
    if not 0 < len(text) <= 19 or not 0 < int(text) <= BIGGEST:
        raise ValueError(f"“{text[:30]}” is no id.")
    return int(text)


def _has(
    model: type[Any], relation: RelationshipProperty[Any], ids: Sequence[int], names: Sequence[str]
) -> ColumnElement[bool]:
    if not relation.uselist:
        return among(_local(relation), ids, BigInteger)
    return cast(ColumnElement[bool], getattr(model, relation.key).any(named(relation.mapper.class_, ids, names)))


def named(target: type[Any], ids: Sequence[int], names: Sequence[str]) -> ColumnElement[bool]:
    """The condition that a record has one of these ids, or one of these names in any case."""
    conditions = [among(target.id, ids, BigInteger)]
    if names:
        lowered = select(func.lower(func.unnest(literal(list(names), ARRAY(Text)))))
        conditions.append(func.lower(getattr(target, target.lookup[0])).in_(lowered))
    return or_(*conditions)


def _has_none(model: type[Any], relation: RelationshipProperty[Any]) -> ColumnElement[bool]:
    if relation.uselist:
        return ~cast(ColumnElement[bool], getattr(model, relation.key).any())
    return cast(ColumnElement[bool], _local(relation).is_(None))


def _local(relation: RelationshipProperty[Any]) -> Any:
    return relation.local_remote_pairs[0][0] if relation.local_remote_pairs else None


# ---- Numbers

NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,9})?")
ROOM = ((SmallInteger, 2**15), (BigInteger, 2**63), (Integer, 2**31))


def _in_numbers(column: Any, word: Word) -> ColumnElement[bool]:
    if _empty(word):
        return cast(ColumnElement[bool], column.is_(None))
    low, dots, high = word.text.partition("..")
    if not dots:
        return cast(ColumnElement[bool], column == _number(column.type, low))
    bounds = [_number(column.type, text) if text else None for text in (low, high)]
    return _between(column, *bounds, closed=True)


def _number(kind: Any, text: str) -> Any:
    if not NUMBER.fullmatch(text.strip()):
        raise ValueError(f"“{text[:60]}” is not a number.")
    value = Decimal(text.strip())
    if not isinstance(kind, Integer):
        return float(value) if isinstance(kind, Float) else value
    room = next(size for known, size in ROOM if isinstance(kind, known))
    if value != value.to_integral_value() or not -room <= value < room:
        raise ValueError(f"“{text[:60]}” is no whole number that could be there.")
    return int(value)


def _between(column: Any, low: Any, high: Any, *, closed: bool) -> ColumnElement[bool]:
    """Bounds that may be open on one side; `closed` takes the upper one in."""
    if low is None and high is None:
        raise ValueError("has neither a beginning nor an end.")
    if low is not None and high is not None and (low > high or (low == high and not closed)):
        raise ValueError("covers nothing: it ends before it begins, or where it begins.")
    bounds = [] if low is None else [column >= low]
    if high is not None:
        bounds.append(column <= high if closed else column < high)
    return and_(*bounds)


# ---- Times


def _in_period(column: Any, word: Word, viewer: Viewer) -> ColumnElement[bool]:
    if _empty(word):
        return cast(ColumnElement[bool], column.is_(None))
    return _between(column, *period(word.text, viewer), closed=False)
