"""Tags of many tickets: give some, take some, or make them exactly these. Three actions, so that none is mistaken."""

from typing import Annotated

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Tag, Ticket
from admin_app.plugin import Chosen, Hint, Only, Outcome, Plugin
from admin_app.queries import tags as queries

plugin = Plugin(__name__)

Tags = Annotated[list[Tag], Only(Tag.is_active), Hint("Only tags that are in use can be chosen.")]
AnyTags = Annotated[list[Tag], Hint("Also tags that are no longer in use.")]


@plugin.action(Ticket, label="Add tags", icon="plus", parallel=True, key="t", roles=("agent", "lead"))
async def add(session: AsyncSession, chosen: Chosen[Ticket], tags: Tags) -> Outcome:
    """Every chosen ticket gets these tags and keeps those it has. Closed tickets too; the trash stays as it is."""
    return await queries.add(session, chosen, tags)


@plugin.action(Ticket, label="Remove tags", icon="minus", parallel=True, roles=("agent", "lead"))
async def remove(session: AsyncSession, chosen: Chosen[Ticket], tags: AnyTags) -> Outcome:
    """Every chosen ticket loses these tags and keeps all others. Closed tickets too; the trash stays as it is."""
    return await queries.remove(session, chosen, tags)


@plugin.action(Ticket, label="Replace tags", icon="tag", parallel=True)
async def replace(session: AsyncSession, chosen: Chosen[Ticket], tags: Tags) -> Outcome:
    """Every chosen ticket has exactly these tags afterwards: all its other tags are taken away."""
    return await queries.replace(session, chosen, tags)
