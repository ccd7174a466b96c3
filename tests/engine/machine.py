"""Workers as real processes, and large jobs for them: started, frozen, killed, and looked at until something is so."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import URL

ROOT = Path(__file__).parents[2]
CHUNK = 500
DEADLINE = 60.0

Found = TypeVar("Found")

PLUGIN = '''\
"""Postponing, by a process that leaves its number."""
import os
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Ticket
from admin_app.plugin import Chosen, Outcome, Plugin
from admin_app.queries.changes import apply

plugin = Plugin(__name__)


@plugin.action(Ticket, label="Postpone", parallel=True)
async def postpone(session: AsyncSession, chosen: Chosen[Ticket]) -> Outcome:
    """Each time a day later, so that what is done twice shows."""
    holder = Path(os.environ["HOME"], "holder")
    holder.with_suffix(f".{os.getpid()}").write_text(str(os.getpid()))
    holder.with_suffix(f".{os.getpid()}").replace(holder)
    outcome = await apply(session, chosen, set={Ticket.due_at: Ticket.due_at + timedelta(days=1)})
    await session.execute(select(func.pg_sleep(float(os.environ.get("SLOWLY", "0")))))
    return outcome
'''

MAKE = """
WITH opened AS (
  INSERT INTO change_sets (actor_kind, action, door, state) VALUES ('system', 'test.make', 'code', 'completed')
  RETURNING set_config('app.change_set_id', id::text, true), set_config('app.actor_kind', 'system', true)
)
INSERT INTO tickets (title, description, creator_id, due_at)
SELECT 'Ticket ' || n, 'd', (SELECT min(id) FROM users), '2030-01-01Z' FROM opened, generate_series(1, $1::int) n
"""
"""Makes tickets in one change set; the owner of the tables may."""

JUDGED = """
SELECT
  (SELECT count(*) FROM audit_logs WHERE change_set_id = $1) AS entries,
  (SELECT count(DISTINCT record_id) FROM audit_logs WHERE change_set_id = $1) AS audited,
  (SELECT count(*) FROM row_outcomes WHERE change_set_id = $1 AND outcome = 'changed' AND NOT failed) AS noted,
  (SELECT count(*) FROM tickets WHERE due_at = '2030-01-02Z' AND version = 2) AS postponed
"""
"""What a change set of ours has left behind."""


async def until(what: Callable[[], Awaitable[Found | None]], within: float = DEADLINE) -> Found:
    """Ask again and again until the answer is true; fails when it takes too long."""
    end = time.monotonic() + within
    while not (found := await what()):
        assert time.monotonic() < end, f"not within {within:.0f} s"
        await asyncio.sleep(0.02)
    return found


@dataclass
class Worker:
    """`backdesk worker` in a process of its own."""

    process: asyncio.subprocess.Process
    log: Path

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def kill(self) -> None:
        """End it as the kernel would when memory is short: at once, in the middle of whatever it does."""
        self.process.kill()
        await self.process.wait()

    @property
    def said(self) -> str:
        return self.log.read_text()


@dataclass
class Hall:
    """A database in which workers work on jobs, seen by its owner."""

    url: URL
    folder: Path
    workers: list[Worker] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    async def ask(self, sql: str, *values: Any) -> Any:
        """One row, as the owner of the tables sees it; None while the server is away."""
        try:
            connection = await asyncpg.connect(dsn=self.dsn)
        except (OSError, asyncpg.CannotConnectNowError):
            return None
        try:
            return await connection.fetchrow(sql, *values)
        finally:
            await connection.close()

    @property
    def plugins(self) -> Path:
        """The folder with the plugin that workers have."""
        folder = self.folder / "plugins"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "later.py").write_text(PLUGIN)
        return folder

    @property
    def dsn(self) -> str:
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def start(self, **settings: str) -> Worker:
        """Start one more worker, and wait until it says that it works."""
        log = self.folder / f"worker {next(self.numbers)}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DATABASE_URL": self.dsn,
            "BACKDESK_DATA_DIR": str(self.folder),
            "BACKDESK_CHUNK_SIZE": str(CHUNK),
            "BACKDESK_INLINE_LIMIT": "1",
            "BACKDESK_PLUGIN_DIR": str(self.plugins),
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "admin_app.cli", "worker", cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        worker = Worker(process, log)
        self.workers.append(worker)
        await until(lambda: self._works(worker))
        return worker

    async def _works(self, worker: Worker) -> bool:
        assert worker.process.returncode is None, worker.said
        return "Working on jobs" in worker.said

    @property
    def holder(self) -> Worker:
        """The worker that did, or tried, the last chunk."""
        number = int((self.folder / "holder").read_text())
        return next(worker for worker in self.workers if worker.process.pid == number)

    @property
    def living(self) -> list[Worker]:
        """Those that were started and have not ended."""
        return [worker for worker in self.workers if worker.process.returncode is None]

    async def two_work(self) -> bool:
        """Whether there is one who could go on where another is killed."""
        return sum("Working on jobs" in worker.said for worker in self.living) > 1

    async def position(self, change_set_id: int) -> int:
        """How many rows of a change set are done."""
        row = await self.ask("SELECT changed + unchanged FROM change_sets WHERE id = $1", change_set_id)
        return row[0] if row else -1

    async def beyond(self, change_set_id: int, done: int, within: float = DEADLINE) -> float:
        """Seconds until more than so many rows are done."""
        begin = time.monotonic()

        async def further() -> bool:
            return await self.position(change_set_id) > done

        await until(further, within)
        return time.monotonic() - begin

    async def ended(self, change_set_id: int, within: float = DEADLINE) -> Any:
        """The row of a change set once it has ended."""
        sql = "SELECT * FROM change_sets WHERE id = $1 AND state NOT IN ('queued', 'running')"
        return await until(lambda: self.ask(sql, change_set_id), within)

    async def judge(self, change_set_id: int, rows: int) -> None:
        """Fail unless every row was changed exactly once, with one entry and one outcome, and counted."""
        kept = await self.ended(change_set_id)
        assert (kept["state"], kept["problem"]) == ("completed", None)
        assert (kept["changed"], kept["unchanged"], kept["failed"], kept["skipped"]) == (rows, 0, 0, "{}")
        assert tuple(await self.ask(JUDGED, change_set_id)) == (rows, rows, rows, rows)

    async def close(self) -> None:
        """End every worker that still runs."""
        for worker in self.living:
            await worker.kill()


@asynccontextmanager
async def hall_of(url: URL, folder: Path) -> AsyncIterator[Hall]:
    """A place for workers, which are ended with it."""
    hall = Hall(url, folder)
    try:
        yield hall
    finally:
        await hall.close()
