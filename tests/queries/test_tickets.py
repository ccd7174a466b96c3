"""Tickets: bulk changes through the set-based engine, and search."""

import pytest

from admin_app.db import Acting, Database
from admin_app.errors import BadInput
from admin_app.models import Ticket, TicketStatus
from admin_app.queries import tickets
from admin_app.queries.changes import Chosen, Outcome
from admin_app.testing import Make


async def test_assign_gives_every_open_ticket_to_the_agent_and_says_why_others_were_skipped(
    database: Database, make: Make
) -> None:
    agent, lead = await make.agent(), await make.lead()
    unassigned, already = await make.ticket(), await make.ticket(assignee_id=agent.id)
    closed = await make.ticket()
    async with database.transaction(Acting(user_id=lead.id), "test.close") as change:
        await tickets.set_status(change.session, Chosen.of(Ticket, [closed.id]), TicketStatus.CLOSED, lead.id)
    async with database.transaction(Acting(user_id=lead.id), "assign.assign") as change:
        chosen = Chosen.of(Ticket, [unassigned.id, already.id, closed.id, 999_999_999, unassigned.id])
        outcome = await tickets.assign(change.session, chosen, agent)
        still = await change.session.get_one(Ticket, closed.id)
    assert outcome == Outcome(changed=1, unchanged=1, skipped={"closed": 1, "not found": 1})
    assert outcome.total == chosen.requested == 4
    assert still.assignee_id is None


async def test_assign_refuses_somebody_who_is_not_active_staff(database: Database, make: Make) -> None:
    customer, ticket = await make.customer(), await make.ticket()
    with pytest.raises(BadInput, match="is not an active member of staff"):
        async with database.transaction(Acting.system(), "assign.assign") as change:
            await tickets.assign(change.session, Chosen.of(Ticket, [ticket.id]), customer)
