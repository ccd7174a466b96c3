"""Saved views in the browser: queues in the menu, a list within a view, and the pages that make and change views."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from sqladmin.templating import Jinja2Templates
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from admin_app import saved_views
from admin_app.editing import key_of
from admin_app.errors import BadInput, BadRequest, ChangedMeanwhile, NotFound
from admin_app.models import SavedView
from admin_app.plugin import Resource
from admin_app.queries import rows
from admin_app.queries import saved_views as stored
from admin_app.queries.filters import Filtered
from admin_app.queries.listing import BEGINNING, ListQuery
from admin_app.queries.saved_views import COUNTED, SHARE, View
from admin_app.saved_views import EVERYONE, ICONS, ME, Done, Draft
from admin_app.web import menus, panel, selecting
from admin_app.web.context import (
    Notice,
    acting,
    actor_of,
    desk_of,
    form_of,
    path,
    queues,
    redirect,
    render,
    text_fields,
    zone_of,
)
from admin_app.web.panel import Chip

HOME = path("views")


# ---- A list within a view


@dataclass(frozen=True, kw_only=True)
class Within:
    """What the page of a list says of its view: whether it differs from what was saved, and what can be done then.

    `carried` are the fields by which a form of filters stays within the view: an empty one for each part of it, so that
    a part which the form leaves out is meant to be gone.
    """

    view: View | None
    changed: bool
    query: str
    save_url: str
    keep_url: str = ""
    edit_url: str = ""
    reset_url: str = ""
    carried: Sequence[tuple[str, str]] = ()


def of_list(request: Request, resource: Resource, asked: ListQuery, shown: ListQuery) -> Within:
    """What a list that was `asked` for, and is `shown` as the viewer likes it, says of its view."""
    pairs, view = shown.alone.pairs(**BEGINNING), asked.view
    save_url = panel.with_query(path("views", "save", resource.name), pairs)
    if view is None:
        return Within(view=None, changed=False, query=panel.encoded(pairs), save_url=save_url)
    may_change = saved_views.may_change(actor_of(request), view)
    return Within(
        view=view,
        changed=len(asked.pairs(**BEGINNING)) > 1,
        query=panel.encoded(pairs),
        save_url=save_url,
        keep_url=path("views", view.id, "keep") if may_change else "",
        edit_url=path("views", view.id, "edit") if may_change else "",
        reset_url=path(resource.name, "list", view=view.id),
        carried=[("view", str(view.id)), *((name, "") for name in dict(view.pairs))],
    )


async def mending(request: Request, resource: Resource, templates: Jinja2Templates, error: BadRequest) -> Response:
    """The page of a view that is not understood any more: which part, and how to mend it; else raises the error."""
    pairs = request.query_params.multi_items()
    number = stored.numbered(pairs)
    if number is None:
        raise error
    view = stored.named(actor_of(request).views, resource.name, number)
    viewer = selecting.viewer_of(request)
    async with desk_of(request).database.read() as session:
        wrong = await saved_views.broken(session, resource, view.query, viewer)
        left = await saved_views.mended(session, resource, view.query, viewer) if wrong else ""
    if not wrong:
        raise error
    may_change = saved_views.may_change(actor_of(request), view)
    context = {
        "title": view.name,
        "resource": resource,
        "parts": [
            (name, ", ".join(value for known, value in view.pairs if known == name), why) for name, why in wrong.items()
        ],
        "left": left,
        "list_url": panel.with_query(path(resource.name, "list"), parse_qsl(left)),
        "keep_url": path("views", view.id, "keep") if may_change else "",
        "delete_url": path("views", view.id, "delete") if may_change else "",
        "views_url": HOME,
    }
    return await render(request, templates, "backdesk/saved_view_broken.html", context, status=400)


# ---- The numbers in the menu


async def counts(request: Request, templates: Jinja2Templates) -> Response:
    """How many rows there are in each queue of the viewer, loaded into the menu once the page is there."""
    desk, actor = desk_of(request), actor_of(request)
    views, viewer = queues(request), selecting.viewer_of(request)
    found = await desk.queue_counts.of(desk.database, desk.registry, actor, views, viewer)
    numbers = [(view, _said(found[view.id]) if view.id in found else None) for view in views]
    template = templates.env.get_template("backdesk/queue_counts.html")
    text = template.render({"numbers": numbers})
    return Response(text, media_type="text/html", headers={"cache-control": "no-store"})


def _said(number: int | None) -> str:
    """A number as the menu has room for it; nothing where it could not be counted in time."""
    if number is None:
        return ""
    return f"{number:,}" if number <= COUNTED else f"{COUNTED}+"


# ---- All views


@dataclass(frozen=True, kw_only=True)
class Line:
    """A view as it is listed: what it asks for in words, or why it cannot be used."""

    view: SavedView
    url: str
    records: str
    chips: Sequence[Chip] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The views of the same people, in the order of their menus."""

    label: str
    lines: Sequence[Line]
    may_change: bool


