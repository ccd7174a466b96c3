"""Status and priority of many tickets: along the transitions, with every reason counted, and reopening apart."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin_app.db import Database
from admin_app.errors import BadInput, Forbidden
from admin_app.models import Ticket, TicketPriority, TicketStatus
from admin_app.plugin import Outcome
from admin_app.testing import Make, Statements
from tests.plugins.doing import NOWHERE, Somebody, closed_ticket, do, stored, trashed_ticket

PAST = datetime(2026, 1, 5, 9, tzinfo=UTC)


async def resolved_ticket(make: Make, **facts: Any) -> Ticket:
    return await make.ticket(status="resolved", created_at=PAST, resolved_at=PAST, **facts)


async def test_resolving_many_sets_time_and_resolver_and_says_why_others_stayed(database: Database, make: Make) -> None:
    lead, agent = await make.lead(), await make.agent()
    mine, nobodys = await make.ticket(assignee_id=agent.id), await make.ticket()
    working, solved = await make.ticket(status="in_progress"), await resolved_ticket(make)
    closed, gone = await closed_ticket(make), await trashed_ticket(database, make)
    ids = [ticket.id for ticket in (mine, nobodys, working, solved, closed, gone)] + [NOWHERE]
    done = await do(database, "status.change", ids, {"status": "resolved"}, by=lead)
    skipped = {"without an assignee": 1, "cannot become resolved": 1, "in the trash": 1, "not found": 1}
    assert done.outcome == Outcome(changed=2, unchanged=1, skipped=skipped)
    assert (done.rows[nobodys.id], done.rows[closed.id]) == ("without an assignee", "cannot become resolved")
    assert done.audited == {"tickets": 2}
    for ticket in (mine, working):
        after = await stored(database, ticket)
        assert (after.status, after.resolved_by_id, after.resolved_at is not None) == ("resolved", lead.id, True)
    again = await do(database, "status.change", ids, {"status": "resolved"}, by=lead)
    assert again.outcome == Outcome(unchanged=3, skipped=skipped)
    assert again.audited == {}


async def test_setting_a_status_never_reopens_a_closed_ticket(database: Database, make: Make) -> None:
    closed, solved = await closed_ticket(make), await resolved_ticket(make)
    old = await make.ticket(
        status="closed", created_at=PAST, resolved_at=PAST, closed_at=datetime.now(UTC) - timedelta(days=31)
    )
    done = await do(database, "status.change", [closed.id, solved.id, old.id], {"status": "open"})
    assert done.outcome == Outcome(changed=1, skipped={"closed": 1, "closed more than 30 days ago": 1})
    assert (await stored(database, solved)).reopen_count == 1
    for status in ("in_progress", "waiting_on_customer"):
        done = await do(database, "status.change", [closed.id], {"status": status})
        assert done.outcome == Outcome(skipped={f"cannot become {status.replace('_', ' ')}": 1})


async def test_only_who_may_close_tickets_closes_many(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    with pytest.raises(Forbidden, match=r"You may not close tickets\. It needs the permission ticket\.close\."):
        await do(database, "status.change", [ticket.id], {"status": "closed"}, authority=Somebody({"status.change"}))
    assert (await stored(database, ticket)).status is TicketStatus.OPEN
    authority = Somebody({"status.change", "ticket.close"})
    done = await do(database, "status.change", [ticket.id], {"status": "Closed"}, authority=authority)
    assert done.outcome == Outcome(changed=1)
    assert (await stored(database, ticket)).closed_at is not None


async def test_reopening_many_clears_their_resolution_and_says_why_others_stayed(
    database: Database, make: Make
) -> None:
    lead, agent = await make.lead(), await make.agent()
    solved, closed = await resolved_ticket(make, assignee_id=agent.id), await closed_ticket(make)
    unfinished, working = await make.ticket(), await make.ticket(status="in_progress")
    waiting, gone = await make.ticket(status="waiting_on_customer"), await trashed_ticket(database, make)
    old = await make.ticket(
        status="closed", created_at=PAST, resolved_at=PAST, closed_at=datetime.now(UTC) - timedelta(days=31)
    )
    ids = [ticket.id for ticket in (solved, closed, unfinished, working, waiting, gone, old)] + [NOWHERE]
    done = await do(database, "status.reopen", ids, by=lead)
    skipped = {
        "neither resolved nor closed": 2,
        "in the trash": 1,
        "closed more than 30 days ago": 1,
        "not found": 1,
    }
    assert done.outcome == Outcome(changed=2, unchanged=1, skipped=skipped)
    after = await stored(database, solved)
    assert (after.status, after.resolved_at, after.assignee_id, after.reopen_count) == ("open", None, agent.id, 1)
    assert (await stored(database, closed)).closed_at is None
    again = await do(database, "status.reopen", ids, by=lead)
    assert again.outcome == Outcome(unchanged=3, skipped=skipped)


async def test_closed_tickets_stay_closed_to_who_may_reopen_only_resolved_ones(database: Database, make: Make) -> None:
    solved, closed = await resolved_ticket(make), await closed_ticket(make)
    done = await do(database, "status.reopen", [solved.id, closed.id], authority=Somebody({"status.reopen"}))
    assert done.outcome == Outcome(changed=1, skipped={"closed": 1})


async def test_reopening_needs_a_reason_and_its_own_permission(database: Database, make: Make) -> None:
    ticket = await resolved_ticket(make)
    with pytest.raises(BadInput) as refused:
        await do(database, "status.reopen", [ticket.id], reason=" ")
    assert refused.value.fields == {"reason": "Please say why; it is kept in the audit log."}
    with pytest.raises(Forbidden, match=r"It needs the permission status\.reopen"):
        await do(database, "status.reopen", [ticket.id], authority=Somebody({"status.change", "ticket.reopen_closed"}))


async def test_priority_is_set_and_closed_tickets_and_the_trash_stay(database: Database, make: Make) -> None:
    low, urgent = await make.ticket(priority="low"), await make.ticket(priority="urgent")
    closed, gone = await closed_ticket(make), await trashed_ticket(database, make)
    solved = await resolved_ticket(make)
    ids = [ticket.id for ticket in (low, urgent, closed, gone, solved)] + [NOWHERE]
    done = await do(database, "priority.change", ids, {"priority": "urgent"})
    skipped = {"closed": 1, "in the trash": 1, "not found": 1}
    assert done.outcome == Outcome(changed=2, unchanged=1, skipped=skipped)
    assert done.audited == {"tickets": 2}
    after = await stored(database, low)
    assert (after.priority, after.priority_rank, after.status, after.due_at) == ("urgent", 4, "open", low.due_at)
    assert (await stored(database, closed)).priority is TicketPriority.MEDIUM
    again = await do(database, "priority.change", ids, {"priority": "urgent"})
    assert (again.outcome, again.audited) == (Outcome(unchanged=3, skipped=skipped), {})


@pytest.mark.parametrize(
    ("action", "given", "fields"),
    [
        ("status.change", {}, {"status": "Please fill this in."}),
        (
            "status.change",
            {"status": "done"},
            {"status": "“done” is none of open, in_progress, waiting_on_customer, resolved, closed."},
        ),
        ("priority.change", {"priority": "9"}, {"priority": "“9” is none of low, medium, high, urgent."}),
    ],
)
async def test_what_is_no_status_or_priority_is_refused_with_those_that_are(
    database: Database, make: Make, action: str, given: dict[str, str], fields: dict[str, str]
) -> None:
    ticket = await make.ticket()
    with pytest.raises(BadInput) as refused:
        await do(database, action, [ticket.id], given)
    assert refused.value.fields == fields


@pytest.mark.parametrize(
    ("action", "given"), [("status.change", {"status": "open"}), ("priority.change", {"priority": "low"})]
)
async def test_both_need_their_permission(database: Database, make: Make, action: str, given: dict[str, str]) -> None:
    ticket = await make.ticket()
    with pytest.raises(Forbidden, match=f"It needs the permission {action}"):
        await do(database, action, [ticket.id], given, authority=Somebody({"ticket.edit", "ticket.close"}))


@pytest.mark.parametrize(
    ("action", "given"),
    [("status.change", {"status": "closed"}), ("status.reopen", {}), ("priority.change", {"priority": "low"})],
)
async def test_thirty_tickets_take_as_many_statements_as_one(
    database: Database, make: Make, statements: Statements, action: str, given: dict[str, str]
) -> None:
    made = [await resolved_ticket(make) for _ in range(31)]
    counted = []
    for part in (made[:1], made[1:]):
        with statements(database) as seen:
            done = await do(database, action, [ticket.id for ticket in part], given)
        assert done.outcome == Outcome(changed=len(part))
        counted.append(len(seen))
    assert counted[0] == counted[1]
