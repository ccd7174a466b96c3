"""Statistics of the desk by period and time zone; every number that a list can show leads to exactly its tickets."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.plugin import Plugin, Visit
from admin_app.queries.stats import ticket_statistics
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
