"""The list of a resource: one page of its records with search, filters and actions, and the whole of it as a file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqladmin.templating import Jinja2Templates
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from admin_app.errors import BadRequest, TooSlow
from admin_app.models import AuditLog, ChangeSet
from admin_app.plugin import Resource
from admin_app.queries import rows, spelling
from admin_app.queries.listing import APPEARANCE, BEGINNING, SIZES, ListQuery
from admin_app.queries.touched import is_noted
from admin_app.web import (
    building,
    cells,
    columns,
    counting,
    deeds,
    exporting,
    filtering,
    jumping,
    offers,
    panel,
    saved_views,
    selecting,
    slow,
)
from admin_app.web.context import actor_of, desk_of, path, render
from admin_app.web.entries import in_words
from admin_app.web.table import Table


@dataclass(frozen=True, kw_only=True)
class Found:
    """One page of a list, its rows as they are `shown`, what its filters name, and a search that may be meant."""

    asked: ListQuery
    names: Sequence[str]
    page: rows.Page[Any]
    shown: Sequence[Any]
    named: panel.Named
    better: str | None


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """One page of a list; an address with empty or split parameters, as forms send them, leads to its short form."""
    try:
        asked = selecting.asked(request, resource, request.query_params.multi_items())
    except BadRequest as error:
        return await saved_views.mending(request, resource, templates, error)
    if _long(request, asked):
        return RedirectResponse(panel.with_query(path(resource.name, "list"), asked.pairs()), status_code=302)
    query = columns.as_remembered(request, resource, asked)
    try:
        found = await _found(request, resource, asked, query)
    except TooSlow:
        return await slow.page(request, resource, templates, query)
    except BadRequest as error:
        return await saved_views.mending(request, resource, templates, error)
    context = _context(request, resource, found)
    if resource.model is ChangeSet:
        context |= deeds.in_words(desk_of(request).registry, found.page.rows, found.names, context["chips"])
    return await render(request, templates, "sqladmin/list.html", context)


async def _found(request: Request, resource: Resource, asked: ListQuery, query: ListQuery) -> Found:
    """Read a list with the columns that its viewer wants; raises TooSlow, and BadRequest for names that nobody has."""
    names = cells.shown_names(resource, query)
    async with desk_of(request).database.glance() as session:
        if query.change_set and await is_noted(session, query.change_set):
            query = replace(query, audited=False)
        read: rows.Page[Any] = await _read(session, query, names)
        query = read.query
        return Found(
            asked=asked,
            names=names,
            page=read,
            shown=await in_words(request, session, read.rows, names) if resource.model is AuditLog else read.rows,
            named=await rows.related(session, query),
            better=None if read.rows else await spelling.corrected(session, query.search if query.q else None),
        )


def _context(request: Request, resource: Resource, found: Found) -> dict[str, Any]:
    """What the page of a list shows."""
    query = found.page.query
    known = counting.Count(None if found.page.previous or found.page.next else len(found.page.rows))
    reader, address = panel.Reader(request), panel.addresses(path(resource.name, "list"), query)
    offered = offers.of_list(request, resource, trash=query.trash)
    exported = exporting.offer(request, resource, query, found.names)
    shown_columns = cells.columns(resource, query, address)
    return {
        "title": _title(resource, query),
        "within": saved_views.of_list(request, resource, found.asked, query),
        "resource": resource,
        "query": query,
        "names": ",".join(found.names),
        "table": Table(request, resource, shown_columns, selectable=bool(offered["actions"] or exported)),
        "rows": found.shown,
        "searched": query.search.said if query.q and query.search else "",
        "better": found.better,
        "better_url": address(**BEGINNING | {"q": found.better}),
        "count": known.number,
        "count_text": known.text,
        "count_url": counting.address(resource, query),
        "exact_url": counting.address(resource, query, exactly=True),
        "kept": panel.kept(query),
        "filterable": bool(resource.filters) or hasattr(resource.model, "is_overdue"),
        "in_force": filtering.in_force(query),
        "chips": panel.chips(resource, query, found.named, reader.name_of, address),
        **offered,
        "may": actor_of(request).may,
        "exporting": exported,
        "filter": panel.encoded(query.pairs()),
        "remembered_as": f"{resource.name}?{panel.encoded(query.pairs(**APPEARANCE, sort=None))}",
        "jump": jumping.jump_of(resource, query) if found.page.previous or found.page.next else None,
        **_links(resource, query, found.page, address),
    }


def _title(resource: Resource, query: ListQuery) -> str:
    if query.view:
        return query.view.name
    return f"{resource.label_plural} in the trash" if query.trash else resource.label_plural


def _long(request: Request, asked: ListQuery) -> bool:
    """Whether the address holds what a form sends in vain, or a period in two parts."""
    given, needed = request.query_params.multi_items(), asked.pairs()
    vain = any(not value.strip() and (name, "") not in needed for name, value in given)
    return vain or any(name.endswith(("_from", "_to")) for name, _ in given)


TOLD: dict[type[Any], tuple[str, ...]] = {AuditLog: ("changes",), ChangeSet: ("skipped",)}
"""Records that are told in words, with the columns that these are made from, whichever are shown."""


async def _read(session: AsyncSession, query: ListQuery, names: Sequence[str]) -> rows.Page[Any]:
    """A page of light rows; of lists that are told in words, of whole records."""
    if (needed := TOLD.get(query.listed.model)) is None:
        return await rows.page_of(session, query, names)
    return await rows.records_of(session, query, tuple(dict.fromkeys([*names, *needed])))


def _links(resource: Resource, query: ListQuery, found: rows.Page[Any], address: Any) -> dict[str, Any]:
    """The addresses that lead on from a list."""
    base = path(resource.name, "list")
    return {
        "clear_url": filtering.clear_url(resource, query),
        "live_url": base,
        "trash_url": f"{base}?trash=yes",
        "in_trash_url": address(trash="yes"),
        "previous_url": address(**BEGINNING | {"before": found.previous}) if found.previous else "",
        "next_url": address(**BEGINNING | {"after": found.next}) if found.next else "",
        "begin_url": address(**BEGINNING),
        "first_url": address(**BEGINNING) if found.previous else "",
        "last_url": address(**BEGINNING | {"before": "end"}) if found.next else "",
        "sizes": [(size, address(size=str(size)), size == query.size) for size in SIZES],
        "columns_url": panel.with_query(path(resource.name, "columns"), query.pairs(**BEGINNING)),
        "filters_url": filtering.source(resource, query),
        "build_url": building.source(resource, query),
        "create_url": path(resource.name, "create"),
    }
