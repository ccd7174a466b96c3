"""What a record's page says about it: labels and values, each shown by its kind, with links where one may go."""

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from admin_app.inputs import humanized, label_of
from admin_app.models import AuditLog, Base, SoftDelete, TicketPriority, TicketStatus
from admin_app.plugin import Resource
from admin_app.web.context import actor_of, desk_of, path, record_path

BANNER = frozenset({"deleted_at", "deleted_by", "delete_reason"})
"""What the banner of a record in the trash says, and a live record has not."""


@dataclass(frozen=True)
class Link:
    """A record by its name, with its page for those who may see it."""

    label: str
    href: str | None = None
    color: str | None = None


@dataclass(frozen=True)
class Fact:
    """One thing that is known of a record."""

    name: str
    label: str
    kind: str
    value: Any


def facts(request: Request, resource: Resource, record: Any) -> list[Fact]:
    """Everything that the resource shows of a record, in its order; what is empty only where a form could fill it."""
    names = [name for name in resource.details if not (isinstance(record, SoftDelete) and name in BANNER)]
    known = [_fact(request, resource, record, name) for name in names]
    return [fact for fact in known if fact.kind != "none" or fact.name in resource.form or not resource.form]


def _fact(request: Request, resource: Resource, record: Any, name: str) -> Fact:
    kind, value = _shown(request, record, name, getattr(record, name))
    return Fact(name, label_of(resource.model, name), kind, value)


def _shown(request: Request, record: Any, name: str, value: Any) -> tuple[str, Any]:
    if isinstance(record, AuditLog) and name == "record_id":
        return "links", [_subject(request, record)]
    if value is None or value in ("", [], {}):
        return "none", None
    match value:
        case bool():
            return "switch", value
        case datetime():
            return "time", value
        case TicketStatus():
            return "status", value
        case TicketPriority():
            return "priority", value
        case enum.Enum():
            return "text", humanized(str(value.value))
        case Base():
            return "links", [link(request, value)]
        case list():
            return "links", [link(request, row) for row in value]
        case {"old": dict()} | {"new": dict()}:
            return "changes", changes(value)
        case dict():
            return "json", json.dumps(value, indent=2, ensure_ascii=False, default=str)
        case int() if name.endswith("_bytes"):
            return "text", size(value)
        case _:
            return "text", str(value)


def link(request: Request, record: Base) -> Link:
    """A record by its name; with its page only for those who may see it."""
    resource = desk_of(request).registry.resource_of(type(record))
    allowed = resource is not None and actor_of(request).may(f"{resource.name}.view")
    href = record_path(resource, record) if resource is not None and allowed else None
    return Link(record.label, href, getattr(record, "color", None))


def _subject(request: Request, entry: AuditLog) -> Link:
    """The record that an audit entry is about."""
    resources = desk_of(request).registry.resources.values()
    found = next((resource for resource in resources if resource.model.__tablename__ == entry.table_name), None)
    if found is None or not entry.record_id.isdecimal() or not actor_of(request).may(f"{found.name}.view"):
        return Link(entry.record_id)
    return Link(f"{found.label} {entry.record_id}", path(found.name, "details", entry.record_id))


def changes(value: dict[str, Any]) -> Sequence[tuple[str, str | None, str | None]]:
    """An audit row's changes by column: what it was, and what it became."""
    old, new = value.get("old", {}), value.get("new", {})
    return [(humanized(name), _plain(old.get(name)), _plain(new.get(name))) for name in {**old, **new}]


def _plain(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def size(count: int) -> str:
    """A number of bytes for people: `1.4 MB`."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
