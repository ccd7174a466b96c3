"""A handler's typed parameters, and a record's columns, as form fields, command-line options and JSON, and back.

    async def assign(session: AsyncSession, chosen: Chosen[Ticket], agent: User | None, note: str = "") -> Outcome

`session`, `chosen`, `acting` and `authority` are given by the core; every other parameter is an input that a person
fills in, a `list[User]` several rows.
`columns_of(Ticket, ("title", "assignee"))` makes the same inputs of mapped columns and relationships.
"""

import enum
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from inspect import Parameter, signature
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from sqlalchemy import Column, ColumnElement, Text, func, inspect, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ColumnProperty, RelationshipProperty

from admin_app.errors import BadInput
from admin_app.models import YEARS, Base, Instant, storable
from admin_app.queries.readable import humanized

NUMBER = re.compile(r"-?[0-9]{1,12}")
GIVEN = frozenset({"session", "chosen", "acting", "authority", "return"})
"""Parameters that the core gives and nobody fills in."""

Kind = Literal["text", "long_text", "number", "switch", "date", "instant", "choice", "record", "records"]
KINDS: dict[type, Kind] = {str: "text", int: "number", bool: "switch", date: "date", datetime: "instant"}

NOBODY = "none"
"""How "nobody" or "nothing" is written where a parameter may be None."""

TEXT_LENGTH = 100_000
"""Characters that fit into a column of text without a length of its own."""

QUOTED = 60
"""Characters of what was entered that are repeated in a message."""

PICKED = 200
"""Rows that one field may pick at most."""


@dataclass(frozen=True)
class Only:
    """In `Annotated[User, Only(User.is_staff)]`: which rows may be picked."""

    condition: ColumnElement[bool] | Any


@dataclass(frozen=True)
class Hint:
    """In `Annotated[str, Hint("Shown to the customer", long=True)]`: help for a person, and the size of the field."""

    help: str = ""
    label: str = ""
    long: bool = False
    max_length: int = 10_000


@dataclass(frozen=True, kw_only=True)
class Input:
    """One parameter that a person fills in."""

    name: str
    kind: Kind
    type: Any
    label: str
    help: str
    required: bool
    optional: bool
    default: Any
    only: ColumnElement[bool] | None
    max_length: int
    offered: tuple[enum.StrEnum, ...] = ()

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Value and label of each choice: those that are offered at the moment, else all; empty for other kinds."""
        if self.kind != "choice":
            return []
        return [(member.value, humanized(member.value)) for member in self.offered or self.type]


class UnusableParameter(TypeError):
    """A parameter whose type cannot be filled in by a person; `name` and `type` tell which."""

    def __init__(self, name: str, kind: Any) -> None:
        super().__init__(f"parameter {name!r} has the type {getattr(kind, '__name__', kind)!s}")
        self.name = name


@cache
def inputs_of(function: Callable[..., Any]) -> tuple[Input, ...]:
    """The inputs of a handler, in the order of its parameters; raises UnusableParameter for other types."""
    hints = get_type_hints(function, include_extras=True)
    parameters = signature(function).parameters
    return tuple(_input(name, hints.get(name), parameters[name].default) for name in parameters if name not in GIVEN)


def _input(name: str, annotation: Any, default: Any) -> Input:
    facts: tuple[Any, ...] = ()
    whole, optional, many = annotation, False, False
    while (origin := get_origin(annotation)) is not None:
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            facts += tuple(more)
            continue
        inside = [kind for kind in get_args(annotation) if kind is not type(None)]
        if many or len(inside) != 1 or origin not in (Union, types.UnionType, list):
            raise UnusableParameter(name, whole)
        many, optional = origin is list, optional or origin is not list
        annotation = inside[0]
    hint = next((fact for fact in facts if isinstance(fact, Hint)), Hint())
    only = next((fact.condition for fact in facts if isinstance(fact, Only)), None)
    kind = _kind(name, annotation)
    if many and kind != "record":
        raise UnusableParameter(name, whole)
    if many or (kind == "text" and hint.long):
        kind = "records" if many else "long_text"
    return Input(
        name=name,
        kind=kind,
        type=annotation,
        label=hint.label or humanized(name.removesuffix("_id")),
        help=hint.help,
        required=default is Parameter.empty and not optional and kind != "switch",
        optional=optional,
        default=None if default is Parameter.empty else default,
        only=only,
        max_length=hint.max_length,
    )


def columns_of(model: type[Base], names: Sequence[str], *, new: bool = False) -> list[Input]:
    """The inputs of a record's columns and relationships; a relationship picks one row, or ("records") many.

    For a `new` record, what the database fills in by itself may be left out and is shown beforehand where it is a
    plain value. Which rows may be picked is the relationship's `info["only"]`. Columns that nobody may edit are not
    asked for. Raises UnusableParameter for a column whose type cannot be filled in.
    """
    return [_column_input(model, name, new) for name in names if editable(model, name)]


def editable(model: type[Base], name: str) -> bool:
    """Whether a form may ever hold this column or relationship: not what is derived, secret or closed to editing."""
    attribute = inspect(model).attrs[name]
    facts = [column.info for column in _local_columns(attribute)]
    return not any(info.get("audit") in {"derived", "secret"} or info.get("editable") is False for info in facts)


@cache
def label_of(model: type[Base], name: str) -> str:
    """How a column or relationship is called on a page: its `info["label"]`, else its name without `is_` or `_at`."""
    attribute = inspect(model).attrs.get(name)
    facts = [attribute.info, *(column.info for column in _local_columns(attribute))] if attribute is not None else []
    given = next((info["label"] for info in facts if "label" in info), None)
    return str(given) if given else humanized(name.removeprefix("is_").removesuffix("_at").removesuffix("_bytes"))


def _local_columns(attribute: Any) -> list[Column[Any]]:
    """The columns of the model's own table that an attribute stands for; none for a relationship to many."""
    if isinstance(attribute, ColumnProperty):
        return [column for column in attribute.columns if isinstance(column, Column)]
    if isinstance(attribute, RelationshipProperty) and not attribute.uselist:
        return [column for column in attribute.local_columns if isinstance(column, Column)]
    return []


