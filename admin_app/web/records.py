"""The pages of one record, whatever its resource: what is known of it, its forms, and saving them as change sets."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app import editing
from admin_app.editing import (
    Editor,
    Filled,
    Saved,
    Texts,
    differences,
    inputs_for,
    key_of,
    made_before,
    seen,
    texts_of,
    version_of,
)
from admin_app.errors import BackdeskError, BadInput, ChangedMeanwhile, Conflict, Forbidden, NotFound
from admin_app.inputs import TEXT_LENGTH, Input
from admin_app.models import Comment, SoftDelete, Ticket
from admin_app.plugin import Resource
from admin_app.queries import comments, records, rules
from admin_app.web import facts, forms, pages
from admin_app.web.context import (
    Notice,
    acting,
    actor_of,
    desk_of,
    form_of,
    path,
    record_path,
    redirect,
    render,
    text_fields,
    zone_of,
)
from admin_app.web.related import beside, related

# What is known of a record


async def details(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """Everything that is known of one record, what can be done to it, and the panels of plugins."""
    return await show(request, resource, key_of(request.path_params["pk"]), templates)


async def show(
    request: Request,
    resource: Resource,
    key: int,
    templates: Jinja2Templates,
    *,
    problems: Mapping[str, str] | None = None,
    typed: str = "",
    status: int = 200,
) -> Response:
    """The page of a record; with `problems` by form and what was typed, after a form on it could not be saved."""
    visible = rules.visible(actor_of(request), resource.model)
    async with desk_of(request).database.glance() as session:
        names, more = (*resource.details, "deleted_by"), beside(request, resource.model)
        found = await records.shown(session, resource.model, key, names, beside=more, where=visible)
        if found is None:
            raise NotFound
        record, known = found
        around = await related(request, session, record, known)
        boxes = await pages.boxes(request, session, record, templates)
    trashed = isinstance(record, SoftDelete) and record.deleted_at is not None
    context = {
        "title": record.label,
        "resource": resource,
        "record": record,
        "trashed": trashed,
        "deleted_by": known.get("deleted_by"),
        "facts": facts.facts(request, resource, record, known),
        "actions": _actions(request, resource, record, "trash" if trashed else "record"),
        "edit_url": path(resource.name, "edit", key) if _may_edit(request, resource, record) else None,
        "boxes": boxes,
        "problems": problems or {},
        "typed": typed,
        "key": secrets.token_urlsafe(16),
        **around,
    }
    return await render(request, templates, "backdesk/details.html", context, status=status)


def _may_edit(request: Request, resource: Resource, record: Any) -> bool:
    actor, possible = actor_of(request), resource.can_edit and bool(resource.form)
    return possible and actor.may(f"{resource.name}.edit") and rules.closed(actor, record) is None


def _actions(request: Request, resource: Resource, record: Any, place: str) -> list[dict[str, Any]]:
    """What this person may do to a record that is live, or in the trash; each leads to the action's form."""
    actor, about = actor_of(request), {"ids": record.id, "back": record_path(resource, record)}
    return [
        {
            "label": action.label,
            "icon": action.icon,
            "danger": action.danger,
            "key": action.key,
            "href": path(resource.name, "do", action.permission, **about),
        }
        for action in desk_of(request).registry.actions_for(resource.model)
        if place in action.where and actor.may(action.permission)
    ]


# Forms


async def create(request: Request, view: Any, templates: Jinja2Templates) -> Response:
    """The form of a new record, and saving it."""
    resource: Resource = view.resource
    inputs = inputs_for(resource, actor_of(request))
    if request.method in {"GET", "HEAD"}:
        opened = Filled(
            forms.opening(inputs, request.query_params, zone_of(request)), {}, key=secrets.token_urlsafe(16)
        )
        return await _form(request, resource, inputs, opened, templates)
    sent = forms.filled(await form_of(request), inputs)
    try:
        record = await view.insert_model(request, vars(sent))
    except (BadInput, Conflict) as error:
        earlier = await made_before(_editor(request), resource.model, sent.key) if isinstance(error, Conflict) else None
        if earlier is None:
            return await _form(request, resource, inputs, sent, templates, error=error)
        notice = Notice("This was sent twice and has been saved once.", "info")
        return redirect(request, path(resource.name, "details", earlier), notice)
    return redirect(request, record_path(resource, record), Notice(f"{resource.label} “{record.label}” is saved."))


