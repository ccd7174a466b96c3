"""The list of a resource: one page of its records with search, filters and actions, and the whole of it as a file."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from admin_app.db import Database
from admin_app.errors import BadRequest, NotFound
from admin_app.models import AuditLog
from admin_app.plugin import Action, Resource, Where
from admin_app.queries import rows, rules
from admin_app.queries.filters import relation_of
from admin_app.queries.listing import DEEPEST, SIZES, ListQuery
from admin_app.queries.periods import Viewer
from admin_app.web import cells, panel
from admin_app.web.context import acting, actor_of, desk_of, here, path, record_path, render, zone_of
from admin_app.web.entries import in_words
from admin_app.web.exports import FORMATS, Rows
from admin_app.web.lookups import may_know


@dataclass(frozen=True)
class Reader:
    """What the viewer is shown of other records: how each is called, and its page where they may open it."""

    request: Request

    def name_of(self, record: Any) -> str:
        """How a record is called, or only its number where the viewer may not know more."""
        return str(record.label) if may_know(self.request, type(record)) else f"No. {record.id}"

    def href_of(self, record: Any) -> str:
        """The page of a record; empty where there is none for the viewer."""
        shown = desk_of(self.request).registry.resource_of(type(record))
        may = shown is not None and actor_of(self.request).may(f"{shown.name}.view")
        return record_path(shown, record) if shown is not None and may else ""


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """One page of a list; an address with empty or split parameters, as forms send them, leads to its short form."""
    query = _query(request, resource)
    if _long(request):
        return RedirectResponse(_with(path(resource.name, "list"), query.pairs()), status_code=302)
    async with desk_of(request).database.read() as session:
        found = await rows.page_of(session, query, cells.shown_names(resource, query))
        count = await rows.count_of(session, query)
        named = await rows.related(session, query)
        shown = await in_words(request, session, found.rows) if resource.model is AuditLog else found.rows
    reader = Reader(request)

    def address(**instead: str | None) -> str:
        return _with(path(resource.name, "list"), query.pairs(**instead))

    context = {
        "title": f"{resource.label_plural} in the trash" if query.trash else resource.label_plural,
        "resource": resource,
        "query": query,
        "columns": cells.columns(resource, query, address),
        "rows": shown,
        "count": count,
        "count_text": f"{DEEPEST:,}+" if count > DEEPEST else f"{count:,}",
        "controls": panel.controls(resource, query, named, reader.name_of, address),
        "chips": panel.chips(resource, query, named, reader.name_of, address),
        "name_of": reader.name_of,
        "href_of": reader.href_of,
        "summary": partial(cells.summary, zone=zone_of(request)),
        "actions": _actions(request, resource, "trash" if query.trash else "list"),
        "may": actor_of(request).may,
        "here": here(request),
        **_links(resource, query, found.has_next, address),
    }
    return await render(request, templates, "sqladmin/list.html", context)


def _query(request: Request, resource: Resource) -> ListQuery:
    viewer = Viewer(actor_of(request).user_id, zone_of(request), datetime.now(UTC))
    asked = ListQuery.parse(resource, request.query_params.multi_items(), viewer)
    return replace(asked, visible=rules.visible(actor_of(request), resource.model))


def _long(request: Request) -> bool:
    """Whether the address holds what a form sends in vain, or a period in two parts."""
    given = request.query_params.multi_items()
    return any(not value.strip() or name.endswith(("_from", "_to")) for name, value in given)


def _with(base: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{base}?{urlencode(pairs, safe=',:', quote_via=quote)}" if pairs else base


def _links(resource: Resource, query: ListQuery, has_next: bool, address: Any) -> dict[str, Any]:
    """The addresses that lead on from a list."""
    page, base = query.page, path(resource.name, "list")
    deepest = (page + 1) * query.size > DEEPEST
    whole = query.pairs(page=None, size=None)
    return {
        "clear_url": _with(base, [("trash", "yes")] if query.trash else []),
        "live_url": base,
        "trash_url": f"{base}?trash=yes",
        "previous_url": address(page=str(page - 1) if page > 2 else None) if page > 1 else "",
        "next_url": address(page=str(page + 1)) if has_next and not deepest else "",
        "too_deep": has_next and deepest,
        "first_url": address(page=None),
        "sizes": [(size, address(size=str(size)), size == query.size) for size in SIZES],
        "export_urls": [(kind, _with(path(resource.name, "export", kind), whole)) for kind in FORMATS],
        "create_url": path(resource.name, "create"),
    }


def _actions(request: Request, resource: Resource, place: Where) -> list[tuple[Action, str]]:
    """The actions that the viewer may do to rows of this list, with their addresses; dangerous ones last."""
    actor = actor_of(request)
    offered = [
        action
        for action in desk_of(request).registry.actions_for(resource.model)
        if place in action.where and actor.may(action.permission)
    ]
    offered.sort(key=lambda action: action.danger)
    return [(action, path(resource.name, "do", action.permission)) for action in offered]


async def export(request: Request, resource: Resource) -> Response:
    """Every row of a list as a file, recorded as a change set before the first row leaves.

    Raises BadRequest for more rows than one bulk action may touch, and NotFound for unknown formats.
    """
    desk, kind = desk_of(request), request.path_params["export_type"]
    if kind not in FORMATS:
        raise NotFound(f"There is no export as {kind[:20]}; there are {', '.join(FORMATS)}.")
    query, limit = _query(request, resource), desk.settings.bulk_limit
    async with desk.database.read() as session:
        count = await rows.count_of(session, query, limit)
    if count > limit:
        raise BadRequest(f"This list has more than {limit:,} rows, the most that one file may have. Please narrow it.")
    names, unknown = _export_names(request, resource)
    parameters = {"format": kind, "query": dict(query.pairs()), "rows": count, "columns": names}
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


def _export_names(request: Request, resource: Resource) -> tuple[list[str], frozenset[str]]:
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
        async for batch in rows.export_rows(session, query, names, unknown, limit):
            yield batch


async def _again(first: Rows, rest: AsyncIterator[Rows]) -> AsyncIterator[Rows]:
    """The batches from the first, which was read before the answer began so that an error is still an error page."""
    yield first
    async for batch in rest:
        yield batch
