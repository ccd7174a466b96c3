"""What the desk demands of tickets, comments and people, whoever fills in their forms."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, select, update
from starlette.applications import Starlette

from admin_app.db import Acting
from admin_app.models import (
    Comment,
    Role,
    Ticket,
    TicketStatus,
    User,
    UserRole,
    UserSession,
)
from admin_app.testing import Browser, Make
from tests.web.forms import HOSTILE, bring_to, change_sets, count, edit, opened, problem, role, stored


async def test_the_form_offers_only_statuses_that_may_follow(browser: Browser, make: Make) -> None:
    def offered(page: httpx.Response) -> list[str]:
        select_tag = re.search(r'<select[^>]*name="status".*?</select>', page.text, re.DOTALL)
        assert select_tag is not None
        return re.findall(r'<option value="(\w+)"', select_tag[0])

    ticket = await make.ticket()
    url = f"/admin/ticket/edit/{ticket.id}"
    await browser.sign_in(await make.agent())
    every = ["open", "in_progress", "waiting_on_customer", "resolved", "closed"]
    assert offered(await browser.get(url)) == every
    await bring_to(browser, ticket, TicketStatus.CLOSED)
    assert offered(await browser.get(url)) == ["closed"]
    await browser.sign_in(await make.lead())
    assert offered(await browser.get(url)) == ["open", "closed"]
    await browser.sign_in(await make.agent(await role(make, "ticket.view", "ticket.edit")))
    other = await make.ticket()
    assert offered(await browser.get(f"/admin/ticket/edit/{other.id}")) == every[:-1]


async def test_a_status_brings_with_it_what_belongs_to_it(client: Browser, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    url = f"/admin/ticket/edit/{ticket.id}"
    unassigned = await edit(client, url, status="resolved")
    assert "without an assignee" in problem(unassigned, "field-status")
    assert (await edit(client, url, status="resolved", assignee=str(agent.id), title="Done")).status_code == 303
    now = await stored(client, Ticket, ticket.id)
    assert client.actor is not None
    assert (now.status, now.title, now.resolved_by_id) == (TicketStatus.RESOLVED, "Done", client.actor.id)
    assert now.resolved_at is not None
    assert (await edit(client, url, status="in_progress")).status_code == 303
    now = await stored(client, Ticket, ticket.id)
    assert (now.resolved_at, now.reopen_count) == (None, 1)


async def test_a_status_that_cannot_follow_is_refused_with_those_that_can(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await bring_to(client, ticket, TicketStatus.CLOSED)
    page = await edit(client, f"/admin/ticket/edit/{ticket.id}", status="resolved", title="Kept")
    assert page.status_code == 422
    assert problem(page, "field-status") == "A ticket that is closed can become: open."
    assert 'value="Kept"' in page.text
    agent = await make.agent()
    assigned = await edit(client, f"/admin/ticket/edit/{ticket.id}", assignee=str(agent.id))
    assert "keeps its assignee" in problem(assigned, "field-assignee")


async def test_closing_and_reopening_need_their_permissions_and_reopening_a_reason(
    browser: Browser, make: Make
) -> None:
    ticket, agent = await make.ticket(), await make.agent()
    url = f"/admin/ticket/edit/{ticket.id}"
    await browser.sign_in(await make.agent(await role(make, "ticket.view", "ticket.edit")))
    assert "ticket.close" in problem(await edit(browser, url, status="closed"), "field-status")
    await browser.sign_in(agent)
    assert (await edit(browser, url, status="closed")).status_code == 303
    assert "ticket.reopen_closed" in problem(await edit(browser, url, status="open", reason="x"), "field-status")
    await browser.sign_in(await make.lead())
    silent = await edit(browser, url, status="open", assignee=str(agent.id))
    assert "why the ticket is reopened" in problem(silent, "reason")
    assert (await edit(browser, url, status="open", assignee=str(agent.id), reason="Not done")).status_code == 303
    now = await stored(browser, Ticket, ticket.id)
    assert (now.status, now.assignee_id, now.reopen_count) == (TicketStatus.OPEN, agent.id, 1)


async def test_a_ticket_closed_long_ago_is_not_reopened(client: Browser, make: Make) -> None:
    ticket = await make.ticket(created_at=datetime.now(UTC) - timedelta(days=60))
    await bring_to(client, ticket, TicketStatus.CLOSED)
    async with client.desk.database.transaction(Acting.system(), "test.age") as change:
        await change.session.execute(
            update(Ticket).where(Ticket.id == ticket.id).values(closed_at=func.now() - timedelta(days=31))
        )
    page = await edit(client, f"/admin/ticket/edit/{ticket.id}", status="open", reason="Late")
    assert "closed more than 30 days ago" in problem(page, "field-status")


@pytest.mark.parametrize("facts", [{"is_active": False, "is_staff": True}, {"is_staff": False}])
async def test_only_active_staff_can_be_given_a_ticket(client: Browser, make: Make, facts: dict[str, bool]) -> None:
    person, ticket = await make.user(**facts), await make.ticket()
    page = await edit(client, f"/admin/ticket/edit/{ticket.id}", assignee=str(person.id))
    assert "cannot be chosen here" in problem(page, "field-assignee")
    asked = await edit(client, f"/admin/ticket/edit/{ticket.id}", creator=str(person.id))
    assert asked.status_code == 303
    now = await stored(client, Ticket, ticket.id)
    assert (now.creator_id, now.assignee_id) == (person.id, None)


async def test_a_comment_is_an_internal_note_unless_it_is_sent_to_the_customer_on_purpose(
    client: Browser, make: Make
) -> None:
    ticket = await make.ticket()
    url = f"/admin/ticket/comments/{ticket.id}"
    for fields in ({}, {"send": "note"}, {"send": "whatever"}):
        answer = await client.submit(url, {"content": " A note\r\nof two lines ", **fields})
        assert answer.status_code == 303
    sent = await client.submit(url, {"content": "An answer", "send": "public"})
    async with client.desk.database.read() as session:
        comments = list(await session.scalars(select(Comment).order_by(Comment.id)))
    assert client.actor is not None
    assert [comment.is_internal for comment in comments] == [True, True, True, False]
    assert {comment.author_id for comment in comments} == {client.actor.id}
    assert comments[0].content == "A note\nof two lines"
    assert sent.headers["location"].endswith(f"#comment-{comments[3].id}")
    assert (await stored(client, Ticket, ticket.id)).first_response_at is not None
    assert [made.parameters for made in await change_sets(client, "comment.add")][-1] == {
        "ticket": ticket.id,
        "public": True,
    }


async def test_a_comment_that_cannot_be_saved_is_still_in_its_form(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    url = f"/admin/ticket/comments/{ticket.id}"
    assert problem(await client.submit(url, {"content": " \r\n "}), "comment") == "Please write something first."
    bad = await client.submit(url, {"content": f"Kept {HOSTILE}\x00"})
    assert bad.status_code == 422
    assert "cannot be stored" in problem(bad, "comment")
    assert "Kept &lt;script&gt;" in bad.text
    long = await client.submit(url, {"content": "x" * 100_001})
    assert "at most 100,000 fit" in problem(long, "comment")
    assert await count(client, Comment) == 0


async def test_a_comment_is_not_added_to_a_ticket_in_the_trash(client: Browser, make: Make) -> None:
    ticket = await make.ticket(deleted_at=datetime.now(UTC))
    page = await client.submit("/admin/comment/create", {"ticket": ticket.id, "content": "Kept text"})
    assert "cannot be chosen here" in problem(page, "field-ticket")
    assert "Kept text" in page.text
    assert await count(client, Comment) == 0


async def test_a_comment_that_is_sent_twice_is_saved_once(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    form = opened(await client.get(f"/admin/ticket/details/{ticket.id}"))
    for _ in range(2):
        answer = await client.submit(f"/admin/ticket/comments/{ticket.id}", {"key": form["key"], "content": "Once"})
        assert answer.status_code == 303
    assert await count(client, Comment) == 1


async def test_answering_customers_needs_its_permission(browser: Browser, make: Make) -> None:
    ticket = await make.ticket()
    writer = await make.agent(await role(make, "ticket.view", "comment.view", "comment.create", "comment.edit"))
    await browser.sign_in(writer)
    page = await browser.get(f"/admin/ticket/details/{ticket.id}")
    assert "Save internal note" in page.text
    assert "Send to customer" not in page.text
    url = f"/admin/ticket/comments/{ticket.id}"
    assert (await browser.submit(url, {"content": "x", "send": "public"})).status_code == 403
    assert (await browser.submit(url, {"content": "x"})).status_code == 303
    form = {"ticket": ticket.ticket_number, "content": "By the other form", "is_internal": "0"}
    assert (await browser.submit("/admin/comment/create", form)).status_code == 303
    note = await make.comment(ticket, writer, "Mine")
    await edit(browser, f"/admin/comment/edit/{note.id}", content="Still mine", is_internal="0")
    async with browser.desk.database.read() as session:
        assert {comment.is_internal for comment in await session.scalars(select(Comment))} == {True}


async def test_an_answer_is_changed_only_by_its_author_and_only_before_it_is_read(client: Browser, make: Make) -> None:
    assert client.actor is not None
    ticket = await make.ticket()
    mine = await make.comment(ticket, client.actor, "Mine", is_internal=False)
    old_facts = {"is_internal": False, "created_at": datetime.now(UTC) - timedelta(minutes=11)}
    old = await make.comment(ticket, client.actor, "Old", **old_facts)
    other = await make.agent()
    theirs = await make.comment(ticket, other, "Theirs", is_internal=False)
    note = await make.comment(ticket, other, "Their note")
    assert f"/admin/comment/edit/{mine.id}" in (await client.get(f"/admin/comment/details/{mine.id}")).text
    assert (await edit(client, f"/admin/comment/edit/{mine.id}", content="Better")).status_code == 303
    for comment, words in ((old, "The customer has read this"), (theirs, "Only its author")):
        page = await edit(client, f"/admin/comment/edit/{comment.id}", content="Rewritten")
        assert page.status_code == 422
        assert words in page.text
        assert "Rewritten" in page.text
        assert "/admin/comment/edit/" not in (await client.get(f"/admin/comment/details/{comment.id}")).text
        hidden = await edit(client, f"/admin/comment/edit/{comment.id}", is_internal="1")
        assert hidden.status_code == 422
    assert (await edit(client, f"/admin/comment/edit/{note.id}", content="Corrected note")).status_code == 303
    assert (await edit(client, f"/admin/comment/edit/{note.id}", is_internal="0")).status_code == 422
    assert (await stored(client, Comment, old.id)).content == "Old"
    assert (await stored(client, Comment, theirs.id)).content == "Theirs"
    assert (await stored(client, Comment, mine.id)).content == "Better"
    assert (await stored(client, Comment, note.id)).is_internal is True


async def test_an_e_mail_address_is_kept_in_lower_case_and_only_once(client: Browser, make: Make) -> None:
    person = await make.customer(email="taken@example.com")
    fields = {"full_name": "Otto", "email": "  Otto@Example.COM "}
    assert (await client.submit("/admin/user/create", fields)).status_code == 303
    page = await edit(client, f"/admin/user/edit/{person.id}", email="OTTO@example.com")
    assert page.status_code == 409
    assert "Somebody with this e-mail address is already here." in page.text
    for wrong in ("otto", "@x", "o @x", "o@"):
        assert "has an @" in problem(await edit(client, f"/admin/user/edit/{person.id}", email=wrong), "field-email")
    zone = await edit(client, f"/admin/user/edit/{person.id}", time_zone="Europe/Nowhere")
    assert "is no time zone" in problem(zone, "field-time_zone")
    assert (await stored(client, User, person.id)).email == "taken@example.com"


async def test_roles_are_given_only_by_whoever_may_and_never_beyond_what_they_hold(
    browser: Browser, make: Make
) -> None:
    async with browser.desk.database.read() as session:
        ids = {row.name: str(row.id) for row in await session.scalars(select(Role))}
    person = await make.agent()

    async def held() -> set[str]:
        async with browser.desk.database.read() as session:
            found = select(Role.name).join(UserRole).where(UserRole.user_id == person.id)
            return set(await session.scalars(found))

    url = f"/admin/user/edit/{person.id}"
    await browser.sign_in(await make.lead())
    assert 'name="roles"' not in (await browser.get(url)).text
    ignored = await edit(browser, url, roles=["", ids["developer"]], original_roles=[], full_name="Renamed")
    assert ignored.status_code == 303
    assert await held() == {"agent"}
    chief = await make.agent("lead", await role(make, "user.roles"))
    await browser.sign_in(chief)
    beyond = await edit(browser, url, roles=["", ids["agent"], ids["developer"]])
    assert "not developer" in problem(beyond, "field-roles")
    assert (await edit(browser, f"/admin/user/edit/{chief.id}", roles=["", ids["developer"]])).status_code == 422
    made = await browser.submit(
        "/admin/user/create", {"full_name": "X", "email": "x@x.example", "roles": ["", ids["developer"]]}
    )
    assert made.status_code == 422
    assert (await edit(browser, url, roles=["", ids["agent"], ids["lead"]])).status_code == 303
    assert await held() == {"agent", "lead"}
    assert (await edit(browser, url, roles=["", ids["agent"]])).status_code == 303
    assert await held() == {"agent"}
    await browser.sign_in(await make.agent("developer"))
    assert (await edit(browser, url, roles=["", ids["developer"]])).status_code == 303
    assert await held() == {"developer"}
    await browser.sign_in(chief)
    for fields in ({"email": "mine@example.com"}, {"is_active": "0"}, {"is_staff": "0"}, {"roles": [""]}):
        assert (await edit(browser, url, **fields)).status_code == 422, fields
    assert (await edit(browser, url, full_name="Only a name")).status_code == 303


async def test_who_is_deactivated_is_signed_out_everywhere_and_nobody_deactivates_themselves(
    client: Browser, make: Make, shared_app: Starlette
) -> None:
    assert client.actor is not None
    agent = await make.agent()
    async with Browser(shared_app, client.desk) as elsewhere:
        await elsewhere.sign_in(agent)
        assert (await elsewhere.get("/admin/ticket/list")).status_code == 200
        page = await edit(client, f"/admin/user/edit/{agent.id}", is_active="0", reason="Left the desk")
        assert page.status_code == 303
        assert (await elsewhere.get("/admin/ticket/list")).status_code == 303
    async with client.desk.database.read() as session:
        found = select(UserSession.revoked_at).where(UserSession.user_id == agent.id)
        assert None not in (await session.scalars(found)).all()
    assert "Inactive" in (await client.get(f"/admin/user/details/{agent.id}")).text
    own = await edit(client, f"/admin/user/edit/{client.actor.id}", is_active="0")
    assert "to yourself" in problem(own, "field-is_active")
    assert (await client.get("/admin/ticket/list")).status_code == 200


async def test_no_page_shows_or_takes_a_password(client: Browser, make: Make) -> None:
    person = await make.agent(password_hash="$argon2id$secret")
    for url in (f"user/details/{person.id}", f"user/edit/{person.id}", "user/create"):
        page = await client.get(f"/admin/{url}")
        assert "argon2id" not in page.text
        assert "password_hash" not in page.text
    await edit(client, f"/admin/user/edit/{person.id}", password_hash="x", full_name="Renamed")
    now = await stored(client, User, person.id)
    assert (now.full_name, now.password_hash) == ("Renamed", "$argon2id$secret")
