"""Selections in the browser: everything that a list finds, kept on the server, and nothing that came later."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects import postgresql

from admin_app.app import create_app
from admin_app.db import Acting, Database
from admin_app.models import Attachment, ChangeSet, Selection, SelectionPart, Ticket, TicketPriority, User
from admin_app.queries.touched import touched
from admin_app.settings import Settings
from admin_app.testing import Browser, Make, Statements
from tests.web.forms import role

PRIORITY = "/admin/ticket/do/priority.change"
LIST = "/admin/ticket/list"


async def many(database: Database, customer: User, number: int, title: str = "Sound card {} crackles") -> list[Ticket]:
    """So many tickets at once."""
    async with database.transaction(Acting.system(), "test.make") as change:
        made = [Ticket(title=title.format(n), description="d", creator_id=customer.id) for n in range(number)]
        change.session.add_all(made)
    return made


def selection_of(answer: httpx.Response) -> int:
    """The selection that a list's form led to."""
    assert answer.status_code == 303, answer.text
    assert "ids" not in answer.headers["location"]
    return int(parse_qs(urlsplit(answer.headers["location"]).query)["selection"][0])


async def kept(browser: Browser, selection_id: int) -> set[int]:
    """The rows of a selection."""
    async with browser.desk.database.read() as session:
        items = select(func.unnest(SelectionPart.ids)).where(SelectionPart.selection_id == selection_id)
        return set(await session.scalars(items))


async def everything(browser: Browser, filter: str = "", without: str = "", action: str = PRIORITY) -> httpx.Response:  # noqa: A002
    """Send a list's form with its box "all that match"."""
    return await browser.submit(action, {"all": "1", "filter": filter, "without": without})


async def urgent(browser: Browser) -> set[int]:
    """The tickets that are urgent."""
    async with browser.desk.database.read() as session:
        return set(await session.scalars(select(Ticket.id).where(Ticket.priority == TicketPriority.URGENT)))


async def make_urgent(browser: Browser, address: str, **more: str) -> httpx.Response:
    """Fill in the form at an address, and send it."""
    fields = {"selection": parse_qs(urlsplit(address).query)["selection"][0], "priority": "urgent", "confirmed": "1"}
    return await browser.submit(PRIORITY, {**fields, **more})


def ids(tickets: Sequence[Ticket]) -> set[int]:
    return {ticket.id for ticket in tickets}


async def test_all_that_match_are_kept_with_the_list_s_filter_search_and_order(client: Browser, make: Make) -> None:
    customer = await make.customer(full_name="Carla Customer")
    wanted = await many(client.desk.database, customer, 30)
    await many(client.desk.database, customer, 3, "Another {}")
    await make.ticket(title="Sound card of somebody else crackles")
    filter = f"q=crackles&creator={customer.id}&sort=created_at&size=25&before=end"  # noqa: A001
    answer = await everything(client, filter)
    assert await kept(client, selection_of(answer)) == ids(wanted)
    page = await client.get(answer.headers["location"])
    assert "30 tickets selected" in page.text
    assert "Search: <b>crackles</b>" in page.text
    assert "Requester: <b>Carla Customer</b>" in page.text
    assert "and 20 more" in page.text
    assert unescape(re.findall(r'name="back" value="([^"]*)"', page.text)[0]) == f"{LIST}?{filter}"


async def test_rows_that_were_unticked_are_left_out(client: Browser, make: Make) -> None:
    made = await many(client.desk.database, await make.customer(), 12)
    out = {made[0].id, made[7].id}
    answer = await everything(client, "q=crackles", ",".join(map(str, [*out, 999_999])))
    assert await kept(client, selection_of(answer)) == ids(made) - out
    assert "10 tickets selected" in (await client.get(answer.headers["location"])).text


async def test_ticked_rows_are_kept_the_same_way(client: Browser, make: Make) -> None:
    made = await many(client.desk.database, await make.customer(), 3)
    answer = await client.submit(PRIORITY, {"ids": f"{made[0].id},{made[2].id}", "filter": "q=crackles"})
    assert await kept(client, selection_of(answer)) == {made[0].id, made[2].id}
    page = await client.get(answer.headers["location"])
    assert "2 tickets selected" in page.text
    assert 'class="chip"' not in page.text


async def test_in_the_trash_what_is_in_the_trash_is_kept(client: Browser, make: Make) -> None:
    gone = await make.ticket(deleted_at=datetime.now(UTC))
    await make.ticket()
    answer = await everything(client, "trash=yes", action="/admin/ticket/do/trash.restore")
    assert await kept(client, selection_of(answer)) == {gone.id}


