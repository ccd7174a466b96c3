"""An import as a whole: what it counts and leaves behind, what a second one does, and what a rehearsal does not."""

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select, text

from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError, Conflict
from admin_app.models import AuditLog, Ticket
from admin_app.queries.imports import LOCK
from tests.importing.conftest import ANA, COMMENTS, TICKETS, USERS, Desk, comment, ticket

LAST_NUMBER = "SELECT pg_sequence_last_value('ticket_number_seq')"

WRITTEN = ("users", "tickets", "comments", "tags", "ticket_tags", "audit_logs", "change_sets", "ticket_status_events")
"""The tables that an import writes to."""


def thousand() -> list[object]:
    """1,000 rows of which 37 are bad, each kind of badness in its own way."""
    rows: list[object] = [ticket(f"T-{number}", labels=["Imported"]) for number in range(963)]
    bad: list[dict[str, object]] = [
        *(ticket(f"B-{number}", reporter="nobody-knows") for number in range(10)),
        *(ticket(f"B-{number}", assignee="gone", status="weird") for number in range(10, 17)),
        *(ticket(f"T-{number}") for number in range(5)),
        *(ticket(f"B-{number}", created="yesterday") for number in range(20, 27)),
        *(ticket("", summary="No key") for _ in range(4)),
        *(ticket("x" * 101) for _ in range(4)),
    ]
    for place, row in enumerate(bad):
        rows.insert(20 + place * 26, row)
    return rows


async def test_of_1000_rows_37_bad_ones_are_rejected_with_reasons_and_all_others_come_in(desk: Desk) -> None:
    await desk.bring("users", [ANA])
    read: list[int] = []
    report = await desk.bring("tickets", thousand(), progress=read.append)
    assert read == [1_000]
    assert (report.new, report.changed, report.unchanged, report.rejected) == (963, 0, 0, 37)
    rejected = desk.rejected(report)
    assert Counter(row["reasons"][0].split(",")[0][:40] for row in rejected) == {
        "requester: nobody-knows is not among the": 10,
        "status: 'weird' is none of open": 7,
        "created_at: 'yesterday' is not a time li": 7,
        "external_id: is missing": 4,
        "external_id: has 101 characters; at most": 4,
        "external_id: T-0 is on line 1 too": 1,
        "external_id: T-1 is on line 2 too": 1,
        "external_id: T-2 is on line 3 too": 1,
        "external_id: T-3 is on line 4 too": 1,
        "external_id: T-4 is on line 5 too": 1,
    }
    assert [row["line"] for row in rejected] == [21 + place * 26 for place in range(37)]
    assert rejected[0]["row"] == ticket("B-0", reporter="nobody-knows")


async def test_a_second_run_changes_nothing(desk: Desk) -> None:
    await desk.bring("users", [ANA])
    rows = thousand()
    await desk.bring("tickets", rows)
    await desk.bring("comments", [comment(str(number)) for number in range(50)])
    before, versions = await desk.audited(), await desk.value("SELECT sum(version) FROM tickets")
    number = await desk.value(LAST_NUMBER)
    report = await desk.bring("tickets", rows)
    assert (report.new, report.changed, report.unchanged, report.rejected) == (0, 0, 963, 37)
    report = await desk.bring("comments", [comment(str(number)) for number in range(50)])
    assert (report.new, report.changed, report.unchanged, report.rejected) == (0, 0, 50, 0)
    assert await desk.audited() == before
    assert await desk.value("SELECT sum(version) FROM tickets") == versions
    assert await desk.value(LAST_NUMBER) == number


async def test_every_changed_row_leaves_one_audit_row_and_the_change_set_has_the_counts(desk: Desk) -> None:
    await desk.bring("users", [ANA])
    await desk.bring("tickets", [ticket(f"T-{number}") for number in range(10)])
    rows = [ticket(f"T-{number}", summary="Better" if number < 4 else f"Ticket T-{number}") for number in range(12)]
    report = await desk.bring("tickets", [*rows, ticket("T-99", reporter="gone")])
    assert (report.new, report.changed, report.unchanged, report.rejected) == (2, 4, 6, 1)
    change_set = await desk.change_set(report)
    assert (change_set.changed, change_set.unchanged, change_set.failed) == (6, 6, 1)
    assert (change_set.action, change_set.state) == ("import.tickets", "completed")
    assert change_set.parameters["file"] == "source.jsonl"
    assert change_set.parameters["mapping"] == "mapping.toml"
    async with desk.database.read() as session:
        audited = list(await session.scalars(select(AuditLog).where(AuditLog.change_set_id == change_set.id)))
    assert Counter(row.action for row in audited) == {"CREATE": 2, "UPDATE": 4}
    changes = [row.changes for row in audited if row.action == "UPDATE"]
    assert {"old": {"title": "Ticket T-0"}, "new": {"title": "Better"}} in changes
    assert await desk.value("SELECT count(*) FROM tickets WHERE version = 2 AND updated_at > created_at") == 4


async def test_a_later_time_of_update_alone_is_no_change(desk: Desk) -> None:
    await desk.bring("users", [ANA])
    await desk.bring("tickets", [ticket("T-1", updated="2020-05-02T00:00:00Z")])
    report = await desk.bring("tickets", [ticket("T-1", updated="2020-05-03T00:00:00Z")])
    assert (report.changed, report.unchanged) == (0, 1)
    report = await desk.bring("tickets", [ticket("T-1", summary="New", updated="2020-05-04T00:00:00Z")])
    assert (report.changed, report.unchanged) == (1, 0)
    assert str(await desk.value("SELECT updated_at FROM tickets")) == "2020-05-04 00:00:00+00:00"


