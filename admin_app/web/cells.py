"""The columns of a list, and how what stands in them is written."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String

from admin_app.inputs import humanized, label_of
from admin_app.models import SoftDelete, TicketPriority, TicketStatus
from admin_app.plugin import Resource
from admin_app.queries.filters import Kind, kind_of, optional
from admin_app.queries.listing import ListQuery, sort_name

BADGES = {TicketStatus: "status", TicketPriority: "priority"}
"""Enumerations that have badges of their own."""
ROOMY = 255
"""Characters from which on a text may take the room that is left."""
TRASH_COLUMNS = ("deleted_at", "deleted_by", "delete_reason")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a list: what it holds, where its heading leads, and whether its cells lead to the record."""

    name: str
    label: str
    kind: Kind
    badge: str
    optional: bool
    grow: bool
    leads: bool
    heads: bool
    href: str
    direction: str

    @property
    def style(self) -> str:
        """The classes of its cells."""
        known = {"time": "when", "number": "number"}.get(self.kind, "")
        return " ".join(filter(None, ("grow" if self.grow else "", known)))


def shown_names(resource: Resource, query: ListQuery) -> tuple[str, ...]:
    """The columns of a list; in the trash also who put it there, when and why."""
    trash = TRASH_COLUMNS if query.trash and issubclass(resource.model, SoftDelete) else ()
    return tuple(dict.fromkeys((*resource.columns, *trash)))


def columns(resource: Resource, query: ListQuery, address: Callable[..., str]) -> list[Column]:
    """The columns of a list in order; `address(sort=…)` is the same list sorted otherwise."""
    model, names = resource.model, shown_names(resource, query)
    head = next((name for name in names if kind_of(model, name) not in {"record", "records"}), names[0])
    room = _roomiest(model, names)
    made = []
    for name in names:
        kind, sort = kind_of(model, name), sort_name(resource, name)
        direction = "" if sort != query.sort.removeprefix("-") else "desc" if query.sort.startswith("-") else "asc"
        down = direction == "asc" or (not direction and (kind in {"time", "number"} or sort != name))
        made.append(
            Column(
                name=name,
                label=label_of(model, name),
                kind=kind,
                badge=_badge(model, name, kind),
                optional=hasattr(model, name) and optional(model, name),
                grow=name == room,
                leads=name == head or (name == room and name in model.lookup),
                heads=name == head,
                href=address(sort=f"-{sort}" if down else sort) if sort else "",
                direction=direction,
            )
        )
    return made


def _badge(model: type[Any], name: str, kind: Kind) -> str:
    return BADGES.get(getattr(model, name).type.enum_class, "plain") if kind == "choice" else ""


def _roomiest(model: type[Any], names: Sequence[str]) -> str | None:
    """The column that takes the room that is left: the first long text, else the first JSON object."""
    for name in names:
        kind = getattr(getattr(model, name, None), "type", None)
        if kind_of(model, name) == "text" and isinstance(kind, String) and (kind.length or ROOMY) >= ROOMY:
            return name
    return next((name for name in names if kind_of(model, name) == "json"), None)


LONG_TEXT = re.compile(r'\{"length": ([0-9]+), "sha256": "[0-9a-f]+"?\}?')
"""How the audit log keeps a long text of a new record."""


def summary(value: Any) -> list[tuple[str, str]]:
    """A JSON object in words, as names and what is said of each: `status`, `open → closed`."""
    if not isinstance(value, dict):
        return [("", _said(value))] if value else []
    old, new = value.get("old"), value.get("new")
    if not set(value) <= {"old", "new"} or not all(side is None or isinstance(side, dict) for side in (old, new)):
        return [(humanized(name), _said(item)) for name, item in value.items()]
    names = dict.fromkeys((*(old or {}), *(new or {})))
    if old is None or new is None:
        return [(humanized(name), _said((old or new or {})[name])) for name in names]
    return [(humanized(name), f"{_said(old.get(name))} → {_said(new.get(name))}") for name in names]


def _said(value: Any) -> str:
    if value is None or value == "":
        return "empty"
    if match := LONG_TEXT.fullmatch(str(value)):
        return f"{int(match[1]):,} characters"
    return str(value)
