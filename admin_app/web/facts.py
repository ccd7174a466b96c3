"""What a record's page says about it: labels and values, each shown by its kind, with links where one may go."""

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from admin_app.inputs import label_of
from admin_app.models import AuditLog, Base, SoftDelete, TicketPriority, TicketStatus
from admin_app.plugin import Resource
from admin_app.queries.light import Reference
from admin_app.queries.readable import humanized, table_label
from admin_app.web.context import actor_of, desk_of, path, record_path

BANNER = frozenset({"deleted_at", "deleted_by", "delete_reason"})
"""What the banner of a record in the trash says, and a live record has not."""
COUNTS = frozenset({"failed", "reopen_count", "unchanged"})
"""Numbers that are worth a word only when they are not zero."""


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


def facts(request: Request, resource: Resource, record: Any, related: Mapping[str, Any]) -> list[Fact]:
    """Everything that the resource shows of a record, in its order; what is empty only where a form could fill it.

    What is `related` to it is given by name, as references; else the record itself has to know it.
    """
    names = [name for name in resource.details if not (isinstance(record, SoftDelete) and name in BANNER)]
    known = [_fact(request, resource, record, name, related) for name in names]
    return [fact for fact in known if fact.kind != "none" or fact.name in resource.form]


def _fact(request: Request, resource: Resource, record: Any, name: str, related: Mapping[str, Any]) -> Fact:
    kind, value = _shown(request, record, name, related[name] if name in related else getattr(record, name))
    return Fact(name, label_of(resource.model, name), kind, value)


def _shown(request: Request, record: Any, name: str, value: Any) -> tuple[str, Any]:
    if isinstance(record, AuditLog) and name == "record_id":
        return "links", [subject(request, record, f"{table_label(record.table_name)} {record.record_id}")]
    if value is None and name == "user" and hasattr(record, "actor_kind"):
        return "text", humanized(record.actor_kind)
    if value is None or value in ("", [], (), {}) or (value == 0 and name in COUNTS):
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
        case Base() | Reference():
            return "links", [link(request, value)]
        case list() | tuple():
            return "links", [link(request, row) for row in value]
        case dict() if not any(isinstance(item, dict | list) for item in value.values()):
            return "pairs", [(humanized(label), item) for label, item in value.items()]
        case dict():
            return "json", json.dumps(value, indent=2, ensure_ascii=False, default=str)
        case int() if name.endswith("_bytes"):
            return "text", size(value)
        case _:
            return "text", str(value)


def link(request: Request, record: Base | Reference) -> Link:
    """A record by its name; with its page only for those who may see it."""
    model = record.model if isinstance(record, Reference) else type(record)
    resource = desk_of(request).registry.resource_of(model)
    allowed = resource is not None and actor_of(request).may(f"{resource.name}.view")
    href = record_path(resource, record) if resource is not None and allowed else None
    return Link(record.label, href, getattr(record, "color", None))


def subject(request: Request, entry: AuditLog, name: str) -> Link:
    """The record that an audit entry is about, with its page where it has one that the viewer may see."""
    resources = desk_of(request).registry.resources.values()
    found = next((resource for resource in resources if resource.model.__tablename__ == entry.table_name), None)
    if found is None or not entry.record_id.isdecimal() or not actor_of(request).may(f"{found.name}.view"):
        return Link(name)
    return Link(name, path(found.name, "details", entry.record_id) if entry.action != "DELETE" else None)


def size(count: int) -> str:
    """A number of bytes for people: `1.4 MB`."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
