"""Audit rows as people read them: fields by their labels, people and tags by their names, values in words."""

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal

from sqlalchemy import Boolean, Column, Enum, Table
from sqlalchemy.orm import Mapper

from admin_app.models import Base, Instant

Kind = Literal["text", "long", "choice", "switch", "instant", "record", "secret"]

SHOWN = 200
"""Characters of a long text that are shown, round what differs."""

SPELLED = {"api": "API", "cli": "Command line", "email": "E-mail", "id": "ID", "sha256": "SHA-256"}
"""Names that are not written as they are spoken."""

AROUND = 40
"""Characters that are shown before the first difference, and after the last."""


@dataclass(frozen=True)
class Excerpt:
    """A part of a long text, and the length of the whole in characters; without `text` only the length is known."""

    text: str
    length: int


Value = str | datetime | Excerpt | None
"""What a field held, ready to be shown: an instant is still a datetime, because zones are the page's business."""


@dataclass(frozen=True)
class FieldChange:
    """One field of a changed row: what it is called, what it held before and holds after."""

    label: str
    old: Value
    new: Value
    kind: Kind


Names = Mapping[tuple[str, int], str]
"""How records are called, by table and id."""


def mapper_of(table: str) -> Mapper[Any] | None:
    """What is mapped to a table of the core or of a loaded plugin; None for a table whose plugin is not there."""
    found = Base.metadata.tables.get(table)
    return _mapper(found) if found is not None else None


@cache
def _mapper(table: Table) -> Mapper[Any] | None:
    return next((mapper for mapper in Base.registry.mappers if mapper.local_table is table), None)


def references(table: str, changes: Mapping[str, Any]) -> set[tuple[str, int]]:
    """The records that an audit row's values refer to, by table and id."""
    held = ((target_of(_column(table, name)), value) for side in changes.values() for name, value in side.items())
    return {(target, value) for target, value in held if target and isinstance(value, int)}


def belonging(table: str, changes: Mapping[str, Any], to: Collection[str]) -> tuple[str, str, int] | None:
    """The record of one of these tables that a made or deleted row belongs to: the column that says so, table, and id.

    None for rows of these tables themselves, and for rows that only link two records.
    """
    own = Base.metadata.tables.get(table)
    if table in to or own is None or len(own.primary_key) != 1:
        return None
    held = changes.get("new") or changes.get("old") or {}
    known = ((name, target_of(_column(table, name)), held[name]) for name in fields(table, changes) if name in held)
    return next(
        ((name, target, key) for name, target, key in known if target in to and target and isinstance(key, int)), None
    )


def field_changes(table: str, changes: Mapping[str, Any], names: Names) -> tuple[FieldChange, ...]:
    """The fields of an audit row, in the order of the table's columns."""
    old, new = changes.get("old", {}), changes.get("new", {})
    return tuple(_field_change(table, name, old.get(name), new.get(name), names) for name in fields(table, changes))


def fields(table: str, changes: Mapping[str, Any]) -> list[str]:
    """The columns that an audit row holds, in the order of the table, without the record's own id."""
    place = _places(Base.metadata.tables.get(table))
    held = {name for side in changes.values() for name in side if name != "id" or name not in place}
    return sorted(held, key=lambda name: (place.get(name, len(place)), name))


def table_label(table: str) -> str:
    """`ticket_tags` → `Ticket tag`; a table whose plugin is not loaded keeps its name."""
    mapper = mapper_of(table)
    return _spaced(mapper.class_.__name__ if mapper else table)


@cache
def _spaced(words: str) -> str:
    return humanized("".join(f" {letter.lower()}" if letter.isupper() else letter for letter in words))


def humanized(name: str) -> str:
    """`waiting_on_customer` → `Waiting on customer`."""
    words = SPELLED.get(name) or name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _field_change(table: str, name: str, old: Any, new: Any, names: Names) -> FieldChange:
    column = _column(table, name)
    kind = _kind(column, old, new)
    if kind == "long":
        return FieldChange(_label(table, name), *_excerpts(old, new), kind)
    return FieldChange(_label(table, name), _value(kind, column, old, names), _value(kind, column, new, names), kind)


