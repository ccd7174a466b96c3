"""The list in the hands of somebody who has only a keyboard: walking, ticking, acting, editing, finding, undoing."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect
from sqlalchemy import URL, func, select

from admin_app.db import Database
from admin_app.models import ChangeSet, Ticket, TicketPriority, TicketStatus
from admin_app.testing import Make, scratch_database
from tests.browser.conftest import Site, Tour, environment_of, free_port, served, sign_in
from tests.browser.test_pages import WIDTHS, assert_good, furnish

pytestmark = pytest.mark.browser

LIST = "/admin/ticket/list"
HERE = "tr[aria-current]"


async def press(window: Page, *keys: str) -> None:
    """Press keys, one after the other."""
    for key in keys:
        await window.keyboard.press(key)


async def arrived(window: Page, url: str | re.Pattern[str]) -> None:
    """Wait for a page, and for what its scripts make of it."""
    await window.wait_for_url(url)
    await window.wait_for_load_state()


async def test_twenty_tickets_are_triaged_by_keyboard_alone(page: Page, site: Site, make_live: Make) -> None:
    """Ten are assigned together, each gets a status in the list, one mistake is taken back; no mouse, no focus()."""
    await make_live.agent(full_name="Ana Agent")
    customer = await make_live.customer()
    for number in range(20):
        await make_live.ticket(title=f"Ticket {number}", creator_id=customer.id)
    await sign_in(page)
    await page.goto(LIST)

    await press(page, "j", "x", *("j",) * 9, "Shift+KeyX")
    await expect(page.locator("[data-selected-count]")).to_have_text("10 selected")
    await press(page, "a")
    await arrived(page, "**/do/assign.assign**")
    await expect(page.get_by_role("combobox", name="Agent")).to_be_focused()
    await page.keyboard.type("Ana")
    await expect(page.get_by_role("option", name="Ana Agent")).to_be_visible()
    await press(page, "Enter", "Control+Enter")
    await arrived(page, f"**{LIST}")
    await expect(page.locator(".notice")).to_contain_text("10 tickets changed.")

    await expect(page.locator(HERE)).to_contain_text("Ticket 10")  # where one was before
    await press(page, *("k",) * 10)
    await expect(page.locator(HERE)).to_contain_text("Ticket 19")
    for number in range(20):
        await press(page, "e")
        control = page.get_by_role("dialog").get_by_label("Status")
        await expect(control).to_be_focused()
        await press(page, "w" if number % 2 else "i", "Enter")
        said = "Waiting on customer" if number % 2 else "In progress"
        await expect(page.locator(HERE).locator("[data-column=status]")).to_have_text(said)
        await expect(page.locator(HERE).locator("a:focus")).to_be_visible()
        await press(page, "j")

    await press(page, "u")
    await expect(page.locator(".notice")).to_contain_text("Undo")
    await expect(page.locator("tbody tr").last.locator("[data-column=status]")).to_have_text("Open")

    async with site.database.read() as session:
        found = await session.execute(select(Ticket.status, func.count()).group_by(Ticket.status))
        statuses = {status: number for status, number in found}  # noqa: C416  rows are no pairs to the type checker
        assigned = await session.scalar(select(func.count()).where(Ticket.assignee_id.is_not(None)))
        edits = await session.scalar(select(func.count()).where(ChangeSet.action == "ticket.edit"))
    assert statuses == {
        TicketStatus.IN_PROGRESS: 10,
        TicketStatus.WAITING_ON_CUSTOMER: 9,
        TicketStatus.OPEN: 1,
    }
    assert (assigned, edits) == (10, 20)


@pytest_asyncio.fixture(scope="module")
async def desk(
    chromium: Browser, server_url: URL, template_url: URL, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Tour]:
    """A desk with a few tickets, and a window on it for each width."""
    folder: Path = tmp_path_factory.mktemp("keys")
    address = f"http://127.0.0.1:{free_port()}"
    async with scratch_database(server_url, template_url.database) as url:
        database = Database.connect(url)
        await furnish(database)
        await database.close()
        async with served(environment_of(url, folder), address):
            windows = {}
            for name, width in WIDTHS.items():
                size: Any = {"width": width, "height": 800}
                windows[name] = await chromium.new_context(base_url=address, viewport=size, reduced_motion="reduce")
                await windows[name].add_init_script(AXE_SCRIPT)
                first = await windows[name].new_page()
                await sign_in(first)
                await first.close()
            yield Tour(address, windows)
            for context in windows.values():
                await context.close()


wide_and_phone = pytest.mark.parametrize("window", list(WIDTHS), indirect=True)


@wide_and_phone
async def test_the_keys_dialog_lists_what_the_page_has_is_accessible_and_gives_the_focus_back(window: Page) -> None:
    await window.goto(LIST)
    await press(window, "j", "?")
    dialog = window.get_by_role("dialog", name="Keys")
    await expect(dialog).to_be_visible()
    for words in ("Next row", "Assign to agent", "Search", "Edit a value of the row: Status, Priority, Assignee"):
        await expect(dialog).to_contain_text(words)
    await assert_good(window)
    for _ in range(6):
        await press(window, "Tab")
        inside = "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
        assert await window.evaluate(inside)
    await press(window, "Escape")
    await expect(dialog).to_be_hidden()
    await expect(window.locator(HERE).locator("a:focus")).to_be_visible()


async def test_single_keys_can_be_switched_off_in_this_browser(window: Page) -> None:
    await window.goto(LIST)
    await press(window, "?")
    await window.get_by_label("Single keys do something, in this browser").uncheck()
    await press(window, "Escape", "j", "x")
    await window.reload()
    await press(window, "j", "?")
    await expect(window.locator(HERE)).to_have_count(0)
    await expect(window.get_by_role("dialog", name="Keys")).to_be_hidden()
    await window.locator(".topbar summary").click()
    await window.get_by_role("button", name="Keys").click()
    await window.get_by_label("Single keys do something, in this browser").check()
    await press(window, "Escape", "Escape", "j")
    await expect(window.locator(HERE)).to_have_count(1)


async def test_keys_do_nothing_while_one_types_or_holds_another_key(window: Page) -> None:
    await window.goto(LIST)
    await press(window, "j", "/")
    await window.keyboard.type("jxa?")
    await expect(window.get_by_role("searchbox")).to_have_value("jxa?")
    await expect(window.locator('tbody input[name="ids"]:checked')).to_have_count(0)
    await expect(window.get_by_role("dialog")).to_have_count(0)
    await window.get_by_role("link", name="Tickets").first.focus()
    await press(window, "Alt+x", "Control+x")
    await expect(window.locator('tbody input[name="ids"]:checked')).to_have_count(0)


async def test_a_row_is_opened_and_its_neighbours_follow_on_its_page(window: Page) -> None:
    await window.goto(LIST)
    rows = window.locator("tbody tr")
    ids = [await rows.nth(index).get_attribute("data-id") for index in range(3)]
    await press(window, "j", "Enter")
    await arrived(window, f"**/details/{ids[0]}")
    await press(window, "j")
    await arrived(window, f"**/details/{ids[1]}")
    await press(window, "j")
    await arrived(window, f"**/details/{ids[2]}")
    await press(window, "k")
    await arrived(window, f"**/details/{ids[1]}")
    await press(window, "e")
    await arrived(window, f"**/edit/{ids[1]}")
    await window.goto(LIST)
    await expect(window.locator(HERE)).to_have_attribute("data-id", ids[1] or "")
    await press(window, "j", "o")
    await arrived(window, f"**/details/{ids[2]}")


async def test_an_action_without_a_row_says_what_to_do_first(window: Page) -> None:
    await window.goto("/admin/ticket/list?sort=status")
    await press(window, "a")
    await expect(window.locator(".notice")).to_contain_text("Choose a row first")
    await press(window, "j", "p")
    await arrived(window, "**/do/priority.change?ids=**")
    await expect(window.get_by_role("heading", name="1 ticket selected")).to_be_visible()


@wide_and_phone
async def test_anything_is_found_from_anywhere(window: Page) -> None:
    await window.goto("/admin/tag/list")
    await press(window, "Control+k")
    box = window.get_by_role("combobox", name="Find a record, a list, or something to do")
    await expect(box).to_be_focused()
    await expect(window.get_by_role("option", name="Audit log")).to_be_visible()
    await assert_good(window)
    await window.keyboard.type("sup-000003")
    option = window.get_by_role("option", name=re.compile("SUP-000003"))
    await expect(option).to_have_attribute("aria-selected", "true")
    assert await box.get_attribute("aria-activedescendant") == await option.get_attribute("id")
    await assert_good(window)
    await press(window, "Enter")
    await arrived(window, "**/ticket/details/3")
    await window.get_by_role("link", name="Find").click()
    await window.keyboard.type("zyzzyva")
    await expect(window.locator(".palette-note")).to_contain_text("Nothing is called so.")
    await assert_good(window)
    await press(window, "Escape")
    await expect(box).to_be_hidden()


async def test_the_palette_moves_by_arrows_and_does_what_the_page_offers(window: Page) -> None:
    await window.goto(LIST)
    await press(window, "j", "x", "Control+k")
    await window.keyboard.type("set")
    await expect(window.get_by_role("option", name="Set priority")).to_have_attribute("aria-selected", "true")
    await press(window, "ArrowDown")
    await expect(window.get_by_role("option", name="Set status")).to_have_attribute("aria-selected", "true")
    await press(window, "ArrowUp", "Enter")
    await arrived(window, "**/do/priority.change?selection=**")


@wide_and_phone
async def test_the_editor_of_a_value_is_accessible_goes_on_by_tab_and_leaves_by_escape(window: Page) -> None:
    await window.goto(LIST)
    await press(window, "j", "e")
    editor = window.get_by_role("dialog", name=re.compile("Edit Status of SUP-"))
    await expect(editor.get_by_label("Status")).to_be_focused()
    await assert_good(window)
    await press(window, "Tab", "Tab", "Tab")
    editor = window.get_by_role("dialog", name=re.compile("Edit Priority of SUP-"))
    await expect(editor.get_by_label("Priority")).to_be_focused()
    await press(window, "Shift+Tab")
    editor = window.get_by_role("dialog", name=re.compile("Edit Status of SUP-"))
    await expect(editor.get_by_label("Status")).to_be_focused()
    await press(window, "i", "Escape")
    await expect(window.get_by_role("dialog")).to_have_count(0)
    await expect(window.locator(HERE).locator("a:focus")).to_be_visible()
    await expect(window.locator(HERE).locator("[data-column=status]")).to_have_text("Open")


async def test_what_is_refused_stays_in_the_editor_with_its_reason(window: Page) -> None:
    await window.goto("/admin/tag/list")
    await press(window, "j", "e")
    control = window.get_by_role("dialog").get_by_label("Colour")
    await control.fill("red")
    await press(window, "Enter")
    await expect(window.get_by_role("dialog")).to_contain_text("A colour is written like #1f6feb.")
    await expect(control).to_have_value("red")
    await expect(control).to_be_focused()
    await assert_good(window)
    await control.fill("#aa0000")
    await press(window, "Enter")
    await expect(window.get_by_role("dialog")).to_have_count(0)
    await expect(window.locator(HERE).locator("[data-column=color]")).to_have_text("#aa0000")


async def test_what_stands_beside_a_row_is_reached_by_mouse_and_by_keyboard_and_moves_nothing(window: Page) -> None:
    await window.goto(LIST)
    row = window.locator("tbody tr").nth(2)
    before = await row.bounding_box()
    await row.locator("[data-column=status]").hover()
    beside = window.get_by_role("group", name=re.compile("^To SUP-"))
    await expect(beside.get_by_role("link", name="Assign to agent")).to_be_visible()
    assert await row.bounding_box() == before
    await assert_good(window)
    await window.mouse.move(5, 5)
    await press(window, "j")
    name = await window.locator(HERE).locator("th").inner_text()
    assert name in (await beside.get_attribute("aria-label") or "")
    for _ in range(12):
        await press(window, "Tab")
        if await window.evaluate("document.activeElement.getAttribute('aria-label')") == "Move to trash":
            break
    await press(window, "Enter")
    await arrived(window, "**/do/trash.put?ids=**")
    assert "back=%2Fadmin%2Fticket%2Flist" in window.url


async def test_a_value_is_edited_by_the_pencil_in_its_cell(window: Page) -> None:
    await window.goto(LIST)
    cell = window.locator("tbody tr").nth(1).locator("[data-column=priority]")
    await cell.hover()
    await window.get_by_role("button", name=re.compile("Edit Priority of")).click()
    control = window.get_by_role("dialog").get_by_label("Priority")
    await control.select_option("urgent")
    await window.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(cell).to_have_text("Urgent")
    await window.get_by_role("button", name="Undo").click()
    await expect(window.locator(".notice")).to_contain_text("Undo: 1 change undone.")


async def test_what_was_typed_outlives_a_change_by_somebody_else(window: Page, desk: Tour) -> None:
    await window.goto(LIST)
    other = await window.context.new_page()
    await other.goto(LIST)
    for one in (window, other):
        await one.locator("tbody tr").nth(3).locator("[data-column=priority]").dblclick()
        await expect(one.get_by_role("dialog").get_by_label("Priority")).to_be_focused()
    present = await window.get_by_role("dialog").get_by_label("Priority").input_value()
    theirs, mine = [one.value for one in TicketPriority if one.value != present][:2]
    await other.get_by_role("dialog").get_by_label("Priority").select_option(theirs)
    await other.keyboard.press("Enter")
    await expect(other.get_by_role("dialog")).to_have_count(0)
    await other.close()
    control = window.get_by_role("dialog").get_by_label("Priority")
    await control.select_option(mine)
    await press(window, "Enter")
    await expect(window.get_by_role("dialog")).to_contain_text("meanwhile. Save again to put yours in its place.")
    await expect(control).to_have_value(mine)
    await assert_good(window)
    await press(window, "Enter")
    cell = window.locator("tbody tr").nth(3).locator("[data-column=priority]")
    await expect(cell).to_have_text(mine.capitalize())


async def test_shift_on_a_heading_adds_its_column_to_the_order_or_turns_it_there(window: Page) -> None:
    await window.goto("/admin/ticket/list?sort=status")
    heads = window.locator("thead th")
    await heads.get_by_role("link", name="Priority", exact=True).click(modifiers=["Shift"])
    await arrived(window, "**/list?sort=status,-priority_rank")
    await expect(window.get_by_role("columnheader", name=re.compile("^Status"))).to_have_attribute(
        "aria-sort", "ascending"
    )
    second = window.get_by_role("columnheader", name=re.compile("^Priority"))
    await expect(
        second.get_by_role("link", name=re.compile(r"^Priority ?, descending, place 2 of the order$"))
    ).to_be_visible()
    assert await second.get_attribute("aria-sort") is None
    await heads.get_by_role("link", name="Created", exact=True).focus()
    await press(window, "Shift+Enter")
    await arrived(window, "**/list?sort=status,-priority_rank,-created_at")
    await assert_good(window)
    await heads.get_by_role("link", name=re.compile("^Priority ?,")).click(modifiers=["Shift"])
    await arrived(window, "**/list?sort=status,priority_rank,-created_at")
    await heads.get_by_role("link", name=re.compile("^Priority ?,")).click()
    await arrived(window, re.compile(r"/list\?sort=-?priority_rank$"))
    await window.goto("/admin/ticket/list?status=open,in_progress")
    await heads.get_by_role("link", name="Priority", exact=True).click(modifiers=["Shift"])
    await arrived(window, "**/list?status=open,in_progress&sort=-created_at,-priority_rank")
    assert len(window.context.pages) == 1