async def edit(request: Request, view: Any, templates: Jinja2Templates) -> Response:
    """The form of a record, saving it, and what to do when somebody else saved it first."""
    resource: Resource = view.resource
    key, zone = key_of(request.path_params["pk"]), zone_of(request)
    posted = None if request.method in {"GET", "HEAD"} else await form_of(request)
    async with desk_of(request).database.glance() as session:
        record = await seen(session, actor_of(request), resource.model, key, resource.form)
    inputs = inputs_for(resource, actor_of(request), record)
    present = texts_of(record, inputs, zone)
    if posted is None:
        opened = Filled(present, present, version=version_of(record))
        return await _form(request, resource, inputs, opened, templates, record=record)
    sent = forms.filled(posted, inputs)
    if "again" in posted:
        opened = replace(sent, texts={**present, **sent.texts})
        return await _form(request, resource, inputs, opened, templates, record=record)
    try:
        saved = await view.update_model(request, str(key), vars(sent))
    except ChangedMeanwhile:
        return await _conflict(request, resource, key, inputs, sent, templates)
    except (BadInput, Conflict) as error:
        return await _form(request, resource, inputs, sent, templates, record=record, error=error)
    notice = Notice("Your changes are saved.") if saved.changed else Notice("Nothing was changed.", "info")
    return redirect(request, record_path(resource, saved.record), notice)


async def insert(request: Request, resource: Resource, data: dict[str, Any]) -> Any:
    """Make a record of what a form holds (`Filled`, as a dict), as a change set; gives back the record."""
    return (await editing.insert(_editor(request), resource, Filled(**data))).record


async def update(request: Request, resource: Resource, pk: str, data: dict[str, Any]) -> Saved:
    """Change a record as a form asks (`Filled`, as a dict), as a change set."""
    sent = Filled(**data)
    return await editing.update(_editor(request, sent.reason), resource, key_of(pk), sent)


def _editor(request: Request, reason: str | None = None) -> Editor:
    """The signed-in person as who edits."""
    return Editor(desk_of(request).database, actor_of(request), acting(request, reason), zone_of(request))


@dataclass(frozen=True)
class Field:
    """One field of a form as it is shown."""

    item: Input
    text: Any
    problem: str | None
    lookup: str
    picked: Any
    focus: bool

    @property
    def is_wide(self) -> bool:
        """Whether it takes a line of its own."""
        return self.item.kind in {"text", "long_text", "records"}


async def _form(
    request: Request,
    resource: Resource,
    inputs: Sequence[Input],
    sent: Filled,
    templates: Jinja2Templates,
    *,
    record: Any = None,
    error: BackdeskError | None = None,
) -> Response:
    """The form with what was filled in, and with every problem at its field."""
    problems = _problems(error)
    if record is not None and sent.texts == sent.originals:
        labels = forms.labels_of(record, inputs)
    else:
        async with desk_of(request).database.glance() as session:
            labels = await forms.labels_for(session, inputs, sent.texts)
    focus = next((item.name for item in inputs if item.name in problems), inputs[0].name)
    fields = [
        Field(
            item,
            sent.texts.get(item.name),
            problems.pop(item.name, None),
            path(resource.name, "lookup", item.name),
            forms.picked(item, sent.texts.get(item.name), labels),
            item.name == focus,
        )
        for item in inputs
    ]
    here = path(resource.name, "edit", record.id) if record is not None else path(resource.name, "create")
    context = {
        "title": f"Edit {record.label}" if record is not None else f"New {resource.label.lower()}",
        "resource": resource,
        "record": record,
        "groups": [(wide, list(group)) for wide, group in groupby(fields, key=lambda field: field.is_wide)],
        "problem_count": sum(1 for field in fields if field.problem) + ("reason" in problems),
        "reason_problem": problems.pop("reason", None),
        "loose_problems": list(problems.values()),
        "sent": sent,
        "originals": _flat(sent.originals),
        "url": here,
        "cancel": record_path(resource, record) if record is not None else path(resource.name, "list"),
    }
    return await render(request, templates, "backdesk/form.html", context, status=error.status if error else 200)


