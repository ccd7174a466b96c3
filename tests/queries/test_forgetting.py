"""What is forgotten after its time: selections that expired, and what became of each row of old change sets."""

from datetime import timedelta

from sqlalchemy import func, select, text

from admin_app.db import Acting, Database, Plan
from admin_app.models import RowOutcome, Selection, SelectionPart, Tag
from admin_app.queries import changes, selections
from admin_app.queries.changes import Chosen
from admin_app.settings import APP_ROLE
from admin_app.testing import Make


async def frozen(database: Database, keep: timedelta) -> Selection:
    """A selection of all tags."""
    async with database.bookkeeping() as session:
        return await selections.freeze(session, select(Tag.id), user_id=None, resource="tag", limit=9, keep=keep)


async def test_expired_selections_go_but_not_those_that_unfinished_work_needs(database: Database, make: Make) -> None:
    await make.tag("a")
    fresh = await frozen(database, timedelta(hours=1))
    old, needed = [await frozen(database, timedelta(hours=-1)) for _ in range(2)]
    async with database.promise(Acting.system(), "test.later", Plan(selection_id=needed.id, requested=1)):
        pass
    async with database.bookkeeping() as session:
        assert await selections.sweep(session) == 1
    async with database.read() as session:
        left = set(await session.scalars(select(Selection.id)))
        items = set(await session.scalars(select(SelectionPart.selection_id)))
    assert left == items == {fresh.id, needed.id} != {old.id}


async def test_outcomes_of_rows_go_after_their_days_and_counts_stay(database: Database, make: Make) -> None:
    tag = await make.tag("a")
    made: list[int] = []
    for color in ("#000000", "#ffffff"):
        async with database.transaction(Acting.system(), "test.paint") as change:
            chosen = Chosen(Tag, (tag.id,), requested=1, change_set_id=change.id)
            change.counts.changed = (await changes.apply(change.session, chosen, set={Tag.color: color})).changed
        made.append(change.id)
    async with database.bookkeeping() as session:
        await session.execute(text("SET LOCAL ROLE NONE"))
        long_ago = text("UPDATE change_sets SET started_at = now() - interval '91 days' WHERE id = :id")
        await session.execute(long_ago, {"id": made[0]})
        await session.execute(text(f"SET LOCAL ROLE {APP_ROLE}"))
    async with database.bookkeeping() as session:
        assert await changes.forget(session, 90) == 1
        assert await changes.forget(session, 90) == 0
        assert (await session.scalars(select(RowOutcome.change_set_id))).all() == [made[1]]
        assert await session.scalar(text("SELECT changed FROM change_sets WHERE id = :id"), {"id": made[0]}) == 1
        assert await session.scalar(select(func.count()).select_from(RowOutcome)) == 1
