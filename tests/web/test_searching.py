"""Searching on the list pages, through the door: what was searched, what is wrong, and what may have been meant."""

from urllib.parse import quote

from admin_app.db import Database
from admin_app.queries import spelling
from admin_app.testing import Browser, Make, Statements
from tests.web.test_lists import LIST, links, rows_of, visible


async def test_a_list_says_what_it_searched(client: Browser, make: Make) -> None:
    await make.ticket(title="The printer stands still")
    page = (await client.get(f"{LIST}?q=printer")).text
    assert len(rows_of(page)) == 1
    assert "Searched number, title, description, public comments and tags for “printer”." in visible(page)
    nothing = visible((await client.get(f"{LIST}?q=elephant")).text)
    assert "for “elephant”. No tickets fit the search and the filters." in nothing
    assert "Searched" not in visible((await client.get(f"{LIST}?q=status:open")).text)


async def test_a_search_that_finds_nothing_leads_to_the_one_that_was_meant(
    client: Browser, make: Make, database: Database
) -> None:
    for _ in range(2):
        await make.ticket(title="An invoice got lost")
    async with database.bookkeeping() as session:
        await spelling.count_words(session)
    page = (await client.get(f"{LIST}?q=lost+invioce&status=open")).text
    assert "Did you mean lost invoice?" in visible(page)
    better = next(link for link in links(page) if "invoice" in link)
    assert better == f"{LIST}?q=lost%20invoice&status=open"
    assert len(rows_of((await client.get(better)).text)) == 2


async def test_a_mistake_in_a_search_is_a_clear_refusal(client: Browser) -> None:
    for text, says in {
        "statsu:open": "“statsu” at character 1, which is no field of tickets. Did you mean status?",
        '"open': "has a double quote at character 1 without its other one.",
        "assignee:who@example.com": "“who@example.com” is nobody here.",
    }.items():
        answer = await client.get(f"{LIST}?q={quote(text)}")
        assert answer.status_code == 400
        assert says in visible(answer.text)


async def test_everything_that_a_search_finds_can_be_frozen_and_counted(
    client: Browser, make: Make, statements: Statements
) -> None:
    tagged = await make.ticket(title="one")
    await make.tag("invoice", tagged)
    await make.ticket(title="an invoice")
    await make.ticket(title="nothing of it")
    page = (await client.get(f"{LIST}?q=invoice")).text
    assert len(rows_of(page)) == 2
    answer = await client.submit(
        "/admin/ticket/do/priority.change", {"filter": "q=invoice", "all": "1", "back": "q=invoice"}
    )
    assert answer.status_code in {302, 303}
    chosen = (await client.get(answer.headers["location"])).text
    assert "2 tickets" in visible(chosen)
