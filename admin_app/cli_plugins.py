"""`backdesk plugin` and `backdesk check`."""

import asyncio

import click
from sqlalchemy import URL

from admin_app import migrations, resources, saved_views
from admin_app.db import Database
from admin_app.postgres import urls
from admin_app.registry import Registry, available, inspect_plugins, warnings_of
from admin_app.settings import Settings


@click.group()
def plugin() -> None:
    """The plugins: which are loaded, which are available."""


@plugin.command(name="list")
def list_plugins() -> None:
    """List the plugins with what each offers, and those that are installed but not loaded."""
    registry, problems = inspect_plugins(Settings.from_env(), core=[resources.plugin])
    for loaded in registry.plugins[1:]:
        offers = [action.permission for action in loaded.actions] + [page.permission for page in loaded.pages]
        offers += [f"panel {panel.name}" for panel in loaded.panels] + [item.name for item in loaded.resources]
        click.echo(f"{loaded.name:<16} loaded      {', '.join(offers)}")
    for name in sorted(available().keys() - {loaded.name for loaded in registry.plugins}):
        click.echo(f"{name:<16} not loaded  add it to BACKDESK_PLUGINS")
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        raise click.exceptions.Exit(1)


async def _checked(settings: Settings, registry: Registry, owner: URL) -> list[str]:
    """What is wrong in the database: tables that differ from the code, else saved views that nobody can use."""
    if problems := await migrations.check(owner, registry.branches()):
        return problems
    database = Database.connect(owner, settings)
    try:
        async with database.read() as session:
            return await saved_views.problems(session, registry, settings.time_zone)
    finally:
        await database.close()


@click.command()
@click.option("--no-database", is_flag=True, help="Check settings and plugins only.")
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
def check(no_database: bool, strict: bool) -> None:
    """Check settings, plugins and database; lists every problem and its remedy, and fails if there is one.

    Warnings, of what will be slow in large tables, are listed as well.
    """
    settings = Settings.from_env()
    registry, found = inspect_plugins(settings, core=[resources.plugin])
    problems = [str(problem) for problem in found]
    warnings = [] if found else [str(warning) for warning in warnings_of(registry)]
    if not no_database:
        owner, _ = urls(settings)
        problems += asyncio.run(_checked(settings, registry, owner))
    for line in problems + warnings:
        click.echo(line, err=True)
    if problems or (strict and warnings):
        raise click.exceptions.Exit(1)
    scope = "settings and plugins" if no_database else "settings, plugins and database"
    told = f", {len(warnings)} warning{'s' * (len(warnings) > 1)}" if warnings else ""
    click.echo(f"Checked {scope}: {len(registry.plugins) - 1} plugins, no problem found{told}.")
