"""Handing over or releasing all that somebody has: the unfinished tickets, and nothing else."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, Forbidden
from admin_app.models import AuditLog, Ticket, User
from admin_app.plugin import Chosen, Outcome
from admin_app.queries import handing
from admin_app.testing import Make, Statements
from tests.plugins.doing import NOWHERE, Somebody, closed_ticket, do, stored, trashed_ticket


async def desk_of(database: Database, make: Make, person: User) -> tuple[list[Ticket], list[Ticket]]:
    """A person's tickets: those that are unfinished, and those that stay theirs."""
    now = datetime.now(UTC)
    statuses = ("open", "in_progress", "waiting_on_customer")
    unfinished = [await make.ticket(status=status, assignee_id=person.id) for status in statuses]
    solved = await make.ticket(status="resolved", created_at=now, resolved_at=now, assignee_id=person.id)
    closed, gone = await closed_ticket(make, assignee_id=person.id), await trashed_ticket(database, make)
    return unfinished, [solved, closed, gone]


async def owners(database: Database, made: list[Ticket]) -> list[int | None]:
    return [(await stored(database, ticket)).assignee_id for ticket in made]


async def test_everything_unfinished_goes_to_one_colleague_and_the_rest_stays(database: Database, make: Make) -> None:
    ana, bo, idle = await make.agent(is_active=False), await make.agent(), await make.agent()
    unfinished, finished = await desk_of(database, make, ana)
    elsewhere, before = await make.ticket(assignee_id=idle.id), await owners(database, finished)
    ids = [ana.id, bo.id + 1_000, NOWHERE]
    done = await do(database, "absence.hand_over", ids, {"agents": [bo.email]}, model=User)
    assert done.outcome == Outcome(changed=1, skipped={"not found": 2})
    assert done.rows[ana.id] == "changed"
    assert done.audited == {"tickets": 3}
    assert await owners(database, unfinished) == [bo.id] * 3
    assert await owners(database, finished) == before
    assert (await stored(database, elsewhere)).assignee_id == idle.id
    after = await stored(database, unfinished[0])
    assert (after.version, after.status) == (unfinished[0].version + 1, "open")
    again = await do(database, "absence.hand_over", [ana.id], {"agents": [bo.email]}, model=User)
    assert (again.outcome, again.audited) == (Outcome(unchanged=1), {})


@pytest.mark.parametrize(("way", "shares"), [("least_open", {"bo": 1, "cem": 5}), ("round_robin", {"bo": 3, "cem": 3})])
async def test_the_tickets_of_several_people_are_shared_by_several(
    database: Database, make: Make, way: str, shares: dict[str, int]
) -> None:
    ana, ina, bo, cem = [await make.agent() for _ in range(4)]
    unfinished = [ticket for person in (ana, ina) for ticket in (await desk_of(database, make, person))[0]]
    for _ in range(4):
        await make.ticket(assignee_id=bo.id)
    given = {"agents": [bo.id, cem.id], "way": way}
    done = await do(database, "absence.hand_over", [ana.id, ina.id], given, model=User)
    assert done.outcome == Outcome(changed=2)
    assert Counter(await owners(database, unfinished)) == {bo.id: shares["bo"], cem.id: shares["cem"]}


async def test_everything_unfinished_is_released_for_others_to_take(database: Database, make: Make) -> None:
    ana, idle = await make.agent(), await make.agent()
    unfinished, finished = await desk_of(database, make, ana)
    before = await owners(database, finished)
    done = await do(database, "absence.release", [ana.id, idle.id, NOWHERE], model=User)
    assert done.outcome == Outcome(changed=1, unchanged=1, skipped={"not found": 1})
    assert done.rows == {ana.id: "changed", idle.id: "unchanged", NOWHERE: "not found"}
    assert (await owners(database, unfinished), await owners(database, finished)) == ([None] * 3, before)
    async with database.read() as session:
        entry = select(AuditLog).where(AuditLog.table_name == "tickets", AuditLog.record_id == str(unfinished[0].id))
        last = (await session.scalars(entry.order_by(AuditLog.id.desc()).limit(1))).one()
    assert last.changes == {"old": {"assignee_id": ana.id}, "new": {"assignee_id": None}}


async def test_nobody_takes_over_what_they_hand_over(database: Database, make: Make) -> None:
    ana, bo = await make.agent(full_name="Ana"), await make.agent(full_name="Bo")
    ticket = await make.ticket(assignee_id=ana.id)
    with pytest.raises(BadInput) as refused:
        await do(database, "absence.hand_over", [ana.id, bo.id], {"agents": [bo.id, ana.id]}, model=User)
    assert refused.value.fields == {"agents": "Ana, Bo: cannot take over what they hand over. Pick somebody else."}
    assert (await stored(database, ticket)).assignee_id == ana.id


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Please pick at least one."),
        ({"agents": ["gone@example.com"]}, "“gone@example.com” was not found, or cannot be chosen here."),
    ],
)
async def test_colleagues_who_cannot_take_over_are_refused(
    database: Database, make: Make, given: dict[str, Any], sentence: str
) -> None:
    ana, gone = await make.agent(), await make.agent(email="gone@example.com", full_name="Gone", is_active=False)
    with pytest.raises(BadInput) as refused:
        await do(database, "absence.hand_over", [ana.id], given, model=User)
    assert refused.value.fields == {"agents": sentence}
    with pytest.raises(BadInput, match="Gone is not an active member of staff"):
        async with database.transaction(Acting.system(), "absence.hand_over") as change:
            await handing.hand_over(change.session, Chosen.of(User, [ana.id]), [gone])


@pytest.mark.parametrize("action", ["absence.hand_over", "absence.release"])
async def test_both_need_their_permission(database: Database, make: Make, action: str) -> None:
    ana = await make.agent()
    with pytest.raises(Forbidden, match=f"It needs the permission {action}"):
        await do(database, action, [ana.id], model=User, authority=Somebody({"user.edit", "assign.assign"}))


async def test_a_hand_over_takes_as_many_statements_however_many_tickets(
    database: Database, make: Make, statements: Statements
) -> None:
    ana, ina, bo = [await make.agent() for _ in range(3)]
    for number in range(31):
        await make.ticket(assignee_id=ana.id if number else ina.id)
    counted = []
    for person in (ana, ina):
        with statements(database) as seen:
            await do(database, "absence.hand_over", [person.id], {"agents": [bo.id]}, model=User)
        counted.append(len(seen))
    assert counted[0] == counted[1]


async def test_what_would_become_of_people_is_told_without_moving_a_ticket(database: Database, make: Make) -> None:
    ana, idle, bo = [await make.agent() for _ in range(3)]
    ticket = await make.ticket(assignee_id=ana.id)
    chosen = Chosen(User, (ana.id, idle.id), requested=2, classify=True)
    async with database.read() as session:
        assert await handing.hand_over(session, chosen, [bo]) == Outcome(changed=1, unchanged=1)
    assert (await stored(database, ticket)).assignee_id == ana.id
