"""What every shipped action promises by itself: a true preview, the same in chunks as at once, and a way back."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from admin_app.actions import Operator, Order, perform, preview, undo_order
from admin_app.db import Acting, Database
from admin_app.errors import Conflict
from admin_app.jobs import step
from admin_app.models import (
    Attachment,
    Base,
    ChangeSet,
    ChangeSetState,
    Comment,
    Ticket,
    TicketPriority,
    TicketTag,
    User,
)
from admin_app.plugin import Chosen, Outcome
from admin_app.queries import trash
from admin_app.settings import Limits
from admin_app.testing import Make
from tests.plugins.doing import NOWHERE, REGISTRY

WHOLE, CHUNKS = Limits(1_000, 1_000, 1_000), Limits(1_000, 5, 5)
TEAM = {"agents": ["ana@example.com", "bo@example.com"]}
INPUTS: dict[str, dict[str, Any]] = {
    "absence.hand_over": {"agents": ["ana@example.com"]},
    "absence.release": {},
    "assign.assign": {"agent": "ana@example.com", "start_work": "yes"},
    "assign.unassign": {},
    "assign.distribute": TEAM,
    "notes.add": {"content": "Known."},
    "priority.change": {"priority": "urgent"},
    "status.change": {"status": "resolved"},
    "status.reopen": {},
    "tagging.add": {"tags": ["vip", "late"]},
    "tagging.remove": {"tags": ["vip", "late"]},
    "tagging.replace": {"tags": ["late"]},
    "trash.put": {},
    "trash.restore": {},
    "trash.purge": {},
}
"""What each action is given here; a new one has to be given something too."""


async def furnish(database: Database, make: Make) -> dict[type[Any], list[int]]:
    """A desk with some of everything that actions tell apart; by model the ids that are chosen."""
    ana, bo = await make.agent(email="ana@example.com"), await make.agent(email="bo@example.com")
    away, now = await make.agent(email="away@example.com", is_active=False), datetime.now(UTC)
    statuses: list[dict[str, Any]] = [
        {"status": "open"},
        {"status": "in_progress"},
        {"status": "waiting_on_customer"},
        {"status": "resolved", "created_at": now, "resolved_at": now},
        {"status": "closed", "created_at": now, "resolved_at": now, "closed_at": now},
    ]
    people = [None, ana.id, away.id]
    made = [
        await make.ticket(assignee_id=person, priority=list(TicketPriority)[number % 4], **facts)
        for person in people
        for number, facts in enumerate(statuses)
    ]
    await make.tag("vip", *made[::2])
    await make.tag("late", *made[::3])
    for ticket in made[::4]:
        await make.comment(ticket, bo, "An answer.", is_internal=False)
    async with database.transaction(Acting.system(), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [ticket.id for ticket in made[:2]]), None, "Spam.")
    return {Ticket: [*(ticket.id for ticket in made), NOWHERE], User: [away.id, bo.id, NOWHERE]}


async def rows(database: Database) -> dict[str, dict[Any, Any]]:
    """Everything that actions change, by table and key, without counters and times of changes."""
    found: dict[str, dict[Any, Any]] = {}
    models: tuple[type[Base], ...] = (Ticket, TicketTag, Comment, Attachment)
    async with database.read() as session:
        for model in models:
            table = model.__table__
            plain = [column for column in table.c if column.info.get("audit") != "derived"]
            keys = [column.name for column in table.primary_key]
            lines = (await session.execute(select(*plain))).mappings().all()
            found[model.__tablename__] = {tuple(line[key] for key in keys): dict(line) for line in lines}
    return found


async def order(database: Database, make: Make, permission: str) -> Order:
    """An action for everything that there is, by a developer."""
    action = REGISTRY.action(permission)
    chosen = await furnish(database, make)
    model = User if issubclass(User, action.model) else Ticket
    by = await make.agent("developer")
    return Order(
        authority=Operator(),
        acting=Acting(user_id=by.id, reason="Because."),
        action=action,
        chosen=Chosen.of(model, chosen[model]),
        given=INPUTS[permission],
        zone=ZoneInfo("UTC"),
    )


@pytest.mark.parametrize("permission", REGISTRY.actions)
async def test_the_preview_tells_what_is_done_and_changes_nothing(
    database: Database, make: Make, permission: str
) -> None:
    wanted = await order(database, make, permission)
    before = await rows(database)
    foretold = await preview(database, wanted, WHOLE)
    assert await rows(database) == before
    done = await perform(database, wanted, WHOLE)
    assert done.outcome == foretold.outcome
    assert done.outcome.changed > 0
    assert (await rows(database) != before, foretold.requested) == (True, wanted.chosen.requested)
    assert foretold.effects
    assert foretold.warnings == ((wanted.action.final,) if permission == "trash.purge" else ())


@pytest.mark.parametrize("permission", REGISTRY.actions)
async def test_what_is_classified_without_writing_is_what_chunks_do(
    database: Database, make: Make, permission: str
) -> None:
    wanted = await order(database, make, permission)
    foretold = await preview(database, wanted, replace(CHUNKS, inline=2))
    assert (foretold.exact, foretold.tried) == (True, 2)
    promised = await perform(database, wanted, replace(CHUNKS, inline=2))
    assert promised.outcome is None
    while await step(database, REGISTRY, CHUNKS, promised.change_set_id) is ChangeSetState.RUNNING:
        pass
    async with database.read() as session:
        kept = await session.get_one(ChangeSet, promised.change_set_id, populate_existing=True)
    assert (kept.state, kept.problem) == ("completed", None)
    assert Outcome(kept.changed, kept.unchanged, kept.skipped, kept.failed) == foretold.outcome


@pytest.mark.parametrize("permission", [name for name in REGISTRY.actions if name != "trash.purge"])
async def test_undoing_it_brings_everything_back(database: Database, make: Make, permission: str) -> None:
    wanted = await order(database, make, permission)
    before = await rows(database)
    done = await perform(database, wanted, WHOLE)
    back = await undo_order(database, Operator(), wanted.acting, done.change_set_id, {}, ZoneInfo("UTC"))
    undone = await perform(database, back, WHOLE)
    assert undone.outcome is not None
    assert (undone.outcome.skipped, undone.outcome.failed) == ({}, 0)
    assert await rows(database) == before


async def test_purging_cannot_be_undone(database: Database, make: Make) -> None:
    wanted = await order(database, make, "trash.purge")
    done = await perform(database, wanted, WHOLE)
    final = {action.permission: action.final for action in REGISTRY.actions.values() if action.final}
    with pytest.raises(Conflict, match=r"This cannot be undone\. Purged records are gone for good\."):
        await undo_order(database, Operator(), wanted.acting, done.change_set_id, final, ZoneInfo("UTC"))
