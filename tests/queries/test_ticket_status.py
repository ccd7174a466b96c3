"""The status machine: every transition with all that belongs to it, and nothing else, whatever order people choose."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, IllegalTransition
from admin_app.models import DONE, TRANSITIONS, AuditLog, Ticket, TicketStatus, TicketStatusEvent
from admin_app.queries import tickets, trash
from admin_app.queries.changes import Chosen, Outcome
from admin_app.testing import Make

OPEN, WORK, WAIT, SOLVED, CLOSED = TicketStatus
PAST = datetime(2026, 1, 5, 9, tzinfo=UTC)


def facts(status: TicketStatus, by: int) -> dict[str, Any]:
    """A ticket in a status, as the machine would have left it."""
    resolved = {"resolved_at": PAST, "first_resolved_at": PAST, "resolved_by_id": by} if status in DONE else {}
    closed = {"closed_at": datetime.now(UTC) - timedelta(days=1)} if status is CLOSED else {}
    return {"status": status, "created_at": PAST, "assignee_id": by, **resolved, **closed}


async def bring(
    database: Database, ticket: Ticket, status: TicketStatus, by: int, *, may_reopen: bool = False
) -> tuple[Outcome, Ticket]:
    """Bring one ticket to a status; the outcome, and the ticket as it is then."""
    chosen = Chosen.of(Ticket, [ticket.id])
    async with database.transaction(Acting(user_id=by), "status.set") as change:
        outcome = await tickets.set_status(change.session, chosen, status, by, may_reopen=may_reopen)
    async with database.read() as session:
        return outcome, await session.get_one(Ticket, ticket.id)


@pytest.mark.parametrize("wanted", TicketStatus)
@pytest.mark.parametrize("present", TicketStatus)
async def test_each_transition_brings_what_belongs_to_it(
    database: Database, make: Make, present: TicketStatus, wanted: TicketStatus
) -> None:
    before, lead = await make.agent(), await make.lead()
    ticket = await make.ticket(**facts(present, before.id))
    outcome, after = await bring(database, ticket, wanted, lead.id, may_reopen=True)
    if wanted is present:
        assert outcome == Outcome(unchanged=1)
    elif wanted not in TRANSITIONS[present]:
        assert outcome == Outcome(skipped={f"cannot become {wanted.replace('_', ' ')}": 1})
    else:
        assert outcome == Outcome(changed=1)
        await check_effects(database, ticket, after, lead.id)
        return
    assert (after.status, after.version, after.resolved_at) == (present, ticket.version, ticket.resolved_at)


async def check_effects(database: Database, before: Ticket, after: Ticket, by: int) -> None:
    """What entering and leaving a status brings with it."""
    reopened = before.status in DONE and after.status not in DONE
    assert after.version == before.version + 1
    assert (after.resolved_at is not None) == (after.status in DONE)
    assert (after.closed_at is not None) == (after.status is CLOSED)
    assert after.reopen_count == before.reopen_count + reopened
    assert (after.last_reopened_at is not None) == reopened
    assert after.assignee_id == before.assignee_id
    if after.status in DONE and before.status not in DONE:
        assert after.resolved_by_id == by
        assert after.first_resolved_at is not None
    if before.status in DONE:
        assert after.first_resolved_at == PAST
        assert after.resolved_by_id == (before.resolved_by_id if after.status in DONE else None)
        assert after.resolved_at == (PAST if after.status in DONE else None)
    async with database.read() as session:
        newest = select(TicketStatusEvent).where(TicketStatusEvent.ticket_id == before.id)
        event = (await session.scalars(newest.order_by(TicketStatusEvent.id.desc()).limit(1))).one()
    assert (event.from_status, event.to_status, event.actor_id) == (before.status, after.status, by)


async def test_a_first_resolution_is_kept_through_a_second_one(database: Database, make: Make) -> None:
    first, second = await make.agent(), await make.agent()
    ticket = await make.ticket(**facts(SOLVED, first.id))
    _, reopened = await bring(database, ticket, WORK, second.id)
    _, again = await bring(database, reopened, SOLVED, second.id)
    assert (again.first_resolved_at, again.resolved_by_id, again.reopen_count) == (PAST, second.id, 1)
    assert again.resolved_at is not None
    assert again.resolved_at > PAST


async def test_an_open_ticket_that_nobody_has_is_not_resolved_but_may_be_closed(database: Database, make: Make) -> None:
    agent, ticket, working = await make.agent(), await make.ticket(), await make.ticket(status=WORK)
    assert (await bring(database, ticket, SOLVED, agent.id))[0] == Outcome(skipped={"without an assignee": 1})
    assert (await bring(database, working, SOLVED, agent.id))[0] == Outcome(changed=1)
    assert (await bring(database, ticket, CLOSED, agent.id))[0] == Outcome(changed=1)


@pytest.mark.parametrize(
    ("days", "may_reopen", "reason"),
    [
        (29, True, None),
        (29, False, "closed"),
        (31, True, "closed more than 30 days ago"),
        (31, False, "closed more than 30 days ago"),
    ],
)
async def test_a_closed_ticket_is_reopened_only_with_permission_and_within_thirty_days(
    database: Database, make: Make, days: int, may_reopen: bool, reason: str | None
) -> None:
    lead = await make.lead()
    closed_at = datetime.now(UTC) - timedelta(days=days)
    ticket = await make.ticket(**facts(CLOSED, lead.id) | {"closed_at": closed_at})
    outcome, after = await bring(database, ticket, OPEN, lead.id, may_reopen=may_reopen)
    assert outcome == (Outcome(skipped={reason: 1}) if reason else Outcome(changed=1))
    assert after.status is (CLOSED if reason else OPEN)


async def test_a_mixed_selection_is_told_apart_by_its_reasons(database: Database, make: Make) -> None:
    lead = await make.lead()
    made = {status: await make.ticket(**facts(status, lead.id)) for status in TicketStatus}
    gone = await make.ticket()
    async with database.transaction(Acting(user_id=lead.id), "status.set") as change:
        await trash.put(change.session, Chosen.of(Ticket, [gone.id]), lead.id, "Spam.")
        last = await change.session.scalar(select(func.max(AuditLog.id)))
        chosen = Chosen.of(Ticket, [*(ticket.id for ticket in made.values()), gone.id, 999_999_999])
        outcome = await tickets.set_status(change.session, chosen, SOLVED, lead.id)
        entries = (await change.session.scalars(select(AuditLog).where(AuditLog.id > last))).all()
    skipped = {"in the trash": 1, "cannot become resolved": 1, "not found": 1}
    assert outcome == Outcome(changed=3, unchanged=1, skipped=skipped)
    assert {entry.record_id for entry in entries} == {str(made[status].id) for status in (OPEN, WORK, WAIT)}
    assert all(entry.changes["new"]["status"] == "resolved" for entry in entries)


async def test_a_ticket_that_is_said_to_be_made_in_the_future_can_be_closed(database: Database, make: Make) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=5)
    ticket = await make.ticket(created_at=ahead)
    outcome, after = await bring(database, ticket, CLOSED, (await make.lead()).id)
    assert (outcome, after.resolved_at, after.closed_at) == (Outcome(changed=1), ahead, ahead)


@pytest.mark.parametrize("present", TicketStatus)
def test_a_single_form_is_told_which_statuses_may_follow(present: TicketStatus) -> None:
    for wanted in TicketStatus:
        if wanted is present or wanted in TRANSITIONS[present]:
            tickets.check_transition(present, wanted)
            continue
        with pytest.raises(IllegalTransition, match=r"^A ticket that is closed can become: open\.$"):
            tickets.check_transition(present, wanted)


@pytest.mark.parametrize(
    "values",
    [
        "status = 'resolved'",
        "status = 'closed', resolved_at = now()",
        "resolved_at = now()",
        "closed_at = now()",
        "status = 'resolved', resolved_at = created_at - interval '1 second'",
        "first_response_at = created_at - interval '1 second'",
        "reopen_count = -1",
        "delete_reason = 'Spam.'",
        "status = 'done'",
        "priority = 'extreme'",
        "title = ' '",
    ],
)
async def test_the_database_refuses_a_state_that_cannot_be(database: Database, make: Make, values: str) -> None:
    await make.ticket()
    with pytest.raises(BadInput):
        async with database.transaction(Acting.system(), "test.impossible") as change:
            await change.session.execute(text(f"UPDATE tickets SET {values}"))


@dataclass(frozen=True)
class Expected:
    """What a ticket must be after each command, worked out without SQL."""

    status: TicketStatus = OPEN
    assigned: bool = False
    trashed: bool = False
    reopened: int = 0
    changes: int = 0
    moves: int = 0

    def after(self, command: str, may: bool) -> "Expected":
        if command == "restore":
            return self.changed(trashed=False) if self.trashed else self
        if command == "put":
            return self if self.trashed else self.changed(trashed=True)
        if self.trashed:
            return self
        if command in {"assign", "unassign"}:
            wanted = command == "assign"
            return self if self.status is CLOSED or self.assigned is wanted else self.changed(assigned=wanted)
        return self.moved(TicketStatus(command), may)

    def moved(self, wanted: TicketStatus, may: bool) -> "Expected":
        barred = (wanted is OPEN and self.status is CLOSED and not may) or (
            wanted is SOLVED and self.status is OPEN and not self.assigned
        )
        if barred or wanted not in TRANSITIONS[self.status]:
            return self
        again = self.reopened + (self.status in DONE and wanted not in DONE)
        return self.changed(status=wanted, reopened=again, moves=self.moves + 1)

    def changed(self, **facts: Any) -> "Expected":
        return replace(self, changes=self.changes + 1, **facts)


COMMANDS = st.tuples(
    st.sampled_from([*TicketStatus, "assign", "unassign", "put", "restore"]),
    st.booleans(),
    st.sets(st.integers(0, 2), min_size=1),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commands=st.lists(COMMANDS, max_size=15))
async def test_whatever_people_do_the_database_agrees_with_the_rules(
    database: Database, make: Make, commands: list[tuple[str, bool, set[int]]]
) -> None:
    agent = await make.agent()
    expected = [Expected()] * 3
    async with database.transaction(Acting(user_id=agent.id), "test.commands") as change:
        session = change.session
        drafts = [{"title": "t", "description": "d", "creator_id": agent.id}] * 3
        made = [ticket.id for ticket in await tickets.bulk_create(session, drafts, agent.id)]
        for command, may, numbers in commands:
            chosen = Chosen.of(Ticket, [made[number] for number in numbers])
            before = expected
            expected = [e.after(command, may) if n in numbers else e for n, e in enumerate(expected)]
            if command in {"assign", "unassign"}:
                outcome = await tickets.assign(session, chosen, agent if command == "assign" else None)
            elif command == "put":
                outcome = await trash.put(session, chosen, agent.id, "Why.")
            elif command == "restore":
                outcome = await trash.restore(session, chosen)
            else:
                outcome = await tickets.set_status(session, chosen, TicketStatus(command), agent.id, may_reopen=may)
            assert outcome.changed == sum(old != new for old, new in zip(before, expected, strict=True))
            assert outcome.total == len(numbers)
        for number, expectation in zip(made, expected, strict=True):
            await compare(session, number, expectation)


async def compare(session: Any, number: int, expected: Expected) -> None:
    """Whether a ticket, its events and its audit entries are what was expected."""
    ticket = await session.get_one(Ticket, number, populate_existing=True)
    assert (ticket.status, ticket.assignee_id is not None, ticket.deleted_at is not None, ticket.reopen_count) == (
        expected.status,
        expected.assigned,
        expected.trashed,
        expected.reopened,
    )
    assert ticket.version == 1 + expected.changes
    found = select(TicketStatusEvent).where(TicketStatusEvent.ticket_id == number)
    events = (await session.scalars(found.order_by(TicketStatusEvent.at, TicketStatusEvent.id))).all()
    assert len(events) == 1 + expected.moves
    assert all(later.from_status == earlier.to_status for earlier, later in pairwise(events))
    assert events[-1].to_status == expected.status
    entries = select(func.count()).where(AuditLog.table_name == "tickets", AuditLog.record_id == str(number))
    assert await session.scalar(entries) == 1 + expected.changes


async def test_the_update_of_many_columns_at_once_still_counts_one_event(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    async with database.transaction(Acting.system(), "test.raw") as change:
        values = {"status": "closed", "resolved_at": func.now(), "closed_at": func.now(), "title": "New"}
        await change.session.execute(update(Ticket).where(Ticket.id == ticket.id).values(values))
        events = select(func.count()).where(TicketStatusEvent.ticket_id == ticket.id)
        assert await change.session.scalar(events) == 2
