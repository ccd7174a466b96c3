"""Lists that take the database too long: they are stopped, and it is said what they were asked for and what to do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import pytest_asyncio
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from starlette.applications import Starlette

from admin_app.app import create_app
from admin_app.db import Database
from admin_app.registry import Registry, declare_permissions
from admin_app.settings import Settings
from admin_app.testing import Browser, Make, Script

LIST = "/admin/ticket/list"


@pytest_asyncio.fixture
async def hasty(live_url: URL, registry: Registry, tmp_path: Path) -> AsyncIterator[Starlette]:
    """A desk whose lists may take one second."""
    settings = Settings(list_timeout=1, data_dir=tmp_path, secret_key="a secret for tests only, 32 long")
    database = Database.connect(live_url, settings)
    await declare_permissions(database, registry)
    yield create_app(settings, database, registry)
    await database.close()


@asynccontextmanager
async def locked(url: URL) -> AsyncIterator[None]:
    """While nobody can read tickets."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE"))
        yield
    await engine.dispose()


async def test_a_list_that_takes_too_long_says_what_it_was_asked_for_and_leads_on(
    hasty: Starlette, live_url: URL, make_live: Make
) -> None:
    async with Browser(hasty, hasty.state.desk) as browser:
        await browser.sign_in(await make_live.lead(email="lead@example.com"))
        asked = f"{LIST}?status=open&source=web&sort=-priority,due_at"
        async with locked(live_url):
            answer = await browser.get(asked)
        page = unescape(answer.text)
        assert answer.status_code == 503
        assert "This list takes too long" in page
        assert "and was stopped: the list filters by Source, Status and is sorted by Priority, Due." in page
        assert "Source has no index." in page
        for url in (
            f"{LIST}?status=open&source=web",
            f"{LIST}?status=open&source=web&sort=-priority_rank,due_at&created_at=last-30-days",
            f"{LIST}?sort=-priority_rank,due_at",
        ):
            assert f'href="{url}"' in page
        assert (await browser.get(asked)).status_code == 200


async def test_the_api_says_so_too(hasty: Starlette, live_url: URL, make_live: Make) -> None:
    async with Script(hasty, hasty.state.desk) as script:
        await script.act_as(await make_live.lead(email="lead@example.com"))
        async with locked(live_url):
            answer = await script.get("/api/ticket?sort=due_at")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"].startswith("This took longer than 1 second and was stopped: the list is ")


async def test_numbers_that_cannot_be_counted_in_time_are_left_out(
    hasty: Starlette, live_url: URL, make_live: Make
) -> None:
    async with Browser(hasty, hasty.state.desk) as browser:
        await browser.sign_in(await make_live.lead(email="lead@example.com"))
        async with locked(live_url):
            counted = await browser.get("/admin/ticket/count", headers={"accept": "application/json"})
            count = await browser.get("/admin/ticket/count?exact=yes")
            facets = await browser.get("/admin/ticket/facets")
        assert counted.json() == {"count": None, "more": False, "text": ""}
        assert "There are too many tickets to count them in time." in count.text
        assert facets.status_code == 200
        assert "These tickets could not be counted in time. Narrow the list down first." in facets.text
