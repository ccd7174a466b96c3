"""`backdesk demo`."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import click
from sqlalchemy.engine import URL

from admin_app import demo as demo_desk
from admin_app import resources
from admin_app.cli_serve import prepared, run, settings_of
from admin_app.db import Database
from admin_app.errors import SettingsError
from admin_app.postgres import urls
from admin_app.registry import load
from admin_app.settings import Settings


@click.command()
@click.option("--host", help="The address to listen on; BACKDESK_HOST otherwise.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port to listen on; BACKDESK_PORT otherwise.")
@click.option("--new-passwords", is_flag=True, help="Give the four accounts new passwords and print them.")
def demo(host: str | None, port: int | None, new_passwords: bool) -> None:
    """Serve a made-up desk with 2,000 tickets. Everything is kept in the data folder, and found there next time."""
    settings = settings_of(host, port)
    if settings.database_url is not None:
        raise SettingsError(
            "DATABASE_URL is set. The demo makes up data, so it only runs on a local database of its own."
        )
    registry = load(settings, core=[resources.plugin])
    owner, app = urls(settings)
    asyncio.run(prepared(owner, app, registry, ours=True))
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
