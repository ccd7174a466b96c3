"""The page of a change set: what it does or did, live while it is under way, row by row, and what can be done then."""

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from sqladmin.templating import Jinja2Templates
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from admin_app import jobs
from admin_app.actions import Order, Performed, noun, perform, preview
from admin_app.editing import key_of
from admin_app.errors import BadInput, BadRequest, Forbidden, NotFound
from admin_app.models import AuditLog
from admin_app.queries import change_sets, previews, progress, undo
from admin_app.queries.progress import Story
from admin_app.queries.readable import table_label
from admin_app.queries.selections import UNFINISHED
from admin_app.web import deeds, facts, pages, selecting
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
)

AT_ONCE = 5_000
"""Changes up to which the page adds them up itself; more are added up after it, because that takes a moment."""

TOLD = frozenset({"state", "changed", "unchanged", "skipped", "failed", "reason", "reference"})
"""What the page says in words of its own."""


async def seen(request: Request) -> Story:
    """The change set that an address names: one's own, or anybody's for those who may see them; raises NotFound."""
    key = key_of(request.path_params["id"])
    async with desk_of(request).database.read() as session:
        return _own_or_seen(request, await progress.story(session, key))


def _own_or_seen(request: Request, story: Story | None) -> Story:
    if story is None or not (deeds.is_own(request, story.change_set) or actor_of(request).may("change_set.view")):
        raise NotFound
    return story


# ---- The page, and the part of it that is renewed every second


async def page(request: Request, templates: Jinja2Templates) -> Response:
    """Everything about one change set; it follows one that is under way by itself."""
    key = key_of(request.path_params["pk"])
    async with desk_of(request).database.read(snapshot=True) as session:
        story = _own_or_seen(request, await progress.story(session, key))
        context = await _state(request, session, story)
        context |= await _about(request, session, story)
        if context["ended"] and (story.change_set.changed <= AT_ONCE or request.query_params.get("changes") == "yes"):
            context |= await _changes(request, session, story)
        context["boxes"] = await pages.boxes(request, session, story.change_set, templates)
    return await render(request, templates, "backdesk/change_set.html", context)


async def state(request: Request, templates: Jinja2Templates) -> Response:
    """The part of the page that changes while work is under way; it asks for itself again until the work has ended."""
    key = key_of(request.path_params["id"])
    async with desk_of(request).database.read(snapshot=True) as session:
        story = _own_or_seen(request, await progress.story(session, key))
        context = await _state(request, session, story)
    context["renewed"] = True
    if context["ended"]:
        desk_of(request).queue_counts.forget(actor_of(request).user_id)
    return await render(request, templates, "backdesk/change_set_state.html", context)


async def changes(request: Request, templates: Jinja2Templates) -> Response:
    """What a change set changed, added up: the part of the page that comes after it where that takes a moment."""
    key = key_of(request.path_params["id"])
    async with desk_of(request).database.read(snapshot=True) as session:
        story = _own_or_seen(request, await progress.story(session, key))
        context = {"change_set": story.change_set, **await _changes(request, session, story)}
    return await render(request, templates, "backdesk/change_set_changes.html", context)


async def _state(request: Request, session: AsyncSession, story: Story) -> dict[str, Any]:
    change_set, registry = story.change_set, desk_of(request).registry
    ended = change_set.state not in UNFINISHED
    words, of_what = deeds.told(registry, story), deeds.amount(change_set)
    return {
        "title": f"Change set {change_set.id}: {words}",
        "heading": f"{words} · {of_what}" if of_what else words,
        "story": story,
        "change_set": change_set,
        "ended": ended,
        "line": None if ended else await progress.line(session, change_set.id),
        "pace": pace(story),
        "outcomes": shares(request, story),
        "failures": await progress.failures(session, change_set.id) if ended and change_set.failed else [],
        "undo": deeds.undo_offer(request, story),
        "undo_label": deeds.turn(story.turns + 1),
        "may_cancel": deeds.may_cancel(request, change_set),
        "may_retry": deeds.may_retry(request, change_set),
        "may_see_changes": _may_see_changes(request, story),
        "page_url": path("change_set", "details", change_set.id),
        "own_url": path("change_set", change_set.id),
        "key": secrets.token_urlsafe(16),
        "shown_at_once": change_set.changed <= AT_ONCE,
    }


@dataclass(frozen=True)
class Pace:
    """How fast rows are done, in rows a second, and how many seconds the rest takes at that pace."""

    rate: float
    left: float


def pace(story: Story) -> Pace | None:
    """The pace since the first row was changed; None while nothing can be said."""
    change_set, begun = story.change_set, story.begun or story.change_set.started_at
    if change_set.progressed_at is None or not story.done:
        return None
    seconds = (change_set.progressed_at - begun).total_seconds()
    rate = story.done / seconds if seconds > 0 else 0
    return Pace(rate, max(change_set.requested - story.done, 0) / rate) if rate else None


