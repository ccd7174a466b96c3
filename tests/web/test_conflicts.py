"""Two people with one record open: nothing that either typed is lost, and nobody overwrites unseen."""

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import replace

from sqlalchemy import update

from admin_app.app import create_app
from admin_app.db import Acting, Database
from admin_app.models import (
    Ticket,
    TicketPriority,
)
from admin_app.queries import trash
from admin_app.queries.changes import Chosen
from admin_app.settings import Settings
from admin_app.testing import Browser, Make
from tests.web.forms import HOSTILE, edit, opened, stored


async def test_two_edits_of_one_record_are_merged_before_the_eyes_of_the_second(client: Browser, make: Make) -> None:
    ana = await make.agent(full_name="Ana Agent")
    ticket = await make.ticket(title="At opening", description="Text at opening")
    url = f"/admin/ticket/edit/{ticket.id}"
    mine = {
        **opened(await client.get(url)),
        "title": f"My title {HOSTILE}",
        "priority": "urgent",
        "reason": "My reason",
    }
    async with client.desk.database.transaction(Acting(user_id=ana.id), "ticket.edit") as change:
        await change.session.execute(
            update(Ticket)
            .where(Ticket.id == ticket.id)
            .values(title="Their title", description="Their text", version=Ticket.version + 1)
        )
    page = await client.submit(url, mine)
    assert page.status_code == 409
    assert (await stored(client, Ticket, ticket.id)).title == "Their title"
    assert "<script>alert" not in page.text
    for words in ("Ana Agent", "At opening", "Their title", "My title &lt;script&gt;", "Their text", "Urgent"):
        assert words in page.text, words
    assert len(re.findall(r'<input type="radio" name="title"', page.text)) == 2
    assert '<input type="radio" name="description"' not in page.text
    again = {**opened(page), "title": mine["title"]}
    assert again["reason"] == ["My reason"]
    saved = await client.submit(url, again)
    assert saved.status_code == 303
    now = await stored(client, Ticket, ticket.id)
    assert (now.title, now.description, now.priority) == (mine["title"], "Their text", TicketPriority.URGENT)
    third = await client.submit(url, mine)
    assert third.status_code == 409
    theirs = {**opened(third), "title": "Their title"}
    assert (await client.submit(url, theirs)).status_code == 303
    assert (await stored(client, Ticket, ticket.id)).title == "Their title"


async def test_a_choice_can_be_edited_further_before_it_is_saved(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="At opening")
    url = f"/admin/ticket/edit/{ticket.id}"
    mine = {**opened(await client.get(url)), "title": "Mine", "priority": "low"}
    await edit(client, url, title="Theirs")
    conflict = await client.submit(url, mine)
    form = await client.submit(url, {**opened(conflict), "again": "1"})
    assert form.status_code == 200
    assert opened(form)["title"] == ["Mine"]
    assert opened(form)["original_title"] == ["Theirs"]
    saved = await client.submit(url, {**opened(form), "title": "Mine and theirs"})
    assert saved.status_code == 303
    now = await stored(client, Ticket, ticket.id)
    assert (now.title, now.priority) == ("Mine and theirs", TicketPriority.LOW)


async def test_a_form_sent_twice_or_overtaken_elsewhere_is_no_conflict(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="At opening")
    url = f"/admin/ticket/edit/{ticket.id}"
    mine = {**opened(await client.get(url)), "title": "Mine"}
    assert (await client.submit(url, mine)).status_code == 303
    twice = await client.submit(url, mine)
    assert "Nothing was changed." in (await client.get(twice.headers["location"])).text
    form = {**opened(await client.get(url)), "title": "Mine again"}
    await bring_back_and_forth(client, ticket)
    assert (await client.submit(url, form)).status_code == 303
    assert (await stored(client, Ticket, ticket.id)).title == "Mine again"


async def bring_back_and_forth(browser: Browser, ticket: Ticket) -> None:
    """Somebody puts a ticket into the trash and takes it out: a later version with the same fields."""
    chosen = Chosen.of(Ticket, [ticket.id])
    async with browser.desk.database.transaction(Acting.system(), "test.trash") as change:
        await trash.put(change.session, chosen, None, "by mistake")
        await trash.restore(change.session, chosen)


async def test_of_two_who_save_at_the_same_moment_one_is_asked(live_database: Database, make_live: Make) -> None:
    settings = replace(Settings.from_env(), secret_key="a secret for tests only, of 32+ characters")
    app = create_app(settings, live_database)
    ticket = await make_live.ticket(title="At opening")
    url = f"/admin/ticket/edit/{ticket.id}"
    async with AsyncExitStack() as stack:
        people = []
        for name in ("Ana", "Ben"):
            browser = await stack.enter_async_context(Browser(app, app.state.desk))
            people.append(await browser.sign_in(await make_live.lead(full_name=name)))
        forms = [
            {**opened(await browser.get(url)), "title": browser.actor.full_name} for browser in people if browser.actor
        ]
        answers = await asyncio.gather(*(one.submit(url, form) for one, form in zip(people, forms, strict=True)))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    winner = people[[answer.status_code for answer in answers].index(303)]
    assert winner.actor is not None
    assert (await stored(winner, Ticket, ticket.id)).title == winner.actor.full_name
