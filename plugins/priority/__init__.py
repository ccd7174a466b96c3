"""How soon many tickets should be worked on."""

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Ticket, TicketPriority
from admin_app.plugin import Chosen, Outcome, Plugin
from admin_app.queries import tickets

plugin = Plugin(__name__)


@plugin.action(Ticket, label="Set priority", icon="priority-high", parallel=True, key="p", roles=("agent", "lead"))
async def change(session: AsyncSession, chosen: Chosen[Ticket], priority: TicketPriority) -> Outcome:
    """Every chosen ticket gets this priority. Closed tickets and the trash stay as they are."""
    return await tickets.set_priority(session, chosen, priority)