async def test_what_one_may_not_see_is_neither_kept_nor_shown_nor_touched(browser: Browser, make: Make) -> None:
    ticket, agent = await make.ticket(), await make.agent()
    file = {"content_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64, "uploaded_by_id": agent.id}
    open_one, hidden = [
        await make.save(
            Attachment(ticket_id=ticket.id, filename=name, storage_key=name, is_internal=name == "secret.txt", **file)
        )
        for name in ("open.txt", "secret.txt")
    ]
    await browser.sign_in(await make.agent(await role(make, "attachment.view", "trash.put")))
    trash = "/admin/attachment/do/trash.put"
    assert await kept(browser, selection_of(await everything(browser, action=trash))) == {open_one.id}
    answer = await browser.submit(trash, {"ids": [open_one.id, hidden.id]})
    page = await browser.get(answer.headers["location"])
    assert "open.txt" in page.text
    assert "secret.txt" not in page.text
    fields = {"selection": selection_of(answer), "reason": "tidy", "confirmed": "2"}
    shown = await browser.submit(trash, {**fields, "preview": "1"})
    assert "are skipped: not found" in shown.text
    assert "secret.txt" not in shown.text
    done = await browser.submit(trash, fields)
    assert "1 attachment changed, 1 skipped (1 not found)" in (await browser.get(done.headers["location"])).text
    async with browser.desk.database.read() as session:
        assert (await session.get_one(Attachment, hidden.id)).deleted_at is None


async def test_more_than_one_action_may_touch_are_refused_with_the_number(database: Database, make: Make) -> None:
    settings = replace(Settings.from_env(), bulk_limit=5, secret_key="x" * 32)
    app = create_app(settings, database)
    await many(database, await make.customer(), 7)
    async with Browser(app, app.state.desk) as small:
        await small.sign_in(await make.lead())
        answer = await everything(small, "q=crackles&size=25")
        assert answer.headers["location"] == f"{LIST}?q=crackles&size=25"
        page = await small.get(answer.headers["location"])
        assert "7 rows match; one action may touch 5 at most. Please narrow the list." in page.text
        export = await everything(small, "q=crackles", action="/admin/ticket/selected/csv")
        assert "7 rows match" in (await small.get(export.headers["location"])).text
        async with database.read() as session:
            assert (await session.scalars(select(Selection))).all() == []


async def test_the_exact_number_is_told_beyond_what_lists_count(
    client: Browser, make: Make, database: Database
) -> None:
    customer = await make.customer()
    async with database.transaction(Acting.system(), "test.make") as change:
        made = (
            "INSERT INTO tickets (title, description, creator_id) SELECT 'Fan', 'd', :id FROM generate_series(1, 10050)"
        )
        await change.session.execute(text(made), {"id": customer.id})
    assert (await client.get("/admin/ticket/count", headers={"accept": "application/json"})).json()["text"] == "10,000+"
    answer = await everything(client)
    assert "10,050 tickets selected" in (await client.get(answer.headers["location"])).text


async def test_no_request_grows_with_the_number_of_rows(client: Browser, make: Make) -> None:
    made = await many(client.desk.database, await make.customer(), 500)
    filter = "q=crackles&status=open,in_progress&priority=medium&sort=-priority_rank&size=250&before=end"  # noqa: A001
    without = ",".join(str(ticket.id) for ticket in made[:50])
    sent = await everything(client, filter, without)
    shown = await client.get(sent.headers["location"])
    done = await make_urgent(client, sent.headers["location"])
    for answer in (sent, shown, done):
        request = answer.request
        size = len(str(request.url)) + sum(len(k) + len(v) + 4 for k, v in request.headers.raw) + len(request.content)
        assert size < 2_048, request.url
    assert len(await urgent(client)) == 450


async def test_rows_that_came_after_the_selection_are_never_touched(client: Browser, make: Make) -> None:
    customer = await make.customer()
    made = await many(client.desk.database, customer, 20)
    answer = await everything(client, "q=crackles")
    late = await many(client.desk.database, customer, 5)
    page = await client.get(answer.headers["location"])
    assert "20 tickets selected" in page.text
    done = await make_urgent(client, answer.headers["location"])
    assert "Set priority: 20 tickets changed." in (await client.get(done.headers["location"])).text
    assert await urgent(client) == ids(made)
    assert ids(late).isdisjoint(await urgent(client))


async def test_what_happened_since_is_told_before_anything_is_done(client: Browser, make: Make) -> None:
    customer = await make.customer()
    made = await many(client.desk.database, customer, 10)
    answer = await everything(client, "q=crackles")
    address = answer.headers["location"]
    assert 'class="since"' not in (await client.get(address)).text
    async with client.desk.database.transaction(Acting.system(), "test.backdate") as change:
        past = datetime.now(UTC) - timedelta(hours=1)
        await change.session.execute(update(Ticket).values(created_at=past, updated_at=past))
    async with client.desk.database.bookkeeping() as session:
        at = datetime.now(UTC) - timedelta(minutes=30)
        await session.execute(update(Selection).values(created_at=at))
    async with client.desk.database.transaction(Acting.system(), "test.edit") as change:
        now = datetime.now(UTC)
        edited = {"title": "Sound card crackles no more", "updated_at": now}
        await change.session.execute(update(Ticket).where(Ticket.id == made[0].id).values(edited))
        quiet = {"title": "Silence", "updated_at": now}
        await change.session.execute(update(Ticket).where(Ticket.id == made[1].id).values(quiet))
    await many(client.desk.database, customer, 2)
    page = await client.get(address)
    assert "2 of them changed since." in page.text
    assert "1 of them no longer matches the list, and is still included." in page.text
    assert "2 new ones match, and are not included." in page.text


async def test_a_selection_of_rows_that_are_gone_says_so(client: Browser, make: Make) -> None:
    made = await many(client.desk.database, await make.customer(), 4)
    answer = await everything(client, "q=crackles")
    async with client.desk.database.transaction(Acting.system(), "test.purge") as change:
        await change.session.delete(await change.session.get_one(Ticket, made[0].id))
    page = await client.get(answer.headers["location"])
    assert "4 tickets selected" in page.text
    assert "1 of the selected rows no longer exists and will be skipped." in page.text
    done = await make_urgent(client, answer.headers["location"])
    assert "3 tickets changed, 1 skipped (1 not found)" in (await client.get(done.headers["location"])).text


async def test_a_reload_loses_and_doubles_nothing(client: Browser, make: Make) -> None:
    await many(client.desk.database, await make.customer(), 6)
    address = (await everything(client, "q=crackles")).headers["location"]
    first, again = await client.get(address), await client.get(address)
    assert "6 tickets selected" in first.text
    assert "6 tickets selected" in again.text
    await make_urgent(client, address, key="one-form")
    twice = await make_urgent(client, address, key="one-form")
    assert "has been done once" in (await client.get(twice.headers["location"])).text
    async with client.desk.database.read() as session:
        [done] = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "priority.change"))).all()
    assert (done.requested, done.changed) == (6, 6)


