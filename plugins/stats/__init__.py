"""Statistics of the desk by period and time zone; every number that a list can show leads to exactly its tickets."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import ACTIVE, TicketStatus
from admin_app.plugin import Plugin, Visit
from admin_app.queries import tickets
from admin_app.queries.stats import ticket_statistics
from admin_app.queries.tickets import TicketFilter
from plugins.stats.asked import PRESETS, Asked, zones
from plugins.stats.charts import NARROW, WIDE, line_chart
from plugins.stats.shown import Shown

plugin = Plugin(__name__)


@plugin.page(label="Statistics", template="stats/statistics.html", icon="chart", roles=("lead", "auditor"))
async def statistics(session: AsyncSession, visit: Visit) -> dict[str, Any]:
    """What came in, what was resolved and how long it took, and what is still to do: by period and time zone."""
    asked = Asked.parse(visit)
    found = await ticket_statistics(session, asked.period, imports=asked.imports)
    series = {"Created": [day.created for day in found.days], "Resolved": [day.resolved for day in found.days]}
    return {
        "asked": asked,
        "presets": PRESETS,
        "zones": zones(),
        "found": found,
        "shown": Shown(found, visit),
        "wide": line_chart(asked.period.days, series, WIDE),
        "narrow": line_chart(asked.period.days, series, NARROW),
    }


LIST = "/admin/ticket/list?"


@plugin.stat(label="My open tickets", href=f"{LIST}assignee=me&status=open,in_progress", permission="ticket.view")
async def my_open(session: AsyncSession, visit: Visit) -> int:
    """Tickets of the viewer on which the desk has to act."""
    return await tickets.count(session, TicketFilter(statuses=ACTIVE, assignees=[visit.user_id]))


@plugin.stat(label="Unassigned", href=f"{LIST}assignee=none&status=open,in_progress", permission="ticket.view")
async def unassigned(session: AsyncSession, visit: Visit) -> int:
    """Tickets on which the desk has to act and that nobody has."""
    return await tickets.count(session, TicketFilter(statuses=ACTIVE, assignees=[None]))


@plugin.stat(label="Overdue", href=f"{LIST}overdue=yes", permission="ticket.view")
async def overdue(session: AsyncSession, visit: Visit) -> int:
    """Tickets on which the desk has to act and whose time has passed."""
    return await tickets.count(session, TicketFilter(overdue=True))


@plugin.stat(label="Waiting on customer", href=f"{LIST}status=waiting_on_customer", permission="ticket.view")
async def waiting(session: AsyncSession, visit: Visit) -> int:
    """Tickets on which the customer has to act."""
    return await tickets.count(session, TicketFilter(statuses=[TicketStatus.WAITING_ON_CUSTOMER]))
