"""Internal notes to many tickets at once."""

from typing import Annotated

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput
from admin_app.models import Ticket
from admin_app.plugin import Acting, Chosen, Hint, Outcome, Plugin
from admin_app.queries import comments

plugin = Plugin(__name__)

Note = Annotated[str, Hint("Customers never see it.", label="Note", long=True)]


@plugin.action(Ticket, label="Add internal note", icon="message", parallel=True, key="n", roles=("agent", "lead"))
async def add(session: AsyncSession, chosen: Chosen[Ticket], acting: Acting, content: Note) -> Outcome:
    """The same note is written to every chosen ticket, closed ones too, in your name. The trash stays as it is."""
    if acting.user_id is None:
        raise BadInput("A note needs an author. Say with --as who writes it.")
    return await comments.note(session, chosen, acting.user_id, content)
