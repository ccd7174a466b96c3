"""How fast the change engine is, on a million tickets: `python -m benchmarks.engine [ROWS]`.

Starts `backdesk serve` on a database made for it and orders everything over HTTP, as a script would: freezing a
selection of all rows, previews, assigning 500 and about a tenth of all tickets with an audit entry each, and undoing
it. Each line is the median of some runs, from the request until the answer, or until the job is done; what changes many
rows is done three times in a row, and then undone, the last first. Memory is that of the server's process. Where
BENCH_PY names a Python with Django and `../shared/bench` is there, Django's admin then does the same work on the same
PostgreSQL.
"""

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from socket import socket
from typing import Any

import httpx
from sqlalchemy import URL

from benchmarks.million import LEAD, PASSWORD, desk, peers_environment, server

with socket() as taken:
    taken.bind(("127.0.0.1", 0))
    PORT: int = taken.getsockname()[1]
BASE = f"http://127.0.0.1:{PORT}"
COMMAND = Path(sys.executable).with_name("backdesk")
PEERS = Path(__file__).parents[2] / "shared" / "bench"
RUNS = 3
MILLION = 1_000_000
ALL, MANY = "created_at=2000-01-01..", "status=in_progress"


@contextmanager
def served(url: URL) -> Iterator[tuple[int, dict[str, str]]]:
    """A running server on a database; gives its process id and its environment."""
    text = url.set(drivername="postgresql").render_as_string(hide_password=False)
    environment = {**os.environ, "DATABASE_URL": text, "BACKDESK_BULK_LIMIT": "2000000"}
    process = subprocess.Popen([COMMAND, "serve", "--port", str(PORT)], env=environment, stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                httpx.get(f"{BASE}/healthz").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield process.pid, environment
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def script(environment: dict[str, str]) -> httpx.Client:
    """A script that acts as the lead."""
    command = [str(COMMAND), "user", "token", "create", LEAD, "--name", "benchmark"]
    made = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    token = re.search(r"bd_\S+", made)
    assert token, made
    return httpx.Client(base_url=f"{BASE}/api", headers={"authorization": f"Bearer {token[0]}"}, timeout=600)


def browser() -> httpx.Client:
    """A browser in which the lead is signed in."""
    client = httpx.Client(base_url=f"{BASE}/admin", timeout=600)
    page = client.get("/login").text
    token = re.search(r'name="_token" value="([^"]+)"', page)
    assert token, page[:500]
    answer = client.post("/login", data={"email": LEAD, "password": PASSWORD, "_token": token[1]})
    assert answer.status_code == 303, answer.text[:300]
    return client


def order(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send an order; its answer."""
    answer = client.post(path, json=body)
    assert answer.status_code in {200, 202}, (answer.status_code, answer.text[:500])
    found: dict[str, Any] = answer.json()
    return found


def ended(client: httpx.Client, change_set: dict[str, Any], meanwhile: Callable[[], None]) -> dict[str, Any]:
    """The change set once it is done."""
    while change_set["state"] in {"queued", "running"}:
        meanwhile()
        change_set = client.get(f"/change_set/{change_set['id']}").json()
    assert change_set["state"] in {"completed", "undone"}, change_set
    return change_set


def memory(pid: int) -> float:
    """Megabytes that a process holds at this moment."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def timed(work: Callable[[], Any], runs: int = RUNS) -> float:
    """The median seconds of some runs."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def measured(url: URL) -> dict[str, float]:
    """Everything of ours: seconds by name, but for megabytes and the number of rows."""
    found: dict[str, float] = {}
    with served(url) as (pid, environment):
        client, window, agents = script(environment), browser(), cycle(range(10, 200))
        act = "/ticket/actions/assign.assign"

        def look() -> float:
            begun = time.perf_counter()
            assert window.get(f"/ticket/list?{MANY}").status_code == 200
            return time.perf_counter() - begun

        def assign(rows: dict[str, Any], suffix: str = "") -> dict[str, Any]:
            return order(client, act + suffix, {**rows, "inputs": {"agent": str(next(agents))}})

        for _ in range(20):
            look()
            assign({"ids": list(range(1, 501))}, "?preview")
        before = memory(pid)
        found["idle"] = statistics.median(look() for _ in range(20))
        found["freeze"] = timed(lambda: assign({"filter": ALL}, "?preview"))
        found["preview_2000"] = timed(lambda: assign({"ids": list(range(5_000, 7_000))}, "?preview"), 7)
        found["assign_500"] = timed(lambda: assign({"ids": list(range(1_000, 1_500))}), 15)
        done: list[dict[str, Any]] = []
        looks: list[float] = []

        def pause() -> None:
            time.sleep(0.05)

        def undo() -> None:
            ended(client, order(client, f"/change_set/{done.pop()['id']}/undo", {}), pause)

        found["assign"] = timed(lambda: done.append(ended(client, assign({"filter": MANY}), pause)))
        found["rows"] = done[-1]["changed"]
        found["undo"] = timed(undo)
        ended(client, assign({"filter": MANY}), lambda: looks.append(look()))
        found["busy"] = statistics.median(looks)
        found["memory"] = memory(pid) - before
    return found


def django(owner: URL) -> dict[str, float]:
    """The same by Django's admin, in seconds; empty where it or its benchmark is not there."""
    python = os.environ.get("BENCH_PY")
    if not python or not PEERS.is_dir():
        return {}
    environment = peers_environment(owner.set(database="backdesk_bench_peers"), python)
    psql = ["psql", "-q", "-v", "ON_ERROR_STOP=1"]
    call = partial(subprocess.run, env=environment, check=True)
    call([*psql, "-d", "postgres", "-c", "CREATE DATABASE backdesk_bench_peers"])
    try:
        for file, options in (("schema.sql", []), ("seed.sql", ["-v", "n=1000000"])):
            call([*psql, *options, "-f", str(PEERS / file)])
        peers = Path(python).parent
        environment["PATH"] = f"{peers}:{environment['PATH']}"
        call([python, str(PEERS / "peers" / "django_app.py")])
        out = Path(os.environ.get("TMPDIR", "/tmp")) / "backdesk-bench-django.json"  # noqa: S108  a result to read
        only = ["--only", "assign_500", "assign_100k", "--json", str(out)]
        call([python, str(PEERS / "run.py"), "django", *only])
        result = json.loads(out.read_text())["django"]
        return {"assign_500": result["assign_500"]["ms"] / 1000, "assign": result["assign_100k"]["ms"] / 1000}
    finally:
        call([*psql, "-d", "postgres", "-c", "DROP DATABASE backdesk_bench_peers WITH (FORCE)"])


async def run(rows: int) -> None:
    """Measure ours, then Django's, and print one table."""
    with server() as owner:
        async with desk(owner, rows) as url:
            ours = await asyncio.to_thread(measured, url)
        lines = [
            (f"freeze and preview {rows:,} rows", f"{ours['freeze']:.2f} s", "4 s"),
            ("preview of 2,000 rows", f"{ours['preview_2000'] * 1000:.0f} ms", "400 ms"),
            ("assign 500", f"{ours['assign_500'] * 1000:.0f} ms", "26 ms"),
            (f"assign {ours['rows']:,.0f}", f"{ours['assign']:.2f} s", "1/5 of Django's"),
            (f"undo {ours['rows']:,.0f}", f"{ours['undo']:.2f} s", f"{1.5 * ours['assign']:.2f} s"),
            ("a list page, idle", f"{ours['idle'] * 1000:.0f} ms", ""),
            ("the same while the job runs", f"{ours['busy'] * 1000:.0f} ms", f"{ours['idle'] * 2000:.0f} ms"),
            ("growth of the server's memory", f"{ours['memory']:.0f} MB", "30 MB"),
        ]
        print("| what | measured | at most |\n|---|---|---|", flush=True)
        for name, value, bound in lines:
            print(f"| {name} | {value} | {bound} |", flush=True)
        theirs = await asyncio.to_thread(django, owner) if rows == MILLION else {}
        for name, seconds in theirs.items():
            print(f"| Django admin: {name.replace('_', ' ')} | {seconds:.2f} s | |")


def main() -> None:
    """Measure everything and print one table."""
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else MILLION))


if __name__ == "__main__":
    main()
