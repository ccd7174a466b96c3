"""Ten thousand rows of which some are hidden and some refused: the report is exact, and all others are done."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text

from admin_app import jobs
from admin_app.db import Acting, Database
from admin_app.models import Attachment, Role, RolePermission, Ticket, User
from admin_app.plugin import Chosen
from admin_app.queries import rules, users
from admin_app.queries.users import Actor
from admin_app.registry import Registry, declare_permissions
from admin_app.settings import Limits
from admin_app.testing import Make, Statements
from tests.engine import authors
from tests.engine.desk import Desk, number, of_the_whole, tickets

ROWS = 10_000
AS_JOB = Limits(bulk=200_000, inline=1_000, chunk=2_000)
AT_ONCE = Limits(bulk=200_000, inline=200_000, chunk=2_000)

FILES = text(
    """
INSERT INTO attachments (ticket_id, filename, content_type, size_bytes, sha256, storage_key, is_internal)
SELECT cast(:ticket AS bigint), n || '.txt', 'text/plain', CASE WHEN n % 3331 = 0 THEN 3 ELSE 1000 END, repeat('0', 64),
  'key ' || n || ' of ' || cast(:ticket AS bigint), n % 1371 = 0
FROM generate_series(1, :rows) n"""
)
"""Files, of which 7 are internal and 3 are small."""


@pytest.fixture
def everything(registry: Registry) -> Registry:
    return Registry((*registry.plugins, authors.plugin))


@pytest.fixture
async def clerk(live_database: Database, make_live: Make, everything: Registry) -> User:
    """Somebody who may see files, but for internal ones, and work on them."""
    await declare_permissions(live_database, everything)
    async with live_database.transaction(Acting.system(), "test.make") as change:
        role = Role(name="clerk")
        change.session.add(role)
        await change.session.flush()
        granted = [{"role_id": role.id, "permission": name} for name in ("authors.*", "attachment.view", "assign.*")]
        await change.session.execute(insert(RolePermission), granted)
    return await make_live.agent("clerk")


async def actor_of(database: Database, user: User) -> Actor:
    async with database.read() as session:
        found = await users.actor_by_id(session, user.id)
    assert found is not None
    return found


async def files(database: Database, make: Make, rows: int) -> None:
    """So many files of one ticket."""
    ticket = await make.ticket()
    async with database.transaction(Acting.system(), "test.make") as change:
        await change.session.execute(FILES, {"ticket": ticket.id, "rows": rows})


@pytest.mark.parametrize("limits", [AT_ONCE, AS_JOB], ids=["at once", "as a job"])
async def test_seven_hidden_and_three_refused_of_ten_thousand_are_reported_and_the_rest_is_done(
    live_database: Database, make_live: Make, everything: Registry, clerk: User, statements: Statements, limits: Limits
) -> None:
    await files(live_database, make_live, ROWS)
    actor = await actor_of(live_database, clerk)
    desk = Desk(live_database, everything, clerk.id, actor)
    chosen = (await desk.frozen(Attachment, select(Attachment.id))).seen(rules.visible(actor, Attachment))
    await files(live_database, make_live, 50)
    with statements(live_database) as seen:
        done = await desk.do(desk.order("authors.shrink", chosen, {"size": "5"}), limits)
    print(f"{len(seen)} statements")  # noqa: T201
    of_the_whole(done, ROWS)
    assert (done.outcome.changed, done.outcome.skipped, done.outcome.failed) == (9_990, {"not found": 7}, 3)
    async with live_database.read() as session:
        of = select(Attachment.id).where(Attachment.id.in_(chosen.keys()))
        hidden = set(await session.scalars(of.where(Attachment.is_internal)))
        small = set(await session.scalars(of.where(Attachment.size_bytes == 3)))
        rest = await session.scalar(select(func.count()).where(Attachment.size_bytes == 995))
    assert {row for row, became in done.noted.items() if became == "not found"} == hidden
    assert done.failed == dict.fromkeys(small, "A value breaks a rule of the desk.")
    assert rest == len(done.entries) == 9_990
    assert await number(live_database, Attachment, Attachment.size_bytes == 1_000) == 7 + 50
    assert len(seen) < 350
    again = await jobs.retry(live_database, everything, actor, desk.acting, done.id, limits)
    of_the_whole(await desk.do(again, limits), 3)


CHUNKS = Limits(bulk=200_000, inline=1, chunk=10)


async def promised(desk: Desk, action: str, given: dict[str, Any], ids: list[int]) -> int:
    """Work of which two chunks of ten are done."""
    change_set = await desk.promise(desk.order(action, Chosen.of(Ticket, ids), given), CHUNKS)
    for _ in range(2):
        state = await jobs.step(desk.database, desk.registry, CHUNKS, change_set)
        assert state == "running"
    return change_set


async def failed_with(desk: Desk, change_set: int, sentence: str, kept: int = 20) -> None:
    """Fail unless the next chunk ends the work with this sentence, and what was done is kept."""
    assert await jobs.step(desk.database, desk.registry, CHUNKS, change_set) == "failed"
    assert await jobs.step(desk.database, desk.registry, CHUNKS, change_set) is None
    done = await desk.done(change_set)
    assert (done.kept.state, done.kept.problem) == ("failed", sentence)
    assert done.kept.finished_at
    assert done.outcome.changed == len(done.entries) == len(done.noted) == kept


@pytest.fixture
async def desk(live_database: Database, everything: Registry, clerk: User) -> Desk:
    return Desk(live_database, everything, clerk.id)


async def test_a_permission_that_is_taken_away_stops_the_work_and_so_its_undoing(desk: Desk, make_live: Make) -> None:
    ids = await tickets(desk.database, make_live, 40)
    change_set = await promised(desk, "authors.postpone", {"days": "1"}, ids)
    undone = await desk.do(desk.order("authors.postpone", Chosen.of(Ticket, ids), {"days": "1"}))
    undoing = await desk.promise(await desk.undoing(undone.id), CHUNKS)
    assert await jobs.step(desk.database, desk.registry, CHUNKS, undoing) == "running"
    async with desk.database.transaction(Acting.system(), "test.take") as change:
        await change.session.execute(text("DELETE FROM role_permissions WHERE permission = 'authors.*'"))
    await failed_with(desk, change_set, "Whoever ordered this may no longer do “Postpone”.")
    needs = "You may not undo this, because you may not do it. It needs the permission authors.postpone."
    await failed_with(desk, undoing, needs, kept=10)


async def test_the_work_of_somebody_who_left_stops(desk: Desk, make_live: Make) -> None:
    change_set = await promised(desk, "authors.postpone", {"days": "1"}, await tickets(desk.database, make_live, 40))
    async with desk.database.transaction(Acting.system(), "test.leave") as change:
        gone = text("UPDATE users SET is_active = false WHERE id = :id")
        await change.session.execute(gone, {"id": desk.person})
    await failed_with(desk, change_set, "Whoever ordered this is not active any more.")


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("bug", "A plugin failed (RuntimeError)."),
        ("driver", "Something went wrong that we did not foresee."),
        (
            "totals",
            "What was done is taken back: authors.stumble accounts for 11 of 10 rows. Its plugin needs mending.",
        ),
    ],
)
async def test_the_bug_of_a_plugin_stops_the_work_with_what_was_done(
    desk: Desk, make_live: Make, how: str, sentence: str
) -> None:
    ids = await tickets(desk.database, make_live, 40)
    change_set = await promised(desk, "authors.stumble", {"how": how, "at": str(ids[25])}, ids)
    await failed_with(desk, change_set, sentence)
    undone = await desk.undo(change_set)
    assert undone.outcome.changed == 20
    assert await number(desk.database, Ticket, Ticket.title == "Stumbled") == 0


async def test_rows_that_come_or_go_after_the_freeze_are_not_touched_or_not_found(desk: Desk, make_live: Make) -> None:
    ids = await tickets(desk.database, make_live, 30)
    chosen = await desk.frozen(Ticket, select(Ticket.id))
    await tickets(desk.database, make_live, 5)
    async with desk.database.transaction(Acting.system(), "test.purge") as change:
        await change.session.execute(text("DELETE FROM tickets WHERE id = ANY(:ids)"), {"ids": ids[::10]})
    order = desk.order("authors.postpone", chosen, {"days": "1"})
    done = await desk.do(order, CHUNKS)
    of_the_whole(done, 30)
    assert (done.outcome.changed, done.outcome.skipped) == (27, {"not found": 3})
    assert {int(entry.record_id) for entry in done.entries} == set(ids) - set(ids[::10])
    gone = await desk.do(replace(order, chosen=Chosen.of(Ticket, ids[::10])), CHUNKS)
    assert (gone.outcome.total, gone.outcome.skipped, gone.entries) == (3, {"not found": 3}, [])
