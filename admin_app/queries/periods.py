"""Periods as a person writes them, in their own zone: a day, a range of days or times, words such as `last-7-days`."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from itsdangerous import URLSafeSerializer

DAY = timedelta(days=1)
SIGNER = URLSafeSerializer(secrets.token_urlsafe(32))
"""Signs places in lists where no desk does; they are known to this process only."""


@dataclass(frozen=True)
class Viewer:
    """Who looks at a list: what `me`, `today` and a date without a zone mean, and who signs places in it."""

    user_id: int
    zone: ZoneInfo
    now: datetime
    signer: URLSafeSerializer = field(default=SIGNER, repr=False, compare=False)

    @property
    def today(self) -> date:
        """The viewer's date."""
        return self.now.astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        """The instant, in UTC, at which a day begins for the viewer."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)


RELATIVE = re.compile(r"(last|next)-([1-9][0-9]{0,3})-(days|hours)")


def period(text: str, viewer: Viewer) -> tuple[datetime | None, datetime | None]:
    """From when until before when; None where it is open. Raises ValueError for what is no time."""
    start, dots, end = text.partition("..")
    if dots:
        return (_moment(start, viewer) if start.strip() else None, _moment(end, viewer) if end.strip() else None)
    if match := RELATIVE.fullmatch(text):
        return _relative(match[1], int(match[2]), match[3], viewer)
    first, after = _days(text, viewer.today)
    return viewer.midnight(first), viewer.midnight(after)


def edges(text: str, viewer: Viewer) -> tuple[datetime, datetime | None]:
    """When a day or a named period begins, and when it is over; None of a moment. Raises ValueError for neither.

    So that later than a day means after it, and not later than a day takes it in.
    """
    try:
        first, after = period(text, viewer) if ".." not in text else (None, None)
    except ValueError:
        return _moment(text, viewer), None
    if first is None:
        raise ValueError(f"“{text[:60]}” is a range, which cannot be compared.")
    return first, after


def _relative(direction: str, number: int, unit: str, viewer: Viewer) -> tuple[datetime, datetime]:
    """`last-7-days` are today and the six days before it; `last-3-hours` end now."""
    if unit == "hours":
        hours = timedelta(hours=number)
        return (viewer.now - hours, viewer.now) if direction == "last" else (viewer.now, viewer.now + hours)
    first = viewer.today - (number - 1) * DAY if direction == "last" else viewer.today
    return viewer.midnight(first), viewer.midnight(first + number * DAY)


def _days(text: str, today: date) -> tuple[date, date]:
    """The first day of a named period, or of a single day, and the day after its last."""
    monday, first = today - today.weekday() * DAY, today.replace(day=1)
    following = (first + 31 * DAY).replace(day=1)
    known = {
        "today": (today, today + DAY),
        "yesterday": (today - DAY, today),
        "tomorrow": (today + DAY, today + 2 * DAY),
        "this-week": (monday, monday + 7 * DAY),
        "last-week": (monday - 7 * DAY, monday),
        "this-month": (first, following),
        "last-month": ((first - DAY).replace(day=1), first),
        "this-year": (today.replace(month=1, day=1), today.replace(year=today.year + 1, month=1, day=1)),
    }
    return known[text] if text in known else ((day := day_of(text)), day + DAY)


def day_of(text: str) -> date:
    """A day from `2026-01-31`; raises ValueError with a sentence."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"“{text[:60]}” is not a day.") from None


def _moment(text: str, viewer: Viewer) -> datetime:
    """The beginning of a day, or a time; one without an offset is the viewer's."""
    try:
        return viewer.midnight(date.fromisoformat(text.strip()))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"“{text[:60]}” is not a time.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=viewer.zone)).astimezone(UTC)
