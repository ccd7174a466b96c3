"""How fast lists and record pages are, beside other admin frameworks: `python -m benchmarks.lists [ROWS]`.

Starts `backdesk serve` on a database made for it, with as many tickets as are named, and reads as the lead's browser
does. Each line is the median of some requests after two to warm up, with the bytes of the page and the SQL statements
of a request, where the server counts them (pg_stat_statements). Then 32 clients read the first page as often as they
can. Where BENCH_PY names a Python with the frameworks and `../shared/bench` is there, they do the same work on as many
tickets on the same PostgreSQL, measured in the same way.
"""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
from sqlalchemy import URL, text

from benchmarks.crowd import requests_a_second
from benchmarks.engine import BASE, MILLION, PEERS, browser, served
from benchmarks.million import Owner, desk, peers_environment, server

EXPORTED = "ticket_number,title,status,priority,creator,assignee,created_at"
"""The columns that the other frameworks export."""
RUNS, HEAVY_RUNS = 25, 5
CROWD, PEAK = "requests a second, 32 clients", "peak memory with the export, MB"
DEEP, EXPORT = 15_000 * 50, 99_500
"""Rows before the page that a deep one is, and about how many are exported."""

STATEMENTS = r"""
SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = :database)
  AND query !~* '^\s*(begin|commit|rollback|release|savepoint|listen|unlisten)\M' AND query !~ 'pg_stat_statements'
"""
"""Statements of the server so far that ask or change something: the beginnings and ends of transactions are not."""


@dataclass(frozen=True)
class Measured:
    """One line of the table: milliseconds until the answer, those that the server's process computed, and bytes.

    And statements, where they are counted.
    """

    milliseconds: float
    computed: float
    size: int
    statements: float | None = None

    def __str__(self) -> str:
        counted = "" if self.statements is None else f", {self.statements:.1f} statements"
        computed = f"{self.computed:.1f} ms of computing"
        return f"{self.milliseconds:.1f} ms ({computed}, {self.size / 1024:,.0f} KB{counted})"


@dataclass(frozen=True)
class Line:
    """What is measured: how it is called, what the issue allows in milliseconds, and how the peers' run names it."""

    title: str
    bound: float
    peers: str


LINES = {
    "first": Line("first page, 50 rows", 10, "list"),
    "deep": Line("page 15,000, reached by its date", 12, "list_deep"),
    "next": Line("the page after it", 12, ""),
    "last": Line("last page", 12, ""),
    "rare": Line("search, rare word", 10, "search_rare"),
    "common": Line("search, word of every tenth ticket", 20, "search_common"),
    "status": Line("filter by status", 10, "filter"),
    "record": Line("record page, 20 comments and history", 8, "details"),
    "form": Line("edit form", 8, "edit_form"),
    "export": Line("export of about 100,000 rows", 350, "export_100k"),
}


# ---- Ours


def measured(url: URL) -> tuple[dict[str, Measured], dict[str, float]]:
    """Everything of ours: lines by name, and further figures by what they are."""
    found: dict[str, Measured] = {}
    figures: dict[str, float] = {}
    with served(url) as (pid, _), closing(browser()) as window, Statements(url) as statements:
        for name, address in addresses(window, statements).items():
            if name == "export":
                figures["peak memory of the pages, MB"] = peak(pid)
            found[name] = timed(window, address, pid, statements, HEAVY_RUNS if name == "export" else RUNS)
        figures[PEAK] = peak(pid)
        cookies = "; ".join(f"{name}={value}" for name, value in window.cookies.items())
        figures[CROWD] = requests_a_second(f"{BASE}/admin/ticket/list", cookies)
        figures["peak memory after that, MB"] = peak(pid)
    return found, figures


