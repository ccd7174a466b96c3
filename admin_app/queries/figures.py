"""The figures of the desk: what each of them means. `queries.stats` counts them.

The population is every ticket outside the trash. A day is a day of the period's time zone, wherever the server is;
ranges are half-open. Durations are seconds, as floats; None means that there is nothing to measure.

Imported tickets carry times of another system: what is counted over a period leaves them out unless asked to
include them, and says how many. What is unresolved now counts them all, because somebody has to work on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from admin_app.errors import BadInput
from admin_app.models import DONE, TicketPriority, TicketStatus

UNRESOLVED = tuple(status for status in TicketStatus if status not in DONE)
"""The statuses of the backlog: everything that is neither resolved nor closed."""

AGES = (1, 3, 7, 14, 30)
"""Where one band of ages ends and the next begins, in days."""

ENOUGH = 5
"""Below so many tickets a median or a rate says nothing, and pages write "too few"."""

LONGEST = 1_100
"""Days that one period may have: three years."""

EARLIEST, LATEST = date(1970, 1, 1), date(2200, 1, 1)


@dataclass(frozen=True)
class Period:
    """Whole days in a time zone: from `start` until before `end`.

    Raises BadInput when it ends before it starts, is longer than 1,100 days, or lies outside 1970 to 2199.
    """

    start: date
    end: date
    zone: ZoneInfo

    def __post_init__(self) -> None:
        if self.start < EARLIEST or self.end > LATEST:
            raise BadInput(fields={"from": "Please choose days between 1970 and 2199."})
        if self.end <= self.start:
            raise BadInput(fields={"to": "The last day is before the first."})
        if (self.end - self.start).days > LONGEST:
            raise BadInput(fields={"to": f"A period has at most {LONGEST:,} days."})

    @property
    def days(self) -> list[date]:
        """Every day of the period, in order."""
        return [self.start + timedelta(days=number) for number in range((self.end - self.start).days)]

    @property
    def instants(self) -> list[datetime]:
        """When each day begins, and when the last one ends, in UTC; a day with a clock change has 23 or 25 hours."""
        starts = (datetime.combine(day, time(), self.zone) for day in [*self.days, self.end])
        return [start.astimezone(UTC) for start in starts]


@dataclass(frozen=True)
class Spread:
    """How a duration is spread over `n` tickets: median, ninth decile and mean, in seconds."""

    n: int = 0
    median: float | None = None
    p90: float | None = None
    mean: float | None = None

    @property
    def enough(self) -> bool:
        """Whether there are enough tickets for the figures to mean something."""
        return self.n >= ENOUGH


@dataclass(frozen=True)
class AgeBand:
    """Tickets of the backlog that are at least `at_least` days old and younger than `below`; None: without end."""

    at_least: int
    below: int | None
    count: int


@dataclass(frozen=True)
class Backlog:
    """What is unresolved at the instant `at` (domain rules D2): all of it, and by age, priority and assignee.

    `overdue` are those the desk has to act on and whose time has passed. Every priority is there, even with 0;
    in `by_assignee` None stands for nobody, and is always there.
    """

    at: datetime
    total: int
    overdue: int
    by_age: tuple[AgeBand, ...]
    by_priority: Mapping[TicketPriority, int]
    by_assignee: Mapping[int | None, int]

    @property
    def unassigned(self) -> int:
        """Those that nobody has."""
        return self.by_assignee[None]


@dataclass(frozen=True)
class Day:
    """One day of the period: tickets made on it (domain rules D3) and tickets resolved on it (D4).

    Resolved means: entered a done status from one that was not, at least once that day. A ticket that is
    reopened and resolved again on another day counts on both, but once in the period's total.
    """

    day: date
    created: int
    resolved: int


@dataclass(frozen=True)
class Person:
    """One member of staff, or nobody, in the period (domain rules D12).

    `resolved` are tickets that this person brought into a done status, whoever has them today; `reopened` those of
    them that left it since. `unresolved` is what the person has to do now. `first_response` is over tickets that
    were first answered in the period, and answered by this person. Nobody stands for the system and for imports.
    """

    user_id: int | None
    name: str | None
    unresolved: int
    resolved: int
    reopened: int
    first_response: Spread

    @property
    def reopen_rate(self) -> float | None:
        """The share of what was resolved that did not stay so."""
        return self.reopened / self.resolved if self.resolved else None


@dataclass(frozen=True)
class LeftOut:
    """Imported tickets that the numbers of the period do not count: made in it, and finally resolved in it."""

    created: int
    resolved: int


@dataclass(frozen=True)
class TicketStatistics:
    """The numbers of the desk at one instant, and over a period.

    - `by_status`: every ticket by its present status, each status there even with 0.
    - `created`, `resolved`: tickets made, and distinct tickets that entered a done status, in the period.
    - `unanswered`: of those created, the ones without a public answer of staff so far.
    - `reopened`: distinct tickets that left a done status in the period (domain rules D10).
    - `first_response`: from creation to the first public answer, of tickets first answered in the period (D5).
    - `first_resolution`: from creation to the first resolution, of tickets first resolved in the period (D6).
    - `full_resolution`: from creation to the last resolution, of tickets that are done and whose last resolution
      is in the period (D7).
    """

    period: Period
    by_status: Mapping[TicketStatus, int]
    backlog: Backlog
    days: tuple[Day, ...]
    created: int
    unanswered: int
    resolved: int
    reopened: int
    first_response: Spread
    first_resolution: Spread
    full_resolution: Spread
    people: tuple[Person, ...]
    left_out: LeftOut

    @property
    def reopen_rate(self) -> float | None:
        """Tickets reopened in the period for each one resolved in it; None when none was (domain rules D10)."""
        return self.reopened / self.resolved if self.resolved else None
