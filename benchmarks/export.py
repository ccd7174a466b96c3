"""How fast exports are, whether they arrive whole, and what memory they take: `python -m benchmarks.export [ROWS]`.

Starts `backdesk serve` on a database made for it, with as many tickets as are named (1,000,000), and asks it for CSV
with requester, assignee and tags: a tenth of the tickets as a browser would, all of them as a script would, and all of
them as a job whose file is then fetched. What arrives is compared with the database: the number of rows, the sum of the
ids, and a checksum of titles, requesters and tags; and the file of the job with what the script got, byte by byte.
Memory is the most that the server's process, its worker within, held meanwhile.
"""

import asyncio
import csv
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks.engine import BASE, browser, script, served
from benchmarks.million import desk, server

COLUMNS = "id,ticket_number,title,status,priority,creator,assignee,created_at,tags"
TENTH = "status=in_progress"
RUNS = 5

CONTENT = """
SELECT count(*), sum(t.id), sum(('x' || substr(md5(concat_ws('|', t.title, u.email, (
    SELECT string_agg(g.name, ', ' ORDER BY g.name) FROM ticket_tags x JOIN tags g ON g.id = x.tag_id
    WHERE x.ticket_id = t.id
  ))), 1, 8))::bit(32)::bigint)
FROM tickets t JOIN users u ON u.id = t.creator_id WHERE t.deleted_at IS NULL"""


@dataclass
class Received:
    """What arrived of a file, and how long that took."""

    seconds: float
    size: int
    digest: str


class Memory:
    """The most that a process holds, from a moment on."""

    def __init__(self, pid: int) -> None:
        self.place, self.before = Path(f"/proc/{pid}"), 0.0

    def begin(self) -> None:
        """Forget what it held before."""
        (self.place / "clear_refs").write_text("5")
        self.before = self._megabytes("VmRSS")

    @property
    def peak(self) -> float:
        """Megabytes."""
        return self._megabytes("VmHWM")

    def _megabytes(self, name: str) -> float:
        lines = (self.place / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def received(client: httpx.Client, address: str, keep: Path | None = None) -> Received:
    """Read a file to its end, into another where one is named."""
    digest, size, begun = hashlib.sha256(), 0, time.perf_counter()
    with ExitStack() as stack:
        file = stack.enter_context(keep.open("wb")) if keep else None
        answer = stack.enter_context(client.stream("GET", address))
        assert answer.status_code == 200, answer.read()[:500]
        for piece in answer.iter_raw(1024 * 1024):
            digest.update(piece)
            size += len(piece)
            if file:
                file.write(piece)
    return Received(time.perf_counter() - begun, size, digest.hexdigest())


def content(file: Path) -> tuple[int, int, int]:
    """How many rows a file has, the sum of their ids, and the checksum of what stands in them."""
    rows = ids = check = 0
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            rows += 1
            ids += int(row["id"])
            parts = [part for part in (row["title"], row["creator"], row["tags"]) if part]
            check += int(hashlib.md5("|".join(parts).encode(), usedforsecurity=False).hexdigest()[:8], 16)
    return rows, ids, check


async def expected(url: URL) -> tuple[int, int, int]:
    """The same of the database."""
    engine = create_async_engine(url.set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    async with engine.connect() as connection:
        number, ids, check = (await connection.execute(text(CONTENT))).one()
    await engine.dispose()
    return number, int(ids), int(check)


def ordered(client: httpx.Client, asked: str) -> tuple[float, str]:
    """Have a file made in the background; gives the seconds that took, and where it is fetched."""
    begun = time.perf_counter()
    page = client.get("/exports").text
    token = page.partition('name="_token" value="')[2].partition('"')[0]
    answer = client.post("/ticket/order/csv", data={"_token": token, "address": asked})
    assert answer.status_code == 303, answer.text[:500]
    for page in _pages(client):
        if "Running</span>" not in page and "Queued</span>" not in page:
            address = page.partition("/admin/exports/")[2].partition('"')[0]
            assert address.endswith("/file"), page[:2_000]
            return time.perf_counter() - begun, f"/exports/{address}"
    raise AssertionError


def _pages(client: httpx.Client) -> Iterator[str]:
    while True:
        yield client.get("/exports/state").text
        time.sleep(0.2)  # as often as a page asks, which the measured work should not notice


def measure(url: URL, folder: Path) -> None:
    """Print what exports of one database take."""
    os.environ |= {"BACKDESK_EXPORT_INLINE": "100000000", "BACKDESK_DATA_DIR": str(folder)}
    wanted = asyncio.run(expected(url))
    with served(url) as (pid, environment), closing(browser()) as person, closing(script(environment)) as token:
        memory = Memory(pid)
        tenth = f"{BASE}/admin/ticket/export/csv?{TENTH}&columns={COLUMNS}"
        received(person, tenth)
        memory.begin()
        runs = [received(person, tenth) for _ in range(RUNS)]
        times = [run.seconds for run in runs]
        _say("a tenth, as a browser", statistics.median(times), runs[0].size, memory, f"best {min(times):.2f} s")
        memory.begin()
        file = folder / "whole.csv"
        whole = received(token, f"{BASE}/api/ticket/export?format=csv&columns={COLUMNS}", file)
        found = content(file)
        assert found == wanted, f"{found} arrived, of {wanted}"
        _say("all, as a script", whole.seconds, whole.size, memory, f"{found[0]:,} rows, checksum right")
        memory.begin()
        seconds, address = ordered(person, f"columns={COLUMNS}&bom=no")
        made = received(person, address)
        assert made.digest == whole.digest, "the file of the job differs"
        _say("all, as a job", seconds, made.size, memory, f"fetched in {made.seconds:.1f} s, the same bytes")


def _say(what: str, seconds: float, size: int, memory: Memory, more: str) -> None:
    held = f"at most {memory.peak:.0f} MB of memory, {memory.before:.0f} before"
    print(f"{what:<24} {seconds:>8.2f} s {size / 1e6:>9.1f} MB  {held}  {more}", flush=True)


async def _made(owner: URL, rows: int, folder: Path) -> None:
    async with desk(owner, rows) as url:
        await asyncio.to_thread(measure, url, folder)


def main() -> None:
    """Measure, and print a line for each way."""
    rows = int(sys.argv[1].replace(",", "")) if sys.argv[1:] and sys.argv[1][0].isdigit() else 1_000_000
    with tempfile.TemporaryDirectory(prefix="backdesk-exports-") as folder, server() as owner:
        asyncio.run(_made(owner, rows, Path(folder)))


if __name__ == "__main__":
    main()
