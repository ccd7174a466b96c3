"""Exports: a list, or what was selected in it, as a file, recorded as a change set before the first row leaves."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from admin_app.db import Database
from admin_app.errors import BadInput, BadRequest, Forbidden, NotFound
from admin_app.plugin import Resource
from admin_app.queries import export as exported
from admin_app.queries import rows
from admin_app.queries.filters import relation_of
from admin_app.queries.listing import ListQuery
from admin_app.web import selecting
from admin_app.web.context import Notice, acting, actor_of, desk_of, form_of, path, redirect, zone_of
from admin_app.web.exports import FORMATS, Rows


async def select(request: Request, resource: Resource) -> Response:
    """Keep what was ticked in a list's form, and lead on to its file; back to the list where that cannot be."""
    kind, actor = _kind(request), actor_of(request)
    if not (actor.may(f"{resource.name}.export") and actor.may(f"{resource.name}.view")):
        raise Forbidden
    form = await form_of(request)
    try:
        kept = await selecting.freeze(request, resource, form)
    except BadRequest:
        raise
    except BadInput as error:
        return redirect(request, selecting.home(resource, form), Notice(error.message, "error"))
    if kept is None:
        notice = Notice("Nothing is selected. Tick the rows in the list first.", "info")
        return redirect(request, selecting.home(resource, form), notice)
    return redirect(request, path(resource.name, "export", kind, selection=kept))


async def export(request: Request, resource: Resource) -> Response:
    """Every row of a list, or of `selection=5`, as a file.

    Raises BadRequest for more rows than one bulk action may touch, and NotFound for unknown formats.
    """
    desk, kind = desk_of(request), _kind(request)
    query, limit = await _asked(request, resource), desk.settings.bulk_limit
    async with desk.database.read() as session:
        count = await rows.count_of(session, query, limit)
    if count > limit:
        raise BadRequest(f"This list has more than {limit:,} rows, the most that one file may have. Please narrow it.")
    names, unknown = _columns(request, resource)
    selected = request.query_params.get("selection")
    parameters = {"format": kind, "query": dict(query.pairs()), "rows": count, "columns": names}
    if selected:
        parameters["selection"] = int(selected)
    async with desk.database.transaction(acting(request), f"{resource.name}.export", parameters=parameters):
        pass
    batches = _batches(desk.database, query, names, unknown, limit)
    first: Rows = await anext(batches, [])
    write, media_type = FORMATS[kind]
    filename = f"{resource.name}-{datetime.now(zone_of(request)):%Y-%m-%d}.{kind}"
    return StreamingResponse(
        write(names, _again(first, batches)),
        media_type=media_type,
        headers={"content-disposition": f'attachment; filename="{filename}"'},
    )


def _kind(request: Request) -> str:
    """The format that an address names; raises NotFound."""
    kind: str = request.path_params["export_type"]
    if kind not in FORMATS:
        raise NotFound(f"There is no export as {kind[:20]}; there are {', '.join(FORMATS)}.")
    return kind


async def _asked(request: Request, resource: Resource) -> ListQuery:
    """The list that is asked for, or in its place the rows of a selection, in the order of its list."""
    if not request.query_params.get("selection"):
        return selecting.asked(request, resource, request.query_params.multi_items())
    choice = await selecting.chosen(request, resource, request.query_params)
    assert choice.selection is not None  # noqa: S101  it was named
    query = selecting.asked(request, resource, parse_qsl(choice.selection.filter, keep_blank_values=True))
    return replace(query, among=choice.chosen.where(resource.model.id))  # type: ignore[attr-defined]


def _columns(request: Request, resource: Resource) -> tuple[list[str], frozenset[str]]:
    """The columns of an export, without secrets; and those whose records the viewer knows by id only."""
    model = resource.model
    hidden = rows.secret_columns(model)
    names = [name for name in dict.fromkeys(("id", *resource.columns, *resource.details)) if name not in hidden]
    names = [name for name in names if relation_of(model, name) or hasattr(getattr(model, name), "type")]
    relations = {name: relation for name in names if (relation := relation_of(model, name))}
    registry, actor = desk_of(request).registry, actor_of(request)
    unknown = frozenset(
        name
        for name, relation in relations.items()
        if (shown := registry.resource_of(relation.mapper.class_)) and not actor.may(f"{shown.name}.view")
    )
    return names, unknown


async def _batches(
    database: Database, query: ListQuery, names: Sequence[str], unknown: frozenset[str], limit: int
) -> AsyncIterator[Rows]:
    async with database.read() as session:
        async for batch in exported.export_rows(session, query, names, unknown, limit):
            yield batch


async def _again(first: Rows, rest: AsyncIterator[Rows]) -> AsyncIterator[Rows]:
    """The batches from the first, which was read before the answer began so that an error is still an error page."""
    yield first
    async for batch in rest:
        yield batch
