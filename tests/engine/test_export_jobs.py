"""Exports in the background: made whole or not at all, whoever dies, and fetched by their maker until they expire."""

import asyncio
import csv
import io
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy import delete, func, select, update
from starlette.applications import Starlette

from admin_app import queue
from admin_app.app import create_app
from admin_app.db import Acting, Database
from admin_app.exports import jobs, store
from admin_app.exports.jobs import Asked, Maker, Stopped
from admin_app.exports.layout import Layout
from admin_app.exports.writing import write
from admin_app.jobs import Worker
from admin_app.models import ChangeSet, Export, ExportState, Ticket, User, UserRole
from admin_app.queries import export_jobs, users
from admin_app.queries.periods import Viewer
from admin_app.registry import Registry, declare_permissions
from admin_app.settings import Settings
from admin_app.testing import Browser, Make


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a folder of this test's own."""
    return replace(Settings.from_env(), data_dir=tmp_path, secret_key="x" * 32, export_inline=2)


@pytest_asyncio.fixture
async def maker(live_database: Database, registry: Registry, settings: Settings) -> Maker:
    """Makes exports here and now."""
    await declare_permissions(live_database, registry)
    return Maker(live_database, registry, settings, asyncio.Event())


@pytest.fixture
def app(live_database: Database, registry: Registry, settings: Settings) -> Starlette:
    """The application whose exports the maker makes."""
    return create_app(settings, live_database, registry)


@pytest_asyncio.fixture
async def lead(make_live: Make, maker: Maker) -> User:
    """Who asks; there are five tickets."""
    customer = await make_live.customer()
    for number in range(5):
        await make_live.ticket(title=f"Fan {number}", creator_id=customer.id)
    return await make_live.lead()


async def ordered(maker: Maker, lead: User, kind: str = "csv", filter: str = "q=fan", **facts: object) -> Export:  # noqa: A002
    """An export that waits to be made."""
    resource = maker.registry.resource("ticket")
    layout, _ = Layout.parse(resource, kind, [("columns", "id,title")])
    asked = Asked(resource, layout, filter, 5, "UTC", **facts)  # type: ignore[arg-type]
    return await jobs.order(maker.database, Acting(user_id=lead.id), asked)


async def found(maker: Maker, export: Export) -> Export:
    """An export as it is stored now."""
    async with maker.database.read() as session:
        return await session.get_one(Export, export.id)


def files(maker: Maker) -> list[Path]:
    """Everything in the folder of exports."""
    folder = store.files_of(maker.settings).folder
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
async def test_an_export_is_made_whole_and_fetched_by_its_maker(
    maker: Maker, app: Starlette, lead: User, kind: str
) -> None:
    export = await ordered(maker, lead, kind)
    await maker.make(export.id)
    made = await found(maker, export)
    assert (made.state, made.rows, made.attempt, made.problem) == (ExportState.COMPLETED, 5, 1, None)
    [file] = files(maker)
    assert file.stat().st_size == made.size_bytes
    async with Browser(app, app.state.desk) as browser:
        await browser.sign_in(lead)
        page = await browser.get("/admin/exports")
        assert f"/admin/exports/{made.id}/file" in page.text
        answer = await browser.get(f"/admin/exports/{made.id}/file")
        assert answer.content == file.read_bytes()
        assert f'-{made.id}.{kind}"' in answer.headers["content-disposition"]
        if kind == "csv":
            rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
            assert sorted(row["title"] for row in rows) == [f"Fan {number}" for number in range(5)]
    async with maker.database.read() as session:
        taken = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "ticket.download"))).one()
    assert (taken.user_id, taken.parameters["export"], taken.parameters["rows"]) == (lead.id, made.id, 5)


async def test_a_worker_takes_up_what_was_ordered(maker: Maker, lead: User) -> None:
    worker = Worker(maker.database, maker.registry, maker.settings)
    working = asyncio.create_task(worker.run())
    export = await ordered(maker, lead)
    async with asyncio.timeout(20):
        while (await found(maker, export)).state is not ExportState.COMPLETED:
            await asyncio.wait({working}, timeout=0.05)
    worker.stopping.set()
    await working


