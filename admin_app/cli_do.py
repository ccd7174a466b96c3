"""`backdesk do`: any action of any plugin, to the rows of a filter or to those with some ids."""

import argparse
import asyncio
import traceback
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

import click

from admin_app.actions import Order
from admin_app.choosing import by_filter, visible_to
from admin_app.cli_orders import Desk, How, Person, carry_out, nothing, opened, person, settled
from admin_app.cli_telling import counted
from admin_app.errors import BackdeskError, BadInput, NothingMatches
from admin_app.inputs import Input, inputs_of
from admin_app.plugin import Action, Chosen, Resource
from admin_app.registry import Registry
from admin_app.settings import Settings


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("action")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def do(action: str, rest: tuple[str, ...]) -> None:
    """Do an action of a plugin to records: `backdesk do assign.assign --where "status=open" --agent ana`."""
    settings, registry = settled()
    if action in {"-h", "--help"}:
        for known in registry.actions.values():
            click.echo(f"{known.permission:<20} {known.label}: {known.help.splitlines()[0] if known.help else ''}")
        return
    found = registry.action(action)
    given = vars(_parser(found, inputs_of(found.function), registry).parse_args(rest))
    raise click.exceptions.Exit(finished(found.permission, _do(settings, registry, found, given)))


def finished(name: str, doing: Coroutine[Any, Any, int]) -> int:
    """Run something to its end; where a plugin fails in it, say which and where, in place of a traceback."""
    try:
        return asyncio.run(doing)
    except (BackdeskError, BrokenPipeError):  # who reads no further says nothing about what was done
        raise
    except Exception as error:  # a plugin may fail in any way
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"
        raise BackdeskError(f"{name} failed, and nothing was changed: {what}.") from error


def _parser(action: Action, inputs: Sequence[Input], registry: Registry) -> argparse.ArgumentParser:
    name = f"backdesk do {action.permission}"
    parser = argparse.ArgumentParser(prog=name, description=action.help, allow_abbrev=False)
    _add_rows(parser, action, registry)
    parser.add_argument("--preview", action="store_true", help="say what it would do, and change nothing")
    parser.add_argument("--yes", type=_number, metavar="N", help="the number of rows, in place of typing it")
    parser.add_argument("--at-most", type=_number, metavar="N", help="do nothing where more rows match; asks no more")
    parser.add_argument("--detach", action="store_true", help="leave long work to the workers, and return at once")
    parser.add_argument("--json", action="store_true", help="tell it as JSON, for scripts")
    parser.add_argument(
        "--as", dest="actor", metavar="EMAIL", help="who does it; otherwise the operator of this machine"
    )
    parser.add_argument("--reason", required=action.reason == "required", help="why; kept in the audit log")
    parser.add_argument("--reference", help="under which it is found and undone later, such as TICKET-123")
    for item in inputs:
        parser.add_argument(
            f"--{item.name.replace('_', '-')}",
            dest=f"input_{item.name}",
            required=item.required,
            nargs="+" if item.kind == "records" else None,
            help=item.help or item.label,
        )
    return parser


def _add_rows(parser: argparse.ArgumentParser, action: Action, registry: Registry) -> None:
    names = [resource.name for resource in registry.resources.values() if issubclass(resource.model, action.model)]
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument("--ids", nargs="+", help="the ids of the records")
    rows.add_argument("--where", metavar="FILTER", help='the filter of the list, such as "status=open&assignee=none"')
    rows.add_argument("--all", action="store_true", help="every record that is not in the trash")
    parser.add_argument("--without", nargs="+", metavar="ID", default=(), help="ids that are left out")
    parser.add_argument("--on", choices=names, default=names[0] if len(names) == 1 else None, help="the kind of record")


def _number(text: str) -> int:
    return int(text.replace(",", ""))


async def _do(settings: Settings, registry: Registry, action: Action, given: dict[str, Any]) -> int:
    if given["on"] is None:
        raise BadInput("Say with --on which kind of record is meant.")
    resource = registry.resource(given["on"])
    sizes = {"yes": given["yes"], "at_most": given["at_most"]}
    how = How(preview=given["preview"], detach=given["detach"], as_json=given["json"], **sizes)
    ids, without = _ids(given["ids"] or ()), _ids(given["without"])
    async with opened(settings, registry) as desk:
        who = await person(desk, given["actor"], given["reason"], given["reference"])
        if given["ids"]:
            visible = visible_to(who.authority, resource)
            chosen = Chosen.of(resource.model, set(ids) - set(without)).seen(visible)
        else:
            try:
                chosen = await _matching(desk, resource, given["where"], who, without, how)
            except NothingMatches:
                return nothing(resource.model, how)
        values = {name.removeprefix("input_"): text for name, text in given.items() if name.startswith("input_")}
        order = Order(
            authority=who.authority,
            acting=who.acting,
            action=action,
            chosen=chosen,
            given={name: text for name, text in values.items() if text},
            zone=who.zone,
        )
        return await carry_out(desk, order, how)


async def _matching(
    desk: Desk, resource: Resource, text: str | None, who: Person, without: Iterable[int], how: How
) -> Chosen[Any]:
    chosen = await by_filter(desk.database, desk.settings, resource, text, who.authority, who.zone, without)
    verb = "matches" if chosen.requested == 1 else "match"
    how.say(f"{counted(resource.model, chosen.requested)} {verb}.")
    return chosen


def _ids(texts: Iterable[str]) -> list[int]:
    ids = [part for text in texts for part in text.split(",") if part]
    if wrong := [part for part in ids if not part.isdecimal() or len(part) > 19]:
        raise BadInput(f"{wrong[0][:40]!r} is no id; ids are whole numbers.")
    return [int(part) for part in ids]