async def page(request: Request, templates: Jinja2Templates) -> Response:
    """The views that the viewer sees, by whom they are for, with what can be done with them."""
    actor = actor_of(request)
    async with desk_of(request).database.read(snapshot=True) as session:
        found = await stored.of_person(session, actor.user_id, others=actor.may(SHARE))
        lines = await _lines(request, session, [view for view in found if _may_know(request, view)])
    labels: dict[str, list[Line]] = {}
    for line in lines:
        labels.setdefault(_people(line.view), []).append(line)
    groups = [
        Group(label=label, lines=some, may_change=saved_views.may_change(actor, some[0].view))
        for label, some in labels.items()
    ]
    may_share = actor.may(SHARE)
    context = {"title": "Views", "groups": groups, "views_url": HOME, "may_share": may_share, "own": menus.own(request)}
    return await render(request, templates, "backdesk/saved_views.html", context)


def _may_know(request: Request, view: SavedView) -> bool:
    """Whether somebody may learn of a view: not of one whose list they may not see."""
    return actor_of(request).may(f"{view.resource}.view")


def _people(view: SavedView) -> str:
    if view.user_id is not None:
        return "Only for me"
    return f"For the role {view.role.name}" if view.role else "For everybody"


async def _lines(request: Request, session: AsyncSession, views: Sequence[SavedView]) -> list[Line]:
    """Views in words, by two statements and one for each that looks for names or words."""
    understood = {view.id: await _understood(request, session, view) for view in views}
    good = [one for one in understood.values() if isinstance(one, ListQuery)]
    filters: tuple[Filtered, ...] = tuple(item for one in good for item in one.filters)
    named = await rows.related(session, replace(good[0], filters=filters)) if good else {}
    return [_line(request, view, understood[view.id], named) for view in views]


async def _understood(request: Request, session: AsyncSession, view: SavedView) -> ListQuery | str:
    """What a view asks for, or why it cannot be used."""
    resource = desk_of(request).registry.resources.get(view.resource)
    if resource is None:
        return f"It needs the list {view.resource}, which is not loaded."
    try:
        asked = selecting.asked(request, resource, parse_qsl(view.query, keep_blank_values=True))
        return await asked.understood(session)
    except BadInput as error:
        return error.message


def _line(request: Request, view: SavedView, asked: ListQuery | str, named: panel.Named) -> Line:
    resource = desk_of(request).registry.resources.get(view.resource)
    url = path(view.resource, "list", view=view.id) if resource else ""
    records = resource.label_plural if resource else view.resource
    if isinstance(asked, str) or resource is None:
        return Line(view=view, url=url, records=records, problem=str(asked))
    address = panel.addresses(path(resource.name, "list"), asked)
    chips = panel.chips(resource, asked, named, panel.Reader(request).name_of, address)
    return Line(view=view, url=url, records=records, chips=chips)


# ---- Making and changing one


async def save(request: Request, templates: Jinja2Templates) -> Response:
    """The form that gives a list a name, opened with the list's own parameters; POST keeps it as a view."""
    desk, actor = desk_of(request), actor_of(request)
    resource = saved_views.seen(desk.registry, actor, request.path_params["resource"])
    query, fields, problems = request.url.query, {}, {}
    if request.method == "POST":
        fields = text_fields(await form_of(request))
        query = fields.get("query", "")
        draft = replace(_draft(fields), resource=resource.name, query=query)
        try:
            who = (actor, acting(request, fields.get("reason")))
            done = await saved_views.save(desk.database, desk.registry, *who, draft, zone_of(request))
        except BadRequest:
            raise
        except BadInput as error:
            problems = error.fields or {"": error.message}
        else:
            return _to_list(request, done, f"“{done.view.name}” is saved, and stands in the menu.")
    asked = selecting.asked(request, resource, parse_qsl(query, keep_blank_values=True))
    async with desk.database.read() as session:
        chips = await selecting.chips(request, session, resource, asked)
    whole = panel.encoded(asked.alone.pairs(**BEGINNING))
    more = {
        "resource": resource,
        "chips": chips,
        "query": whole,
        "url": path("views", "save", resource.name),
        "back": panel.with_query(path(resource.name, "list"), asked.alone.pairs()),
        "title": "Save this view",
        "button": "Save view",
    }
    return await _form(request, templates, fields, problems, more)


