"""Finding anything from anywhere: lists, pages and saved views by name, records by number, name or words."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import BadRequest
from admin_app.plugin import Resource
from admin_app.queries import finding
from admin_app.queries.finding import Sought
from admin_app.web.context import actor_of, desk_of, menu, path, render, workable
from admin_app.web.selecting import asked

LONGEST = 200
"""Characters of what is typed that are looked at."""

PLACES = 8
"""Lists and pages that are shown while something is typed; without a text, all are."""


@dataclass(frozen=True)
class Result:
    """Something that was found, and where it is."""

    label: str
    href: str
    icon: str


@dataclass(frozen=True)
class Group:
    """Results of one kind under what they are called."""

    label: str
    results: tuple[Result, ...]


async def page(request: Request, templates: Jinja2Templates) -> Response:
    """What `?q=` finds: a page of its own, or with `part=yes` the options of the dialog that asks for them."""
    text = request.query_params.get("q", "").strip()
    if "\x00" in text or len(text) > LONGEST:
        raise BadRequest(f"q: takes at most {LONGEST} characters, and no NUL.")
    part = request.query_params.get("part") == "yes"
    found = (*_places(request, text), *await _records(request, text))
    groups = [group for group in found if group.results]
    context = {"title": "Find", "groups": groups, "q": text, "url": path("palette"), "part": part}
    name = "backdesk/palette_results.html" if part else "backdesk/palette.html"
    return await render(request, templates, name, context)


def _places(request: Request, text: str) -> Iterator[Group]:
    """Lists, pages, forms of new records and saved views whose name has every word of the text."""
    offered = [
        (str(item["label"]), str(item["url"]), str(item["icon"])) for group in menu(request) for item in group["items"]
    ]
    offered += [
        (f"New {resource.label.lower()}", path(resource.name, "create"), "plus")
        for resource in desk_of(request).registry.resources.values()
        if resource.can_create and actor_of(request).may(f"{resource.name}.create")
    ]
    found = [Result(*place) for place in offered if matches(place[0], text)]
    yield Group("Go to", tuple(found[:PLACES] if text else found))
    views = [Result(view.name, path(view.resource, "list", view=view.id), view.icon) for view in workable(request)]
    yield Group("Views", tuple(view for view in views if matches(view.label, text)))


def matches(label: str, text: str) -> bool:
    """Whether each word of a text begins a word of a label."""
    words = label.lower().split()
    return all(any(word.startswith(begin) for word in words) for begin in text.lower().split())


async def _records(request: Request, text: str) -> list[Group]:
    """Records of every list that the viewer may see and whose rows have names."""
    if not text:
        return []
    registry = desk_of(request).registry
    sought = [place for resource in registry.resources.values() if (place := _sought(request, resource, text))]
    async with desk_of(request).database.glance() as session:
        found = await finding.records(session, sought, text)
    return [
        Group(
            resource.label_plural,
            tuple(
                Result(one.label, path(resource.name, "details", one.id), resource.icon)
                for one in found
                if one.resource == resource.name
            ),
        )
        for resource in registry.resources.values()
    ]


def _sought(request: Request, resource: Resource, text: str) -> Sought | None:
    """Where to look in a resource; None where its rows have no names, the viewer may not see them, or nothing fits."""
    if not (resource.model.lookup and resource.search and actor_of(request).may(f"{resource.name}.view")):
        return None
    try:
        return Sought(resource.name, asked(request, resource, [("q", text)]))
    except BadRequest:
        return None
