"""Statistics: a desk small enough to count by hand, to the second."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from admin_app.db import Acting, Database
from admin_app.errors import BadInput
from admin_app.models import Ticket, TicketPriority, TicketSource, TicketStatus, User
from admin_app.queries import tickets
from admin_app.queries.changes import Chosen
from admin_app.queries.figures import Day, LeftOut, Period, Spread, TicketStatistics
from admin_app.queries.stats import ticket_statistics
from admin_app.testing import Make, Statements
from tests.queries.telling import CLOSED, OPEN, RESOLVED, Move, Told, at, tell

BERLIN, SAO_PAULO, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Sao_Paulo"), ZoneInfo("UTC")
SPRING = Period(date(2026, 3, 28), date(2026, 4, 1), BERLIN)
"""Four days, the second of which lasts 23 hours, up to the end of a month."""

DAY = timedelta(days=1)


async def count(database: Database, period: Period, *, imports: bool = False) -> TicketStatistics:
    async with database.read(snapshot=True) as session:
        return await ticket_statistics(session, period, imports=imports)


def rounded(spread: Spread) -> tuple[float | None, ...]:
    """Its figures to the microsecond, which is as fine as the database's clock."""
    return tuple(value if value is None else round(value, 6) for value in vars(spread).values())


@dataclass(frozen=True)
class Desk:
    """The desk that is counted by hand: two agents and nine tickets round the spring weekend of 2026 in Berlin."""

    ana: User
    ben: User


@pytest.fixture
async def desk(database: Database, make: Make) -> Desk:
    ana, ben = await make.agent(full_name="Ana"), await make.agent(full_name="Ben")
    customer = await make.customer()
    gone = {"deleted_at": at("03-30 00:00:00")}
    imported = {"source": TicketSource.IMPORT}
    first, reopened, *_ = await tell(
        database,
        customer,
        [
            # The last second before Sunday in Berlin, resolved in the 23 hours of that Sunday: 10 hours later
            Told(at("03-28 22:59:59"), [Move(RESOLVED, at("03-29 08:59:59"), ana.id)]),
            # The first second of Sunday; resolved, reopened and resolved for good: 1 hour first, 2 days 12 hours in all
            Told(
                at("03-28 23:00:00"),
                [
                    Move(RESOLVED, at("03-29 00:00:00"), ana.id),
                    Move(OPEN, at("03-29 12:00:00"), ben.id),
                    Move(RESOLVED, at("03-31 11:00:00"), ben.id),
                ],
            ),
            # Closed straight away, without having been resolved: 30 minutes, twice on one day after a reopening
            Told(
                at("03-29 21:00:00"),
                [
                    Move(CLOSED, at("03-29 21:30:00"), ben.id),
                    Move(OPEN, at("03-29 21:35:00"), ben.id),
                    Move(CLOSED, at("03-29 21:59:59"), ben.id),
                ],
            ),
            # The last second of the month, and the first of the next
            Told(at("03-31 21:59:59"), facts={"assignee_id": ana.id, "priority": TicketPriority.URGENT}),
            Told(at("03-31 22:00:00"), [Move(TicketStatus.WAITING_ON_CUSTOMER, at("03-31 22:10:00"))]),
            # Made before the period and resolved in it by nobody in particular: 30 days
            Told(at("03-01 10:00:00"), [Move(RESOLVED, at("03-31 10:00:00")), Move(CLOSED, at("04-08 10:00:00"))]),
            # In the trash, and imported
            Told(at("03-29 10:00:00"), [Move(RESOLVED, at("03-29 11:00:00"), ana.id)], gone),
            Told(at("03-29 10:00:00"), [Move(RESOLVED, at("03-31 10:00:00"), ana.id)], imported),
            Told(at("03-30 10:00:00"), facts=imported),
        ],
    )
    await make.comment(first, ana, is_internal=False, created_at=at("03-28 23:01:59"))
    await make.comment(first, ben, is_internal=False, created_at=at("03-28 23:05:00"))
    await make.comment(reopened, ben, created_at=at("03-28 23:00:10"))
    await make.comment(reopened, customer, is_internal=False, created_at=at("03-28 23:00:20"))
    await make.comment(reopened, ben, is_internal=False, created_at=at("03-28 23:00:30"))
    return Desk(ana, ben)


