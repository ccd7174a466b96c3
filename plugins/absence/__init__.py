"""What becomes of the tickets of somebody who is away or has left: all that is unfinished, from the person's page."""

from typing import Annotated

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import User
from admin_app.plugin import Chosen, Hint, Only, Outcome, Plugin
from admin_app.queries import handing
from admin_app.queries.handing import Way

plugin = Plugin(__name__)

Agents = Annotated[
    list[User],
    Only(User.is_staff & User.is_active),
    Hint("One colleague, or several who share the tickets.", label="To"),
]
Ways = Annotated[Way, Hint("Among several: to whoever has the fewest open tickets, or in turn.")]


@plugin.action(User, label="Hand over tickets", icon="user-check")
async def hand_over(session: AsyncSession, chosen: Chosen[User], agents: Agents, way: Ways = Way.LEAST_OPEN) -> Outcome:
    """All tickets of the chosen people that are open, in progress or waiting for the customer go to colleagues.

    Resolved and closed ones stay theirs, and those in the trash.
    """
    return await handing.hand_over(session, chosen, agents, way)


@plugin.action(User, label="Release tickets", icon="user-x")
async def release(session: AsyncSession, chosen: Chosen[User]) -> Outcome:
    """All tickets of the chosen people that are open, in progress or waiting for the customer go to nobody.

    Somebody else can take them then. Resolved and closed ones stay theirs, and those in the trash.
    """
    return await handing.hand_over(session, chosen, [])
