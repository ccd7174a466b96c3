"""Making and changing records with forms: what they take, what they refuse, and what saving leaves behind."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from admin_app.models import (
    Comment,
    Tag,
    Ticket,
    TicketPriority,
    TicketStatus,
    TicketTag,
    User,
)
from admin_app.testing import Browser, Make
from tests.web.forms import audited, change_sets, count, edit, opened, problem, stored, tags_of


async def test_a_new_ticket_is_one_change_set_by_whoever_entered_it(client: Browser, make: Make) -> None:
    customer, agent, vip = await make.customer(), await make.agent(), await make.tag("vip")
    page = await client.get("/admin/ticket/create")
    assert '<option value="medium" selected>' in page.text
    fields = {
        **opened(page),
        "title": "  The printer is on fire  ",
        "description": "It burns.\r\nHelp!",
        "creator": customer.id,
        "assignee": agent.email,
        "due_at": "2027-01-02T09:30",
        "tags": ["", str(vip.id)],
    }
    answer = await client.submit("/admin/ticket/create", fields)
    assert answer.status_code == 303
    async with client.desk.database.read() as session:
        ticket = (await session.scalars(select(Ticket))).one()
    assert client.actor is not None
    assert (ticket.title, ticket.description) == ("The printer is on fire", "It burns.\nHelp!")
    assert (ticket.creator_id, ticket.assignee_id, ticket.created_by_id) == (customer.id, agent.id, client.actor.id)
    assert ticket.due_at == datetime(2027, 1, 2, 9, 30, tzinfo=UTC)
    assert (ticket.status, ticket.priority) == (TicketStatus.OPEN, TicketPriority.MEDIUM)
    assert await tags_of(client, ticket) == ["vip"]
    [made] = await change_sets(client, "ticket.create")
    assert (made.user_id, made.changed, made.parameters) == (client.actor.id, 1, {"resource": "tickets"})
    assert {(row.table_name, row.action) for row in await audited(client, made)} == {
        ("tickets", "CREATE"),
        ("ticket_tags", "CREATE"),
    }
    assert answer.headers["location"] == f"/admin/ticket/details/{ticket.id}"
    assert "is saved." in (await client.get(answer.headers["location"])).text


async def test_times_are_read_in_the_zone_of_whoever_fills_in_the_form(browser: Browser, make: Make) -> None:
    await browser.sign_in(await make.lead(time_zone="Europe/Berlin"))
    ticket = await make.ticket(due_at=datetime(2027, 7, 1, 12, 0, 30, tzinfo=UTC))
    page = await browser.get(f"/admin/ticket/edit/{ticket.id}")
    assert 'value="2027-07-01T14:00"' in page.text
    await browser.submit(f"/admin/ticket/edit/{ticket.id}", {**opened(page), "title": "Another"})
    assert (await stored(browser, Ticket, ticket.id)).due_at == datetime(2027, 7, 1, 12, 0, 30, tzinfo=UTC)
    await edit(browser, f"/admin/ticket/edit/{ticket.id}", due_at="2027-01-01T14:00")
    assert (await stored(browser, Ticket, ticket.id)).due_at == datetime(2027, 1, 1, 13, 0, tzinfo=UTC)
    await edit(browser, f"/admin/ticket/edit/{ticket.id}", due_at="")
    assert (await stored(browser, Ticket, ticket.id)).due_at is None


async def test_every_problem_is_said_at_once_at_its_field_and_nothing_typed_is_lost(
    client: Browser, make: Make
) -> None:
    customer = await make.customer()
    fields = {
        "title": "   ",
        "description": "NUL \x00 inside",
        "priority": "soonest",
        "creator": "nobody at all",
        "assignee": customer.id,
        "due_at": "tomorrow",
        "tags": ["", "no such tag"],
    }
    page = await client.submit("/admin/ticket/create", fields)
    assert page.status_code == 422
    assert problem(page, "field-title") == "Please fill this in."
    assert problem(page, "field-description") == "Holds a character that cannot be stored."
    assert "is none of low, medium, high, urgent" in problem(page, "field-priority")
    assert "was not found, or cannot be chosen here" in problem(page, "field-creator")
    assert "was not found, or cannot be chosen here" in problem(page, "field-assignee")
    assert "is not a time" in problem(page, "field-due_at")
    assert "“no such tag” was not found" in problem(page, "field-tags")
    assert "7 fields need to be corrected" in page.text
    assert 'value="tomorrow"' in page.text
    assert "nobody at all" in page.text
    autofocused = re.findall(r"<[^>]* autofocus[^>]*>", page.text)
    assert len(autofocused) == 1
    assert 'id="field-title"' in autofocused[0]
    assert await count(client, Ticket) == 0
    assert await change_sets(client, "ticket.create") == []
    long = await client.submit("/admin/ticket/create", {**fields, "title": "x" * 501})
    assert problem(long, "field-title") == "Has 501 characters; at most 500 fit."


async def test_a_form_takes_only_the_fields_that_it_shows(client: Browser, make: Make) -> None:
    assert client.actor is not None
    customer, other = await make.customer(), await make.agent()
    forged = {
        "id": "77",
        "ticket_number": "SUP-1",
        "status": "closed",
        "created_by_id": str(other.id),
        "creator_id": str(other.id),
        "resolved_at": "2020-01-01",
        "version": "9",
        "deleted_at": "2020-01-01",
        "external_id": "x",
        "reopen_count": "5",
    }
    fields = {"title": "Forged", "description": "x", "creator": customer.id, **forged}
    assert (await client.submit("/admin/ticket/create", fields)).status_code == 303
    async with client.desk.database.read() as session:
        ticket = (await session.scalars(select(Ticket))).one()
    assert (ticket.status, ticket.creator_id, ticket.created_by_id) == ("open", customer.id, client.actor.id)
    assert (ticket.resolved_at, ticket.deleted_at, ticket.external_id, ticket.reopen_count) == (None, None, None, 0)
    assert (ticket.version, ticket.ticket_number == "SUP-1") == (1, False)
    forged_user = {"full_name": "Otto", "email": "o@x.example", "password_hash": "x", "last_login": "2020-01-01"}
    assert (await client.submit("/admin/user/create", forged_user)).status_code == 303
    async with client.desk.database.read() as session:
        user = (await session.scalars(select(User).where(User.email == "o@x.example"))).one()
    assert (user.password_hash, user.last_login, user.is_staff) == (None, None, False)
    await edit(client, f"/admin/ticket/edit/{ticket.id}", title="Again", created_by_id=str(other.id), id="78")
    again = await stored(client, Ticket, ticket.id)
    assert (again.title, again.created_by_id) == ("Again", client.actor.id)


async def test_a_form_that_is_sent_twice_makes_one_record(client: Browser, make: Make) -> None:
    fields = {**opened(await client.get("/admin/tag/create")), "name": "vip"}
    first = await client.submit("/admin/tag/create", fields)
    second = await client.submit("/admin/tag/create", fields)
    assert first.headers["location"] == second.headers["location"]
    assert await count(client, Tag) == 1
    assert "sent twice and has been saved once" in (await client.get(second.headers["location"])).text


async def test_what_the_database_refuses_is_said_in_a_sentence_and_the_form_stays_filled_in(
    client: Browser, make: Make
) -> None:
    await make.tag("vip")
    page = await client.submit("/admin/tag/create", {"name": "VIP", "color": "#123456", "description": "Kept text"})
    assert page.status_code == 409
    assert "There is already a tag of this name." in page.text
    assert 'value="Kept text"' in page.text
    for driver_word in ("uq_tags", "duplicate key", "INSERT", "asyncpg"):
        assert driver_word not in page.text
    colour = await client.submit("/admin/tag/create", {"name": "new", "color": "red"})
    assert problem(colour, "field-color") == "A colour is written like #1f6feb."
    assert await count(client, Tag) == 1


async def test_a_form_without_its_token_or_from_elsewhere_changes_nothing(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    for url in (f"ticket/edit/{ticket.id}", "ticket/create", f"ticket/comments/{ticket.id}"):
        answer = await client.post(f"/admin/{url}", data={"title": "x", "content": "x", "version": "1"})
        assert answer.status_code == 403, url
    assert (await stored(client, Ticket, ticket.id)).version == 1
    assert await count(client, Comment) == 0


async def test_an_edit_is_one_change_set_with_its_reason_and_what_differed(client: Browser, make: Make) -> None:
    agent = await make.agent()
    ticket = await make.ticket(title="Old title", description="Two\r\nlines ")
    answer = await edit(
        client,
        f"/admin/ticket/edit/{ticket.id}",
        title="New title",
        priority="urgent",
        assignee=str(agent.id),
        reason="The customer called",
    )
    assert answer.status_code == 303
    assert "Your changes are saved." in (await client.get(answer.headers["location"])).text
    now = await stored(client, Ticket, ticket.id)
    assert (now.title, now.priority, now.assignee_id) == ("New title", TicketPriority.URGENT, agent.id)
    assert now.description == "Two\r\nlines "
    assert client.actor is not None
    [saved] = await change_sets(client, "ticket.edit")
    assert (saved.user_id, saved.reason, saved.changed, saved.unchanged) == (
        client.actor.id,
        "The customer called",
        1,
        0,
    )
    rows = await audited(client, saved)
    assert {row.user_id for row in rows} == {client.actor.id}
    assert {name for row in rows for name in row.changes["new"]} == {"title", "priority", "assignee_id"}
    assert rows[0].changes["old"]["title"] == "Old title"


async def test_saving_without_a_change_changes_nothing_and_says_so(client: Browser, make: Make) -> None:
    ticket = await make.ticket(description="  Kept as it is\r\n", due_at=datetime(2027, 1, 1, 8, 0, 59, 7, tzinfo=UTC))
    answer = await edit(client, f"/admin/ticket/edit/{ticket.id}")
    assert "Nothing was changed." in (await client.get(answer.headers["location"])).text
    assert (await stored(client, Ticket, ticket.id)).version == ticket.version
    [saved] = await change_sets(client, "ticket.edit")
    assert (saved.changed, saved.unchanged) == (0, 1)
    assert await audited(client, saved) == []


@pytest.mark.parametrize("reason", ["x" * 2_001, "NUL \x00 inside"])
async def test_a_reason_that_cannot_be_kept_is_refused(client: Browser, make: Make, reason: str) -> None:
    ticket = await make.ticket()
    page = await edit(client, f"/admin/ticket/edit/{ticket.id}", title="Kept", reason=reason)
    assert page.status_code == 422
    assert 'value="Kept"' in page.text
    assert (await stored(client, Ticket, ticket.id)).version == 1


async def test_fields_that_are_not_sent_stay_as_they_are(client: Browser, make: Make) -> None:
    ticket = await make.ticket(assignee_id=(await make.agent()).id)
    await make.tag("vip", ticket)
    url = f"/admin/ticket/edit/{ticket.id}"
    assert (await client.submit(url, {"version": "1", "title": "Only this"})).status_code == 303
    now = await stored(client, Ticket, ticket.id)
    assert (now.title, now.assignee_id, now.description) == ("Only this", ticket.assignee_id, ticket.description)
    assert now.due_at == ticket.due_at
    assert await tags_of(client, ticket) == ["vip"]
    without_version = await client.submit(url, {"title": "Another"})
    assert without_version.status_code == 400
    assert (await stored(client, Ticket, ticket.id)).title == "Only this"


async def test_tags_are_added_and_taken_whatever_others_did_meanwhile(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    kept, gone = await make.tag("kept", ticket), await make.tag("gone", ticket)
    mine, theirs = await make.tag("mine"), await make.tag("theirs")
    retired = await make.tag("retired", ticket, is_active=False)
    form = opened(await client.get(f"/admin/ticket/edit/{ticket.id}"))
    await make.save(TicketTag(ticket_id=ticket.id, tag_id=theirs.id))
    form["tags"] = ["", str(kept.id), str(mine.id), str(retired.id)]
    assert (await client.submit(f"/admin/ticket/edit/{ticket.id}", form)).status_code == 303
    assert sorted(await tags_of(client, ticket)) == ["kept", "mine", "retired", "theirs"]
    typed = await edit(client, f"/admin/ticket/edit/{ticket.id}", tags_lines="KEPT\r\nretired\r\ngone\r\n")
    assert typed.status_code == 303
    assert sorted(await tags_of(client, ticket)) == ["gone", "kept", "retired"]
    assert gone.id != kept.id
    again = await make.tag("retired too", is_active=False)
    refused = await edit(client, f"/admin/ticket/edit/{ticket.id}", tags=["", str(again.id)])
    assert "cannot be chosen here" in problem(refused, "field-tags")
    await edit(client, f"/admin/ticket/edit/{ticket.id}", tags=[""])
    assert await tags_of(client, ticket) == []
