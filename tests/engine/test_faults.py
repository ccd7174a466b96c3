"""Workers as real processes that are killed, frozen and left without a database: every row is done exactly once."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import URL, select

from admin_app import jobs, migrations, resources
from admin_app.db import Database
from admin_app.models import Ticket
from admin_app.postgres import find_or_start
from admin_app.registry import declare_permissions, load
from admin_app.settings import Limits, Settings
from admin_app.testing import Make, scratch_database
from tests.engine.desk import Desk
from tests.engine.machine import CHUNK, JUDGED, MAKE, Hall, Worker, hall_of, until
from tests.postgres.machine import folder_for_servers, processes_of

pytestmark = pytest.mark.slow

ROWS = 40_000
KILLS = 20
SLOWLY = "0.25"
"""Seconds that a chunk takes at least, where faults are to hit it in the middle."""

LIMITS = Limits(bulk=200_000, inline=1, chunk=CHUNK)
DICE = random.Random("faults")  # noqa: S311  tests need repeatable dice


@dataclass
class Floor:
    """A hall for workers, and the desk where work for them is ordered."""

    hall: Hall
    desk: Desk
    make: Make

    async def job(self, *, rows: int | None = None) -> int:
        """Order to postpone tickets: all, or so many of the newest; its change set."""
        newest = select(select(Ticket.id).order_by(Ticket.id.desc()).limit(rows).subquery().c.id)
        return await self.desk.promise(
            self.desk.order("later.postpone", await self.desk.frozen(Ticket, newest)), LIMITS
        )

    async def tickets(self, number: int) -> None:
        await self.hall.ask(MAKE, number)

    def of_another(self, person: int) -> "Floor":
        """The same, of another person."""
        return Floor(self.hall, Desk(self.desk.database, self.desk.registry, person), self.make)


@asynccontextmanager
async def floor_at(url: URL, folder: Path) -> AsyncIterator[Floor]:
    """A floor in a database that has the schema."""
    async with hall_of(url, folder) as hall:
        registry = load(Settings(plugin_dir=hall.plugins), core=[resources.plugin])
        database = Database.connect(url)
        await declare_permissions(database, registry)
        make = Make(database)
        lead = await make.agent("developer")
        yield Floor(hall, Desk(database, registry, lead.id), make)
        await database.close()


@pytest.fixture
async def floor(live_url: URL, tmp_path: Path) -> AsyncIterator[Floor]:
    """A floor of this test's own."""
    async with floor_at(live_url, tmp_path) as made:
        yield made


async def moment() -> None:
    """Any moment of the next, so that a fault hits whatever happens to go on then."""
    await asyncio.sleep(DICE.uniform(0, 0.15))


async def killed_again_and_again(floor: Floor, times: int) -> list[float]:
    """Kill whoever works, so many times; seconds from each kill to the next chunk of another."""
    hall, waits = floor.hall, []
    await floor.tickets(ROWS)
    await asyncio.gather(*(hall.start(SLOWLY=SLOWLY) for _ in range(3)))
    change_set = await floor.job()
    await hall.beyond(change_set, 0)
    async with asyncio.TaskGroup() as starting:
        for _ in range(times):
            await until(hall.two_work)
            await moment()
            await hall.holder.kill()
            done = await hall.position(change_set)
            assert done < ROWS
            starting.create_task(hall.start(SLOWLY=SLOWLY))
            waits.append(await hall.beyond(change_set, done))
    await hall.judge(change_set, ROWS)
    return waits