@dataclass(frozen=True)
class Share:
    """One outcome: which kind it is, its name in addresses, how many rows, their report, and their list."""

    kind: str
    name: str
    words: str
    number: int
    report: str
    listed: str


def shares(request: Request, story: Story) -> list[Share]:
    """What became of how many rows; skipped ones by reason, most first."""
    change_set = story.change_set
    counted = [
        ("changed", "changed", "undone" if change_set.undo_of_id else "changed", change_set.changed),
        ("unchanged", "unchanged", "were so already", change_set.unchanged),
    ]
    skipped = sorted(change_set.skipped.items(), key=lambda item: (-item[1], item[0]))
    counted += [("skipped", reason, f"skipped: {reason}", number) for reason, number in skipped]
    counted.append(("failed", "failed", "failed, and stayed as they were", change_set.failed))
    return [_share(request, story, *row) for row in counted if row[3]]


def _share(request: Request, story: Story, kind: str, name: str, words: str, number: int) -> Share:
    change_set = story.change_set
    report = path("change_set", change_set.id, "rows", outcome=name) if change_set.requested else ""
    resource = deeds.resource_of(request, change_set)
    listable = (
        resource is not None and resource.model is not AuditLog and actor_of(request).may(f"{resource.name}.view")
    )
    listed = path(resource.name, "list", change_set=change_set.id, outcome=name) if resource and listable else ""
    return Share(kind, name, words, number, report, listed)


async def _about(request: Request, session: AsyncSession, story: Story) -> dict[str, Any]:
    """The facts at the side: who, when, why, with what, and where it came from."""
    desk, change_set = desk_of(request), story.change_set
    inputs = await deeds.inputs(request, session, change_set)
    record = _record(request, story)
    hidden = TOLD | ({"parameters"} if change_set.requested or record else set())
    known = facts.facts(request, desk.registry.resource("change_set"), change_set, {})
    return {
        "facts": [fact for fact in known if fact.name not in hidden],
        "inputs": inputs,
        "selection": await _selection(request, session, story),
        "record": record,
        "reference_url": path("change_set", "reference", reference=change_set.reference),
        "may_list": actor_of(request).may("change_set.view"),
    }


async def _selection(request: Request, session: AsyncSession, story: Story) -> facts.Link | None:
    """The filter that found the rows, in words, as a link to what it finds today."""
    resource = deeds.resource_of(request, story.change_set)
    if not story.filter or resource is None or not actor_of(request).may(f"{resource.name}.view"):
        return None
    words = story.filter
    with suppress(BadRequest):  # a filter of a plugin that is gone is shown as it was written
        query = selecting.asked(request, resource, parse_qsl(story.filter, keep_blank_values=True))
        chips = await selecting.chips(request, session, resource, query)
        words = " · ".join(f"{chip.label}: {chip.value}" for chip in chips) or f"All {resource.label_plural.lower()}"
    return facts.Link(words, f"{path(resource.name, 'list')}?{story.filter}")


def _record(request: Request, story: Story) -> facts.Link | None:
    """The one record that a form changed."""
    resource, key = deeds.resource_of(request, story.change_set), story.change_set.parameters.get("id")
    if resource is None or not isinstance(key, int) or not actor_of(request).may(f"{resource.name}.view"):
        return None
    return facts.Link(f"{resource.label} {key}", path(resource.name, "details", key))


def _may_see_changes(request: Request, story: Story) -> bool:
    return deeds.is_own(request, story.change_set) or actor_of(request).may("audit_log.view")


async def _changes(request: Request, session: AsyncSession, story: Story) -> dict[str, Any]:
    """The changes added up, and the first of them one by one."""
    if not _may_see_changes(request, story) or story.change_set.state in UNFINISHED:
        return {"effects": None}
    effects = await previews.effects(session, story.change_set.id)
    about = undo.chosen_in(story.first)
    samples = await previews.samples(session, story.change_set.id, about) if effects else []
    number = len(samples)
    may = actor_of(request).may("audit_log.view")
    return {
        "effects": effects,
        "samples": [(sample, _sampled(request, sample)) for sample in samples],
        "more": sum(effect.number for effect in effects) > number,
        "log_url": path("audit_log", "list", change_set=story.change_set.id) if may and effects else "",
    }


def _sampled(request: Request, sample: previews.Sample) -> str:
    """The page of a sample's record; empty where it is gone, with what belonged to it."""
    gone = sample.part and sample.record == sample.record_id
    return "" if gone else place(request, sample.kind, sample.record_id, sample.verb)


