"""Finding anything from anywhere: what is found, in which order, by whom, and at what cost."""

import re
from html import unescape

import pytest

from admin_app.db import Acting
from admin_app.models import Ticket
from admin_app.queries import trash
from admin_app.queries.changes import Chosen
from admin_app.testing import Browser, Make, Statements
from tests.web.forms import HOSTILE, role

PALETTE = "/admin/palette"


async def found(browser: Browser, text: str = "", **query: str) -> dict[str, str]:
    """What is found: labels and where each leads."""
    answer = await browser.get(PALETTE, params={"q": text, "part": "yes", **query})
    assert answer.status_code == 200, answer.text
    pairs = re.findall(r'<a class="menu-item"[^>]*href="([^"]*)"[^>]*>.*?<span>(.*?)</span>', answer.text, re.DOTALL)
    return {unescape(label): unescape(href) for href, label in pairs}


async def test_a_ticket_is_found_by_its_number_before_those_that_mention_it(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="Toner is empty")
    await make.ticket(title=f"As in {ticket.ticket_number} again")
    for text in (ticket.ticket_number, ticket.ticket_number.lower(), str(ticket.id)):
        labels = await found(client, text)
        assert next(iter(labels.values())) == f"/admin/ticket/details/{ticket.id}", text
        assert next(iter(labels)) == f"{ticket.ticket_number} Toner is empty"


async def test_records_are_found_by_words_and_by_the_beginnings_of_names(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="The plotter hums")
    plotter = await make.tag("plotter")
    person = await make.customer(full_name="Petra Plotter")
    assert set((await found(client, "plotter")).values()) >= {
        f"/admin/ticket/details/{ticket.id}",
        f"/admin/tag/details/{plotter.id}",
        f"/admin/user/details/{person.id}",
    }
    assert f"/admin/user/details/{person.id}" in (await found(client, "petra pl")).values()


async def test_those_that_begin_with_the_text_come_first(client: Browser, make: Make) -> None:
    for name in ("Susanna Berg", "Anna Zorn", "Joanna Adams", "Anna"):
        await make.customer(full_name=name)
    people = [label for label, href in (await found(client, "anna")).items() if "/user/" in href]
    assert people[:2] == ["Anna", "Anna Zorn"]
    assert {*people[2:]} == {"Susanna Berg", "Joanna Adams"}


async def test_lists_pages_and_new_records_are_found_by_each_word(client: Browser) -> None:
    places = await found(client)
    assert places["Tickets"] == "/admin/ticket/list"
    assert places["Statistics"] == "/admin/page/stats/statistics"
    assert places["New ticket"] == "/admin/ticket/create"
    assert (await found(client, "au lo"))["Audit log"] == "/admin/audit_log/list"
    assert "Audit log" not in await found(client, "dit")


async def test_nobody_finds_what_they_may_not_see(browser: Browser, make: Make) -> None:
    ticket = await make.ticket(title="The plotter hums")
    await make.tag("plotter")
    await browser.sign_in(await make.agent(await role(make, "tag.view")))
    everything = [*(await found(browser)).values(), *(await found(browser, "plotter")).values()]
    assert any("/tag/details/" in href for href in everything)
    assert not any("/ticket/" in href or "/create" in href for href in everything)
    assert not await found(browser, ticket.ticket_number)


async def test_the_trash_is_left_out(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="The plotter hums")
    assert client.actor is not None
    async with client.desk.database.transaction(Acting(user_id=client.actor.id, reason="spam"), "trash.put") as gone:
        await trash.put(gone.session, Chosen.of(Ticket, [ticket.id]), client.actor.id, "spam")
    assert not await found(client, ticket.ticket_number)


async def test_without_scripts_it_is_a_page_of_links(client: Browser, make: Make) -> None:
    await make.ticket(title=f"The plotter {HOSTILE} hums")
    page = await client.get(PALETTE, params={"q": "plotter"})
    assert "<h1>Find" in page.text
    assert 'role="option"' not in page.text
    assert "The plotter &lt;script&gt;" in page.text
    assert "<script>alert" not in page.text
    nothing = await client.get(PALETTE, params={"q": "zyzzyva"})
    assert "Nothing is called so." in nothing.text
    assert f'href="{PALETTE}" data-palette' in page.text


@pytest.mark.parametrize(
    "text", ["%", "_", "'", '"', "((", "OR", "-", "status:nowhere", "9" * 40, "٣", "\u202e", "a:b:c"]
)
async def test_whatever_is_typed_is_answered(client: Browser, make: Make, text: str) -> None:
    await make.ticket(title="Plain")
    await found(client, text)


async def test_what_cannot_be_looked_for_is_refused(client: Browser) -> None:
    assert (await client.get(PALETTE, params={"q": "\x00"})).status_code == 400
    assert (await client.get(PALETTE, params={"q": "x" * 201})).status_code == 400


async def test_it_takes_at_most_four_statements(client: Browser, make: Make, statements: Statements) -> None:
    await make.ticket(title="The plotter hums")
    with statements(client.desk.database) as seen:
        await found(client, "plotter")
    assert len(seen) <= 4, seen


async def test_nobody_who_is_not_signed_in_finds_anything(browser: Browser) -> None:
    answer = await browser.get(PALETTE, params={"q": "1", "part": "yes"})
    assert answer.status_code in {302, 303, 307}
    assert "/login" in answer.headers["location"]
