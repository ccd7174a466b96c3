"""Actions in the browser: what is chosen is kept, GET shows what would happen to it, POST does it and says what did."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqladmin.templating import Jinja2Templates
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin_app.actions import Order, Performed, Preview, perform, preview
from admin_app.errors import BadInput, BadRequest, Conflict, Forbidden, NotFound, Unavailable
from admin_app.inputs import Input, inputs_of
from admin_app.plugin import Action, Resource
from admin_app.queries import change_sets
from admin_app.queries.readable import humanized
from admin_app.queries.selections import UNFINISHED
from admin_app.web import deeds, forms, recipes, selecting
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
from admin_app.web.selecting import Choice

OWN_FIELDS = frozenset({"ids", "selection", "reason", "reference", "back", "confirmed", "key", "preview"})


@dataclass(frozen=True, kw_only=True)
class Page:
    """The page of an action: what is to be done to which rows, and where one comes from and goes back to."""

    request: Request
    resource: Resource
    action: Action
    choice: Choice
    templates: Jinja2Templates
    back: str

    @property
    def typed(self) -> str:
        """The number that has to be typed before anything is done; empty where none has to be."""
        return deeds.to_type(self.action, self.choice.number)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What was filled in so far, what is wrong with it by field, and what it would do."""

    values: Mapping[str, Any] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    preview: Preview | None = None
    status: int = 200


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """GET shows the form; a POST from a list keeps what is chosen and leads to it; one from the form does it."""
    action = _action(request, resource)
    shown = request.method in {"GET", "HEAD"}
    given = request.query_params if shown else await form_of(request)
    if not shown and "confirmed" not in given:
        return await _keep(request, resource, action, FormData(given), templates)
    asked = Page(
        request=request,
        resource=resource,
        action=action,
        choice=await selecting.chosen(request, resource, given),
        templates=templates,
        back=inside(_text(given, "back"), path(resource.name, "list")),
    )
    if shown:
        return await _show(asked, await _foreseen(asked))
    form = FormData(given)
    if form.get("preview"):
        return await _show(asked, await _tried(asked, form))
    return await _perform(asked, form)


async def _keep(
    request: Request, resource: Resource, action: Action, form: FormData, templates: Jinja2Templates
) -> Response:
    """Freeze what was chosen in a list, and lead on to it; back to the list where that cannot be."""
    back = selecting.home(resource, form)
    try:
        kept = await selecting.freeze(request, resource, form)
    except BadRequest:
        raise
    except BadInput as error:
        return redirect(request, back, Notice(error.message, "error"))
    if kept is None:
        choice = Choice(selecting.by_ids(resource, []))
        nothing = Page(request=request, resource=resource, action=action, choice=choice, templates=templates, back=back)
        return await _show(nothing, Filled())
    return redirect(request, path(resource.name, "do", action.permission, selection=kept, back=back))


async def _foreseen(page: Page) -> Filled:
    """What an opened form holds: what a recipe fills in; where nothing is missing, also what would happen."""
    form = await recipes.prefilled(page.request)
    unsaid = page.action.reason == "required" and not form.get("reason")
    if unsaid or (inputs_of(page.action.function) and not form) or not page.choice.number:
        return Filled(values=_values(page, form))
    return await _tried(page, form)


async def _tried(page: Page, form: FormData) -> Filled:
    """A form with what it would do, or with what is wrong with it."""
    desk, values = desk_of(page.request), _values(page, form)
    try:
        return Filled(values=values, preview=await preview(desk.database, _order(page, form), desk.settings.limits))
    except (BadInput, Forbidden, Conflict, Unavailable) as error:
        fields = error.fields if isinstance(error, BadInput) else {}
        return Filled(values=values, problems=fields or {"": error.message}, status=error.status)


async def _perform(page: Page, form: FormData) -> Response:
    request, desk = page.request, desk_of(page.request)
    key = _text(form, "key") or None
    try:
        deeds.check_typed(page.action, page.choice.number, _text(form, "confirmed") or "")
        done = await perform(desk.database, _order(page, form), desk.settings.limits, idempotency_key=key)
    except BadInput as error:
        problems = error.fields or {"": error.message}
        return await _show(page, Filled(values=_values(page, form), problems=problems, status=error.status))
    except Conflict:
        async with desk.database.read() as session:
            earlier = await change_sets.with_key(session, actor_of(request).user_id, key) if key else None
        if earlier is None:
            raise
        href = path("change_set", "details", earlier.id)
        if earlier.state in UNFINISHED:
            return redirect(request, href, Notice("This was sent twice and is being done once.", "info"))
        notice = Notice("This was sent twice and has been done once.", "info", href, "See the change set")
        return redirect(request, page.back, notice)
    return _done(page, done)


def _done(page: Page, done: Performed) -> Response:
    """Back to where one came from, saying what happened; or to the change set, where it is still happening."""
    href = path("change_set", "details", done.change_set_id)
    if done.outcome is None:
        return redirect(page.request, href, Notice(done.sentence, "info"))
    changed = done.outcome.changed and not page.action.final
    undo = path("change_set", done.change_set_id, "undo") if changed else None
    level = "success" if done.outcome.changed else "info"
    return redirect(page.request, page.back, Notice(done.sentence, level, href, "See the change set", undo))


def _order(page: Page, form: FormData) -> Order:
    return Order(
        authority=actor_of(page.request),
        acting=acting(page.request, _text(form, "reason"), reference=_text(form, "reference")),
        action=page.action,
        chosen=page.choice.chosen,
        given=_given(form, inputs_of(page.action.function)),
        zone=zone_of(page.request),
    )


def _given(form: FormData, inputs: Sequence[Input]) -> dict[str, Any]:
    """What was filled in, also where nothing asks for it; of a field that picks several rows, all of them."""
    asked = {name for item in inputs for name in (item.name, f"{item.name}_lines")}
    unasked = {name: text for name, text in text_fields(form).items() if name not in OWN_FIELDS | asked}
    return unasked | forms.filled(form, inputs).texts


def _values(page: Page, form: FormData) -> dict[str, Any]:
    """What the form shows again; raises BadInput as `forms.filled` does."""
    return {**text_fields(form), **_given(form, inputs_of(page.action.function))}


async def _show(page: Page, filled: Filled) -> Response:
    request, resource, action = page.request, page.resource, page.action
    inputs, values, problems = inputs_of(action.function), filled.values, filled.problems
    async with desk_of(request).database.read() as session:
        facts = await selecting.told(request, session, resource, page.choice)
        picked = await picked_labels(session, inputs, dict(values))
    tied = {"reason", "reference", "confirmed", *(item.name for item in inputs)}
    labels = {item.name: item.label for item in inputs}
    context = {
        "title": action.label,
        "action": action,
        "resource": resource,
        "inputs": inputs,
        "choice": page.choice,
        "values": values,
        "picked": picked,
        "problems": problems,
        "loose_problems": [f"{humanized(name)} {text}".strip() for name, text in problems.items() if name not in tied],
        "said_problems": [f"{labels.get(name) or humanized(name)}: {text}" for name, text in problems.items() if name]
        or list(problems.values()),
        "preview": filled.preview,
        "typed": page.typed,
        "back": page.back,
        "key": values.get("key") or secrets.token_urlsafe(16),
        "url": path(resource.name, "do", action.permission),
        "lookup": path(resource.name, "lookup", action.permission),
        "recipe_url": recipes.save_url(request, resource, action, page.choice, page.back),
        **facts,
    }
    return await render(request, page.templates, "backdesk/action.html", context, status=filled.status)


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
    return action


def _text(form: Any, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) else None
