"""When things happen at the made-up desk: how tickets arrive over a year, when staff work and customers answer.

All hours are UTC.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random

WEEKDAYS = (1.25, 1.1, 1.0, 1.0, 1.05, 0.55, 0.25)
"""How many tickets arrive from Monday to Sunday, compared with each other."""

WEEKDAY_HOURS = (1, 0.5, 0.3, 0.2, 0.3, 1, 3, 8, 16, 22, 20, 16, 11, 12, 15, 15, 13, 11, 8, 6, 5, 4, 3, 2)
WEEKEND_HOURS = (2, 1, 0.5, 0.3, 0.3, 0.5, 2, 4, 8, 12, 14, 13, 11, 10, 10, 9, 8, 8, 8, 8, 7, 6, 5, 3)

OPENING = {weekday: (time(8), time(18)) for weekday in range(5)} | {5: (time(9), time(13))}
"""When staff work, by weekday from Monday on; never on Sunday."""

QUIET_DAYS = {(12, 25), (12, 26), (1, 1)}
BUSY_DAY = (12, 10)
"""A day of the week in which shops prepare for the holidays, and the desk has more than twice the work."""


def arrivals(random: Random, now: datetime, count: int) -> list[datetime]:
    """The times at which `count` tickets arrive in the year before `now`, oldest first."""
    start = now - timedelta(days=365)
    days = [start.date() + timedelta(days=number) for number in range(366)]
    chosen = random.choices(days, [_busyness(random, day, now.date()) for day in days], k=count)
    return sorted(_moment(random, day, start, now) for day in chosen)


def _busyness(random: Random, day: date, today: date) -> float:
    growth = 1.45 - 0.9 * (today - day).days / 365
    weight = WEEKDAYS[day.weekday()] * growth * random.lognormvariate(0, 0.18)
    if (day.month, day.day) in QUIET_DAYS:
        return weight * 0.15
    return weight * 2.4 if is_busy(day) else weight


def is_busy(day: date) -> bool:
    """Whether a day lies in the busiest week of its year."""
    return day.isocalendar().week == date(day.year, *BUSY_DAY).isocalendar().week


def _moment(random: Random, day: date, start: datetime, now: datetime) -> datetime:
    """A time on a day, after `start` and before `now`."""
    hours = WEEKDAY_HOURS if day.weekday() < 5 else WEEKEND_HOURS
    for _ in range(50):
        hour = random.choices(range(24), hours)[0]
        moment = datetime.combine(day, time(hour), UTC) + timedelta(seconds=random.randrange(3600))
        if start < moment < now:
            return moment
    return start + random.random() * (now - start)


def working(at: datetime, hours: float) -> datetime:
    """The instant at which staff who begin at `at` have worked for `hours`."""
    left = timedelta(hours=hours)
    for opens, closes in _shifts(at):
        begins = max(at, opens)
        if begins + left < closes:
            return begins + left
        left -= max(closes - begins, timedelta())
    raise AssertionError("shifts never end")


def is_open(at: datetime) -> bool:
    """Whether staff work at this time."""
    opens, closes = OPENING.get(at.weekday(), (at.time(), at.time()))
    return opens <= at.time() < closes


def _shifts(at: datetime) -> Iterator[tuple[datetime, datetime]]:
    day = at.date()
    while True:
        if day.weekday() in OPENING:
            opens, closes = OPENING[day.weekday()]
            yield datetime.combine(day, opens, UTC), datetime.combine(day, closes, UTC)
        day += timedelta(days=1)


def awake(random: Random, at: datetime) -> datetime:
    """The same instant, or the next morning where it lies in the night."""
    if 6 <= at.hour < 22:
        return at
    morning = at.date() + timedelta(days=1 if at.hour >= 22 else 0)
    return datetime.combine(morning, time(7), UTC) + timedelta(seconds=random.randrange(3 * 3600))
