"""Actions in the browser: GET shows, POST does, and the next page says what happened."""

from sqlalchemy import func, select

from admin_app.db import Acting
from admin_app.models import AuditLog, ChangeSet, Door, Ticket
from admin_app.testing import Browser, Make, Statements

ASSIGN = "/admin/ticket/do/assign.assign"


async def stored(browser: Browser, ticket: Ticket) -> Ticket:
    async with browser.desk.database.read() as session:
        return await session.get_one(Ticket, ticket.id, populate_existing=True)


async def change_sets(browser: Browser, action: str) -> list[ChangeSet]:
    async with browser.desk.database.read() as session:
        return list(await session.scalars(select(ChangeSet).where(ChangeSet.action == action)))


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
    assert (await stored(client, ticket)).assignee_id == agent.id
    assert (await stored(client, trashed)).assignee_id is None
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
    assert (await stored(client, ticket)).assignee_id is None


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
    gone = await stored(client, ticket)
    assert gone.deleted_at is not None
    assert gone.delete_reason == "a duplicate"
    assert client.actor is not None
    assert gone.deleted_by_id == client.actor.id
    await client.submit("/admin/ticket/do/trash.restore", {"ids": ticket.id, "confirmed": "1"})
    back = await stored(client, ticket)
    assert (back.deleted_at, back.deleted_by_id, back.delete_reason) == (None, None, None)
    assert back.status == ticket.status


async def test_a_get_never_performs_whatever_its_query_says(client: Browser, make: Make) -> None:
    ticket = await make.ticket(assignee_id=(await make.agent()).id)
    answer = await client.get(
        "/admin/ticket/do/assign.unassign", params={"ids": ticket.id, "confirmed": "1", "_token": client.token}
    )
    assert answer.status_code == 200
    assert (await stored(client, ticket)).assignee_id is not None


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
