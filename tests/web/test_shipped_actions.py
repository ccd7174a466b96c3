"""The shipped actions in the browser: each from its form; several rows picked with and without scripts."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.models import Comment, Tag, Ticket, TicketTag
from admin_app.testing import Browser, Make
from tests.web.forms import change_sets

ADD_TAGS = "/admin/ticket/do/tagging.add"


async def done(browser: Browser, url: str, fields: dict[str, Any]) -> str:
    """Send an action's form; what the next page says."""
    answer = await browser.submit(url, {"confirmed": "1", "reason": "Because.", **fields})
    assert answer.status_code == 303, answer.text
    return (await browser.get(answer.headers["location"])).text


async def stored(browser: Browser, ticket: Ticket) -> Ticket:
    async with browser.desk.database.read() as session:
        return await session.get_one(Ticket, ticket.id, populate_existing=True)


async def tags_of(browser: Browser, ticket: Ticket) -> set[str]:
    async with browser.desk.database.read() as session:
        return set(await session.scalars(select(Tag.name).join(TicketTag).where(TicketTag.ticket_id == ticket.id)))


async def test_tags_are_added_removed_and_replaced(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    vip, late = await make.tag("vip"), await make.tag("late")
    page = await done(client, ADD_TAGS, {"ids": ticket.id, "tags": ["", vip.id, late.id]})
    assert "Add tags: 1 ticket changed." in page
    assert await tags_of(client, ticket) == {"vip", "late"}
    page = await done(client, "/admin/ticket/do/tagging.remove", {"ids": ticket.id, "tags": ["", vip.id]})
    assert "Remove tags: 1 ticket changed." in page
    assert await tags_of(client, ticket) == {"late"}
    page = await done(client, "/admin/ticket/do/tagging.replace", {"ids": ticket.id, "tags": ["", vip.id]})
    assert "Replace tags: 1 ticket changed." in page
    assert await tags_of(client, ticket) == {"vip"}


async def test_without_scripts_several_rows_are_named_line_by_line(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await make.tag("vip")
    await make.tag("late payer")
    await done(client, ADD_TAGS, {"ids": ticket.id, "tags": "", "tags_lines": "VIP\r\nlate payer\r\n"})
    assert await tags_of(client, ticket) == {"vip", "late payer"}


async def test_a_form_that_comes_back_still_has_every_row_that_was_picked(client: Browser, make: Make) -> None:
    ticket, vip = await make.ticket(), await make.tag("vip")
    fields = {"ids": ticket.id, "tags": ["", vip.id, "ghost"], "confirmed": "1"}
    answer = await client.submit(ADD_TAGS, fields)
    assert answer.status_code == 422
    assert "“ghost” was not found, or cannot be chosen here." in answer.text
    assert f'<option value="{vip.id}" selected>vip</option>' in answer.text
    assert await tags_of(client, ticket) == set()


async def test_the_picker_of_several_rows_offers_what_may_be_picked(client: Browser, make: Make) -> None:
    await make.tag("vip")
    await make.tag("old", is_active=False)

    async def offered(action: str) -> list[str]:
        answer = await client.get(f"/admin/ticket/lookup/{action}:tags")
        return [result["label"] for result in answer.json()["results"]]

    assert await offered("tagging.add") == await offered("tagging.replace") == ["vip"]
    assert await offered("tagging.remove") == ["vip", "old"]
    page = (await client.get(ADD_TAGS, params={"ids": 1})).text
    assert "Add tags" in page


async def test_status_and_priority_are_set_and_a_ticket_is_reopened(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await done(client, "/admin/ticket/do/priority.change", {"ids": ticket.id, "priority": "high"})
    page = await done(client, "/admin/ticket/do/status.change", {"ids": ticket.id, "status": "closed"})
    assert "Set status: 1 ticket changed." in page
    assert ((await stored(client, ticket)).status, (await stored(client, ticket)).priority) == ("closed", "high")
    page = await done(client, "/admin/ticket/do/status.reopen", {"ids": ticket.id})
    assert "Reopen: 1 ticket changed." in page
    assert (await stored(client, ticket)).status == "open"


async def test_a_note_is_written_in_the_name_of_who_is_signed_in(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await done(client, "/admin/ticket/do/notes.add", {"ids": ticket.id, "content": "Seen.\r\nTwice."})
    async with client.desk.database.read() as session:
        note = (await session.scalars(select(Comment).where(Comment.ticket_id == ticket.id))).one()
    assert client.actor is not None
    assert (note.author_id, note.is_internal, note.content) == (client.actor.id, True, "Seen.\nTwice.")


async def test_a_note_to_many_is_told_under_the_number_of_each_ticket(client: Browser, make: Make) -> None:
    numbers = sorted([(await make.ticket()).ticket_number for _ in range(3)])
    async with client.desk.database.read() as session:
        ids = list(await session.scalars(select(Ticket.id)))
    note, fields = "/admin/ticket/do/notes.add", {"confirmed": "1", "ids": ids, "content": "A fix comes on Monday."}

    def told(page: str) -> list[str]:
        part = page.partition('<dl class="samples">')[2].partition("</dl>")[0]
        assert "A fix comes" not in part, "what is the same for all is not said of each"
        texts = [re.sub(r"<[^>]*>|\s+", " ", term) for term in re.findall(r"<dt>(.*?)</dt>", part, re.DOTALL)]
        return sorted(" ".join(text.split()) for text in texts)

    previewed = (await client.submit(note, {**fields, "preview": "1"})).text
    assert told(previewed) == [f"Ticket {number} · comment added" for number in numbers]
    await done(client, note, fields)
    (made,) = await change_sets(client, "notes.add")
    result = (await client.get(f"/admin/change_set/details/{made.id}")).text
    assert told(result) == [f"Ticket {number} · comment added" for number in numbers]
    assert f'<a href="/admin/ticket/details/{ids[0]}">' in result
    await client.submit(f"/admin/change_set/{made.id}/undo", {"confirmed": "1", "key": "k"})
    (undone,) = await change_sets(client, "change_set.undo")
    result = (await client.get(f"/admin/change_set/details/{undone.id}")).text
    assert told(result) == [f"Ticket {number} · comment removed" for number in numbers]


async def test_tickets_are_distributed_and_handed_over(client: Browser, make: Make) -> None:
    ana, bo = await make.agent(), await make.agent()
    made = [await make.ticket() for _ in range(4)]
    fields = {"ids": [ticket.id for ticket in made], "agents": ["", ana.id, bo.id], "way": "round_robin"}
    page = await done(client, "/admin/ticket/do/assign.distribute", {**fields, "start_work": ["0", "1"]})
    assert "Distribute: 4 tickets changed." in page
    assert [(await stored(client, ticket)).assignee_id for ticket in made] == [ana.id, bo.id] * 2
    assert {(await stored(client, ticket)).status for ticket in made} == {"in_progress"}
    page = await done(client, "/admin/user/do/absence.hand_over", {"ids": ana.id, "agents": ["", bo.id]})
    assert "Hand over tickets: 1 user changed." in page
    assert {(await stored(client, ticket)).assignee_id for ticket in made} == {bo.id}
    page = await done(client, "/admin/user/do/absence.release", {"ids": bo.id})
    assert "Release tickets: 1 user changed." in page
    assert {(await stored(client, ticket)).assignee_id for ticket in made} == {None}


async def test_only_a_developer_purges(browser: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await browser.sign_in(await make.lead())
    await done(browser, "/admin/ticket/do/trash.put", {"ids": ticket.id})
    trash = "/admin/ticket/list?trash=yes"
    assert "/do/trash.purge" not in (await browser.get(trash)).text
    await browser.sign_in(await make.agent("developer"))
    assert "/do/trash.purge" in (await browser.get(trash)).text
    assert "/do/trash.purge" not in (await browser.get("/admin/ticket/list")).text
    assert "Purge: 1 ticket changed." in await done(browser, "/admin/ticket/do/trash.purge", {"ids": ticket.id})


@pytest.mark.parametrize("action", ["tagging.replace", "status.reopen", "assign.distribute"])
async def test_agents_neither_see_nor_do_what_leads_do(browser: Browser, make: Make, action: str) -> None:
    ticket = await make.ticket()
    await browser.sign_in(await make.agent())
    assert f"do/{action}" not in (await browser.get("/admin/ticket/list")).text
    fields = {"ids": ticket.id, "confirmed": "1", "reason": "Because."}
    assert (await browser.submit(f"/admin/ticket/do/{action}", fields)).status_code == 403
