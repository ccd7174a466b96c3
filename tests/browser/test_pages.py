"""Every page in both widths and themes: accessible, within its width, quiet in the console, and usable by keyboard."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect
from sqlalchemy import URL

from admin_app.db import Acting, Database
from admin_app.models import Attachment, Recipe, SavedView, Ticket, TicketPriority, User
from admin_app.queries import trash
from admin_app.queries.changes import Chosen
from admin_app.testing import Make, scratch_database
from admin_app.web.auth import hash_password
from tests.browser.conftest import PASSWORD, Tour, environment_of, free_port, listen, served, sign_in

pytestmark = pytest.mark.browser

WIDTHS = {"wide": 1280, "phone": 375}
SCHEMES: dict[Any, Any] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
"""What axe looks at in each theme: everything once, and again what differs."""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUS = """() => {
  const here = document.activeElement, ring = here.closest(".ts-wrapper.focus")?.querySelector(".ts-control")
    ?? here.closest(".segmented label") ?? here;
  return [here.outerHTML.slice(0, 120), getComputedStyle(ring).outlineStyle];
}"""
SERIOUS = """async rules => (await axe.run({resultTypes: ["violations"], ...rules})).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .map(found => [found.id, ...found.nodes.map(node => node.html).slice(0, 3)])"""
FILE = "a rather long name of a file without any place to break it.log"
PAGES = {
    "/admin/": "Start",
    "/admin/ticket/list": "Tickets",
    "/admin/ticket/list?q=zyzzyva": "Tickets",
    "/admin/ticket/list?trash=yes": "Tickets in the trash",
    "/admin/ticket/list?columns=title,status,due_at,tags&density=compact": "Tickets",
    "/admin/ticket/columns": "Columns of tickets",
    "/admin/ticket/count": "How many tickets",
    "/admin/ticket/facets?status=open": "What these tickets are",
    "/admin/ticket/build?q=(status:open assignee:me) OR created_at:2026-01-01..2027-01-01 -tag:x": "Conditions on",
    "/admin/ticket/filters": "Filters of tickets",
    "/admin/comment/list": "Comments",
    "/admin/attachment/list": "Attachments",
    "/admin/tag/list": "Tags",
    "/admin/user/list": "Users",
    "/admin/change_set/list": "Change sets",
    "/admin/audit_log/list": "Audit log",
    "/admin/ticket/details/1": "SUP-000001 The printer prints <i>nothing</i> but 0 blank pages, and the light blinks",
    "/admin/ticket/details/8": "SUP-000008 The printer prints <i>nothing</i> but 7 blank pages, and the light blinks",
    "/admin/comment/details/1": "Comment 1",
    "/admin/attachment/details/1": "a rather long name of a file without any place to break it.log",
    "/admin/user/details/2": "Cem <b>Customer</b>",
    "/admin/tag/details/1": "hardware",
    "/admin/change_set/details/5": "Change set 5",
    "/admin/audit_log/details/1": "User Lena Lead created",
    "/admin/ticket/create": "New ticket",
    "/admin/comment/create": "New comment",
    "/admin/user/create": "New user",
    "/admin/tag/create": "New tag",
    "/admin/ticket/edit/1": "Edit SUP-000001 The printer prints",
    "/admin/attachment/edit/1": "Edit a rather long name",
    "/admin/user/edit/2": "Edit Cem <b>Customer</b>",
    "/admin/comment/edit/1": "Edit Comment 1",
    "/admin/tag/edit/1": "Edit hardware",
    "/admin/ticket/do/assign.assign?ids=1,2": "Assign to agent",
    "/admin/ticket/do/trash.put?ids=1": "Move to trash",
    "/admin/ticket/do/assign.distribute?ids=1,2": "Distribute",
    "/admin/ticket/do/notes.add?ids=1": "Add internal note",
    "/admin/user/do/absence.hand_over?ids=2": "Hand over tickets",
    "/admin/ticket/do/assign.assign": "Assign to agent",
    "/admin/palette?q=printer": "Find",
    "/admin/page/stats/statistics": "Statistics",
    "/admin/page/audit_viewer/audit_log": "Who changed what",
    "/admin/page/audit_viewer/audit_log?type=tickets&person=1": "Who changed what",
    "/admin/recipes": "Recipes",
    "/admin/recipes/1/edit": "Edit recipe",
    "/admin/recipes/1/delete": "Delete “Monday: what Ana has”?",
    "/admin/views": "Views",
    "/admin/views/save/ticket?status=open&assignee=me": "Save this view",
    "/admin/views/2/edit": "Edit “My open”",
    "/admin/views/2/delete": "Delete “My open”?",
    "/admin/ticket/list?view=1": "Of a column that is gone",
    "/admin/ticket/list?view=2": "My open",
    "/admin/ticket/list?view=2&assignee=&priority=low": "My open",
    "/admin/ticket/details/999999": "Not found",
    "/admin/change_set/create": "Not allowed",
    "/admin/ticket/list?colour=red": "Not understood",
}


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
    file = {"filename": FILE, "content_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64, "storage_key": "0"}
    await make.save(Attachment(ticket_id=tickets[0].id, uploaded_by_id=agent.id, **file))
    async with database.transaction(Acting(user_id=lead.id, reason="a duplicate"), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [tickets[7].id]), lead.id, "a duplicate")
    facts = {"resource": "ticket", "created_by_id": lead.id, "reason": "So that everybody begins the week with room."}
    ana = f"assignee={agent.id}&status=open,in_progress&created_at=last-30-days&tags=hardware"
    await make.save(Recipe(name="Monday: what Ana has", action="assign.unassign", filter=ana, inputs={}, **facts))
    given = {"content": "Please look at this <b>again</b>, and tell the customer. " * 5}
    await make.save(Recipe(name="Ask again", action="notes.add", filter="status=open", inputs=given, **facts))
    await make.save(Recipe(name="Of a plugin that is gone", action="gone.deed", filter="", inputs={}, **facts))
    broken = {"resource": "ticket", "query": "severity=5&status=open&priority=stuck", "user_id": lead.id}
    await make.save(SavedView(name="Of a column that is gone", **broken))
    return lead


@pytest_asyncio.fixture(scope="module")
async def desk(
    chromium: Browser, server_url: URL, template_url: URL, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Tour]:
    """One desk and two windows for all pages, each signed in once."""
    folder: Path = tmp_path_factory.mktemp("tour")
    address = f"http://127.0.0.1:{free_port()}"
    async with scratch_database(server_url, template_url.database) as url:
        database = Database.connect(url)
        await furnish(database)
        await database.close()
        windows = {}
        async with served(environment_of(url, folder), address):
            for name, width in WIDTHS.items():
                size: Any = {"width": width, "height": 800}
                windows[name] = await chromium.new_context(base_url=address, viewport=size)
                await windows[name].add_init_script(AXE_SCRIPT)
                window = await windows[name].new_page()
                await sign_in(window)
                await window.close()
            yield Tour(address, windows)
            for context in windows.values():
                await context.close()


async def assert_good(window: Page) -> None:
    """What the window shows now fits its width, and axe finds nothing serious in it, light and dark."""
    assert await window.evaluate(OVERFLOW) <= 0
    for scheme, rules in SCHEMES.items():
        await window.emulate_media(color_scheme=scheme)
        assert await window.evaluate(SERIOUS, rules) == [], scheme


wide_and_phone = pytest.mark.parametrize("window", list(WIDTHS), indirect=True)
wide = pytest.mark.parametrize("window", ["wide"], indirect=True)
phone = pytest.mark.parametrize("window", ["phone"], indirect=True)


@wide_and_phone
@pytest.mark.parametrize("address", list(PAGES))
async def test_a_page_is_accessible_fits_its_width_and_is_called_what_it_is(window: Page, address: str) -> None:
    await window.goto(address)
    assert await window.locator("h1").count() == 1
    title = await window.title()
    assert title.startswith(PAGES[address])
    assert title.endswith(" · Backdesk")
    await assert_good(window)


@wide_and_phone
async def test_what_opens_on_a_list_is_accessible_and_fits_too(window: Page) -> None:
    await window.goto("/admin/ticket/list")
    await window.locator(".filters > summary").click()
    await expect(window.locator("#facet-assignee").get_by_role("link", name="Ana Agent")).to_be_visible()
    for summary in await window.locator(".excluded > summary").all():
        await summary.click()
    await assert_good(window)
    await window.keyboard.press("Escape")
    await window.locator("[data-columns] > summary").click()
    await expect(window.get_by_role("button", name="Show these")).to_be_visible()
    await assert_good(window)
    await window.keyboard.press("Escape")
    await window.get_by_label("Select every row on this page").check()
    await expect(window.get_by_role("group", name="With the selected rows")).to_be_visible()
    await assert_good(window)
    await window.locator(".topbar summary").click()
    await expect(window.get_by_role("button", name="Sign out")).to_be_visible()
    await assert_good(window)


@phone
async def test_the_menu_of_a_telephone_is_a_drawer(window: Page) -> None:
    await window.goto("/admin/")
    menu = window.get_by_role("navigation", name="Main")
    await expect(menu).to_be_hidden()
    await window.get_by_role("button", name="Open the menu").click()
    await expect(menu).to_be_visible()
    await assert_good(window)
    await menu.get_by_role("link", name="Tags").click()
    await window.wait_for_url("**/admin/tag/list")
    await expect(menu).to_be_hidden()


@wide_and_phone
async def test_a_form_that_is_refused_twice_over_is_accessible(window: Page) -> None:
    other = await window.context.new_page()
    for page in (window, other):
        await page.goto("/admin/tag/edit/1")
    await window.get_by_label("Colour").fill("red")
    await window.get_by_role("button", name="Save").click()
    await expect(window.locator(".field-error")).to_have_text("A colour is written like #1f6feb.")
    await assert_good(window)
    wide = await window.evaluate("innerWidth > 1000")
    await other.get_by_label("Description").fill("Seen on a desk" if wide else "Seen on the way")
    await other.get_by_role("button", name="Save").click()
    await other.wait_for_url("**/details/1")
    await other.close()
    await window.get_by_label("Colour").fill("#aa0000" if wide else "#00aa00")
    await window.get_by_label("Description").fill("Printers")
    await window.get_by_role("button", name="Save").click()
    await expect(window.get_by_role("heading", name="Somebody saved this first")).to_be_visible()
    await assert_good(window)


@pytest.mark.parametrize("width", WIDTHS.values(), ids=list(WIDTHS))
async def test_signing_in_is_accessible_and_says_when_it_failed(chromium: Browser, desk: Tour, width: int) -> None:
    context = await chromium.new_context(base_url=desk.address, viewport={"width": width, "height": 800})
    await context.add_init_script(AXE_SCRIPT)
    window = await context.new_page()
    complaints = listen(window)
    await window.goto("/admin/ticket/list")
    assert await window.title() == "Sign in · Backdesk"
    await assert_good(window)
    assert await window.evaluate("document.activeElement.name") == "email"
    await window.keyboard.type(f"nobody{width}@example.com")
    await window.keyboard.press("Tab")
    await window.keyboard.type("a wrong one")
    await window.keyboard.press("Enter")
    await expect(window.get_by_role("alert")).to_contain_text("Please try again.")
    await assert_good(window)
    await context.close()
    assert complaints == []


@wide
async def test_the_keyboard_alone_skips_to_the_page_searches_and_selects(window: Page) -> None:
    await window.goto("/admin/ticket/list")
    await window.keyboard.press("Tab")
    assert await window.evaluate("document.activeElement.getAttribute('href')") == "#main"
    await window.keyboard.press("Enter")
    await window.keyboard.press("Tab")
    assert await window.evaluate("document.querySelector('main').contains(document.activeElement)")
    await window.keyboard.press("/")
    await window.keyboard.type("blank")
    await window.keyboard.press("Enter")
    await window.wait_for_url("**q=blank**")
    await window.get_by_label("Select every row on this page").focus()
    await window.keyboard.press("Space")
    assert await window.locator("[data-selected-count]").inner_text() == "7 selected"


@wide
@pytest.mark.parametrize("address", [address for address, title in PAGES.items() if title.startswith(("New", "Edit"))])
async def test_a_form_begins_at_its_first_field(window: Page, address: str) -> None:
    await window.goto(address)
    first = "document.querySelector('form.form').querySelector('input:not([type=hidden]), select, textarea')"
    await window.wait_for_function(f"{first}.closest('.field').contains(document.activeElement)")


@wide
@pytest.mark.parametrize("address", ["/admin/ticket/list", "/admin/ticket/details/1", "/admin/ticket/create"])
async def test_one_sees_where_the_keyboard_is(window: Page, address: str) -> None:
    await window.goto(address)
    stops = await window.locator("a, button, input, select, textarea, summary").count()
    seen = set()
    for _ in range(stops):
        await window.keyboard.press("Tab")
        place, ring = await window.evaluate(FOCUS)
        assert ring != "none" or place.startswith("<body"), place
        seen.add(place)
    assert len(seen) > 20


@wide
async def test_a_refused_form_keeps_what_was_typed_and_leads_to_what_is_wrong(window: Page) -> None:
    await window.goto("/admin/tag/create")
    await window.get_by_label("Name").fill("Hardware")
    await window.get_by_label("Colour").fill("red")
    await window.get_by_role("button", name="Save").click()
    await window.locator(".error").first.wait_for()
    assert await window.get_by_label("Name").input_value() == "Hardware"
    assert await window.evaluate("document.activeElement.name") == "color"
