"""Give many tickets to one agent, or to nobody."""

from typing import Annotated

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Ticket, User
from admin_app.plugin import Chosen, Hint, Only, Outcome, Plugin
from admin_app.queries import tickets

plugin = Plugin(__name__)

Agent = Annotated[User, Only(User.is_staff & User.is_active), Hint("Only active members of staff can be chosen.")]


@plugin.action(Ticket, label="Assign to agent", icon="user-check", roles=("agent", "lead"))
async def assign(session: AsyncSession, chosen: Chosen[Ticket], agent: Agent) -> Outcome:
    """Every chosen ticket goes to one agent, whoever had it before. Closed tickets and the trash stay as they are."""
    return await tickets.assign(session, chosen, agent)


@plugin.action(Ticket, label="Assign to nobody", icon="user-x", roles=("agent", "lead"))
async def unassign(session: AsyncSession, chosen: Chosen[Ticket]) -> Outcome:
    """Every chosen ticket is taken from whoever has it, so that somebody else can take it."""
    return await tickets.assign(session, chosen, None)
