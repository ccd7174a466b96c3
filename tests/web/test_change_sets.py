"""The pages of change sets through the door: every state, row by row, cancelling, retrying, undoing and redoing."""

import csv
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.applications import Starlette

from admin_app import jobs
from admin_app.app import create_app
from admin_app.db import Database
from admin_app.models import ChangeSet, ChangeSetState, Tag, Ticket, User
from admin_app.registry import Registry
from admin_app.testing import Browser, Make, Statements
from tests.web.forms import change_sets, edit, stored, tags_of
from tests.web.test_actions import checksum

ASSIGN = "/admin/ticket/do/assign.assign"
UNASSIGN = "/admin/ticket/do/assign.unassign"
TRASH = "/admin/ticket/do/trash.put"
REFERENCE = "/admin/change_set/reference"
REFUSAL = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF new.title = 'stubborn' THEN RAISE EXCEPTION 'no'; END IF; RETURN new; END $$"""
REFUSE = "CREATE TRIGGER a_refusal BEFORE UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION refuse()"


def words(page: httpx.Response | str) -> str:
    """What a person reads of a page, with one space between words."""
    html = page if isinstance(page, str) else page.text
    html = re.sub(r"<(script|style|noscript)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def page_of(change_set: ChangeSet | int) -> str:
    return f"/admin/change_set/details/{getattr(change_set, 'id', change_set)}"


def url_of(change_set: ChangeSet | int, page: str) -> str:
    return f"/admin/change_set/{getattr(change_set, 'id', change_set)}/{page}"


async def latest(browser: Browser, action: str = "assign.assign") -> ChangeSet:
    return (await change_sets(browser, action))[-1]


async def assigned(browser: Browser, tickets: list[Ticket], agent: User, **fields: str) -> ChangeSet:
    """Give tickets to an agent through the door."""
    ids = [ticket.id for ticket in tickets]
    answer = await browser.submit(ASSIGN, {"ids": ids, "agent": agent.id, "confirmed": "1", **fields})
    assert answer.status_code == 303
    return await latest(browser)


async def undone(browser: Browser, change_set: ChangeSet | int, **fields: str) -> ChangeSet:
    """Undo a change set through the door."""
    answer = await browser.submit(url_of(change_set, "undo"), fields)
    assert answer.status_code == 303, answer.text
    return await latest(browser, "change_set.undo")


@pytest_asyncio.fixture
async def busy(shared_app: Starlette, database: Database, registry: Registry, make: Make) -> AsyncIterator[Browser]:
    """A lead at a desk where what concerns more than two rows is long work, done two rows at a time."""
    settings = replace(shared_app.state.desk.settings, inline_limit=2, chunk_size=2)
    app = create_app(settings, database, registry)
    async with Browser(app, app.state.desk) as made:
        yield await made.sign_in(await make.lead(full_name="Lena Lead"))


async def promised(busy: Browser, make: Make, number: int = 5, agent: User | None = None) -> ChangeSet:
    """Long work that waits."""
    agent = agent or await make.agent(full_name="Ana Agent")
    return await assigned(busy, [await make.ticket() for _ in range(number)], agent)


async def step(busy: Browser, change_set: ChangeSet) -> ChangeSetState | None:
    """Do the next chunk, as a worker would."""
    limits = busy.desk.settings.limits
    return await jobs.step(busy.desk.database, busy.desk.registry, limits, change_set.id)


async def drive(busy: Browser, change_set: ChangeSet) -> None:
    """Do the work to its end."""
    await jobs.drive(busy.desk.database, busy.desk.registry, busy.desk.settings.limits, change_set.id)


async def age(busy: Browser, change_set: ChangeSet) -> None:
    """Let work have been promised, and gone on, a minute earlier."""
    minute = timedelta(minutes=1)
    earlier: dict[str, Any] = {
        "started_at": ChangeSet.started_at - minute,
        "progressed_at": ChangeSet.progressed_at - minute,
    }
    async with as_owner(busy) as session:
        await session.execute(update(ChangeSet).where(ChangeSet.id == change_set.id).values(earlier))


@asynccontextmanager
async def as_owner(browser: Browser) -> AsyncIterator[AsyncSession]:
    """A session of the owner of the tables, who may change what the application may not."""
    async with browser.desk.database.bookkeeping() as session:
        await session.execute(text("SET LOCAL ROLE NONE"))
        yield session
        await session.execute(text("SET LOCAL ROLE backdesk_app"))


# ── each state ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_page_says_in_words_what_was_done_to_how_many_by_whom_and_why(client: Browser, make: Make) -> None:
    agent, trashed = await make.agent(full_name="Ana Agent"), await make.ticket()
    await client.submit(TRASH, {"ids": trashed.id, "confirmed": "1", "reason": "spam"})
    tickets = [await make.ticket() for _ in range(3)]
    fields = {"reason": "She is back", "reference": "TICKET-9"}
    done = await assigned(client, [*tickets, trashed], agent, **fields)
    page = await client.get(page_of(done))
    read = words(page)
    assert "Assign to agent · 4 tickets by Lena Lead," in read
    assert "Reason She is back Reference TICKET-9 Agent Ana Agent" in read
    assert "3 changed Row by row : changed · In the list : changed" in read
    assert "1 skipped: in the trash" in read
    assert f'href="/admin/ticket/list?change_set={done.id}&amp;outcome=in%20the%20trash"' in page.text
    assert f'href="{REFERENCE}?reference=TICKET-9"' in page.text
    assert "Assignee: empty is now Ana Agent" in read
    assert "every 1s" not in page.text


async def test_every_link_of_the_counts_leads_to_exactly_those_rows(client: Browser, make: Make) -> None:
    agent, trashed = await make.agent(), await make.ticket()
    await client.submit(TRASH, {"ids": trashed.id, "confirmed": "1", "reason": "spam"})
    ticket = await make.ticket()
    done = await assigned(client, [ticket, trashed], agent)
    links = re.findall(r'<td class="more small">.*?</td>', (await client.get(page_of(done))).text, re.DOTALL)
    report, listed = re.findall(r'href="([^"]+)"', links[0])
    for url in (report, listed):
        page = (await client.get(unescape(url))).text
        assert ticket.ticket_number in page
        assert trashed.ticket_number not in page


async def test_many_changes_are_added_up(client: Browser, make: Make) -> None:
    agent = await make.agent(full_name="Ana Agent")
    done = await assigned(client, [await make.ticket() for _ in range(12)], agent)
    read = words(await client.get(page_of(done)))
    assert "Assignee: empty is now Ana Agent × 12 For example" in read
    assert "All of it in the audit log" in read


async def test_what_changed_nothing_says_so_and_offers_no_undo(client: Browser, make: Make) -> None:
    await client.submit(UNASSIGN, {"ids": (await make.ticket()).id, "confirmed": "1"})
    page = await client.get(page_of(await latest(client, "assign.unassign")))
    assert "1 were so already" in words(page)
    assert "/undo" not in page.text


async def test_waiting_work_says_so_and_asks_for_itself_every_second(busy: Browser, make: Make) -> None:
    work = await promised(busy, make)
    page = await busy.get(page_of(work))
    assert "Assign to agent · 5 tickets" in words(page)
    assert "Waiting for a worker to begin." in words(page)
    assert f'hx-get="/admin/change_set/{work.id}/state" hx-trigger="every 1s"' in page.text
    assert 'role="progressbar"' in page.text
    assert 'aria-valuenow="0"' in page.text
    assert '<noscript><meta http-equiv="refresh"' in page.text
    assert "no sign of a worker" not in page.text


async def test_work_behind_other_work_of_the_same_person_says_which_is_next(busy: Browser, make: Make) -> None:
    first, second, third = [await promised(busy, make) for _ in range(3)]
    read = words(await busy.get(page_of(third)))
    assert f"Waiting behind 2 actions that you ordered before: change set {first.id} is next." in read
    assert "Waiting behind 1 action that" in words(await busy.get(page_of(second)))


async def test_work_that_nobody_takes_up_says_how_to_start_a_worker(busy: Browser, make: Make) -> None:
    work = await promised(busy, make)
    await age(busy, work)
    for url in (page_of(work), url_of(work, "state")):
        read = words(await busy.get(url))
        assert "there is no sign of a worker" in read
        assert "backdesk worker" in read
        assert "BACKDESK_WORKER" in read


async def test_running_work_tells_how_far_it_is_and_how_fast(busy: Browser, make: Make) -> None:
    work = await promised(busy, make)
    assert await step(busy, work) is ChangeSetState.RUNNING
    page = await busy.get(url_of(work, "state"))
    assert 'aria-valuenow="2"' in page.text
    assert re.search(r"2 of 5 done · [\d,]+ a second · (almost done|about .* left)", words(page))
    assert "every 1s" in page.text
    await age(busy, work)
    assert "no sign of a worker" in (await busy.get(url_of(work, "state"))).text


async def test_the_answer_at_the_end_stops_the_questions_and_brings_the_rest(busy: Browser, make: Make) -> None:
    work = await promised(busy, make)
    await drive(busy, work)
    fragment = await busy.get(url_of(work, "state"))
    assert "every 1s" not in fragment.text
    assert "<html" not in fragment.text
    assert "Assign to agent · 5 tickets: done." in words(fragment)
    assert f'hx-get="/admin/change_set/{work.id}/changes" hx-trigger="load"' in fragment.text
    changes = words(await busy.get(url_of(work, "changes")))
    assert changes.startswith("What it changed")
    assert changes.count("Assignee: empty is now Ana Agent") == 5
    assert f'href="/admin/change_set/{work.id}/undo"' in fragment.text


async def test_failed_work_says_why_and_what_is_kept(busy: Browser, make: Make) -> None:
    work = await promised(busy, make)
    await step(busy, work)
    await jobs.end(busy.desk.database, work.id, ChangeSetState.FAILED, "A plugin failed (KeyError).")
    page = await busy.get(page_of(work))
    assert "A plugin failed (KeyError). What was done before is kept: 2 of 5. It can be undone." in words(page)
    untouched = await promised(busy, make)
    await jobs.end(busy.desk.database, untouched.id, ChangeSetState.FAILED, "A plugin failed (KeyError).")
    assert "A plugin failed (KeyError). Nothing was changed." in words(await busy.get(page_of(untouched)))


async def test_what_a_form_did_is_told_too_and_leads_to_its_record(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="Old")
    await edit(client, f"/admin/ticket/edit/{ticket.id}", title="New")
    page = await client.get(page_of(await latest(client, "ticket.edit")))
    read = words(page)
    assert "Edit ticket by Lena Lead" in read
    assert "Title: was Old is now New" in read
    assert f'href="/admin/ticket/details/{ticket.id}"' in page.text
    assert "Row by row" not in read


# ── who may ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_everybody_sees_what_they_did_themselves_and_nobody_elses_without_permission(
    client: Browser, make: Make
) -> None:
    ana, ticket = await make.agent(full_name="Ana Agent"), await make.ticket()
    others = await assigned(client, [ticket], ana)
    await client.sign_in(ana)
    await edit(client, f"/admin/ticket/edit/{ticket.id}", title="Hers")
    own = await latest(client, "ticket.edit")
    assert "Title:" in words(await client.get(page_of(own)))
    for page in ("state", "changes", "rows", "rows.csv", "undo"):
        assert (await client.get(url_of(own, page))).status_code == 200, page
        assert (await client.get(url_of(others, page))).status_code == 404, page
    assert (await client.get(page_of(others))).status_code == 404
    assert (await client.get("/admin/change_set/list")).status_code == 403
    for page in ("undo", "cancel", "retry"):
        assert (await client.submit(url_of(others, page))).status_code == 404, page


async def test_an_auditor_sees_everything_and_changes_nothing(busy: Browser, make: Make) -> None:
    work = await promised(busy, make)
    waiting = await promised(busy, make)
    await drive(busy, work)
    await busy.sign_in(await make.agent("auditor"))
    for change_set in (work, waiting):
        page = await busy.get(page_of(change_set))
        assert page.status_code == 200
        assert not re.search(rf"/change_set/{change_set.id}/(undo|cancel|retry)", page.text)
    before = await checksum(busy.desk.database)
    assert (await busy.submit(url_of(waiting, "cancel"))).status_code == 403
    assert (await busy.get(url_of(work, "undo"))).status_code == 403
    assert (await busy.submit(url_of(work, "undo"))).status_code == 403
    assert (await busy.submit(url_of(work, "retry"))).status_code == 403
    assert await checksum(busy.desk.database) == before


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 19, "9" * 400, "1.5", "%00", "999999999"])
async def test_a_number_that_no_change_set_has_is_not_found(client: Browser, number: str) -> None:
    for page in ("state", "changes", "rows", "rows.csv", "undo"):
        assert (await client.get(f"/admin/change_set/{number}/{page}")).status_code == 404, page
    assert (await client.get(f"/admin/change_set/details/{number}")).status_code == 404


async def test_looking_changes_nothing(busy: Browser, make: Make) -> None:
    agent = await make.agent()
    work = await assigned(busy, [await make.ticket() for _ in range(2)], agent, reference="TICKET-1")
    before = await checksum(busy.desk.database)
    urls = [page_of(work), *(url_of(work, page) for page in ("state", "changes", "rows", "rows.csv", "undo"))]
    for url in (*urls, f"{REFERENCE}?reference=TICKET-1", f"{REFERENCE}/undo?reference=TICKET-1"):
        assert (await busy.get(url)).status_code == 200, url
    for page in ("cancel", "retry"):
        assert (await busy.get(url_of(work, page))).status_code == 405
    assert await checksum(busy.desk.database) == before


async def test_no_form_is_taken_without_its_token(client: Browser, make: Make) -> None:
    done = await assigned(client, [await make.ticket()], await make.agent())
    for url in (*(url_of(done, page) for page in ("undo", "cancel", "retry")), f"{REFERENCE}/undo"):
        assert (await client.post(url, data={"reference": "x"})).status_code == 403, url
    assert (await stored(client, ChangeSet, done.id)).state is ChangeSetState.COMPLETED


@pytest.mark.parametrize("number", [1, 40])
async def test_a_page_takes_few_statements_whatever_the_number_of_rows(
    client: Browser, make: Make, statements: Statements, number: int
) -> None:
    done = await assigned(client, [await make.ticket() for _ in range(number)], await make.agent())
    with statements(client.desk.database) as seen:
        await client.get(page_of(done))
    assert len(seen) <= 8, "\n\n".join(seen)
    with statements(client.desk.database) as seen:
        await client.get(url_of(done, "rows"))
    assert len(seen) <= 4, "\n\n".join(seen)


async def test_a_question_after_progress_takes_three_statements(
    busy: Browser, make: Make, statements: Statements
) -> None:
    work = await promised(busy, make)
    with statements(busy.desk.database) as seen:
        await busy.get(url_of(work, "state"))
    assert len(seen) == 3, "\n\n".join(seen)


async def test_a_page_that_renews_itself_leads_to_signing_in_once_nobody_is_signed_in(
    busy: Browser, make: Make
) -> None:
    work = await promised(busy, make)
    busy.cookies.clear()
    answer = await busy.get(url_of(work, "state"), headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-refresh"], answer.text) == (401, "true", "")
    assert (await busy.get(url_of(work, "state"))).headers["location"].startswith("/admin/login")


# ── row by row ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_report_goes_row_by_row_and_page_by_page(client: Browser, make: Make) -> None:
    agent = await make.agent()
    tickets = [await make.ticket(assignee_id=agent.id if number < 2 else None) for number in range(53)]
    done = await assigned(client, tickets, agent)
    first = await client.get(url_of(done, "rows"))
    assert len(re.findall(r'<th scope="row"', first.text)) == 50
    [following] = re.findall(r'rel="next" href="([^"]+)"', first.text)
    second = await client.get(unescape(following))
    assert len(re.findall(r'<th scope="row"', second.text)) == 3
    assert tickets[-1].ticket_number in second.text
    assert tickets[0].ticket_number not in second.text
    so_already = await client.get(url_of(done, "rows"), params={"outcome": "unchanged"})
    assert len(re.findall(r'<th scope="row"', so_already.text)) == 2
    assert "was so already" in so_already.text
    assert "No row with this outcome" in (await client.get(url_of(done, "rows?outcome=closed"))).text
    assert "No more rows" in (await client.get(url_of(done, "rows?after=999999999"))).text


async def test_the_report_says_what_it_does_not_understand(client: Browser, make: Make) -> None:
    done = await assigned(client, [await make.ticket()], await make.agent())
    for asked in ("after=x", "after=-1", f"after={'9' * 30}", f"outcome={'x' * 301}", "outcome=%00"):
        assert (await client.get(url_of(done, f"rows?{asked}"))).status_code == 400, asked
        assert (await client.get(url_of(done, f"rows.csv?{asked}"))).status_code == 400, asked


async def test_the_report_is_a_file_that_no_spreadsheet_calculates(client: Browser, make: Make) -> None:
    agent = await make.agent()
    tickets = [await make.ticket(title="=1+1"), await make.ticket()]
    tag = await make.tag("=cmd()", tickets[0])
    done = await assigned(client, tickets, agent)
    answer = await client.get(url_of(done, "rows.csv"))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f'filename="change-set-{done.id}-rows.csv"' in answer.headers["content-disposition"]
    header, *lines = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert header == ["kind", "id", "record", "outcome", "failed"]
    assert [line[:2] for line in lines] == [["Ticket", str(ticket.id)] for ticket in tickets]
    assert lines[0][3:] == ["changed", "false"]
    await client.submit("/admin/tag/do/trash.put", {"ids": tag.id, "confirmed": "1"})
    assert (await client.get(url_of(done, "rows.csv?outcome=skipped"))).text.count("\n") == 1


# ── cancelling and trying again ───────────────────────────────────────────────────────────────────────────────────────


async def test_work_is_cancelled_by_who_ordered_it_and_what_was_done_is_kept(busy: Browser, make: Make) -> None:
    work = await promised(busy, make)
    await step(busy, work)
    assert f'action="/admin/change_set/{work.id}/cancel"' in (await busy.get(page_of(work))).text
    answer = await busy.submit(url_of(work, "cancel"))
    assert answer.headers["location"] == page_of(work)
    page = words(await busy.get(page_of(work)))
    assert "Cancelled by Lena Lead. What was done before is kept: 2 of 5. It can be undone." in page
    assert await step(busy, work) is None
    assert "This has ended already" in (await busy.submit(url_of(work, "cancel"))).text
    await undone(busy, work)
    assert (await stored(busy, ChangeSet, work.id)).state is ChangeSetState.UNDONE


async def test_a_lead_cancels_the_work_of_others(busy: Browser, make: Make) -> None:
    work = await promised(busy, make)
    await busy.sign_in(await make.lead(full_name="Lou Lead"))
    assert (await busy.submit(url_of(work, "cancel"))).status_code == 303
    assert (await stored(busy, ChangeSet, work.id)).problem == "Cancelled by Lou Lead."


async def test_what_failed_is_tried_again_once_shown(client: Browser, make: Make) -> None:
    ticket, stubborn = await make.ticket(), await make.ticket(title="stubborn")
    async with as_owner(client) as session:
        await session.execute(text(REFUSAL))
        await session.execute(text(REFUSE))
    done = await assigned(client, [ticket, stubborn], await make.agent(full_name="Ana Agent"), reason="Hers")
    assert (done.changed, done.failed) == (1, 1)
    page = words(await client.get(page_of(done)))
    assert "1 failed, and stayed as they were" in page
    assert "Why rows failed" in page
    assert "Retry the 1 failed" in page
    async with as_owner(client) as session:
        await session.execute(text("DROP FUNCTION refuse CASCADE"))
    shown = await client.submit(url_of(done, "retry"))
    assert shown.status_code == 200
    assert "Try again: Assign to agent" in words(shown)
    assert "1 would change" in words(shown)
    assert len(await change_sets(client, "assign.assign")) == 1
    fields = {"confirmed": "1", "key": "again", "reason": "Now it can"}
    answers = [await client.submit(url_of(done, "retry"), fields) for _ in range(2)]
    again = await latest(client)
    assert {answer.headers["location"] for answer in answers} == {page_of(again)}
    assert (again.id != done.id, again.requested, again.changed, again.reason) == (True, 1, 1, "Now it can")


async def test_nothing_is_tried_again_where_nothing_failed(client: Browser, make: Make) -> None:
    done = await assigned(client, [await make.ticket()], await make.agent())
    assert "/retry" not in (await client.get(page_of(done))).text
    answer = await client.submit(url_of(done, "retry"))
    assert (answer.status_code, "Nothing failed here" in answer.text) == (409, True)


# ── undo and redo ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_undo_is_shown_then_done_then_redone_then_undone(client: Browser, make: Make) -> None:
    agent, ticket = await make.agent(full_name="Ana Agent"), await make.ticket()
    done = await assigned(client, [ticket], agent, reference="TICKET-4")
    shown = words(await client.get(url_of(done, "undo")))
    assert "Undo: Assign to agent" in shown
    assert "1 would change" in shown
    assert "Assignee: was Ana Agent empty" in shown
    undo = await undone(client, done, reason="A mistake", reference="TICKET-4", key="k1")
    assert (undo.undo_of_id, undo.reason, undo.reference) == (done.id, "A mistake", "TICKET-4")
    assert (await stored(client, Ticket, ticket.id)).assignee_id is None
    page = await client.get(page_of(done))
    assert f"Undone by change set {undo.id}" in words(page)
    assert f'href="/admin/change_set/{undo.id}/undo"' in page.text
    assert "Redo" in words(page)
    read = words(await client.get(page_of(undo)))
    assert "Undo: Assign to agent · 1 change" in read
    assert "Redo" in read
    assert "Redo: Undo: Assign to agent" in words(await client.get(url_of(undo, "undo")))
    redo = await undone(client, undo)
    assert (await stored(client, Ticket, ticket.id)).assignee_id == agent.id
    assert "Redo: Assign to agent · 1 change" in words(await client.get(page_of(redo)))
    assert (await stored(client, ChangeSet, done.id)).state is ChangeSetState.COMPLETED
    assert "Undo: Redo: Assign to agent" in words(await client.get(url_of(redo, "undo")))
    await undone(client, redo)
    assert (await stored(client, Ticket, ticket.id)).assignee_id is None


async def test_undo_sent_twice_is_done_once(client: Browser, make: Make) -> None:
    done = await assigned(client, [await make.ticket()], await make.agent())
    answers = [await client.submit(url_of(done, "undo"), {"key": "once"}) for _ in range(2)]
    [undo] = await change_sets(client, "change_set.undo")
    assert {answer.headers["location"] for answer in answers} == {page_of(undo)}
    assert "sent twice" in words(await client.get(page_of(undo)))
    third = await client.submit(url_of(done, "undo"), {"key": "another"})
    assert (third.status_code, f"undone already, by change set {undo.id}" in third.text) == (409, True)


async def test_what_somebody_changed_since_is_shown_with_both_values_and_left_alone(
    client: Browser, make: Make
) -> None:
    ana, bo = await make.agent(full_name="Ana Agent"), await make.agent(full_name="Bo Agent")
    tickets = [await make.ticket() for _ in range(3)]
    done = await assigned(client, tickets, ana)
    await assigned(client, tickets[:1], bo)
    shown = words(await client.get(url_of(done, "undo")))
    assert "2 would change" in shown
    assert "1 are skipped: changed since" in shown
    assert "Assignee: Ana Agent was written, and is now Bo Agent" in shown
    undo = await undone(client, done)
    assert (await stored(client, Ticket, tickets[0].id)).assignee_id == bo.id
    assert (await stored(client, Ticket, tickets[1].id)).assignee_id is None
    page = await client.get(page_of(undo))
    assert "1 skipped: changed since" in words(page)
    report = await client.get(url_of(undo, "rows"), params={"outcome": "changed since"})
    assert f"{tickets[0].ticket_number} Assignee: Ana Agent was written, and is now Bo Agent" in words(report)
    assert f'href="/admin/ticket/details/{tickets[0].id}"' in report.text
    assert tickets[1].ticket_number not in report.text


async def test_what_cannot_be_undone_says_why_and_offers_nothing(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await client.sign_in(await make.agent("developer"))
    await client.submit(TRASH, {"ids": ticket.id, "confirmed": "1", "reason": "spam"})
    fields = {"ids": ticket.id, "confirmed": "1", "reason": "law"}
    await client.submit("/admin/ticket/do/trash.purge", fields)
    purged = await latest(client, "trash.purge")
    why = client.desk.registry.action("trash.purge").final
    page = await client.get(page_of(purged))
    assert f"This cannot be undone. {why}" in words(page)
    assert f"/change_set/{purged.id}/undo" not in page.text
    answer = await client.get(url_of(purged, "undo"))
    assert (answer.status_code, why in words(answer)) == (409, True)


async def test_a_form_a_deletion_and_tags_are_undone_alike(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="Old")
    await make.tag("hardware", ticket)
    software = await make.tag("software")
    await edit(client, f"/admin/ticket/edit/{ticket.id}", title="New", tags=[str(software.id)])
    await client.submit(TRASH, {"ids": ticket.id, "confirmed": "1", "reason": "spam"})
    await undone(client, await latest(client, "trash.put"))
    assert (await stored(client, Ticket, ticket.id)).deleted_at is None
    assert await tags_of(client, ticket) == ["software"]
    await undone(client, await latest(client, "ticket.edit"))
    assert (await stored(client, Ticket, ticket.id)).title == "Old"
    assert await tags_of(client, ticket) == ["hardware"]


async def test_a_creation_is_undone(client: Browser) -> None:
    await client.submit("/admin/tag/create", {"name": "brief", "key": "k"})
    await undone(client, await latest(client, "tag.create"))
    async with client.desk.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Tag).where(Tag.name == "brief")) == 0


async def test_a_large_undo_becomes_work_with_a_page_of_its_own(busy: Browser, make: Make) -> None:
    work = await promised(busy, make)
    await drive(busy, work)
    shown = words(await busy.get(url_of(work, "undo")))
    assert "Tried on the first 2 of 5" in shown
    answer = await busy.submit(url_of(work, "undo"))
    undo = await latest(busy, "change_set.undo")
    assert answer.headers["location"] == page_of(undo)
    assert undo.state is ChangeSetState.QUEUED
    page = words(await busy.get(page_of(work)))
    assert f"It is being undone by change set {undo.id}" in page
    await drive(busy, undo)
    assert f"Undone by change set {undo.id}" in words(await busy.get(page_of(work)))


async def test_a_reason_that_is_too_long_comes_back_with_the_form(client: Browser, make: Make) -> None:
    done = await assigned(client, [await make.ticket()], await make.agent())
    answer = await client.submit(url_of(done, "undo"), {"reason": "x" * 2_001, "reference": "TICKET-5"})
    assert answer.status_code == 422
    assert "at most 2,000 fit" in words(answer)
    assert 'value="TICKET-5"' in answer.text
    assert await change_sets(client, "change_set.undo") == []


# ── everything under a reference ──────────────────────────────────────────────────────────────────────────────────────


async def test_everything_under_a_reference_is_undone_in_reverse_with_one_report(client: Browser, make: Make) -> None:
    ana, bo = await make.agent(full_name="Ana Agent"), await make.agent(full_name="Bo Agent")
    tickets = [await make.ticket() for _ in range(3)]
    first = await assigned(client, tickets, ana, reference="TICKET-123")
    second = await assigned(client, tickets[:2], bo, reference="TICKET-123")
    await assigned(client, tickets[2:], bo)
    listed = await client.get(REFERENCE, params={"reference": " TICKET-123 "})
    assert "Everything under TICKET-123 2 change sets, the newest first." in words(listed)
    shown = await client.get(f"{REFERENCE}/undo", params={"reference": "TICKET-123"})
    read = words(shown)
    assert "Assign to agent · 2 tickets 2 nothing Assign to agent · 3 tickets 2 1 changed since" in read
    assert "Undo 4 changes" in read
    assert "Assignee: Ana Agent was written, and is now Bo Agent" in read
    fields = {"reference": "TICKET-123", "reason": "All wrong", "key": "all"}
    answer = await client.submit(f"{REFERENCE}/undo", fields)
    assert answer.headers["location"] == f"{REFERENCE}?reference=TICKET-123"
    report = words(await client.get(answer.headers["location"]))
    assert "2 change sets undone: 4 changes. 1 left alone (1 changed since)." in report
    undos = await change_sets(client, "change_set.undo")
    assert [undo.undo_of_id for undo in undos] == [second.id, first.id]
    assert {(undo.reason, undo.reference) for undo in undos} == {("All wrong", "TICKET-123")}
    assert f"change set {undos[1].id} : 2 undone, 1 changed since" in report
    assert [(await stored(client, Ticket, ticket.id)).assignee_id for ticket in tickets] == [None, None, bo.id]
    again = words(await client.submit(f"{REFERENCE}/undo", fields))
    assert "Nothing to do" in again
    assert len(await change_sets(client, "change_set.undo")) == 2


async def test_everything_under_a_reference_is_only_what_the_viewer_may_see(client: Browser, make: Make) -> None:
    await assigned(client, [await make.ticket()], await make.agent(), reference="TICKET-1")
    await client.sign_in(await make.agent())
    assert "Nothing under TICKET-1" in words(await client.get(f"{REFERENCE}?reference=TICKET-1"))
    await client.sign_in(await make.agent("auditor"))
    page = words(await client.get(f"{REFERENCE}?reference=TICKET-1"))
    assert "1 change set," in page
    assert "You may not undo it." in page
    assert "Undo everything" not in page
    assert "Nothing to do" in words(await client.get(f"{REFERENCE}/undo?reference=TICKET-1"))
    before = await checksum(client.desk.database)
    await client.submit(f"{REFERENCE}/undo", {"reference": "TICKET-1"})
    assert await checksum(client.desk.database) == before


async def test_large_work_under_a_reference_is_undone_in_turn(busy: Browser, make: Make) -> None:
    ana, bo = await make.agent(), await make.agent()
    tickets = [await make.ticket() for _ in range(3)]
    await assigned(busy, tickets[:1], ana, reference="TICKET-8")
    work = await assigned(busy, tickets, bo, reference="TICKET-8")
    await drive(busy, work)
    shown = words(await busy.get(f"{REFERENCE}/undo?reference=TICKET-8"))
    assert "Each was looked at for itself." in shown
    answer = await busy.submit(f"{REFERENCE}/undo", {"reference": "TICKET-8"})
    assert "2 are being worked on, one after the other." in words(await busy.get(answer.headers["location"]))
    for undo in await change_sets(busy, "change_set.undo"):
        await drive(busy, undo)
    assert [(await stored(busy, Ticket, ticket.id)).assignee_id for ticket in tickets] == [None] * 3


async def test_a_reference_that_cannot_be_one_is_refused(client: Browser) -> None:
    for asked in ("x" * 101, "\x00"):
        assert (await client.get(REFERENCE, params={"reference": asked})).status_code == 400
        assert (await client.get(f"{REFERENCE}/undo", params={"reference": asked})).status_code == 400
    assert (await client.get(f"{REFERENCE}/undo")).status_code == 400
    assert "Which reference?" in words(await client.get(REFERENCE))


# ── the list ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_list_says_in_words_what_was_done_and_how_far_it_is(busy: Browser, make: Make) -> None:
    agent = await make.agent()
    done = await assigned(busy, [await make.ticket()], agent, reason="Hers", reference="TICKET-7")
    undo = await undone(busy, done)
    await promised(busy, make)
    page = await busy.get("/admin/change_set/list")
    assert f'href="{REFERENCE}?reference=TICKET-7">TICKET-7</a>' in page.text
    read = words(page)
    assert "Assign to agent" in read
    assert f"Undo of change set {done.id} {undo.id} Lena Lead" in read
    assert "Queued" in read
    assert "Undone" in read
    found = words(await busy.get("/admin/change_set/list?reference=TICKET-7&action=assign.assign"))
    assert "Reference: TICKET-7" in found
    assert "Action: Assign to agent" in found
    assert "1–1 of 1" in found
    assert "1–1 of 1" in words(await busy.get("/admin/change_set/list?state=queued"))
    assert "Nothing matches" in words(await busy.get("/admin/change_set/list?reference=TICKET-none"))