def _problems(error: BackdeskError | None) -> dict[str, str]:
    """By field, what is wrong; what belongs to no field under the empty name."""
    if error is None:
        return {}
    return dict(error.fields) if isinstance(error, BadInput) and error.fields else {"": error.message}


def _flat(texts: Texts) -> list[tuple[str, str]]:
    """Names and texts as a form sends them: several rows as the same name several times."""
    return [(name, text) for name, texts in texts.items() for text in (texts if isinstance(texts, list) else [texts])]


async def _conflict(
    request: Request, resource: Resource, key: int, inputs: Sequence[Input], sent: Filled, templates: Jinja2Templates
) -> Response:
    """What both people changed, side by side; sending it again saves on top of the present version."""
    async with desk_of(request).database.read(snapshot=True) as session:
        record: Any = await records.one(session, resource.model, key, resource.form)
        present = texts_of(record, inputs, zone_of(request))
        labels = await forms.labels_for(session, inputs, sent.originals, present, sent.texts)
        by, at = await records.last_change(session, resource.model, key)
    found = differences(inputs, sent, present)
    first = next((difference for difference in found if difference.is_clash), None)
    rows = [
        {
            "difference": difference,
            "focus": difference is first,
            "merged": _flat({difference.item.name: difference.merged}),
            **forms.read(difference, labels),
        }
        for difference in found
    ]
    context = {
        "title": f"Edit {record.label}",
        "resource": resource,
        "record": record,
        "rows": rows,
        "by": by,
        "at": at,
        "sent": replace(sent, version=version_of(record)),
        "originals": _flat(present),
        "url": path(resource.name, "edit", key),
        "cancel": record_path(resource, record),
    }
    return await render(request, templates, "backdesk/conflict.html", context, status=ChangedMeanwhile.status)


# Comments


async def comment(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """Add a comment to a ticket: an internal note, unless the button that answers the customer was pressed."""
    key, actor = key_of(request.path_params["id"]), actor_of(request)
    if resource.model is not Ticket:
        raise NotFound
    fields = text_fields(await form_of(request))
    public = fields.get("send") == "public"
    for permission in ("ticket.view", "comment.create", *(("comment.public",) if public else ())):
        if not actor.may(permission):
            raise Forbidden(f"You may not do this. It needs the permission {permission}.")
    content = fields.get("content", "").replace("\r\n", "\n").strip()
    try:
        if len(content) > TEXT_LENGTH:
            raise BadInput(fields={"content": f"has {len(content):,} characters; at most {TEXT_LENGTH:,} fit."})
        async with desk_of(request).database.transaction(
            acting(request),
            "comment.add",
            parameters={"ticket": key, "public": public},
            idempotency_key=fields.get("key") or None,
        ) as change:
            made = await comments.add(change.session, key, actor.user_id, content, is_internal=not public)
            change.counts.changed = 1
    except (BadInput, NotFound, Conflict) as error:
        here = path(resource.name, "details", key)
        if isinstance(error, Conflict) and await made_before(_editor(request), Comment, fields.get("key", "")):
            return redirect(request, here, Notice("This was sent twice and has been saved once.", "info"))
        found = error.fields.get("content") if isinstance(error, BadInput) else None
        problems = {"comment": found or error.message}
        return await show(request, resource, key, templates, problems=problems, typed=content, status=error.status)
    said = "Your answer is saved; the customer can read it." if public else "Your internal note is saved."
    return redirect(request, f"{path(resource.name, 'details', key)}#comment-{made.id}", Notice(said))
