"""The fields that a mapping can fill."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from admin_app.models import TicketPriority, TicketStatus


class Unusable(ValueError):
    """Why a text cannot become the value of a field; ends a sentence that begins with the field's name."""


class Kind(StrEnum):
    """What sort of value a field holds."""

    KEY = "key"
    TEXT = "text"
    EMAIL = "e-mail"
    CHOICE = "choice"
    SWITCH = "switch"
    INSTANT = "time"
    NUMBER = "number"
    ZONE = "time zone"
    TAGS = "tags"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: a mapping must fill it if `required`; a row whose source is empty gets `default` if there is one.

    `needed` rejects a row without a value. `size` is the longest text in characters.
    """

    kind: Kind
    required: bool = False
    needed: bool = False
    default: Any = None
    size: int | None = None
    choices: tuple[str, ...] = ()


def _key(**facts: Any) -> Field:
    return Field(kind=Kind.KEY, size=100, **facts)


def _person(**facts: Any) -> Field:
    return Field(kind=Kind.KEY, size=255, **facts)


_OWN_KEY = _key(required=True, needed=True)
_TIME = Field(kind=Kind.INSTANT)
_BORN = Field(kind=Kind.INSTANT, needed=True)

FIELDS: dict[str, dict[str, Field]] = {
    "users": {
        "external_id": _OWN_KEY,
        "email": Field(kind=Kind.EMAIL, required=True, needed=True, size=255),
        "full_name": Field(kind=Kind.TEXT, size=255),
        "is_active": Field(kind=Kind.SWITCH, default=True),
        "is_staff": Field(kind=Kind.SWITCH, default=False),
        "time_zone": Field(kind=Kind.ZONE),
        "created_at": _TIME,
        "updated_at": _TIME,
    },
    "tickets": {
        "external_id": _OWN_KEY,
        "title": Field(kind=Kind.TEXT, required=True, default="(no subject)"),
        "description": Field(kind=Kind.TEXT),
        "status": Field(kind=Kind.CHOICE, default="open", choices=tuple(TicketStatus)),
        "priority": Field(kind=Kind.CHOICE, default="medium", choices=tuple(TicketPriority)),
        "requester": _person(required=True, needed=True),
        "created_by": _person(),
        "assignee": _person(),
        "resolved_by": _person(),
        "created_at": _BORN,
        "updated_at": _TIME,
        "due_at": _TIME,
        "resolved_at": _TIME,
        "closed_at": _TIME,
        "reopen_count": Field(kind=Kind.NUMBER, default=0),
        "tags": Field(kind=Kind.TAGS, size=100),
    },
    "comments": {
        "external_id": _OWN_KEY,
        "ticket": _key(required=True, needed=True),
        "author": _person(required=True, needed=True),
        "content": Field(kind=Kind.TEXT, required=True, default="(empty)"),
        "is_internal": Field(kind=Kind.SWITCH, default=True),
        "created_at": _BORN,
        "updated_at": _TIME,
    },
}
"""By table, what a mapping can fill."""
