"""`backdesk recipe`: save an action with its filter under a name, and run it again on what matches then."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import click

from admin_app import recipes
from admin_app.cli_do import finished
from admin_app.cli_jobs import as_json, as_somebody
from admin_app.cli_orders import Desk, How, Person, carry_out, nothing, opened, person, settled
from admin_app.cli_telling import counted
from admin_app.errors import BadInput, NothingMatches
from admin_app.inputs import inputs_of
from admin_app.models import Recipe
from admin_app.plugin import Action
from admin_app.queries import recipes as stored


@click.group()
def recipe() -> None:
    """Recipes: an action, its inputs and a filter under a name, run again on whatever matches that day."""


@recipe.command()
@click.argument("name")
@click.option("--action", required=True, help="What is done, such as assign.assign; `backdesk do --help` lists all.")
@click.option("--where", required=True, help='The filter of the list, such as "status=open&created=last-7-days".')
@click.option("--on", help="The kind of record, where the action is for several.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input of the action; once for each.")
@click.option("--reason", help="Why it is done, unless another reason is given when it is run.")
@as_somebody
def save(
    name: str, action: str, where: str, on: str | None, inputs: tuple[str, ...], reason: str | None, email: str | None
) -> None:
    """Save a recipe under NAME. Its filter and its inputs are checked now, and read anew whenever it is run."""

    async def work() -> Recipe:
        async with opened(*settled()) as desk:
            who = await person(desk, email, None)
            found = desk.registry.action(action)
            draft = recipes.Draft(
                name=name,
                action=action,
                resource=on or _only_resource(desk, found),
                filter=where,
                inputs=_given(found, inputs),
                reason=reason,
            )
            return await recipes.save(desk.database, desk.registry, who.authority, who.acting, draft, who.zone)

    made = asyncio.run(work())
    click.echo(f"Saved “{made.name}”. Look what it would do now with: backdesk recipe run '{made.name}' --preview")


def _only_resource(desk: Desk, action: Action) -> str:
    names = [one.name for one in desk.registry.resources.values() if issubclass(one.model, action.model)]
    if len(names) != 1:
        raise BadInput(f"Say with --on which kind of record is meant: {', '.join(names)}.")
    return names[0]


def _given(action: Action, texts: Sequence[str]) -> dict[str, Any]:
    """Inputs from `agent=ana`; one that picks several records may be given several times."""
    several = {item.name for item in inputs_of(action.function) if item.kind == "records"}
    given: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise BadInput(f"“{text[:60]}” is no input; write it like agent=ana@example.com.")
        if name in given and name not in several:
            raise BadInput(fields={name: "is given twice."})
        given[name] = [*given.get(name, []), value] if name in several else value
    return given


@recipe.command(name="list")
@as_json
def list_recipes(as_json: bool) -> None:
    """List the recipes by name."""

    async def work() -> Sequence[Recipe]:
        async with opened(*settled()) as desk, desk.database.read() as session:
            return await stored.every(session)

    found = asyncio.run(work())
    if as_json:
        click.echo(json.dumps([_values(one) for one in found]))
        return
    if not found:
        click.echo("There is no recipe yet. Save one with `backdesk recipe save`.")
    for one in found:
        click.echo(f"{one.name:<32} {one.action:<20} {one.resource}: {one.filter}")


@recipe.command()
@click.argument("name")
@as_somebody
@as_json
def show(name: str, email: str | None, as_json: bool) -> None:
    """Show a recipe, and how many records it would be for now."""
    asyncio.run(_show(name, email, as_json))


async def _show(name: str, email: str | None, as_json: bool) -> None:
    async with opened(*settled()) as desk:
        who, found = await _found(desk, name, email, None)
        number = await recipes.number(desk.database, desk.registry, who.authority, found, who.zone)
    if as_json:
        click.echo(json.dumps({**_values(found), "matches": number}))
        return
    click.echo(f"{found.name}: {found.action}, {found.resource}: {found.filter}")
    for item, text in found.inputs.items():
        click.echo(f"  {item}: {', '.join(text) if isinstance(text, list) else text}")
    if found.reason:
        click.echo(f"Reason: {found.reason}")
    more = "more than " if number > stored.COUNTED else ""
    click.echo(f"Matches now: {more}{min(number, stored.COUNTED):,}")


def _values(found: Recipe) -> dict[str, Any]:
    names = ("id", "name", "resource", "action", "filter", "inputs", "reason")
    return {name: getattr(found, name) for name in names}


@recipe.command()
@click.argument("name")
@click.option("--preview", is_flag=True, help="Say what it would do, and change nothing.")
@as_somebody
@click.option("--yes", type=int, metavar="N", help="The number of rows, in place of typing it.")
@click.option("--at-most", type=int, metavar="N", help="Do nothing where more rows match; asks no more.")
@click.option("--reason", help="Why, in place of the recipe's own reason.")
@click.option("--reference", help="Under which it is found and undone later, such as TICKET-123.")
@click.option("--detach", is_flag=True, help="Leave long work to the workers, and return at once.")
@as_json
def run(
    name: str,
    preview: bool,
    email: str | None,
    yes: int | None,
    at_most: int | None,
    reason: str | None,
    reference: str | None,
    detach: bool,
    as_json: bool,
) -> None:
    """Do what the recipe NAME says to whatever matches its filter now, for whoever runs it."""
    how = How(preview=preview, yes=yes, at_most=at_most, detach=detach, as_json=as_json)

    async def work() -> int:
        async with opened(*settled()) as desk:
            who, found = await _found(desk, name, email, reason, reference)
            try:
                made = await recipes.order(
                    desk.database, desk.settings, desk.registry, who.authority, who.acting, found, who.zone
                )
            except NothingMatches:
                return nothing(desk.registry.resource(found.resource).model, how)
            how.say(f"{counted(made.chosen.model, made.chosen.requested)} match “{found.name}”.")
            return await carry_out(desk, made, how)

    raise click.exceptions.Exit(finished(f"The recipe “{name}”", work()))


@recipe.command()
@click.argument("name")
@as_somebody
def delete(name: str, email: str | None) -> None:
    """Delete a recipe. What it did stays as it is."""

    async def work() -> str:
        async with opened(*settled()) as desk:
            who, found = await _found(desk, name, email, None)
            return await recipes.delete(desk.database, who.authority, who.acting, found.id)

    click.echo(f"Deleted “{asyncio.run(work())}”.")


async def _found(
    desk: Desk, name: str, email: str | None, reason: str | None, reference: str | None = None
) -> tuple[Person, Recipe]:
    """Who acts, and the recipe of a name."""
    who = await person(desk, email, reason, reference)
    async with desk.database.read() as session:
        return who, await stored.named(session, name)
