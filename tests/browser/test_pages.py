"""Every page in both widths and themes: accessible, within its width, quiet in the console, and usable by keyboard."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, Page
from sqlalchemy import URL

from admin_app.db import Database
from admin_app.models import TicketPriority, User
from admin_app.testing import Make, scratch_database
from admin_app.web.auth import hash_password
from tests.browser.conftest import PASSWORD, environment_of, free_port, served, sign_in

pytestmark = pytest.mark.browser

WIDTHS = {"wide": 1280, "phone": 375}
LOOKS = [("wide", "light"), ("wide", "dark"), ("phone", "light")]
PAGES = {
    "start": "/admin/",
    "tickets": "/admin/ticket/list",
    "tickets, none found": "/admin/ticket/list?q=zyzzyva",
    "trash": "/admin/ticket/list?trash=yes",
    "comments": "/admin/comment/list",
    "attachments": "/admin/attachment/list",
    "tags": "/admin/tag/list",
    "users": "/admin/user/list",
    "change sets": "/admin/change_set/list",
    "audit log": "/admin/audit_log/list",
    "ticket": "/admin/ticket/details/1",
    "user": "/admin/user/details/1",
    "tag": "/admin/tag/details/1",
    "change set": "/admin/change_set/details/5",
    "audit entry": "/admin/audit_log/details/5",
    "new ticket": "/admin/ticket/create",
    "edit ticket": "/admin/ticket/edit/1",
    "edit user": "/admin/user/edit/2",
    "assign": "/admin/ticket/do/assign.assign?ids=1,2",
    "move to trash": "/admin/ticket/do/trash.put?ids=1",
    "statistics": "/admin/page/stats/statistics",
    "who changed what": "/admin/page/audit_viewer/audit_log",
    "not found": "/admin/ticket/details/999999",
    "not understood": "/admin/ticket/list?colour=red",
}


@dataclass
class Tour:
    """A desk with some of everything, and a window on it for each width and theme."""

    address: str
    windows: dict[tuple[str, str], BrowserContext]


async def furnish(database: Database) -> User:
    """Some of everything that a page can show, markup in texts included; gives the lead who signs in."""
    make = Make(database)
    lead = await make.lead(email="lead@example.com", full_name="Lena Lead", password_hash=hash_password(PASSWORD))
    customer, agent = await make.customer(full_name="Cem <b>Customer</b>"), await make.agent(full_name="Ana Agent")
    tickets = [
        await make.ticket(
            title=f"The printer prints <i>nothing</i> but {number} blank pages, and the light blinks",
            creator_id=customer.id,
            assignee_id=agent.id if number % 2 else None,
            priority=list(TicketPriority)[number % 4],
        )
        for number in range(8)
    ]
    await make.tag("hardware", *tickets[:3], color="#b91c1c")
    await make.comment(tickets[0], agent, "Please switch it off and on again.\n\nAna", is_internal=False)
    await make.comment(tickets[0], agent, "I think it is the fuser.")
    return lead


@pytest_asyncio.fixture(scope="module")
async def tour(
    chromium: Browser, server_url: URL, template_url: URL, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Tour]:
    """One desk and four windows for all pages, each signed in once."""
    folder: Path = tmp_path_factory.mktemp("tour")
    address = f"http://127.0.0.1:{free_port()}"
    async with scratch_database(server_url, template_url.database) as url:
        database = Database.connect(url)
        await furnish(database)
        await database.close()
        windows = {}
        async with served(environment_of(url, folder), address):
            for width, scheme in LOOKS:
                size: Any = {"width": WIDTHS[width], "height": 800}
                look: Any = {"color_scheme": scheme, "base_url": address, "viewport": size}
                windows[width, scheme] = await chromium.new_context(**look)
                window = await windows[width, scheme].new_page()
                await sign_in(window)
                await window.close()
            yield Tour(address, windows)
            for context in windows.values():
                await context.close()


@pytest_asyncio.fixture
async def window(tour: Tour, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page of the tour in the width and theme that the test is for; a complaint in its console fails the test."""
    made = await tour.windows[request.param].new_page()
    complaints: list[str] = []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
    yield made
    await made.close()
    assert [line for line in complaints if "the server responded with a status of 4" not in line] == []


@pytest.mark.parametrize("window", LOOKS, indirect=True, ids="-".join)
@pytest.mark.parametrize("address", PAGES.values(), ids=list(PAGES))
async def test_a_page_is_accessible_and_fits_its_width(window: Page, address: str) -> None:
    await window.goto(address)
    assert await window.locator("h1").count() == 1
    assert (await window.title()).endswith("· Backdesk")
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await window.evaluate(overflow) <= 0
    await window.evaluate(AXE_SCRIPT)
    found = await window.evaluate("axe.run()")
    serious = [
        (violation["id"], [node["html"] for node in violation["nodes"]][:3])
        for violation in found["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]
    assert serious == []


@pytest.mark.parametrize("window", LOOKS[:1], indirect=True, ids="-".join)
async def test_the_keyboard_alone_skips_to_the_page_searches_and_selects(window: Page) -> None:
    await window.goto("/admin/ticket/list")
    await window.keyboard.press("Tab")
    assert await window.evaluate("document.activeElement.getAttribute('href')") == "#main"
    await window.keyboard.press("Enter")
    await window.keyboard.press("/")
    await window.keyboard.type("blank")
    await window.keyboard.press("Enter")
    await window.wait_for_url("**q=blank**")
    await window.get_by_label("Select every row on this page").focus()
    await window.keyboard.press("Space")
    assert await window.locator("[data-selected-count]").inner_text() == "8 selected"


@pytest.mark.parametrize("window", LOOKS[:1], indirect=True, ids="-".join)
async def test_a_refused_form_keeps_what_was_typed_and_leads_to_what_is_wrong(window: Page) -> None:
    await window.goto("/admin/tag/create")
    await window.get_by_label("Name").fill("Hardware")
    await window.get_by_label("Color").fill("red")
    await window.get_by_role("button", name="Save").click()
    await window.locator(".error").first.wait_for()
    assert await window.get_by_label("Name").input_value() == "Hardware"
    assert await window.evaluate("document.activeElement.name") == "color"
