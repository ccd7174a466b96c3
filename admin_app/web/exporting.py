"""Exports: a list, or what was selected in it, as a file, recorded as a change set before the first row leaves.

What is large is made in the background, once that is confirmed; its file is then found under “My exports”.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from sqladmin.templating import Jinja2Templates
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from admin_app.errors import BadInput, BadRequest, Forbidden
from admin_app.exports import jobs
from admin_app.exports.jobs import Asked
from admin_app.exports.layout import MEDIA, OPTIONS, Layout, offered, unnamed, usual
from admin_app.exports.writing import write
from admin_app.logs import structlog
from admin_app.models import Door
from admin_app.plugin import Resource
from admin_app.queries import rows
from admin_app.queries.export import Extract, Sink, unhurried
from admin_app.queries.listing import APPEARANCE, ListQuery
from admin_app.queries.touched import is_noted
from admin_app.web import panel, selecting
from admin_app.web.context import Notice, acting, actor_of, desk_of, form_of, path, redirect, render, zone_of

logger = structlog.get_logger("backdesk.exports")

FIELDS = {f"export_{name}": name for name in OPTIONS}
"""The fields of a list's form that say how a selection is exported, and the parameters that they become."""
HOME = path("exports")
CSV, EXCEL, LINES = "CSV, for spreadsheets", "Excel workbook", "JSON Lines, for programs"
KINDS = {"csv": CSV, "xlsx": EXCEL, "jsonl": LINES}


@dataclass(frozen=True)
class Wanted:
    """A file that is asked for: of what, how it is written, and the selection it is of."""

    resource: Resource
    query: ListQuery
    layout: Layout
    selection_id: int | None

    @property
    def filter(self) -> str:
        """What the list was asked for, without where in it one was and how it looked."""
        return panel.encoded(self.query.alone.pairs(**APPEARANCE))

    def asked(self, request: Request, expected: int) -> Asked:
        """The same with about how many rows it will have, to be written down."""
        zone = str(zone_of(request))
        return Asked(self.resource, self.layout, self.filter, expected, zone, self.selection_id)


async def select(request: Request, resource: Resource) -> Response:
    """Keep what was ticked in a list's form, and lead on to its file; back to the list where that cannot be."""
    require(request, resource)
    form = await form_of(request)
    options = [(name, value) for field, name in FIELDS.items() if (value := _text(form, field))]
    Layout.parse(resource, kind := request.path_params["export_type"], options)
    try:
        kept = await selecting.freeze(request, resource, form)
    except BadRequest:
        raise
    except BadInput as error:
        return redirect(request, selecting.home(resource, form), Notice(error.message, "error"))
    if kept is None:
        notice = Notice("Nothing is selected. Tick the rows in the list first.", "info")
        return redirect(request, selecting.home(resource, form), notice)
    pairs = [("selection", str(kept)), *options]
    return redirect(request, panel.with_query(path(resource.name, "export", kind), pairs))


