"""How fast real archives come in, and with how much memory: `python -m benchmarks.import_archive`.

Runs `backdesk import` on the archives in `../shared/data`, twice each, in a database of its own: on the server that
BACKDESK_TEST_DATABASE_URL names, else on a local one that is started for it. Seconds are of the whole command; memory
is the peak of its process, as Linux tells it. The server works on the same machine and shares its processors.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from admin_app import migrations
from admin_app.testing import scratch_database
from benchmarks.million import server

PROJECT = Path(__file__).parents[1]
ARCHIVES = PROJECT.parent / "shared" / "data"
MEASURED = """
import re, sys
from admin_app.cli import main
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
"""
JIRA = (
    ("users", "users.csv", 4_525),
    ("tickets", "tickets.jsonl.gz", 29_057),
    ("comments", "comments.jsonl.gz", 104_730),
)
SERVICENOW = ("users", "incident_event_log.csv.gz", 5_901), ("tickets", "incident_event_log.csv.gz", 24_918)
SETS = {("jira_archive", "tidev_jira"): JIRA, ("servicenow", "uci_incidents"): SERVICENOW}


@dataclass(frozen=True)
class Measured:
    """One command: its wall-clock seconds, its peak memory in MB, and what it counted."""

    seconds: float
    peak_mb: float
    counts: dict[str, int]


def imported(url: URL, into: str, file: Path, mapping: Path) -> Measured:
    """Run one import as a person would, and measure it; ends the benchmark when it fails or rejects a row."""
    text = url.set(drivername="postgresql").render_as_string(hide_password=False)
    command = [sys.executable, "-c", MEASURED, "import", into, str(file), "--mapping", str(mapping)]
    begun = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "DATABASE_URL": text}, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{into} from {file} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    found = re.findall(r"^ *([\d,]+)  (\w+)$", done.stdout, re.MULTILINE)
    counts = {label: int(count.replace(",", "")) for count, label in found}
    return Measured(seconds, int(done.stderr.split()[-1]) / 1024, counts)


async def measured(owner: URL) -> list[tuple[str, int, Measured, Measured]]:
    """Each file's first and second import, into an empty database for each archive."""
    found = []
    for (examples, archive), parts in SETS.items():
        async with scratch_database(owner) as url:
            await migrations.upgrade(url)
            for into, name, expected in parts:
                mapping = PROJECT / "examples" / examples / f"{into}.toml"
                first, second = (imported(url, into, ARCHIVES / archive / name, mapping) for _ in range(2))
                assert first.counts["new"] == second.counts["unchanged"] == expected, (first, second)
                assert second.counts["new"] == second.counts["changed"] == 0, second
                found.append((f"{archive} {into}", expected, first, second))
    return found


def main() -> None:
    """Measure everything and print one table."""
    if not ARCHIVES.is_dir():
        print(f"The archives are not there ({ARCHIVES}), so their import was not measured.")
        return
    with server() as owner:
        found = asyncio.run(measured(owner))
    print("| archive | records | seconds | records/s | peak MB | second run, seconds |\n|---|---|---|---|---|---|")
    for name, records, first, second in found:
        cells = [
            f"{first.seconds:.1f}",
            f"{records / first.seconds:,.0f}",
            f"{first.peak_mb:.0f}",
            f"{second.seconds:.1f}",
        ]
        print(f"| {name} | {records:,} | {' | '.join(cells)} |")
    jira = [first for name, _, first, _ in found if name.startswith("tidev_jira")]
    total, peak = sum(first.seconds for first in jira), max(first.peak_mb for first in jira)
    print(f"\ntidev_jira in all: {total:.1f} s of at most 60 s, {peak:.0f} MB of at most 300 MB.")


if __name__ == "__main__":
    main()
