"""A plugin of one file, dropped into a folder, works through every door with no other change."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, select

from admin_app import resources
from admin_app.app import create_app
from admin_app.db import Database
from admin_app.models import AuditLog, ChangeSet, Door, Ticket, User
from admin_app.registry import declare_permissions, load
from admin_app.settings import Settings
from admin_app.testing import Browser, Make

BACKDESK = Path(sys.executable).with_name("backdesk")
PLUGIN = '''\
"""Hand many tickets to one colleague."""
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Ticket, User
from admin_app.plugin import Chosen, Outcome, Plugin
from admin_app.queries import tickets

plugin = Plugin(__name__)


@plugin.action(Ticket, label="Hand over", icon="user-check")
async def hand_over(session: AsyncSession, chosen: Chosen[Ticket], colleague: User) -> Outcome:
    """Every chosen ticket goes to this colleague, whoever had it before."""
    return await tickets.assign(session, chosen, colleague)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of plugins with this one in it."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "take.py").write_text(PLUGIN)
    return plugins


@pytest.fixture
async def browser(live_database: Database, make_live: Make, folder: Path) -> AsyncIterator[Browser]:
    """A browser at a desk with the plugin, in which a lead is signed in."""
    settings = replace(Settings(), plugin_dir=folder, data_dir=folder, secret_key="a secret for tests only, 32 long")
    registry = load(settings, core=[resources.plugin])
    await declare_permissions(live_database, registry)
    app = create_app(settings, live_database, registry)
    async with Browser(app, app.state.desk) as made:
        yield await made.sign_in(await make_live.lead(email="lead@example.com"))


async def command(url: URL, folder: Path, *arguments: str) -> tuple[int | None, str]:
    """What `backdesk …` returns and prints with the plugin's folder in its settings."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url.set(drivername="postgresql").render_as_string(hide_password=False),
        "BACKDESK_DATA_DIR": str(folder),
        "BACKDESK_PLUGIN_DIR": str(folder),
    }
    process = await asyncio.create_subprocess_exec(
        BACKDESK, *arguments, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def performed(database: Database, ticket: Ticket) -> tuple[ChangeSet, AuditLog]:
    """The one change that the plugin made of a ticket, and its audit row."""
    async with database.read() as session:
        found = select(ChangeSet, AuditLog).join(AuditLog, AuditLog.change_set_id == ChangeSet.id)
        found = found.where(ChangeSet.action == "take.hand_over", AuditLog.record_id == str(ticket.id))
        change_set, row = (await session.execute(found)).one()
    return change_set, row


async def assigned_to(database: Database, ticket: Ticket) -> int | None:
    async with database.read() as session:
        return await session.scalar(select(Ticket.assignee_id).where(Ticket.id == ticket.id))


@pytest.fixture
async def colleague(make_live: Make) -> User:
    return await make_live.agent(email="ana@example.com", full_name="Ana Agent")


async def test_it_is_on_the_list_and_does_its_work_from_the_browser(
    browser: Browser, live_database: Database, make_live: Make, colleague: User
) -> None:
    ticket = await make_live.ticket()
    assert "Hand over" in (await browser.get("/admin/ticket/list")).text
    form = await browser.get("/admin/ticket/do/take.hand_over", params={"ids": ticket.id})
    assert "Every chosen ticket goes to this colleague" in form.text
    fields = {"ids": ticket.id, "confirmed": "1", "colleague": colleague.id}
    assert (await browser.submit("/admin/ticket/do/take.hand_over", fields)).status_code == 303
    assert await assigned_to(live_database, ticket) == colleague.id
    change_set, row = await performed(live_database, ticket)
    assert change_set.door is Door.WEB
    assert row.changes == {"old": {"assignee_id": None}, "new": {"assignee_id": colleague.id}}


async def test_whoever_lacks_its_permission_neither_sees_it_nor_can_do_it(
    browser: Browser, live_database: Database, make_live: Make, colleague: User
) -> None:
    ticket = await make_live.ticket()
    await browser.sign_in(colleague)
    assert "Hand over" not in (await browser.get("/admin/ticket/list")).text
    fields = {"ids": ticket.id, "confirmed": "1", "colleague": colleague.id}
    assert (await browser.submit("/admin/ticket/do/take.hand_over", fields)).status_code == 403
    assert await assigned_to(live_database, ticket) is None


async def test_it_does_its_work_from_the_command_line(
    live_url: URL, live_database: Database, make_live: Make, colleague: User, folder: Path
) -> None:
    ticket = await make_live.ticket()
    options = ("--ids", str(ticket.id), "--colleague", "ana", "--reason", "A hand-over")
    code, printed = await command(live_url, folder, "do", "take.hand_over", *options)
    assert (code, printed.split(" Change set")[0]) == (0, "Hand over: 1 ticket changed.")
    assert await assigned_to(live_database, ticket) == colleague.id
    change_set, row = await performed(live_database, ticket)
    assert (change_set.door, row.reason) == (Door.CLI, "A hand-over")


async def test_misspelt_it_is_refused_at_start_with_its_line_and_the_remedy(live_url: URL, folder: Path) -> None:
    (folder / "take.py").write_text(PLUGIN.replace("label=", "lable="))
    for door in (("serve", "--port", "1"), ("check",), ("do", "take.hand_over", "--ids", "1")):
        code, printed = await command(live_url, folder, *door)
        assert code == 1
        assert f"{folder / 'take.py'}:11" in printed
        assert "Did you mean 'label'?" in printed
        assert "Traceback" not in printed
