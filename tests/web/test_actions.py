"""Actions in the browser: GET shows, a preview only looks, POST does, and the next page says what happened."""

import asyncio
import re
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import func, select, text

from admin_app.app import create_app
from admin_app.db import Acting, Database
from admin_app.models import AuditLog, Base, ChangeSetState, Door, Ticket
from admin_app.registry import Registry, declare_permissions
from admin_app.settings import Settings
from admin_app.testing import Browser, Make, Statements
from tests.web.forms import change_sets, stored

ASSIGN = "/admin/ticket/do/assign.assign"
TRASH = "/admin/ticket/do/trash.put"


async def checksum(database: Database) -> str:
    """The whole content of the desk in one text, but for who is signed in and what is selected."""
    quiet = {"user_sessions", "selections", "selection_parts"}
    parts = [
        f"SELECT '{name}' || coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') AS part FROM {name} t"
        for name in sorted(Base.metadata.tables)
        if name not in quiet
    ]
    async with database.read() as session:
        return str(await session.scalar(text(f"SELECT string_agg(part, ' ') FROM ({' UNION ALL '.join(parts)}) p")))


def outcomes(page: httpx.Response) -> dict[str, int]:
    """What a preview says becomes of the rows."""
    found = re.findall(r'<td class="number">([\d,]+)</td><th scope="row"[^>]*><span[^>]*></span>(.*?)</th>', page.text)
    return {words: int(number.replace(",", "")) for number, words in found}


async def test_the_form_names_what_is_chosen_and_changes_nothing(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="The printer is on fire")
    answer = await client.get(ASSIGN, params={"ids": ticket.id})
    assert answer.status_code == 200
    assert "1 ticket selected" in answer.text
    assert "The printer is on fire" in answer.text
    assert await change_sets(client, "assign.assign") == []


async def test_a_post_from_the_list_leads_to_the_form_with_every_ticked_row(client: Browser, make: Make) -> None:
    tickets = [await make.ticket() for _ in range(3)]
    answer = await client.submit(ASSIGN, {"ids": [ticket.id for ticket in tickets]})
    assert answer.status_code == 303
    assert "ids" not in answer.headers["location"]
    page = await client.get(answer.headers["location"])
    assert "3 tickets selected" in page.text
    assert await change_sets(client, "assign.assign") == []