def _column_input(model: type[Base], name: str, new: bool) -> Input:
    attribute = inspect(model).attrs[name]
    columns = _local_columns(attribute)
    kind, annotation = _stored_kind(name, attribute)
    nullable = all(column.nullable for column in columns)
    filled_in = new and any(column.server_default is not None for column in columns)
    return Input(
        name=name,
        kind=kind,
        type=annotation,
        label=label_of(model, name),
        help=str(attribute.info.get("help") or next((c.info["help"] for c in columns if "help" in c.info), "")),
        required=not (nullable or filled_in or kind == "switch"),
        optional=nullable,
        default=_shown_default(columns[0], annotation) if new and len(columns) == 1 else None,
        only=attribute.info.get("only"),
        max_length=getattr(columns[0].type, "length", None) or TEXT_LENGTH if columns else 0,
    )


def _stored_kind(name: str, attribute: Any) -> tuple[Kind, Any]:
    """What kind of field an attribute makes, and the type of its values."""
    if isinstance(attribute, RelationshipProperty):
        return ("records" if attribute.uselist else "record"), attribute.mapper.class_
    stored = attribute.columns[0].type
    annotation = datetime if isinstance(stored, Instant) else getattr(stored, "enum_class", None) or stored.python_type
    kind = _kind(name, annotation)
    return ("long_text" if isinstance(stored, Text) else kind), annotation


def _shown_default(column: Column[Any], annotation: Any) -> Any:
    """The plain value that the database fills in; None where it computes one."""
    argument = getattr(column.server_default, "arg", None)
    plain = str(getattr(argument, "text", argument))
    if annotation is bool:
        return plain == "true"
    return annotation(plain) if isinstance(argument, str) else None


def _kind(name: str, annotation: Any) -> Kind:
    if isinstance(annotation, type):
        if issubclass(annotation, enum.StrEnum):
            return "choice"
        if annotation in KINDS:
            return KINDS[annotation]
        if issubclass(annotation, Base) and hasattr(annotation, "id"):
            return "record"
    raise UnusableParameter(name, annotation)


async def parse(
    session: AsyncSession, inputs: Sequence[Input], given: Mapping[str, Any], zone: ZoneInfo
) -> dict[str, Any]:
    """Typed values for a handler from texts; raises BadInput naming every field that is wrong or unknown."""
    problems = {
        name: f"is not asked for; known are {', '.join(item.name for item in inputs) or 'none'}."
        for name in given
        if name not in {item.name for item in inputs}
    }
    values: dict[str, Any] = {}
    for item in inputs:
        try:
            values[item.name] = await _value(session, item, given.get(item.name), zone)
        except ValueError as error:
            problems[item.name] = str(error)
    if problems:
        raise BadInput(fields=problems)
    return values


