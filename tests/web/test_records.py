"""The page of one record through the web door: what it shows, to whom, and addresses that are none."""

import html
import re
from pathlib import Path
from typing import Any

import pytest

from admin_app import resources
from admin_app.app import create_app
from admin_app.db import Acting, Database
from admin_app.models import (
    Comment,
    Ticket,
)
from admin_app.queries import trash
from admin_app.queries.changes import Chosen
from admin_app.registry import declare_permissions, load
from admin_app.settings import Settings
from admin_app.testing import Browser, Make, Statements
from tests.web.forms import HOSTILE, audited, change_sets, count, edit, role


async def test_a_ticket_s_page_shows_all_of_it_and_runs_nothing_that_is_written_in_it(
    client: Browser, make: Make
) -> None:
    customer = await make.customer(full_name=f"Carla {HOSTILE}")
    ticket = await make.ticket(
        title=f"Printer {HOSTILE}", description=f"Line one\nLine two {HOSTILE}", creator_id=customer.id
    )
    await make.comment(ticket, customer, f"It still burns {HOSTILE}", is_internal=False)
    await make.comment(ticket, await make.agent(full_name="Ana Agent"), "She is a VIP.")
    await make.tag(f"tag {HOSTILE}", ticket)
    page = await client.get(f"/admin/ticket/details/{ticket.id}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    assert "Line one\nLine two &lt;script&gt;" in page.text
    assert f'href="/admin/user/details/{customer.id}"' in page.text
    assert page.text.count('class="comment internal"') == 1
    assert page.text.index("It still burns") < page.text.index("She is a VIP.")
    assert (
        f"/admin/ticket/do/assign.assign?ids={ticket.id}&amp;back=%2Fadmin%2Fticket%2Fdetails%2F{ticket.id}"
        in page.text
    )
    assert f'href="/admin/ticket/edit/{ticket.id}"' in page.text


async def test_a_ticket_s_page_needs_three_statements_and_so_does_its_form(
    client: Browser, make: Make, statements: Statements
) -> None:
    ticket = await make.ticket(assignee_id=(await make.agent()).id)
    for _ in range(20):
        await make.comment(ticket, await make.agent())
    await make.tag("one", ticket)
    await make.tag("two", ticket)
    with statements(client.desk.database) as seen:
        page = await client.get(f"/admin/ticket/details/{ticket.id}")
    assert page.text.count("<article") == 20
    assert 'class="timeline"' in page.text
    assert len(seen) == 3, "\n".join(seen)
    with statements(client.desk.database) as seen:
        form = await client.get(f"/admin/ticket/edit/{ticket.id}")
    assert "selected>Person" in form.text
    assert len(seen) == 3, "\n".join(seen)


async def test_comments_and_files_are_for_those_who_may_see_them(client: Browser, make: Make, shared_app: Any) -> None:
    ticket = await make.ticket(description="What was asked")
    await make.comment(ticket, await make.agent(), "Said in public", is_internal=False)
    await make.comment(ticket, await make.agent(), "Said among us")
    for permissions, said, files in (
        (("ticket.view",), 0, False),
        (("ticket.view", "attachment.view"), 0, True),
        (("ticket.view", "comment.view"), 2, False),
    ):
        async with Browser(shared_app, client.desk) as browser:
            await browser.sign_in(await make.agent(await role(make, *permissions)))
            page = (await browser.get(f"/admin/ticket/details/{ticket.id}")).text
        assert "What was asked" in page
        assert (page.count("<article"), page.count(">Said ")) == (said, said), permissions
        assert ('id="files"' in page) == files, permissions


async def test_a_panel_that_fails_takes_neither_the_page_nor_the_panels_behind_it_away(
    live_database: Database, make_live: Make, tmp_path: Path
) -> None:
    folder = tmp_path / "panels"
    (folder / "templates" / "panels").mkdir(parents=True)
    (folder / "templates" / "panels" / "said.html").write_text("<p>{{ said }}</p>")
    (folder / "__init__.py").write_text(PANELS)
    settings = Settings(plugin_dir=tmp_path, data_dir=tmp_path, secret_key="a secret for tests only, 32 long")
    registry = load(settings, core=[resources.plugin])
    await declare_permissions(live_database, registry)
    app = create_app(settings, live_database, registry)
    ticket = await make_live.ticket(title="No paper")
    async with Browser(app, app.state.desk) as browser:
        await browser.sign_in(await make_live.lead())
        page = await browser.get(f"/admin/ticket/details/{ticket.id}")
    assert page.status_code == 200
    assert "Broken could not be shown" in page.text
    assert "<p>1 ticket, No paper</p>" in page.text
    assert "division" not in page.text


PANELS = """
from sqlalchemy import text

from admin_app.models import Ticket
from admin_app.plugin import Plugin

plugin = Plugin(__name__)


@plugin.panel(Ticket, label="Broken", template="panels/said.html")
async def broken(session, record, visit):
    await session.execute(text("SELECT 1 / 0"))


@plugin.panel(Ticket, label="Whole", template="panels/said.html")
async def whole(session, record, visit):
    count = await session.scalar(text("SELECT count(*) FROM tickets"))
    return {"said": f"{count} ticket, {record.title}"}
"""


@pytest.mark.parametrize(
    "key", ["0", "-1", "1.5", "abc", "9223372036854775808", "99999999999999999999999", "٣", "1%00", "5/6", "%20"]
)
@pytest.mark.parametrize("page", ["details", "edit"])
async def test_an_address_that_can_be_no_record_is_not_found(client: Browser, make: Make, page: str, key: str) -> None:
    for name in ("ticket", "user"):
        answer = await client.get(f"/admin/{name}/{page}/{key}")
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text


async def test_a_record_that_does_not_exist_is_not_found(client: Browser) -> None:
    for url in ("ticket/details/9223372036854775807", "ticket/edit/999999999", "tag/details/999999999"):
        assert (await client.get(f"/admin/{url}")).status_code == 404
    assert (await client.submit("/admin/ticket/edit/999999999", {"version": "1"})).status_code == 404
    assert (await client.submit("/admin/ticket/comments/999999999", {"content": "x"})).status_code == 404
    assert (await client.submit("/admin/ticket/comments/x", {"content": "x"})).status_code == 404
    assert (await client.submit("/admin/tag/comments/1", {"content": "x"})).status_code == 404


async def test_every_resource_has_a_page_for_its_records(client: Browser, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    comment, tag = await make.comment(ticket, agent, "Look here."), await make.tag("vip", ticket, color="#b92b22")
    answer = await edit(client, f"/admin/ticket/edit/{ticket.id}", title="Another title", reason="It was wrong")
    assert answer.status_code == 303
    [saved] = await change_sets(client, "ticket.edit")
    [entry] = await audited(client, saved)
    for url, words in {
        f"comment/details/{comment.id}": ["Look here.", ticket.ticket_number, agent.full_name],
        f"tag/details/{tag.id}": ["vip", "#b92b22"],
        f"user/details/{agent.id}": [agent.email, "agent"],
        f"change_set/details/{saved.id}": ["ticket.edit", "It was wrong", f"Ticket {ticket.id}</a>", "Another title"],
        f"audit_log/details/{entry.id}": [
            f"Ticket {ticket.ticket_number} changed",
            "Another title",
            f'href="/admin/ticket/details/{ticket.id}"',
        ],
    }.items():
        page = await client.get(f"/admin/{url}")
        assert page.status_code == 200, url
        assert [word for word in words if word not in page.text] == [], url


async def test_a_page_links_only_to_what_the_viewer_may_see(browser: Browser, make: Make) -> None:
    ticket = await make.ticket(creator_id=(await make.customer(full_name="Carla Customer")).id)
    reader = await make.agent(await role(make, "ticket.view"))
    await browser.sign_in(reader)
    page = await browser.get(f"/admin/ticket/details/{ticket.id}")
    assert page.status_code == 200
    assert "Carla Customer" in page.text
    assert "/admin/user/details/" not in page.text
    for absent in ("Edit</a>", "Add a comment", "Comments", "Files", "/admin/ticket/do/"):
        assert absent not in page.text, absent
    assert (await browser.get(f"/admin/ticket/edit/{ticket.id}")).status_code == 403
    assert (await browser.submit(f"/admin/ticket/edit/{ticket.id}", {"title": "x", "version": "1"})).status_code == 403
    assert (await browser.submit(f"/admin/ticket/comments/{ticket.id}", {"content": "x"})).status_code == 403
    assert (await browser.get("/admin/ticket/create")).status_code == 403
    assert (await browser.get(f"/admin/user/details/{ticket.creator_id}")).status_code == 403


async def test_a_person_s_page_shows_their_newest_tickets_and_leads_to_all(client: Browser, make: Make) -> None:
    agent, customer = await make.agent(), await make.customer()
    asked = [await make.ticket(creator_id=customer.id, assignee_id=agent.id) for _ in range(12)]
    of_customer = await client.get(f"/admin/user/details/{customer.id}")
    assert of_customer.text.count("/admin/ticket/details/") == 10
    assert asked[-1].ticket_number in of_customer.text
    assert asked[0].ticket_number not in of_customer.text
    assert f'href="/admin/ticket/list?creator={customer.id}"' in of_customer.text
    assert "Assigned to them" not in of_customer.text
    of_agent = await client.get(f"/admin/user/details/{agent.id}")
    assert f'href="/admin/ticket/list?assignee={agent.id}"' in of_agent.text
    assert (await client.get(f"/admin/ticket/list?assignee={agent.id}")).status_code == 200


async def test_a_record_in_the_trash_says_who_put_it_there_and_why_and_can_only_be_restored(
    client: Browser, make: Make
) -> None:
    ticket = await make.ticket()
    assert client.actor is not None
    async with client.desk.database.transaction(Acting(user_id=client.actor.id), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [ticket.id]), client.actor.id, f"spam {HOSTILE}")
    page = await client.get(f"/admin/ticket/details/{ticket.id}")
    assert "in the trash" in page.text
    assert "put there by Lena Lead" in page.text
    assert "spam &lt;script&gt;" in page.text
    assert f"/admin/ticket/do/trash.restore?ids={ticket.id}" in page.text
    for absent in ("/admin/ticket/edit/", "do/trash.put", "do/assign.assign", "Add a comment", "/admin/ticket/upload/"):
        assert absent not in page.text, absent
    live = await client.get(f"/admin/ticket/details/{(await make.ticket()).id}")
    assert "do/trash.restore" not in live.text
    assert "do/trash.put" in live.text
    late = await edit(client, f"/admin/ticket/edit/{ticket.id}", title="Too late")
    assert late.status_code == 422
    assert "Restore it first" in late.text
    assert 'value="Too late"' in late.text
    noted = await client.submit(f"/admin/ticket/comments/{ticket.id}", {"content": "Too late"})
    assert noted.status_code == 404
    assert await count(client, Comment) == 0


async def test_a_long_conversation_leads_to_its_earlier_comments(
    client: Browser, database: Database, make: Make
) -> None:
    ticket, agent = await make.ticket(), await make.agent()
    await make.ticket()
    async with database.transaction(Acting.system(), "test.make") as change:
        change.session.add_all(Comment(ticket_id=ticket.id, author_id=agent.id, content=f"No. {n}") for n in range(201))
    page = await client.get(f"/admin/ticket/details/{ticket.id}")
    found = re.search(r'<a href="([^"]+)">Show earlier comments', page.text)
    assert found
    address = html.unescape(found[1])
    assert (await client.get(address)).status_code == 200
    counted = address.replace("/comment/list", "/comment/count")
    assert (await client.get(counted, headers={"accept": "application/json"})).json()["count"] == 201
