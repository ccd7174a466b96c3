"""How fast the change engine is, on a million tickets: `python -m benchmarks.engine [ROWS]`.

Starts `backdesk serve` on a database made for it and orders everything over HTTP, as a script would: freezing a
selection of all rows, previews, assigning 500 and about a tenth of all tickets with an audit entry each, and undoing
it. Each line is the median of some runs, from the request until the answer, or until the job is done; what changes many
rows is done three times, and then undone, the last first. Memory is that of the server's process. Where BENCH_PY names
a Python with Django and `../shared/bench` is there, Django's admin does the same work in turn on the same PostgreSQL.
"""

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from socket import socket
from typing import Any

import httpx
from sqlalchemy import URL

from benchmarks.million import LEAD, PASSWORD, Owner, desk, peers_environment, server

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


STATE = "SELECT state FROM change_sets WHERE id = :id"


def ended(owner: Owner, change_set: dict[str, Any], meanwhile: Callable[[], None]) -> dict[str, Any]:
    """The change set once it is done; the server is not asked, because it would work on the answers meanwhile."""
    while (state := owner.ask(STATE, id=change_set["id"])) in {"queued", "running"}:
        meanwhile()
    assert state == "completed", change_set
    return change_set


def memory(pid: int) -> float:
    """Megabytes that a process holds at this moment."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def seconds(work: Callable[[], Any]) -> float:
    """How long something takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def timed(work: Callable[[], Any], runs: int = RUNS) -> float:
    """The median seconds of some runs."""
    return statistics.median(seconds(work) for _ in range(runs))


Rival = Callable[[], dict[str, float]]


def measured(url: URL, django: Rival | None) -> tuple[dict[str, float], dict[str, float]]:
    """Everything of ours: seconds by name, but for megabytes and the number of rows; and what Django did in turn."""
    found: dict[str, float] = {}
    with served(url) as (pid, environment), Owner(url) as owner:
        client, window, agents = script(environment), browser(), cycle(range(10, 200))
        act = "/ticket/actions/assign.assign"

        def look() -> None:
            assert window.get(f"/ticket/list?{MANY}").status_code == 200

        def assign(rows: dict[str, Any], suffix: str = "") -> dict[str, Any]:
            return order(client, act + suffix, {**rows, "inputs": {"agent": str(next(agents))}})

        for _ in range(20):
            look()
            assign({"ids": list(range(1, 501))}, "?preview")
        before = memory(pid)
        found["idle"] = timed(look, 20)
        found["freeze"] = timed(lambda: assign({"filter": ALL}, "?preview"))
        found["preview_2000"] = timed(lambda: assign({"ids": list(range(5_000, 7_000))}, "?preview"), 7)
        done: list[dict[str, Any]] = []
        ours, theirs, looks = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list), list[float]()

        def pause() -> None:
            time.sleep(0.05)

        def undo() -> None:
            ended(owner, order(client, f"/change_set/{done.pop()['id']}/undo", {}), pause)

        for _ in range(RUNS):
            ours["assign_500"] += [seconds(lambda: assign({"ids": list(range(1_000, 1_500))})) for _ in range(7)]
            ours["assign"].append(seconds(lambda: done.append(ended(owner, assign({"filter": MANY}), pause))))
            for name, one in (django() if django else {}).items():
                theirs[name].append(one)
        found["rows"] = float(owner.ask("SELECT changed FROM change_sets WHERE id = :id", id=done[-1]["id"]))
        found["undo"] = timed(undo)
        ended(owner, assign({"filter": MANY}), lambda: looks.append(seconds(look)))
        found["busy"] = statistics.median(looks)
        found["memory"] = memory(pid) - before
    return found | medians(ours), medians(theirs)


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(found) for name, found in times.items()}


@contextmanager
def django(owner: URL, rows: int) -> Iterator[Rival | None]:
    """What lets Django's admin do the same on as many tickets of its own; None where it or its benchmark is not there.

    It is asked in turn with ours, because a machine is not as fast at every minute.
    """
    python = os.environ.get("BENCH_PY")
    if not python or not PEERS.is_dir():
        yield None
        return
    environment = peers_environment(owner.set(database="backdesk_bench_peers"), python)
    environment["PATH"] = f"{Path(python).parent}:{environment['PATH']}"
    psql = ["psql", "-q", "-v", "ON_ERROR_STOP=1"]
    call = partial(subprocess.run, env=environment, check=True, stdout=subprocess.DEVNULL)
    call([*psql, "-d", "postgres", "-c", "CREATE DATABASE backdesk_bench_peers"])

    def again() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "django.json"
            only = ["--n", "10", "--only", "assign_500", "assign_100k", "--json", str(out)]
            call([python, str(PEERS / "run.py"), "django", *only])
            result = json.loads(out.read_text())["django"]
        return {"assign_500": result["assign_500"]["ms"] / 1000, "assign": result["assign_100k"]["ms"] / 1000}

    try:
        for file, options in (("schema.sql", []), ("seed.sql", ["-v", f"n={rows}"])):
            call([*psql, *options, "-f", str(PEERS / file)])
        call([python, str(PEERS / "peers" / "django_app.py")])
        yield again
    finally:
        call([*psql, "-d", "postgres", "-c", "DROP DATABASE backdesk_bench_peers WITH (FORCE)"])


async def run(rows: int) -> None:
    """Measure ours and Django's in turn, and print one table."""
    with server() as owner, django(owner, rows) as rival:
        async with desk(owner, rows) as url:
            ours, theirs = await asyncio.to_thread(measured, url, rival)
    fifth = "a fifth of Django's" + (f": {theirs['assign'] / 5:.2f} s" if theirs else "")
    quarter = f"; a quarter of Django's: {theirs['assign_500'] * 250:.0f} ms" if theirs else ""
    lines = [
        (f"freeze and preview {rows:,} rows", f"{ours['freeze']:.2f} s", "4 s"),
        ("preview of 2,000 rows", f"{ours['preview_2000'] * 1000:.0f} ms", "400 ms"),
        ("assign 500", f"{ours['assign_500'] * 1000:.0f} ms", f"26 ms{quarter}"),
        (f"assign {ours['rows']:,.0f}", f"{ours['assign']:.2f} s", fifth),
        (f"undo {ours['rows']:,.0f}", f"{ours['undo']:.2f} s", f"{1.5 * ours['assign']:.2f} s"),
        ("a list page, idle", f"{ours['idle'] * 1000:.0f} ms", ""),
        ("the same while the job runs", f"{ours['busy'] * 1000:.0f} ms", f"{ours['idle'] * 2000:.0f} ms"),
        ("growth of the server's memory", f"{ours['memory']:.0f} MB", "30 MB"),
    ]
    print("| what | measured | at most |\n|---|---|---|")
    for name, value, bound in lines:
        print(f"| {name} | {value} | {bound} |")


def main() -> None:
    """Measure everything and print one table."""
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else MILLION))


if __name__ == "__main__":
    main()
