"""A recipe from the page of an action to its run, by mouse and by keyboard, on a desk and on a telephone."""

import re

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page, expect
from sqlalchemy import select

from admin_app.models import Ticket, TicketPriority
from admin_app.testing import Make
from tests.browser.conftest import Site, sign_in
from tests.browser.test_pages import assert_good

pytestmark = pytest.mark.browser


async def priorities(site: Site, agent: int) -> list[TicketPriority]:
    """The priorities of an agent's tickets."""
    async with site.database.read() as session:
        found = select(Ticket.priority).where(Ticket.assignee_id == agent).order_by(Ticket.id)
        return list((await session.scalars(found)).all())


async def test_a_lead_saves_a_recipe_from_an_action_and_runs_it_on_what_came_since(
    page: Page, site: Site, make_live: Make
) -> None:
    agent = await make_live.agent(full_name="Ana Agent")
    for _ in range(3):
        await make_live.ticket(assignee_id=agent.id)
    await page.add_init_script(AXE_SCRIPT)
    await sign_in(page)
    await page.get_by_role("navigation", name="Main").get_by_role("link", name="Recipes").click()
    await expect(page.get_by_role("heading", name="There is no recipe yet")).to_be_visible()
    await assert_good(page)

    await page.goto(f"/admin/ticket/list?assignee={agent.id}")
    await page.get_by_label("Select every row on this page").check()
    await page.get_by_role("button", name="Set priority").click()
    await page.wait_for_url("**selection=**")
    await page.get_by_label("Priority").select_option("urgent")
    await page.get_by_role("textbox", name="Reason").fill("Monday.")
    await page.get_by_role("button", name="Save as recipe").click()
    await expect(page.get_by_role("heading", name="Save as recipe")).to_be_visible()
    await expect(page.get_by_label("Name")).to_be_focused()
    await assert_good(page)
    await page.set_viewport_size({"width": 375, "height": 800})
    await assert_good(page)
    await page.get_by_label("Name").fill("Ana's Monday")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/admin/recipes")
    assert await priorities(site, agent.id) == [TicketPriority.MEDIUM] * 3

    await make_live.ticket(assignee_id=agent.id)
    await page.reload()
    row = page.get_by_role("row", name=re.compile("Ana's Monday"))
    await expect(row.get_by_role("cell").nth(1)).to_contain_text("4")
    run = row.get_by_role("button", name="Run Ana's Monday")
    await run.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**selection=**")
    await expect(page.get_by_role("heading", name="4 tickets selected")).to_be_visible()
    await expect(page.get_by_label("Priority")).to_have_value("urgent")
    await expect(page.get_by_role("textbox", name="Reason")).to_have_value("Monday.")
    await expect(page.get_by_role("region", name="What would happen")).to_contain_text("Medium")
    await page.get_by_role("button", name="Set priority").click()
    await page.wait_for_url("**/admin/recipes")
    await expect(page.get_by_role("status")).to_contain_text("Set priority: 4 tickets changed.")
    assert await priorities(site, agent.id) == [TicketPriority.URGENT] * 4

    await page.get_by_role("link", name="Delete Ana's Monday").click()
    await page.get_by_role("button", name="Delete recipe").click()
    await expect(page.get_by_role("heading", name="There is no recipe yet")).to_be_visible()