async def test_performing_it_changes_the_rows_and_the_next_page_says_what_happened(client: Browser, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    trashed = await make.ticket()
    await client.submit("/admin/ticket/do/trash.put", {"ids": trashed.id, "confirmed": "1", "reason": "spam"})
    fields = {"ids": [ticket.id, trashed.id], "agent": agent.id, "confirmed": "1", "reason": "Ana is back"}
    answer = await client.submit(ASSIGN, fields)
    assert answer.status_code == 303
    assert (await stored(client, Ticket, ticket.id)).assignee_id == agent.id
    assert (await stored(client, Ticket, trashed.id)).assignee_id is None
    page = await client.get(answer.headers["location"])
    assert "Assign to agent: 1 ticket changed, 1 skipped (1 in the trash)." in page.text
    assert "Assign to agent: 1 ticket changed" not in (await client.get("/admin/")).text
    [change_set] = await change_sets(client, "assign.assign")
    assert client.actor is not None
    assert (change_set.door, change_set.user_id, change_set.reason) == (Door.WEB, client.actor.id, "Ana is back")
    assert (change_set.changed, change_set.skipped) == (1, {"in the trash": 1})


async def test_the_audit_row_tells_who_changed_what_from_what_to_what(client: Browser, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    await client.submit(ASSIGN, {"ids": ticket.id, "agent": agent.id, "confirmed": "1"})
    async with client.desk.database.read() as session:
        found = select(AuditLog).where(AuditLog.record_id == str(ticket.id), AuditLog.action == "UPDATE")
        row = (await session.scalars(found)).one()
    assert client.actor is not None
    assert row.user_id == client.actor.id
    assert row.changes == {"old": {"assignee_id": None}, "new": {"assignee_id": agent.id}}


async def test_a_missing_input_comes_back_with_the_form_and_everything_typed(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    answer = await client.submit(ASSIGN, {"ids": ticket.id, "confirmed": "1", "reason": "half a reason"})
    assert answer.status_code == 422
    assert "Please fill this in." in answer.text
    assert "half a reason" in answer.text
    assert (await stored(client, Ticket, ticket.id)).assignee_id is None


async def test_an_agent_who_may_not_be_chosen_is_refused_by_name(client: Browser, make: Make) -> None:
    ticket, customer = await make.ticket(), await make.customer()
    answer = await client.submit(ASSIGN, {"ids": ticket.id, "agent": customer.id, "confirmed": "1"})
    assert answer.status_code == 422
    assert "cannot be chosen here" in answer.text


async def test_a_form_sent_twice_is_done_once(client: Browser, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    fields = {"ids": ticket.id, "agent": agent.id, "confirmed": "1", "key": "the-same-key-0001"}
    first = await client.submit(ASSIGN, fields)
    second = await client.submit(ASSIGN, fields)
    assert (first.status_code, second.status_code) == (303, 303)
    assert "has been done once" in (await client.get(second.headers["location"])).text
    assert len(await change_sets(client, "assign.assign")) == 1


async def test_the_trash_asks_for_a_reason_and_gives_back_everything(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    refused = await client.submit("/admin/ticket/do/trash.put", {"ids": ticket.id, "confirmed": "1"})
    assert refused.status_code == 422
    await client.submit("/admin/ticket/do/trash.put", {"ids": ticket.id, "confirmed": "1", "reason": "a duplicate"})
    gone = await stored(client, Ticket, ticket.id)
    assert gone.deleted_at is not None
    assert gone.delete_reason == "a duplicate"
    assert client.actor is not None
    assert gone.deleted_by_id == client.actor.id
    await client.submit("/admin/ticket/do/trash.restore", {"ids": ticket.id, "confirmed": "1"})
    back = await stored(client, Ticket, ticket.id)
    assert (back.deleted_at, back.deleted_by_id, back.delete_reason) == (None, None, None)
    assert back.status == ticket.status


async def test_a_get_never_performs_whatever_its_query_says(client: Browser, make: Make) -> None:
    ticket = await make.ticket(assignee_id=(await make.agent()).id)
    answer = await client.get(
        "/admin/ticket/do/assign.unassign", params={"ids": ticket.id, "confirmed": "1", "_token": client.token}
    )
    assert answer.status_code == 200
    assert (await stored(client, Ticket, ticket.id)).assignee_id is not None


async def test_garbage_ids_are_a_clear_400_and_an_unknown_action_404(client: Browser) -> None:
    for ids in ("abc", "1,2,x", "-1", "0", "9" * 30, "1\x00"):
        answer = await client.get(ASSIGN, params={"ids": ids})
        assert answer.status_code == 400, ids
    assert (await client.get("/admin/ticket/do/assign.asign?ids=1")).status_code == 404
    assert (await client.get("/admin/tag/do/assign.assign?ids=1")).status_code == 404


async def test_afterwards_one_is_never_led_to_another_site(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    for back in ("https://evil.example/", "//evil.example/x", "/admin/\\evil", "javascript:alert(1)"):
        answer = await client.submit(
            "/admin/ticket/do/assign.unassign", {"ids": ticket.id, "confirmed": "1", "back": back}
        )
        assert answer.headers["location"] == "/admin/ticket/list"


async def test_assigning_500_tickets_takes_at_most_eight_statements(
    client: Browser, make: Make, statements: Statements
) -> None:
    agent, customer = await make.agent(), await make.customer()
    async with client.desk.database.transaction(Acting.system(), "test.make") as change:
        tickets = [Ticket(title=f"T{n}", description="d", creator_id=customer.id) for n in range(500)]
        change.session.add_all(tickets)
        await change.session.flush()
    fields = {"ids": [ticket.id for ticket in tickets], "agent": agent.id, "confirmed": "1"}
    with statements(client.desk.database) as seen:
        answer = await client.submit(ASSIGN, fields)
    assert answer.status_code == 303
    assert len(seen) <= 8
    async with client.desk.database.read() as session:
        audited = select(func.count()).select_from(AuditLog).where(AuditLog.action == "UPDATE")
        assert await session.scalar(audited) == 500


# ---- Previews


async def test_a_preview_tells_what_would_happen_keeps_what_was_filled_in_and_changes_nothing(
    client: Browser, make: Make
) -> None:
    agent = await make.agent(full_name="Ana Agent")
    new, done, same = await make.ticket(title="New"), await make.ticket(), await make.ticket(assignee_id=agent.id)
    await client.submit("/admin/ticket/do/trash.put", {"ids": done.id, "confirmed": "1", "reason": "spam"})
    before = await checksum(client.desk.database)
    fields = {
        "ids": f"{new.id},{done.id},{same.id},999999",
        "agent": agent.id,
        "reason": "Ana is back",
        "reference": "TICKET-123",
        "confirmed": "1",
        "key": "the-key-of-this-form",
    }
    page = await client.submit(ASSIGN, {**fields, "preview": "1"})
    assert page.status_code == 200
    assert await checksum(client.desk.database) == before
    assert "What would happen to 4 tickets" in page.text
    assert outcomes(page) == {
        "would change": 1,
        "are so already": 1,
        "are skipped: in the trash": 1,
        "are skipped: not found": 1,
    }
    assert '<ins><span class="visually-hidden">is now </span>Ana Agent</ins>' in page.text
    assert f"Ticket {new.ticket_number}" in page.text
    assert "Ana is back" in page.text
    assert 'value="TICKET-123"' in page.text
    assert 'value="the-key-of-this-form"' in page.text
    assert f'<option value="{agent.id}" selected>Ana Agent</option>' in page.text
    answer = await client.submit(ASSIGN, fields)
    assert "1 ticket changed, 1 already so, 2 skipped" in (await client.get(answer.headers["location"])).text
    [made] = await change_sets(client, "assign.assign")
    assert made.reference == "TICKET-123"


async def test_a_preview_of_what_is_not_filled_in_says_what_is_missing(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    page = await client.submit(ASSIGN, {"ids": ticket.id, "confirmed": "1", "preview": "1"})
    assert page.status_code == 422
    assert "Please fill this in." in page.text
    assert "What would happen" not in page.text
    part = await client.submit(
        ASSIGN, {"ids": ticket.id, "confirmed": "1", "preview": "1"}, headers={"hx-request": "true"}
    )
    assert "No preview yet. Agent: Please fill this in." in part.text


async def test_what_needs_nothing_filled_in_is_previewed_at_once(client: Browser, make: Make) -> None:
    ticket = await make.ticket(assignee_id=(await make.agent(full_name="Ana Agent")).id)
    page = await client.get("/admin/ticket/do/assign.unassign", params={"ids": ticket.id})
    assert outcomes(page) == {"would change": 1}
    assert "What would happen" not in (await client.get(ASSIGN, params={"ids": ticket.id})).text
    trash = await client.get("/admin/ticket/do/trash.put", params={"ids": ticket.id})
    assert "What would happen" not in trash.text


async def test_no_get_of_any_action_changes_anything(
    browser: Browser, make: Make, registry: Registry, database: Database
) -> None:
    agent = await make.agent("developer")
    ticket = await make.ticket(assignee_id=agent.id)
    await make.comment(ticket, agent)
    await make.tag("printer", ticket)
    await browser.sign_in(agent)
    kept = await browser.submit(ASSIGN, {"all": "1"})
    selection = re.search(r"selection=(\d+)", kept.headers["location"])
    assert selection is not None
    tempting = {"confirmed": "1", "preview": "1", "_token": browser.token, "reason": "r", "all": "1"}
    before, seen = await checksum(database), 0
    for resource in registry.resources.values():
        for action in registry.actions_for(resource.model):
            for chosen in ({"ids": str(ticket.id)}, {"selection": selection[1]}):
                for more in ({}, tempting):
                    address = f"/admin/{resource.name}/do/{action.permission}"
                    answer = await browser.get(address, params={**chosen, **more})
                    assert answer.status_code in {200, 404}, answer.text
                    seen += answer.status_code == 200
    assert seen > 40
    assert await checksum(database) == before


def small(database: Database, inline_limit: int = 2_000) -> Browser:
    """A browser before a desk with another limit."""
    settings = replace(Settings.from_env(), secret_key="x" * 32, inline_limit=inline_limit)
    app = create_app(settings, database)
    return Browser(app, app.state.desk)


async def test_of_many_rows_the_first_are_tried_and_all_are_counted(database: Database, make: Make) -> None:
    for number in range(7):
        await make.ticket(title=f"Ticket {number}", deleted_at=None)
    agent = await make.agent()
    async with small(database, inline_limit=3) as client:
        await client.sign_in(await make.lead())
        kept = await client.submit(ASSIGN, {"all": "1"})
        selection = kept.headers["location"].split("selection=")[1].split("&")[0]
        fields = {"selection": selection, "agent": agent.id, "confirmed": "1", "key": "one-form"}
        page = await client.submit(ASSIGN, {**fields, "preview": "1"})
        assert "Tried on the first 3 of 7; all were counted." in page.text
        assert outcomes(page) == {"would change": 7}
        assert "(of the first 3)" in page.text
        answer = await client.submit(ASSIGN, fields)
        [made] = await change_sets(client, "assign.assign")
        assert answer.headers["location"] == f"/admin/change_set/details/{made.id}"
        assert (made.state, made.requested, made.changed) == (ChangeSetState.QUEUED, 7, 0)
        shown = await client.get(answer.headers["location"])
        assert "Assign to agent: 7 tickets are being worked on." in shown.text
        twice = await client.submit(ASSIGN, fields)
        assert twice.headers["location"] == answer.headers["location"]
        assert len(await change_sets(client, "assign.assign")) == 1


# ---- What cannot be done by a slip


@pytest.mark.parametrize("typed", ["1,204", "1204", " 1.204 ", "1 204", "1’204"])
async def test_what_is_dangerous_is_done_once_its_number_was_typed(client: Browser, make: Make, typed: str) -> None:
    customer = await make.customer()
    async with client.desk.database.transaction(Acting.system(), "test.make") as change:
        change.session.add_all(Ticket(title="t", description="d", creator_id=customer.id) for _ in range(1_204))
    kept = await client.submit(TRASH, {"all": "1"})
    page = await client.get(kept.headers["location"])
    assert "Type 1,204 to go on" in page.text
    assert 'data-confirm="1,204"' in page.text
    assert 'name="confirmed" value="1"' not in page.text
    selection = kept.headers["location"].split("selection=")[1].split("&")[0]
    fields = {"selection": selection, "reason": "spam"}
    for wrong in ("", "1", "1203", "12o4", "१२०४"):
        refused = await client.submit(TRASH, {**fields, "confirmed": wrong})
        assert refused.status_code == 422
        assert "Type 1,204 to go on. Nothing has been changed yet." in refused.text
    assert await change_sets(client, "trash.put") == []
    assert (await client.submit(TRASH, {**fields, "confirmed": typed})).status_code == 303
    [done] = await change_sets(client, "trash.put")
    assert done.changed == 1_204


async def test_one_row_needs_no_number_unless_it_is_for_good(browser: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await browser.sign_in(await make.agent("developer"))
    assert "to go on" not in (await browser.get(TRASH, params={"ids": ticket.id})).text
    await browser.submit(TRASH, {"ids": ticket.id, "confirmed": "1", "reason": "spam"})
    purge = "/admin/ticket/do/trash.purge"
    page = await browser.get(purge, params={"ids": ticket.id})
    assert "Type 1 to go on" in page.text
    assert "Purged records are gone for good. This cannot be undone." in page.text
    fields = {"ids": ticket.id, "reason": "law"}
    assert (await browser.submit(purge, {**fields, "confirmed": ""})).status_code == 422
    done = await browser.submit(purge, {**fields, "confirmed": "1"})
    assert "/undo" not in (await browser.get(done.headers["location"])).text


# ---- Afterwards


async def test_afterwards_the_change_set_and_its_undo_are_one_click_away(client: Browser, make: Make) -> None:
    ticket = await make.ticket(assignee_id=(await make.agent()).id)
    answer = await client.submit("/admin/ticket/do/assign.unassign", {"ids": ticket.id, "confirmed": "1"})
    [made] = await change_sets(client, "assign.unassign")
    page = await client.get(answer.headers["location"])
    assert f'<a href="/admin/change_set/details/{made.id}">See the change set</a>' in page.text
    assert f'<a href="/admin/change_set/{made.id}/undo" aria-keyshortcuts="u">Undo</a>' in page.text
    again = await client.submit("/admin/ticket/do/assign.unassign", {"ids": ticket.id, "confirmed": "1"})
    assert "/undo" not in (await client.get(again.headers["location"])).text


async def test_a_double_click_is_one_change_set(live_database: Database, make_live: Make, registry: Registry) -> None:
    await declare_permissions(live_database, registry)
    tickets = [await make_live.ticket() for _ in range(20)]
    agent, lead = await make_live.agent(), await make_live.lead()
    fields = {
        "ids": ",".join(str(ticket.id) for ticket in tickets),
        "agent": agent.id,
        "confirmed": "1",
        "key": "one-form-sent-twice",
    }
    async with small(live_database) as client:
        await client.sign_in(lead)
        answers = await asyncio.gather(*(client.submit(ASSIGN, fields) for _ in range(4)))
        assert [answer.status_code for answer in answers] == [303] * 4
        [made] = await change_sets(client, "assign.assign")
    assert made.changed == 20
