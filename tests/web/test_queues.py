"""Saved views as queues of work: the numbers in the menu, what they cost, and what the shipped ones find."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from admin_app import saved_views
from admin_app.db import Acting
from admin_app.models import Ticket, TicketStatus
from admin_app.plugin import Chosen
from admin_app.queries import tickets
from admin_app.registry import Registry, ship_views
from admin_app.testing import Browser, Make, Statements
from tests.web.viewing import LIST, menu, numbers, shown, status, stored

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=20)


async def test_the_queues_of_the_menu_are_counted_in_one_statement_and_kept_for_a_while(
    client: Browser, make: Make, registry: Registry, statements: Statements
) -> None:
    await ship_views(client.desk.database, registry)
    assert client.actor is not None
    await make.ticket(assignee_id=client.actor.id)
    with statements(client.desk.database) as seen:
        fragment = (await client.get("/admin/queues")).text
    assert len([one for one in seen if "set_config" not in one]) == 2, "who is signed in, and all counts"
    mine = await stored(client, "My open")
    assert numbers(fragment)[mine.id] == "1"
    await make.ticket(assignee_id=client.actor.id)
    with statements(client.desk.database) as seen:
        assert numbers((await client.get("/admin/queues")).text)[mine.id] == "1"
    assert len(seen) == 1
    client.desk.queue_counts.kept.clear()
    assert numbers((await client.get("/admin/queues")).text)[mine.id] == "2"


async def one_unassigned(client: Browser, make: Make, registry: Registry) -> tuple[Ticket, int]:
    """The only ticket that nobody has, and the view that was seen to count it."""
    await ship_views(client.desk.database, registry)
    ticket = await make.ticket()
    view = (await stored(client, "Unassigned")).id
    assert numbers((await client.get("/admin/queues")).text)[view] == "1"
    return ticket, view


async def test_whoever_changes_something_has_their_queues_counted_anew(
    client: Browser, make: Make, registry: Registry
) -> None:
    ticket, view = await one_unassigned(client, make, registry)
    assert client.actor is not None
    await client.submit(
        "/admin/ticket/do/assign.assign", {"ids": ticket.id, "agent": client.actor.id, "confirmed": "1"}
    )
    assert numbers((await client.get("/admin/queues")).text)[view] == "0"


async def test_whoever_watches_work_to_its_end_has_their_queues_counted_anew(
    client: Browser, make: Make, registry: Registry
) -> None:
    ticket, view = await one_unassigned(client, make, registry)
    agent = await make.agent()
    async with client.desk.database.transaction(Acting.system(), "assign.assign") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, [ticket.id]), agent)
    assert numbers((await client.get("/admin/queues")).text)[view] == "1"
    await client.get(f"/admin/change_set/{change.id}/state")
    assert numbers((await client.get("/admin/queues")).text)[view] == "0"


async def test_the_menu_costs_a_page_no_statement(
    client: Browser, make: Make, registry: Registry, statements: Statements
) -> None:
    await make.ticket()
    await client.get(LIST)
    with statements(client.desk.database) as before:
        await client.get(LIST)
    await ship_views(client.desk.database, registry)
    view = await stored(client, "All unsolved")
    with statements(client.desk.database) as after:
        page = (await client.get(f"{LIST}?view={view.id}")).text
    assert len(menu(page)) == 11
    assert len(after) == len(before)


async def test_a_queue_that_is_slow_to_count_has_no_number_and_the_others_have(browser: Browser, make: Make) -> None:
    ticket = await make.ticket()
    quick, slow = select(Ticket.id).where(Ticket.id == ticket.id), select(func.pg_sleep(5))
    assert await saved_views.counted(browser.desk.database, {7: quick, 8: slow}) == {7: 1, 8: None}


async def test_whoever_is_signed_out_is_not_sent_away_by_the_numbers(browser: Browser) -> None:
    answer = await browser.get("/admin/queues", headers={"hx-request": "true"})
    assert answer.status_code == 401
    assert "hx-refresh" not in answer.headers


async def test_the_shipped_views_find_what_their_names_say(browser: Browser, make: Make, registry: Registry) -> None:
    await ship_views(browser.desk.database, registry)
    agent = await make.agent()
    await browser.sign_in(agent)
    customer = await make.customer()
    facts = {"creator_id": customer.id}
    answered = await make.ticket(title="answered", assignee_id=agent.id, **facts)
    await make.comment(answered, agent, is_internal=False)
    await make.ticket(
        title="late", assignee_id=agent.id, created_at=LONG_AGO, due_at=LONG_AGO, priority="high", **facts
    )
    await make.ticket(title="nobody’s", priority="urgent", **facts)
    silent = await make.ticket(title="silent", created_at=LONG_AGO, assignee_id=agent.id, **facts)
    await status(browser, silent, TicketStatus.WAITING_ON_CUSTOMER, agent)
    done = await make.ticket(title="done", **facts)
    await status(browser, done, TicketStatus.RESOLVED, agent)
    again = await make.ticket(title="again", **facts)
    await status(browser, again, TicketStatus.RESOLVED, agent)
    await status(browser, again, TicketStatus.OPEN, agent)
    async with browser.desk.database.transaction(Acting(user_id=agent.id), "assign.unassign") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, [again.id]), None)
    await make.ticket(title="gone", deleted_at=NOW, **facts)
    expected = {
        "My open": ["late", "answered", "silent"],
        "My overdue": ["late"],
        "Unassigned": ["nobody’s", "again"],
        "Urgent and unassigned": ["nobody’s"],
        "Overdue": ["late"],
        "Unattended": ["late", "silent", "nobody’s", "again"],
        "Waiting over 3 days": ["silent"],
        "Reopened last 7 days": ["again"],
        "Recently resolved by me": ["done"],
        "All unsolved": ["again", "nobody’s", "answered", "silent", "late"],
        "Trash": ["gone"],
    }
    for name, titles in expected.items():
        page = (await browser.get(f"{LIST}?view={(await stored(browser, name)).id}")).text
        assert sorted(shown(page)) == sorted(titles), name
        assert f"<h1>{name}" in page
    counts = numbers((await browser.get("/admin/queues")).text)
    for name, titles in expected.items():
        assert counts[(await stored(browser, name)).id] == str(len(titles)), name
