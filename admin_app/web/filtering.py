"""The filters of a list as a form: fetched into a menu of the list when it is opened, else a page of its own."""

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app.models import ChangeSet
from admin_app.plugin import Resource
from admin_app.queries import rows
from admin_app.queries.listing import BEGINNING, ListQuery
from admin_app.web import building, deeds, facets, panel, saved_views, selecting
from admin_app.web.context import desk_of, path, render


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """All filters of a list with what is in force in each."""
    query = selecting.asked(request, resource, request.query_params.multi_items())
    async with desk_of(request).database.glance() as session:
        query = await query.understood(session)
        named = await rows.related(session, query)
    base = path(resource.name, "list")
    reader, address = panel.Reader(request), panel.addresses(base, query)
    controls = panel.controls(resource, query, named, reader.name_of, address)
    if resource.model is ChangeSet:
        controls = deeds.choosable(desk_of(request).registry, controls)
    context = {
        "title": f"Filters of {resource.label_plural.lower()}",
        "resource": resource,
        "query": query,
        "within": saved_views.of_list(request, resource, query, query),
        "kept": panel.kept(query),
        "controls": controls,
        "list_url": panel.with_query(base, query.pairs()),
        "live_url": base,
        "clear_url": clear_url(resource, query),
        "facets_url": facets.source(resource, query),
        "facet_slots": facets.slots(resource),
        "build_url": building.source(resource, query),
    }
    return await render(request, templates, "backdesk/filters_page.html", context)


def source(resource: Resource, query: ListQuery) -> str:
    """Where the filters of a list are found."""
    return panel.with_query(path(resource.name, "filters"), query.pairs(**BEGINNING))


def clear_url(resource: Resource, query: ListQuery) -> str:
    """The list without any filter."""
    return panel.with_query(path(resource.name, "list"), [("trash", "yes")] if query.trash else [])


def in_force(query: ListQuery) -> list[tuple[str, str]]:
    """The filters of a list as the fields of a form that does not show them."""
    known = {name for name, _ in panel.kept(query)} | {"q"}
    return [(name, value) for name, value in query.alone.pairs(**BEGINNING) if name not in known]
