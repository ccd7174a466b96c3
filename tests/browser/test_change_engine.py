"""Everything that a filter finds is changed, watched while it is changed, and taken back, in a real browser."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from sqlalchemy import URL, select, text

from admin_app.db import Acting, Database
from admin_app.models import ChangeSet, ChangeSetState, Tag, Ticket, TicketTag
from admin_app.testing import Make
from admin_app.web.auth import hash_password
from tests.browser.conftest import PASSWORD, Site, environment_of, free_port, served, sign_in
from tests.browser.test_desk import MAPPINGS

pytestmark = pytest.mark.browser

FILTER = "/admin/ticket/list?tag=android&size=25"
CHECKSUM = """
SELECT md5(string_agg((to_jsonb(t) - 'version' - 'updated_at')::text, ' ' ORDER BY id)) FROM tickets t
UNION ALL SELECT md5(string_agg(t::text, ' ' ORDER BY ticket_id, tag_id)) FROM ticket_tags t
"""


@pytest_asyncio.fixture
async def site(live_url: URL, live_database: Database, make_live: Make, tmp_path: Path) -> AsyncIterator[Site]:
    """A desk whose actions become jobs from 11 rows on, done 5 rows at a time."""
    lead = await make_live.lead(
        email="lead@example.com", full_name="Lena Lead", password_hash=hash_password(PASSWORD), time_zone="UTC"
    )
    limits = {"BACKDESK_INLINE_LIMIT": "10", "BACKDESK_CHUNK_SIZE": "5"}
    environment, address = environment_of(live_url, tmp_path) | limits, f"http://127.0.0.1:{free_port()}"
    async with served(environment, address):
        yield Site(address, live_url, live_database, environment, lead)


async def checksum(site: Site) -> tuple[str, ...]:
    """All tickets and their tags, but for what counts changes."""
    async with site.database.read() as session:
        return tuple(await session.scalars(text(CHECKSUM)))


async def latest(site: Site) -> ChangeSet:
    """The change set that was begun last."""
    async with site.database.read() as session:
        return (await session.scalars(select(ChangeSet).order_by(ChangeSet.id.desc()).limit(1))).one()


async def came_later(site: Site, make: Make) -> Ticket:
    """A ticket that the filter finds as well, made by now."""
    made = await make.ticket(title="This came later")
    async with site.database.read() as session:
        tag = (await session.scalars(select(Tag).where(Tag.name == "android"))).one()
    await make.save(TicketTag(ticket_id=made.id, tag_id=tag.id))
    return made


def shown(text: str) -> int:
    """The number that a text begins with."""
    return int(text.split()[0].replace(",", ""))


async def test_a_lead_selects_all_that_match_previews_runs_watches_and_undoes(
    page: Page, site: Site, make_live: Make, archive: dict[str, Path]
) -> None:
    agent = await make_live.agent(full_name="Ana Agent", email="ana@example.com")
    for kind in ("users", "tickets"):
        await site.command("import", kind, str(archive[kind]), "--mapping", str(MAPPINGS / f"{kind}.toml"))
    before = await checksum(site)
    await sign_in(page)
    await page.goto(FILTER)
    await expect(page.locator("h1 [data-count]")).to_have_text(re.compile(r"\d"))
    matching = shown(await page.locator("h1 [data-count]").inner_text())
    await page.get_by_label("Select every row on this page").check()
    await page.get_by_role("checkbox", name=re.compile("Select all .* matching")).check()
    left_out = page.locator('tbody input[name="ids"]')
    await left_out.nth(1).uncheck()
    await left_out.nth(3).uncheck()
    kept_back = [int(await left_out.nth(number).get_attribute("value") or 0) for number in (1, 3)]
    await expect(page.locator("[data-selected-count]")).to_have_text(f"{matching - 2:,} selected")

    await page.get_by_role("link", name="Next").click()
    await page.wait_for_url("**after=**")
    await expect(page.locator("[data-selected-count]")).to_have_text(f"{matching - 2:,} selected")
    await page.get_by_role("button", name="Assign to agent").click()
    await page.wait_for_url("**selection=**")
    assert "ids" not in page.url
    await expect(page.get_by_role("heading", name=f"{matching - 2:,} tickets selected")).to_be_visible()
    late = await came_later(site, make_live)
    await page.reload()
    await expect(page.locator(".since")).to_contain_text("1 new one matches, and is not included.")

    box = page.get_by_role("combobox", name="Agent")
    await box.fill("ana@example.com")
    await page.get_by_role("option", name=re.compile("Ana Agent")).click()
    foreseen = page.get_by_role("region", name="What would happen")
    await expect(foreseen).to_contain_text(f"Tried on the first 10 of {matching - 2:,}; all were counted.")
    would_change = shown(await foreseen.locator(".outcomes td.number").first.inner_text())
    await page.get_by_label("Reason").fill("Ana takes everything about Android")
    await page.get_by_role("button", name="Assign to agent").click()

    await page.wait_for_url("**/change_set/details/**")
    await expect(page.locator("main")).to_contain_text("Ana takes everything about Android")
    await expect(page.locator("#state")).to_contain_text("Completed", timeout=60_000)
    done = await latest(site)
    assert (done.state, done.requested, done.changed) == (ChangeSetState.COMPLETED, matching - 2, would_change)
    async with site.database.read() as session:
        assigned = set(await session.scalars(select(Ticket.id).where(Ticket.assignee_id == agent.id)))
    assert len(assigned) == would_change
    assert assigned.isdisjoint({*kept_back, late.id})
    assert await checksum(site) != before

    await page.get_by_role("link", name="Undo", exact=True).first.click()
    await page.wait_for_url(f"**/change_set/{done.id}/undo")
    await expect(page.get_by_role("region", name="What would happen")).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await page.wait_for_url("**/change_set/details/**")
    await expect(page.locator("#state")).to_contain_text("Completed", timeout=60_000)
    undone = await latest(site)
    assert (undone.undo_of_id, undone.changed) == (done.id, would_change)
    async with site.database.transaction(Acting(user_id=site.lead.id), "test.forget") as change:
        await change.session.delete(await change.session.get_one(Ticket, late.id))
    assert await checksum(site) == before
    await page.goto(FILTER)
    await expect(page.locator("[data-selected-count]")).to_have_text("")
