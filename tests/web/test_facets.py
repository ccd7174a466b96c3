"""How many rows of a list have which value of a filter, and how many there are in all."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from admin_app.db import Acting, Database
from admin_app.models import Attachment, TicketPriority, TicketStatus
from admin_app.testing import Browser, Make, Statements
from tests.web.forms import role
from tests.web.test_lists import LIST, RESOURCES, visible

FACETS = "/admin/ticket/facets"
COUNT = "/admin/ticket/count"
JSON = {"accept": "application/json"}


async def told(client: Browser, query: str = "", resource: str = "ticket") -> dict[str, dict[str, str]]:
    """By filter, the values that are told with their numbers."""
    answer = await client.get(f"/admin/{resource}/facets?{query}")
    assert answer.status_code == 200, visible(answer.text)
    found = {}
    for name, items in re.findall(r'<ul class="facets" id="facet-(\w+)">(.*?)</ul>', answer.text, flags=re.DOTALL):
        values = re.findall(r'facet-label">(.*?)</span> <span class="count">(.*?)</span>', items)
        found[name] = dict(values)
    return found


async def leads(client: Browser, query: str, value: str) -> str:
    """Where the link of a value leads."""
    page = (await client.get(f"{FACETS}?{query}")).text
    found = re.search(rf'href="([^"]*)"[^>]*><span class="facet-label">{value}</span>', page)
    assert found, value
    return found[1].replace("&amp;", "&")


async def many(database: Database, number: int, **facts: Any) -> None:
    """So many tickets alike, of which a test says what matters."""
    facts = {"title": "Fan", "description": "d", **facts}
    names, values = ", ".join(facts), ", ".join(f":{name}" for name in facts)
    async with database.transaction(Acting.system(), "test.make") as change:
        made = f"INSERT INTO tickets ({names}) SELECT {values} FROM generate_series(1, {number})"
        await change.session.execute(text(made), facts)


# ---- Counts


async def test_a_list_is_counted_after_its_page(client: Browser, make: Make, database: Database) -> None:
    await many(database, 60, creator_id=(await make.customer()).id)
    page = (await client.get(f"{LIST}?sort=created_at&columns=title")).text
    assert f'data-count data-src="{COUNT}"' in page
    assert "How many in all?" in visible(page)
    assert (await client.get(COUNT, headers=JSON)).json() == {"count": 60, "more": False, "text": "60"}
    assert "60 tickets in all." in visible((await client.get(COUNT)).text)
    assert "0 tickets match." in visible((await client.get(f"{COUNT}?status=closed")).text)


async def test_a_list_of_one_page_needs_no_counting(client: Browser, make: Make) -> None:
    for _ in range(3):
        await make.ticket()
    page = (await client.get(LIST)).text
    assert "data-src" not in page[page.index("data-count") :][:60]
    assert "Tickets 3 in all" in visible(page)


async def test_more_than_ten_thousand_are_counted_when_one_asks(
    client: Browser, make: Make, database: Database
) -> None:
    await many(database, 10_050, creator_id=(await make.customer()).id)
    assert (await client.get(COUNT, headers=JSON)).json() == {"count": 10_000, "more": True, "text": "10,000+"}
    page = (await client.get(COUNT)).text
    assert "10,000+ tickets in all." in visible(page)
    assert f"{COUNT}?exact=yes" in page
    assert (await client.get(f"{COUNT}?exact=yes", headers=JSON)).json()["text"] == "10,050"
    assert (await client.get(f"{COUNT}?exact=perhaps")).status_code == 400
    assert "colour" in (await client.get(f"{COUNT}?colour=red")).text


async def test_counts_and_values_are_of_what_the_viewer_may_see(browser: Browser, make: Make) -> None:
    ticket, agent = await make.ticket(), await make.agent()
    facts = {"content_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64, "uploaded_by_id": agent.id}
    for number, internal in enumerate((True, True, False)):
        await make.save(
            Attachment(ticket_id=ticket.id, filename="a", storage_key=str(number), is_internal=internal, **facts)
        )
    await browser.sign_in(await make.user(await role(make, "attachment.view")))
    assert (await browser.get("/admin/attachment/count", headers=JSON)).json()["count"] == 1
    assert (await told(browser, resource="attachment"))["is_internal"] == {"Yes": "0", "No": "1"}
    for page in ("count", "facets", "build", "filters"):
        assert (await browser.get(f"/admin/ticket/{page}")).status_code == 403, page


# ---- Values


async def test_each_value_is_told_with_its_number_under_the_other_filters(client: Browser, make: Make) -> None:
    ana, bob = await make.agent(full_name="Ana Ruiz"), await make.agent(full_name="Bob Day")
    first = await make.ticket(assignee_id=ana.id, priority=TicketPriority.HIGH)
    await make.ticket(assignee_id=ana.id)
    await make.ticket(assignee_id=bob.id, status=TicketStatus.IN_PROGRESS)
    await make.ticket()
    await make.tag("printer", first)
    values = await told(client)
    assert values["status"] == {
        "Open": "3",
        "In progress": "1",
        "Waiting on customer": "0",
        "Resolved": "0",
        "Closed": "0",
    }
    assert values["assignee"] == {"Ana Ruiz": "2", "Bob Day": "1", "Nobody": "1"}
    assert values["tags"] == {"printer": "1"}
    assert values["overdue"] == {"Yes": "0", "No": "4"}
    narrowed = await told(client, f"assignee={ana.id}")
    assert narrowed["status"]["Open"] == "2"
    assert narrowed["assignee"] == values["assignee"]
    assert (await told(client, "q=is:unassigned"))["status"]["Open"] == "1"
    assert (await told(client, "overdue=yes"))["overdue"] == values["overdue"]


async def test_a_value_leads_to_the_list_with_it_or_without_it(client: Browser, make: Make) -> None:
    ana = await make.agent(full_name="Ana Ruiz")
    ticket = await make.ticket(assignee_id=ana.id)
    tag = await make.tag("printer", ticket)
    await make.ticket(status=TicketStatus.IN_PROGRESS)
    assert await leads(client, "status=open", "In progress") == f"{LIST}?status=open,in_progress"
    assert await leads(client, "status=open,in_progress", "Open") == f"{LIST}?status=in_progress"
    assert await leads(client, "status=open", "Ana Ruiz") == f"{LIST}?status=open&assignee={ana.id}"
    assert await leads(client, f"assignee={ana.id}", "Ana Ruiz") == LIST
    assert await leads(client, "tags=printer", "printer") == LIST
    assert await leads(client, "", "printer") == f"{LIST}?tags={tag.id}"
    assert await leads(client, "overdue=no", "No") == LIST
    assert await leads(client, "assignee!=none", "Ana Ruiz") == f"{LIST}?assignee!=none&assignee={ana.id}"


async def test_values_are_told_in_few_statements(
    client: Browser, make: Make, database: Database, statements: Statements
) -> None:
    agent = await make.agent()
    await make.tag("printer", await make.ticket(assignee_id=agent.id))
    await client.get(FACETS)
    with statements(database) as seen:
        await told(client)
    few = len(seen)
    with statements(database) as seen:
        await told(client, f"status=open&assignee={agent.id}&tags=printer&priority=medium")
    assert few <= 9
    assert len(seen) == few + 5, "one for each filter in force, and one for the names in them"


async def test_of_more_than_ten_thousand_rows_only_the_first_are_looked_at(
    client: Browser, make: Make, database: Database
) -> None:
    creator = (await make.customer()).id
    await many(database, 10_050, creator_id=creator)
    old = datetime.now(UTC) - timedelta(days=3)
    await make.ticket(creator_id=creator, created_at=old, priority=TicketPriority.URGENT)
    page = (await client.get(FACETS)).text
    assert "Numbers are of the first 10,000 rows of this list; there are more." in visible(page)
    values = await told(client)
    assert values["priority"]["Medium"] == "10,000+"
    assert values["priority"]["Urgent"] == ""


@pytest.mark.parametrize("name", RESOURCES)
async def test_the_values_of_every_list_are_told(client: Browser, make: Make, name: str) -> None:
    await make.comment(await make.ticket(), await make.agent())
    assert await told(client, resource=name)
    page = (await client.get(f"/admin/{name}/filters")).text
    slots = re.search(r'hx-select-oob="([^"]*)"', page)
    assert slots
    for slot in slots[1].split(","):
        assert f'id="{slot[1:]}"' in page, slot


# ---- Dates


async def test_years_lead_to_months_and_months_to_days(client: Browser, make: Make) -> None:
    for day in ("2024-05-03", "2025-02-01", "2025-02-28", "2025-03-01"):
        await make.ticket(created_at=datetime.fromisoformat(f"{day}T12:00:00+00:00"), due_at=None)
    assert (await told(client))["created_at"] == {"2024": "1", "2025": "3"}
    assert await leads(client, "", "2025") == f"{LIST}?created_at=2025-01-01..2026-01-01"
    months = "created_at=2025-01-01..2026-01-01"
    assert (await told(client, months))["created_at"] == {"Feb 2025": "2", "Mar 2025": "1"}
    assert await leads(client, months, "Feb 2025") == f"{LIST}?created_at=2025-02-01..2025-03-01"
    days = "created_at=2025-02-01..2025-03-01"
    assert (await told(client, days))["created_at"] == {"1 Feb": "1", "28 Feb": "1"}
    assert await leads(client, days, "28 Feb") == f"{LIST}?created_at=2025-02-28"
    page = (await client.get(f"{FACETS}?{days}")).text
    assert "All years" in page
    assert (await told(client, "created_at=2025-02-28"))["created_at"] == {"1 Feb": "1", "28 Feb": "1"}
    assert (await told(client, "status=closed")).get("created_at") is None


async def test_the_only_year_is_told_by_its_months(client: Browser, make: Make) -> None:
    for day in ("2025-02-01", "2025-03-01"):
        await make.ticket(created_at=datetime.fromisoformat(f"{day}T12:00:00+00:00"), due_at=None)
    assert (await told(client))["created_at"] == {"Feb 2025": "1", "Mar 2025": "1"}
    assert "All years" not in (await client.get(FACETS)).text


async def test_days_begin_where_the_viewer_is(browser: Browser, make: Make) -> None:
    await browser.sign_in(await make.lead(time_zone="Asia/Tokyo"))
    await make.ticket(created_at=datetime(2024, 12, 31, 20, tzinfo=UTC), due_at=None)
    assert (await told(browser))["created_at"] == {"Jan 2025": "1"}
