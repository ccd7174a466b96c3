"""The one road of a change: whoever wants something done, through whichever door, orders it here.

`preview()` tells what an order would do, by doing it and taking it back. `perform()` does it: at once, or, where it is
long, as a promise that is kept in chunks by `advance()`. What can be ordered are the actions of plugins, and UNDO.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app import queue
from admin_app.db import Acting, Change, Counts, Database, Plan, Resumed
from admin_app.errors import BackdeskError, BadInput, Conflict, Forbidden
from admin_app.inputs import inputs_of, parse
from admin_app.models import AuditLog, Base, ChangeSet, storable
from admin_app.plugin import Action, Authority, Chosen, Origin, Outcome, snake
from admin_app.queries import changes, previews, selections, undo, work
from admin_app.refusals import translated
from admin_app.settings import Limits

REASON_LENGTH = 2_000
REFERENCE_LENGTH = 100
UNSTORABLE = "holds a character that cannot be stored."

UNDO = Action(
    plugin="change_set",
    name="undo",
    model=AuditLog,
    function=undo.revert,
    label="Undo",
    help="What nobody touched since goes back to what it was; what somebody did is listed and left alone.",
    icon="restore",
    parallel=False,
    danger=False,
    reason="optional",
    final="",
    where=(),
    roles=("lead",),
    origin=Origin(__file__, 1),
)
"""Undoing a change set: an action like any other, whose rows are the entries of that change set."""


class Operator:
    """Somebody with the shell of the installation: may do everything, since they hold the database's keys anyway."""

    def may(self, permission: str) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody wants done: who and why, what, to which rows, and with which inputs, as texts or lists of them.

    `zone` is where they read their clock.
    """

    authority: Authority
    acting: Acting
    action: Action
    chosen: Chosen[Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    zone: ZoneInfo


@dataclass(frozen=True)
class Performed:
    """An order that was carried out, or promised: then there is no outcome yet. The sentence says what happened."""

    change_set_id: int
    outcome: Outcome | None
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What an order would do: the outcome of all its rows, and the effects and samples of those that were tried."""

    outcome: Outcome
    effects: list[previews.Effect]
    samples: list[previews.Sample]
    left: list[undo.Left]
    requested: int
    tried: int
    exact: bool
    warnings: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every row was tried."""
        return self.tried == self.requested


async def perform(database: Database, order: Order, limits: Limits, *, idempotency_key: str | None = None) -> Performed:
    """Carry an order out as one change set, and say what became of the rows; beyond `limits.inline`, promise it.

    Raises Forbidden, or BadInput naming each field that is wrong, before anything is changed; an error later undoes
    everything. Rows that the database refuses are counted as failed, and the rest is done.
    """
    order = checked(order, limits)
    if order.chosen.requested > limits.inline:
        return await _promise(database, order, limits, idempotency_key)
    plan = _plan(order, idempotency_key)
    try:
        return await _perform(database, order, plan, halving=False)
    except _RowRefused:
        return await _perform(database, order, plan, halving=True)


async def _perform(database: Database, order: Order, plan: Plan, *, halving: bool) -> Performed:
    """Carry an order out in a transaction of its own; without `halving` _RowRefused takes all of it back."""
    async with database.transaction(order.acting, order.action.permission, plan=plan) as change:
        chosen = replace(order.chosen, change_set_id=change.id)
        outcome = await carry_out(change.session, order, chosen, halving=halving)
        _count(change.counts, outcome)
        await finish(change, order.chosen.undo_of_id)
    return Performed(change.id, outcome, sentence(order.action.label, outcome, chosen.model))


async def preview(database: Database, order: Order, limits: Limits) -> Preview:
    """What an order would do, found out by doing it and taking it back.

    Beyond `limits.inline` only so many rows are tried, and all are classified without writing; an action that cannot
    be classified so has its outcome told of the tried rows only, and is not `exact`.
    """
    order = checked(order, limits)
    chosen, requested = order.chosen, order.chosen.requested
    whole = requested <= limits.inline
    outcome = None if whole else await _classified(database, order)
    async with database.rehearsal(order.acting, order.action.permission) as change:
        part = chosen if whole else await _first(change.session, chosen, limits.inline)
        tried = await carry_out(change.session, order, replace(part, change_set_id=change.id))
        effects = await previews.effects(change.session, change.id)
        undone = chosen.undo_of_id
        about = await undo.subjects(change.session, undone) if undone else {chosen.model.__tablename__}
        samples = await previews.samples(change.session, change.id, about)
        left = await undo.left_alone(change.session, change.id) if chosen.undo_of_id else []
    return Preview(
        outcome=outcome or tried,
        effects=effects,
        samples=samples,
        left=left,
        requested=requested,
        tried=part.requested,
        exact=whole or outcome is not None,
        warnings=(order.action.final,) if order.action.final else (),
    )


UNASKED: Mapping[str, Any] = {"unasked": True}
"""The parameter of change sets in which people do what everybody may, for themselves: no permission is asked for."""


async def undo_order(
    database: Database,
    authority: Authority,
    acting: Acting,
    change_set_id: int,
    final: Mapping[str, str],
    zone: ZoneInfo,
) -> Order:
    """The order to undo a change set: by who made it, or who may undo others', if they may do what it did.

    `final` says by action why it cannot be undone. Raises NotFound, Forbidden, or Conflict saying why not.
    """
    async with database.read() as session:
        found, entries = await undo.undoable(session, change_set_id)
        first = await undo.first(session, found)
    check_may_undo(authority, acting.user_id, found, first)
    if why := final.get(first.action):
        raise Conflict(f"This cannot be undone. {why}")
    chosen = Chosen.audited(found.id, entries)
    return Order(authority=authority, acting=acting, action=UNDO, chosen=chosen, zone=zone)


def check_may_undo(authority: Authority, user_id: int | None, change_set: ChangeSet, first: ChangeSet) -> None:
    """Raise Forbidden for who may not undo a change set, which at `first`, before others undid it, did something."""
    if why := why_not_undo(authority, user_id, change_set, first):
        raise Forbidden(why)


def why_not_undo(authority: Authority, user_id: int | None, change_set: ChangeSet, first: ChangeSet) -> str | None:
    """Why somebody may not undo a change set, as a sentence for them; None where they may."""
    own = user_id is not None and change_set.user_id == user_id
    if not own and not authority.may(UNDO.permission):
        return f"You may undo only what you did yourself. Others' changes need {UNDO.permission}."
    if own and first.parameters.items() >= UNASKED.items():
        return None
    needed = "import.run" if first.action.startswith("import.") else first.action
    if not authority.may(needed):
        return f"You may not undo this, because you may not do it. It needs the permission {needed}."
    return None


async def advance(change: Resumed, order: Order, limits: Limits) -> None:
    """Do the next chunk of a lane of a promised change set, in its transaction."""
    if not order.authority.may(order.action.permission) and order.action is not UNDO:
        raise Forbidden(f"Whoever ordered this may no longer do “{order.action.label}”.")
    lane = change.lane
    following = order.chosen.within(lane.until).after(lane.position, limits.chunk)
    last, number = await selections.bounds(change.session, following)
    if number:
        part = order.chosen.between(lane.position, last, number)
        _count(change.counts, await carry_out(change.session, order, replace(part, change_set_id=change.id)))
        lane.position = last
    lane.done = number < limits.chunk or last == lane.until


class _RowRefused(Exception):
    """The database refused a row, and nobody was to find out which."""


async def carry_out(session: AsyncSession, order: Order, chosen: Chosen[Any], *, halving: bool = True) -> Outcome:
    """Let the action do its work; with `halving`, rows that the database refuses are found, noted as failed, and left.

    Raises BackdeskError for an action that does not account for every row. Halving takes two trips to the database even
    where no row is refused; without it the first that is refused raises _RowRefused.
    """
    values = await parse(session, inputs_of(order.action.function), order.given, order.zone)
    available = {"session": session, "acting": order.acting, "authority": order.authority, **values}
    if chosen.classify:
        return await _act(order.action, available, chosen)
    if halving:
        return await _attempt(session, order.action, available, chosen)
    try:
        outcome = await _act(order.action, available, chosen)
        await session.flush()
        return outcome
    except DBAPIError as error:
        if _about_a_row(error):
            raise _RowRefused from error
        raise


async def _attempt(session: AsyncSession, action: Action, available: Mapping[str, Any], chosen: Chosen[Any]) -> Outcome:
    try:
        async with session.begin_nested():
            return await _act(action, available, chosen)
    except DBAPIError as error:
        if not _about_a_row(error):
            raise
        return await _halves(session, action, available, chosen, translated(error).message)


async def _act(action: Action, available: Mapping[str, Any], chosen: Chosen[Any]) -> Outcome:
    given = {**available, "chosen": chosen}
    outcome: object = await action.function(**{name: given[name] for name in _asks(action.function) if name in given})
    mending = "Its plugin needs mending."
    if not isinstance(outcome, Outcome):
        raise BackdeskError(f"What was done is taken back: {action.permission} returned no Outcome. {mending}")
    if outcome.total != chosen.requested:
        what = f"{action.permission} accounts for {outcome.total:,} of {chosen.requested:,} rows."
        raise BackdeskError(f"What was done is taken back: {what} {mending}")
    return outcome


@cache
def _asks(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters that a function has."""
    return tuple(inspect.signature(function).parameters)


