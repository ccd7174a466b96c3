"""The columns that somebody chooses for a list, their order and how close its rows stand; kept until they reset it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from sqladmin.templating import Jinja2Templates
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin_app.inputs import label_of
from admin_app.plugin import Resource
from admin_app.queries.columns import DENSITIES, Density, columns_from, density_from
from admin_app.queries.listing import ListQuery, choosable_columns
from admin_app.web import cells, panel, selecting
from admin_app.web.context import actor_of, desk_of, form_of, path, redirect, render

KEPT_SECONDS = 400 * 24 * 3600
"""As long as browsers keep a cookie at most."""
COOKIE_LENGTH = 3_500
"""Characters that fit into one cookie with room to spare; what was chosen longest ago gives way."""


@dataclass(frozen=True)
class Look:
    """How somebody wants a list to look; what is empty is as the list has it of itself."""

    columns: tuple[str, ...] = ()
    density: Density = ""

    @classmethod
    def read(cls, resource: Resource, text: str) -> "Look":
        """What was kept for a list; nothing where that can no longer be."""
        kept = dict(parse_qsl(text))
        try:
            columns = columns_from(kept["columns"], choosable_columns(resource)) if "columns" in kept else ()
            return cls(columns, density_from(kept["density"]) if "density" in kept else "")
        except ValueError:
            return cls()

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters that ask for it."""
        asked = [("columns", ",".join(self.columns)), ("density", self.density)]
        return [(name, value) for name, value in asked if value]


@dataclass(frozen=True)
class Line:
    """A column that can be chosen."""

    name: str
    label: str
    shown: bool


def as_remembered(request: Request, resource: Resource, query: ListQuery) -> ListQuery:
    """A list with the look that the viewer has chosen for it, where the address does not ask for another."""
    look = Look.read(resource, _kept(request).get(resource.name, ""))
    return replace(query, columns=query.columns or look.columns, density=query.density or look.density)


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """The columns of a list to tick and to put in order; the list as it was then shows them, now and later."""
    if request.method == "GET":
        query = selecting.asked(request, resource, request.query_params.multi_items())
        query = as_remembered(request, resource, query)
        chosen = cells.shown_names(resource, replace(query, trash=False))
        rest = [name for name in choosable_columns(resource) if name not in chosen]
        return await _shown(request, resource, templates, query, [*chosen, *rest], chosen)
    form = await form_of(request)
    query = selecting.asked(request, resource, parse_qsl(_text(form, "filter"), keep_blank_values=True))
    deed, _, name = _text(form, "do").partition(":")
    if deed == "reset":
        return _leave(request, resource, query, Look())
    order, ticked = _order(resource, form), set(form.getlist("column"))
    chosen = tuple(known for known in order if known in ticked)
    density = _text(form, "density")
    query = replace(query, density=density_from(density) if density in DENSITIES else "")
    if deed in {"up", "down"} and name in order:
        _move(order, order.index(name), -1 if deed == "up" else 1)
        return await _shown(request, resource, templates, query, order, chosen)
    if not chosen:
        problem = "Please tick at least one column."
        return await _shown(request, resource, templates, query, order, (), problem)
    return _leave(request, resource, query, Look(chosen, query.density))


def _order(resource: Resource, form: FormData) -> list[str]:
    """The columns in the order of the form; those that it does not name come last."""
    known = choosable_columns(resource)
    named = [name for name in form.getlist("order") if isinstance(name, str) and name in known]
    return list(dict.fromkeys([*named, *known]))


def _move(order: list[str], index: int, step: int) -> None:
    target = index + step
    if 0 <= target < len(order):
        order[index], order[target] = order[target], order[index]


async def _shown(
    request: Request,
    resource: Resource,
    templates: Jinja2Templates,
    query: ListQuery,
    order: Sequence[str],
    chosen: Sequence[str],
    problem: str = "",
) -> Response:
    context = {
        "title": f"Columns of {resource.label_plural.lower()}",
        "resource": resource,
        "url": path(resource.name, "columns"),
        "list_url": panel.with_query(path(resource.name, "list"), query.pairs()),
        "filter": panel.encoded(query.pairs(columns=None, density=None)),
        "lines": [Line(name, label_of(resource.model, name), name in chosen) for name in order],
        "density": query.density or DENSITIES[0],
        "densities": DENSITIES,
        "problem": problem,
    }
    return await render(request, templates, "backdesk/columns.html", context, status=422 if problem else 200)


def _leave(request: Request, resource: Resource, query: ListQuery, look: Look) -> Response:
    """Back to the list in its new look, which the browser keeps for this person."""
    asked = replace(query, columns=look.columns, density=look.density)
    response = redirect(request, panel.with_query(path(resource.name, "list"), asked.pairs()))
    kept = {name: text for name, text in _kept(request).items() if name != resource.name}
    if look.pairs:
        kept[resource.name] = panel.encoded(look.pairs)
    while len(text := panel.encoded(list(kept.items()))) > COOKIE_LENGTH:
        kept.pop(next(iter(kept)))
    response.set_cookie(_cookie(request), text, **desk_of(request).cookie(max_age=KEPT_SECONDS))
    return response


def _kept(request: Request) -> dict[str, str]:
    """By the name of a resource, the parameters that its list was left with."""
    return dict(parse_qsl(request.cookies.get(_cookie(request), "")))


def _cookie(request: Request) -> str:
    """The name of the cookie, of which each person at a browser has one of their own."""
    return f"backdesk_columns_{actor_of(request).user_id}"


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""
