"""Exports in a browser: from the menus of a list, with and without scripts, and those made in the background."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect

from admin_app.testing import Make
from tests.browser.conftest import Site, free_port, served, sign_in
from tests.browser.test_pages import OVERFLOW, SCHEMES, SERIOUS

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture
async def small(site: Site, make_live: Make) -> AsyncIterator[str]:
    """The address of a desk with five tickets, where two are already too many to wait for."""
    customer = await make_live.customer()
    for number in range(5):
        await make_live.ticket(title=f"Fan {number}", creator_id=customer.id)
    address = f"http://127.0.0.1:{free_port()}"
    async with served({**site.environment, "BACKDESK_EXPORT_INLINE": "2"}, address):
        yield address


async def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by their headings."""
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))  # noqa: ASYNC240  it is there


@pytest.mark.parametrize("width", [1280, 375])
async def test_a_large_export_is_ordered_watched_and_fetched(chromium: Browser, small: str, width: int) -> None:
    context = await chromium.new_context(base_url=small, viewport={"width": width, "height": 900}, bypass_csp=True)
    page = await context.new_page()
    await page.add_init_script(AXE_SCRIPT)
    await sign_in(page)
    await page.goto("/admin/ticket/list")
    await page.locator(".page-actions summary", has_text="Export").click()
    await page.locator(".page-actions").get_by_label("Only the columns of this list").check()
    await assert_good(page)
    await page.get_by_role("button", name="CSV, for spreadsheets").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Export tickets")
    await assert_good(page)
    await page.get_by_role("button", name="Make the file").click()
    download = page.get_by_role("link", name="Download")
    await expect(download).to_be_visible(timeout=30_000)
    await assert_good(page)
    async with page.expect_download() as fetched:
        await download.click()
    rows = await rows_of(await (await fetched.value).path())
    assert sorted(row["Title"] for row in rows) == [f"Fan {number}" for number in range(5)]
    assert list(rows[0])[:3] == ["ID", "Ticket number", "Title"]
    await context.close()


async def assert_good(page: Page) -> None:
    """What is shown fits, and axe finds nothing serious in it, light and dark."""
    assert await page.evaluate(OVERFLOW) <= 0
    for scheme, rules in SCHEMES.items():
        await page.emulate_media(color_scheme=scheme)
        assert await page.evaluate(SERIOUS, rules) == [], scheme


async def test_what_is_ticked_is_exported_without_scripts(chromium: Browser, small: str) -> None:
    context = await chromium.new_context(base_url=small, java_script_enabled=False)
    page = await context.new_page()
    await sign_in(page)
    await page.goto("/admin/ticket/list?sort=id")
    for place in range(2):
        await page.locator("tbody input[name=ids]").nth(place).check()
    await page.locator(".bulk-bar summary", has_text="More").click()
    await page.locator(".export-selected > summary").click()
    await page.locator(".export-selected").get_by_label("Headings as on pages").uncheck()
    async with page.expect_download() as fetched:
        await page.locator(".export-selected").get_by_role("button", name="CSV").click()
    rows = await rows_of(await (await fetched.value).path())
    assert sorted(row["title"] for row in rows) == ["Fan 0", "Fan 1"]
    await context.close()
