"""Takes the pictures of README and docs from a demo desk of its own: `python -m docs.screenshots`."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Page, async_playwright

from benchmarks.desk import BASE, demo, stop

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


async def ticked(page: Page) -> None:
    """The list with some rows ticked, so that the bar with the actions is there."""
    await page.goto("/admin/ticket/list?status=open,in_progress")
    for number in (0, 1, 3):
        await page.locator("tbody input[name=ids]").nth(number).check()


async def chosen(page: Page) -> None:
    """The form of an action for rows that were ticked."""
    await ticked(page)
    await page.get_by_role("button", name="Assign to agent").click()
    await page.get_by_text("3 tickets selected").wait_for()


async def previewed(page: Page) -> None:
    """What an action would do to all rows that a list finds."""
    await page.goto("/admin/ticket/list?status=open,in_progress,waiting_on_customer")
    await page.locator("thead input[type=checkbox]").first.check()
    await page.get_by_text("Select all").first.click()
    await page.get_by_role("button", name="Set priority").click()
    await page.get_by_label("Priority").select_option(label="Urgent")
    await page.get_by_role("button", name="Preview").click()
    await page.get_by_role("heading", name="What would happen to").wait_for()
    await page.locator("#preview").evaluate("preview => scrollTo(0, preview.offsetTop - 70)")


def at(address: str) -> Callable[[Page], Awaitable[object]]:
    """A page by its address."""
    return lambda page: page.goto(address)


PICTURES: dict[str, tuple[int, Callable[[Page], Awaitable[object]]]] = {
    "list": (1280, ticked),
    "action": (1280, chosen),
    "preview": (1280, previewed),
    "record": (1280, at("/admin/ticket/details/1990")),
    "statistics": (1280, at("/admin/page/stats/statistics")),
    "audit": (1280, at("/admin/page/audit_viewer/audit_log?type=tickets")),
    "phone": (375, at("/admin/ticket/list")),
}


async def take(password: str) -> None:
    """Sign in as the lead, go to each page, and take its picture."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, (width, go) in PICTURES.items():
            page = await chromium.new_page(base_url=BASE, viewport={"width": width, "height": 800})
            await page.goto("/admin/login")
            await page.get_by_label("E-mail").fill("lead@example.com")
            await page.get_by_label("Password", exact=True).fill(password)
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url("**/admin/")
            await go(page)
            await page.screenshot(path=IMAGES / f"{name}.png")
            await page.close()
        await chromium.close()


def main() -> None:
    """Make a desk up, take the pictures, and throw the desk away."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="backdesk-pictures-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "desk"
        folder.mkdir()
        with demo(folder) as (_, passwords):
            asyncio.run(take(passwords["lead"]))
        stop(folder)


if __name__ == "__main__":
    main()
