"""How many rows a list has: counted after its page, up to a bound that costs little; exactly when one asks for it."""

from dataclasses import dataclass

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from admin_app.errors import BadRequest, TooSlow
from admin_app.plugin import Resource
from admin_app.queries import rows
from admin_app.queries.listing import APPEARANCE, DEEPEST, ListQuery
from admin_app.web import panel, selecting
from admin_app.web.context import desk_of, path, render

EXACT = "exact"
"""The parameter that asks for a count beyond the bound."""


@dataclass(frozen=True)
class Count:
    """How many rows there are, and whether there are `more`; the number is None where counting took too long."""

    number: int | None
    more: bool = False

    @property
    def text(self) -> str:
        """The number as it is shown; empty where it is not known."""
        return "" if self.number is None else f"{self.number:,}{'+' if self.more else ''}"


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """The number of rows of a list, as JSON for its page, which fills it in, or as a page of its own.

    Raises BadRequest for what is no list.
    """
    given = request.query_params.multi_items()
    exactly = _exactly([value for name, value in given if name == EXACT])
    query = selecting.asked(request, resource, [(name, value) for name, value in given if name != EXACT])
    count = await count_of(request, query, exactly=exactly)
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"count": count.number, "more": count.more, "text": count.text})
    context = {
        "title": f"How many {resource.label_plural.lower()}",
        "resource": resource,
        "query": query,
        "count": count,
        "exactly": exactly,
        "list_url": panel.with_query(path(resource.name, "list"), query.pairs()),
        "exact_url": address(resource, query, exactly=True),
    }
    return await render(request, templates, "backdesk/count.html", context)


def address(resource: Resource, query: ListQuery, *, exactly: bool = False) -> str:
    """Where the number of a list's rows is found."""
    pairs = query.pairs(**APPEARANCE, sort=None) + ([(EXACT, "yes")] if exactly else [])
    return panel.with_query(path(resource.name, "count"), pairs)


async def count_of(request: Request, query: ListQuery, *, exactly: bool = False) -> Count:
    """Count, but for no longer than a list may take."""
    try:
        async with desk_of(request).database.glance() as session:
            number = await rows.count_of(session, await query.understood(session), None if exactly else DEEPEST)
    except TooSlow:
        return Count(None)
    more = not exactly and number > DEEPEST
    return Count(DEEPEST if more else number, more)


def _exactly(values: list[str]) -> bool:
    if [value for value in values if value not in {"yes", "no", ""}]:
        raise BadRequest(fields={EXACT: "takes yes or no."})
    return "yes" in values
