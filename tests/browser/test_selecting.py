"""Selecting, previewing and confirming in a browser: by keyboard, on a telephone, in the dark, and without scripts."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect
from sqlalchemy import URL

from admin_app.db import Acting, Database
from admin_app.models import Ticket
from admin_app.testing import Make, scratch_database
from tests.browser.conftest import Tour, environment_of, free_port, served, sign_in
from tests.browser.test_pages import WIDTHS, assert_good, furnish

pytestmark = pytest.mark.browser

LIST = "/admin/ticket/list?q=crackles&size=25"
ALL = re.compile(r"Select all( \d+)? +matching")


@pytest_asyncio.fixture(scope="module")
async def desk(
    chromium: Browser, server_url: URL, template_url: URL, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Tour]:
    """A desk with 60 tickets that one search finds; windows in both widths, and one that runs no scripts."""
    folder: Path = tmp_path_factory.mktemp("desk")
    address = f"http://127.0.0.1:{free_port()}"
    async with scratch_database(server_url, template_url.database) as url:
        database = Database.connect(url)
        agent = (await furnish(database)).id
        customer = await Make(database).customer(full_name="Carla Customer")
        async with database.transaction(Acting.system(), "test.make") as change:
            change.session.add_all(
                Ticket(title=f"Sound card {n} crackles", description="d", creator_id=customer.id, assignee_id=agent)
                for n in range(60)
            )
        await database.close()
        options: dict[str, Any] = {name: {"viewport": {"width": size, "height": 800}} for name, size in WIDTHS.items()}
        options["plain"] = {"viewport": {"width": 1280, "height": 800}, "java_script_enabled": False}
        async with served(environment_of(url, folder), address):
            windows = {name: await chromium.new_context(base_url=address, **one) for name, one in options.items()}
            for name, context in windows.items():
                if name in WIDTHS:
                    await context.add_init_script(AXE_SCRIPT)
                first = await context.new_page()
                await sign_in(first)
                await first.close()
            yield Tour(address, windows)
            for context in windows.values():
                await context.close()


def count_of(window: Page) -> Any:
    """Where the number of selected rows is told."""
    return window.locator("[data-selected-count]")


async def choose(window: Page, action: str) -> None:
    """Press an action that is in the menu of the bar."""
    await window.locator(".bulk-bar").get_by_text("More", exact=True).click()
    await window.get_by_role("button", name=action).click()


async def select_all(window: Page) -> None:
    await window.goto(LIST)
    await window.get_by_label("Select every row on this page").check()
    await window.get_by_role("checkbox", name=ALL).check()


@pytest.mark.parametrize("window", ["phone"], indirect=True)
async def test_on_a_telephone_the_bar_leaves_the_list_in_sight(window: Page) -> None:
    await window.goto(LIST)
    for box in (window.locator('tbody input[name="ids"]').first, window.get_by_label("Select every row on this page")):
        await box.check()
        bar = await window.locator(".bulk-bar").bounding_box()
        assert bar is not None
        assert bar["height"] <= 0.12 * 800
    await expect(window.get_by_role("checkbox", name=ALL)).to_be_visible()
    await window.get_by_role("link", name="Next").click()
    await window.wait_for_url("**after=**")
    await window.locator('tbody input[name="ids"]').first.check()
    await expect(count_of(window)).to_have_text("1 selected here, 25 on other pages")
    bar = await window.locator(".bulk-bar").bounding_box()
    assert bar is not None
    assert bar["height"] <= 0.12 * 800
    await window.get_by_role("button", name="Clear").click()


@pytest.mark.parametrize("window", list(WIDTHS), indirect=True)
async def test_every_state_is_accessible_and_fits(window: Page) -> None:
    await select_all(window)
    await window.locator('tbody input[name="ids"]').nth(2).uncheck()
    await expect(count_of(window)).to_have_text("59 selected")
    await assert_good(window)
    await window.locator(".bulk-bar").get_by_text("More", exact=True).click()
    await window.locator(".bulk-bar").get_by_text("Export", exact=True).click()
    await assert_good(window)
    await window.keyboard.press("Escape")
    await choose(window, "Assign to nobody")
    await expect(window.get_by_role("heading", name="59 tickets selected")).to_be_visible()
    await expect(window.get_by_role("region", name="What would happen to 59 tickets")).to_be_visible()
    await assert_good(window)
    await window.goto("/admin/ticket/list")
    await window.locator('tbody input[name="ids"]').nth(0).check()
    await window.locator('tbody input[name="ids"]').nth(1).check()
    await choose(window, "Move to trash")
    await window.get_by_role("button", name="Preview").click()
    await expect(window.locator("#preview")).to_contain_text("No preview yet. Reason: Please say why")
    await assert_good(window)
    await window.get_by_label("Reason").fill("spam")
    await window.get_by_role("button", name="Preview").click()
    await expect(window.get_by_role("region", name="What would happen to 2 tickets")).to_be_visible()
    await expect(window.get_by_label("Reason")).to_have_value("spam")
    await assert_good(window)


async def test_what_is_selected_outlives_paging_and_the_back_button(window: Page) -> None:
    await window.goto(LIST)
    boxes = window.locator('tbody input[name="ids"]')
    await boxes.nth(0).check()
    await boxes.nth(4).click(modifiers=["Shift"])
    await expect(count_of(window)).to_have_text("5 selected")
    await window.get_by_role("link", name="Next").click()
    await window.wait_for_url("**after=**")
    await expect(count_of(window)).to_have_text("5 selected on other pages")
    await expect(window.get_by_role("group", name="With the selected rows")).to_be_visible()
    await boxes.nth(1).check()
    await expect(count_of(window)).to_have_text("1 selected here, 5 on other pages")
    await window.get_by_role("button", name="Assign to agent").click()
    await expect(window.get_by_role("heading", name="6 tickets selected")).to_be_visible()
    await window.go_back()
    await expect(count_of(window)).to_have_text("1 selected here, 5 on other pages")
    await expect(boxes.nth(1)).to_be_checked()
    await window.goto(f"{LIST}&sort=-priority,created_at")
    await expect(count_of(window)).to_have_text(
        re.compile(r"^6 selected( on other pages)?$|^\d selected here, \d on other pages$")
    )
    await window.goto("/admin/ticket/list?q=blank&size=25")
    await expect(count_of(window)).to_have_text("")
    await window.goto(LIST)
    await expect(count_of(window)).to_have_text("5 selected here, 1 on other pages")
    await window.get_by_role("button", name="Clear").click()
    await expect(count_of(window)).to_have_text("")
    await window.reload()
    await expect(count_of(window)).to_have_text("")


async def test_all_that_match_can_be_taken_back(window: Page) -> None:
    await select_all(window)
    everything = window.get_by_role("checkbox", name=ALL)
    await expect(count_of(window)).to_have_text("60 selected")
    await everything.uncheck()
    await expect(count_of(window)).to_have_text("25 selected")
    await everything.check()
    await window.locator('tbody input[name="ids"]').first.uncheck()
    await expect(everything).to_be_checked()
    await expect(count_of(window)).to_have_text("59 selected")
    page_box = window.get_by_label("Select every row on this page")
    await expect(page_box).not_to_be_checked()
    await page_box.click()
    await expect(count_of(window)).to_have_text("60 selected")
    await page_box.uncheck()
    await expect(count_of(window)).to_have_text("")
    await expect(everything).to_be_hidden()


async def test_the_keyboard_alone_selects_previews_and_performs(window: Page) -> None:
    await window.goto(LIST)
    await window.get_by_label("Select every row on this page").focus()
    await window.keyboard.press("Space")
    await window.get_by_role("checkbox", name=ALL).focus()
    await window.keyboard.press("Space")
    await window.get_by_role("button", name="Set priority").focus()
    await window.keyboard.press("Enter")
    await window.wait_for_url("**selection=**")
    await window.get_by_label("Priority").focus()
    await window.keyboard.press("h")
    await expect(window.get_by_role("region", name="What would happen to 60 tickets")).to_contain_text("High")
    await expect(window.get_by_label("Priority")).to_be_focused()
    await expect(window.locator("#previewed")).to_have_text("Preview: 60 of 60 would change.")
    await window.get_by_label("Reference").focus()
    await window.keyboard.type("TICKET-123")
    await window.keyboard.press("Enter")  # asks for a preview, never for more
    await expect(window.get_by_role("region", name="What would happen to 60 tickets")).to_be_visible()
    await window.get_by_role("button", name="Set priority").focus()
    await window.keyboard.press("Enter")
    await expect(window.locator(".notice")).to_contain_text("Set priority: 60 tickets changed.")
    await expect(count_of(window)).to_have_text("")
    await window.get_by_role("link", name="Undo").click()
    await window.wait_for_url("**/undo")


async def test_a_wrong_number_stops_what_is_dangerous_but_not_its_preview(window: Page) -> None:
    await select_all(window)
    await choose(window, "Move to trash")
    await window.get_by_label("Reason").fill("spam")
    await window.get_by_label("Type 60 to go on").fill("6")
    await window.get_by_role("button", name="Move to trash").click()
    assert await window.evaluate("document.activeElement.validationMessage") == "Type 60 to confirm."
    await window.get_by_role("button", name="Preview").click()
    await expect(window.get_by_role("region", name="What would happen to 60 tickets")).to_be_visible()
    await expect(window.get_by_label("Type 60 to go on")).to_have_value("6")


@pytest.mark.parametrize("window", ["plain"], indirect=True)
async def test_without_scripts_all_that_match_are_selected_previewed_and_changed(window: Page) -> None:
    await window.goto(LIST)
    await window.get_by_role("checkbox", name=ALL).check()
    await window.get_by_role("button", name="Add internal note").click()
    await expect(window.get_by_role("heading", name="60 tickets selected")).to_be_visible()
    await window.get_by_label("Note").fill("Seen.")
    await window.get_by_role("button", name="Preview").click()
    await expect(window.get_by_role("region", name="What would happen to 60 tickets")).to_contain_text("would change")
    await expect(window.get_by_label("Note")).to_have_value("Seen.")
    await window.get_by_role("button", name="Add internal note").click()
    await expect(window.locator(".notice")).to_contain_text("Add internal note: 60 tickets changed.")
    await window.locator('tbody input[name="ids"]').nth(0).check()
    await window.locator('tbody input[name="ids"]').nth(3).check()
    await window.get_by_role("button", name="Add internal note").click()
    await expect(window.get_by_role("heading", name="2 tickets selected")).to_be_visible()


async def test_what_is_selected_becomes_a_workbook(window: Page) -> None:
    await select_all(window)
    await window.locator('tbody input[name="ids"]').nth(1).uncheck()
    await window.locator(".bulk-bar").get_by_text("More", exact=True).click()
    await window.locator(".bulk-bar").get_by_text("Export", exact=True).click()
    async with window.expect_download() as started:
        await window.get_by_role("button", name="Excel workbook").click()
    file = await started.value
    assert file.suggested_filename.endswith(".xlsx")
    assert (await file.path()).read_bytes().startswith(b"PK")
    await expect(count_of(window)).to_have_text("59 selected")