async def test_nobody_else_can_fetch_a_file_and_nobody_at_all_once_it_has_expired(
    maker: Maker, app: Starlette, lead: User, make_live: Make
) -> None:
    export = await ordered(maker, lead)
    await maker.make(export.id)
    address = f"/admin/exports/{export.id}/file"
    async with Browser(app, app.state.desk) as browser:
        await browser.sign_in(await make_live.lead())
        assert (await browser.get(address)).status_code == 404
        await browser.sign_in(lead)
        assert (await browser.get(address)).status_code == 200
        async with maker.database.bookkeeping() as session:
            await session.execute(update(Export).values(expires_at=func.now() - timedelta(seconds=1)))
        assert (await browser.get(address)).status_code == 404
    await jobs.sweep(maker.database, maker.settings)
    assert files(maker) == []
    gone = await found(maker, export)
    assert (gone.state, gone.file_key) == (ExportState.EXPIRED, None)


async def test_who_lost_the_permission_gets_neither_a_file_made_nor_one_that_is_there(
    maker: Maker, app: Starlette, lead: User
) -> None:
    there, waits = await ordered(maker, lead), await ordered(maker, lead)
    await maker.make(there.id)
    async with maker.database.transaction(Acting.system(), "test.demote") as change:
        await change.session.execute(delete(UserRole).where(UserRole.user_id == lead.id))
    await maker.make(waits.id)
    refused = await found(maker, waits)
    assert (refused.state, refused.file_key) == (ExportState.FAILED, None)
    assert "may not export" in (refused.problem or "")
    async with Browser(app, app.state.desk) as browser:
        await browser.sign_in(lead)
        assert (await browser.get(f"/admin/exports/{there.id}/file")).status_code == 403


async def test_an_export_of_a_worker_that_died_is_begun_again(maker: Maker, lead: User) -> None:
    export = await ordered(maker, lead)
    async with maker.database.bookkeeping() as session:
        dead = await export_jobs.begin(session, export.id)
    assert dead is not None
    await maker.make(export.id)
    made = await found(maker, export)
    assert (made.state, made.attempt) == (ExportState.COMPLETED, 2)
    async with maker.database.bookkeeping() as session:
        late = await export_jobs.complete(session, dead, "0" * 32, 9, 9, timedelta(hours=1))
    assert late is False
    assert (await found(maker, export)).rows == 5


async def test_an_export_that_no_worker_survives_is_given_up_and_says_so(maker: Maker, lead: User) -> None:
    export = await ordered(maker, lead)
    for _ in range(jobs.ATTEMPTS):
        async with maker.database.bookkeeping() as session:
            await export_jobs.begin(session, export.id)
    await maker.make(export.id)
    given_up = await found(maker, export)
    assert given_up.state is ExportState.FAILED
    assert "begun" in (given_up.problem or "")
    assert files(maker) == []


