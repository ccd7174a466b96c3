"""What goes wrong by itself: locks in the wrong order, slow statements, long reasons, forms that are sent twice."""

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from sqlalchemy import URL, select, text, update
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import InternalError

from admin_app import jobs
from admin_app.actions import perform
from admin_app.db import Database
from admin_app.errors import BackdeskError, BadInput, Conflict, Unavailable
from admin_app.models import ChangeSet, Selection, Ticket
from admin_app.plugin import Chosen
from admin_app.refusals import translated
from admin_app.registry import Registry
from admin_app.settings import Limits, Settings
from admin_app.testing import Make
from tests.engine import authors
from tests.engine.desk import CHUNKED, WHOLE, Desk, Done, number, of_the_whole, tickets
from tests.engine.machine import until

LONG = "в корзине ☂ " * 40
SIZES = pytest.mark.parametrize("limits", [WHOLE, CHUNKED], ids=["at once", "in chunks"])


@pytest.fixture
def everything(registry: Registry) -> Registry:
    return Registry((*registry.plugins, authors.plugin))


@pytest.fixture
async def desk(live_database: Database, make_live: Make, everything: Registry) -> Desk:
    return Desk(live_database, everything, (await make_live.agent("developer")).id)


@SIZES
async def test_a_reason_of_480_letters_is_cut_where_it_is_kept_and_where_it_is_counted(
    desk: Desk, make_live: Make, limits: Limits
) -> None:
    ids = await tickets(desk.database, make_live, 7)
    order = desk.order("authors.reason", Chosen.of(Ticket, ids), {"why": LONG})
    done = await desk.do(replace(order, acting=replace(order.acting, reason=LONG)), limits)
    of_the_whole(done, 7)
    assert done.outcome.skipped == {LONG[:300]: 7}
    assert done.kept.reason == LONG.strip()


