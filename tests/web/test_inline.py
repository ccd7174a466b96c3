"""Editing one value in a list: the control, saving by the road of forms, what is refused, and who may."""

import re
from html import unescape
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from admin_app.db import Acting
from admin_app.models import Tag, Ticket, TicketPriority, TicketStatus
from admin_app.queries import trash
from admin_app.queries.changes import Chosen
from admin_app.testing import Browser, Make, Statements
from tests.web.forms import HOSTILE, audited, bring_to, change_sets, role, stored


def controls(answer: httpx.Response) -> dict[str, Any]:
    """What a browser would send of the control as it came."""
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', answer.text)
    fields: dict[str, Any] = {name: unescape(value) for name, value in hidden}
    for name, body in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', answer.text, re.DOTALL):
        chosen = re.findall(r'<option value="([^"]*)"[^>]* selected', body)
        fields[name] = chosen[-1] if chosen else ""
    return fields


async def change(browser: Browser, url: str, **typed: Any) -> httpx.Response:
    """Open the control of a value, put something into it, and send it."""
    opened = await browser.get(url)
    assert opened.status_code == 200, opened.text
    return await browser.submit(url, {**controls(opened), **typed})


async def test_a_value_is_saved_as_an_edit_of_its_record_and_comes_back_as_its_row(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title=f"Noise {HOSTILE}")
    await make.tag("sound", ticket)
    saved = await change(client, f"/admin/ticket/inline/{ticket.id}/status", status="in_progress")
    assert saved.status_code == 200
    assert (await stored(client, Ticket, ticket.id)).status is TicketStatus.IN_PROGRESS
    [made] = await change_sets(client, "ticket.edit")
    assert client.actor is not None
    assert (made.user_id, made.parameters) == (client.actor.id, {"resource": "tickets", "id": ticket.id})
    [entry] = await audited(client, made)
    assert entry.changes["new"]["status"] == "in_progress"
    assert f'<tr data-id="{ticket.id}">' in saved.text
    cells = dict(re.findall(r'<td data-column="(\w+)">(.*?)</td>', saved.text, re.DOTALL))
    assert "In progress" in cells["status"]
    assert "sound" in cells["title"]
    assert "<script>alert" not in saved.text
    assert f'action="/admin/change_set/{made.id}/undo"' in saved.text
    assert "is now In progress." in saved.text


async def test_what_was_saved_is_undone_by_the_form_that_came_with_it(client: Browser, make: Make) -> None:
    ticket = await make.ticket(priority=TicketPriority.LOW)
    saved = await change(client, f"/admin/ticket/inline/{ticket.id}/priority", priority="urgent")
    form = saved.text[saved.text.index("<form") :]
    action = re.search(r'action="([^"]*)"', form)
    assert action is not None
    undone = await client.post(action[1], data=controls(saved))
    assert undone.status_code == 303, undone.text
    assert (await stored(client, Ticket, ticket.id)).priority is TicketPriority.LOW


async def test_the_control_holds_the_present_value_and_offers_what_may_follow(client: Browser, make: Make) -> None:
    ana = await make.agent(full_name="Ana Agent")
    ticket = await make.ticket(assignee_id=ana.id)
    await bring_to(client, ticket, TicketStatus.CLOSED)
    status = await client.get(f"/admin/ticket/inline/{ticket.id}/status")
    assert re.findall(r'<option value="(\w*)"', status.text) == ["open", "closed"]
    assignee = await client.get(f"/admin/ticket/inline/{ticket.id}/assignee")
    assert f'<option value="{ana.id}" selected>Ana Agent</option>' in assignee.text
    assert "<html" not in assignee.text


async def test_a_transition_that_the_rules_refuse_says_why_and_keeps_what_was_typed(
    client: Browser, make: Make
) -> None:
    ticket = await make.ticket()
    await bring_to(client, ticket, TicketStatus.CLOSED)
    url = f"/admin/ticket/inline/{ticket.id}/status"
    refused = await change(client, url, status="open")
    assert refused.status_code == 422
    assert "Please say why the ticket is reopened" in refused.text
    assert controls(refused)["status"] == "open"
    assert (await client.submit(url, {**controls(refused), "reason": "They wrote again"})).status_code == 200
    assert (await stored(client, Ticket, ticket.id)).status is TicketStatus.OPEN
    wrong = await change(client, url, status="elsewhere")
    assert wrong.status_code == 422
    assert "field-error" in wrong.text


async def test_what_somebody_else_saved_meanwhile_is_told_and_replaced_only_on_purpose(
    client: Browser, make: Make
) -> None:
    ana, ticket = await make.agent(full_name="Ana Agent"), await make.ticket(priority=TicketPriority.LOW)
    url = f"/admin/ticket/inline/{ticket.id}/priority"
    mine = {**controls(await client.get(url)), "priority": "urgent"}
    async with client.desk.database.transaction(Acting(user_id=ana.id), "ticket.edit") as change_set:
        values = {"priority": TicketPriority.HIGH, "version": Ticket.version + 1}
        await change_set.session.execute(update(Ticket).where(Ticket.id == ticket.id).values(**values))
    clash = await client.submit(url, mine)
    assert clash.status_code == 409
    assert "Ana Agent set this to “High” meanwhile." in clash.text
    assert (await stored(client, Ticket, ticket.id)).priority is TicketPriority.HIGH
    assert controls(clash)["priority"] == "urgent"
    assert (await client.submit(url, controls(clash))).status_code == 200
    assert (await stored(client, Ticket, ticket.id)).priority is TicketPriority.URGENT