async def edit(request: Request, templates: Jinja2Templates) -> Response:
    """Another name, another icon, or other people."""
    desk, actor = desk_of(request), actor_of(request)
    view = await saved_views.look(desk.database, actor, key_of(request.path_params["id"]))
    saved_views.require(actor, view)
    audience = ME if view.user_id is not None else str(view.role_id or EVERYONE)
    fields = {"name": view.name, "icon": view.icon, "audience": audience, "version": str(view.version)}
    problems: Mapping[str, str] = {}
    if request.method == "POST":
        fields |= text_fields(await form_of(request))
        try:
            version, who = key_of(fields["version"]), (actor, acting(request, fields.get("reason")))
            done = await saved_views.describe(desk.database, *who, view.id, version, _draft(fields))
        except BadInput as error:
            problems = error.fields or {"": error.message}
        except ChangedMeanwhile:
            problems = {"": "Somebody else changed this view meanwhile. Go back to the views, and look at it again."}
        else:
            return _home(request, done, f"“{done.view.name}” is changed.")
    more = {"url": path("views", view.id, "edit"), "back": HOME, "title": f"Edit “{view.name}”", "button": "Save"}
    return await _form(request, templates, fields, problems, more)


def _draft(fields: Mapping[str, str]) -> Draft:
    return Draft(name=fields.get("name", ""), icon=fields.get("icon", ICONS[0]), audience=fields.get("audience", ME))


async def _form(
    request: Request,
    templates: Jinja2Templates,
    fields: Mapping[str, str],
    problems: Mapping[str, str],
    more: Mapping[str, Any],
) -> Response:
    audiences = [(ME, "Only me")]
    if actor_of(request).may(SHARE):
        async with desk_of(request).database.read() as session:
            audiences += [(str(role.id), f"The role {role.name}") for role in await stored.roles(session)]
        audiences += [(EVERYONE, "Everybody who may see this list")]
    known = {"name", "icon", "audience", "reason"}
    context = {
        "values": {"icon": ICONS[0], "audience": ME, **fields},
        "problems": {name: text for name, text in problems.items() if name in known},
        "loose_problems": [text for name, text in problems.items() if name not in known],
        "audiences": audiences,
        "icons": ICONS,
        "views_url": HOME,
        **more,
    }
    return await render(request, templates, "backdesk/saved_view.html", context, status=422 if problems else 200)


async def keep(request: Request, templates: Jinja2Templates) -> Response:
    """Let a view show from now on what its list shows."""
    fields, desk = text_fields(await form_of(request)), desk_of(request)
    who, key = (actor_of(request), acting(request, fields.get("reason"))), key_of(request.path_params["id"])
    done = await saved_views.keep(desk.database, desk.registry, *who, key, fields.get("query", ""), zone_of(request))
    return _to_list(request, done, f"“{done.view.name}” now shows this.")


async def move(request: Request, templates: Jinja2Templates) -> Response:
    """One place up or down in the menu."""
    await form_of(request)
    if (step := {"up": -1, "down": 1}.get(request.path_params["way"])) is None:
        raise NotFound
    key = key_of(request.path_params["id"])
    await saved_views.move(desk_of(request).database, actor_of(request), acting(request), key, step)
    return redirect(request, f"{HOME}#view-{key}")


async def delete(request: Request, templates: Jinja2Templates) -> Response:
    """GET asks, POST deletes."""
    desk, actor = desk_of(request), actor_of(request)
    view = await saved_views.look(desk.database, actor, key_of(request.path_params["id"]))
    saved_views.require(actor, view)
    if request.method == "POST":
        fields = text_fields(await form_of(request))
        done = await saved_views.delete(desk.database, actor, acting(request, fields.get("reason")), view.id)
        return _home(request, done, f"“{view.name}” is deleted. Its records stay as they are.")
    context = {
        "title": f"Delete “{view.name}”?",
        "view": view,
        "people": _people(view),
        "url": path("views", view.id, "delete"),
        "views_url": HOME,
    }
    return await render(request, templates, "backdesk/saved_view_delete.html", context)


def _to_list(request: Request, done: Done, text: str) -> Response:
    return redirect(request, path(done.view.resource, "list", view=done.view.id), _notice(done, text))


def _home(request: Request, done: Done, text: str) -> Response:
    return redirect(request, HOME, _notice(done, text))


def _notice(done: Done, text: str) -> Notice:
    return Notice(text, undo_href=path("change_set", done.change_set_id, "undo"))


ROUTES: Iterable[tuple[str, tuple[str, ...], Callable[[Request, Jinja2Templates], Awaitable[Response]]]] = (
    ("/views", ("GET",), page),
    ("/views/save/{resource}", ("GET", "POST"), save),
    ("/views/{id}/edit", ("GET", "POST"), edit),
    ("/views/{id}/keep", ("POST",), keep),
    ("/views/{id}/delete", ("GET", "POST"), delete),
    ("/views/{id}/move/{way}", ("POST",), move),
    ("/queues", ("GET",), counts),
)
"""The pages of views; each checks for itself what the viewer may do."""