async def test_a_selection_is_one_s_own_and_of_one_list_and_expires(browser: Browser, make: Make) -> None:
    await many(browser.desk.database, await make.customer(), 2)
    await browser.sign_in(await make.lead())
    address = (await everything(browser)).headers["location"]
    assert (
        await browser.get(address.replace("/ticket/do/priority.change", "/user/do/absence.release"))
    ).status_code == 404
    await browser.sign_in(await make.lead())
    assert (await browser.get(address)).status_code == 404
    own = (await everything(browser)).headers["location"]
    async with browser.desk.database.bookkeeping() as session:
        await session.execute(update(Selection).values(expires_at=datetime.now(UTC) - timedelta(minutes=1)))
    answer = await browser.get(own)
    assert answer.status_code == 404
    assert "This selection has expired" in answer.text
    assert (await make_urgent(browser, own)).status_code == 404
    assert await urgent(browser) == set()


@pytest.mark.parametrize("number", ["x", "0x1", "-1", "9" * 30, "1\x00", "²", str(2**63)])
async def test_what_is_no_selection_is_refused(client: Browser, number: str) -> None:
    assert (await client.get(PRIORITY, params={"selection": number})).status_code == 400


async def test_a_list_s_form_that_makes_no_sense_is_refused_and_keeps_nothing(client: Browser, make: Make) -> None:
    await make.ticket()
    for fields in ({"all": "1", "filter": "colour=red"}, {"all": "1", "without": "x"}, {"ids": "1;2"}):
        assert (await client.submit(PRIORITY, fields)).status_code == 400
    assert "Nothing is selected" in (await client.submit(PRIORITY, {"filter": "q=x"})).text
    nothing = await everything(client, "q=nothing-like-it")
    assert "Nothing matches any more" in (await client.get(nothing.headers["location"])).text
    async with client.desk.database.read() as session:
        assert (await session.scalars(select(Selection))).all() == []


async def test_the_list_offers_all_that_match_and_remembers_by_what_is_asked(client: Browser, make: Make) -> None:
    await many(client.desk.database, await make.customer(), 30)
    page = (await client.get(f"{LIST}?q=crackles&sort=created_at&size=25&before=end")).text
    assert re.search(r"Select .*all <span data-count-text></span>.* matching", page)
    assert 'data-src="/admin/ticket/count?q=crackles"' in page
    assert 'data-selection="ticket?q=crackles"' in page
    assert 'data-total=""' in page
    assert 'name="filter" value="q=crackles&amp;sort=created_at&amp;size=25&amp;before=end"' in page


