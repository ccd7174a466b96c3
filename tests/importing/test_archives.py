"""Parts of two real archives come in whole by the mappings in `examples/`; `benchmarks/` takes all of them."""

from pathlib import Path

import pytest

from admin_app.db import Acting
from admin_app.importing import Report, load, run
from tests.importing.conftest import Desk

PROJECT = Path(__file__).parents[2]
ARCHIVES = PROJECT.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not ARCHIVES.is_dir(), reason="the archives are not beside the project: ../shared/data")


async def bring(desk: Desk, into: str, source: str, mapping: Path) -> Report:
    """Import a file of the archives; rejected rows would not be written beside it."""
    elsewhere = desk.folder / "rejected.jsonl"
    return await run(desk.database, Acting.system(), ARCHIVES / source, load(mapping, into), rejected_file=elsewhere)


async def test_the_sample_of_a_jira_archive_comes_in_whole_and_a_second_time_nothing_changes(desk: Desk) -> None:
    examples = PROJECT / "examples" / "jira_archive"
    content = (examples / "comments.toml").read_text().replace('= "ticket"', '= "key"')
    for name in ("id", "author", "body", "created", "updated"):
        content = content.replace(f'= "{name}"', f'= "each.{name}"')
    comments = desk.mapping(content.replace("[fields]", '[each]\nlist = "comments"\n[fields]'))
    parts = [
        ("users", "tidev_jira/sample_users.csv", examples / "users.toml", 702),
        ("tickets", "tidev_jira/sample.jsonl", examples / "tickets.toml", 871),
        ("comments", "tidev_jira/sample.jsonl", comments, 2_745),
    ]
    for into, source, mapping, expected in parts:
        report = await bring(desk, into, source, mapping)
        assert (report.new, report.rejected, report.warnings) == (expected, 0, ())
    assert await desk.value("SELECT count(*) FROM comments") == 2_745
    assert await desk.value("SELECT count(DISTINCT lower(name)) = count(*) AND count(*) > 0 FROM tags")
    before = await desk.audited()
    for into, source, mapping, expected in parts:
        report = await bring(desk, into, source, mapping)
        assert (report.new, report.changed, report.unchanged, report.rejected) == (0, 0, expected, 0)
    assert await desk.audited() == before


async def test_the_events_of_a_servicenow_log_become_incidents_in_their_last_state(desk: Desk) -> None:
    examples = PROJECT / "examples" / "servicenow"
    people = await bring(desk, "users", "uci_incidents/sample.csv", examples / "users.toml")
    assert (people.rejected, people.warnings) == (0, ())
    incidents = await bring(desk, "tickets", "uci_incidents/sample.csv", examples / "tickets.toml")
    assert incidents.rejected == 0
    assert incidents.new + sum(incidents.skipped.values()) == 2_253
    joined = "tickets t JOIN users u ON u.id = t.creator_id"
    found = await desk.record(f"SELECT t.*, u.email FROM {joined} WHERE t.external_id = 'INC0000045'")
    assert (found["status"], found["email"]) == ("closed", "caller-2403@servicenow.invalid")
    assert str(found["created_at"]) == "2016-02-29 01:16:00+00:00"
    assert (found["title"], found["reopen_count"]) == ("Category 55 Subcategory 170 Symptom 72", 0)
    assert await desk.value("SELECT is_staff FROM users WHERE external_id = 'Caller 2403'") is False
    assert await desk.value("SELECT is_staff FROM users WHERE external_id = 'Opened by  8'") is True
