"""The pages of change sets in Chromium: progress without a reload, undo by keyboard, every state accessible."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect
from sqlalchemy import URL, select, text

from admin_app import jobs
from admin_app.actions import Operator, Order, perform, undo_order
from admin_app.db import Acting, Database
from admin_app.models import ChangeSetState, Door, Ticket, User
from admin_app.plugin import Chosen
from admin_app.queries import selections
from admin_app.registry import Registry, declare_permissions
from admin_app.settings import Limits, Settings
from admin_app.testing import Make
from admin_app.web.auth import hash_password
from tests.browser.conftest import PASSWORD, environment_of, free_port, listen, served, sign_in
from tests.browser.test_pages import WIDTHS, assert_good

pytestmark = pytest.mark.browser

MANY = 3_000
LARGE = Limits(bulk=100_000, inline=100, chunk=20)
SMALL = Limits(bulk=100_000, inline=1_000, chunk=1_000)
TICKETS = text(
    """
INSERT INTO tickets (title, description, creator_id)
SELECT 'Printer ' || number || ' does not print', 'x', :customer FROM generate_series(1, :many) AS number"""
)
CHECKSUM = text("SELECT md5(string_agg(id || ' ' || coalesce(assignee_id::text, '-'), ',' ORDER BY id)) FROM tickets")


@dataclass
class Work:
    """A desk with many tickets, on which a lead orders long work."""

    address: str
    environment: dict[str, str]
    database: Database
    registry: Registry
    lead: User
    agent: User

    def order(self, chosen: Chosen[Any], agent: User | None = None) -> Order:
        """To give tickets to an agent."""
        return Order(
            authority=Operator(),
            acting=Acting(user_id=self.lead.id, door=Door.WEB, reason="A <b>reason</b>", reference="TICKET-1"),
            action=self.registry.action("assign.assign"),
            chosen=chosen,
            given={"agent": str((agent or self.agent).id)},
            zone=Settings().time_zone,
        )

    async def promise(self, limits: Limits = LARGE) -> int:
        """Long work with all tickets; gives the number of its change set."""
        async with self.database.bookkeeping() as session:
            keys = select(Ticket.id)
            kept = await selections.freeze(session, keys, user_id=self.lead.id, resource="ticket", limit=limits.bulk)
        order = self.order(Chosen.frozen(Ticket, kept.id, kept.row_count))
        return (await perform(self.database, order, limits)).change_set_id

    async def step(self, number: int) -> None:
        """Do a chunk of a change set, and leave the rest."""
        assert await jobs.step(self.database, self.registry, LARGE, number) is ChangeSetState.RUNNING

    async def drive(self, number: int) -> None:
        """Do a change set to its end."""
        await jobs.drive(self.database, self.registry, LARGE, number)

    async def checksum(self) -> str:
        """Who has which ticket."""
        async with self.database.read() as session:
            return str(await session.scalar(CHECKSUM))


@pytest_asyncio.fixture
async def work(live_url: URL, live_database: Database, make_live: Make, registry: Registry, tmp_path: Path) -> Work:
    """A desk with a lead, an agent and many tickets; nobody serves it yet, and only tests do its long work."""
    await declare_permissions(live_database, registry)
    password = hash_password(PASSWORD)
    lead = await make_live.lead(email="lead@example.com", full_name="Lena Lead", password_hash=password)
    agent = await make_live.agent(full_name="Ana <i>Agent</i>")
    facts = {"customer": (await make_live.customer()).id, "many": MANY}
    async with live_database.transaction(Acting.system(), "test.make") as change:
        await change.session.execute(TICKETS, facts)
    limits = {"BACKDESK_INLINE_LIMIT": str(LARGE.inline), "BACKDESK_WORKER": "0"}
    environment = environment_of(live_url, tmp_path) | limits
    address = f"http://127.0.0.1:{free_port()}"
    return Work(address, environment, live_database, registry, lead, agent)


@pytest_asyncio.fixture
async def window(chromium: Browser, work: Work) -> AsyncIterator[Page]:
    """A window on the desk that somebody is signed in to, once it is served; complaints fail the test."""
    async with served(work.environment, work.address):
        context = await chromium.new_context(base_url=work.address, viewport={"width": 1280, "height": 900})
        await context.add_init_script(AXE_SCRIPT)
        made = await context.new_page()
        complaints = listen(made)
        await sign_in(made)
        yield made
        await context.close()
        assert complaints == []


async def test_progress_is_seen_without_a_reload_and_everything_is_undone_by_keyboard(window: Page, work: Work) -> None:
    before = await work.checksum()
    number = await work.promise()
    reloads: list[str] = []
    await window.goto(f"/admin/change_set/details/{number}")
    window.on("framenavigated", lambda frame: reloads.append(frame.url))
    bar = window.get_by_role("progressbar", name="Progress")
    await work.step(number)
    await expect(bar).to_have_attribute("aria-valuemax", str(MANY))
    await expect(window.locator(".progress-words")).to_contain_text(f"{LARGE.chunk} of 3,000 done")
    await work.drive(number)
    await expect(window.locator("#state .badge")).to_have_text("Completed", timeout=60_000)
    await expect(bar).to_have_count(0)
    await expect(window.locator("#state")).not_to_have_attribute("hx-trigger", re.compile("every"))
    await expect(window.locator("#said")).to_have_text("Assign to agent · 3,000 tickets: done.")
    await expect(window.locator("#changes")).to_contain_text("× 3,000")
    assert reloads == []
    assert await work.checksum() != before

    await window.get_by_role("link", name="Undo", exact=True).focus()
    await window.keyboard.press("Enter")
    await expect(window.get_by_role("button", name="Undo 3,000 changes")).to_be_visible()
    await window.get_by_label("Reason").fill("It was too early")
    await window.get_by_role("button", name="Undo 3,000 changes").focus()
    await window.keyboard.press("Enter")
    await expect(window.locator("h1")).to_have_text("Undo: Assign to agent · 3,000 changes")
    await work.drive(int(window.url.rpartition("/")[2]))
    await expect(window.locator("#state .badge")).to_have_text("Completed", timeout=60_000)
    assert await work.checksum() == before
    await window.goto(f"/admin/change_set/details/{number}")
    await expect(window.locator("#state .badge")).to_have_text("Undone")
    await expect(window.get_by_role("link", name="Redo")).to_be_visible()


async def test_the_keyboard_stays_where_it_is_while_the_page_renews_itself_and_cancels(
    window: Page, work: Work
) -> None:
    number = await work.promise()
    await work.step(number)
    await window.goto(f"/admin/change_set/details/{number}")
    await window.get_by_role("button", name="Cancel").focus()
    for _ in range(2):
        async with window.expect_response("**/state") as answered:
            await (await answered.value).finished()
    await expect(window.locator("#cancel")).to_be_focused()
    await window.keyboard.press("Enter")
    await expect(window.locator("#state .badge")).to_have_text("Cancelled")
    await expect(window.get_by_text("Cancelled by Lena Lead.")).to_be_visible()


@pytest_asyncio.fixture
async def states(work: Work, make_live: Make) -> dict[str, str]:
    """A change set in each state, while no worker runs; by what it shows, the address of its page."""
    database, registry = work.database, work.registry
    other = await make_live.agent(full_name="Bo Agent")
    ids = list(range(MANY - 12, MANY))

    async def done(order: Order) -> int:
        return (await perform(database, order, SMALL)).change_set_id

    async def undone(number: int) -> int:
        acting = Acting(user_id=work.lead.id)
        return await done(await undo_order(database, Operator(), acting, number, {}, Settings().time_zone))

    first = await done(work.order(Chosen.of(Ticket, [*ids, 10**9])))
    await done(work.order(Chosen.of(Ticket, ids[:2]), other))
    conflicting = await undone(first)
    waiting = [await work.promise() for _ in range(4)]
    for number, state in zip(waiting, (ChangeSetState.FAILED, ChangeSetState.CANCELLED), strict=False):
        await jobs.step(database, registry, LARGE, number)
        await jobs.end(database, number, state, "It went wrong.")
    await work.step(waiting[2])
    page = "/admin/change_set/details"
    return {
        "undone": f"{page}/{first}",
        "undo": f"{page}/{conflicting}",
        "redo preview": f"/admin/change_set/{conflicting}/undo",
        "conflicts": f"/admin/change_set/{conflicting}/rows?outcome=changed+since",
        "rows": f"/admin/change_set/{first}/rows",
        "failed": f"{page}/{waiting[0]}",
        "cancelled": f"{page}/{waiting[1]}",
        "running": f"{page}/{waiting[2]}",
        "queued": f"{page}/{waiting[3]}",
        "reference": "/admin/change_set/reference?reference=TICKET-1",
        "reference undo": "/admin/change_set/reference/undo?reference=TICKET-1",
        "which reference": "/admin/change_set/reference",
        "list": "/admin/change_set/list?action=assign.assign",
    }


@pytest.mark.parametrize("width", WIDTHS.values(), ids=list(WIDTHS))
async def test_every_state_is_accessible_and_fits_its_width(states: dict[str, str], window: Page, width: int) -> None:
    await window.set_viewport_size({"width": width, "height": 800})
    for name, address in states.items():
        answer = await window.goto(address)
        assert answer is not None, name
        assert answer.status == 200, name
        assert await window.locator("h1").count() == 1, name
        await window.wait_for_load_state("networkidle") if name not in {"running", "queued"} else None
        await assert_good(window)


async def test_without_javascript_there_is_a_link_to_reload_and_undo_works(
    states: dict[str, str], work: Work, chromium: Browser
) -> None:
    async with served(work.environment, work.address):
        context = await chromium.new_context(base_url=work.address, java_script_enabled=False)
        window = await context.new_page()
        await sign_in(window)
        await window.goto(states["running"])
        await window.locator("#state a", has_text="Reload to see how far it is").click()
        await expect(window.locator("#state .badge")).to_have_text("Running")
        await window.goto(states["undo"])
        await window.get_by_role("link", name="Redo").click()
        await window.get_by_role("button", name="Redo 10 changes").click()
        await expect(window.locator("h1")).to_have_text("Redo: Assign to agent · 10 changes")
        await context.close()