async def test_days_are_those_of_the_zone_with_zero_days_and_a_day_of_23_hours(database: Database, desk: Desk) -> None:
    found = await count(database, SPRING)
    assert found.days == (
        Day(date(2026, 3, 28), created=1, resolved=0),
        Day(date(2026, 3, 29), created=2, resolved=3),
        Day(date(2026, 3, 30), created=0, resolved=0),
        Day(date(2026, 3, 31), created=1, resolved=2),
    )
    assert SPRING.instants[2] - SPRING.instants[1] == timedelta(hours=23)


async def test_totals_count_a_ticket_once_however_often_it_was_resolved(database: Database, desk: Desk) -> None:
    found = await count(database, SPRING)
    assert (found.created, found.resolved, found.reopened) == (4, 4, 2)
    assert found.reopen_rate == 0.5
    assert found.unanswered == 2


async def test_the_same_range_in_another_zone_counts_other_tickets(database: Database, desk: Desk) -> None:
    found = await count(database, Period(SPRING.start, SPRING.end, UTC_ZONE))
    assert [(day.created, day.resolved) for day in found.days] == [(2, 0), (1, 3), (0, 0), (2, 2)]


async def test_resolution_is_measured_to_the_second_in_the_cohort_of_its_own_time(
    database: Database, desk: Desk
) -> None:
    found = await count(database, SPRING)
    hour, day = 3600.0, 86400.0
    first = [0.5 * hour, 1 * hour, 10 * hour, 30 * day]
    full = [3599.0, 10 * hour, 2.5 * day, 30 * day]
    assert rounded(found.first_resolution) == (4, 5.5 * hour, 0.3 * 10 * hour + 0.7 * 30 * day, sum(first) / 4)
    assert rounded(found.full_resolution) == (4, 35 * hour, 0.3 * 2.5 * day + 0.7 * 30 * day, sum(full) / 4)
    assert not found.full_resolution.enough


async def test_first_response_ends_with_the_first_public_answer_of_staff_and_is_its_authors(
    database: Database, desk: Desk
) -> None:
    found = await count(database, SPRING)
    assert rounded(found.first_response) == (2, 75.0, 0.1 * 30 + 0.9 * 120, 75.0)
    assert {person.name: person.first_response.median for person in found.people} == {
        "Ana": 120.0,
        "Ben": 30.0,
        None: None,
    }


async def test_a_first_response_is_not_the_notes_nor_the_requesters_of_the_same_instant(
    database: Database, make: Make
) -> None:
    ana, ben, colleague = [await make.agent(full_name=name) for name in ("Ana", "Ben", "Colleague")]
    [ticket] = await tell(database, colleague, [Told(at("03-29 10:00:00"))])
    same = at("03-29 10:01:00")
    await make.comment(ticket, ana, created_at=same)
    await make.comment(ticket, colleague, is_internal=False, created_at=same)
    await make.comment(ticket, ben, is_internal=False, created_at=same)
    people = (await count(database, SPRING)).people
    assert {person.name: person.first_response.n for person in people} == {"Ben": 1, None: 0}


async def test_a_resolution_is_counted_for_who_made_it_and_reopening_shows_there(
    database: Database, desk: Desk
) -> None:
    people = (await count(database, SPRING)).people
    assert [(row.name, row.resolved, row.reopened, row.reopen_rate, row.unresolved) for row in people] == [
        ("Ana", 2, 1, 0.5, 1),
        ("Ben", 2, 1, 0.5, 0),
        (None, 1, 0, 0.0, 2),
    ]


async def test_imported_tickets_are_left_out_of_the_period_and_said_so_unless_asked_for(
    database: Database, desk: Desk
) -> None:
    without, with_them = await count(database, SPRING), await count(database, SPRING, imports=True)
    assert without.left_out == LeftOut(created=2, resolved=1)
    assert with_them.left_out == LeftOut(created=0, resolved=0)
    assert (with_them.created, with_them.resolved, with_them.full_resolution.n) == (6, 5, 5)
    assert with_them.full_resolution.enough
    assert without.backlog == with_them.backlog
    assert without.by_status == with_them.by_status


async def test_the_backlog_is_what_is_unresolved_now_and_every_status_and_priority_is_there(
    database: Database, desk: Desk
) -> None:
    found = await count(database, SPRING)
    assert found.by_status == {
        TicketStatus.OPEN: 2,
        TicketStatus.IN_PROGRESS: 0,
        TicketStatus.WAITING_ON_CUSTOMER: 1,
        TicketStatus.RESOLVED: 3,
        TicketStatus.CLOSED: 2,
    }
    assert found.backlog.total == 3
    assert found.backlog.by_priority == {
        TicketPriority.LOW: 0,
        TicketPriority.MEDIUM: 2,
        TicketPriority.HIGH: 0,
        TicketPriority.URGENT: 1,
    }
    assert found.backlog.by_assignee == {None: 2, desk.ana.id: 1}
    assert found.backlog.unassigned == 2