async def test_a_rehearsal_counts_the_same_and_leaves_nothing(live_database: Database, tmp_path: Path) -> None:
    desk = Desk(live_database, tmp_path)
    nobody = '[nobody]\nemail = "unknown@example.com"\nfull_name = "Unknown person"\n'
    rows = [*thousand(), ticket("T-NOBODY", reporter=None)]
    await desk.bring("users", [ANA])
    before = await left_behind(desk)
    rehearsed = await desk.bring("tickets", rows, TICKETS + nobody, rehearsal=True)
    assert await left_behind(desk) == before
    assert desk.rejected(rehearsed)[0]["line"] == 21
    done = await desk.bring("tickets", rows, TICKETS + nobody)
    for report in (rehearsed, done):
        assert (report.new, report.rejected) == (964, 37)
    assert (rehearsed.notes, rehearsed.skipped, rehearsed.warnings) == (done.notes, done.skipped, done.warnings)
    assert rehearsed.change_set_id is None
    assert await desk.value("SELECT min(ticket_number) FROM tickets") == "SUP-000001"


async def left_behind(desk: Desk) -> list[int]:
    """How many rows each table has that an import could write to, and how many ticket numbers are used up."""
    counts = [await desk.value(f"SELECT count(*) FROM {table}") for table in WRITTEN]
    return [*counts, await desk.value(LAST_NUMBER) or 0]


async def test_of_several_rows_with_one_external_id_the_last_or_the_first_counts(desk: Desk) -> None:
    await desk.bring("users", [ANA])
    events = [ticket("T-1", summary="Asked"), ticket("T-2"), ticket("T-1", summary="Answered")]
    report = await desk.bring("tickets", events, 'duplicates = "last"\n' + TICKETS)
    assert (report.new, report.rejected) == (2, 0)
    assert report.skipped == {"another row of the file has the same external_id": 1}
    assert await desk.value("SELECT title FROM tickets WHERE external_id = 'T-1'") == "Answered"
    report = await desk.bring("tickets", events, 'duplicates = "first"\n' + TICKETS)
    assert (report.changed, report.unchanged) == (1, 1)
    assert await desk.value("SELECT title FROM tickets WHERE external_id = 'T-1'") == "Asked"


async def test_an_imported_comment_is_found_by_search_and_counts_as_first_response(desk: Desk) -> None:
    await desk.bring("users", [ANA])
    agent = {"id": "bo", "email": "bo@example.com", "name": "Bo"}
    await desk.bring("users", [agent], USERS + "is_staff = { value = true }")
    await desk.bring("tickets", [ticket("T-1")])
    answer = comment("1", author="bo", body="Reticulate the splines", created="2020-05-01T12:00:00Z")
    await desk.bring("comments", [answer])
    assert str(await desk.value("SELECT first_response_at FROM tickets")) == "2020-05-01 12:00:00+00:00"
    assert await desk.value("SELECT document @@ to_tsquery('english', 'spline') FROM ticket_search")


async def test_entries_of_a_list_become_records_of_their_own(desk: Desk) -> None:
    await desk.bring("users", [ANA])
    inside = [{"id": 7, "who": "ana", "text": "One"}, {"id": 8, "who": "ana", "text": "Two"}]
    rows = [ticket("T-1", comments=inside), ticket("T-2", comments=[]), ticket("T-3")]
    await desk.bring("tickets", rows)
    mapping = COMMENTS.replace('"ticket"', '"key"').replace('"author"', '"each.who"').replace('"body"', '"each.text"')
    mapping = mapping.replace('"id"', '"each.id"').replace("[fields]", '[each]\nlist = "comments"\n[fields]')
    report = await desk.bring("comments", [*rows, ticket("T-4", comments="none")], mapping)
    assert (report.new, report.rejected) == (2, 1)
    assert await desk.value("SELECT string_agg(content, ' ' ORDER BY external_id) FROM comments") == "One Two"
    assert desk.rejected(report)[0]["reasons"] == ["each is no list at comments"]


async def test_imports_run_one_at_a_time(live_database: Database, tmp_path: Path) -> None:
    desk = Desk(live_database, tmp_path)
    async with live_database.bookkeeping() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        with pytest.raises(Conflict, match="Another import is running"):
            await desk.bring("users", [ANA])
    assert (await desk.bring("users", [ANA])).new == 1


async def test_an_import_that_fails_half_way_leaves_nothing(live_database: Database, tmp_path: Path) -> None:
    desk = Desk(live_database, tmp_path)
    await desk.bring("users", [ANA])
    [ana] = await desk.ids("users")
    async with live_database.transaction(Acting.system(), "test.block") as change:
        change.session.add(Ticket(title="T", description="", creator_id=ana, ticket_number="SUP-000003"))
    before = await left_behind(desk)
    with pytest.raises(BackdeskError, match="must be unique"):
        await desk.bring("tickets", [ticket(f"T-{number}") for number in range(5)])
    after = await left_behind(desk)
    assert after[:-1] == before[:-1]