async def _halves(
    session: AsyncSession, action: Action, available: Mapping[str, Any], chosen: Chosen[Any], problem: str
) -> Outcome:
    """The same with each half of the rows; a single row that is refused has failed."""
    known = chosen.ids or await session.scalars(chosen.keys())
    ids = sorted(known, reverse=chosen.undo_of_id is not None)
    if len(ids) == 1:
        await changes.record(session, chosen, {ids[0]: problem}, failed=True)
        return Outcome(failed=1)
    middle = len(ids) // 2
    outcome = Outcome()
    for half in (ids[:middle], ids[middle:]):
        part = replace(chosen, ids=tuple(half), source=None, requested=len(half))
        outcome += await _attempt(session, action, available, part)
    return outcome


def _about_a_row(error: DBAPIError) -> bool:
    """Whether the database refused a row's value, rather than being unable to answer at all."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return state[:2] in {"22", "23"} or state == "P0001"


async def _classified(database: Database, order: Order) -> Outcome | None:
    """What would become of all rows, without writing; None where the action can only find out by writing."""
    try:
        async with database.read() as session:
            return await carry_out(session, order, replace(order.chosen, classify=True))
    except BackdeskError as error:
        if isinstance(error, BadInput):
            raise
        return None


async def _first(session: AsyncSession, chosen: Chosen[Any], size: int) -> Chosen[Any]:
    if chosen.source is None:
        return replace(chosen, ids=chosen.ids[:size], requested=size)
    last, number = await selections.bounds(session, chosen.after(None, size))
    return chosen.between(None, last, number)


async def _promise(database: Database, order: Order, limits: Limits, key: str | None) -> Performed:
    """Write down what is to be done, and put it into the queue, in one transaction."""
    chosen = order.chosen
    async with database.read() as session:
        await parse(session, inputs_of(order.action.function), order.given, order.zone)
    if chosen.ids:
        chosen = await _kept(database, order, limits)
    plan = _plan(replace(order, chosen=chosen), key)
    lanes = min(limits.lanes, ceil(chosen.requested / limits.chunk))
    async with database.promise(order.acting, order.action.permission, plan) as change:
        if lanes > 1 and not await _parallel(change.session, order):
            lanes = 1
        await work.lay_out(change.session, change.id, chosen, lanes)
        await queue.put(change.session, change.id)
    number = f"{chosen.requested:,} {noun(chosen.model, chosen.requested)}"
    return Performed(change.id, None, f"{order.action.label}: {number} are being worked on.")


async def _parallel(session: AsyncSession, order: Order) -> bool:
    """Whether parts of what is ordered may be done at the same time."""
    undone = order.chosen.undo_of_id
    return order.action.parallel if undone is None else await undo.parallel(session, undone)


async def _kept(database: Database, order: Order, limits: Limits) -> Chosen[Any]:
    chosen = order.chosen
    async with database.bookkeeping() as session:
        kept = await selections.freeze(
            session,
            chosen.keys(),
            user_id=order.acting.user_id,
            resource=snake(chosen.model.__name__),
            limit=limits.bulk,
        )
    return replace(Chosen.frozen(chosen.model, kept.id, kept.row_count), visible=chosen.visible)


def _plan(order: Order, key: str | None) -> Plan:
    chosen = order.chosen
    parameters = {"resource": chosen.model.__tablename__, "requested": chosen.requested, "inputs": dict(order.given)}
    if chosen.source is not None:
        parameters["zone"] = str(order.zone)
    return Plan(
        parameters=parameters,
        idempotency_key=key,
        requested=chosen.requested,
        selection_id=chosen.selection_id,
        undo_of_id=chosen.undo_of_id,
    )


def _count(counts: Counts, outcome: Outcome) -> None:
    total = Outcome(counts.changed, counts.unchanged, counts.skipped, counts.failed) + outcome
    counts.changed, counts.unchanged, counts.failed = total.changed, total.unchanged, total.failed
    counts.skipped = dict(total.skipped)


async def finish(change: Change, undo_of_id: int | None) -> None:
    """What remains when all rows are done: what was undone says so."""
    if undo_of_id is not None and change.counts.changed:
        await undo.mark(change.session, undo_of_id)


def checked(order: Order, limits: Limits) -> Order:
    """The order, if it may be carried out: raises Forbidden, or BadInput naming each field that is wrong."""
    action, acting, chosen = order.action, order.acting, order.chosen
    if action is not UNDO and not order.authority.may(action.permission):
        raise Forbidden(f"You may not do “{action.label}”. It needs the permission {action.permission}.")
    acting = replace(acting, reason=_reason(action, acting.reason), reference=_reference(acting.reference))
    if unstorable := [name for name, value in order.given.items() if not all(map(storable, (name, *_texts(value))))]:
        raise BadInput(fields=dict.fromkeys(unstorable, UNSTORABLE))
    if not chosen.requested:
        raise BadInput("Nothing is selected. Tick the rows first, then choose the action.")
    if chosen.requested > limits.bulk and action is not UNDO:
        raise BadInput(f"{chosen.requested:,} rows are selected; one action may touch {limits.bulk:,} at most.")
    return replace(order, acting=acting)


def _texts(value: Any) -> list[str]:
    """What was entered, one text or several."""
    return [str(part) for part in (value if isinstance(value, list | tuple) else [value])]


def _reason(action: Action, reason: str | None) -> str | None:
    text = (reason or "").strip()
    if len(text) > REASON_LENGTH:
        raise BadInput(fields={"reason": f"has {len(text):,} characters; at most {REASON_LENGTH:,} fit."})
    if not storable(text):
        raise BadInput(fields={"reason": UNSTORABLE})
    if not text and action.reason == "required":
        raise BadInput(fields={"reason": "Please say why; it is kept in the audit log."})
    return text or None


def _reference(reference: str | None) -> str | None:
    text = (reference or "").strip()
    if len(text) > REFERENCE_LENGTH:
        raise BadInput(fields={"reference": f"has {len(text):,} characters; at most {REFERENCE_LENGTH:,} fit."})
    if not storable(text):
        raise BadInput(fields={"reference": UNSTORABLE})
    return text or None


def sentence(label: str, outcome: Outcome, model: type[Base] | type[Any]) -> str:
    """What happened, from what was counted: "Assign to agent: 20 tickets changed, 3 unchanged, 2 skipped (closed)."."""
    done = "undone" if model is AuditLog else "changed"
    parts = [f"{outcome.changed:,} {noun(model, outcome.changed)} {done}"]
    if outcome.unchanged:
        parts.append(f"{outcome.unchanged:,} already so")
    if skipped := sum(outcome.skipped.values()):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(outcome.skipped.items()))
        parts.append(f"{skipped:,} skipped ({reasons})")
    if outcome.failed:
        parts.append(f"{outcome.failed:,} failed")
    return f"{label}: {', '.join(parts)}."


def noun(model: type[Any], number: int) -> str:
    """What rows of a model are called: "ticket" or "tickets"; entries of the audit log are changes."""
    name = "change" if model is AuditLog else snake(model.__name__).replace("_", " ")
    return name if number == 1 else f"{name}s"
