"""Which columns a list shows, in which order, and how close its rows stand."""

import re
from typing import Any
from urllib.parse import unquote

import pytest

from admin_app.db import Database
from admin_app.models import Attachment
from admin_app.plugin import Resource
from admin_app.queries.listing import choosable_columns
from admin_app.testing import Browser, Make, Statements
from tests.web.test_lists import LIST, RESOURCES, links, rows_of, visible

CHOICE = "/admin/ticket/columns"


def headings(page: str) -> list[str]:
    """What stands over the columns of a list."""
    head = re.search(r"<thead>(.*?)</thead>", page, flags=re.DOTALL)
    return (
        [text for cell in re.findall(r"<th[^>]*>(.*?)</th>", head[1], flags=re.DOTALL) if (text := visible(cell))]
        if head
        else []
    )


async def chosen(client: Browser, do: str, columns: list[str], **fields: Any) -> Any:
    order = list(choosable_columns(RESOURCES["ticket"]))
    order.sort(key=lambda name: columns.index(name) if name in columns else len(columns))
    return await client.submit(CHOICE, {"do": do, "order": order, "column": columns, **fields})


async def test_an_address_chooses_the_columns_and_their_order(client: Browser, make: Make) -> None:
    agent = await make.agent(full_name="Ana Ruiz")
    ticket = await make.ticket(title="No paper", assignee_id=agent.id)
    page = (await client.get(f"{LIST}?columns=title,assignee,ticket_number,status")).text
    assert headings(page) == ["Title", "Assignee", "Ticket number", "Status"]
    assert rows_of(page) == [f"No paper Ana Ruiz {ticket.ticket_number} Open"]
    assert f"{LIST}?sort=status&columns=title,assignee,ticket_number,status" in links(page)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("columns=title,colour", "columns: “colour” is no column of this list. It takes some of ticket_number, title"),
        ("columns=title,title", "columns: names title twice."),
        ("columns=,", "columns: names no column."),
        ("columns=comments", "“comments” is no column"),
        ("columns=label", "“label” is no column"),
        ("columns=title&columns=status", "columns: can be given once only."),
        ("density=loose", "density: takes comfortable or compact."),
    ],
)
async def test_a_column_that_cannot_be_shown_is_refused_by_name(client: Browser, asked: str, says: str) -> None:
    answer = await client.get(f"{LIST}?{asked}")
    assert answer.status_code == 400
    assert says in visible(answer.text)


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=list(RESOURCES))
async def test_every_column_that_can_be_chosen_is_shown_without_a_query_for_each_row(
    client: Browser, make: Make, database: Database, statements: Statements, resource: Resource
) -> None:
    columns, counts = ",".join(choosable_columns(resource)), []
    for more in (1, 6):
        for _ in range(more):
            ticket, agent = await make.ticket(creator_id=(await make.customer()).id), await make.agent()
            await make.comment(ticket, agent)
            await make.tag(f"tag {ticket.id}", ticket)
            await make.save(
                Attachment(
                    ticket_id=ticket.id,
                    uploaded_by_id=agent.id,
                    filename="a",
                    content_type="text/plain",
                    size_bytes=1,
                    sha256="0" * 64,
                    storage_key=str(ticket.id),
                )
            )
        with statements(database) as seen:
            page = await client.get(f"/admin/{resource.name}/list?columns={columns}")
        assert len(rows_of(page.text)) >= more
        counts.append(len(seen))
    assert counts[0] == counts[1]
    assert "password" not in columns


async def test_a_secret_is_no_column(client: Browser) -> None:
    answer = await client.get("/admin/user/list?columns=full_name,password_hash")
    assert answer.status_code == 400
    assert "“password_hash” is no column of this list." in visible(answer.text)


async def test_what_is_chosen_is_kept_for_the_person_until_they_reset_it(client: Browser, make: Make) -> None:
    await make.ticket(title="No paper")
    answer = await chosen(client, "show", ["title", "status"], density="compact", filter="status=open")
    assert answer.status_code == 303
    assert unquote(answer.headers["location"]) == f"{LIST}?status=open&columns=title,status&density=compact"
    page = (await client.get(LIST)).text
    assert headings(page) == ["Title", "Status"]
    assert "table cards compact" in page
    assert f"{LIST}?sort=created_at" not in links(page)
    assert headings((await client.get(f"{LIST}?columns=priority")).text) == ["Priority"]
    assert headings((await client.get("/admin/user/list")).text)[0] == "Full name"
    await chosen(client, "reset", ["title"])
    assert headings((await client.get(LIST)).text)[:2] == ["Ticket number", "Title"]


async def test_two_people_at_one_browser_have_columns_of_their_own(client: Browser, make: Make) -> None:
    await make.ticket()
    await chosen(client, "show", ["title"])
    await client.sign_in(await make.lead())
    assert len(headings((await client.get(LIST)).text)) > 3


async def test_what_was_kept_and_can_no_longer_be_is_forgotten(client: Browser, make: Make) -> None:
    await make.ticket()
    assert client.actor
    client.cookies.set(f"backdesk_columns_{client.actor.id}", "ticket=columns%3Dgone", domain="localhost.local")
    assert headings((await client.get(LIST)).text)[:2] == ["Ticket number", "Title"]


async def test_columns_are_put_in_order_by_buttons(client: Browser) -> None:
    page = (await client.get(f"{CHOICE}?columns=title,status")).text
    assert re.findall(r'name="order" value="(\w+)"', page)[:2] == ["title", "status"]
    moved = await chosen(client, "down:title", ["title", "status"])
    assert moved.status_code == 200
    assert re.findall(r'name="order" value="(\w+)"', moved.text)[:3] == ["status", "title", "ticket_number"]
    assert re.findall(r'name="column" value="(\w+)" checked', moved.text) == ["status", "title"]
    assert (await client.get(LIST)).cookies == {}


async def test_a_list_without_columns_is_not_made(client: Browser) -> None:
    answer = await chosen(client, "show", [])
    assert answer.status_code == 422
    assert "Please tick at least one column." in visible(answer.text)


async def test_columns_are_for_those_who_may_see_the_list(browser: Browser, make: Make) -> None:
    await browser.sign_in(await make.user())
    assert (await browser.get(CHOICE)).status_code == 403
