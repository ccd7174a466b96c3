"""A real Chromium before a real server on a real database."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from sqlalchemy import URL

from admin_app.db import Database
from admin_app.models import User
from admin_app.testing import Make
from admin_app.web.auth import hash_password
from tests.browser.archive import write_archive

ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "tidev_jira"

PASSWORD = "river canyon 4821"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BACKDESK = Path(sys.executable).with_name("backdesk")


def chromium_path() -> str:
    """Where a Chromium is; without one the browser tests are left out, or fail where they are required."""
    found = os.environ.get("BACKDESK_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found and os.environ.get("BACKDESK_REQUIRE_BROWSER") == "1":
        pytest.fail("BACKDESK_REQUIRE_BROWSER is set and there is no Chromium. Install the package chromium.")
    if not found:
        pytest.skip("no Chromium found; the browser tests are left out. Debian: apt-get install chromium")
    return found


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A Chromium without a screen."""
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@dataclass
class Site:
    """A running desk: its address, its database, and the settings its commands need."""

    address: str
    url: URL
    database: Database
    environment: dict[str, str]
    lead: User

    async def command(self, *arguments: str) -> str:
        """What `backdesk …` prints; fails when it fails."""
        process = await asyncio.create_subprocess_exec(
            BACKDESK, *arguments, env=self.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def served(environment: dict[str, str], address: str) -> AsyncIterator[None]:
    """`backdesk serve` until the end of the block, once it answers."""
    port = address.rsplit(":", 1)[1]
    server = await asyncio.create_subprocess_exec(BACKDESK, "serve", "--port", port, env=environment)
    try:
        async with httpx.AsyncClient() as client:
            while True:
                assert server.returncode is None, "backdesk serve ended before it answered"
                try:
                    if (await client.get(f"{address}/readyz")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        yield
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


def environment_of(url: URL, folder: Path) -> dict[str, str]:
    """Settings of a desk on a database, with its data in a folder."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DATABASE_URL": url.set(drivername="postgresql").render_as_string(hide_password=False),
        "BACKDESK_DATA_DIR": str(folder),
    }


@pytest_asyncio.fixture
async def site(live_url: URL, live_database: Database, make_live: Make, tmp_path: Path) -> AsyncIterator[Site]:
    """A desk of this test's own, served by `backdesk serve`, with a lead who can sign in."""
    lead = await make_live.lead(
        email="lead@example.com",
        full_name="Lena Lead",
        password_hash=hash_password(PASSWORD),
        time_zone="Europe/Berlin",
    )
    environment = environment_of(live_url, tmp_path)
    address = f"http://127.0.0.1:{free_port()}"
    async with served(environment, address):
        yield Site(address, live_url, live_database, environment, lead)


@pytest_asyncio.fixture
async def page(chromium: Browser, site: Site) -> AsyncIterator[Page]:
    """A window on the desk; a script error or a violation of the content security policy fails the test."""
    context = await chromium.new_context(base_url=site.address, viewport={"width": 1280, "height": 900})
    window = await context.new_page()
    complaints: list[str] = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None)
    yield window
    await context.close()
    assert complaints == []


async def sign_in(page: Page, email: str = "lead@example.com") -> None:
    """Sign in as a person would."""
    await page.goto("/admin/")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/admin/")


@pytest.fixture(params=["the real archive", "a small archive of our own"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Path]:
    """Files of users, tickets and comments: the real ones where they are, made-up ones anywhere."""
    folder = write_archive(tmp_path) if request.param == "a small archive of our own" else ARCHIVE
    if not folder.is_dir():
        pytest.skip("the real archive is not beside this checkout")
    return {path.name.split(".")[0]: path for path in folder.iterdir() if path.suffix != ".md"}


@dataclass
class Tour:
    """A desk with some of everything, and a window on it for each width."""

    address: str
    windows: dict[str, BrowserContext]


REFUSED = "the server responded with a status of 4"


def listen(window: Page) -> list[str]:
    """What the window's console will complain of, but for pages that are meant to be refused."""
    complaints: list[str] = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on(
        "console",
        lambda line: (
            complaints.append(line.text) if line.type in {"error", "warning"} and REFUSED not in line.text else None
        ),
    )
    return complaints


@pytest_asyncio.fixture
async def window(desk: Tour, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A window on the module's `desk` in the way that the test is for; a complaint in its console fails the test."""
    made = await desk.windows[getattr(request, "param", "wide")].new_page()
    complaints = listen(made)
    yield made
    await made.close()
    assert complaints == []
