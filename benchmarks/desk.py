"""How fast the desk starts and answers: `python -m benchmarks.desk`.

Starts `backdesk demo` in an empty folder as a newcomer would, signs in as the lead over HTTP, and measures: first start
and second start to the sign-in page, the pages of the desk, assigning 500 selected tickets from POST to redirect, and
`backdesk --help`. Medians in milliseconds; the machine's load is the reader's affair.
"""

import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

PORT = 8765
BASE = f"http://127.0.0.1:{PORT}"
MAPPING = Path(__file__).parents[1] / "examples" / "jira_archive" / "tickets.toml"
COMMAND = Path(sys.executable).with_name("backdesk")


@contextmanager
def demo(folder: Path) -> Iterator[tuple[float, dict[str, str]]]:
    """A running demo; gives the seconds until its sign-in page answered, and the passwords by role that it printed."""
    environment = {"PATH": "/usr/bin:/bin", "BACKDESK_DATA_DIR": str(folder)}
    output = folder.with_suffix(".log").open("w+")
    begun = time.perf_counter()
    server = subprocess.Popen([COMMAND, "demo", "--port", str(PORT)], stdout=output, stderr=output, env=environment)
    try:
        seconds = until_it_answers(server, begun)
        output.seek(0)
        accounts = re.findall(r"^  (\w+) +\S+@\S+ +(\S+)$", output.read(), re.MULTILINE)
        yield seconds, dict(accounts)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        output.close()


def stop(folder: Path) -> None:
    """Stop the database that a demo left running."""
    environment = {"PATH": "/usr/bin:/bin", "BACKDESK_DATA_DIR": str(folder)}
    subprocess.run([COMMAND, "db", "stop"], check=True, env=environment, stdout=subprocess.DEVNULL)


def until_it_answers(server: "subprocess.Popen[bytes]", begun: float) -> float:
    """Seconds from `begun` until the sign-in page is there; fails when the server ends first."""
    while server.poll() is None:
        try:
            if httpx.get(f"{BASE}/admin/login").status_code == 200:
                return time.perf_counter() - begun
        except httpx.TransportError:
            time.sleep(0.02)
    raise SystemExit("the demo ended before it answered")


def signed_in(password: str) -> httpx.Client:
    """A browser in which the lead is signed in."""
    client = httpx.Client(base_url=BASE, timeout=60)
    form = {"email": "lead@example.com", "password": password, "_token": token(client.get("/admin/login").text)}
    answer = client.post("/admin/login", data=form)
    assert answer.status_code == 303, answer.text[:300]
    return client


def token(page: str) -> str:
    """The form token of a page."""
    found = re.search(r'name="_token" value="([^"]+)"', page)
    assert found, page[:500]
    return found[1]


def median(work: Callable[[], httpx.Response], expected: int, runs: int = 15) -> float:
    """The median milliseconds of a request, after two to warm up."""
    times = []
    for run in range(runs + 2):
        begun = time.perf_counter()
        answer = work()
        if run >= 2:
            times.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == expected, (answer.status_code, answer.text[:500])
    return statistics.median(times)


def import_open_tickets(folder: Path) -> None:
    """Bring 500 open tickets in, since few of the demo's are: closed ones would be skipped."""
    tickets = [
        {"key": f"BENCH-{n}", "summary": f"Ticket {n}", "description": "Text", "status": "Open"} for n in range(500)
    ]
    file = folder / "tickets.jsonl"
    file.write_text("".join(f"{json.dumps({**ticket, 'created': '2026-01-01T00:00:00Z'})}\n" for ticket in tickets))
    command = [str(COMMAND), "import", "tickets", str(file), "--mapping", str(MAPPING)]
    environment = {"PATH": "/usr/bin:/bin", "BACKDESK_DATA_DIR": str(folder)}
    subprocess.run(command, check=True, env=environment, capture_output=True)


def assign(client: httpx.Client) -> Callable[[], httpx.Response]:
    """A request that gives 500 live tickets to one of two agents in turn, so that every one changes every time."""
    url = "/admin/ticket/list?size=250&source=import"
    ids = [
        name
        for page in (1, 2)
        for name in re.findall(r'name="ids" value="(\d+)"', client.get(f"{url}&page={page}").text)
    ]
    assert len(set(ids)) == 500, len(set(ids))
    found = client.get("/admin/ticket/lookup/assign.assign:agent", params={"q": ""}).json()["results"]
    agents = [person["id"] for person in found][:2]
    form = {"_token": token(client.get("/admin/").text), "ids": ids, "confirmed": "1"}
    turn = iter(range(10_000))
    return lambda: client.post("/admin/ticket/do/assign.assign", data={**form, "agent": agents[next(turn) % 2]})


def help_seconds() -> float:
    """The median seconds of `backdesk --help`."""
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main() -> None:
    """Measure everything and print one table."""
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory(prefix="backdesk-bench-") as place:
        folder = Path(place) / "desk"
        folder.mkdir()
        Path(place).chmod(0o755)
        with demo(folder) as (first, passwords):
            client = signed_in(passwords["lead"])
            pages = {
                "ticket list, 50 rows": "/admin/ticket/list?size=50",
                "ticket list, 250 rows": "/admin/ticket/list?size=250",
                "search, one word": "/admin/ticket/list?q=invoice",
                "record page": "/admin/ticket/details/777",
                "edit form": "/admin/ticket/edit/777",
                "statistics": "/admin/page/stats/statistics",
                "audit log": "/admin/page/audit_viewer/audit_log",
            }
            rows += [(name, f"{median(partial(client.get, url), 200):.1f} ms", "") for name, url in pages.items()]
            import_open_tickets(folder)
            rows.append(("assign 500 tickets, POST to redirect", f"{median(assign(client), 303):.1f} ms", "60 ms"))
        with demo(folder) as (again, _):
            pass
        stop(folder)
    rows.append(("first start of the demo to the sign-in page", f"{first:.1f} s", "20 s"))
    rows.append(("second start", f"{again:.1f} s", "3 s"))
    rows.append(("backdesk --help", f"{help_seconds():.2f} s", "0.4 s"))
    print("| what | measured | at most |\n|---|---|---|")
    for name, measured, bound in rows:
        print(f"| {name} | {measured} | {bound} |")


if __name__ == "__main__":
    main()
