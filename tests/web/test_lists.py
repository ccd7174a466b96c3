"""The list pages, through the door."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_app import resources
from admin_app.db import Acting, Database
from admin_app.models import Ticket, TicketStatus, TicketTag
from admin_app.queries.listing import parameters
from admin_app.testing import Browser, Make, Statements
from tests.web.forms import role

RESOURCES = {resource.name: resource for resource in resources.plugin.resources}
LIST = "/admin/ticket/list"
FILTERS = "/admin/ticket/filters"


def visible(page: str) -> str:
    """What a page says, without its markup."""
    text = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def rows_of(page: str) -> list[str]:
    """What the rows of a page's table say."""
    body = re.search(r"<tbody>(.*?)</tbody>", page, flags=re.DOTALL)
    return [visible(row) for row in re.split(r"<tr[^>]*>", body[1])[1:]] if body else []


def links(page: str) -> list[str]:
    return [unescape(href) for href in re.findall(r'href="([^"]*)"', page)]


@pytest.mark.parametrize("name", RESOURCES)
async def test_every_list_shows_its_rows(client: Browser, make: Make, name: str) -> None:
    ticket = await make.ticket()
    await make.comment(ticket, await make.agent())
    await make.tag("printer", ticket, color="#b0251d")
    answer = await client.get(f"/admin/{name}/list")
    assert answer.status_code == 200
    assert bool(rows_of(answer.text)) == (name != "attachment")
    assert " style=" not in answer.text


async def test_a_ticket_is_listed_with_everything_one_needs(client: Browser, make: Make) -> None:
    agent = await make.agent(full_name="Ana Ruiz")
    customer = await make.customer(full_name="Cleo Customer")
    ticket = await make.ticket(
        title="No paper",
        assignee_id=agent.id,
        creator_id=customer.id,
        created_at=datetime(2026, 1, 5, 9, 30, tzinfo=UTC),
    )
    await make.tag("printer", ticket, color="#b0251d")
    page = (await client.get(LIST)).text
    [row] = rows_of(page)
    assert row == (f"{ticket.ticket_number} No paper printer Open Medium Ana Ruiz Cleo Customer 5 Jan 2026, 09:30")
    assert f"/admin/ticket/details/{ticket.id}" in links(page)
    assert f"/admin/user/details/{agent.id}" in links(page)
    assert 'color="#b0251d"' in page


async def test_hostile_texts_are_shown_and_not_run(client: Browser, make: Make) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    person = await make.agent(full_name=evil, email="evil@example.com")
    ticket = await make.ticket(title=evil, assignee_id=person.id)
    await make.tag(evil, ticket)
    await make.comment(ticket, person, evil)
    for url in (LIST, "/admin/comment/list", "/admin/user/list", "/admin/tag/list", "/admin/audit_log/list"):
        page = (await client.get(url)).text
        assert "<script>alert" not in page, url
        assert "<img src=x" not in page, url
        assert "&lt;script&gt;" in page, url
    page = (await client.get(LIST, params={"q": evil, "assignee": str(person.id), "tags": "<b>bold</b>"})).text
    assert "<b>bold" not in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("size", [25, 250])
async def test_a_ticket_list_takes_at_most_four_statements_with_the_sign_in(
    client: Browser, make: Make, database: Database, statements: Statements, size: int
) -> None:
    agent, tag = await make.agent(), await make.tag("printer")
    customers = [await make.customer() for _ in range(30)]
    async with database.transaction(Acting.system(), "test.make") as change:
        made = [
            Ticket(title=str(n), description="d", creator_id=customers[n % 30].id, assignee_id=agent.id)
            for n in range(size + 1)
        ]
        change.session.add_all(made)
        await change.session.flush()
        change.session.add_all(TicketTag(ticket_id=ticket.id, tag_id=tag.id) for ticket in made)
    query = {"size": str(size), "assignee": str(agent.id), "created_at": "today"}
    with statements(database) as seen:
        answer = await client.get(LIST, params=query)
    assert len(rows_of(answer.text)) == size
    assert "Assignee: Person" in visible(answer.text)
    assert len(seen) <= 4
    with statements(database) as plain:
        await client.get(LIST, params={"size": str(size), "status": "open"})
    assert len(plain) <= 2, "\n".join(plain)
    assert f"LIMIT {size + 1}" in plain[-1], "its plan is kept, since nothing in it varies"
    assert f"LIMIT {size + 1}" not in "".join(seen), "it is planned for these values"


