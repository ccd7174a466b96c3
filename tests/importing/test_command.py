"""`backdesk import`: what it prints, how it ends, and in whose name it imports."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL

from admin_app.cli_import import import_command
from admin_app.db import Database
from admin_app.testing import Make
from tests.importing.conftest import ANA, COMMENTS, USERS, Desk, comment, ticket

MEMORY_LIMIT_KB = 110_000
"""What the process may hold that imports 100 MB: interpreter and libraries are 60 MB, with the rows it would be 160."""

MEASURED = """
import re, sys
from admin_app.cli_import import import_command
try:
    import_command()
finally:
    print("peak", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
"""


@pytest.fixture
def desk(live_database: Database, tmp_path: Path) -> Desk:
    """An empty desk in a database of its own, which other processes see."""
    return Desk(live_database, tmp_path)


def environment(url: URL) -> dict[str, str]:
    return {"DATABASE_URL": url.set(drivername="postgresql").render_as_string(hide_password=False)}


async def backdesk_import(url: URL, *arguments: str | Path) -> Result:
    """Run the command in a thread of its own, where it can have its own event loop."""
    runner = CliRunner(env=environment(url))
    return await asyncio.to_thread(runner.invoke, import_command, [str(argument) for argument in arguments])


async def test_it_prints_the_counts_and_ends_with_1_when_rows_were_rejected(desk: Desk, live_url: URL) -> None:
    people = desk.file([ANA, {**ANA, "id": "x", "email": "none"}, {"id": "y", "email": "y@example.com"}])
    arguments = ("users", people, "--mapping", desk.mapping(USERS), "--reason", "Moving in")
    rehearsal = await backdesk_import(live_url, *arguments, "--dry-run")
    assert rehearsal.exit_code == 1
    assert await desk.value("SELECT count(*) FROM users") == 0
    result = await backdesk_import(live_url, *arguments)
    assert (result.exit_code, result.stderr) == (1, "")
    lines = result.output.splitlines()
    assert [line.split(maxsplit=1) for line in lines[:5]] == [
        ["2", "new"],
        ["0", "changed"],
        ["0", "unchanged"],
        ["1", "rejected"],
        ["1", "note: full_name: missing, the e-mail address stands in"],
    ]
    assert lines[5:] == [f"Rejected rows, with reasons: {people}.rejected.jsonl", "Change set 2."]
    assert rehearsal.output.splitlines() == [*lines[:-1], "This was a dry run: nothing was changed."]
    found = await desk.record("SELECT * FROM change_sets")
    assert (found["door"], found["actor_kind"], found["reason"]) == ("cli", "system", "Moving in")
    clean = await backdesk_import(live_url, "users", desk.file([ANA]), "--mapping", desk.mapping(USERS))
    assert clean.exit_code == 0


async def test_it_ends_with_2_and_a_sentence_when_nothing_can_be_imported(desk: Desk, live_url: URL) -> None:
    missing = await backdesk_import(live_url, "users", desk.folder / "none.csv", "--mapping", desk.mapping(USERS))
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert missing.stderr == f"{desk.folder}/none.csv cannot be read: No such file or directory.\n"
    wrong = await backdesk_import(live_url, "tickets", desk.file([ANA]), "--mapping", desk.mapping(USERS))
    assert wrong.exit_code == 2
    assert 'for this command it has to be "tickets"' in wrong.stderr
    assert await desk.value("SELECT count(*) FROM change_sets") == 0


async def test_only_active_people_with_the_permission_may_import(desk: Desk, live_url: URL, make_live: Make) -> None:
    lead, agent = await make_live.lead(), await make_live.agent()
    arguments = ("users", desk.file([ANA]), "--mapping", desk.mapping(USERS), "--as")
    refused = await backdesk_import(live_url, *arguments, agent.email)
    assert (refused.exit_code, refused.stderr) == (
        2,
        f"{agent.full_name} may not import. It needs the permission import.run.\n",
    )
    unknown = await backdesk_import(live_url, *arguments, "none@example.com")
    assert "There is no active person with the e-mail address none@example.com." in unknown.stderr
    done = await backdesk_import(live_url, *arguments, lead.email.upper())
    assert done.exit_code == 0
    found = await desk.record("SELECT * FROM change_sets WHERE action = 'import.users'")
    assert (found["user_id"], found["actor_kind"]) == (lead.id, "user")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux's /proc")
async def test_memory_stays_bounded(desk: Desk, live_url: URL) -> None:
    await desk.bring("users", [ANA])
    await desk.bring("tickets", [ticket("T-1")])
    file = desk.folder / "comments.jsonl"
    with file.open("w") as stream:
        for number in range(310):
            stream.write(json.dumps(comment(str(number), body=f"{number} some words of a comment " * 12_000)) + "\n")
    assert file.stat().st_size > 100_000_000
    mapping = desk.mapping(COMMENTS.replace('path = "private", default = "no"', "value = true"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MEASURED, "comments", str(file), "--mapping", str(mapping),
        env=os.environ | environment(live_url), stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode == 0, errors
    assert output.split()[:2] == [b"310", b"new"]
    assert int(errors.split()[-1]) < MEMORY_LIMIT_KB
