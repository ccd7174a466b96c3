"""`backdesk undo`: take back a change set, or everything that was done under a reference."""

import asyncio
import json
from dataclasses import replace

import click

from admin_app.actions import UNDO, Order, Preview, carry_out, undo_order
from admin_app.cli_orders import (
    DONE,
    PARTLY,
    Desk,
    How,
    Person,
    Report,
    done,
    opened,
    person,
    settled,
    tell,
    tell_preview,
)
from admin_app.cli_orders import carry_out as carry_out_one
from admin_app.errors import BadInput, Conflict, NotFound
from admin_app.plugin import Outcome
from admin_app.queries import previews, progress
from admin_app.queries import undo as undoing
from admin_app.queries.selections import UNFINISHED

MOST = 10_000
"""Change sets of a reference that are undone together, the newest."""


@click.command()
@click.argument("number", type=int, required=False)
@click.option("--reference", help="Undo everything that was done under this reference, the newest first.")
@click.option("--preview", is_flag=True, help="Say what it would do, and change nothing.")
@click.option("--as", "email", metavar="EMAIL", help="Who does it; otherwise the operator of this machine.")
@click.option("--reason", help="Why; kept in the audit log.")
@click.option("--detach", is_flag=True, help="Leave long work to the workers, and return at once.")
@click.option("--json", "as_json", is_flag=True, help="Tell it as JSON, for scripts.")
def undo(
    number: int | None,
    reference: str | None,
    preview: bool,
    email: str | None,
    reason: str | None,
    detach: bool,
    as_json: bool,
) -> None:
    """Undo the change set NUMBER: what nobody touched since goes back to what it was, the rest is listed."""
    if (number is None) == (reference is None):
        raise BadInput("Say what to undo: the number of a change set, or --reference.")
    if detach and reference is not None:
        raise BadInput("--detach goes with the number of one change set: those of a reference are undone in turn.")
    how = How(preview=preview, detach=detach, as_json=as_json)
    raise click.exceptions.Exit(asyncio.run(_undo(number, reference, email, reason, how)))


async def _undo(number: int | None, reference: str | None, email: str | None, reason: str | None, how: How) -> int:
    async with opened(*settled()) as desk:
        who = await person(desk, email, reason, reference)
        if number is not None:
            return await carry_out_one(desk, await _order(desk, who, number), how)
        return await _undo_all(desk, who, str(reference), how)


async def _order(desk: Desk, who: Person, number: int) -> Order:
    return await undo_order(desk.database, who.authority, who.acting, number, desk.registry.finals, who.zone)


async def _undo_all(desk: Desk, who: Person, reference: str, how: How) -> int:
    """Undo what stands under a reference; returns the exit code.

    Raises, before anything is undone, Forbidden for what this person may not undo, Conflict while work goes on.
    """
    orders, kept = await _orders(desk, who, reference)
    for why in kept:
        how.say(why)
    if how.preview:
        told = await _rehearsed(desk, orders)
        tell_preview(told, f"Undo everything under {reference}", orders[0], how)
        return DONE
    reports: list[Report] = []
    for order in orders:
        reports.append(await done(desk, order, how))
        if not how.as_json:
            click.echo(f"Change set {order.chosen.undo_of_id}:")
            tell(reports[-1], how)
        if reports[-1].code not in {DONE, PARTLY}:
            break
    if how.as_json:
        click.echo(json.dumps({"undone": [report.values for report in reports], "kept": kept}))
    worst = next((report.code for report in reports if report.code), DONE)
    if not how.as_json:
        undone = sum(report.found.changed for report in reports)
        click.echo(f"Under {reference}: {len(reports):,} of {len(orders) + len(kept):,} undone, {undone:,} changes.")
    return worst or (PARTLY if kept else DONE)


async def _orders(desk: Desk, who: Person, reference: str) -> tuple[list[Order], list[str]]:
    """The orders to undo what stands under a reference, the newest first, and why the rest cannot be undone."""
    async with desk.database.read() as session:
        found = await progress.under(session, reference, limit=MOST)
    for one in found:
        for change_set in filter(None, (one.change_set, one.undo)):
            if change_set.state in UNFINISHED:
                raise Conflict(f"Change set {change_set.id} is still being done. Cancel it first, or wait for its end.")
    standing = [one.change_set for one in found if one.open]
    if not standing:
        raise NotFound(f"Nothing that could be undone was done under {reference}.")
    orders, kept = [], []
    for change_set in standing:
        try:
            orders.append(await _order(desk, who, change_set.id))
        except Conflict as error:
            kept.append(f"Change set {change_set.id} ({change_set.action}): {error.message}")
    if not orders:
        raise Conflict(" ".join(kept))
    return orders, kept


async def _rehearsed(desk: Desk, orders: list[Order]) -> Preview:
    """What undoing all of these in turn would do, found out by doing it and taking it back."""
    outcome = Outcome()
    async with desk.database.rehearsal(orders[0].acting, UNDO.permission) as change:
        for order in orders:
            outcome += await carry_out(change.session, order, replace(order.chosen, change_set_id=change.id))
        effects = await previews.effects(change.session, change.id)
        tables = [await undoing.subjects(change.session, order.chosen.undo_of_id or 0) for order in orders]
        samples = await previews.samples(change.session, change.id, set().union(*tables))
        left = await undoing.left_alone(change.session, change.id)
    number = sum(order.chosen.requested for order in orders)
    return Preview(
        outcome=outcome, effects=effects, samples=samples, left=left, requested=number, tried=number, exact=True
    )