def addresses(window: httpx.Client, statements: "Statements") -> dict[str, str]:
    """Where each line is read; that of the page after the deep one is what the deep page links to."""
    deep = f"/ticket/list?at={hour(statements, DEEP)}"
    after = re.search(r"[?&;]after=([^\"&]+)", window.get(deep).raise_for_status().text)
    assert after, deep
    return {
        "first": "/ticket/list",
        "deep": deep,
        "next": f"/ticket/list?after={after[1]}",
        "last": "/ticket/list?before=end",
        "rare": "/ticket/list?q=zyzzyva",
        "common": "/ticket/list?q=invoice",
        "status": "/ticket/list?status=in_progress",
        "record": "/ticket/details/777",
        "form": "/ticket/edit/777",
        "export": f"/ticket/export/csv?created_at={hour(statements, EXPORT)}..&columns={EXPORTED}",
    }


def hour(statements: "Statements", rows: int) -> str:
    """The hour in which the live ticket came in before which so many newer ones are, or of fewer the last quarter."""
    return statements.ask(
        "SELECT replace(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), ' ', 'T') FROM tickets"
        " WHERE deleted_at IS NULL ORDER BY created_at DESC"
        f" OFFSET (SELECT least({rows}, count(*) * 3 / 4) FROM tickets) LIMIT 1"
    )


def timed(window: httpx.Client, address: str, pid: int, statements: "Statements", runs: int) -> Measured:
    """The median of some requests after two."""
    for _ in range(2):
        answer = window.get(address)
        assert answer.status_code == 200, (address, answer.status_code, answer.text[:500])
    before, computed, times = statements.count(), processor(pid), []
    for _ in range(runs):
        begun = time.perf_counter()
        answer = window.get(address)
        times.append((time.perf_counter() - begun) * 1000)
    computed, after = processor(pid) - computed, statements.count()
    counted = None if before is None or after is None else (after - before) / runs
    return Measured(statistics.median(times), computed / runs, len(answer.content), counted)


class Statements(Owner):
    """A connection of the owner that counts the statements of a database, where the server does so at all."""

    def __enter__(self) -> Self:
        super().__enter__()
        preloaded = self.ask("SHOW shared_preload_libraries")
        self.counts = "pg_stat_statements" in preloaded
        if self.counts:
            self.runner.run(self.connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")))
        return self

    def count(self) -> float | None:
        """Statements so far."""
        return float(self.ask(STATEMENTS, database=self.url.database)) if self.counts else None


def processor(pid: int) -> float:
    """Milliseconds that a process has computed so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * 1000 / os.sysconf("SC_CLK_TCK")


def peak(pid: int) -> float:
    """The most megabytes that a process has held."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


# ---- Other frameworks


UVICORN = "-m uvicorn {name}_app:app --port {port} --no-access-log --log-level error --loop uvloop"
GUNICORN = "-m gunicorn {name}_app:app -b 127.0.0.1:{port} -k gthread --threads 8 -w 1 --log-level error"
FRAMEWORKS = {
    "sqladmin": (UVICORN, "/admin/ticket/list?pageSize=50"),
    "starlette_admin": (UVICORN, "/admin/ticket/list?page_size=50"),
    "django": (GUNICORN, "/admin/support/ticket/"),
    "flask_admin": (GUNICORN, "/admin/ticket/"),
}
PEER_PORT = 9110


def peers(owner: URL, rows: int) -> tuple[dict[str, Any], dict[str, float]]:
    """What `../shared/bench` finds of each framework, and its requests a second; empty where it is not there."""
    python = os.environ.get("BENCH_PY")
    if not python or not PEERS.is_dir():
        return {}, {}
    environment = peers_environment(owner.set(database="backdesk_bench_peers"), python)
    psql = ["psql", "-q", "-v", "ON_ERROR_STOP=1"]
    quiet = partial(subprocess.run, env=environment, check=True, stdout=subprocess.DEVNULL)
    quiet([*psql, "-d", "postgres", "-c", "CREATE DATABASE backdesk_bench_peers"])
    try:
        for file, options in (("schema.sql", []), ("seed.sql", ["-v", f"n={rows}"])):
            quiet([*psql, *options, "-f", str(PEERS / file)])
        quiet([*psql, "-c", "VACUUM ANALYZE"])
        quiet([python, str(PEERS / "peers" / "django_app.py")])
        only = ["--only", *(line.peers for line in LINES.values() if line.peers)]
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "peers.json"
            run = [python, str(PEERS / "run.py"), *FRAMEWORKS, "--n", str(RUNS), "--json", str(out), *only]
            subprocess.run(run, env=environment, check=True, stdout=sys.stderr)
            results = json.loads(out.read_text())
        crowds = {}
        for number, name in enumerate(FRAMEWORKS):
            with framework(python, name, PEER_PORT + number, environment) as base:
                crowds[name] = requests_a_second(
                    base + FRAMEWORKS[name][1], signed_in(base) if name == "django" else ""
                )
        return results, crowds
    finally:
        quiet([*psql, "-d", "postgres", "-c", "DROP DATABASE backdesk_bench_peers WITH (FORCE)"])


@contextmanager
def framework(python: str, name: str, port: int, environment: dict[str, str]) -> Iterator[str]:
    """A framework that serves the tickets in one process; gives the beginning of its addresses."""
    command = [python, *FRAMEWORKS[name][0].format(name=name, port=port).split()]
    base = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, cwd=PEERS / "peers", env=environment)
    try:
        while process.poll() is None:
            try:
                httpx.get(base)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield base
    finally:
        process.terminate()
        process.wait(60)


