"""The list of a resource: one page of its records with search, filters and actions, and the whole of it as a file."""

from dataclasses import replace
from functools import partial
from typing import Any

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from admin_app.models import AuditLog, ChangeSet
from admin_app.plugin import Resource
from admin_app.queries import rows
from admin_app.queries.listing import APPEARANCE, DEEPEST, SIZES, ListQuery
from admin_app.queries.touched import is_noted
from admin_app.web import cells, columns, deeds, offers, panel, selecting
from admin_app.web.context import actor_of, desk_of, path, render, zone_of
from admin_app.web.entries import in_words
from admin_app.web.exports import FORMATS


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """One page of a list; an address with empty or split parameters, as forms send them, leads to its short form."""
    query = selecting.asked(request, resource, request.query_params.multi_items())
    if _long(request):
        return RedirectResponse(panel.with_query(path(resource.name, "list"), query.pairs()), status_code=302)
    query = columns.as_remembered(request, resource, query)
    async with desk_of(request).database.read() as session:
        if query.change_set and await is_noted(session, query.change_set):
            query = replace(query, audited=False)
        found = await rows.page_of(session, query, cells.shown_names(resource, query))
        count = await rows.count_of(session, query)
        named = await rows.related(session, query)
        shown = await in_words(request, session, found.rows) if resource.model is AuditLog else found.rows
    reader, address = panel.Reader(request), panel.addresses(path(resource.name, "list"), query)
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
        **offers.of_list(request, resource, trash=query.trash),
        "may": actor_of(request).may,
        "selected_urls": _selected_urls(request, resource),
        "filter": panel.encoded(query.pairs()),
        "remembered_as": f"{resource.name}?{panel.encoded(query.pairs(**APPEARANCE, sort=None))}",
        **_links(resource, query, found.has_next, address),
    }
    if resource.model is ChangeSet:
        context |= deeds.in_words(desk_of(request).registry, shown, context["controls"], context["chips"])
    return await render(request, templates, "sqladmin/list.html", context)


def _long(request: Request) -> bool:
    """Whether the address holds what a form sends in vain, or a period in two parts."""
    given = request.query_params.multi_items()
    return any(not value.strip() or name.endswith(("_from", "_to")) for name, value in given)


def _links(resource: Resource, query: ListQuery, has_next: bool, address: Any) -> dict[str, Any]:
    """The addresses that lead on from a list."""
    page, base = query.page, path(resource.name, "list")
    deepest = (page + 1) * query.size > DEEPEST
    whole = query.pairs(page=None, size=None, density=None)
    return {
        "clear_url": panel.with_query(base, [("trash", "yes")] if query.trash else []),
        "live_url": base,
        "trash_url": f"{base}?trash=yes",
        "in_trash_url": address(trash="yes"),
        "previous_url": address(page=str(page - 1) if page > 2 else None) if page > 1 else "",
        "next_url": address(page=str(page + 1)) if has_next and not deepest else "",
        "too_deep": has_next and deepest,
        "first_url": address(page=None),
        "sizes": [(size, address(size=str(size)), size == query.size) for size in SIZES],
        "export_urls": [(kind, panel.with_query(path(resource.name, "export", kind), whole)) for kind in FORMATS],
        "columns_url": panel.with_query(path(resource.name, "columns"), query.pairs(page=None)),
        "create_url": path(resource.name, "create"),
    }


def _selected_urls(request: Request, resource: Resource) -> list[tuple[str, str]]:
    """Where what is ticked is sent to become a file, by kind of file; none for those who may not export."""
    may = actor_of(request).may(f"{resource.name}.export")
    return [(kind, path(resource.name, "selected", kind)) for kind in FORMATS] if may else []
