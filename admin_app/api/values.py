"""Values as JSON, both ways: what a record holds, and what a script sends as the texts that every door parses."""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import inspect

from admin_app.errors import BadRequest
from admin_app.inputs import NOBODY, Input
from admin_app.models import Base, Versioned
from admin_app.plugin import Resource
from admin_app.queries.shortened import secret_columns

UTC_ZONE = ZoneInfo("UTC")
"""In which times are sent that name no offset."""
MANY = 1_000
"""Entries of one field that are looked at."""

Name = Callable[[Any], str | None]
"""How a related record is called, for whoever asks; None where they may not know."""


# What a record holds


def shown_in_list(resource: Resource) -> tuple[str, ...]:
    """The columns that a list gives of each record."""
    return _readable(resource, resource.columns)


def shown_alone(resource: Resource) -> tuple[str, ...]:
    """The columns that are given of a single record: all that its page and its form have."""
    return _readable(resource, (*resource.columns, *resource.details, *resource.form))


def _readable(resource: Resource, names: Iterable[str]) -> tuple[str, ...]:
    own = ("id", "version") if issubclass(resource.model, Versioned) else ("id",)
    hidden = secret_columns(resource.model)
    return tuple(name for name in dict.fromkeys((*own, *names)) if name not in hidden)


def json_of(value: Any, name_of: Name) -> Any:
    """A value as JSON: times in UTC, related records as {"id", "label"}."""
    match value:
        case None | bool() | int() | str() if not isinstance(value, enum.Enum):
            return value
        case enum.Enum():
            return value.value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Base():
            return {"id": inspect(value).identity[0], "label": name_of(value)}  # type: ignore[index]
        case list() | tuple():
            return [json_of(item, name_of) for item in value]
        case Mapping():
            return {str(key): json_of(item, name_of) for key, item in value.items()}
        case float() | Decimal():
            return float(value) if isfinite(value) else None
        case _:
            return str(value)


# What a script sends


def texts_from(
    inputs: Sequence[Input], given: Mapping[str, Any], knows: Callable[[type[Any]], bool], *, null: str = ""
) -> dict[str, Any]:
    """What JSON says of these inputs, as texts; `null` is how nothing is written where a default would come otherwise.

    Where the sender `knows` how a model's records are called, they are found by texts as well, else by ids only.
    Raises BadRequest naming each that is unknown or of a wrong type.
    """
    known = {item.name: item for item in inputs}
    problems: dict[str, str] = {}
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            problems[name[:60]] = f"is no field that you may give here; there are {', '.join(known) or 'none'}."
            continue
        try:
            found[name] = _text(known[name], value, null)
            _check_known(known[name], found[name], knows)
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise BadRequest(fields=problems)
    return found


def _text(item: Input, value: Any, null: str) -> Any:
    if item.kind == "records":
        return _texts(value)
    if value is None:
        return null if item.optional and item.kind not in {"text", "long_text"} else ""
    match item.kind:
        case "switch" if isinstance(value, bool):
            return "1" if value else "0"
        case "number" if isinstance(value, int) and not isinstance(value, bool):
            return _digits(value)
        case "record":
            return _reference(value)
        case "text" | "long_text" if isinstance(value, str):
            return value.replace("\r\n", "\n")
        case "choice" | "date" | "instant" if isinstance(value, str):
            return value
    raise ValueError(f"takes {TAKES[item.kind]}.")


def _check_known(item: Input, text: Any, knows: Callable[[type[Any]], bool]) -> None:
    """Raise ValueError for a record that is looked up by a text by somebody who may not know what it finds."""
    texts = text if isinstance(text, list) else [text]
    named = [one for one in texts if one not in {"", NOBODY} and not (one.isascii() and one.isdecimal())]
    if named and item.kind in {"record", "records"} and not knows(item.type):
        raise ValueError("takes ids only, because you may not look these records up.")


TAKES = {
    "text": "a text",
    "long_text": "a text",
    "number": "a whole number",
    "switch": "true or false",
    "date": "a date such as “2026-11-21”",
    "instant": "a time such as “2026-11-21T14:30:00Z”",
    "choice": "one of its choices, as a text",
    "record": "an id, the text that finds the record, or null",
    "records": "a list of ids or of texts that find the records",
}
"""By kind of input, what is sent for it."""


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MANY:
        raise ValueError(f"takes {TAKES['records']}, {MANY:,} at most.")
    return [_reference(one) for one in value]


def _reference(value: Any) -> str:
    """A record by its id, by a text, or as it was given: {"id": 5, "label": "…"}."""
    if isinstance(value, dict) and "id" in value and value.keys() <= {"id", "label"}:
        value = value["id"]
    if isinstance(value, int) and not isinstance(value, bool):
        return _digits(value)
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError(f"takes {TAKES['record']}.")


def _digits(value: int) -> str:
    if not -(2**63) <= value < 2**63:
        raise ValueError("is a number out of range.")
    return str(value)
