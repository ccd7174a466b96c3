"""The desk in a browser that runs no scripts: everything a lead does in a day can still be done."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy import select

from admin_app.models import Comment, Ticket, User
from admin_app.testing import Make
from tests.browser.conftest import Site, sign_in

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture
async def page(chromium: Browser, site: Site) -> AsyncIterator[Page]:
    """A window in which JavaScript is off."""
    context = await chromium.new_context(
        base_url=site.address, java_script_enabled=False, viewport={"width": 1280, "height": 900}
    )
    context.set_default_timeout(5000)
    yield await context.new_page()
    await context.close()


async def stored(site: Site, title: str) -> Ticket:
    async with site.database.read() as session:
        found = await session.scalars(select(Ticket).where(Ticket.title == title))
        return found.one()


async def test_a_lead_works_a_whole_day_without_scripts(page: Page, site: Site, make_live: Make) -> None:
    ana = await make_live.agent(full_name="Ana Agent", email="ana@example.com")
    customer = await make_live.customer(full_name="Cem Customer", email="cem@example.com")
    tag = await make_live.tag("vpn")
    for number in range(3):
        await make_live.ticket(title=f"Printer {number}", priority="high", creator_id=customer.id)
    await make_live.ticket(title="Something else", priority="low")
    await sign_in(page)

    # find: by words, and by a filter that is ticked
    await page.get_by_role("link", name="Tickets").first.click()
    await page.get_by_role("searchbox").fill("printer")
    await page.get_by_role("button", name="Search", exact=True).click()
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(3)
    await page.get_by_role("link", name="Clear all").click()
    await expect(rows).to_have_count(4)
    await page.get_by_role("link", name="Filters").click()
    await page.get_by_role("checkbox", name="High").check()
    await page.get_by_role("textbox", name="Assignee").fill("none")
    await page.get_by_role("button", name="Show results").click()
    await expect(rows).to_have_count(3)

    # give two of them to somebody
    for title in ("Printer 0", "Printer 1"):
        await rows.filter(has_text=title).get_by_role("checkbox").check()
    await page.get_by_role("button", name="Assign to agent", exact=True).click()
    await expect(page.get_by_text("2 tickets selected")).to_be_visible()
    await page.get_by_label("Reason").fill("Ana knows printers")
    await page.get_by_role("textbox", name="Agent").fill("somebody else")
    await page.get_by_role("button", name="Assign to agent", exact=True).click()
    await expect(page.locator(".field-error")).to_be_visible()
    await expect(page.get_by_label("Reason")).to_have_value("Ana knows printers")
    await page.get_by_role("textbox", name="Agent").fill("ana@example.com")
    await page.get_by_role("button", name="Assign to agent", exact=True).click()
    await expect(page.locator(".notice")).to_contain_text("2 tickets changed")
    await expect(rows).to_have_count(1)  # back on the filtered list, where only what nobody has is left
    assert [(await stored(site, f"Printer {number}")).assignee_id for number in range(3)] == [ana.id, ana.id, None]

    # a new ticket
    await page.get_by_role("link", name="New ticket").click()
    await page.get_by_label("Title").fill("Made by hand")
    await page.get_by_label("Description").fill("Without a script.")
    await page.get_by_role("textbox", name="Requester").fill("cem@example.com")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Made by hand")
    assert (await stored(site, "Made by hand")).creator_id == customer.id

    # edit it
    await page.get_by_role("link", name="Edit").first.click()
    await page.get_by_label("Title").fill("Made and changed by hand")
    await page.get_by_label("Priority").select_option("urgent")
    await page.get_by_role("textbox", name="Assignee").fill("ana@example.com")
    await page.get_by_role("textbox", name="Tags").fill("vpn")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Made and changed by hand")
    changed = await stored(site, "Made and changed by hand")
    assert (changed.priority, changed.assignee_id) == ("urgent", ana.id)
    await expect(page.locator("main")).to_contain_text(tag.name)

    # say something about it
    await page.get_by_role("textbox", name="Add a comment").fill("Called the customer.")
    await page.get_by_role("button", name="Save internal note").click()
    await expect(page.locator("main")).to_contain_text("Called the customer.")
    async with site.database.read() as session:
        comment = (await session.scalars(select(Comment).where(Comment.ticket_id == changed.id))).one()
    assert (comment.author_id, comment.is_internal) == (site.lead.id, True)

    # go home
    await page.locator("summary", has_text="Lena Lead").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.goto("/admin/ticket/list")
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    async with site.database.read() as session:
        assert (await session.get_one(User, site.lead.id)).is_active
