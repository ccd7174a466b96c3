"""A command that drives long work, as a real process: killed, interrupted, and with a worker beside it."""

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from sqlalchemy import URL

from admin_app.db import Database
from admin_app.testing import Make
from tests.engine.machine import CHUNK, MAKE, ROOT, Hall, Worker, hall_of, until

ROWS = 12_000
WORDS = (
    sys.executable,
    "-m",
    "admin_app.cli",
    "do",
    "later.postpone",
    "--where",
    "due_at=2030-01-01..2030-01-01T01:00",
)


@pytest_asyncio.fixture
async def hall(live_url: URL, live_database: Database, tmp_path: Path) -> AsyncIterator[Hall]:
    """A database with tickets to postpone."""
    await Make(live_database).customer()
    async with hall_of(live_url, tmp_path) as made:
        await made.ask(MAKE, ROWS)
        yield made


def settings_of(hall: Hall) -> dict[str, str]:
    """What the command is told."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(hall.folder),
        "DATABASE_URL": hall.dsn,
        "BACKDESK_DATA_DIR": str(hall.folder),
        "BACKDESK_CHUNK_SIZE": str(CHUNK),
        "BACKDESK_PLUGIN_DIR": str(hall.plugins),
    }


async def ordered(hall: Hall) -> Worker:
    """The command in a process of its own, which ends with the hall as workers do."""
    log, settings = hall.folder / "command", settings_of(hall)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*WORDS, cwd=ROOT, env=settings, stdout=output, stderr=output)
    hall.workers.append(command := Worker(process, log))
    return command


async def driven(hall: Hall) -> tuple[Worker, int]:
    """A command that has done some of its work, and the number of its change set."""
    command = await ordered(hall)

    async def begun() -> int | None:
        assert command.process.returncode is None, command.said
        row = await hall.ask("SELECT id FROM change_sets WHERE state = 'running' AND changed > 0")
        return row["id"] if row else None

    return command, await until(begun)


async def test_work_of_a_killed_command_is_finished_by_a_worker_each_row_once(hall: Hall) -> None:
    command, number = await driven(hall)
    await command.kill()
    done = await hall.position(number)
    assert 0 < done < ROWS
    await hall.start()
    await hall.judge(number, ROWS)


async def test_ctrl_c_leaves_the_rest_to_the_workers_and_says_so(hall: Hall) -> None:
    command, number = await driven(hall)
    command.send(signal.SIGINT)
    assert await command.process.wait() == 130
    done = await hall.position(number)
    assert 0 < done < ROWS
    words = f"Postpone: left to the workers, {done:,} of {ROWS:,} ({100 * done // ROWS} %). Change set {number}."
    assert words in command.said
    assert "Traceback" not in command.said
    await hall.start()
    await hall.judge(number, ROWS)


async def test_a_command_and_a_worker_share_the_work_each_row_once(hall: Hall) -> None:
    await hall.start()
    command = await ordered(hall)
    assert await command.process.wait() == 0
    assert f"{ROWS:,} tickets match.\n" in command.said
    assert f"Postpone: {ROWS:,} tickets changed. Change set " in command.said
    row = await hall.ask("SELECT id FROM change_sets WHERE action = 'later.postpone'")
    await hall.judge(row["id"], ROWS)


def shown_on(terminal: int) -> str:
    """All that is shown on a terminal until nobody writes there any more."""
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # the other side is closed
        return shown.decode()
    return shown.decode()


async def test_progress_is_one_line_of_the_terminal_that_is_gone_at_the_end(hall: Hall) -> None:
    terminal, other = pty.openpty()
    command = await asyncio.create_subprocess_exec(
        *WORDS, "--json", cwd=ROOT, env=settings_of(hall), stdout=asyncio.subprocess.PIPE, stderr=other
    )
    os.close(other)
    shown, (answer, _) = await asyncio.gather(asyncio.to_thread(shown_on, terminal), command.communicate())
    os.close(terminal)
    assert command.returncode == 0
    told = json.loads(answer)
    assert (told["state"], told["changed"]) == ("completed", ROWS)
    steps = [int(done.replace(",", "")) for done in re.findall(rf"\r.*?: ([\d,]+) of {ROWS:,} ", shown)]
    assert len(steps) > 5
    assert steps == sorted(steps)
    assert re.search(r" \(50 %\), [\d,]+ a second, \d+ s left\x1b\[K", shown)
    assert shown.endswith("\r\x1b[K")
