"""A list by touch, where nothing hovers: each row has a button for its values and actions, in a menu by their names."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect

from admin_app.testing import Make
from tests.browser.conftest import Site, listen, sign_in
from tests.browser.test_pages import assert_good

pytestmark = pytest.mark.browser

LIST = "/admin/ticket/list"
SIZES = {"telephone": (375, 800), "tablet": (1024, 768)}


@pytest_asyncio.fixture(params=list(SIZES))
async def touched(
    request: pytest.FixtureRequest, chromium: Browser, site: Site, make_live: Make
) -> AsyncIterator[Page]:
    """A window that knows no mouse, before a list of two tickets."""
    await make_live.ticket(title="Newer", assignee_id=site.lead.id)
    await make_live.ticket(title="Newest")
    width, height = SIZES[request.param]
    context = await chromium.new_context(
        base_url=site.address, has_touch=True, is_mobile=True, viewport={"width": width, "height": height}
    )
    await context.add_init_script(AXE_SCRIPT)
    made = await context.new_page()
    complaints = listen(made)
    await sign_in(made)
    await made.goto(LIST)
    yield made
    await context.close()
    assert complaints == []


async def test_a_value_is_edited_and_an_action_reached_by_touch(touched: Page) -> None:
    row = touched.locator("tbody tr").first
    button = row.get_by_role("button", name=re.compile("^What can be done to SUP-"))
    for number in range(2):
        box = await touched.locator(".row-more").nth(number).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 40, "a finger is not as fine as a mouse"
    await assert_good(touched)
    await button.tap()
    menu = touched.get_by_role("dialog", name=re.compile("^To SUP-"))
    for name in ("Edit status", "Edit priority", "Edit assignee"):
        await expect(menu.get_by_role("button", name=name)).to_be_visible()
    await assert_good(touched)
    await menu.get_by_role("button", name="Edit priority").tap()
    editor = touched.get_by_role("dialog", name=re.compile("^Edit Priority of SUP-"))
    await editor.get_by_label("Priority").select_option("urgent")
    await assert_good(touched)
    await editor.get_by_role("button", name="Save").tap()
    await expect(row.locator("[data-column=priority]")).to_have_text("Urgent")
    await button.tap()
    await menu.get_by_role("link", name="Assign to agent").tap()
    await touched.wait_for_url("**/do/assign.assign?ids=**")
    await expect(touched.get_by_role("heading", name="1 ticket selected")).to_be_visible()


async def test_the_menu_of_a_row_opens_and_closes_by_keyboard_too(touched: Page) -> None:
    button = touched.locator(".row-more").first
    await button.focus()
    await touched.keyboard.press("Enter")
    await expect(touched.get_by_role("button", name="Edit status")).to_be_focused()
    await touched.keyboard.press("Escape")
    await expect(touched.get_by_role("dialog")).to_have_count(0)
    await expect(button).to_be_focused()