async def test_a_cancelled_export_leaves_no_file(
    maker: Maker, lead: User, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(jobs, "PAUSE", 0.0)
    export = await ordered(maker, lead, filter="")
    async with _after_the_first_note(monkeypatch) as (going, go_on):
        making = asyncio.create_task(maker.make(export.id))
        await going.wait()
        async with maker.database.bookkeeping() as session:
            assert await export_jobs.cancel(session, export.id, lead.id)
        go_on.set()
        await making
    cancelled = await found(maker, export)
    assert (cancelled.state, cancelled.file_key) == (ExportState.CANCELLED, None)
    assert 0 < cancelled.rows < many
    assert files(maker) == []


async def test_a_worker_that_stops_leaves_its_export_to_another(
    maker: Maker, lead: User, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(jobs, "PAUSE", 0.0)
    export = await ordered(maker, lead, filter="")
    async with _after_the_first_note(monkeypatch) as (going, go_on):
        making = asyncio.create_task(maker.make(export.id))
        await going.wait()
        maker.stopping.set()
        go_on.set()
        with pytest.raises(Stopped):
            await making
    left = await found(maker, export)
    assert (left.state, left.attempt) == (ExportState.QUEUED, 0)
    assert files(maker) == []
    await Maker(maker.database, maker.registry, maker.settings, asyncio.Event()).make(export.id)
    made = await found(maker, export)
    assert (made.state, made.rows) == (ExportState.COMPLETED, many)


@pytest_asyncio.fixture
async def many(maker: Maker, make_live: Make, lead: User) -> int:
    """How many tickets there are, so large that they come in many pieces."""
    customer = await make_live.customer()
    async with maker.database.transaction(Acting.system(), "test.make") as change:
        change.session.add_all(
            Ticket(title=f"{n} {'wide' * 120}", description="d", creator_id=customer.id) for n in range(4_000)
        )
    return 4_005


@asynccontextmanager
async def _after_the_first_note(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[asyncio.Event, asyncio.Event]]:
    """Two events: the first export has noted how far it is; it may go on."""
    going, go_on = asyncio.Event(), asyncio.Event()
    note = Maker.note

    async def noting(self: Maker, export: Export, **facts: object) -> bool:
        noted = await note(self, export, **facts)
        if not going.is_set():
            going.set()
            await go_on.wait()
        return noted

    monkeypatch.setattr(Maker, "note", noting)
    yield going, go_on


def _viewer(lead: User) -> Viewer:
    return Viewer(lead.id, ZoneInfo("UTC"), datetime.now(UTC))


async def _nowhere(piece: bytes) -> None:
    """Take a piece and drop it."""


async def test_rows_are_counted_whatever_stands_in_them(maker: Maker, lead: User, make_live: Make) -> None:
    customer = await make_live.customer()
    for title in ('a "quote"', "two\nlines", '"\n"\n"', "\n,\n"):
        await make_live.ticket(title=f"Odd {title}", creator_id=customer.id)
    counts: list[int] = []

    async def note(rows: int) -> None:
        counts.append(rows)

    resource = maker.registry.resource("ticket")
    for kind in ("csv", "jsonl", "xlsx"):
        layout, _ = Layout.parse(resource, kind, [])
        async with maker.database.read() as session:
            actor = await users.actor_by_id(session, lead.id)
            assert actor is not None
            query = await jobs.listed(session, resource, "q=odd", _viewer(lead), actor)
            extract = layout.extract(resource, query, frozenset())
            assert await write(session, extract, layout, _nowhere, note) == 4
        assert counts[-1] == 4


async def test_an_export_that_lost_its_place_in_the_queue_gets_it_back(maker: Maker, lead: User) -> None:
    export = await ordered(maker, lead)
    async with maker.database.connection() as connection:
        await connection.exec_driver_sql("DELETE FROM jobs.pgqueuer")
        await connection.commit()
    await jobs.adopt(maker.database)
    await jobs.adopt(maker.database)
    async with maker.database.connection() as connection:
        waiting = await connection.exec_driver_sql(
            f"SELECT payload FROM jobs.pgqueuer WHERE entrypoint = '{queue.EXPORT}'"
        )
        assert [bytes(row.payload) for row in waiting] == [str(export.id).encode()]


async def test_the_sweep_takes_what_dead_workers_left_and_nothing_else(maker: Maker, lead: User) -> None:
    export = await ordered(maker, lead)
    await maker.make(export.id)
    [kept] = files(maker)
    long_ago = time.time() - 2 * store.LOST
    for name, age in ((".half", long_ago), ("unknown", long_ago), (".young", time.time())):
        (kept.parent / name).write_text("left")
        os.utime(kept.parent / name, (age, age))
    os.utime(kept, (long_ago, long_ago))
    await jobs.sweep(maker.database, maker.settings)
    assert {path.name for path in files(maker)} == {kept.name, ".young"}
