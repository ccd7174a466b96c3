"""Tickets: assigning many, making many, and one with all it needs."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError

from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError, BadInput, Conflict
from admin_app.models import AuditLog, Comment, Ticket, TicketPriority, TicketStatus
from admin_app.queries import tickets, trash
from admin_app.queries.changes import Chosen, Outcome
from admin_app.testing import Make
from tests.locks import until_somebody_waits


async def stored(database: Database, ticket: Ticket) -> Ticket:
    async with database.read() as session:
        return await session.get_one(Ticket, ticket.id)


async def test_assign_gives_every_open_ticket_to_the_agent_and_says_why_others_were_skipped(
    database: Database, make: Make
) -> None:
    agent, lead = await make.agent(), await make.lead()
    unassigned, already = await make.ticket(), await make.ticket(assignee_id=agent.id)
    closed, gone = await make.ticket(), await make.ticket()
    resolved = await make.ticket(status="resolved", resolved_at=datetime.now(UTC))
    async with database.transaction(Acting(user_id=lead.id), "test.close") as change:
        await tickets.set_status(change.session, Chosen.of(Ticket, [closed.id]), TicketStatus.CLOSED, lead.id)
        await trash.put(change.session, Chosen.of(Ticket, [gone.id]), lead.id, "Spam.")
    async with database.transaction(Acting(user_id=lead.id), "assign.assign") as change:
        of_all = (unassigned, already, closed, gone, resolved, unassigned)
        chosen = Chosen.of(Ticket, [*(ticket.id for ticket in of_all), 999_999_999])
        outcome = await tickets.assign(change.session, chosen, agent)
    assert outcome == Outcome(changed=2, unchanged=1, skipped={"in the trash": 1, "closed": 1, "not found": 1})
    assert outcome.total == chosen.requested == 6
    changed = await stored(database, unassigned)
    assert (changed.assignee_id, changed.status, changed.version) == (agent.id, "open", unassigned.version + 1)
    assert (await stored(database, resolved)).status == "resolved"
    assert (await stored(database, already)).version == already.version
    assert (await stored(database, closed)).assignee_id is None
    assert (await stored(database, gone)).assignee_id is None


async def test_assign_to_nobody_takes_tickets_from_whoever_has_them(database: Database, make: Make) -> None:
    agent = await make.agent()
    taken, free = await make.ticket(assignee_id=agent.id), await make.ticket()
    async with database.transaction(Acting.system(), "assign.unassign") as change:
        outcome = await tickets.assign(change.session, Chosen.of(Ticket, [taken.id, free.id]), None)
    assert outcome == Outcome(changed=1, unchanged=1)
    assert (await stored(database, taken)).assignee_id is None


@pytest.mark.parametrize("facts", [{}, {"is_staff": True, "is_active": False}])
async def test_assign_refuses_somebody_who_is_not_active_staff(
    database: Database, make: Make, facts: dict[str, Any]
) -> None:
    person, ticket = await make.user(**facts), await make.ticket()
    with pytest.raises(BadInput, match="is not an active member of staff"):
        async with database.transaction(Acting.system(), "assign.assign") as change:
            await tickets.assign(change.session, Chosen.of(Ticket, [ticket.id]), person)


async def test_bulk_changes_of_the_same_rows_in_opposite_orders_never_deadlock(
    live_database: Database, make_live: Make
) -> None:
    ana, bo = await make_live.agent(), await make_live.agent()
    async with live_database.transaction(Acting.system(), "test.make") as change:
        drafts = [{"title": "t", "description": "d", "creator_id": ana.id} for _ in range(150)]
        made = [ticket.id for ticket in await tickets.bulk_create(change.session, drafts, None)]

    async def work(turn: int) -> int:
        order = made if turn % 2 else made[::-1]
        async with live_database.transaction(Acting.system(), "test.assign") as change:
            chosen = Chosen(Ticket, tuple(order), None, len(order))
            outcome = await tickets.assign(change.session, chosen, ana if turn % 2 else bo)
            change.session.add(Comment(ticket_id=order[0], author_id=bo.id, content="Seen.", is_internal=False))
            return outcome.total

    assert await asyncio.gather(*(work(turn) for turn in range(24))) == [150] * 24


async def test_notes_can_be_written_while_a_bulk_change_holds_the_tickets(
    live_database: Database, make_live: Make
) -> None:
    agent, ticket = await make_live.agent(), await make_live.ticket()
    async with live_database.transaction(Acting.system(), "test.assign") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, [ticket.id]), agent)
        async with asyncio.timeout(5):
            await make_live.comment(ticket, agent, "A note meanwhile.")


async def test_a_row_that_somebody_changed_while_it_was_waited_for_is_judged_as_it_is_now(
    live_database: Database, make_live: Make
) -> None:
    agent, ticket = await make_live.agent(), await make_live.ticket()
    chosen = Chosen.of(Ticket, [ticket.id])

    async def assign() -> Outcome:
        async with live_database.transaction(Acting.system(), "test.assign") as change:
            return await tickets.assign(change.session, chosen, agent)

    async with live_database.transaction(Acting.system(), "test.close") as change:
        await tickets.set_status(change.session, chosen, TicketStatus.CLOSED, None)
        waiting = asyncio.create_task(assign())
        await until_somebody_waits(live_database)
    assert await waiting == Outcome(skipped={"closed": 1})
    assert (await stored(live_database, ticket)).assignee_id is None


async def test_bulk_create_makes_tickets_in_the_order_of_the_drafts_with_numbers_of_their_own(
    database: Database, make: Make
) -> None:
    customer, agent = await make.customer(), await make.agent()
    drafts: list[dict[str, Any]] = [
        {"title": f"Draft {number}", "description": "d", "creator_id": customer.id} for number in range(30)
    ]
    drafts[3] |= {"priority": TicketPriority.URGENT, "external_id": "x3"}
    drafts[5] |= {"assignee_id": agent.id, "due_at": None}
    drafts[7] |= {"source": "phone"}
    async with database.transaction(Acting(user_id=agent.id), "test.create") as change:
        made = await tickets.bulk_create(change.session, drafts, agent.id)
        entries = (await change.session.scalars(select(AuditLog).where(AuditLog.change_set_id == change.id))).all()
    assert [ticket.title for ticket in made] == [draft["title"] for draft in drafts]
    assert len({ticket.ticket_number for ticket in made}) == len(entries) == 30
    assert (made[3].priority, made[3].external_id, made[4].priority) == ("urgent", "x3", "medium")
    assert (made[5].assignee_id, made[5].due_at, made[6].due_at is not None) == (agent.id, None, True)
    assert (made[7].source, made[8].source) == ("phone", "web")
    assert {ticket.created_by_id for ticket in made} == {agent.id}


async def test_bulk_create_names_every_fault_by_position_and_field_and_makes_nothing(database: Database) -> None:
    good = {"title": "t", "description": "d", "creator_id": 1}
    drafts = [
        good,
        {"title": " ", "creator_id": 1},
        good | {"title": "x" * 501, "priority": "extreme"},
        good | {"status": "closed", "id": 7},
        good | {"title": "a\x00b", "description": "\ud800"},
        good | {"creator_id": 2**70},
        good | {"due_at": "tomorrow"},
    ]
    with pytest.raises(BadInput) as refused:
        async with database.transaction(Acting.system(), "test.create") as change:
            await tickets.bulk_create(change.session, drafts, None)
    assert refused.value.fields == {
        "1.title": "is needed.",
        "1.description": "is needed.",
        "2.title": "has 501 characters; at most 500 fit.",
        "2.priority": "is none of low, medium, high, urgent.",
        "3.status": "cannot be given when a ticket is made.",
        "3.id": "cannot be given when a ticket is made.",
        "4.title": "holds a character that cannot be stored.",
        "4.description": "holds a character that cannot be stored.",
        "5.creator_id": "is no id.",
        "6.due_at": "is no time with a time zone.",
    }


async def test_bulk_create_for_somebody_who_does_not_exist_makes_nothing(database: Database, make: Make) -> None:
    creator = (await make.customer()).id
    drafts = [{"title": "t", "description": "d", "creator_id": who} for who in (creator, 999_999)]
    with pytest.raises(Conflict):
        async with database.transaction(Acting.system(), "test.create") as change:
            await tickets.bulk_create(change.session, drafts, None)
    async with database.read() as session:
        assert (await session.scalars(select(Ticket).where(Ticket.creator_id == creator))).all() == []


async def test_bulk_create_of_nothing_is_nothing(database: Database) -> None:
    async with database.transaction(Acting.system(), "test.create") as change:
        assert await tickets.bulk_create(change.session, [], None) == []


async def test_fifty_tickets_made_at_once_have_fifty_numbers(live_database: Database, make_live: Make) -> None:
    creator = (await make_live.customer()).id
    made = await asyncio.gather(*(make_live.ticket(creator_id=creator) for _ in range(50)))
    assert len({ticket.ticket_number for ticket in made}) == 50


async def test_one_ticket_is_read_with_its_people_tags_and_files_and_nothing_is_loaded_later(
    database: Database, make: Make
) -> None:
    agent = await make.agent(full_name="Ana")
    ticket = await make.ticket(assignee_id=agent.id, created_by_id=agent.id)
    await make.tag("vip", ticket)
    async with database.read() as session:
        found = await tickets.with_details(session, ticket.id)
        assert await tickets.with_details(session, 999_999_999) is None
    assert found is not None
    assert found.assignee is not None
    assert (found.assignee.full_name, found.created_by, found.resolved_by) == ("Ana", found.assignee, None)
    assert ([tag.name for tag in found.tags], found.attachments) == (["vip"], [])
    with pytest.raises(InvalidRequestError, match="lazy='raise'"):
        found.comments  # noqa: B018  reading it is the point


async def test_assigning_a_ticket_that_is_deleted_for_good_meanwhile_is_no_error(
    database: Database, make: Make
) -> None:
    agent = await make.agent()
    async with database.transaction(Acting.system(), "test.assign") as change:
        outcome = await tickets.assign(change.session, Chosen.of(Ticket, []), agent)
    assert outcome == Outcome()
    with pytest.raises(BackdeskError, match="An id is a positive whole number"):
        Chosen.of(Ticket, [0])