@SIZES
async def test_one_key_makes_one_change_set_however_many_send_it_at_the_same_moment(
    desk: Desk, make_live: Make, limits: Limits
) -> None:
    order = desk.order("authors.postpone", Chosen.of(Ticket, await tickets(desk.database, make_live, 4)), {"days": "1"})
    sent = [perform(desk.database, order, limits, idempotency_key="one") for _ in range(4)]
    answers = await asyncio.gather(*sent, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict"] * 3 + ["Performed"]
    assert await number(desk.database, ChangeSet, ChangeSet.action == "authors.postpone") == 1
    async with desk.database.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM jobs.pgqueuer")) == (1 if limits is CHUNKED else 0)


@SIZES
async def test_nothing_is_no_change_set(desk: Desk, limits: Limits) -> None:
    with pytest.raises(BadInput, match="Nothing is selected"):
        await desk.do(desk.order("authors.postpone", Chosen.of(Ticket, []), {"days": "1"}), limits)
    with pytest.raises(BadInput, match="Nothing matches any more"):
        await desk.frozen(Ticket, select(Ticket.id))
    assert await number(desk.database, ChangeSet, ChangeSet.action == "authors.postpone") == 0
    assert await number(desk.database, Selection) == 0


async def test_an_action_that_miscounts_changes_nothing(desk: Desk, make_live: Make) -> None:
    ids = await tickets(desk.database, make_live, 3)
    order = desk.order("authors.stumble", Chosen.of(Ticket, ids), {"how": "totals", "at": str(ids[1])})
    for attempt in (desk.preview(order), desk.do(order)):
        with pytest.raises(BackdeskError, match=r"stumble accounts for 4 of 3 rows\. Its plugin needs mending"):
            await attempt
    assert await number(desk.database, Ticket, Ticket.title == "Stumbled") == 0


async def test_a_statement_that_takes_too_long_is_undone_at_once_and_tried_again_as_a_job(
    desk: Desk, make_live: Make, live_url: URL
) -> None:
    ids = await tickets(desk.database, make_live, 6)
    order = desk.order("authors.sleep", Chosen.of(Ticket, ids), {"seconds": "0.6"})
    hasty = Database.connect(live_url, Settings(statement_timeout_ms=300))
    with pytest.raises(Unavailable, match="took too long"):
        await replace(desk, database=hasty).do(order)
    change_set = await desk.promise(order)
    with pytest.raises(Unavailable, match="took too long"):
        await jobs.step(hasty, desk.registry, CHUNKED, change_set)
    await hasty.close()
    waiting = await desk.done(change_set)
    assert (waiting.kept.state, waiting.noted, waiting.entries) == ("queued", {}, [])
    await jobs.drive(desk.database, desk.registry, CHUNKED, change_set)
    of_the_whole(await desk.done(change_set), 6)


async def test_jobs_that_lock_the_same_rows_in_opposite_order_and_forms_all_get_done(
    desk: Desk, make_live: Make, everything: Registry
) -> None:
    ids = await tickets(desk.database, make_live, 60)
    other = replace(desk, person=(await make_live.agent("developer")).id)
    settings = Settings(inline_limit=1, chunk_size=20)
    limits = settings.limits
    chosen = Chosen.of(Ticket, ids)
    one = await desk.promise(desk.order("authors.backwards", chosen, {"title": "Backwards"}), limits)
    two = await other.promise(other.order("authors.postpone", chosen, {"days": "1"}), limits)
    workers = [jobs.Worker(desk.database, everything, settings) for _ in range(2)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    edited = sum([await edited_by_form(desk, pair) for pair in zip(ids[::-1], ids, strict=True)])
    for change_set in (one, two):
        done = await ended(desk, change_set)
        assert done.kept.problem is None
        of_the_whole(done, 60)
        assert len(done.entries) == done.outcome.changed == 60
    for worker in workers:
        worker.stopping.set()
    await asyncio.gather(*running)
    versions = (await desk.rows("tickets"))["tickets"].values()
    assert sum(row["version"] - 1 for row in versions) == 60 + 60 + edited


async def edited_by_form(desk: Desk, pair: tuple[int, int]) -> int:
    """Change two tickets in one transaction, in this order; how many rows were changed, none where it was refused."""
    try:
        async with desk.database.transaction(desk.acting, "ticket.edit") as change:
            for ticket in dict.fromkeys(pair):
                row = update(Ticket).where(Ticket.id == ticket)
                await change.session.execute(row.values(description="Edited.", version=Ticket.version + 1))
    except Unavailable:
        return 0
    return len(set(pair))


async def ended(desk: Desk, change_set: int) -> Done:
    """What became of work, once it has ended."""

    async def over() -> Done | None:
        done = await desk.done(change_set)
        return done if done.kept.finished_at else None

    return await until(over)


async def test_work_that_lost_its_place_in_the_queue_is_put_in_again(desk: Desk, make_live: Make) -> None:
    ids = await tickets(desk.database, make_live, 4)
    change_set = await desk.promise(desk.order("authors.postpone", Chosen.of(Ticket, ids), {"days": "1"}))
    async with desk.database.bookkeeping() as session:
        await session.execute(text("DELETE FROM jobs.pgqueuer"))
    assert await jobs.adopt(desk.database) == [change_set]
    assert await jobs.adopt(desk.database) == [change_set]
    async with desk.database.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM jobs.pgqueuer")) == 1


@pytest.mark.parametrize("number_of_chunks", [0, 1])
async def test_whoever_cancels_comes_before_the_next_chunk(desk: Desk, make_live: Make, number_of_chunks: int) -> None:
    ids = await tickets(desk.database, make_live, 9)
    change_set = await desk.promise(desk.order("authors.postpone", Chosen.of(Ticket, ids), {"days": "1"}))
    for _ in range(number_of_chunks):
        await jobs.step(desk.database, desk.registry, CHUNKED, change_set)
    await jobs.cancel(desk.database, desk.authority, desk.acting, change_set, "Lena Lead")
    assert await jobs.step(desk.database, desk.registry, CHUNKED, change_set) is None
    done = await desk.done(change_set)
    assert (done.kept.state, done.kept.problem) == ("cancelled", "Cancelled by Lena Lead.")
    assert len(done.entries) == len(done.noted) == done.outcome.total == 3 * number_of_chunks
    with pytest.raises(Conflict, match="ended already"):
        await jobs.cancel(desk.database, desk.authority, desk.acting, change_set, "Lena Lead")


def test_a_driver_that_is_confused_by_a_lost_connection_has_lost_it() -> None:
    kind: Any = AsyncAdapt_asyncpg_dbapi.InternalClientError
    confused = kind("cannot switch to state 12", asyncpg.InternalClientError("cannot switch to state 12"))
    assert isinstance(translated(InternalError("RELEASE SAVEPOINT one", None, confused)), Unavailable)


async def test_who_acts_for_the_installation_does_jobs_too(desk: Desk, make_live: Make) -> None:
    ids = await tickets(desk.database, make_live, 5)
    system = replace(desk, person=None)
    done = await system.do(system.order("authors.postpone", Chosen.of(Ticket, ids), {"days": "1"}), CHUNKED)
    of_the_whole(done, 5)
    assert {(entry.user_id, entry.actor_kind, entry.reason) for entry in done.entries} == {(None, "system", "Because.")}
