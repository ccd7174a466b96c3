"""A support lead's morning, in a real browser."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from admin_app.testing import Make
from tests.browser.conftest import Site, sign_in

pytestmark = pytest.mark.browser

MAPPINGS = Path(__file__).parents[2] / "examples" / "jira_archive"


async def test_a_lead_imports_filters_assigns_checks_trashes_and_restores(
    page: Page, site: Site, make_live: Make, archive: dict[str, Path]
) -> None:
    agent = await make_live.agent(full_name="Ana Agent", email="ana@example.com")
    for kind in ("users", "tickets"):
        printed = await site.command("import", kind, str(archive[kind]), "--mapping", str(MAPPINGS / f"{kind}.toml"))
        assert "rejected" in printed
    await sign_in(page)

    await page.get_by_role("link", name="Tickets").first.click()
    await page.goto("/admin/ticket/list?tag=android&size=25")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(25)
    closed = await rows.filter(has_text="Closed").count()
    assert 0 < closed < 25
    first = await rows.filter(has_not_text="Closed").first.locator("a").first.inner_text()
    await page.get_by_label("Select every row on this page").check()
    await expect(page.locator("[data-selected-count]")).to_contain_text("25")
    await page.get_by_role("button", name="Assign to agent").click()

    await expect(page.get_by_text("25 tickets selected")).to_be_visible()
    agent_box = page.get_by_role("combobox", name="Agent")
    await agent_box.fill("ana@example.com")
    await expect(page.get_by_role("option")).to_have_count(1)
    await page.get_by_role("option", name=re.compile("Ana Agent")).click()
    await expect(agent_box).to_have_attribute("aria-expanded", "false")
    await page.get_by_label("Reason").fill("Ana takes the mobile bugs")
    await page.get_by_role("button", name="Assign to agent").click()
    said = re.compile(rf"Assign to agent: {25 - closed} tickets? changed, {closed} skipped \({closed} closed\)\.")
    await expect(page.locator(".notice")).to_contain_text(said)

    await page.get_by_role("link", name=first).first.click()
    history = page.get_by_role("region", name="History")
    await expect(history).to_contain_text("Lena Lead")
    await expect(history).to_contain_text("Ana Agent")
    await expect(history).to_contain_text("Ana takes the mobile bugs")
    assert agent.id

    await page.get_by_role("link", name="Move to trash").click()
    await page.get_by_label("Reason").fill("a duplicate")
    await page.get_by_role("button", name="Move to trash").click()
    await expect(page.locator(".notice").first).to_contain_text("Move to trash: 1 ticket changed")
    await page.goto("/admin/ticket/list?trash=yes")
    await expect(page.locator("main tbody")).to_contain_text(first)
    await page.get_by_role("link", name=first).first.click()
    await page.get_by_role("link", name="Restore from trash").click()
    await page.get_by_role("button", name="Restore from trash").click()
    await expect(page.locator(".notice").first).to_contain_text("Restore from trash: 1 ticket changed")
    await page.goto("/admin/ticket/list?trash=yes")
    await expect(page.locator("main")).not_to_contain_text(first)