async def export(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """Every row of a list, or of `selection=5`, as a file; where that takes long, a page on which it can be ordered.

    Raises NotFound for unknown formats, and BadRequest for what cannot be understood.
    """
    require(request, resource)
    desk, kind = desk_of(request), request.path_params["export_type"]
    wanted = await wish(request, resource, kind, request.query_params.multi_items())
    inline = desk.settings.export_inline
    async with desk.database.read() as session:
        expected = await rows.count_of(session, wanted.query, inline)
    if expected > inline:
        return await _too_large(request, wanted, templates)
    return await sent(request, wanted, expected)


async def wish(
    request: Request, resource: Resource, kind: str, given: Iterable[tuple[str, str]], *, bom: bool = True
) -> Wanted:
    """What the parameters of an export ask for.

    Raises NotFound for an unknown format or somebody else's selection, and BadRequest naming each wrong parameter.
    """
    layout, rest = Layout.parse(resource, kind, given, bom=bom)
    numbers = [value for name, value in rest if name == "selection" and value]
    if not numbers:
        query = selecting.asked(request, resource, [pair for pair in rest if pair[0] != "selection"])
        return Wanted(resource, await _understood(request, query), layout, None)
    choice = await selecting.chosen(request, resource, QueryParams([("selection", numbers[-1])]))
    assert choice.selection is not None  # noqa: S101  it was named
    query = selecting.asked(request, resource, parse_qsl(choice.selection.filter, keep_blank_values=True))
    among = choice.chosen.where(resource.model.id)  # type: ignore[attr-defined]
    return Wanted(resource, replace(query, among=among), layout, choice.selection.id)


async def _understood(request: Request, query: ListQuery) -> ListQuery:
    """A list with what the database knows of its words, and without the audit log where that is not needed."""
    async with desk_of(request).database.read() as session:
        query = await query.understood(session)
        noted = query.change_set is not None and await is_noted(session, query.change_set)
    return replace(query, audited=not noted)


async def sent(request: Request, wanted: Wanted, expected: int, door: Door = Door.WEB) -> Response:
    """The file, which is written while it is sent; that it was asked for is recorded first."""
    desk, resource, layout = desk_of(request), wanted.resource, wanted.layout
    parameters = jobs.parameters_of(wanted.asked(request, expected))
    async with desk.database.transaction(acting(request, door=door), f"{resource.name}.export", parameters=parameters):
        pass
    hidden = unnamed(desk.registry.resources.values(), actor_of(request), resource)
    extract: Extract = layout.extract(resource, wanted.query, hidden)

    async def written(sink: Sink) -> None:
        async with desk.database.read() as session:
            await unhurried(session, desk.settings.export_minutes)
            await write(session, extract, layout, sink)

    return Download(written, filename(resource, layout.kind, zone_of(request)), MEDIA[layout.kind])


def filename(resource: Resource, kind: str, zone: Any) -> str:
    """What a file is called that is made now."""
    return f"{resource.name}-{datetime.now(zone):%Y-%m-%d}.{kind}"


class Download(Response):
    """A file that is sent while it is written, as fast as the reader takes it.

    What fails before the first piece is told as anywhere else. What fails later leaves the answer without its end, so
    that no reader takes the half for the whole. A reader who goes away ends the writing.
    """

    def __init__(self, write: Callable[[Sink], Awaitable[None]], name: str, media_type: str) -> None:
        super().__init__(media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})
        del self.headers["content-length"]
        self.write, self.started = write, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await self._piece(send, b"", more=False)
            return
        writing = asyncio.create_task(self._write(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not writing.done():
                logger.info("the reader of an export left", path=scope["path"])
                return
            writing.result()
        finally:
            for task in (writing, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    async def _write(self, send: Send) -> None:
        async def piece(data: bytes) -> None:
            await self._piece(send, data, more=True)

        await self.write(piece)
        await self._piece(send, b"", more=False)

    async def _piece(self, send: Send, data: bytes, *, more: bool) -> None:
        if not self.started:
            self.started = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": data, "more_body": more})


async def _left(receive: Receive) -> None:
    """Wait until whoever asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


# What is too large to wait for


async def _too_large(request: Request, wanted: Wanted, templates: Jinja2Templates) -> Response:
    """The page that says so, and on which the file can be ordered."""
    resource = wanted.resource
    given = request.query_params.multi_items()
    context = {
        "title": f"Export {resource.label_plural.lower()}",
        "resource": resource,
        "kind": KINDS[wanted.layout.kind],
        "inline": desk_of(request).settings.export_inline,
        "hours": desk_of(request).settings.export_hours,
        "exports_url": HOME,
        "order_url": path(resource.name, "order", wanted.layout.kind),
        "address": panel.encoded(given),
        "back_url": panel.with_query(path(resource.name, "list"), wanted.query.pairs(**APPEARANCE)),
    }
    return await render(request, templates, "backdesk/export_large.html", context)


async def order(request: Request, resource: Resource) -> Response:
    """Have a file made in the background, and lead to where it will be found."""
    require(request, resource)
    form, desk = await form_of(request), desk_of(request)
    given = parse_qsl(_text(form, "address"), keep_blank_values=True)
    wanted = await wish(request, resource, request.path_params["export_type"], given)
    async with desk.database.read() as session:
        await unhurried(session, 1)
        expected = await rows.count_of(session, wanted.query, ROWS)
    await jobs.order(desk.database, acting(request), wanted.asked(request, expected))
    notice = Notice("The file is being made. It appears here when it is whole; you need not wait on this page.", "info")
    return redirect(request, HOME, notice)


ROWS = 2**31 - 1
"""Rows up to which it is counted how many a file will have."""


def require(request: Request, resource: Resource) -> None:
    """Raise Forbidden for somebody who may not see these records, or not export them."""
    for deed in ("view", "export"):
        if not actor_of(request).may(f"{resource.name}.{deed}"):
            what = resource.label_plural.lower()
            raise Forbidden(f"You may not export {what}. It needs the permission {resource.name}.{deed}.")


# What a list offers


@dataclass(frozen=True)
class Offer:
    """How a list can be exported: its address in hidden fields, the columns that can be had, and where it is sent."""

    fields: list[tuple[str, str]]
    kinds: list[tuple[str, str, str, str]]
    shown: str
    every: int
    exports_url: str = HOME


def offer(request: Request, resource: Resource, query: ListQuery, shown: Iterable[str]) -> Offer | None:
    """What a list's export menu holds; `shown` are the columns of the page. None for those who may not export."""
    if not actor_of(request).may(f"{resource.name}.export"):
        return None
    known = offered(resource)
    columns = ",".join(name for name in dict.fromkeys(("id", *shown)) if name in known)
    kinds = [
        (kind, label, path(resource.name, "export", kind), path(resource.name, "selected", kind))
        for kind, label in KINDS.items()
    ]
    return Offer(query.pairs(**APPEARANCE), kinds, columns, len(usual(resource)))


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""