async def test_the_backlog_falls_into_bands_of_age_and_only_due_work_is_overdue(database: Database, make: Make) -> None:
    async with database.read() as session:
        now = await session.scalar(select(func.now()))
    assert now
    second = timedelta(seconds=1)
    ages = [timedelta(0), DAY - second, DAY, 7 * DAY - second, 7 * DAY, 30 * DAY, 400 * DAY]
    waiting = {"status": TicketStatus.WAITING_ON_CUSTOMER}
    customer = await make.customer()
    await tell(
        database,
        customer,
        [
            *(Told(now - age, facts={"due_at": now + second}) for age in ages),
            Told(now - 2 * DAY, facts={"due_at": now - second}),
            Told(now - 2 * DAY, facts={"due_at": now - second, **waiting}),
            Told(now - 2 * DAY, facts={"due_at": None}),
        ],
    )
    backlog = (await count(database, SPRING)).backlog
    assert [(band.at_least, band.below, band.count) for band in backlog.by_age] == [
        (0, 1, 2),
        (1, 3, 4),
        (3, 7, 1),
        (7, 14, 1),
        (14, 30, 0),
        (30, None, 2),
    ]
    assert (backlog.total, backlog.overdue, backlog.at) == (10, 1, now)


async def test_an_empty_desk_has_zeros_for_counts_and_nothing_for_durations(database: Database) -> None:
    found = await count(database, SPRING)
    assert set(found.by_status.values()) == set(found.backlog.by_priority.values()) == {0}
    assert found.backlog.by_assignee == {None: 0}
    assert [(day.created, day.resolved) for day in found.days] == [(0, 0)] * 4
    assert (found.created, found.resolved, found.reopened, found.reopen_rate) == (0, 0, 0, None)
    assert found.first_response == found.first_resolution == found.full_resolution == Spread(0, None, None, None)
    assert [(row.user_id, row.resolved) for row in found.people] == [(None, 0)]


async def test_what_the_desk_does_is_counted_without_anybody_writing_events(database: Database, make: Make) -> None:
    ana = await make.agent(full_name="Ana")
    ticket = await make.ticket(assignee_id=ana.id)
    chosen = Chosen.of(Ticket, [ticket.id])
    for status in (RESOLVED, OPEN, CLOSED):
        async with database.transaction(Acting(user_id=ana.id), "status.set") as change:
            await tickets.set_status(change.session, chosen, status, ana.id)
    today = datetime.now(BERLIN).date()
    found = await count(database, Period(today - DAY, today + DAY, BERLIN))
    assert (found.created, found.resolved, found.reopened, found.full_resolution.n) == (1, 1, 1, 1)
    assert found.people[0].resolved == found.people[0].reopened == 1


async def test_statistics_take_seven_statements_and_plain_floats(
    database: Database, desk: Desk, statements: Statements
) -> None:
    async with database.read(snapshot=True) as session:
        with statements(database) as seen:
            found = await ticket_statistics(session, SPRING)
    assert len([statement for statement in seen if statement.startswith("SELECT")]) == 7
    assert {type(value) for value in vars(found.full_resolution).values()} == {int, float}


@pytest.mark.parametrize(
    ("start", "end", "field_name", "sentence"),
    [
        (date(2026, 3, 2), date(2026, 3, 2), "to", "The last day is before the first."),
        (date(2026, 3, 2), date(2026, 3, 1), "to", "The last day is before the first."),
        (date(2020, 1, 1), date(2026, 1, 1), "to", "A period has at most 1,100 days."),
        (date(1, 1, 1), date(1, 1, 2), "from", "Please choose days between 1970 and 2199."),
        (date(9999, 1, 1), date(9999, 12, 31), "from", "Please choose days between 1970 and 2199."),
    ],
)
def test_a_period_refuses_days_that_make_no_range(start: date, end: date, field_name: str, sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        Period(start, end, BERLIN)
    assert caught.value.fields == {field_name: sentence}


def test_a_day_whose_midnight_does_not_exist_begins_when_the_clock_jumps() -> None:
    period = Period(date(2018, 11, 3), date(2018, 11, 6), SAO_PAULO)
    assert [f"{instant:%d %H:%M}" for instant in period.instants] == ["03 03:00", "04 03:00", "05 02:00", "06 02:00"]
