"""Give many tickets to one agent, to several, or to nobody."""

from typing import Annotated

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Ticket, User
from admin_app.plugin import Chosen, Hint, Only, Outcome, Plugin
from admin_app.queries import handing, tickets
from admin_app.queries.handing import Way

plugin = Plugin(__name__)

STAFF = Only(User.is_staff & User.is_active)
Agent = Annotated[User, STAFF, Hint("Only active members of staff can be chosen.")]
Agents = Annotated[list[User], STAFF, Hint("Only active members of staff can be chosen.")]
Ways = Annotated[Way, Hint("Least open: to whoever has the fewest open tickets. Round robin: in turn.")]
StartWork = Annotated[bool, Hint("Open tickets are in progress then; any other status stays.")]


@plugin.action(Ticket, label="Assign to agent", icon="user-check", parallel=True, key="a", roles=("agent", "lead"))
async def assign(session: AsyncSession, chosen: Chosen[Ticket], agent: Agent, start_work: StartWork = False) -> Outcome:
    """Every chosen ticket goes to one agent, whoever had it before. Closed tickets and the trash stay as they are."""
    return await tickets.assign(session, chosen, agent, start_work=start_work)


@plugin.action(Ticket, label="Assign to nobody", icon="user-x", parallel=True, roles=("agent", "lead"))
async def unassign(session: AsyncSession, chosen: Chosen[Ticket]) -> Outcome:
    """Every chosen ticket is taken from whoever has it, so that somebody else can take it."""
    return await tickets.assign(session, chosen, None)


@plugin.action(Ticket, label="Distribute", icon="users")
async def distribute(
    session: AsyncSession,
    chosen: Chosen[Ticket],
    agents: Agents,
    way: Ways = Way.LEAST_OPEN,
    start_work: StartWork = False,
) -> Outcome:
    """The chosen tickets are handed out evenly to several agents, whoever had them before.

    Closed tickets and the trash stay as they are.
    """
    return await handing.distribute(session, chosen, agents, way, start_work=start_work)
