"""Saved views as queues of work: one that the lead shares shows each agent their own rows, with and without scripts."""

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect
from sqlalchemy import select

from admin_app.models import SavedView
from admin_app.testing import Make
from admin_app.web.auth import hash_password
from tests.browser.conftest import PASSWORD, Site, sign_in
from tests.browser.test_pages import assert_good

pytestmark = pytest.mark.browser


async def save_for_everybody(page: Page) -> None:
    """Save the list of one's own tickets under a name, for everybody."""
    await page.goto("/admin/ticket/list?assignee=me&sort=-priority_rank")
    await page.get_by_role("link", name="Save view").click()
    await expect(page.get_by_label("Name")).to_be_focused()
    await assert_good(page)
    await page.get_by_label("Name").fill("On my desk")
    await page.get_by_label("For whom").select_option(label="Everybody who may see this list")
    await page.get_by_role("radio", name="Inbox").check(force=True)
    await page.get_by_role("button", name="Save view").click()
    await page.wait_for_url("**/list?view=**")


async def test_a_view_that_the_lead_shares_shows_each_agent_their_own_rows_and_numbers(
    page: Page, site: Site, chromium: Browser, make_live: Make
) -> None:
    secret = hash_password(PASSWORD)
    agents = [
        await make_live.agent(full_name=f"{name} Agent", email=f"{name.lower()}@example.com", password_hash=secret)
        for name in ("Ana", "Bob")
    ]
    for number, agent in enumerate(agents, 1):
        for row in range(number):
            await make_live.ticket(title=f"{agent.full_name}, {row + 1}", assignee_id=agent.id)
    await page.add_init_script(AXE_SCRIPT)
    await sign_in(page)
    await save_for_everybody(page)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("On my desk")
    await expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    for number, agent in enumerate(agents, 1):
        context = await chromium.new_context(base_url=site.address, viewport={"width": 1280, "height": 900})
        theirs = await context.new_page()
        await sign_in(theirs, agent.email)
        queue = theirs.get_by_role("navigation", name="Main").get_by_role("link", name="On my desk")
        await expect(queue).to_have_text(f"On my desk{number}")
        await queue.click()
        await theirs.wait_for_url("**/list?view=**")
        await expect(theirs.locator("[data-list] tbody tr")).to_have_count(number)
        for shown in await theirs.locator("[data-list] tbody tr").all():
            await expect(shown).to_contain_text(agent.full_name)
        await context.close()


async def test_a_view_is_changed_saved_and_put_in_order_by_keyboard(page: Page, site: Site, make_live: Make) -> None:
    await make_live.ticket(title="Urgent one", priority="urgent", assignee_id=site.lead.id)
    await make_live.ticket(title="Calm one", priority="low", assignee_id=site.lead.id)
    await page.add_init_script(AXE_SCRIPT)
    await sign_in(page)
    await save_for_everybody(page)
    rows = page.locator("[data-list] tbody tr")
    await expect(rows).to_have_count(2)
    await page.get_by_text("Filters", exact=False).first.click()
    await page.get_by_role("checkbox", name="Urgent").check()
    await page.get_by_role("button", name="Show results").click()
    await expect(page.get_by_text("Changed since it was saved.")).to_be_visible()
    await expect(rows).to_have_count(1)
    await assert_good(page)
    await page.set_viewport_size({"width": 375, "height": 800})
    await assert_good(page)
    await page.set_viewport_size({"width": 1280, "height": 900})
    await page.get_by_role("button", name="Save the changes to On my desk").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("“On my desk” now shows this.")).to_be_visible()
    await expect(page.get_by_text("Changed since it was saved.")).to_have_count(0)
    await expect(rows).to_have_count(1)

    await page.get_by_role("link", name="Manage views").click()
    await assert_good(page)
    for width in (375, 1280):
        await page.set_viewport_size({"width": width, "height": 900})
        await assert_good(page)
    hide = page.get_by_role("button", name="Hide On my desk from your menu")
    await hide.focus()
    await page.keyboard.press("Enter")
    queue = page.get_by_role("navigation", name="Main").get_by_role("link", name="On my desk")
    await expect(queue).to_have_count(0)
    await assert_good(page)
    await page.get_by_role("button", name="Show On my desk in your menu").focus()
    await page.keyboard.press("Enter")
    await expect(queue).to_have_count(1)
    up = page.get_by_role("button", name="Move On my desk up", exact=True)
    await up.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/views#view-*")
    async with site.database.read() as session:
        names = (await session.scalars(select(SavedView.name).order_by(SavedView.position))).all()
    assert names[-2:] == ["On my desk", "Trash"]
    await page.get_by_role("link", name="Delete On my desk").click()
    await assert_good(page)
    await page.get_by_role("button", name="Delete view").click()
    await page.get_by_role("status").get_by_role("link", name="Undo").click()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="On my desk")).to_be_visible()


async def test_views_are_saved_and_worked_through_without_scripts(
    chromium: Browser, site: Site, make_live: Make
) -> None:
    await make_live.ticket(title="Mine", assignee_id=site.lead.id)
    context = await chromium.new_context(base_url=site.address, java_script_enabled=False)
    page = await context.new_page()
    await sign_in(page)
    await page.goto("/admin/ticket/list?assignee=me")
    await page.get_by_role("link", name="Save view").click()
    await page.get_by_label("Name").fill("On my desk")
    await page.get_by_role("button", name="Save view").click()
    queue = page.get_by_role("navigation", name="Main").get_by_role("link", name="On my desk")
    await expect(queue).to_have_text("On my desk")
    await queue.click()
    await expect(page.locator("[data-list] tbody tr")).to_have_count(1)
    await page.get_by_role("link", name="Manage views").click()
    await page.get_by_role("link", name="Edit On my desk").click()
    await page.get_by_label("Name").fill("My desk")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("“My desk” is changed.")).to_be_visible()
    await context.close()
