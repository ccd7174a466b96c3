"""Today's work: what agents do at a made-up desk through the ordinary queries, so that the audit log shows them."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.db import Acting, Database
from admin_app.demo.desk import Desk
from admin_app.demo.people import Person
from admin_app.models import ACTIVE, Door, Ticket, TicketStatus, User
from admin_app.queries import tickets, trash
from admin_app.queries.changes import Chosen, Outcome

TWICE = "The same was asked and answered in another ticket"

Run = Callable[[AsyncSession, Chosen[Ticket]], Awaitable[Outcome]]


@dataclass(frozen=True)
class Deed:
    """What somebody does to the oldest tickets that fit, a few at most, and why."""

    by: Person
    action: str
    reason: str
    where: ColumnElement[bool]
    limit: int
    run: Run


async def work(database: Database, desk: Desk) -> None:
    """Do a few dozen things as the agents, each as a change set of its own; all are of today, and say so."""
    for deed in _deeds([person for person in desk.staff if person.topics]):
        async with database.read() as session:
            fitting = select(Ticket.id).where(deed.where).order_by(Ticket.id).limit(deed.limit)
            ids = (await session.scalars(fitting)).all()
        if ids:
            await _do(database, deed, Chosen.of(Ticket, ids))


async def _do(database: Database, deed: Deed, chosen: Chosen[Ticket]) -> None:
    acting = Acting(user_id=deed.by.id, door=Door.WEB, reason=deed.reason)
    parameters = {"resource": Ticket.__tablename__, "requested": chosen.requested}
    async with database.transaction(acting, deed.action, parameters=parameters) as change:
        outcome = await deed.run(change.session, chosen)
        change.counts.changed, change.counts.unchanged = outcome.changed, outcome.unchanged
        change.counts.skipped = dict(outcome.skipped)


def _deeds(agents: list[Person]) -> Iterator[Deed]:
    live = Ticket.deleted_at.is_(None)
    mine = [live & (Ticket.assignee_id == agent.id) for agent in agents]
    lead = next(agent for agent in agents if agent.role == "lead")
    nobodys = live & Ticket.assignee_id.is_(None) & Ticket.status.in_(ACTIVE)
    for number, agent in enumerate(agents):
        colleague = agents[(number + 5) % len(agents)]
        start = _become(TicketStatus.IN_PROGRESS, agent)
        yield Deed(agent, "ticket.edit", "Started today", mine[number] & _is(TicketStatus.OPEN), 2, start)
        if number % 2:
            active = mine[number] & Ticket.status.in_(ACTIVE)
            yield Deed(agent, "assign.assign", "Handing over before holiday", active, 4, _give(colleague))
            yield Deed(lead, "assign.assign", "Clearing the pool", nobodys, 3, _give(agent))
        else:
            solved = _become(TicketStatus.RESOLVED, agent)
            at_work = mine[number] & _is(TicketStatus.IN_PROGRESS)
            yield Deed(agent, "ticket.resolve", "Solved on the telephone", at_work, 2, solved)
            again = _become(TicketStatus.OPEN, agent)
            done = mine[number] & _is(TicketStatus.RESOLVED)
            yield Deed(agent, "ticket.reopen", "The customer called: it came back", done, 1, again)
    yield Deed(lead, "trash.put", TWICE, live & _is(TicketStatus.OPEN), 2, _discard(lead))
    yield Deed(lead, "trash.restore", "Not the same after all", Ticket.delete_reason == TWICE, 1, trash.restore)


def _is(status: TicketStatus) -> ColumnElement[bool]:
    return Ticket.status == status


def _give(agent: Person) -> Run:
    async def give(session: AsyncSession, chosen: Chosen[Ticket]) -> Outcome:
        return await tickets.assign(session, chosen, await session.get_one(User, agent.id))

    return give


def _become(status: TicketStatus, by: Person) -> Run:
    async def become(session: AsyncSession, chosen: Chosen[Ticket]) -> Outcome:
        return await tickets.set_status(session, chosen, status, by.id)

    return become


def _discard(by: Person) -> Run:
    async def discard(session: AsyncSession, chosen: Chosen[Ticket]) -> Outcome:
        return await trash.put(session, chosen, by.id, TWICE)

    return discard
