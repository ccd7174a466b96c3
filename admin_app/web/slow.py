"""A list that took the database too long: what it was asked for, and lists near it that are found sooner."""

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import TooSlow
from admin_app.inputs import label_of
from admin_app.plugin import Resource
from admin_app.queries.filters import kind_of
from admin_app.queries.listing import ListQuery
from admin_app.web import panel
from admin_app.web.context import desk_of, path, render

RECENTLY = "last-30-days"


async def page(request: Request, resource: Resource, templates: Jinja2Templates, query: ListQuery) -> Response:
    """Why there is no list, with what to click in its place."""
    error = told(resource, query, desk_of(request).settings.list_timeout)
    context = {
        "status_code": error.status,
        "named": "This list takes too long",
        "message": error.message,
        "ways": ways(resource, query),
    }
    return await render(request, templates, "sqladmin/error.html", context, status=error.status)


def told(resource: Resource, query: ListQuery, seconds: float) -> TooSlow:
    """What a list was asked for when it was stopped, what of it cannot be found by an index, and what to do."""
    searched = [f"searches for “{query.q[:60]}”"] if query.q else []
    filters = sorted({label_of(resource.model, item.name) for item in query.filters})
    filtered = [f"filters by {', '.join(filters)}"] if filters else []
    order = ", ".join(_order(resource, name) for name in query.sort.split(","))
    asked = [*searched, *filtered, f"is sorted by {order}"]
    listed = " and ".join(filter(None, [", ".join(asked[:-1]), asked[-1]]))
    names = dict.fromkeys([item.name for item in query.filters] + query.sort.replace(",-", ",").lstrip("-").split(","))
    slow = [f"{label_of(resource.model, name)} has no index." for name in names if name in resource.unindexed]
    limit = "1 second" if seconds == 1 else f"{seconds:g} seconds"
    what = f"This took longer than {limit} and was stopped: the list {listed}."
    return TooSlow(" ".join([what, *slow, "Narrow it down, leave something out, or take another order."]))


def ways(resource: Resource, query: ListQuery) -> list[tuple[str, str]]:
    """Lists near this one that are found sooner, each with its address."""
    address = panel.addresses(path(resource.name, "list"), query)
    times = [name for name in resource.filters if kind_of(resource.model, name) == "time"]
    asked = {item.name for item in query.filters}
    found = []
    if query.sort != resource.default_sort:
        found.append((f"By {_order(resource, resource.default_sort)}", address(sort=None)))
    if query.q:
        found.append(("Without the search", address(q=None)))
    if times and not asked.intersection(times):
        name = "created_at" if "created_at" in times else times[0]
        found.append((f"{label_of(resource.model, name)} in the last 30 days", address(**{name: RECENTLY})))
    if query.filters:
        everything = {item.parameter: None for item in query.filters}
        found.append(("Without the filters", address(**everything)))
    return found


def _order(resource: Resource, text: str) -> str:
    """A column of an order as people call it; the rank of a priority is the priority."""
    name = text.removeprefix("-")
    plain = name.removesuffix("_rank")
    return label_of(resource.model, plain if hasattr(resource.model, plain) else name)