# ---- The rows of a change set in their list


async def outcome_lists(client: Browser, make: Make) -> tuple[int, dict[str, set[int]]]:
    """A change set with an outcome of each kind, and the tickets by outcome."""
    customer = await make.customer()
    changed = await many(client.desk.database, customer, 3)
    same = await make.ticket(priority=TicketPriority.URGENT)
    closed = await make.ticket(status="closed", resolved_at=datetime.now(UTC), closed_at=datetime.now(UTC))
    chosen = [*changed, same, closed]
    await make.ticket()
    fields = {"ids": ",".join(str(ticket.id) for ticket in chosen), "priority": "urgent", "confirmed": "1"}
    assert (await client.submit(PRIORITY, fields)).status_code == 303
    async with client.desk.database.read() as session:
        found = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "priority.change"))).one()
    assert (found.changed, found.unchanged, dict(found.skipped)) == (3, 1, {"closed": 1})
    return found.id, {
        "": ids(chosen),
        "&outcome=changed": ids(changed),
        "&outcome=unchanged": {same.id},
        "&outcome=skipped": {closed.id},
        "&outcome=closed": {closed.id},
        "&outcome=failed": set(),
    }


def listed(page: httpx.Response) -> set[int]:
    """The rows that a list shows."""
    assert page.status_code == 200, page.text
    return set(map(int, re.findall(r"name=ids value=(\d+)", page.text)))


async def test_a_list_shows_the_rows_that_a_change_set_was_about_by_what_became_of_them(
    client: Browser, make: Make, statements: Statements
) -> None:
    number, wanted = await outcome_lists(client, make)
    for outcome, rows in wanted.items():
        with statements(client.desk.database) as seen:
            page = await client.get(f"{LIST}?change_set={number}{outcome}")
        assert listed(page) == rows, outcome
        assert len(seen) <= 6
    page = await client.get(f"{LIST}?change_set={number}&outcome=changed")
    assert f"Change set: <b>{number}</b>" in page.text
    assert "Outcome: <b>Changed</b>" in page.text
    assert f'href="{LIST}?change_set={number}" aria-label="Remove the filter Outcome' in page.text
    assert f'href="{LIST}" aria-label="Remove the filter Change set' in page.text
    assert listed(await client.get("/admin/comment/list", params={"change_set": number})) == set()
    everything_again = await everything(client, f"change_set={number}&outcome=changed")
    assert await kept(client, selection_of(everything_again)) == wanted["&outcome=changed"]


async def test_records_that_were_edited_one_by_one_are_found_as_well(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    async with client.desk.database.transaction(Acting.system(), "ticket.edit") as change:
        (await change.session.get_one(Ticket, ticket.id)).title = "Another title"
    for outcome in ("", "&outcome=changed"):
        assert listed(await client.get(f"{LIST}?change_set={change.id}{outcome}")) == {ticket.id}
    assert listed(await client.get(f"{LIST}?change_set={change.id}&outcome=unchanged")) == set()


async def test_rows_that_went_to_the_trash_are_looked_for_there(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await client.submit("/admin/ticket/do/trash.put", {"ids": ticket.id, "confirmed": "1", "reason": "spam"})
    async with client.desk.database.read() as session:
        number = await session.scalar(select(ChangeSet.id).where(ChangeSet.action == "trash.put"))
    page = await client.get(f"{LIST}?change_set={number}")
    assert "They may be in the trash." in page.text
    assert f"{LIST}?change_set={number}&amp;trash=yes" in page.text
    assert listed(await client.get(f"{LIST}?change_set={number}&trash=yes")) == {ticket.id}


@pytest.mark.parametrize(
    "query",
    ["change_set=x", "change_set=0", f"change_set={2**63}", "change_set=1,2", "outcome=changed", "change_set=²"],
)
async def test_what_is_no_change_set_is_refused(client: Browser, query: str) -> None:
    assert (await client.get(f"{LIST}?{query}")).status_code == 400


async def test_the_rows_of_a_change_set_are_found_by_index(client: Browser, make: Make) -> None:
    number, _ = await outcome_lists(client, make)
    async with client.desk.database.read() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        query = select(Ticket.id).where(touched(Ticket, number, "changed"))
        sql = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
        plan = "\n".join(await session.scalars(text(f"EXPLAIN {sql}".replace(":", "\\:"))))
    assert re.search(r"Index .*(using|on) pk_row_outcomes", plan), plan
    assert re.search(r"Index .*(using|on) ix_audit_logs_", plan), plan
    assert "Seq Scan" not in plan, plan
