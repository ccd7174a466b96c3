"""Finding tickets: words, numbers, tags, people, times, and totals that are true."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin_app.db import Acting, Database
from admin_app.errors import BadInput
from admin_app.models import Ticket, TicketPriority, TicketStatus
from admin_app.queries import tickets, trash
from admin_app.queries.changes import Chosen
from admin_app.queries.tickets import TicketFilter
from admin_app.testing import Make, Statements

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


async def found(database: Database, **wanted: Any) -> list[int]:
    """The ids of the tickets that a filter matches, in the order of the page."""
    async with database.read() as session:
        page = await tickets.search(session, TicketFilter(**wanted))
        assert page.total == len(page.rows) == await tickets.count(session, TicketFilter(**wanted))
        return [ticket.id for ticket in page.rows]


def ids(*some: Ticket) -> list[int]:
    return [ticket.id for ticket in some]


async def test_six_tickets_with_three_tags_make_a_page_of_four_and_a_total_of_six(
    database: Database, make: Make
) -> None:
    six = [await make.ticket() for _ in range(6)]
    for name in ("red", "green", "blue"):
        await make.tag(name, *six)
    async with database.read() as session:
        wanted = TicketFilter(any_tags=["red", "green", "blue"])
        first = await tickets.search(session, wanted, limit=4)
        second = await tickets.search(session, wanted, limit=4, offset=4)
    assert (len(first.rows), first.total, len(second.rows), second.total) == (4, 6, 2, 6)
    assert [t.id for t in (*first.rows, *second.rows)] == [t.id for t in reversed(six)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"any_tags": ["vip"]}, {"both", "vip"}),
        ({"any_tags": ["VIP", "Bug"]}, {"both", "vip", "bug"}),
        ({"all_tags": ["vip", "bug"]}, {"both"}),
        ({"no_tags": ["vip"]}, {"bug", "bare"}),
        ({"no_tags": ["vip", "bug"]}, {"bare"}),
        ({"any_tags": ["bug"], "no_tags": ["vip"]}, {"bug"}),
        ({"any_tags": ["unknown"]}, set()),
        ({"all_tags": ["vip", "unknown"]}, set()),
        ({"no_tags": ["unknown"]}, {"both", "vip", "bug", "bare"}),
    ],
)
async def test_tags_are_asked_for_as_any_all_or_none(
    database: Database, make: Make, wanted: dict[str, Sequence[str]], expected: set[str]
) -> None:
    named = {name: await make.ticket() for name in ("both", "vip", "bug", "bare")}
    await make.tag("Vip", named["both"], named["vip"])
    await make.tag("bug", named["both"], named["bug"])
    assert set(await found(database, **wanted)) == {named[name].id for name in expected}


async def test_percent_and_underscore_mean_themselves(database: Database, make: Make) -> None:
    percent = await make.ticket(title="Disk at 100% again")
    under = await make.ticket(description="Column user_id is empty")
    await make.ticket(title="Disk at 1000 again", description="Column userXid is empty")
    said = await make.ticket()
    await make.comment(said, await make.agent(), "It says 5% left", is_internal=False)
    hidden = await make.ticket()
    await make.comment(hidden, await make.agent(), "Only 7% of them pay")
    assert await found(database, text="100%") == ids(percent)
    assert await found(database, text="%") == ids(said, percent)
    assert await found(database, text="user_id") == ids(under)
    assert await found(database, text="_") == ids(under)
    assert await found(database, text="7%") == []
    assert await found(database, text="5% left") == ids(said)


@pytest.mark.parametrize(
    "text", ["\\", "'", "%%", "&", "|", "!", ")", ":*", "a & | b", 'x"', "-", "--", "💥", "%(x)s", "$1"]
)
async def test_signs_of_search_languages_are_no_error(database: Database, make: Make, text: str) -> None:
    await make.ticket(title="Nothing of the kind")
    assert await found(database, text=text) == []


async def test_a_number_finds_its_ticket_in_any_case_and_so_does_the_number_of_another_system(
    database: Database, make: Make
) -> None:
    ticket, other = await make.ticket(), await make.ticket(external_id="JIRA-1/42")
    assert await found(database, text=ticket.ticket_number) == ids(ticket)
    assert await found(database, text=f"  {ticket.ticket_number.lower()} ") == ids(ticket)
    assert await found(database, text="JIRA-1/42") == ids(other)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("paper jam", True),
        ("jammed papers", True),
        ('"paper jam"', False),
        ('"jam of paper"', True),
        ("paper -fuser", True),
        ("paper -printer", False),
        ("fuser or printer", True),
        ("toner", True),
        ("secretly", False),
        ("printer toner description", True),
    ],
)
async def test_words_are_found_in_title_description_and_public_comments_but_never_in_notes(
    database: Database, make: Make, text: str, matches: bool
) -> None:
    ticket = await make.ticket(title="A jam of paper", description="The printer stands still; a long description.")
    agent = await make.agent()
    await make.comment(ticket, agent, "Please change the toner.", is_internal=False)
    await make.comment(ticket, agent, "Secretly, they never clean it.")
    assert await found(database, text=text) == (ids(ticket) if matches else [])


async def test_a_note_is_not_found_in_any_form(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    marker = "zzmarker 42% under_line"
    await make.comment(ticket, await make.agent(), marker)
    for text in (marker, "zzmarker", "42%", "under_line", '"zzmarker 42"', "zzmarker or zzother"):
        assert await found(database, text=text) == []


async def test_people_are_asked_for_with_nobody_among_them(database: Database, make: Make) -> None:
    ana, bo = await make.agent(), await make.agent()
    of_ana, of_bo = await make.ticket(assignee_id=ana.id), await make.ticket(assignee_id=bo.id)
    nobodys = await make.ticket()
    assert await found(database, assignees=[None]) == ids(nobodys)
    assert await found(database, assignees=[ana.id]) == ids(of_ana)
    assert await found(database, assignees=[None, bo.id]) == ids(nobodys, of_bo)
    assert await found(database, assignees=[]) == []
    assert await found(database, assignees=None) == ids(nobodys, of_bo, of_ana)
    assert await found(database, creators=[of_bo.creator_id]) == ids(of_bo)


async def test_statuses_and_priorities_narrow_down_and_an_empty_choice_is_nothing(
    database: Database, make: Make
) -> None:
    urgent = await make.ticket(priority="urgent")
    waiting = await make.ticket(status="waiting_on_customer")
    assert await found(database, priorities=[TicketPriority.URGENT]) == ids(urgent)
    assert await found(database, statuses=[TicketStatus.WAITING_ON_CUSTOMER, TicketStatus.CLOSED]) == ids(waiting)
    assert await found(database, statuses=[TicketStatus.OPEN], priorities=[TicketPriority.LOW]) == []
    assert await found(database, statuses=[]) == []


async def test_ranges_begin_with_their_first_instant_and_end_before_their_last(database: Database, make: Make) -> None:
    second = timedelta(seconds=1)
    before, at, _ = [await make.ticket(created_at=NOON + step) for step in (-second, 0 * second, second)]
    assert await found(database, created_from=NOON - second, created_before=NOON + second) == ids(at, before)
    assert await found(database, created_before=NOON) == ids(before)
    assert await found(database, created_from=NOON, created_before=NOON) == []
    resolved = await make.ticket(created_at=NOON - second, status="resolved", resolved_at=NOON)
    assert await found(database, resolved_from=NOON, resolved_before=NOON + second) == ids(resolved)
    assert await found(database, resolved_before=NOON) == []
    assert await found(database, updated_before=NOON) == []


async def test_overdue_is_what_the_desk_has_to_act_on_after_its_time(database: Database, make: Make) -> None:
    past = NOON - timedelta(days=3)
    overdue = await make.ticket(due_at=past)
    rest = [
        await make.ticket(due_at=past, status="waiting_on_customer"),
        await make.ticket(due_at=past, status="resolved", resolved_at=datetime.now(UTC) + timedelta(hours=1)),
        await make.ticket(due_at=None),
        await make.ticket(),
    ]
    assert await found(database, overdue=True) == ids(overdue)
    assert await found(database, overdue=False) == ids(*reversed(rest))
    assert [ticket.is_overdue for ticket in (overdue, *rest)] == [True, False, False, False, False]


async def test_the_trash_is_shown_alone_or_not_at_all(database: Database, make: Make) -> None:
    live, gone = await make.ticket(title="Alike"), await make.ticket(title="Alike")
    async with database.transaction(Acting.system(), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [gone.id]), None, "Spam.")
    assert await found(database, text="alike") == ids(live)
    assert await found(database, text="alike", trash=True) == ids(gone)
    assert await found(database, text=gone.ticket_number) == []


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (501, 0), (-1, 0), (10, -1)])
async def test_a_page_has_limits(database: Database, limit: int, offset: int) -> None:
    async with database.read() as session:
        with pytest.raises(BadInput, match="A page has 1 to 500 rows"):
            await tickets.search(session, TicketFilter(), limit=limit, offset=offset)


@pytest.mark.parametrize("text", ["a" * 501, "a\x00b", "a \ud800", '"', "()", "colour:red"])
async def test_a_search_that_cannot_be_meant_is_refused(database: Database, text: str) -> None:
    async with database.read() as session:
        with pytest.raises(BadInput):
            await tickets.search(session, TicketFilter(text=text))


async def test_a_page_is_read_with_as_many_statements_for_one_row_as_for_forty(
    database: Database, make: Make, statements: Statements
) -> None:
    agent = await make.agent()
    made = [await make.ticket(assignee_id=agent.id) for _ in range(40)]
    await make.tag("all", *made)
    numbers = []
    for limit in (1, 40):
        async with database.read() as session:
            with statements(database) as seen:
                page = await tickets.search(session, TicketFilter(), limit=limit)
            assert all(row.creator.full_name and row.assignee and row.tags for row in page.rows)
        numbers.append(len(seen))
    assert numbers == [3, 3]
