"""Undo and redo in the browser: of one change set, and of everything under a reference; shown before it is done."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app.actions import (
    REFERENCE_LENGTH,
    UNDO,
    Order,
    carry_out,
    checked,
    noun,
    perform,
    preview,
    undo_order,
)
from admin_app.errors import BackdeskError, BadInput, BadRequest, Forbidden
from admin_app.models import AuditLog, storable
from admin_app.plugin import Outcome
from admin_app.queries import progress, undo
from admin_app.queries.progress import Referred, Story
from admin_app.queries.selections import UNFINISHED
from admin_app.web import changes, deeds
from admin_app.web.context import (
    Notice,
    acting,
    actor_of,
    desk_of,
    form_of,
    path,
    redirect,
    render,
    text_fields,
    zone_of,
)

MOST = 200
"""Change sets of a reference that one page shows, and that are undone together; the newest come first."""

TOGETHER = 20
"""Change sets that are undone while the browser waits; more become work of the worker."""

Texts = dict[str, str]


# ---- One change set


async def one(request: Request, templates: Jinja2Templates) -> Response:
    """GET shows what undoing a change set would do, and what it would leave alone; POST does it."""
    posted = None if request.method in {"GET", "HEAD"} else text_fields(await form_of(request))
    story, desk = await changes.seen(request), desk_of(request)
    if posted is None:
        opened = {"reference": story.change_set.reference or ""}
        return await _form(request, story, opened, templates)
    if earlier := await changes.done_before(request, posted.get("key", "")):
        return changes.sent_twice(request, earlier)
    order = await _order(request, story.change_set.id, posted)
    try:
        done = await perform(desk.database, order, desk.settings.limits, idempotency_key=posted.get("key") or None)
    except BadInput as error:
        return await _form(request, story, posted, templates, error=error)
    said = deeds.turn(story.turns + 1) + done.sentence.removeprefix(UNDO.label)
    return redirect(request, path("change_set", "details", done.change_set_id), changes.told(done, said))


async def _order(request: Request, change_set_id: int, posted: Texts) -> Order:
    """The order to undo a change set; raises Forbidden, or Conflict saying why it cannot be undone."""
    acts = acting(request, posted.get("reason"), reference=posted.get("reference", "").strip() or None)
    desk, actor = desk_of(request), actor_of(request)
    return await undo_order(desk.database, actor, acts, change_set_id, desk.registry.finals, zone_of(request))


async def _form(
    request: Request, story: Story, values: Texts, templates: Jinja2Templates, *, error: BadInput | None = None
) -> Response:
    desk, change_set = desk_of(request), story.change_set
    order = await _order(request, change_set.id, {})
    shown = await preview(desk.database, order, desk.settings.limits)
    label, number = deeds.turn(story.turns + 1), shown.outcome.changed
    context = {
        "title": f"{label}: {deeds.told(desk.registry, story)}",
        "heading": f"{label}: {deeds.told(desk.registry, story)}",
        "explained": UNDO.help,
        "button": f"{label} {number:,} {noun(AuditLog, number)}",
        "change_set": change_set,
        "preview": shown,
        "noun": noun(AuditLog, shown.requested),
        "url": path("change_set", change_set.id, "undo"),
        "page_url": path("change_set", "details", change_set.id),
        "values": values,
        "problems": error.fields or {"": error.message} if error else {},
        "key": values.get("key") or secrets.token_urlsafe(16),
        "always": not shown.exact,
        "may_list": actor_of(request).may("change_set.view"),
    }
    return await render(request, templates, "backdesk/change_set_turn.html", context, error.status if error else 200)


# ---- Everything under a reference


@dataclass(frozen=True)
class Part:
    """One change set of a reference: what undoing it does, or why it is left out."""

    referred: Referred
    words: str
    amount: str
    why: str = ""
    outcome: Outcome | None = None


async def reference(request: Request, templates: Jinja2Templates) -> Response:
    """Everything that was done under a reference, and what was undone of it."""
    wanted = _reference(request.query_params.get("reference", ""))
    found = await _under(request, wanted) if wanted else []
    parts = [_part(request, referred) for referred in found]
    context = {
        "title": f"Everything under {wanted}" if wanted else "Find what was done under a reference",
        "reference": wanted,
        "parts": parts,
        "most": MOST,
        "undo_url": path("change_set", "reference", "undo", reference=wanted) if any(_stands(p) for p in parts) else "",
        "here": path("change_set", "reference"),
        "may_list": actor_of(request).may("change_set.view"),
    }
    return await render(request, templates, "backdesk/change_set_reference.html", context)


async def everything(request: Request, templates: Jinja2Templates) -> Response:
    """GET shows what undoing everything under a reference would do, change set by change set; POST does it."""
    posted = None if request.method in {"GET", "HEAD"} else text_fields(await form_of(request))
    wanted = _reference((request.query_params if posted is None else posted).get("reference", ""))
    if not wanted:
        raise BadRequest(fields={"reference": "is missing: under which reference was it done?"})
    parts = [_part(request, referred) for referred in await _under(request, wanted)]
    orders = await _orders(request, [part for part in parts if _stands(part)], posted or {})
    if posted is None or not orders:
        return await _everything_form(request, wanted, parts, orders, posted or {}, templates)
    try:
        checked(next(iter(orders.values())), desk_of(request).settings.limits)
    except BadInput as error:
        return await _everything_form(request, wanted, parts, orders, posted, templates, error=error)
    report = await _undo_all(request, orders, posted.get("key") or secrets.token_urlsafe(16))
    return redirect(request, path("change_set", "reference", reference=wanted), report)


def _reference(text: str) -> str:
    wanted = text.strip()
    if len(wanted) > REFERENCE_LENGTH or not storable(wanted):
        raise BadRequest(fields={"reference": f"has at most {REFERENCE_LENGTH} characters."})
    return wanted


async def _under(request: Request, wanted: str) -> Sequence[Referred]:
    actor = actor_of(request)
    only = None if actor.may("change_set.view") else actor.user_id
    async with desk_of(request).database.read() as session:
        return await progress.under(session, wanted, user_id=only, limit=MOST)


def _part(request: Request, referred: Referred) -> Part:
    change_set = referred.change_set
    words = deeds.deed(desk_of(request).registry, change_set.action)
    why = ""
    if change_set.state in UNFINISHED:
        why = "It is still being done."
    elif referred.open and not deeds.may_undo(request, change_set, change_set):
        why = "You may not undo it."
    elif referred.open:
        why = deeds.why_final(request, change_set)
    return Part(referred, words, deeds.amount(change_set), why)


def _stands(part: Part) -> bool:
    """Whether it is there to be undone."""
    return part.referred.open and not part.why


async def _orders(request: Request, parts: Sequence[Part], posted: Texts) -> dict[int, Order]:
    """The orders to undo these change sets, the newest first; what cannot be undone any more is left out."""
    orders = {}
    for part in parts:
        number = part.referred.change_set.id
        try:
            given = {**posted, "reference": part.referred.change_set.reference or ""}
            orders[number] = await _order(request, number, given)
        except (Forbidden, BadInput):
            raise
        except BackdeskError:
            continue
    return orders


async def _everything_form(
    request: Request,
    wanted: str,
    parts: Sequence[Part],
    orders: dict[int, Order],
    values: Texts,
    templates: Jinja2Templates,
    *,
    error: BadInput | None = None,
) -> Response:
    exact, outcomes, left = await _rehearsed(request, list(orders.values()))
    shown = [
        replace(part, outcome=outcomes.get(number), why=part.why or ("" if number in orders else "Nothing is to undo."))
        for part in parts
        if (part.referred.open or part.why) and (number := part.referred.change_set.id)
    ]
    whole = sum(outcomes.values(), Outcome())
    context = {
        "title": f"Undo everything under {wanted}",
        "reference": wanted,
        "parts": shown,
        "whole": whole,
        "exact": exact,
        "left": left,
        "url": path("change_set", "reference", "undo"),
        "page_url": path("change_set", "reference", reference=wanted),
        "values": values,
        "problems": error.fields or {"": error.message} if error else {},
        "key": values.get("key") or secrets.token_urlsafe(16),
        "changes": noun(AuditLog, whole.changed),
        "number": len(outcomes),
        "may_list": actor_of(request).may("change_set.view"),
    }
    name = "backdesk/change_set_reference_undo.html"
    return await render(request, templates, name, context, error.status if error else 200)


async def _rehearsed(request: Request, orders: Sequence[Order]) -> tuple[bool, dict[int, Outcome], list[undo.Left]]:
    """Whether all was tried, what became of each change set, and what would be left alone.

    Undone in turn and taken back; many changes are only looked at, one change set after the other.
    """
    desk = desk_of(request)
    exact = sum(order.chosen.requested for order in orders) <= desk.settings.inline_limit
    outcomes: dict[int, Outcome] = {}
    if not orders:
        return True, outcomes, []
    if not exact:
        async with desk.database.read() as session:
            for order in orders:
                outcomes[_of(order)] = await carry_out(session, order, replace(order.chosen, classify=True))
        return False, outcomes, []
    async with desk.database.rehearsal(replace(orders[0].acting, reason=None), UNDO.permission) as change:
        for order in orders:
            chosen = replace(order.chosen, change_set_id=change.id)
            outcomes[_of(order)] = await carry_out(change.session, order, chosen)
        left = await undo.left_alone(change.session, change.id)
    return True, outcomes, left


def _of(order: Order) -> int:
    """The change set that an order undoes."""
    return int(order.chosen.undo_of_id or 0)


async def _undo_all(request: Request, orders: dict[int, Order], key: str) -> Notice:
    """Undo the change sets in this order, each as a change set of its own, and report of all together.

    Once one is long work, those behind it are too, so that they are done in turn.
    """
    desk, limits = desk_of(request), desk_of(request).settings.limits
    waits = len(orders) > TOGETHER
    whole, promised, kept = Outcome(), 0, []
    for number, order in orders.items():
        waits = waits or order.chosen.requested > limits.inline
        try:
            allowed = replace(limits, inline=0) if waits else limits
            done = await perform(desk.database, order, allowed, idempotency_key=f"{key[:40]}-{number}")
        except BackdeskError as error:
            kept.append(f"Change set {number}: {error.message}")
            continue
        promised += done.outcome is None
        whole += done.outcome or Outcome()
    return _report(len(orders) - len(kept) - promised, whole, promised, kept)


def _report(undone: int, whole: Outcome, promised: int, kept: Sequence[str]) -> Notice:
    skipped = sum(whole.skipped.values())
    said = []
    if undone or not promised:
        said.append(f"{undone:,} change {'set' if undone == 1 else 'sets'} undone: {whole.changed:,} changes.")
    if skipped:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(whole.skipped.items()))
        said.append(f"{skipped:,} left alone ({reasons}).")
    if promised:
        said.append(f"{promised:,} {'is' if promised == 1 else 'are'} being worked on, one after the other.")
    return Notice(" ".join([*said, *kept])[:1_500], "warning" if kept or skipped else "success")