@cache
def _places(table: Table | None) -> dict[str, int]:
    """The places of a table's columns by their names; none of a table whose plugin is not loaded."""
    return {column.name: place for place, column in enumerate(table.columns)} if table is not None else {}


def _column(table: str, name: str) -> Column[Any] | None:
    found: Table | None = Base.metadata.tables.get(table)
    return found.columns.get(name) if found is not None else None


@cache
def target_of(column: Column[Any] | None) -> str | None:
    """The table whose id a column holds."""
    keys = column.foreign_keys if column is not None else ()
    return next((key.column.table.name for key in keys if key.column.name == "id"), None)


def _label(table: str, name: str) -> str:
    """How a field is called: as its relationship or its column says, else by its name."""
    mapper, column = mapper_of(table), _column(table, name)
    return humanized(name) if mapper is None or column is None else _said_of(mapper, column)


@cache
def _said_of(mapper: Mapper[Any], column: Column[Any]) -> str:
    name = column.name
    owners = [one for one in mapper.relationships if one.local_columns == {column} and not one.uselist]
    given = [info["label"] for info in (*(owner.info for owner in owners), column.info) if "label" in info]
    short = name.removeprefix("is_").removesuffix("_at").removesuffix("_bytes").removesuffix("_id")
    return str(given[0]) if given else humanized(short)


def _kind(column: Column[Any] | None, old: Any, new: Any) -> Kind:
    if column is not None and column.info.get("audit") == "secret":
        return "secret"
    if target_of(column):
        return "record"
    sample = new if old is None else old
    if isinstance(sample, dict | list):
        return "long" if _digest(sample) or len(_json(sample)) > SHOWN else "text"
    if isinstance(sample, str) and max(len(str(old or "")), len(str(new or ""))) > SHOWN:
        return "long"
    types: dict[type, Kind] = {Boolean: "switch", Enum: "choice", Instant: "instant"}
    stored = column.type if column is not None else None
    return next((kind for known, kind in types.items() if isinstance(stored, known)), "text")


def _value(kind: Kind, column: Column[Any] | None, value: Any, names: Names) -> Value:
    if value is None:
        return None
    if kind == "record":
        target = target_of(column) or ""
        return names.get((target, value)) or f"{table_label(target)} {value}"
    if kind == "instant":
        return _instant(str(value))
    if kind == "switch":
        return "yes" if value is True else "no"
    if kind == "choice":
        return humanized(str(value))
    return value if isinstance(value, str) else _json(value)


def _instant(text: str) -> Value:
    """A time as PostgreSQL writes it into JSON; one that Python cannot hold (infinity) stays a text."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _excerpts(old: Any, new: Any) -> tuple[Value, Value]:
    """Both texts where they differ; one alone from its beginning."""
    if old is None or new is None:
        return _excerpt(old, 0, 0), _excerpt(new, 0, 0)
    before, after = (value if isinstance(value, str) else _json(value) for value in (old, new))
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    return _excerpt(before, head, tail), _excerpt(after, head, tail)


def _alike(one: str, other: str) -> int:
    """With how many same characters two texts begin."""
    lengths = range(1, min(len(one), len(other)) + 1)
    return bisect_left(lengths, True, key=lambda length: one[:length] != other[:length])


def _excerpt(value: Any, head: int, tail: int) -> Value:
    """A text without what it has in common with another at both ends, but for a few characters around."""
    if value is None:
        return None
    if _digest(value):
        return Excerpt("", int(value["length"]))
    text = value if isinstance(value, str) else _json(value)
    begin = max(0, head - AROUND)
    end = min(len(text), begin + SHOWN, len(text) - tail + AROUND)
    return Excerpt("…" * (begin > 0) + text[begin:end] + "…" * (end < len(text)), len(text))


def _digest(value: Any) -> bool:
    """Whether a value is only the length and the hash of a long text."""
    return isinstance(value, dict) and value.keys() == {"length", "sha256"}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def all_references(rows: Iterable[Any]) -> set[tuple[str, int]]:
    """What all rows refer to, and the rows' own records, by table and id."""
    found: set[tuple[str, int]] = set()
    for row in rows:
        found |= references(row.table_name, row.changes)
        if row.record_id.isdecimal():
            found.add((row.table_name, int(row.record_id)))
    return found
