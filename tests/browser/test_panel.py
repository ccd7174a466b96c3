"""Narrowing a list down in a browser: numbers that come after the page, columns, conditions in groups."""

import re

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import text

from admin_app.db import Acting
from admin_app.models import TicketPriority
from admin_app.testing import Make
from tests.browser.conftest import Site, sign_in

pytestmark = pytest.mark.browser


async def test_filters_tell_how_many_rows_have_each_value_and_a_click_asks_for_it(
    page: Page, site: Site, make_live: Make
) -> None:
    ana = await make_live.agent(full_name="Ana Agent")
    for number in range(3):
        await make_live.ticket(title=f"Printer {number}", assignee_id=ana.id if number else None)
    await sign_in(page)
    await page.goto("/admin/ticket/list")
    await page.locator(".filters > summary").click()
    await page.locator("#facet-assignee").get_by_role("link", name="Ana Agent 2").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    await expect(page.locator(".chip")).to_have_text("Assignee: Ana Agent")
    await page.locator(".filters > summary").click()
    await expect(page.locator("#facet-status-open")).to_have_text("Open 2")
    await page.get_by_role("link", name="Remove the filter Assignee: Ana Agent").click()
    await expect(page.locator("tbody tr")).to_have_count(3)


async def test_a_long_list_is_counted_after_its_page_and_exactly_on_demand(
    page: Page, site: Site, make_live: Make
) -> None:
    customer = await make_live.customer()
    async with site.database.transaction(Acting.system(), "test.make") as change:
        many = (
            "INSERT INTO tickets (title, description, creator_id) SELECT 'Fan', 'd', :id FROM generate_series(1, 10050)"
        )
        await change.session.execute(text(many), {"id": customer.id})
    await sign_in(page)
    await page.goto("/admin/ticket/list?sort=id")
    await expect(page.locator("h1 [data-count]")).to_have_text("10,000+")
    await page.get_by_label("Select every row on this page").check()
    await page.get_by_label("Select all 10,000+ matching").check()
    await page.get_by_role("link", name="Count exactly").click()
    await expect(page.locator("h1 [data-count]")).to_have_text("10,050")
    await expect(page.locator("[data-selected-count]")).to_have_text("10,050 selected")
    await expect(page.locator(".pagination p")).to_contain_text("1–50 of 10,050")
    await expect(page.get_by_role("link", name="Count exactly")).to_be_hidden()


async def test_columns_are_moved_by_keyboard_and_stay_where_they_were_put(
    page: Page, site: Site, make_live: Make
) -> None:
    await make_live.ticket()
    await sign_in(page)
    await page.goto("/admin/ticket/list")
    await page.locator("[data-columns] > summary").press("Enter")
    await page.get_by_role("button", name="Move Status up").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#columns li").nth(1)).to_contain_text("Status")
    await expect(page.get_by_role("button", name="Move Status up")).to_be_focused()
    await page.get_by_label("Due", exact=True).check()
    await page.get_by_role("button", name="Show these").click()
    await expect(page.locator("thead th").nth(2)).to_contain_text("Status")
    await page.goto("/admin/ticket/list")
    await expect(page.locator("thead")).to_contain_text("Due")
    await page.locator("[data-columns] > summary").click()
    await page.get_by_role("button", name="Reset").click()
    await expect(page.locator("thead")).not_to_contain_text("Due")


async def test_groups_of_conditions_are_built_and_found_again(page: Page, site: Site, make_live: Make) -> None:
    lead = site.lead
    await make_live.ticket(title="Mine", assignee_id=lead.id)
    await make_live.ticket(title="Urgent", priority=TicketPriority.URGENT)
    await make_live.ticket(title="Neither")
    await sign_in(page)
    await page.goto("/admin/ticket/list?status=open")
    await page.locator(".filters > summary").click()
    await page.get_by_role("link", name="Conditions with AND and OR").click()
    await expect(page.get_by_role("checkbox", name="Open")).to_be_checked()
    await page.get_by_role("button", name="Add a condition to group 1").click()
    await page.get_by_label("Group 1, condition 2: field").select_option(label="Assignee")
    picker = page.get_by_role("combobox", name="Group 1, condition 2: value")
    await picker.click()
    await page.get_by_role("option", name="Me", exact=True).click()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Add a group").click()
    await page.get_by_label("Group 2, condition 1: field").select_option(label="Priority")
    await page.get_by_role("checkbox", name="Urgent").check()
    await page.get_by_role("button", name="Show results").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    await expect(page).to_have_url(re.compile("q=.*OR"))
    await page.locator(".filters > summary").click()
    await page.get_by_role("link", name="Conditions with AND and OR").click()
    await expect(page.get_by_role("checkbox", name="Urgent")).to_be_checked()
