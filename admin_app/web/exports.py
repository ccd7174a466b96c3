"""“My exports”: the files that were ordered by whoever looks, how far they are, and fetching and cancelling them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from admin_app.editing import key_of
from admin_app.errors import Conflict
from admin_app.exports import store
from admin_app.exports.layout import MEDIA
from admin_app.models import Export
from admin_app.queries import export_jobs
from admin_app.web import exporting, panel
from admin_app.web.context import Notice, acting, actor_of, desk_of, form_of, path, redirect, render, zone_of
from admin_app.web.exporting import HOME, KINDS

GUARDED = {"content-security-policy": "default-src 'none'; sandbox", "cache-control": "private, no-store"}
"""Whatever a file holds, a browser saves it and runs nothing of it."""


@dataclass(frozen=True)
class Line:
    """An export as it is listed: of what, as what, and where its file is fetched while it can be."""

    export: Export
    what: str
    filter: str
    kind: str
    size: str
    file_url: str
    cancel_url: str
    list_url: str


async def page(request: Request, templates: Jinja2Templates) -> Response:
    """The viewer's own exports."""
    context = {"title": "My exports", **await _state(request)}
    return await render(request, templates, "backdesk/exports.html", context)


async def state(request: Request, templates: Jinja2Templates) -> Response:
    """The part of the page that changes; it asks for itself again while a file is being made."""
    return await render(request, templates, "backdesk/exports_state.html", await _state(request))


async def _state(request: Request) -> dict[str, Any]:
    async with desk_of(request).database.read() as session:
        found = await export_jobs.of_person(session, actor_of(request).user_id)
    return {
        "lines": [_line(request, export) for export in found],
        "working": any(export.state in export_jobs.UNFINISHED for export in found),
        "state_url": path("exports", "state"),
        "exports_url": HOME,
        "hours": desk_of(request).settings.export_hours,
    }


def _line(request: Request, export: Export) -> Line:
    resource = desk_of(request).registry.resources.get(export.resource)
    what = resource.label_plural if resource else export.resource
    kind = export.layout["kind"]
    return Line(
        export,
        "Selected " + what.lower() if export.selection_id else what,
        export.filter if not export.selection_id else "",
        KINDS.get(kind, kind),
        size_of(export.size_bytes),
        path("exports", export.id, "file") if export.file_key else "",
        path("exports", export.id, "cancel") if export.state in export_jobs.UNFINISHED else "",
        panel.with_query(path(resource.name, "list"), parse_qsl(export.filter)) if resource else "",
    )


def size_of(number: int) -> str:
    """Bytes as people say them: `3.2 MB`."""
    if number < 1_000_000:
        return f"{number / 1_000:,.0f} kB" if number else ""
    return f"{number / 1_000_000:,.1f} MB"


async def file(request: Request, templates: Jinja2Templates) -> Response:
    """The file of an export, for whoever ordered it and nobody else, until it expires; fetching it is recorded.

    Raises NotFound, or Forbidden for somebody who may not export these records any more.
    """
    desk, key = desk_of(request), key_of(request.path_params["id"])
    async with desk.database.read() as session:
        export = await export_jobs.file_of(session, key, actor_of(request).user_id)
    resource = desk.registry.resource(export.resource)
    exporting.require(request, resource)
    place = await store.files_of(desk.settings).find(export.file_key or "")
    if request.method == "GET":
        facts = {"export": export.id, "rows": export.rows, "bytes": export.size_bytes}
        async with desk.database.transaction(acting(request), f"{resource.name}.download", parameters=facts):
            pass
    kind = export.layout["kind"]
    name = f"{resource.name}-{export.created_at.astimezone(zone_of(request)):%Y-%m-%d}-{export.id}.{kind}"
    return FileResponse(place, media_type=MEDIA[kind], filename=name, headers=GUARDED)


async def cancel(request: Request, templates: Jinja2Templates) -> Response:
    """Stop an export of the viewer's own."""
    await form_of(request)
    desk, key, mine = desk_of(request), key_of(request.path_params["id"]), actor_of(request).user_id
    async with desk.database.bookkeeping() as session:
        await export_jobs.one(session, key, mine)
        if not await export_jobs.cancel(session, key, mine):
            raise Conflict("This export has ended already, so there is nothing to cancel.")
    return redirect(request, HOME, Notice("The export is cancelled.", "info"))


ROUTES: tuple[tuple[str, tuple[str, ...], Callable[[Request, Jinja2Templates], Awaitable[Response]]], ...] = (
    ("/exports", ("GET",), page),
    ("/exports/state", ("GET",), state),
    ("/exports/{id}/file", ("GET",), file),
    ("/exports/{id}/cancel", ("POST",), cancel),
)
"""The pages of exports, which people see of their own only."""