def signed_in(base: str) -> str:
    """The cookies of whoever has signed in to Django's admin; the other frameworks ask for no sign-in."""
    with httpx.Client(base_url=base) as client:
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', client.get("/admin/login/").text)
        assert token
        form = {"csrfmiddlewaretoken": token[1], "username": "admin", "password": "admin-pw-1", "next": "/admin/"}
        assert client.post("/admin/login/", data=form, headers={"Referer": f"{base}/admin/login/"}).status_code == 302
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


# ---- The table


async def run(rows: int) -> None:
    """Measure ours, then the others, and print one table."""
    with server() as owner:
        async with desk(owner, rows) as url:
            ours, figures = await asyncio.to_thread(measured, url)
        print(f"{rows:,} tickets\n\n| what | measured | at most |\n|---|---|---|", flush=True)
        for name, found in ours.items():
            print(f"| {LINES[name].title} | {found} | {LINES[name].bound:.0f} ms |", flush=True)
        for title, figure in figures.items():
            print(f"| {title} | {figure:,.0f} | |", flush=True)
        results, crowds = await asyncio.to_thread(peers, owner, rows)
    if results:
        print(beside(ours, figures, results, crowds))


def beside(
    ours: dict[str, Measured], figures: dict[str, float], results: dict[str, Any], crowds: dict[str, float]
) -> str:
    """Ours beside the others, as a table; a dash where a framework offers nothing of the kind."""
    lines = [f"\n| median ms | ours | {' | '.join(results)} |", "|---" * (len(results) + 2) + "|"]
    for name, found in ours.items():
        others = [result.get(LINES[name].peers) for result in results.values()]
        others = [other if other and other["status"] == 200 else None for other in others]
        if any(others):
            cells = [f"{other['ms']} ({other['bytes'] // 1024} KB)" if other else "–" for other in others]
            lines.append(f"| {LINES[name].title} | {found.milliseconds:.1f} | {' | '.join(cells)} |")
    peaks = [f"{most:.0f}" for most in (figures[PEAK], *(result["_rss_mb"] for result in results.values()))]
    lines.append(f"| {PEAK} | {' | '.join(peaks)} |")
    rates = [f"{crowds[name]:.0f}" for name in results]
    lines.append(
        f"| requests a second, 32 clients | {figures['requests a second, 32 clients']:.0f} | {' | '.join(rates)} |"
    )
    return "\n".join(lines)


def main() -> None:
    """Measure everything and print one table."""
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else MILLION))


if __name__ == "__main__":
    main()
