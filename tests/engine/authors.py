"""What plugin authors write in five lines, for tests: actions that know nothing of previews, jobs, outcomes or undo."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Attachment, Ticket
from admin_app.plugin import Chosen, Outcome, Plugin
from admin_app.queries.changes import apply, record

plugin = Plugin("authors")


@plugin.action(Ticket, label="Postpone", parallel=True)
async def postpone(session: AsyncSession, chosen: Chosen[Ticket], days: int) -> Outcome:
    later = Ticket.due_at + timedelta(days=days)
    return await apply(session, chosen, set={Ticket.due_at: later}, skip={"has no date": Ticket.due_at.is_(None)})


@plugin.action(Ticket, label="Shorten", parallel=True)
async def shorten(session: AsyncSession, chosen: Chosen[Ticket], letters: int) -> Outcome:
    """A title that has no more letters than are taken away is refused by the database."""
    return await apply(session, chosen, set={Ticket.title: func.substr(Ticket.title, letters + 1)})


@plugin.action(Attachment, label="Shrink", parallel=True)
async def shrink(session: AsyncSession, chosen: Chosen[Attachment], size: int) -> Outcome:
    """A file that is smaller than what is taken from it is refused by the database."""
    return await apply(session, chosen, set={Attachment.size_bytes: Attachment.size_bytes - size})


@plugin.action(Ticket, label="Stumble")
async def stumble(session: AsyncSession, chosen: Chosen[Ticket], how: str, at: int) -> Outcome:
    """Goes wrong where the ticket with this id is among the chosen."""
    outcome = await apply(session, chosen, set={Ticket.title: "Stumbled"})
    if at in (await session.scalars(chosen.keys())).all():
        if how == "bug":
            raise RuntimeError("of no interest to anybody: password=1234")
        if how == "driver":
            await session.execute(text("DO $$ BEGIN RAISE 'of no interest' USING ERRCODE = 'XX999'; END $$"))
        return replace(outcome, unchanged=1)
    return outcome


@plugin.action(Ticket, label="Reason")
async def reason(session: AsyncSession, chosen: Chosen[Ticket], why: str) -> Outcome:
    return await apply(session, chosen, set={Ticket.title: "Never"}, skip={why: Ticket.id > 0})


@plugin.action(Ticket, label="Sleep")
async def sleep(session: AsyncSession, chosen: Chosen[Ticket], seconds: str) -> Outcome:
    outcome = await apply(session, chosen, set={Ticket.title: "Slept"})
    await session.execute(select(func.pg_sleep(float(seconds))))
    return outcome


@plugin.action(Ticket, label="Backwards")
async def backwards(session: AsyncSession, chosen: Chosen[Ticket], title: str) -> Outcome:
    """By a loop of its own, from the last row to the first: the order in which others do not lock."""
    ids = sorted((await session.scalars(chosen.keys())).all(), reverse=True)
    for one in ids:
        await session.execute(update(Ticket).where(Ticket.id == one).values(title=title, version=Ticket.version + 1))
    await record(session, chosen, dict.fromkeys(ids, "changed"))
    return Outcome(changed=len(ids))
