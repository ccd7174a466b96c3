"""How far many tickets are, along the transitions that the desk allows."""

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import Forbidden
from admin_app.models import Ticket, TicketStatus
from admin_app.plugin import Acting, Authority, Chosen, Outcome, Plugin
from admin_app.queries import tickets

plugin = Plugin(__name__)


@plugin.action(Ticket, label="Set status", icon="status-in_progress", parallel=True, key="s", roles=("agent", "lead"))
async def change(
    session: AsyncSession, chosen: Chosen[Ticket], acting: Acting, authority: Authority, status: TicketStatus
) -> Outcome:
    """Every chosen ticket gets this status, where its present one leads there.

    Closed tickets and the trash stay as they are; an open ticket without an assignee is not resolved.
    """
    if status is TicketStatus.CLOSED and not authority.may("ticket.close"):
        raise Forbidden("You may not close tickets. It needs the permission ticket.close.")
    return await tickets.set_status(session, chosen, status, acting.user_id)


@plugin.action(Ticket, label="Reopen", icon="undo", parallel=True, reason="required")
async def reopen(session: AsyncSession, chosen: Chosen[Ticket], acting: Acting, authority: Authority) -> Outcome:
    """Every chosen ticket that is resolved is opened again, or was closed at most 30 days ago. Assignees stay.

    Closed ones are opened only by those who may reopen closed tickets.
    """
    may_reopen = authority.may("ticket.reopen_closed")
    return await tickets.reopen(session, chosen, acting.user_id, may_reopen=may_reopen)
