"""Links from a number to the list of exactly the tickets that it counts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from admin_app.models import TicketSource
from admin_app.queries.figures import UNRESOLVED, AgeBand, Period

TICKETS = "/admin/ticket/list"
MOMENT = timedelta(microseconds=1)
"""The finest step of the database's clock."""

OWN_SOURCES = ",".join(source for source in TicketSource if source != TicketSource.IMPORT)


def tickets(**filters: str | None) -> str:
    """The list of tickets outside the trash with these filters; None leaves one out."""
    return f"{TICKETS}?{urlencode({name: value for name, value in filters.items() if value}, safe=',:')}"


def unresolved(**filters: str | None) -> str:
    """The backlog, narrowed down by more filters."""
    return tickets(status=",".join(UNRESOLVED), **filters)


def between(start: datetime | None, end: datetime | None) -> str:
    """A half-open range as the list reads it, exact to the microsecond in every viewer's zone; None is open."""
    return "..".join(moment.isoformat() if moment else "" for moment in (start, end))


def of_age(band: AgeBand, now: datetime) -> str:
    """The backlog of one band of ages: at least so old, and younger than its end."""
    oldest = None if band.below is None else now - timedelta(days=band.below) + MOMENT
    newest = None if band.at_least == 0 else now - timedelta(days=band.at_least) + MOMENT
    return unresolved(created=between(oldest, newest))


def within(period: Period, numbers: Sequence[int], viewer: ZoneInfo) -> str:
    """The days of a period from the first to the last of these numbers, counted from 0.

    As dates where the viewer's days are the period's, else as the instants at which they begin.
    """
    first, last = numbers[0], numbers[-1] + 1
    if period.zone.key == viewer.key:
        return "..".join(str(period.start + timedelta(days=number)) for number in (first, last))
    return between(period.instants[first], period.instants[last])


def without_imports(left_out: int) -> str | None:
    """The sources that count; None, so that none need be named, where no import is left out."""
    return OWN_SOURCES if left_out else None
