"""A handler's typed parameters, as form fields, command-line options and JSON, and back to typed values.

    async def assign(session: AsyncSession, chosen: Chosen[Ticket], agent: User | None, note: str = "") -> Outcome

`session`, `chosen` and `acting` are given by the core; every other parameter is an input that a person fills in.
"""

import enum
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput
from admin_app.models import Base

GIVEN = frozenset({"session", "chosen", "acting", "return"})
"""Parameters that the core gives and nobody fills in."""

Kind = Literal["text", "long_text", "number", "switch", "date", "instant", "choice", "record"]
KINDS: dict[type, Kind] = {str: "text", int: "number", bool: "switch", date: "date", datetime: "instant"}

NOBODY = "none"
"""How "nobody" or "nothing" is written where a parameter may be None."""


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

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Value and label of each choice; empty for other kinds."""
        if self.kind != "choice":
            return []
        return [(member.value, humanized(member.value)) for member in self.type]


class UnusableParameter(TypeError):
    """A parameter whose type cannot be filled in by a person; `name` and `type` tell which."""

    def __init__(self, name: str, kind: Any) -> None:
        super().__init__(f"parameter {name!r} has the type {getattr(kind, '__name__', kind)!s}")
        self.name = name


def inputs_of(function: Callable[..., Any]) -> list[Input]:
    """The inputs of a handler, in the order of its parameters; raises UnusableParameter for other types."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    return [_input(name, hints.get(name), parameters[name].default) for name in parameters if name not in GIVEN]


def _input(name: str, annotation: Any, default: Any) -> Input:
    facts: tuple[Any, ...] = ()
    optional = False
    for _ in range(3):
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            facts += tuple(more)
        elif get_origin(annotation) in (Union, types.UnionType):
            rest = [kind for kind in get_args(annotation) if kind is not type(None)]
            if len(rest) != 1:
                raise UnusableParameter(name, annotation)
            optional, annotation = True, rest[0]
    hint = next((fact for fact in facts if isinstance(fact, Hint)), Hint())
    only = next((fact.condition for fact in facts if isinstance(fact, Only)), None)
    kind = _kind(name, annotation)
    return Input(
        name=name,
        kind="long_text" if kind == "text" and hint.long else kind,
        type=annotation,
        label=hint.label or humanized(name.removesuffix("_id")),
        help=hint.help,
        required=default is inspect.Parameter.empty and not optional and kind != "switch",
        optional=optional,
        default=None if default is inspect.Parameter.empty else default,
        only=only,
        max_length=hint.max_length,
    )


def _kind(name: str, annotation: Any) -> Kind:
    if isinstance(annotation, type):
        if issubclass(annotation, enum.StrEnum):
            return "choice"
        if annotation in KINDS:
            return KINDS[annotation]
        if issubclass(annotation, Base):
            return "record"
    raise UnusableParameter(name, annotation)


def humanized(name: str) -> str:
    """`waiting_on_customer` → `Waiting on customer`."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


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
    text = given.strip() if isinstance(given, str) else given
    if text in (None, "") or (item.optional and text == NOBODY):
        if item.required:
            raise ValueError("Please fill this in.")
        return False if item.kind == "switch" and item.default is None else item.default
    if item.kind == "record":
        return await _record(session, item, str(text))
    if not isinstance(text, str):
        text = str(text)
    return _converted(item, text, zone)


def _converted(item: Input, text: str, zone: ZoneInfo) -> Any:
    if "\x00" in text:
        raise ValueError("holds a character that cannot be stored.")
    match item.kind:
        case "text" | "long_text":
            if len(text) > item.max_length:
                raise ValueError(f"has {len(text):,} characters; at most {item.max_length:,} fit.")
            return text
        case "number":
            if not text.lstrip("-").isdecimal() or abs(int(text)) >= 2**31:
                raise ValueError(f"“{text}” is not a whole number.")
            return int(text)
        case "switch":
            if text.lower() not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
                raise ValueError(f"“{text}” is neither yes nor no.")
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
    raise ValueError(f"“{text}” is none of {', '.join(value for value, _ in item.choices)}.")


def parse_date(text: str) -> date:
    """A date from `2026-11-21`; raises ValueError with a sentence."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"“{text}” is not a date; write it like 2026-11-21.") from None


def parse_instant(text: str, zone: ZoneInfo) -> datetime:
    """A point in time from ISO 8601; a time without an offset is in `zone`. Raises ValueError with a sentence."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"“{text}” is not a time; write it like 2026-11-21 14:30.") from None
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


async def _record(session: AsyncSession, item: Input, text: str) -> Any:
    """The row a person means: by id, by the exact text of a lookup column, or by an unambiguous beginning of one."""
    model = item.type
    found = select(model).order_by(model.id).limit(4)
    if item.only is not None:
        found = found.where(item.only)
    if text.isdecimal() and len(text) < 19 and (row := await session.scalar(found.where(model.id == int(text)))):
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
            raise ValueError(f"“{text}” could be {names}. Give the id.")
    raise ValueError(f"“{text}” was not found, or cannot be chosen here.")