async def _value(session: AsyncSession, item: Input, given: Any, zone: ZoneInfo) -> Any:
    if item.kind == "records":
        return await _records(session, item, given)
    text = "" if given is None else _stored(str(given).strip())
    if item.optional and text.lower() == NOBODY and item.kind not in {"text", "long_text"}:
        return None
    if not text:
        if item.required:
            raise ValueError("Please fill this in.")
        return False if item.kind == "switch" and item.default is None and not item.optional else item.default
    return await _record(session, item, text) if item.kind == "record" else _converted(item, text, zone)


def _stored(text: str) -> str:
    if not storable(text):
        raise ValueError("holds a character that cannot be stored.")
    return text


def _quoted(text: str) -> str:
    return f"“{text}”" if len(text) <= QUOTED else f"“{text[:QUOTED]}…”"


def _converted(item: Input, text: str, zone: ZoneInfo) -> Any:
    match item.kind:
        case "text" | "long_text":
            if len(text) > item.max_length:
                raise ValueError(f"has {len(text):,} characters; at most {item.max_length:,} fit.")
            return text
        case "number":
            if not NUMBER.fullmatch(text) or abs(int(text)) >= 2**31:
                raise ValueError(f"{_quoted(text)} is not a whole number.")
            return int(text)
        case "switch":
            if text.lower() not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
                raise ValueError(f"{_quoted(text)} is neither yes nor no.")
            return text.lower() in {"1", "true", "yes", "on"}
        case "date":
            return parse_date(text)
        case "instant":
            return parse_instant(text, zone)
        case _:
            return _choice(item, text)


def _choice(item: Input, text: str) -> Any:
    for value, label in item.choices:
        if text.lower() in {value.lower(), label.lower()}:
            return item.type(value)
    raise ValueError(f"{_quoted(text)} is none of {', '.join(value for value, _ in item.choices)}.")


def parse_date(text: str) -> date:
    """A date from `2026-11-21`; raises ValueError with a sentence."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{_quoted(text)} is not a date; write it like 2026-11-21.") from None


def parse_instant(text: str, zone: ZoneInfo) -> datetime:
    """A point in time from ISO 8601; a time without an offset is in `zone`. Raises ValueError with a sentence.

    Years that are not in YEARS are refused: such a time can be stored, but not be shown in every zone.

    Where clocks are put back and a time comes twice, the first is meant; where they are put forward, a time that is
    skipped counts from before: 02:30 is then 03:30.
    """
    try:
        given = datetime.fromisoformat(text)
        value = (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{_quoted(text)} is not a time; write it like 2026-11-21 14:30.") from None
    if value.year not in YEARS:
        raise ValueError(f"{_quoted(text)} is too far away; a time lies between {YEARS[0]} and {YEARS[-1]}.")
    return value


async def _record(session: AsyncSession, item: Input, text: str) -> Any:
    """The row a person means: by id, by the exact text of a lookup column, or by an unambiguous beginning of one."""
    model = item.type
    found = select(model).order_by(model.id).limit(4)
    if item.only is not None:
        found = found.where(item.only)
    if _is_id(text) and (row := await session.scalar(found.where(model.id == int(text)))):
        return row
    columns = [func.lower(getattr(model, name)) for name in model.lookup]
    exact = or_(*(column == text.lower() for column in columns))
    begins = or_(*(column.startswith(text.lower(), autoescape=True) for column in columns))
    for condition in (exact, begins):
        rows = (await session.scalars(found.where(condition))).all() if columns else []
        if len(rows) == 1:
            return rows[0]
        if rows:
            names = "; ".join(f"{row.label} ({row.id})" for row in rows)
            raise ValueError(f"{_quoted(text)} could be {names}. Give the id.")
    raise ValueError(f"{_quoted(text)} was not found, or cannot be chosen here.")


async def _records(session: AsyncSession, item: Input, given: Any) -> list[Any]:
    """The rows that a person means by each of several texts, every row once; those named by id in one statement."""
    texts = given if isinstance(given, list | tuple) else [] if given is None else [given]
    meant = list(dict.fromkeys(text for given in texts if (text := _stored(str(given).strip()))))
    if len(meant) > PICKED:
        raise ValueError(f"has {len(meant):,} choices; at most {PICKED:,} fit.")
    if not meant and item.required:
        raise ValueError("Please pick at least one.")
    found = select(item.type).where(item.type.id.in_([int(text) for text in meant if _is_id(text)]))
    if item.only is not None:
        found = found.where(item.only)
    known = {str(row.id): row for row in await session.scalars(found)} if any(map(_is_id, meant)) else {}
    rows = [known.get(text) or await _record(session, item, text) for text in meant]
    return list(dict.fromkeys(rows)) or list(item.default or ())


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
