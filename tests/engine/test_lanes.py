"""Long work in two parts at the same time: each row is done once, whoever takes which part, and however it ends."""

import asyncio
from collections import Counter

import pytest
from sqlalchemy import select, update

from admin_app import jobs
from admin_app.actions import advance
from admin_app.db import Database
from admin_app.models import ChangeSetLane, ChangeSetState, Ticket, User
from admin_app.registry import Registry
from admin_app.settings import Limits
from admin_app.testing import Make
from tests.engine import authors
from tests.engine.desk import Desk, Done, of_the_whole, tickets

LIMITS = Limits(bulk=200_000, inline=1, chunk=10, lanes=3)


@pytest.fixture
async def desk(live_database: Database, registry: Registry) -> Desk:
    return Desk(live_database, Registry((*registry.plugins, authors.plugin)), None)


async def promised(desk: Desk, make: Make, action: str, given: dict[str, str], rows: int) -> int:
    """Work on so many tickets that nobody does yet."""
    await tickets(desk.database, make, rows)
    return await desk.promise(desk.order(action, await desk.frozen(Ticket, select(Ticket.id)), given), LIMITS)


async def lanes(desk: Desk, change_set: int) -> list[ChangeSetLane]:
    async with desk.database.read() as session:
        found = select(ChangeSetLane).where(ChangeSetLane.change_set_id == change_set).order_by(ChangeSetLane.lane)
        return list((await session.scalars(found)).all())


async def drive(desk: Desk, change_set: int) -> None:
    await jobs.drive(desk.database, desk.registry, LIMITS, change_set)


@pytest.mark.parametrize("workers", [1, 2, 5])
async def test_every_row_is_done_once_by_however_many_workers(desk: Desk, make_live: Make, workers: int) -> None:
    change_set = await promised(desk, make_live, "authors.shorten", {"letters": "9"}, 64)
    assert [(lane.done, lane.until is None) for lane in await lanes(desk, change_set)] == [
        (False, False),
        (False, False),
        (False, True),
    ]
    await asyncio.gather(*(drive(desk, change_set) for _ in range(workers)))
    done = await desk.done(change_set)
    of_the_whole(done, 64)
    assert (done.kept.state, done.outcome.changed) == (ChangeSetState.COMPLETED, 64)
    assert len({entry.record_id for entry in done.entries}) == len(done.entries) == 64
    assert all(lane.done for lane in await lanes(desk, change_set))


async def test_fewer_rows_than_chunks_have_no_more_lanes_than_chunks(desk: Desk, make_live: Make) -> None:
    change_set = await promised(desk, make_live, "authors.shorten", {"letters": "9"}, 10)
    assert len(await lanes(desk, change_set)) == 1
    await drive(desk, change_set)
    of_the_whole(await desk.done(change_set), 10)


async def test_work_whose_rows_depend_on_each_other_has_one_lane(desk: Desk, make_live: Make) -> None:
    change_set = await promised(desk, make_live, "authors.reason", {"why": "so"}, 40)
    assert len(await lanes(desk, change_set)) == 1
    await drive(desk, change_set)
    of_the_whole(await desk.done(change_set), 40)


async def done_whole(desk: Desk, make: Make, action: str, given: dict[str, str], rows: int) -> Done:
    """The same to so many tickets in one transaction."""
    await tickets(desk.database, make, rows)
    return await desk.do(desk.order(action, await desk.frozen(Ticket, select(Ticket.id)), given))


@pytest.mark.parametrize("workers", [1, 3])
async def test_undoing_changes_of_different_records_has_lanes_and_a_redo_has_them_too(
    desk: Desk, make_live: Make, workers: int
) -> None:
    shortened = await done_whole(desk, make_live, "authors.shorten", {"letters": "9"}, 64)
    touched = shortened.entries[40]
    async with desk.database.transaction(desk.acting, "ticket.edit") as change:
        ours = update(Ticket).where(Ticket.id == int(touched.record_id))
        await change.session.execute(ours.values(title="Somebody works on it"))
    undo = await desk.promise(await desk.undoing(shortened.id), LIMITS)
    assert [lane.until is None for lane in await lanes(desk, undo)] == [False, False, True]
    await asyncio.gather(*(drive(desk, undo) for _ in range(workers)))
    undone = await desk.done(undo)
    of_the_whole(undone, 64)
    assert (undone.outcome.changed, undone.outcome.skipped) == (63, {"changed since": 1})
    assert undone.noted[touched.id] == "changed since"
    assert len({entry.record_id for entry in undone.entries}) == len(undone.entries) == 63
    redo = await desk.promise(await desk.undoing(undo), LIMITS)
    assert len(await lanes(desk, redo)) == 3
    await asyncio.gather(*(drive(desk, redo) for _ in range(workers)))
    of_the_whole(await desk.done(redo), 63)
    assert Counter(await titles(desk)) == {" broken": 63, "Somebody works on it": 1}


async def titles(desk: Desk) -> list[str]:
    async with desk.database.read() as session:
        return list((await session.scalars(select(Ticket.title))).all())


async def test_undoing_several_changes_of_a_record_or_changes_of_several_tables_has_one_lane(
    desk: Desk, make_live: Make
) -> None:
    await tickets(desk.database, make_live, 30)
    before = await titles(desk)
    async with desk.database.transaction(desk.acting, "ticket.edit") as twice:
        for title in ("Once", "Twice"):
            await twice.session.execute(update(Ticket).values(title=title))
        twice.counts.changed = 30
    async with desk.database.transaction(desk.acting, "ticket.edit") as wide:
        await wide.session.execute(update(Ticket).values(title="Thrice"))
        await wide.session.execute(update(User).values(full_name="Thrice"))
        wide.counts.changed = 30
    for change_set in (wide.id, twice.id):
        undo = await desk.promise(await desk.undoing(change_set), LIMITS)
        assert len(await lanes(desk, undo)) == 1
        await drive(desk, undo)
        done = await desk.done(undo)
        assert done.outcome.changed == done.outcome.total
    assert await titles(desk) == before


async def test_cancelling_waits_for_no_chunk_and_takes_back_the_one_that_is_being_done(
    desk: Desk, make_live: Make
) -> None:
    change_set = await promised(desk, make_live, "authors.shorten", {"letters": "9"}, 60)
    assert await jobs.step(desk.database, desk.registry, LIMITS, change_set) is ChangeSetState.RUNNING
    order = desk.order("authors.shorten", await desk.frozen(Ticket, select(Ticket.id)), {"letters": "9"})
    async with desk.database.resumed(change_set) as change:
        assert change is not None
        await advance(change, order, LIMITS)
        await jobs.cancel(desk.database, desk.authority, desk.acting, change_set, "Ana")
    await drive(desk, change_set)
    done = await desk.done(change_set)
    assert (done.kept.state, done.kept.problem) == (ChangeSetState.CANCELLED, "Cancelled by Ana.")
    assert done.outcome.changed == len(done.entries) == len(done.noted) == 10


async def test_two_chunks_are_under_way_at_the_same_time(desk: Desk, make_live: Make) -> None:
    change_set = await promised(desk, make_live, "authors.shorten", {"letters": "9"}, 60)
    async with desk.database.resumed(change_set) as first, desk.database.resumed(change_set) as second:
        assert first
        assert second
        assert (first.lane.number, second.lane.number) == (0, 1)
    await drive(desk, change_set)
    of_the_whole(await desk.done(change_set), 60)
