"""`backdesk plugin`, `backdesk check` and `backdesk do`."""

import argparse
import asyncio
import getpass
import traceback
from collections.abc import Sequence
from typing import Any

import click

from admin_app import migrations, resources
from admin_app.actions import Operator, Order, Performed, perform
from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError, BadInput, NotFound
from admin_app.inputs import Input, inputs_of
from admin_app.models import Door
from admin_app.plugin import Action, Authority, Chosen
from admin_app.postgres import urls
from admin_app.queries import users
from admin_app.registry import Registry, available, declare_permissions, inspect_plugins, load
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


@click.command()
@click.option("--no-database", is_flag=True, help="Check settings and plugins only.")
def check(no_database: bool) -> None:
    """Check settings, plugins and database; lists every problem and its remedy, and fails if there is one."""
    settings = Settings.from_env()
    registry, found = inspect_plugins(settings, core=[resources.plugin])
    problems = [str(problem) for problem in found]
    if not no_database:
        owner, _ = urls(settings)
        problems += asyncio.run(migrations.check(owner, registry.branches()))
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise click.exceptions.Exit(1)
    scope = "settings and plugins" if no_database else "settings, plugins and database"
    click.echo(f"Checked {scope}: {len(registry.plugins) - 1} plugins, no problem found.")


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("action")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def do(action: str, rest: tuple[str, ...]) -> None:
    """Do an action of a plugin to records: `backdesk do assign.assign --ids 1 2 --agent ana`."""
    settings = Settings.from_env()
    registry = load(settings, core=[resources.plugin])
    if action in {"-h", "--help"}:
        for known in registry.actions.values():
            click.echo(f"{known.permission:<20} {known.label}: {known.help.splitlines()[0] if known.help else ''}")
        return
    found = registry.action(action)
    inputs = inputs_of(found.function)
    given = vars(_parser(found, inputs, registry).parse_args(rest))
    try:
        done = asyncio.run(_do(settings, registry, found, given))
    except BackdeskError:
        raise
    except Exception as error:  # a plugin may fail in any way
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"
        raise BackdeskError(f"{found.permission} failed, and nothing was changed: {what}.") from error
    click.echo(f"{done.sentence} Change set {done.change_set_id}.")


def _parser(action: Action, inputs: Sequence[Input], registry: Registry) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"backdesk do {action.permission}", description=action.help)
    parser.add_argument("--ids", nargs="+", required=True, help="the ids of the records")
    parser.add_argument(
        "--as", dest="actor", metavar="EMAIL", help="who does it; otherwise the operator of this machine"
    )
    parser.add_argument("--reason", required=action.reason == "required", help="why; kept in the audit log")
    names = [resource.name for resource in registry.resources.values() if issubclass(resource.model, action.model)]
    parser.add_argument("--on", choices=names, default=names[0] if len(names) == 1 else None, help="the kind of record")
    for item in inputs:
        parser.add_argument(
            f"--{item.name.replace('_', '-')}",
            dest=f"input_{item.name}",
            required=item.required,
            nargs="+" if item.kind == "records" else None,
            help=item.help or item.label,
        )
    return parser


async def _do(settings: Settings, registry: Registry, action: Action, given: dict[str, Any]) -> Performed:
    if given["on"] is None:
        raise BadInput("Say with --on which kind of record is meant.")
    resource = registry.resource(given["on"])
    ids = [part for text in given["ids"] for part in text.split(",") if part]
    if wrong := [part for part in ids if not part.isdecimal() or len(part) > 19]:
        raise BadInput(f"{wrong[0][:40]!r} is no id; ids are whole numbers.")
    values = {name.removeprefix("input_"): text for name, text in given.items() if name.startswith("input_") and text}
    database = Database.connect(urls(settings)[1], settings)
    try:
        await declare_permissions(database, registry)
        authority, acting = await _who(database, given["actor"], given["reason"])
        order = Order(
            authority=authority,
            acting=acting,
            action=action,
            chosen=Chosen.of(resource.model, map(int, ids)),
            given=values,
            zone=settings.time_zone,
        )
        return await perform(database, order, settings.limits)
    finally:
        await database.close()


async def _who(database: Database, email: str | None, reason: str | None) -> tuple[Authority, Acting]:
    """Whose permissions count, and who is written into the audit log."""
    if email is None:
        return Operator(), Acting.system(Door.CLI, reason=reason, user_agent=f"operator {getpass.getuser()}")
    async with database.read() as session:
        actor = await users.actor_by_email(session, email)
    if actor is None:
        raise NotFound(f"There is no active person with the e-mail address {email}.")
    return actor, Acting(user_id=actor.user_id, door=Door.CLI, reason=reason)