def place(request: Request, kind: str, record_id: str, verb: str = "") -> str:
    """The page of a record that the audit log names by its kind; empty where there is none for the viewer."""
    resources = desk_of(request).registry.resources.values()
    found = next((one for one in resources if table_label(one.model.__tablename__) == kind), None)
    if (
        found is None
        or not record_id.isdecimal()
        or verb == "deleted"
        or not actor_of(request).may(f"{found.name}.view")
    ):
        return ""
    return path(found.name, "details", record_id)


# ---- Cancelling, and trying again


async def cancel(request: Request, templates: Jinja2Templates) -> Response:
    """Stop work; what is done stays done."""
    await form_of(request)
    change_set, actor = (await seen(request)).change_set, actor_of(request)
    await jobs.cancel(desk_of(request).database, actor, acting(request), change_set.id, actor.full_name)
    notice = Notice("Cancelled. What was done before is kept; it can be undone.", "info")
    return redirect(request, path("change_set", "details", change_set.id), notice)


async def retry(request: Request, templates: Jinja2Templates) -> Response:
    """Show what trying again would do to the rows that failed; the form there does it."""
    form = text_fields(await form_of(request))
    story, desk = await seen(request), desk_of(request)
    key = form.get("key", "")
    if "confirmed" in form and (earlier := await done_before(request, key)):
        return sent_twice(request, earlier)
    order = await _again(request, story, form)
    if "confirmed" not in form:
        return await _retry_form(request, story, order, templates)
    try:
        deeds.check_typed(order.action, order.chosen.requested, form["confirmed"])
        done = await perform(desk.database, order, desk.settings.limits, idempotency_key=key or None)
    except BadInput as error:
        return await _retry_form(request, story, order, templates, form=form, error=error)
    return redirect(request, path("change_set", "details", done.change_set_id), told(done, done.sentence))


def told(done: Performed, sentence: str) -> Notice | None:
    """What is said on the page of a change set that was just done; of long work the page itself tells how far it is."""
    if done.outcome is None:
        return None
    return Notice(sentence, "success" if done.outcome.changed else "info")


async def _again(request: Request, story: Story, form: dict[str, str]) -> Order:
    """The order to do again what failed, by the viewer; raises Forbidden or Conflict."""
    desk, actor, change_set = desk_of(request), actor_of(request), story.change_set
    action = deeds.action_of(request, change_set)
    if action is not None and not actor.may(action.permission):
        raise Forbidden(f"You may not do “{action.label}”. It needs the permission {action.permission}.")
    reason = form.get("reason", change_set.reason or "")
    acts = acting(request, reason, reference=form.get("reference", change_set.reference or "") or None)
    return await jobs.retry(desk.database, desk.registry, actor, acts, change_set.id, desk.settings.limits)


async def _retry_form(
    request: Request,
    story: Story,
    order: Order,
    templates: Jinja2Templates,
    *,
    form: dict[str, str] | None = None,
    error: BadInput | None = None,
) -> Response:
    desk, change_set = desk_of(request), story.change_set
    plain = replace(order, acting=replace(order.acting, reason=order.acting.reason or "again", reference=None))
    if error is not None:
        plain = replace(plain, acting=replace(plain.acting, reason="again"))
    async with desk.database.read() as session:
        why = await progress.failures(session, change_set.id)
        inputs = await deeds.inputs(request, session, change_set)
    context = {
        "title": f"Try again: {order.action.label}",
        "heading": f"Try again: {order.action.label}",
        "explained": "The rows that failed are tried once more, as a change set of its own.",
        "button": f"Try {order.chosen.requested:,} {noun(order.chosen.model, order.chosen.requested)} again",
        "change_set": change_set,
        "preview": await preview(desk.database, plain, desk.settings.limits),
        "noun": noun(order.chosen.model, order.chosen.requested),
        "failures": why,
        "inputs": inputs,
        "url": path("change_set", change_set.id, "retry"),
        "page_url": path("change_set", "details", change_set.id),
        "values": form or {"reason": change_set.reason or "", "reference": change_set.reference or ""},
        "typed": deeds.to_type(order.action, order.chosen.requested),
        "needs_reason": order.action.reason == "required",
        "problems": error.fields or {"": error.message} if error else {},
        "key": (form or {}).get("key") or secrets.token_urlsafe(16),
        "always": True,
        "may_list": actor_of(request).may("change_set.view"),
    }
    return await render(request, templates, "backdesk/change_set_turn.html", context, error.status if error else 200)


async def done_before(request: Request, key: str) -> int | None:
    """The change set that this form made before, when a form is sent twice."""
    if not key:
        return None
    async with desk_of(request).database.read() as session:
        found = await change_sets.with_key(session, actor_of(request).user_id, key)
    return found.id if found else None


def sent_twice(request: Request, change_set_id: int) -> Response:
    """The way to what was done when a form was sent for the first time."""
    notice = Notice("This was sent twice and has been done once.", "info")
    return redirect(request, path("change_set", "details", change_set_id), notice)
