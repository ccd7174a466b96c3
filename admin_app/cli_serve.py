"""`backdesk serve` and `backdesk demo`."""

import asyncio
import logging
import re
from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click
import structlog
import uvicorn
from sqlalchemy.engine import URL

from admin_app import demo as demo_desk
from admin_app import migrations, resources
from admin_app.app import create_app
from admin_app.db import Database
from admin_app.errors import SettingsError, Unavailable
from admin_app.postgres import urls
from admin_app.registry import Registry, load
from admin_app.settings import Settings


@click.command()
@click.option("--host", help="The address to listen on; BACKDESK_HOST otherwise.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port to listen on; BACKDESK_PORT otherwise.")
def serve(host: str | None, port: int | None) -> None:
    """Serve the desk on the database of the settings, or on a local one that is started for it."""
    settings = _settings(host, port)
    registry = load(settings, core=[resources.plugin])
    owner, app = urls(settings)
    if settings.database_url is None:
        asyncio.run(migrations.upgrade(owner, app, registry.branches()))
    elif problems := asyncio.run(migrations.check(owner, registry.branches())):
        raise Unavailable("\n".join(problems))
    run(settings, app, registry)


@click.command()
@click.option("--host", help="The address to listen on; BACKDESK_HOST otherwise.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port to listen on; BACKDESK_PORT otherwise.")
@click.option("--new-passwords", is_flag=True, help="Give the four accounts new passwords and print them.")
def demo(host: str | None, port: int | None, new_passwords: bool) -> None:
    """Serve a made-up desk with 2,000 tickets. Everything is kept in the data folder, and found there next time."""
    settings = _settings(host, port)
    if settings.database_url is not None:
        raise SettingsError(
            "DATABASE_URL is set. The demo makes up data, so it only runs on a local database of its own."
        )
    registry = load(settings, core=[resources.plugin])
    owner, app = urls(settings)
    asyncio.run(migrations.upgrade(owner, app, registry.branches()))
    accounts = asyncio.run(_prepare(settings, owner, app, new_passwords))
    click.echo(f"\n  Backdesk  http://{settings.host}:{settings.port}/admin/\n")
    for account in accounts:
        click.echo(f"  {account.role:<10} {account.email:<24} {account.password}")
    if accounts:
        click.echo("\n  These passwords are shown once. For new ones: backdesk demo --new-passwords\n")
    else:
        click.echo("  The passwords were shown at the first start. For new ones: backdesk demo --new-passwords\n")
    run(settings, app, registry)


async def _prepare(settings: Settings, owner: URL, app: URL, new_passwords: bool) -> list[demo_desk.Account]:
    """Make the desk up if there is none yet; the accounts whose passwords are new."""
    database = Database.connect(app, replace(settings, statement_timeout_ms=120_000))
    try:
        async with database.read() as session:
            empty = await demo_desk.is_empty(session)
        if empty:
            click.echo("  Making up a desk …")
            await demo_desk.build(database, now=datetime.now(UTC), owner_url=owner)
            return await demo_desk.accounts(database)
        return await demo_desk.new_passwords(database) if new_passwords else []
    finally:
        await database.close()


def run(settings: Settings, url: URL, registry: Registry) -> None:
    """Serve until told to stop."""
    log_to_stdout()
    app = create_app(settings, Database.connect(url, settings), registry)
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", access_log=False, server_header=False)


def log_to_stdout() -> None:
    """Write what happens as lines of names and values, without what people entered."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_values,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )


QUOTED = re.compile(r"(query argument \$\d+: |DETAIL:  )(?:.|\n(?!\n|HINT|\[SQL|CONTEXT))*")
"""Where the database's driver repeats in an error what somebody had entered."""


def hide_values(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take people's values out of the traceback of a line of the log."""
    if "exception" in event:
        event["exception"] = QUOTED.sub(r"\1(hidden)", event["exception"])
    return event


def _settings(host: str | None, port: int | None) -> Settings:
    settings = Settings.from_env()
    settings = replace(settings, host=host or settings.host, port=port or settings.port)
    if settings.host not in {*settings.allowed_hosts, "0.0.0.0", "::"}:  # noqa: S104  compared, not listened on
        settings = replace(settings, allowed_hosts=(*settings.allowed_hosts, settings.host))
    return settings
