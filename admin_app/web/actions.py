"""Actions in the browser: GET shows the form with what is chosen, POST performs it and says what happened."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqladmin.templating import Jinja2Templates
from sqlalchemy import func, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin_app.actions import Order, perform
from admin_app.errors import BadInput, BadRequest, Conflict, Forbidden, NotFound
from admin_app.inputs import Input, inputs_of
from admin_app.models import ChangeSet
from admin_app.plugin import Action, Chosen, Resource
from admin_app.queries import rules
from admin_app.queries.readable import humanized
from admin_app.web import forms
from admin_app.web.context import (
    Notice,
    acting,
    actor_of,
    desk_of,
    form_of,
    inside,
    path,
    redirect,
    render,
    text_fields,
    zone_of,
)

OWN_FIELDS = frozenset({"ids", "reason", "back", "confirmed", "key"})
SAMPLE = 10


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """GET, and a POST straight from a list, show the form; a POST from the form itself does it."""
    action = _action(request, resource)
    if request.method in {"GET", "HEAD"}:
        chosen = _chosen(resource, request.query_params.getlist("ids"))
        return await _form(request, resource, action, chosen, templates, back=request.query_params.get("back"))
    form = await form_of(request)
    chosen = _chosen(resource, [value for value in form.getlist("ids") if isinstance(value, str)])
    if not form.get("confirmed"):
        return await _form(request, resource, action, chosen, templates, back=_text(form, "back"))
    return await _perform(request, resource, action, chosen, form, templates)


async def _perform(
    request: Request,
    resource: Resource,
    action: Action,
    chosen: Chosen[Any],
    form: FormData,
    templates: Jinja2Templates,
) -> Response:
    desk, actor = desk_of(request), actor_of(request)
    given = _given(form, inputs_of(action.function))
    back, key = inside(_text(form, "back"), path(resource.name, "list")), _text(form, "key") or None
    try:
        order = Order(
            authority=actor,
            acting=acting(request, _text(form, "reason")),
            action=action,
            chosen=chosen,
            given=given,
            zone=zone_of(request),
        )
        done = await perform(desk.database, order, desk.settings.limits, idempotency_key=key)
    except BadInput as error:
        problems = {**text_fields(form), **given, "_problems": error.fields or {"": error.message}}
        return await _form(
            request, resource, action, chosen, templates, back=back, filled=problems, status=error.status
        )
    except Conflict:
        if key is None or (earlier := await _done_before(request, key)) is None:
            raise
        notice = Notice("This was sent twice and has been done once.", "info", path("change_set", "details", earlier))
        return redirect(request, back, notice)
    level = "success" if done.outcome and done.outcome.changed else "info"
    href = path("change_set", "details", done.change_set_id) if actor.may("change_set.view") else None
    return redirect(request, back, Notice(done.sentence, level, href, "See the change set" if href else None))


def _given(form: FormData, inputs: Sequence[Input]) -> dict[str, Any]:
    """What was filled in, also where nothing asks for it; of a field that picks several rows, all of them."""
    asked = {name for item in inputs for name in (item.name, f"{item.name}_lines")}
    unasked = {name: text for name, text in text_fields(form).items() if name not in OWN_FIELDS | asked}
    return unasked | forms.filled(form, inputs).texts


async def _done_before(request: Request, key: str) -> int | None:
    """The change set that was made with this form before, when a form is sent twice."""
    found = select(ChangeSet.id).where(ChangeSet.user_id == actor_of(request).user_id, ChangeSet.idempotency_key == key)
    async with desk_of(request).database.read() as session:
        return await session.scalar(found)


async def _form(
    request: Request,
    resource: Resource,
    action: Action,
    chosen: Chosen[Any],
    templates: Jinja2Templates,
    *,
    back: str | None,
    filled: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    desk, filled = desk_of(request), filled or {}
    async with desk.database.read() as session:
        key = resource.model.id  # type: ignore[attr-defined]
        rows = (
            await session.scalars(select(resource.model).where(chosen.where(key)).order_by(key).limit(SAMPLE))
        ).all()
        found = await session.scalar(select(func.count()).select_from(resource.model).where(chosen.where(key)))
        picked = await picked_labels(session, inputs_of(action.function), filled)
    inputs, problems = inputs_of(action.function), filled.get("_problems", {})
    tied = {"reason", *(item.name for item in inputs)}
    context = {
        "title": action.label,
        "action": action,
        "resource": resource,
        "inputs": inputs,
        "chosen": chosen,
        "found": found,
        "sample": rows,
        "values": filled,
        "picked": picked,
        "problems": problems,
        "loose_problems": [f"{humanized(name)} {text}".strip() for name, text in problems.items() if name not in tied],
        "back": inside(back, path(resource.name, "list")),
        "key": filled.get("key") or secrets.token_urlsafe(16),
        "url": path(resource.name, "do", action.permission),
        "lookup": path(resource.name, "lookup", action.permission),
    }
    return await render(request, templates, "backdesk/action.html", context, status=status)


async def picked_labels(session: Any, inputs: Sequence[Input], values: dict[str, Any]) -> dict[str, Any]:
    """How rows are called that were picked before, so that a form that comes back still names them.

    A label; of a field that picks several rows a list of (id, label).
    """
    labels = await forms.labels_for(session, inputs, values)
    items = [item for item in inputs if item.kind in {"record", "records"} and values.get(item.name)]
    return {item.name: forms.picked(item, values[item.name], labels) for item in items}


def _action(request: Request, resource: Resource) -> Action:
    action = desk_of(request).registry.actions.get(request.path_params["action"])
    if action is None or not issubclass(resource.model, action.model):
        raise NotFound
    actor = actor_of(request)
    if not (actor.may(action.permission) and actor.may(f"{resource.name}.view")):
        raise Forbidden(f"You may not do “{action.label}”. It needs the permission {action.permission}.")
    if rules.visible(actor, resource.model):
        raise Forbidden(f"You may not do “{action.label}”, because some of these records are hidden from you.")
    return action


def _chosen(resource: Resource, texts: list[str]) -> Chosen[Any]:
    """The chosen rows from `ids=1&ids=2` or `ids=1,2`; raises BadRequest for anything that is no id."""
    parts = [part for text in texts for part in text.split(",") if part.strip()]
    if wrong := [part for part in parts if not part.strip().isdecimal() or len(part) > 19]:
        raise BadRequest(f"“{wrong[0][:40]}” is no id; ids are whole numbers.")
    try:
        return Chosen.of(resource.model, (int(part) for part in parts))
    except BadInput as error:
        raise BadRequest(error.message) from error


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) else None
