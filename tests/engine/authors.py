"""What plugin authors write in five lines, for tests: actions that know nothing of previews, jobs, outcomes or undo."""

from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Attachment, Ticket
from admin_app.plugin import Chosen, Outcome, Plugin
from admin_app.queries.changes import apply

plugin = Plugin("authors")


@plugin.action(Ticket, label="Postpone")
async def postpone(session: AsyncSession, chosen: Chosen[Ticket], days: int) -> Outcome:
    later = Ticket.due_at + timedelta(days=days)
    return await apply(session, chosen, set={Ticket.due_at: later}, skip={"has no date": Ticket.due_at.is_(None)})


@plugin.action(Ticket, label="Shorten")
async def shorten(session: AsyncSession, chosen: Chosen[Ticket], letters: int) -> Outcome:
    """A title that has no more letters than are taken away is refused by the database."""
    return await apply(session, chosen, set={Ticket.title: func.substr(Ticket.title, letters + 1)})


@plugin.action(Attachment, label="Shrink")
async def shrink(session: AsyncSession, chosen: Chosen[Attachment], size: int) -> Outcome:
    """A file that is smaller than what is taken from it is refused by the database."""
    return await apply(session, chosen, set={Attachment.size_bytes: Attachment.size_bytes - size})
