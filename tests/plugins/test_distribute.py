"""Distributing tickets over agents: evenly, always alike, in chunks as at once, and work that starts with it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, Forbidden
from admin_app.models import DONE, Ticket, TicketStatus, User
from admin_app.plugin import Chosen, Outcome
from admin_app.queries import handing, selections, tickets
from admin_app.queries.handing import Way
from admin_app.testing import Make, Statements
from tests.plugins.doing import NOWHERE, Somebody, closed_ticket, do, stored, trashed_ticket

WAYS = list(Way)


async def many(database: Database, number: int, **facts: Any) -> list[int]:
    """So many tickets, by their ids."""
    async with database.transaction(Acting.system(), "test.make") as change:
        creator = await change.session.scalar(select(func.min(User.id)))
        row = {"title": "t", "description": "d", "creator_id": creator, **facts}
        return sorted(await change.session.scalars(insert(Ticket).returning(Ticket.id), [row] * number))


async def owners(database: Database, ids: Sequence[int]) -> list[int | None]:
    """Who has each of some tickets."""
    async with database.read() as session:
        found = select(Ticket.assignee_id).where(Ticket.id.in_(ids)).order_by(Ticket.id)
        return list(await session.scalars(found))


def expected(number: int, loads: dict[int, int]) -> list[int]:
    """Who gets each of so many tickets, worked out one by one."""
    loads, found = dict(loads), []
    for _ in range(number):
        agent = min(loads, key=lambda agent: (loads[agent], agent))
        loads[agent] += 1
        found.append(agent)
    return found


async def test_tickets_go_to_whoever_has_the_fewest_open_ones(database: Database, make: Make) -> None:
    ana, bo, cem = [await make.agent() for _ in range(3)]
    await many(database, 5, assignee_id=ana.id)
    await many(database, 1, assignee_id=bo.id, status="in_progress")
    await many(database, 4, assignee_id=cem.id, status="waiting_on_customer")
    await closed_ticket(make, assignee_id=cem.id)
    await trashed_ticket(database, make, assignee_id=cem.id)
    made = await many(database, 8)
    done = await do(database, "assign.distribute", made, {"agents": [ana.id, bo.id, cem.id]})
    assert done.outcome == Outcome(changed=8)
    assert await owners(database, made) == expected(8, {ana.id: 5, bo.id: 1, cem.id: 0})
    assert Counter(await owners(database, made)) == {bo.id: 4, cem.id: 4}


async def test_round_robin_takes_turns_whatever_the_loads(database: Database, make: Make) -> None:
    ana, bo, cem = [await make.agent() for _ in range(3)]
    await many(database, 5, assignee_id=ana.id)
    made = await many(database, 7)
    given = {"agents": [cem.id, ana.id, bo.id], "way": "round_robin"}
    assert (await do(database, "assign.distribute", made, given)).outcome == Outcome(changed=7)
    assert await owners(database, made) == [ana.id, bo.id, cem.id] * 2 + [ana.id]


@pytest.mark.parametrize("way", WAYS)
async def test_every_reason_is_counted_and_a_second_time_changes_nothing(
    database: Database, make: Make, way: Way
) -> None:
    ana, bo = await make.agent(), await make.agent()
    made = await many(database, 5, assignee_id=ana.id)
    now = datetime.now(UTC)
    made += await many(database, 1, status="resolved", created_at=now, resolved_at=now)
    closed, gone = await closed_ticket(make), await trashed_ticket(database, make)
    ids, given = [*made, closed.id, gone.id, NOWHERE], {"agents": [ana.id, bo.id], "way": way.value}
    done = await do(database, "assign.distribute", ids, given)
    skipped = {"closed": 1, "in the trash": 1, "not found": 1}
    assert done.outcome == Outcome(changed=3, unchanged=3, skipped=skipped)
    assert Counter(await owners(database, made)) == {ana.id: 3, bo.id: 3}
    assert done.audited == {"tickets": 3}
    assert ((await stored(database, closed)).assignee_id, (await stored(database, gone)).assignee_id) == (None, None)
    again = await do(database, "assign.distribute", ids, {**given, "agents": [bo.id, ana.id]})
    assert (again.outcome, again.audited) == (Outcome(unchanged=6, skipped=skipped), {})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    loads=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    had=st.lists(st.sampled_from([None, 0, 1, 2, 3, "closed"]), min_size=1, max_size=25),
    way=st.sampled_from(WAYS),
    size=st.integers(1, 9),
)
async def test_chunks_give_what_all_at_once_would_give_and_what_was_foretold(
    database: Database, make: Make, loads: list[int], had: list[int | str | None], way: Way, size: int
) -> None:
    agents = [await make.agent() for _ in loads]
    for agent, load in zip(agents, loads, strict=True):
        if load:
            await many(database, load, assignee_id=agent.id)
    made = await many(database, len(had))
    await had_by(database, dict(zip(made, had, strict=True)), agents)
    kept = await selection(database, made)
    async with database.read() as session:
        whole = Chosen.frozen(Ticket, kept, len(made))
        foretold = await handing.distribute(session, replace(whole, classify=True), agents, way)
    async with database.transaction(Acting.system(), "assign.distribute") as change:
        outcome, position = Outcome(), None
        for start in range(0, len(made), size):
            part = replace(whole.after(position, size), change_set_id=change.id, requested=len(made[start:][:size]))
            outcome += await handing.distribute(change.session, part, agents, way)
            position = made[start:][:size][-1]
    taken = [ticket for ticket, before in zip(made, had, strict=True) if before != "closed"]
    ids = [agent.id for agent in agents]
    wanted = {
        Way.LEAST_OPEN: expected(len(taken), dict(zip(ids, loads, strict=True))),
        Way.ROUND_ROBIN: [ids[place % len(ids)] for place in range(len(taken))],
    }
    assert await owners(database, taken) == wanted[way]
    assert outcome == foretold


async def had_by(database: Database, had: dict[int, int | str | None], agents: Sequence[User]) -> None:
    """Give tickets to agents by their place, or close them."""
    async with database.transaction(Acting.system(), "test.make") as change:
        for ticket, before in had.items():
            chosen = Chosen.of(Ticket, [ticket])
            if before == "closed":
                await tickets.set_status(change.session, chosen, TicketStatus.CLOSED, None)
            elif isinstance(before, int) and before < len(agents):
                await tickets.assign(change.session, chosen, agents[before])


async def selection(database: Database, ids: Sequence[int]) -> int:
    """A frozen selection of tickets."""
    async with database.bookkeeping() as session:
        keys = Chosen.of(Ticket, ids).keys()
        return (await selections.freeze(session, keys, user_id=None, resource="ticket", limit=len(ids))).id


async def test_twenty_thousand_tickets_are_classified_and_handed_out(live_database: Database, make_live: Make) -> None:
    agents = [await make_live.agent() for _ in range(5)]
    made = await many(live_database, 20_000)
    given = {"agents": [agent.id for agent in agents]}
    chosen = replace(Chosen.of(Ticket, made), classify=True)
    async with live_database.read() as session:
        foretold = await handing.distribute(session, chosen, agents, Way.LEAST_OPEN)
    assert foretold == Outcome(changed=20_000)
    await do(live_database, "assign.distribute", made[:10_000], given)
    assert Counter(await owners(live_database, made[:10_000])) == {agent.id: 2_000 for agent in agents}


@pytest.mark.parametrize("action", ["assign.assign", "assign.distribute"])
async def test_work_starts_on_open_tickets_only_and_only_when_it_is_said(
    database: Database, make: Make, action: str
) -> None:
    ana = await make.agent()
    fresh, hers = await make.ticket(), await make.ticket(assignee_id=ana.id)
    waiting, working = await make.ticket(status="waiting_on_customer"), await make.ticket(status="in_progress")
    now = datetime.now(UTC)
    solved = await make.ticket(status="resolved", created_at=now, resolved_at=now, assignee_id=ana.id)
    made = [fresh, hers, waiting, working, solved]
    who = {"agent": ana.id} if action == "assign.assign" else {"agents": [ana.id]}
    done = await do(database, action, [ticket.id for ticket in made], who)
    assert done.outcome == Outcome(changed=3, unchanged=2)
    assert [(await stored(database, ticket)).status for ticket in made] == [ticket.status for ticket in made]
    done = await do(database, action, [ticket.id for ticket in made], {**who, "start_work": "yes"})
    assert done.outcome == Outcome(changed=2, unchanged=3)
    after = ["in_progress", "in_progress", "waiting_on_customer", "in_progress", "resolved"]
    assert [(await stored(database, ticket)).status for ticket in made] == after
    assert (await stored(database, solved)).resolved_at == solved.resolved_at


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {"agents": "Please pick at least one."}),
        ({"agents": ["ghost"]}, {"agents": "“ghost” was not found, or cannot be chosen here."}),
        ({"agents": ["gone@example.com"]}, {"agents": "“gone@example.com” was not found, or cannot be chosen here."}),
        ({"agents": ["ana@example.com"], "way": "lot"}, {"way": "“lot” is none of least_open, round_robin."}),
    ],
)
async def test_agents_and_ways_that_cannot_be_used_are_refused(
    database: Database, make: Make, given: dict[str, Any], fields: dict[str, str]
) -> None:
    ticket = await make.ticket()
    await make.agent(email="ana@example.com")
    await make.agent(email="gone@example.com", is_active=False)
    with pytest.raises(BadInput) as refused:
        await do(database, "assign.distribute", [ticket.id], given)
    assert refused.value.fields == fields


async def test_whoever_left_meanwhile_gets_nothing(database: Database, make: Make) -> None:
    ticket, ana = await make.ticket(), await make.agent(full_name="Ana", is_active=False)
    for agents, sentence in (([ana], "Ana is not an active member of staff"), ([], "Please pick at least one")):
        with pytest.raises(BadInput, match=sentence):
            async with database.transaction(Acting.system(), "assign.distribute") as change:
                await handing.distribute(change.session, Chosen.of(Ticket, [ticket.id]), agents, Way.LEAST_OPEN)


async def test_distributing_needs_its_permission(database: Database, make: Make) -> None:
    ticket, ana = await make.ticket(), await make.agent()
    who = Somebody({"assign.assign", "ticket.edit"})
    with pytest.raises(Forbidden, match=r"It needs the permission assign\.distribute"):
        await do(database, "assign.distribute", [ticket.id], {"agents": [ana.id]}, authority=who)


@pytest.mark.parametrize("way", WAYS)
async def test_thirty_tickets_take_as_many_statements_as_one(
    database: Database, make: Make, statements: Statements, way: Way
) -> None:
    agents = [(await make.agent()).id for _ in range(3)]
    made, counted = await many(database, 31), []
    for part in (made[:1], made[1:]):
        with statements(database) as seen:
            await do(database, "assign.distribute", part, {"agents": agents, "way": way.value})
        counted.append(len(seen))
    assert counted[0] == counted[1]


async def test_a_ticket_is_no_longer_handed_out_once_somebody_closed_it(database: Database, make: Make) -> None:
    ana, bo = await make.agent(), await make.agent()
    made = await many(database, 4)
    async with database.transaction(Acting.system(), "test.close") as change:
        values = {"status": "closed", "resolved_at": func.now(), "closed_at": func.now()}
        await change.session.execute(update(Ticket).where(Ticket.id == made[0]).values(values))
    done = await do(database, "assign.distribute", made, {"agents": [ana.id, bo.id]})
    assert done.outcome == Outcome(changed=3, skipped={"closed": 1})
    assert await owners(database, made) == [None, ana.id, bo.id, ana.id]
    assert {*DONE} == {TicketStatus.RESOLVED, TicketStatus.CLOSED}