async def test_filters_are_shown_in_words_each_with_the_list_without_it(client: Browser, make: Make) -> None:
    agent, ticket = await make.agent(full_name="Ana Ruiz"), await make.ticket()
    await make.tag("printer", ticket)
    query = f"?q=paper&status=open,in_progress&assignee={agent.id},none&tags=printer&created_at=2026-01-01..2026-02-01"
    page = (await client.get(LIST + query + "&overdue=no&due_at=next-7-days&resolved_at=none")).text
    text = visible(page)
    for words in (
        "Search: paper",
        "Status: Open, In progress",
        "Assignee: Ana Ruiz, Nobody",
        "Tags: printer",
        "Created: 1 Jan 2026 – 31 Jan 2026",
        "Due: Next 7 days",
        "Resolved: None",
        "Overdue: No",
    ):
        assert words in text
    without = [url for url in links(page) if url.startswith(LIST) and "tags=" not in url and "q=paper" in url]
    assert any("status=open,in_progress" in url and "overdue=no" in url for url in without)
    unknown = visible((await client.get(LIST + "?assignee=999&tags=nothing")).text)
    assert "Assignee: No. 999 (not found)" in unknown
    assert "Tags: “nothing” (not found)" in unknown


async def test_a_filter_form_leads_to_a_short_address(client: Browser, make: Make) -> None:
    await make.ticket()
    form = "?q=&status=open&status=closed&assignee=&created_at_from=2026-01-01&created_at_to=&overdue="
    answer = await client.get(LIST + form)
    assert answer.status_code == 302
    assert answer.headers["location"] == f"{LIST}?status=open,closed&created_at=2026-01-01.."
    page = await client.get(answer.headers["location"])
    assert page.status_code == 200
    assert f"{FILTERS}?status=open,closed&created_at=2026-01-01.." in links(page.text)
    for name, value in (("status", "open,closed"), ("created_at", "2026-01-01..")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in page.text
    filters = await client.get(f"{FILTERS}?status=open,closed&created_at=2026-01-01..")
    assert 'name="created_at_from" value="2026-01-01"' in filters.text
    assert 'name="status" value="closed" checked' in filters.text
    kept = (await client.get(f"{FILTERS}?created_at=last-7-days")).text
    assert '<input type="hidden" name="created_at" value="last-7-days">' in kept


async def test_headings_sort_and_say_how(client: Browser, make: Make) -> None:
    await make.ticket()
    page = (await client.get(LIST)).text
    assert re.search(r'aria-sort="descending"><a href="/admin/ticket/list\?sort=created_at">Created', page)
    assert f"{LIST}?sort=-priority_rank" in links(page)
    page = (await client.get(f"{LIST}?sort=-priority&status=open")).text
    assert re.search(r'aria-sort="descending"><a href="[^"]*">Priority', page)
    assert f"{LIST}?status=open&sort=priority_rank" in links(page)
    page = (await client.get(f"{LIST}?sort=-priority,created_at")).text
    assert re.search(r"<caption[^>]*>Tickets, sorted by priority.*, then created", page)


async def test_paging_keeps_filters_and_starts_again_when_they_change(
    client: Browser, make: Make, database: Database
) -> None:
    customer = await make.customer()
    async with database.transaction(Acting.system(), "test.make") as change:
        change.session.add_all(Ticket(title=str(n), description="d", creator_id=customer.id) for n in range(60))
    first = (await client.get(f"{LIST}?status=open&size=25")).text
    [onward] = [url for url in links(first) if "after=" in url]
    assert onward.startswith(f"{LIST}?status=open&size=25&after=")
    page = (await client.get(onward)).text
    found = links(page)
    [back] = [url for url in found if "before=" in url and "before=end" not in url]
    assert rows_of((await client.get(back)).text) == rows_of(first)
    assert f"{LIST}?status=open&size=25" in found
    assert f"{LIST}?status=open&size=25&before=end" in found
    assert f"{LIST}?status=open&sort=created_at&size=25" in found
    last = (await client.get(f"{LIST}?status=open&size=25&before=end")).text
    assert len(rows_of(last)) == 25
    assert rows_of(last)[:15] == rows_of(page)[10:]
    assert not [url for url in links(last) if "after=" in url]
    beyond = await client.get(f"{LIST}?sort=created_at&at=2100-01-01")
    assert beyond.status_code == 200
    assert "Nothing more" in beyond.text
    assert f"{LIST}?sort=created_at&before=end" in links(beyond.text)


async def test_nothing_there_and_nothing_found_are_different(client: Browser, make: Make) -> None:
    assert "No tickets yet" in (await client.get(LIST)).text
    assert "The trash is empty" in (await client.get(f"{LIST}?trash=yes")).text
    await make.ticket()
    page = (await client.get(f"{LIST}?q=unheard-of")).text
    assert "Nothing matches" in page
    assert "Clear all filters" in page


async def test_the_trash_is_a_list_of_its_own(client: Browser, make: Make) -> None:
    await make.ticket(title="here")
    await make.ticket(title="gone", deleted_at=datetime.now(UTC), delete_reason="sent twice")
    live, trash = (await client.get(LIST)).text, (await client.get(f"{LIST}?trash=yes")).text
    assert "here" in rows_of(live)[0]
    assert len(rows_of(live)) == 1
    assert "gone" in rows_of(trash)[0]
    assert "sent twice" in rows_of(trash)[0]
    assert "Restore from trash" in trash
    assert "Move to trash" in live
    assert "Move to trash" not in trash


async def test_actions_are_those_that_the_viewer_may_do(browser: Browser, make: Make) -> None:
    ticket = await make.ticket()
    agent = await browser.sign_in(await make.agent())
    page = (await agent.get(LIST)).text
    assert 'formaction="/admin/ticket/do/assign.assign"' in page
    assert "trash.put" not in page
    assert f"name=ids value={ticket.id} " in page
    assert "/export/" not in page
    auditor = await browser.sign_in(await make.agent("auditor"))
    page = (await auditor.get(LIST)).text
    assert "formaction" not in page
    assert 'name="ids"' not in page
    assert "/admin/ticket/create" not in links(page)


async def test_who_may_not_see_a_list_is_told_so(browser: Browser, make: Make) -> None:
    assert (await browser.get(LIST)).status_code == 303
    agent = await browser.sign_in(await make.agent())
    assert (await agent.get("/admin/audit_log/list")).status_code == 403
    assert (await agent.get("/admin/nothing/list")).status_code == 404


async def test_other_records_are_linked_and_named_only_for_those_who_may_see_them(browser: Browser, make: Make) -> None:
    agent = await make.agent(full_name="Ana Ruiz")
    ticket = await make.ticket(title="Salary of the boss")
    await make.comment(ticket, agent, "A note.")
    viewer = await browser.sign_in(await make.agent(await role(make, "comment.view")))
    page = (await viewer.get("/admin/comment/list")).text
    assert "Salary" not in page
    assert ticket.ticket_number not in page
    [row] = rows_of(page)
    assert row.startswith(f"No. {ticket.id} Ana Ruiz A note. Yes")
    assert f"/admin/user/details/{agent.id}" not in links(page)
    assert f"/admin/ticket/details/{ticket.id}" not in links(page)
    filtered = await viewer.get("/admin/audit_log/list?user=1")
    assert filtered.status_code == 403


async def test_the_audit_log_says_what_changed(client: Browser, make: Make, database: Database) -> None:
    agent, ticket = await make.agent(full_name="Ana Ruiz"), await make.ticket(title="before")
    async with database.transaction(Acting(user_id=agent.id), "test.edit") as change:
        edited = await change.session.get_one(Ticket, ticket.id)
        edited.title, edited.status, edited.assignee_id = "after", TicketStatus.IN_PROGRESS, agent.id
    [row] = rows_of((await client.get("/admin/audit_log/list?action=UPDATE&table_name=tickets")).text)
    assert "Title: before → after" in row
    assert "Status: Open → In progress" in row
    assert "Assignee: Ana Ruiz" in row
    assert f"Changed Ticket {ticket.ticket_number} Ana Ruiz" in row
    created = rows_of((await client.get("/admin/audit_log/list?action=CREATE&table_name=tickets")).text)[0]
    assert "Title: before" in created
    assert re.search(r"Description: \d+ characters", created)
    assert "sha256" not in created


async def test_a_mistake_in_the_address_is_explained(client: Browser) -> None:
    answer = await client.get(f"{LIST}?status=foo")
    assert answer.status_code == 400
    assert "status: “foo” is not known. It takes one or more of open, in_progress" in unescape(answer.text)
    assert f'<a href="{LIST}">The whole list</a>' in answer.text
    other = await client.get(f"{LIST}?after=elsewhere")
    assert other.status_code == 400
    assert "Start again from its first page." in other.text


HARD = [
    "",
    "none",
    "me",
    "yes",
    "1,2",
    "-1",
    "0",
    str(2**63),
    "..",
    "2026-01-01..",
    "9999-12-31",
    "\x00",
    "%",
    '"',
    "'",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(RESOURCES)), data=st.data())
async def test_no_address_breaks_a_list(client: Browser, name: str, data: st.DataObject) -> None:
    names = st.sampled_from([*parameters(RESOURCES[name]), "tag", "created"])
    values = st.one_of(st.sampled_from(HARD), st.text(max_size=10), st.dates().map(str), st.integers().map(str))
    pairs: Any = data.draw(st.lists(st.tuples(names, values), max_size=3))
    answer = await client.get(f"/admin/{name}/list", params=pairs)
    assert answer.status_code in {200, 302, 400}
    if answer.status_code == 302:
        assert (await client.get(answer.headers["location"])).status_code == 200
