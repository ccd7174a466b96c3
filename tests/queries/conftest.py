"""What tests of plans share: a desk that is large, made once, and only looked at."""

from collections.abc import AsyncIterator

import pytest_asyncio
from sqlalchemy import URL

from admin_app.db import Database
from admin_app.testing import scratch_database
from benchmarks import million

ROWS = 30_000


@pytest_asyncio.fixture(scope="session")
async def large(server_url: URL) -> AsyncIterator[Database]:
    """A desk with so many tickets that reading all of them would be noticed."""
    async with scratch_database(server_url) as url:
        await million.fill(url, ROWS)
        database = Database.connect(url)
        yield database
        await database.close()
