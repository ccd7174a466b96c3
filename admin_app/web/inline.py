"""Editing one value in a list: its control in place of the cell, and saving it by the one road that forms take."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app import editing
from admin_app.editing import Editor, Filled, Saved, inputs_for, key_of, seen, texts_of, version_of
from admin_app.errors import BackdeskError, BadInput, ChangedMeanwhile, Conflict, Forbidden, NotFound
from admin_app.inputs import Input
from admin_app.plugin import Resource
from admin_app.queries import records, rows, rules
from admin_app.web import cells, forms
from admin_app.web.context import acting, actor_of, desk_of, form_of, path, render, zone_of
from admin_app.web.selecting import asked
from admin_app.web.table import Table


def editable(request: Request, resource: Resource) -> list[str]:
    """The columns of a resource's list that the viewer may edit there."""
    actor = actor_of(request)
    if not (resource.can_edit and actor.may(f"{resource.name}.edit") and actor.may(f"{resource.name}.view")):
        return []
    withheld = rules.withheld(actor, resource.model)
    return [name for name in resource.inline if name not in withheld]


@dataclass(frozen=True)
class Edited:
    """A value that is being edited: of which record, with which control, and what was read of it or typed into it."""

    resource: Resource
    record: Any
    item: Input
    sent: Filled

    @property
    def url(self) -> str:
        """Where it is asked for and sent to."""
        return path(self.resource.name, "inline", self.record.id, self.item.name)


async def answer(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """GET gives the control of one value; a POST saves it and gives the row as it is then, and what was done.

    What cannot be saved comes back as the control with what was typed and why: 422, or 409 where somebody else changed
    the value meanwhile. Raises NotFound for a column that cannot be edited here, Forbidden for those who may not.
    """
    posted = None if request.method in {"GET", "HEAD"} else await form_of(request)
    edited = await _opened(request, resource)
    if posted is None:
        return await _control(request, edited, templates)
    edited = replace(edited, sent=forms.filled(posted, [edited.item]))
    try:
        saved = await editing.update(_editor(request, edited), resource, edited.record.id, edited.sent)
    except ChangedMeanwhile:
        return await _overtaken(request, edited, templates)
    except (BadInput, Conflict) as error:
        return await _control(request, edited, templates, error=error)
    return await _saved(request, edited, saved, templates)


def _editor(request: Request, edited: Edited) -> Editor:
    return Editor(desk_of(request).database, actor_of(request), acting(request, edited.sent.reason), zone_of(request))


async def _opened(request: Request, resource: Resource) -> Edited:
    """The value that an address names, as it is now."""
    name, key = request.path_params["column"], key_of(request.path_params["id"])
    if name not in resource.inline:
        raise NotFound
    if name not in editable(request, resource):
        raise Forbidden(f"You may not edit this here. It needs the permission {resource.name}.edit.")
    async with desk_of(request).database.read() as session:
        record = await seen(session, actor_of(request), resource.model, key, resource.form)
    if why := rules.closed(actor_of(request), record):
        raise Forbidden(why)
    item = next(item for item in inputs_for(resource, actor_of(request), record) if item.name == name)
    present = texts_of(record, [item], zone_of(request))
    return Edited(resource, record, item, Filled(present, present, version=version_of(record)))


async def _control(
    request: Request,
    edited: Edited,
    templates: Jinja2Templates,
    *,
    error: BackdeskError | None = None,
    told: str = "",
) -> Response:
    """The control with what is in it, and what is wrong with that."""
    item, sent = edited.item, edited.sent
    text = sent.texts.get(item.name)
    problems = dict(error.fields) if isinstance(error, BadInput) and error.fields else {}
    loose = [text for name, text in problems.items() if name not in {item.name, "reason"}]
    async with desk_of(request).database.read() as session:
        labels = await forms.labels_for(session, [item], sent.texts)
    context = {
        "edited": edited,
        "item": item,
        "text": text,
        "original": sent.originals.get(item.name, ""),
        "picked": forms.picked(item, text, labels),
        "lookup": path(edited.resource.name, "lookup", item.name),
        "problem": problems.get(item.name),
        "reason_problem": problems.get("reason"),
        "told": told or (error.message if error and not problems else " ".join(loose)),
    }
    status = error.status if error else ChangedMeanwhile.status if told else 200
    return await render(request, templates, "backdesk/inline.html", context, status=status)


async def _overtaken(request: Request, edited: Edited, templates: Jinja2Templates) -> Response:
    """The control with what was typed, and who changed the value to what meanwhile; sending it again replaces that."""
    resource, item, zone = edited.resource, edited.item, zone_of(request)
    async with desk_of(request).database.read(snapshot=True) as session:
        record = await seen(session, actor_of(request), resource.model, edited.record.id, resource.form)
        present = texts_of(record, [item], zone)
        labels = await forms.labels_for(session, [item], present)
        by, _ = await records.last_change(session, resource.model, record.id)
    value = forms.shown(item, present[item.name], labels) or "nothing"
    told = f"{by or 'Somebody'} set this to “{value}” meanwhile. Save again to put yours in its place."
    sent = replace(edited.sent, originals=present, version=version_of(record))
    return await _control(request, replace(edited, record=record, sent=sent), templates, told=told)


async def _saved(request: Request, edited: Edited, saved: Saved, templates: Jinja2Templates) -> Response:
    """The row as it is now, with the columns that the list shows, and what was done, with a way to take it back."""
    resource, item = edited.resource, edited.item
    shown = request.query_params.get("columns", "")
    query = asked(request, resource, [("columns", shown)])
    async with desk_of(request).database.read() as session:
        key: Any = resource.model.id  # type: ignore[attr-defined]
        only = replace(query, among=key == saved.record.id)
        page = await rows.page_of(session, only, cells.shown_names(resource, query))
        labels = await forms.labels_for(session, [item], edited.sent.texts)
    value = forms.shown(item, edited.sent.texts.get(item.name), labels) or "empty"
    table = Table(request, resource, cells.columns(resource, query, lambda **instead: ""), selectable=False)
    context = {
        "row": page.rows[0],
        "cells": table.cells(page.rows[0]),
        "saved": saved,
        "said": f"{item.label} of {saved.record.label} is now {value}." if saved.changed else "Nothing was changed.",
        "change_set_url": path("change_set", "details", saved.change_set_id),
        "undo_url": path("change_set", saved.change_set_id, "undo"),
        "key": secrets.token_urlsafe(16),
    }
    return await render(request, templates, "backdesk/inline_saved.html", context)
