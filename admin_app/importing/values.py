"""How the text that a source holds becomes the value of a field; repairs are noted, never silent."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from admin_app.importing.fields import Field, Kind, Unusable
from admin_app.importing.sources import Row, Source, shown
from admin_app.models import YEARS
from admin_app.settings import zone_names

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_INTEGER = 2**31 - 1

NUL_REMOVED = "NUL characters were removed"
REPAIRED = "characters that are no characters (lone surrogates) were replaced by �"
CUT = "{name}: longer than {size} characters, was cut"
ZONE_UNKNOWN = "time_zone: not known, was left out"

Notes = list[str]


@dataclass(frozen=True, kw_only=True)
class Customs:
    """How a source writes what everybody writes differently: nothing, yes and no."""

    absent: frozenset[str] = frozenset({""})
    true: frozenset[str] = frozenset({"true", "yes", "1", "t", "y"})
    false: frozenset[str] = frozenset({"false", "no", "0", "f", "n"})


def value(name: str, field: Field, source: Source, row: Row, customs: Customs, notes: Notes) -> Any:
    """The value of a field in a row, None where the source has none; raises Unusable with the reason."""
    if field.kind is Kind.TAGS:
        return [tag for text in source.texts(row, customs.absent) if (tag := _tag(field, text, notes))]
    text = source.text(row, customs.absent)
    if text is None or not (text := clean(text, notes)).strip():
        return None
    match field.kind:
        case Kind.SWITCH:
            return _switch(text.strip(), customs)
        case Kind.INSTANT:
            return instant(text.strip(), source.format, source.zone)
        case _:
            return _CONVERT[field.kind](name, field, text, notes)


def clean(text: str, notes: Notes) -> str:
    """A text that PostgreSQL can store; every other character stays, control characters included."""
    if "\x00" in text:
        notes.append(NUL_REMOVED)
        text = text.replace("\x00", "")
    if LONE_SURROGATE.search(text):
        notes.append(REPAIRED)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


@lru_cache(maxsize=50_000)
def instant(text: str, format: str | None, zone: str) -> datetime:  # noqa: A002  the word of the mapping file
    """A point in time, from ISO 8601 unless there is a format; what names no time zone is meant in `zone`."""
    try:
        found = datetime.strptime(text, format) if format else datetime.fromisoformat(text)  # noqa: DTZ007
        value = (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unusable(f"{shown(text)} is not a time like {format or '2026-03-31T14:30:00Z'}") from None
    if value.year not in YEARS:
        raise Unusable(f"{shown(text)} is too far away; a time lies between {YEARS[0]} and {YEARS[-1]}")
    return value


def _switch(text: str, customs: Customs) -> bool:
    if (word := text.lower()) in customs.true:
        return True
    if word in customs.false:
        return False
    raise Unusable(f"{shown(text)} means neither yes nor no; [words] in the mapping can say what it means")


def _key(name: str, field: Field, text: str, notes: Notes) -> str:
    if len(bare := text.strip()) > (field.size or 0):
        raise Unusable(f"has {len(bare)} characters; at most {field.size} fit")
    return bare


def _email(name: str, field: Field, text: str, notes: Notes) -> str:
    bare = _key(name, field, text, notes)
    if bare.find("@") < 1 or len(bare.split()) > 1:
        raise Unusable(f"{shown(bare)} is not an e-mail address")
    return bare


def _text(name: str, field: Field, text: str, notes: Notes) -> str:
    if field.size and len(text.strip()) > field.size:
        notes.append(CUT.format(name=name, size=field.size))
        return text.strip()[: field.size - 1] + "…"
    return text.strip() if field.size else text


def _tag(field: Field, text: str, notes: Notes) -> str:
    return _text("tags", field, clean(text, notes), notes)


def _choice(name: str, field: Field, text: str, notes: Notes) -> str:
    if (word := text.strip().lower()) not in field.choices:
        raise Unusable(f"{shown(text)} is none of {', '.join(field.choices)}; a map can translate it")
    return word


def _number(name: str, field: Field, text: str, notes: Notes) -> int:
    bare = text.strip()
    if not (bare.isascii() and bare.isdecimal()) or len(bare) > 10 or int(bare) > MAX_INTEGER:
        raise Unusable(f"{shown(bare)} is not a whole number from 0 to {MAX_INTEGER:,}")
    return int(bare)


def _zone(name: str, field: Field, text: str, notes: Notes) -> str | None:
    if text.strip() in zone_names():
        return text.strip()
    notes.append(ZONE_UNKNOWN)
    return None


_CONVERT: dict[Kind, Callable[[str, Field, str, Notes], Any]] = {
    Kind.KEY: _key,
    Kind.TEXT: _text,
    Kind.EMAIL: _email,
    Kind.CHOICE: _choice,
    Kind.NUMBER: _number,
    Kind.ZONE: _zone,
}
