"""What test_author.py has pytest run where the plugin of books is loaded: random books, moved, edited, moved back."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from admin_app import jobs
from admin_app.db import Acting, Database
from admin_app.queries.readable import mapper_of
from admin_app.registry import Registry
from admin_app.testing import Make
from tests.engine.desk import CHUNKED, NOWHERE, WHOLE, Desk, of_the_whole
from tests.engine.test_random import apart

BOOKS = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=8)
EDITED = st.sets(st.integers(0, 7), max_size=3)


@pytest.fixture
async def desk(database: Database, registry: Registry, make: Make) -> Desk:
    return Desk(database, registry, (await make.lead()).id)


@pytest.mark.parametrize("limits", [WHOLE, CHUNKED], ids=["at once", "in chunks"])
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(books=BOOKS, by=st.integers(0, 3), edited=EDITED)
async def test_books_are_moved_previewed_retried_and_moved_back(
    desk: Desk, limits: Any, books: list[tuple[int, bool]], by: int, edited: set[int]
) -> None:
    mapper = mapper_of("library_books")
    assert mapper is not None
    book: Any = mapper.class_
    async with apart(desk.database):
        async with desk.database.transaction(Acting.system(), "test.make") as change:
            rows = [{"title": "A book", "shelf": shelf, "is_lent": lent} for shelf, lent in books]
            made = insert(book).returning(book.id, sort_by_parameter_order=True)
            ids = list(await change.session.scalars(made, rows))
        order = desk.order("library.move", await desk.frozen(book, [*ids, NOWHERE]), {"by": str(by)})
        foretold = await desk.preview(order)
        done = await desk.do(order, limits)
        of_the_whole(done, len(ids) + 1)
        assert foretold.outcome == done.outcome
        assert done.noted | done.failed == {NOWHERE: "not found"} | {
            one: "lent" if lent else "unchanged" if by == 0 else "changed" if shelf + by <= 9 else REFUSED
            for one, (shelf, lent) in zip(ids, books, strict=True)
        }
        if done.failed:
            again = await jobs.retry(desk.database, desk.registry, desk.authority, desk.acting, done.id, limits)
            assert (await desk.do(again, limits)).failed == done.failed
        if not done.entries:
            return
        touched = {ids[place] for place in edited if place < len(ids)}
        async with desk.database.transaction(Acting.system(), "test.edit") as change:
            await change.session.execute(update(book).where(book.id.in_(touched)).values(shelf=-1))
        undone = await desk.undo(done.id, limits)
        changed = {one for one, became in done.noted.items() if became == "changed"}
        assert undone.outcome.changed == len(changed - touched)
        assert undone.outcome.skipped.get("changed since", 0) == len(changed & touched)
        rows_now = (await desk.rows("library_books"))["library_books"]
        shelves = [rows_now[str(one)]["shelf"] for one in ids]
        assert shelves == [-1 if one in touched else shelf for one, (shelf, _) in zip(ids, books, strict=True)]


REFUSED = "A value breaks a rule of the desk."
