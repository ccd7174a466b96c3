"""What somebody asks of the audit log, from the address: filters, and where a page begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self
from urllib.parse import urlencode

from admin_app.errors import BadRequest
from admin_app.models import Ticket
from admin_app.plugin import Visit
from admin_app.queries.audit import AuditFilter, audited_tables

ACTIONS = {"CREATE": "Created", "UPDATE": "Changed", "DELETE": "Deleted"}
FILTERS = ("type", "record", "person", "action", "from", "to", "change_set", "request")
LONGEST = 100
"""Characters of a record's key or of a request's id, at most."""


@dataclass(frozen=True)
class Asked:
    """The filter, its parameters as they were given, and the entry before or after which the page goes on."""

    filter: AuditFilter
    given: Mapping[str, str]
    before: int | None
    after: int | None

    @classmethod
    def parse(cls, visit: Visit) -> Self:
        """From the parameters of the page; a record without a type is a ticket.

        Raises BadRequest naming the parameter that cannot be understood.
        """
        given = {name: text for name in FILTERS if (text := (visit.one(name) or "").strip())}
        before, after = _id("before", visit.one("before")), _id("after", visit.one("after"))
        if before and after:
            raise BadRequest(fields={"after": "Give before or after, not both."})
        wanted = AuditFilter(
            table=_one_of("type", given.get("type"), audited_tables())
            or (given.get("record") and Ticket.__tablename__),
            record=_text("record", given.get("record")),
            user_id=_id("person", given.get("person")),
            action=_one_of("action", given.get("action"), ACTIONS),
            change_set_id=_id("change_set", given.get("change_set")),
            request_id=_text("request", given.get("request")),
            start=_midnight("from", given.get("from"), visit),
            before=_midnight("to", given.get("to"), visit, days=1),
        )
        if wanted.start and wanted.before and wanted.start >= wanted.before:
            raise BadRequest(fields={"to": "The last day is before the first."})
        return cls(wanted, given, before, after)

    def address(self, **place: int) -> str:
        """The same search, going on before or after an entry."""
        return "?" + urlencode({**self.given, **place})

    def without(self, name: str) -> str:
        """The same search from its beginning, without one of its filters."""
        return "?" + urlencode({other: text for other, text in self.given.items() if other != name})


def _one_of(name: str, text: str | None, known: Mapping[str, str]) -> str | None:
    if text and text not in known:
        raise BadRequest(fields={name: f"“{text[:60]}” is none of {', '.join(known)}."})
    return text


def _text(name: str, text: str | None) -> str | None:
    if text and (len(text) > LONGEST or "\x00" in text):
        raise BadRequest(fields={name: f"It has at most {LONGEST} characters, all of them printable."})
    return text


def _id(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text)):
        raise BadRequest(fields={name: f"“{text[:60]}” is not an id, which is a positive whole number."})
    return int(text)


def _midnight(name: str, text: str | None, visit: Visit, *, days: int = 0) -> datetime | None:
    """When a day begins where the viewer is, or so many days later."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise BadRequest(fields={name: f"“{text[:60]}” is not a date; write it like 2026-11-21."}) from None
    if not 1970 <= day.year < 2200:
        raise BadRequest(fields={name: "Please choose a day between 1970 and 2199."})
    return datetime.combine(day, time(), visit.time_zone)