async def test_another_field_that_changed_meanwhile_is_left_as_it_is(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    url = f"/admin/ticket/inline/{ticket.id}/priority"
    mine = {**controls(await client.get(url)), "priority": "urgent"}
    await bring_to(client, ticket, TicketStatus.IN_PROGRESS)
    assert (await client.submit(url, mine)).status_code == 200
    now = await stored(client, Ticket, ticket.id)
    assert (now.priority, now.status) == (TicketPriority.URGENT, TicketStatus.IN_PROGRESS)


async def test_a_value_that_stays_as_it_is_says_so_and_offers_nothing_to_undo(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    same = await change(client, f"/admin/ticket/inline/{ticket.id}/status")
    assert same.status_code == 200
    assert "Nothing was changed." in same.text
    assert "/undo" not in same.text


async def test_a_row_comes_back_with_the_columns_that_the_list_shows(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    url = f"/admin/ticket/inline/{ticket.id}/status"
    opened = controls(await client.get(url))
    saved = await client.submit(f"{url}?columns=ticket_number,status", {**opened, "status": "in_progress"})
    assert re.findall(r'<td data-column="(\w+)">', saved.text) == ["ticket_number", "status"]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("ticket/inline/{id}/description", 404),
        ("ticket/inline/{id}/password_hash", 404),
        ("ticket/inline/999999/status", 404),
        ("ticket/inline/x/status", 404),
        ("user/inline/1/email", 404),
        ("change_set/inline/1/state", 404),
    ],
)
async def test_only_declared_columns_of_records_that_exist_have_a_control(
    client: Browser, make: Make, address: str, status: int
) -> None:
    ticket = await make.ticket()
    assert (await client.get(f"/admin/{address.format(id=ticket.id)}")).status_code == status


async def test_who_may_not_edit_has_neither_control_nor_pencil(browser: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await browser.sign_in(await make.agent(await role(make, "ticket.view")))
    url = f"/admin/ticket/inline/{ticket.id}/status"
    assert (await browser.get(url)).status_code == 403
    assert (await browser.submit(url, {"status": "closed", "version": "1"})).status_code == 403
    assert (await stored(browser, Ticket, ticket.id)).status is TicketStatus.OPEN
    assert "data-inline" not in (await browser.get("/admin/ticket/list")).text


async def test_a_row_in_the_trash_is_not_edited(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    assert client.actor is not None
    async with client.desk.database.transaction(Acting(user_id=client.actor.id, reason="spam"), "trash.put") as gone:
        await trash.put(gone.session, Chosen.of(Ticket, [ticket.id]), client.actor.id, "spam")
    refused = await client.get(f"/admin/ticket/inline/{ticket.id}/status")
    assert refused.status_code == 403
    assert "in the trash" in refused.text
    assert "data-inline" not in (await client.get("/admin/ticket/list?trash=yes")).text


async def test_a_value_is_saved_only_with_the_token_of_a_form_of_ours(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    url = f"/admin/ticket/inline/{ticket.id}/status"
    sent = controls(await client.get(url)) | {"status": "closed", "_token": "made up"}
    assert (await client.post(url, data=sent)).status_code == 403
    assert (await stored(client, Ticket, ticket.id)).status is TicketStatus.OPEN


async def test_other_resources_edit_theirs_by_the_same_rules(client: Browser, make: Make) -> None:
    tag = await make.tag("hardware")
    refused = await change(client, f"/admin/tag/inline/{tag.id}/color", color="red")
    assert refused.status_code == 422
    assert "A colour is written like #1f6feb." in refused.text
    assert (await change(client, f"/admin/tag/inline/{tag.id}/color", color="#aa0000")).status_code == 200
    assert (await stored(client, Tag, tag.id)).color == "#aa0000"


async def test_the_list_names_what_can_be_edited_and_what_stands_beside_a_row_once(client: Browser, make: Make) -> None:
    for _ in range(5):
        await make.ticket()
    page = await client.get("/admin/ticket/list")
    assert 'data-inline="status priority assignee"' in page.text
    assert page.text.count("/admin/ticket/do/assign.assign?ids={id}&amp;back={back}") == 1
    assert page.text.count("data-row-actions") == 1


async def test_a_control_costs_few_statements(client: Browser, make: Make, statements: Statements) -> None:
    ticket = await make.ticket()
    with statements(client.desk.database) as seen:
        await client.get(f"/admin/ticket/inline/{ticket.id}/status")
    assert len(seen) <= 3, seen
