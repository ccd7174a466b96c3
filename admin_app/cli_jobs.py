"""`backdesk worker` and `backdesk jobs`."""

import asyncio
import json
import signal
from dataclasses import replace

import click
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app import jobs as work_on
from admin_app import resources, telling
from admin_app.choosing import visible_to
from admin_app.cli_orders import Desk, How, carry_out, opened, person, settled
from admin_app.cli_serve import log_to_stdout
from admin_app.cli_telling import outcomes, progress
from admin_app.db import Database
from admin_app.errors import NotFound
from admin_app.jobs import Worker
from admin_app.models import ChangeSet
from admin_app.postgres import urls
from admin_app.queries import work
from admin_app.queries.selections import UNFINISHED
from admin_app.registry import load
from admin_app.settings import Settings


@click.command()
def worker() -> None:
    """Work on jobs until told to stop; start as many as you like, wherever the database can be reached.

    `backdesk serve` works on jobs itself, unless BACKDESK_WORKER is 0.
    """
    settings = Settings.from_env()
    registry = load(settings, core=[resources.plugin])
    log_to_stdout()
    database = Database.connect(urls(settings)[1], settings)
    asyncio.run(_work(Worker(database, registry, settings)))


async def _work(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, worker.stopping.set)
    click.echo("Working on jobs. Stop with Ctrl+C: what is unfinished goes on when a worker runs again.")
    await worker.run()
    await worker.database.close()


as_json = click.option("--json", "as_json", is_flag=True, help="Tell it as JSON, for scripts.")
as_somebody = click.option("--as", "email", metavar="EMAIL", help="Who does it; otherwise the operator.")


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def jobs(context: click.Context, as_json: bool) -> None:
    """Long work: list it, look at it, cancel it, try again what failed."""
    if context.invoked_subcommand is None:
        asyncio.run(_list(as_json))


async def _list(as_json: bool) -> None:
    async with opened(*settled()) as desk, desk.database.read() as session:
        found = await work.recent(session)
    if as_json:
        click.echo(json.dumps([telling.of_change_set(one) for one in found]))
        return
    if not found:
        click.echo("There is no long work. Actions for many rows become work of their own and are listed here.")
    for one in found:
        pace = work.rate(one)
        speed = f"{pace:,.0f} a second" if pace else ""
        click.echo(f"{one.id:<8} {one.state:<10} {one.action:<24} {progress(one):<32} {speed:<18} {_who(one)}".rstrip())


@jobs.command()
@click.argument("number", type=int)
@as_json
def show(number: int, as_json: bool) -> None:
    """Show a change set: how far it is, what became of its rows, and what failed."""
    asyncio.run(_show(number, as_json))


async def _show(number: int, as_json: bool) -> None:
    async with opened(*settled()) as desk, desk.database.read() as session:
        found = await _found(session, number)
        failed = await work.failures(session, number) if found.failed else []
    if as_json:
        click.echo(json.dumps(telling.of_change_set(found)))
        return
    click.echo(f"Change set {found.id}: {found.action} by {_who(found)}, {found.state}.")
    facts = {"Reason": found.reason, "Reference": found.reference, "Problem": found.problem}
    for label, text in facts.items():
        if text:
            click.echo(f"{label}: {text}")
    pace = work.rate(found)
    click.echo(f"Done: {progress(found)}{f', {pace:,.0f} a second' if pace else ''}")
    for count, text in outcomes(telling.outcome_of(found), ("changed", "failed")):
        click.echo(f"{count:>11,}  {text}")
    for row in failed:
        click.echo(f"  {row.record_id}: {row.outcome}")
    click.echo(_next(found))


def _next(found: ChangeSet) -> str:
    """What can be done with a change set now."""
    if found.state in UNFINISHED:
        return f"Stop it with `backdesk jobs cancel {found.id}`."
    again = f"Try what failed again with `backdesk jobs retry {found.id}`. " if found.failed else ""
    return f"{again}Take it back with `backdesk undo {found.id}`."


def _who(found: ChangeSet) -> str:
    return found.user.full_name if found.user else found.user_agent or "Backdesk"


async def _found(session: AsyncSession, number: int) -> ChangeSet:
    found = await work.one(session, number) if 0 < number < 2**63 else None
    if found is None:
        raise NotFound(f"There is no change set {number}.")
    return found


@jobs.command()
@click.argument("number", type=int)
@as_somebody
def cancel(number: int, email: str | None) -> None:
    """Stop work; chunks under way are taken back. What is done stays done, and can be undone."""
    asyncio.run(_cancel(number, email))


async def _cancel(number: int, email: str | None) -> None:
    async with opened(*settled()) as desk:
        await _known(desk, number)
        who = await person(desk, email, None)
        await work_on.cancel(desk.database, who.authority, who.acting, number, who.name)
        async with desk.database.read() as session:
            found = await _found(session, number)
    click.echo(f"Cancelled: {progress(found)} is done, and stays so. Take it back with `backdesk undo {number}`.")


@jobs.command()
@click.argument("number", type=int)
@as_somebody
@click.option("--reason", help="Why; kept in the audit log.")
@click.option("--preview", is_flag=True, help="Say what it would do, and change nothing.")
@click.option("--yes", type=int, metavar="N", help="The number of rows, in place of typing it.")
@click.option("--detach", is_flag=True, help="Leave long work to the workers, and return at once.")
@as_json
def retry(
    number: int, email: str | None, reason: str | None, preview: bool, yes: int | None, detach: bool, as_json: bool
) -> None:
    """Do again what failed in a change set, to the rows that failed."""
    how = How(preview=preview, yes=yes, detach=detach, as_json=as_json)
    raise click.exceptions.Exit(asyncio.run(_retry(number, email, reason, how)))


async def _retry(number: int, email: str | None, reason: str | None, how: How) -> int:
    async with opened(*settled()) as desk:
        await _known(desk, number)
        who = await person(desk, email, reason)
        limits = desk.settings.limits
        order = await work_on.retry(desk.database, desk.registry, who.authority, who.acting, number, limits)
        if resource := desk.registry.resource_of(order.chosen.model):
            order = replace(order, chosen=order.chosen.seen(visible_to(who.authority, resource)))
        return await carry_out(desk, order, how)


async def _known(desk: Desk, number: int) -> None:
    async with desk.database.read() as session:
        await _found(session, number)
