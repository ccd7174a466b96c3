"""Handing tickets out to several agents: chosen ones, or all that agents have who are away."""

import enum
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Subquery,
    Text,
    and_,
    cast,
    func,
    literal,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput
from admin_app.models import RowOutcome, Ticket, TicketStatus, User
from admin_app.queries.changes import CHANGED, UNCHANGED, Chosen, Outcome, Writes, apply, write
from admin_app.queries.locks import hold, lock
from admin_app.queries.tickets import CLOSED, IN_TRASH, active, check_agent, started

UNFINISHED = (TicketStatus.OPEN, TicketStatus.IN_PROGRESS, TicketStatus.WAITING_ON_CUSTOMER)
"""Statuses in which a ticket still needs somebody who looks after it."""


class Way(enum.StrEnum):
    """How tickets are handed out."""

    LEAST_OPEN = "least_open"
    ROUND_ROBIN = "round_robin"


async def distribute(
    session: AsyncSession, chosen: Chosen[Ticket], agents: Sequence[User], way: Way, *, start_work: bool = False
) -> Outcome:
    """Hand the chosen tickets out to agents, in the order of their ids, as if nobody had them yet.

    By least open load each goes to whoever then has the fewest tickets that the desk has to act on; in turn otherwise.
    Agents are taken in the order of their ids, so that the same tickets and loads always give the same result, in
    chunks too. Closed tickets and those in the trash are skipped. Raises BadInput for who is no active staff.
    """
    _check(agents)
    if not chosen.classify:
        await lock(session, User, User.id.in_([agent.id for agent in agents]))
    await hold(session, chosen)
    wanted = and_(
        chosen.where(Ticket.id), *chosen.visible, Ticket.deleted_at.is_(None), Ticket.status != TicketStatus.CLOSED
    )
    return await apply(
        session,
        chosen,
        set={Ticket.assignee_id: _target(wanted, agents, way, chosen), **(started() if start_work else {})},
        skip={IN_TRASH: Ticket.deleted_at.is_not(None), CLOSED: Ticket.status == TicketStatus.CLOSED},
    )


async def hand_over(
    session: AsyncSession, chosen: Chosen[User], agents: Sequence[User], way: Way = Way.LEAST_OPEN
) -> Outcome:
    """Hand out all unfinished tickets of the chosen people to agents; to nobody where there is no agent.

    A person who has none stays `unchanged`. Raises BadInput for an agent who is no active staff, or is among those
    whose tickets are handed over.
    """
    if agents:
        _check(agents)
    ids = [agent.id for agent in agents]
    own = await session.scalars(select(User.full_name).where(chosen.where(User.id), User.id.in_(ids)).order_by(User.id))
    if names := ", ".join(own):
        raise BadInput(fields={"agents": f"{names}: cannot take over what they hand over. Pick somebody else."})
    theirs = and_(Ticket.deleted_at.is_(None), Ticket.status.in_(UNFINISHED))
    away = select(User.id).where(chosen.where(User.id), *chosen.visible)
    wanted = and_(Ticket.assignee_id.in_(away), theirs)
    if not chosen.classify:
        await hold(session, chosen, also=User.id.in_(ids))
        await lock(session, Ticket, wanted)
    target = _target(wanted, agents, way) if agents else None

    def given(changed: Subquery) -> Writes:
        values = {"assignee_id": target, "version": Ticket.version + 1, "updated_at": func.now()}
        return [update(Ticket).where(Ticket.assignee_id.in_(select(changed.c.id)), theirs).values(values)]

    has_none = ~select(Ticket.id).where(Ticket.assignee_id == User.id, theirs).correlate(User).exists()
    return await write(session, chosen, unchanged=has_none, writes=given)


def _check(agents: Sequence[User]) -> None:
    if not agents:
        raise BadInput(fields={"agents": "Please pick at least one."})
    for agent in agents:
        check_agent("agents", agent)