async def test_a_worker_killed_twenty_times_leaves_every_row_done_once(
    server_url: URL, template_url: URL, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(scratch_database(server_url, template_url.database)) for _ in range(2)]
        floors = [
            await stack.enter_async_context(floor_at(url, tmp_path / str(place))) for place, url in enumerate(urls)
        ]
        both = await asyncio.gather(*(killed_again_and_again(floor, KILLS // 2) for floor in floors))
    waits = sorted(both[0] + both[1])
    record_property("seconds to the next chunk", waits)
    print(f"{len(waits)} kills; to the next chunk {waits[0]:.1f} to {waits[-1]:.1f} s, median {waits[10]:.1f} s")  # noqa: T201
    assert len(waits) == KILLS
    assert waits[-1] < 10


async def test_a_database_that_falls_over_is_taken_up_again_where_it_was(tmp_path: Path) -> None:
    with folder_for_servers() as folder:
        server = find_or_start(folder)
        await migrations.upgrade(server.owner_url, plugins=load(Settings(), core=[resources.plugin]).branches())
        async with floor_at(server.owner_url, tmp_path) as floor:
            hall = floor.hall
            await floor.tickets(ROWS)
            await hall.start()
            change_set = await floor.job()
            for _ in range(2):
                await hall.beyond(change_set, await hall.position(change_set))
                await moment()
                done, fell = await hall.position(change_set), time.monotonic()
                os.kill(processes_of(server)[0], signal.SIGQUIT)  # what `pg_ctl stop -m immediate` does
                await asyncio.to_thread(find_or_start, folder)
                up = time.monotonic()
                await hall.beyond(change_set, done)
                print(f"{up - fell:.1f} s without a server, {time.monotonic() - fell:.1f} s without a chunk")  # noqa: T201
                assert time.monotonic() - up < 10
            await hall.judge(change_set, ROWS)
            again = await floor.of_another((await floor.make.agent("developer")).id).job(rows=CHUNK)
            assert (await hall.ended(again))["state"] == "completed"


async def test_two_workers_do_a_job_once(floor: Floor) -> None:
    await floor.tickets(5_000)
    await asyncio.gather(floor.hall.start(), floor.hall.start())
    await floor.hall.judge(await floor.job(), 5_000)


async def test_a_frozen_worker_loses_its_job_and_does_no_harm_when_it_wakes(floor: Floor) -> None:
    hall = floor.hall
    await floor.tickets(ROWS)
    await asyncio.gather(hall.start(), hall.start())
    change_set = await floor.job()
    await hall.beyond(change_set, 0)
    frozen = await frozen_in_a_transaction(hall)
    begin, done = time.monotonic(), await hall.position(change_set)
    waited = await hall.beyond(change_set, done)
    assert hall.holder is not frozen

    async def long_enough() -> bool:
        return time.monotonic() - begin > 6

    await until(long_enough)
    frozen.send(signal.SIGCONT)
    await hall.judge(change_set, ROWS)
    print(f"{waited:.1f} s from the freeze to the next chunk")  # noqa: T201
    assert waited < 10
    again = [await floor.of_another((await floor.make.agent("developer")).id).job(rows=CHUNK) for _ in range(2)]
    assert [(await hall.ended(one))["state"] for one in again] == ["completed"] * 2


IN_TRANSACTION = """
SELECT bool_or(state = 'active') AS busy, bool_or(state LIKE 'idle in transaction%') AS held FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'backdesk' AND pid <> pg_backend_pid()
"""


async def frozen_in_a_transaction(hall: Hall) -> Worker:
    """Freeze whoever works while the database waits for it, with rows locked."""

    async def held() -> Worker | None:
        await moment()
        holder = hall.holder
        holder.send(signal.SIGSTOP)

        async def quiet() -> bool:
            return not (await hall.ask(IN_TRANSACTION))["busy"]

        await until(quiet)
        if (await hall.ask(IN_TRANSACTION))["held"]:
            return holder
        holder.send(signal.SIGCONT)
        return None

    return await until(held)


async def test_work_that_is_cancelled_stops_at_once_and_keeps_what_is_done(floor: Floor) -> None:
    hall, desk = floor.hall, floor.desk
    await floor.tickets(ROWS)
    await hall.start()
    change_set = await floor.job()
    await hall.beyond(change_set, 0)
    await moment()
    await jobs.cancel(desk.database, desk.authority, desk.acting, change_set, "Lena Lead")
    following = await floor.job(rows=CHUNK)
    assert (await hall.ended(following))["changed"] == CHUNK
    kept, found = await hall.ended(change_set), await hall.ask(JUDGED, change_set)
    assert (kept["state"], kept["problem"]) == ("cancelled", "Cancelled by Lena Lead.")
    assert 0 < kept["changed"] < ROWS
    assert kept["changed"] % CHUNK == 0
    assert found["entries"] == found["audited"] == found["noted"] == kept["changed"]


SPANS = """
SELECT change_set_id, min(created_at) AS begun, max(created_at) AS ended FROM audit_logs
WHERE change_set_id = ANY ($1::bigint[]) GROUP BY change_set_id
"""


async def test_one_job_of_each_person_and_two_in_all_go_on_at_a_time(floor: Floor) -> None:
    hall, people = floor.hall, [(await floor.make.agent("developer")).id for _ in range(3)]
    await floor.tickets(12_000)
    first, *others = [floor.of_another(person) for person in people]
    jobs_of_first = [await first.job(rows=3_000), await first.job(rows=3_000)]
    ordered = jobs_of_first + [await other.job(rows=3_000) for other in others]
    await asyncio.gather(hall.start(), hall.start())
    for change_set in ordered:
        assert (await hall.ended(change_set))["changed"] == 3_000
    connection = await asyncpg.connect(dsn=hall.dsn)
    spans = {row["change_set_id"]: row for row in await connection.fetch(SPANS, ordered)}
    await connection.close()
    one, two = (spans[change_set] for change_set in jobs_of_first)
    assert one["ended"] <= two["begun"]
    going = [sum(span["begun"] <= at <= span["ended"] for span in spans.values()) for at in moments(spans.values())]
    assert max(going) == 2


def moments(spans: Any) -> list[Any]:
    """When something began; the number of jobs that go on is greatest at one of these."""
    return [span["begun"] for span in spans]


async def test_a_worker_that_is_told_to_stop_finishes_its_chunk_and_leaves_the_rest(floor: Floor) -> None:
    hall = floor.hall
    await floor.tickets(5_000)
    await asyncio.gather(*(hall.start(SLOWLY=SLOWLY) for _ in range(2)))
    change_set = await floor.job()
    await hall.beyond(change_set, 0)
    stopped = hall.holder
    stopped.send(signal.SIGTERM)
    done = await asyncio.wait_for(stopped.process.wait(), 10)
    waited = await hall.beyond(change_set, await hall.position(change_set))
    print(f"{waited:.1f} s from the end of the worker to the next chunk")  # noqa: T201
    await hall.judge(change_set, 5_000)
    assert (done, "Traceback" in stopped.said) == (0, False)
