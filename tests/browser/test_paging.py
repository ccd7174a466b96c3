"""Paging in a browser: to the next page and back, to the ends, and to a day, also without scripts."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Tour
from tests.browser.test_pages import assert_good
from tests.browser.test_selecting import desk

pytestmark = pytest.mark.browser

__all__ = ["desk"]

LIST = "/admin/ticket/list?q=crackles&size=25&sort=created_at"


@pytest.mark.parametrize("window", ["wide", "plain"], indirect=True)
async def test_pages_lead_on_and_back_and_to_a_day(desk: Tour, window: Page) -> None:
    await window.goto(LIST)
    titles = window.locator("tbody tr")
    pages = window.get_by_role("navigation", name="Pages")
    first = await titles.first.inner_text()
    await pages.get_by_role("link", name="Next").click()
    await expect(titles.first).not_to_contain_text(first.split("\n")[0])
    await pages.get_by_role("link", name="Last").click()
    await expect(titles).to_have_count(25)
    await expect(pages.get_by_role("link", name="Next")).to_have_count(0)
    await pages.get_by_role("link", name="First").click()
    assert await titles.first.inner_text() == first
    await window.get_by_label("Go to created").fill("2020-01-01")
    await window.get_by_role("button", name="Go", exact=True).click()
    assert await titles.first.inner_text() == first
    assert "at=2020-01-01" in window.url
    await window.get_by_label("Go to created").fill("2100-01-01")
    await window.get_by_role("button", name="Go", exact=True).click()
    await window.get_by_role("link", name="To the last page").click()
    await expect(titles).to_have_count(25)


@pytest.mark.parametrize("window", ["wide", "phone"], indirect=True)
async def test_the_way_to_other_pages_is_good_in_every_width(desk: Tour, window: Page) -> None:
    await window.goto(f"{LIST}&at=2020-01-01")
    await assert_good(window)