def _target(
    wanted: ColumnElement[bool], agents: Sequence[User], way: Way, chosen: Chosen[Ticket] | None = None
) -> ColumnElement[Any]:
    """The id of the agent who gets a ticket, of those that are wanted.

    All of them are handed out once, into one map by ticket id, in which each row then finds its own: a subquery by row
    would do it all again for each of them.
    """
    tickets = select(Ticket.id, func.row_number().over(order_by=Ticket.id).label("turn")).where(wanted).cte("wanted")
    ids = literal(sorted({agent.id for agent in agents}), ARRAY(BigInteger))
    people = select(func.unnest(ids).label("id")).cte("people")
    hands = _least_open if way is Way.LEAST_OPEN else _in_turn
    handed = hands(tickets, people, chosen)
    both = select(tickets.c.id, handed.c.agent_id).join(handed, handed.c.turn == tickets.c.turn).subquery("both")
    entries = select(func.jsonb_object_agg(cast(both.c.id, Text), both.c.agent_id).label("map")).cte("handed")
    found = cast(select(entries.c.map).scalar_subquery(), JSONB)[cast(Ticket.id, Text)]
    return cast(found.astext, BigInteger)


def _least_open(tickets: CTE, people: Any, chosen: Chosen[Ticket] | None) -> CTE:
    """Whose turn is when, if each takes the place where the fewest open tickets would be.

    An agent with two open tickets offers the places 3, 4 and so on; the lowest places of all agents are taken, by turn.
    Nobody needs places above the level at which all would be equal.
    """
    loads = _loads(tickets, people, chosen)
    number = select(func.count()).select_from(tickets).scalar_subquery()
    everything = select(cast(func.sum(loads.c.number), BigInteger)).scalar_subquery() + number
    agents = select(func.count()).select_from(loads).scalar_subquery()
    level = (everything + agents - 1) / agents
    room = func.least(number, func.floor(level) - loads.c.number)
    place = (
        func.generate_series(1, cast(room, BigInteger)).table_valued("number", name="place").render_derived().lateral()
    )
    turn = func.row_number().over(order_by=[loads.c.number + place.c.number, loads.c.id])
    offered = select(loads.c.id.label("agent_id"), turn.label("turn"))
    return offered.select_from(loads).join(place, true()).cte("places")


def _loads(tickets: CTE, people: Any, chosen: Chosen[Ticket] | None) -> CTE:
    """How many open tickets each agent has besides those that are handed out, and those handed out to them before.

    What another chunk of the same change set hands out, or did, counts as it would if all were done at once.
    """
    theirs = select(Ticket.assignee_id.label("agent_id")).where(Ticket.assignee_id.in_(select(people.c.id)))
    besides = theirs.where(active(), ~select(tickets.c.id).where(tickets.c.id == Ticket.id).exists())
    parts = [besides]
    if chosen is not None and chosen.change_set_id is not None:
        before = and_(RowOutcome.record_id == Ticket.id, *_done(chosen.change_set_id))
        parts = [besides.where(~select(RowOutcome.record_id).where(before).exists()), theirs.join(RowOutcome, before)]
    if chosen is not None and chosen.selection_id is not None:
        items = Chosen.frozen(Ticket, chosen.selection_id, chosen.requested).keys().subquery("items")
        parts[0] = besides.where(~select(items.c[0]).where(items.c[0] == Ticket.id).exists())
    held = union_all(*parts).subquery("held")
    counted = select(people.c.id, func.count(held.c.agent_id).label("number"))
    counted = counted.select_from(people).outerjoin(held, held.c.agent_id == people.c.id)
    return counted.group_by(people.c.id).cte("loads")


def _in_turn(tickets: CTE, people: Any, chosen: Chosen[Ticket] | None) -> CTE:
    """Whose turn is when, if agents take turns; a later chunk of a change set goes on where the last one ended."""
    before: ColumnElement[int] = literal(0, BigInteger)
    if chosen is not None and chosen.change_set_id is not None:
        done = select(func.count()).select_from(RowOutcome).where(*_done(chosen.change_set_id))
        before = done.scalar_subquery()
    ranked = select(people.c.id, (func.row_number().over(order_by=people.c.id) - 1).label("place")).subquery("ranked")
    agents = select(func.count()).select_from(people).scalar_subquery()
    due = ranked.c.place == (tickets.c.turn - 1 + before) % agents
    return select(ranked.c.id.label("agent_id"), tickets.c.turn).select_from(tickets).join(ranked, due).cte("turns")


def _done(change_set_id: int) -> list[ColumnElement[bool]]:
    return [RowOutcome.change_set_id == change_set_id, RowOutcome.outcome.in_((CHANGED, UNCHANGED))]
