"""The figures as the page shows them: words for numbers, and the link to the list that yields each number."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from admin_app.plugin import Visit
from admin_app.queries.figures import ENOUGH, AgeBand, Person, Spread, TicketStatistics
from plugins.stats import links
from plugins.stats.charts import day_label
from plugins.stats.words import NOTHING, duration, number, share

TOO_FEW = "too few"


@dataclass(frozen=True)
class Tile:
    """One number at the top of the page; `href` leads to the tickets that it, or its note, counts."""

    label: str
    value: str
    note: str = ""
    href: str | None = None


@dataclass(frozen=True)
class Row:
    """One row of a table of counts; `key` is the machine's word for it."""

    label: str
    count: int
    href: str | None = None
    key: str = ""


@dataclass(frozen=True)
class Times:
    """How long something took, in words, and over how many tickets."""

    label: str
    n: int
    median: str
    p90: str
    mean: str
    href: str | None = None


@dataclass(frozen=True)
class PersonRow:
    """One member of staff, or nobody."""

    name: str
    href: str | None
    unresolved: int
    unresolved_href: str | None
    resolved: int
    reopened: str
    first_response: str


@dataclass(frozen=True)
class DayRow:
    """One day as numbers; `net` is by how much more came in than was resolved."""

    day: date
    created: int
    created_href: str | None
    resolved: int
    net: int


@dataclass(frozen=True)
class Shown:
    """Statistics for one viewer: links are there for those who may see tickets."""

    found: TicketStatistics
    visit: Visit

    def present(self) -> Iterator[Tile]:
        """What is to do now."""
        backlog = self.found.backlog
        yield Tile("Open now", number(backlog.total), "not resolved or closed", self._linked(links.unresolved()))
        unassigned = self._linked(links.unresolved(assignee="none"))
        yield Tile("Unassigned", number(backlog.unassigned), "of those open now", unassigned)
        yield Tile(
            "Overdue", number(backlog.overdue), "their time has passed", self._linked(links.tickets(overdue="yes"))
        )

    def over_the_period(self) -> Iterator[Tile]:
        """What happened on the days of the period, and how long it took."""
        found = self.found
        unanswered = f"{number(found.unanswered)} not answered yet"
        yield Tile("Created", number(found.created), unanswered, self._created(range(len(found.days))))
        yield Tile("Resolved", number(found.resolved), "each ticket once")
        yield Tile("First response", _median(found.first_response), _of(found.first_response))
        yield Tile("Full resolution", _median(found.full_resolution), _of(found.full_resolution), self._resolved())
        rate = share(found.reopen_rate) if found.resolved >= ENOUGH else TOO_FEW
        yield Tile("Reopened", rate, f"{number(found.reopened)} for {number(found.resolved)} resolved")

    @property
    def period(self) -> str:
        """The days: `23 Oct to 21 Nov 2026`."""
        first, last = self.found.days[0].day, self.found.days[-1].day
        year = f" {first.year}" if first.year != last.year else ""
        if first == last:
            return f"{day_label(last)} {last.year}"
        return f"{day_label(first)}{year} to {day_label(last)} {last.year}"

    def times(self) -> list[Times]:
        """The three durations."""
        found = self.found
        return [
            _times("First response", found.first_response),
            _times("First resolution", found.first_resolution),
            _times("Full resolution", found.full_resolution, self._resolved()),
        ]

    def statuses(self) -> list[Row]:
        """Every ticket by its present status."""
        return [
            Row(_words(status), count, self._linked(links.tickets(status=status)), status)
            for status, count in self.found.by_status.items()
        ]

    def priorities(self) -> list[Row]:
        """The backlog by priority, the most urgent first."""
        return [
            Row(_words(priority), count, self._linked(links.unresolved(priority=priority)), priority)
            for priority, count in reversed(list(self.found.backlog.by_priority.items()))
        ]

    def ages(self) -> list[Row]:
        """The backlog by age, the youngest first."""
        backlog = self.found.backlog
        return [Row(_age(band), band.count, self._linked(links.of_age(band, backlog.at))) for band in backlog.by_age]

    def people(self) -> list[PersonRow]:
        """A row for everybody who has, resolved or answered something, and for nobody."""
        return [self._person(person) for person in self.found.people]

    def days(self) -> list[DayRow]:
        """The days of the chart as numbers."""
        return [
            DayRow(day.day, day.created, self._created([place]), day.resolved, day.created - day.resolved)
            for place, day in enumerate(self.found.days)
        ]

    def summary(self) -> str:
        """The chart in a sentence, for those who do not see it."""
        found = self.found
        busiest, best = max(found.days, key=lambda day: day.created), max(found.days, key=lambda day: day.resolved)
        return (
            f"{number(found.created)} tickets were created, most on {day_label(busiest.day)} with"
            f" {number(busiest.created)}; {number(found.resolved)} were resolved, most on {day_label(best.day)} with"
            f" {number(best.resolved)}."
        )

    def _person(self, person: Person) -> PersonRow:
        assignee = str(person.user_id) if person.user_id else "none"
        profile = f"/admin/user/details/{person.user_id}" if person.user_id else None
        rate = share(person.reopen_rate) if person.resolved >= ENOUGH else TOO_FEW
        return PersonRow(
            name=person.name or "Nobody",
            href=profile if self.visit.may("user.view") else None,
            unresolved=person.unresolved,
            unresolved_href=self._linked(links.unresolved(assignee=assignee)),
            resolved=person.resolved,
            reopened=rate if person.resolved else NOTHING,
            first_response=_median(person.first_response) if person.first_response.n else NOTHING,
        )

    def _linked(self, href: str) -> str | None:
        return href if self.visit.may("ticket.view") else None

    def _within(self, places: range | list[int]) -> str:
        return links.within(self.found.period, places, self.visit.time_zone)

    def _created(self, places: range | list[int]) -> str | None:
        sources = links.without_imports(self.found.left_out.created)
        return self._linked(links.tickets(created=self._within(places), source=sources))

    def _resolved(self) -> str | None:
        sources = links.without_imports(self.found.left_out.resolved)
        return self._linked(links.tickets(resolved=self._within(range(len(self.found.days))), source=sources))


def _times(label: str, spread: Spread, href: str | None = None) -> Times:
    median, p90, mean = (
        duration(value) if spread.enough else TOO_FEW for value in (spread.median, spread.p90, spread.mean)
    )
    return Times(label, spread.n, median, p90, mean, href)


def _median(spread: Spread) -> str:
    return duration(spread.median) if spread.enough else TOO_FEW


def _of(spread: Spread) -> str:
    tickets = "1 ticket" if spread.n == 1 else f"{number(spread.n)} tickets"
    return f"median of {tickets}" if spread.enough else tickets


def _age(band: AgeBand) -> str:
    if band.below is None:
        return f"{band.at_least} days and more"
    if band.at_least == 0:
        return f"Under {band.below} day"
    return f"{band.at_least} to {band.below} days"


def _words(value: str) -> str:
    words = value.replace("_", " ")
    return words[:1].upper() + words[1:]
