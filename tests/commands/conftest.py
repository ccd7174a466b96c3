"""Commands of `backdesk` on a database of the test module's own, in which they really commit."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner, Result
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from admin_app.cli import main
from admin_app.db import Database
from admin_app.models import ChangeSet
from admin_app.registry import Registry, declare_permissions
from admin_app.testing import Make, scratch_database

Run = Callable[..., Awaitable[Result]]

SMALL = {"BACKDESK_INLINE_LIMIT": "20", "BACKDESK_CHUNK_SIZE": "10", "BACKDESK_BULK_LIMIT": "60"}
"""Limits that a test reaches with a few rows."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk_url(server_url: URL, template_url: URL) -> AsyncIterator[URL]:
    """The owner's URL of the database of this module."""
    async with scratch_database(server_url, template_url.database) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(desk_url: URL, registry: Registry) -> AsyncIterator[Database]:
    """The database of this module, in which commands really commit."""
    database = Database.connect(desk_url)
    await declare_permissions(database, registry)
    yield database
    await database.close()


@pytest.fixture(scope="module")
def make_there(desk: Database) -> Make:
    """Makes people and tickets in the database of this module."""
    return Make(desk)


@pytest.fixture
def backdesk(desk_url: URL, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`backdesk …` on the database of this module, with the shipped plugins and small limits."""
    monkeypatch.setenv("DATABASE_URL", desk_url.render_as_string(hide_password=False))
    for name, value in SMALL.items():
        monkeypatch.setenv(name, value)

    async def invoke(*args: object, typed: str | None = None) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, [*map(str, args)], input=typed)

    return invoke


def said(result: Result, code: int) -> str:
    """What was said, where nothing but an exit with this code happened."""
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def told(result: Result, code: int = 0) -> Any:
    """What was said as JSON."""
    said(result, code)
    return json.loads(result.stdout)


def number_in(sentence: str) -> int:
    """The number of the change set that a sentence names last."""
    return int(re.findall(r"Change set (\d+)", sentence)[-1])


async def change_set(desk: Database, number: int) -> ChangeSet:
    """A change set as it is stored."""
    async with desk.read() as session:
        return await session.get_one(ChangeSet, number)


@pytest_asyncio.fixture
async def failing(desk_url: URL, make_there: Make) -> AsyncIterator[list[int]]:
    """Three tickets of which the database refuses any change of the second."""
    tickets = [(await make_there.ticket()).id for _ in range(3)]
    engine = create_async_engine(desk_url, poolclass=NullPool)
    refusal = f"CHECK (id <> {tickets[1]} OR priority <> 'urgent') NOT VALID"
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE tickets ADD CONSTRAINT never {refusal}"))
    yield tickets
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE tickets DROP CONSTRAINT never"))
    await engine.dispose()
