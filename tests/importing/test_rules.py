"""Dirt in the source: each kind is repaired by its rule and told about, or rejected with a reason; nothing is lost."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from admin_app.db import Acting
from admin_app.models import Ticket, User
from admin_app.queries import trash
from admin_app.queries.changes import Chosen
from tests.importing.conftest import ANA, COMMENTS, CREATED, TICKETS, USERS, Desk, comment, ticket

HUGE = 3_267_785
"""Characters of the longest comment in a real archive."""


@pytest.fixture
async def staffed(desk: Desk) -> Desk:
    """A desk with the user `ana` and the ticket `T-1`."""
    await desk.bring("users", [ANA])
    await desk.bring("tickets", [ticket("T-1")])
    return desk


async def test_nul_characters_are_removed_and_other_control_characters_stay(staffed: Desk) -> None:
    report = await staffed.bring("comments", [comment("1", body="a\x00b\x07\r\nc\x00")])
    assert (report.new, report.notes) == (1, {"NUL characters were removed": 1})
    assert await staffed.value("SELECT content FROM comments") == "ab\x07\r\nc"


async def test_lone_surrogates_are_replaced(staffed: Desk) -> None:
    row = comment("1", body="\ud83d x 😀")
    report = await staffed.bring("comments", [row])
    assert await staffed.value("SELECT content FROM comments") == "� x 😀"
    assert list(report.notes) == ["characters that are no characters (lone surrogates) were replaced by �"]


async def test_a_huge_comment_comes_in_whole(staffed: Desk) -> None:
    report = await staffed.bring("comments", [comment("1", body="x y\n" * (HUGE // 4))])
    assert report.new == 1
    assert await staffed.value("SELECT length(content) FROM comments") == HUGE // 4 * 4


@pytest.mark.parametrize("body", [None, "", "   ", " \r\n\t", "\x00"])
async def test_a_blank_comment_becomes_empty_in_words(staffed: Desk, body: str | None) -> None:
    report = await staffed.bring("comments", [comment("1", body=body)])
    assert report.notes["content: missing, became (empty)"] == 1
    assert await staffed.value("SELECT content FROM comments") == "(empty)"


async def test_a_comment_earlier_than_its_ticket_keeps_its_time(staffed: Desk) -> None:
    report = await staffed.bring("comments", [comment("1", created="2019-01-01T00:00:00Z")])
    assert (report.new, report.notes) == (1, {})
    assert await staffed.value("SELECT created_at FROM comments") == datetime(2019, 1, 1, tzinfo=UTC)


async def test_a_comment_is_public_or_internal_as_the_mapping_says(staffed: Desk) -> None:
    await staffed.bring("comments", [comment("1"), comment("2", private=True)])
    assert (
        await staffed.value("SELECT string_agg(is_internal::text, ' ' ORDER BY external_id) FROM comments")
        == "false true"
    )
    await staffed.bring("comments", [comment("3")], COMMENTS.replace("is_internal", "# is_internal"))
    assert await staffed.value("SELECT is_internal FROM comments WHERE external_id = '3'")


async def test_a_missing_subject_is_said_to_be_missing(staffed: Desk) -> None:
    report = await staffed.bring("tickets", [ticket("T-2", summary=None), ticket("T-3", summary=" ")])
    assert report.notes == {"title: missing, became (no subject)": 2}
    assert await staffed.value("SELECT count(*) FROM tickets WHERE title = '(no subject)'") == 2


async def test_a_missing_status_or_priority_is_the_desk_s_own_default(staffed: Desk) -> None:
    report = await staffed.bring("tickets", [ticket("T-2", status="", priority=None)])
    found = await staffed.record("SELECT status, priority FROM tickets WHERE external_id = 'T-2'")
    assert (found["status"], found["priority"]) == ("open", "medium")
    assert report.notes == {"status: missing, became open": 1, "priority: missing, became medium": 1}


async def test_a_title_that_is_too_long_stands_in_full_in_the_description(staffed: Desk) -> None:
    title = "0123456789" * 60
    report = await staffed.bring("tickets", [ticket("T-2", summary=title, description="More.")])
    found = await staffed.record("SELECT title, description FROM tickets WHERE external_id = 'T-2'")
    assert found["title"] == title[:499] + "…"
    assert found["description"] == f"{title}\n\nMore."
    assert report.notes == {"title: longer than 500 characters, stands in full at the beginning of the description": 1}


async def test_a_ticket_of_the_source_has_its_own_times_and_is_marked_as_imported(staffed: Desk) -> None:
    row = ticket(
        "T-2",
        status="closed",
        priority="high",
        updated="2020-05-04T00:00:00Z",
        resolved="2020-05-02T00:00:00+02:00",
        closed="2020-05-03T00:00:00Z",
    )
    await staffed.bring("tickets", [row])
    found = await staffed.record("SELECT * FROM tickets WHERE external_id = 'T-2'")
    assert (found["source"], found["status"], found["priority"], found["version"]) == ("import", "closed", "high", 1)
    assert found["created_at"] == datetime(2020, 5, 1, 10, tzinfo=UTC)
    assert found["due_at"] == datetime(2020, 5, 8, 10, tzinfo=UTC)
    assert found["resolved_at"] == found["first_resolved_at"] == datetime(2020, 5, 1, 22, tzinfo=UTC)
    assert found["closed_at"] == datetime(2020, 5, 3, tzinfo=UTC)
    assert found["updated_at"] == datetime(2020, 5, 4, tzinfo=UTC)


LAST_KNOWN = "resolved_at: missing though the ticket is done, its last known time was taken"
OF_CLOSING = "resolved_at: missing though the ticket is closed, the time of closing was taken"
NOT_DONE = "resolved_at: cleared, since the ticket is not done"
NOT_CLOSED = "closed_at: cleared, since the ticket is not closed"
TOO_EARLY = "resolved_at: before created_at, was set to that"
LATER = "2020-06-02T00:00:00Z"


@pytest.mark.parametrize(
    ("facts", "resolved", "closed", "note"),
    [
        ({"status": "resolved", "resolved": "2020-01-01"}, CREATED, None, TOO_EARLY),
        ({"status": "resolved", "updated": LATER}, LATER, None, LAST_KNOWN),
        ({"status": "closed"}, CREATED, CREATED, LAST_KNOWN),
        ({"status": "closed", "closed": LATER}, LATER, LATER, OF_CLOSING),
        ({"status": "open", "resolved": LATER}, None, None, NOT_DONE),
        ({"status": "resolved", "resolved": CREATED, "closed": LATER}, CREATED, None, NOT_CLOSED),
    ],
)
async def test_times_that_contradict_the_status_are_settled_and_told_about(
    staffed: Desk, facts: dict[str, str], resolved: str | None, closed: str | None, note: str
) -> None:
    report = await staffed.bring("tickets", [ticket("T-2", **facts)])
    found = await staffed.record("SELECT resolved_at, closed_at FROM tickets WHERE external_id = 'T-2'")
    expected = [datetime.fromisoformat(time) if time else None for time in (resolved, closed)]
    assert [found["resolved_at"], found["closed_at"]] == expected
    assert report.notes == {note: 1}
    again = await staffed.bring("tickets", [ticket("T-2", **facts)])
    assert (again.changed, again.unchanged) == (0, 1)


async def test_labels_that_differ_only_by_case_become_one_tag_in_its_first_spelling(staffed: Desk) -> None:
    rows = [
        ticket("T-2", labels=["iOS", "IOS", " Crash "]),
        ticket("T-3", labels=["ios", "crash"]),
        ticket("T-4", labels="ios, ,new"),
    ]
    report = await staffed.bring("tickets", rows)
    assert await staffed.value("SELECT string_agg(name, ' ' ORDER BY id) FROM tags") == "iOS Crash new"
    assert await staffed.value("SELECT count(*) FROM ticket_tags") == 6
    assert report.notes["spellings of tags that differ only by case, brought under one tag"] == 3


async def test_labels_are_added_and_never_taken_away(staffed: Desk) -> None:
    await staffed.bring("tickets", [ticket("T-2", labels=["a", "b"])])
    report = await staffed.bring("tickets", [ticket("T-2", labels=["B", "c"]), ticket("T-3", labels=["x" * 130])])
    assert (report.new, report.changed) == (1, 1)
    names = "SELECT string_agg(name, ' ' ORDER BY id) FROM tags WHERE id IN (SELECT tag_id FROM ticket_tags WHERE {})"
    of_ticket = "ticket_id = (SELECT id FROM tickets WHERE external_id = 'T-2')"
    assert await staffed.value(names.format(of_ticket)) == "a b c"
    assert await staffed.value("SELECT length(name) FROM tags WHERE name LIKE 'x%'") == 100
    assert report.notes["tags: longer than 100 characters, was cut"] == 1


async def test_somebody_stands_in_where_the_source_names_nobody_if_the_mapping_says_so(staffed: Desk) -> None:
    refused = await staffed.bring("tickets", [ticket("T-2", reporter=None)])
    assert staffed.rejected(refused)[0]["reasons"] == [
        "requester: is missing; [nobody] in the mapping can name who stands in"
    ]
    nobody = '[nobody]\nemail = "unknown@example.com"\nfull_name = "Unknown person"\n'
    for expected in (1, 0):
        report = await staffed.bring("tickets", [ticket("T-2", reporter=" ")], TICKETS + nobody)
        assert (report.new, report.unchanged) == (expected, 1 - expected)
    assert report.notes["requester: missing, Unknown person stands in"] == 1
    assert await staffed.value("SELECT is_active FROM users WHERE email = 'unknown@example.com'") is False


async def test_people_are_found_by_external_id_or_by_e_mail_in_any_case(staffed: Desk) -> None:
    report = await staffed.bring("tickets", [ticket("T-2", reporter="ANA@example.com", assignee="ana")])
    assert report.new == 1
    assert await staffed.value("SELECT creator_id = assignee_id FROM tickets WHERE external_id = 'T-2'")


async def test_an_existing_person_with_the_same_e_mail_takes_the_external_id(desk: Desk) -> None:
    async with desk.database.transaction(Acting.system(), "test.make") as change:
        change.session.add(User(email="Ana@Example.com", full_name="Ana"))
    report = await desk.bring("users", [ANA])
    assert (report.new, report.changed) == (0, 1)
    assert report.notes == {"known here by the e-mail: took the external_id": 1}
    found = await desk.record("SELECT * FROM users")
    assert (found["external_id"], found["email"], found["version"]) == ("ana", "ana@example.com", 2)


async def test_an_e_mail_of_somebody_else_is_not_taken_over(staffed: Desk) -> None:
    rows = [{"id": "b", "email": "Ana@example.com", "name": "B"}, {"id": "c", "email": "c@example.com", "name": "C"}]
    report = await staffed.bring("users", [*rows, {"id": "d", "email": "C@example.com", "name": "D"}])
    assert (report.new, report.rejected) == (1, 2)
    assert [row["reasons"] for row in staffed.rejected(report)] == [
        ["email: Ana@example.com belongs to another user here"],
        ["email: C@example.com is on line 2 too"],
    ]


async def test_a_missing_name_is_the_e_mail(desk: Desk) -> None:
    report = await desk.bring("users", [{**ANA, "name": None}])
    assert report.notes == {"full_name: missing, the e-mail address stands in": 1}
    assert await desk.value("SELECT full_name FROM users") == "ana@example.com"


USERS_WITH_FLAGS = USERS + 'is_staff = "staff"\nis_active = "active"\ntime_zone = "zone"\n'


async def test_who_can_sign_in_here_keeps_what_the_desk_says(desk: Desk) -> None:
    async with desk.database.transaction(Acting.system(), "test.make") as change:
        change.session.add(User(email="lea@example.com", full_name="Lea", is_staff=True, password_hash="x"))
    row = {
        "id": "lea",
        "email": "LEA@example.com",
        "name": "Lea B.",
        "staff": "no",
        "active": "no",
        "zone": "Mars/Base",
    }
    report = await desk.bring("users", [row], USERS_WITH_FLAGS)
    found = await desk.record("SELECT * FROM users")
    assert (found["external_id"], found["email"], found["full_name"]) == ("lea", "lea@example.com", "Lea B.")
    assert (found["is_staff"], found["is_active"], found["password_hash"], found["version"]) == (True, True, "x", 2)
    assert report.notes == {
        "can sign in here: e-mail, active and staff stay as the desk has them": 1,
        "known here by the e-mail: took the external_id": 1,
        "time_zone: not known, was left out": 1,
    }
    again = await desk.bring("users", [row], USERS_WITH_FLAGS)
    assert (again.changed, again.unchanged) == (0, 1)


async def test_a_ticket_in_the_trash_stays_as_it_is(staffed: Desk) -> None:
    async with staffed.database.transaction(Acting.system(), "test.trash") as change:
        await trash.put(change.session, Chosen.of(Ticket, await staffed.ids("tickets")), None, "Test")
    report = await staffed.bring("tickets", [ticket("T-1", summary="Another", labels=["new"])])
    assert (report.changed, report.unchanged, report.skipped) == (0, 0, {"in the trash": 1})
    assert await staffed.value("SELECT title FROM tickets") == "Ticket T-1"
    assert await staffed.value("SELECT count(*) FROM ticket_tags") == 0


async def test_a_ticket_that_the_source_reopens_counts_its_reopening(staffed: Desk) -> None:
    await staffed.bring("tickets", [ticket("T-2", status="closed", resolved="2020-05-02T00:00:00Z")])
    report = await staffed.bring("tickets", [ticket("T-2", status="open", updated="2020-05-09T00:00:00Z")])
    found = await staffed.record("SELECT * FROM tickets WHERE external_id = 'T-2'")
    assert (report.changed, found["resolved_at"], found["closed_at"], found["reopen_count"]) == (1, None, None, 1)
    assert found["first_resolved_at"] == datetime(2020, 5, 2, tzinfo=UTC)
    assert found["last_reopened_at"] == datetime(2020, 5, 9, tzinfo=UTC)


async def test_fields_outside_the_mapping_are_left_alone(staffed: Desk) -> None:
    await staffed.bring("tickets", [ticket("T-2", status="closed", priority="urgent", assignee="ana", labels=["a"])])
    before = await staffed.record("SELECT * FROM tickets WHERE external_id = 'T-2'")
    short = 'into = "tickets"\n[fields]\nexternal_id = "key"\ntitle = "summary"\nrequester = "reporter"\n'
    report = await staffed.bring("tickets", [ticket("T-2", summary="Better"), ticket("T-3")], short)
    after = await staffed.record("SELECT * FROM tickets WHERE external_id = 'T-2'")
    assert (report.new, report.changed) == (1, 1)
    differing = {name for name in before if before[name] != after[name]}
    assert differing == {"title", "version", "updated_at"}
    fresh = await staffed.record("SELECT * FROM tickets WHERE external_id = 'T-3'")
    assert (fresh["status"], fresh["priority"], fresh["description"]) == ("open", "medium", "")
    assert fresh["due_at"] - fresh["created_at"] == pytest.approx(timedelta(days=7), abs=timedelta(seconds=5))


async def test_a_change_that_would_break_a_rule_of_the_desk_is_rejected(staffed: Desk) -> None:
    await staffed.bring("comments", [comment("1", created="2020-05-02T00:00:00Z")])
    async with staffed.database.transaction(Acting.system(), "test.answer") as change:
        await change.session.execute(text("UPDATE tickets SET first_response_at = '2020-05-02T00:00:00Z'"))
    report = await staffed.bring("tickets", [ticket("T-1", created="2020-05-03T00:00:00Z")])
    assert staffed.rejected(report)[0]["reasons"] == [
        "created_at: the ticket was answered before that, at 2020-05-02 00:00:00+00"
    ]
