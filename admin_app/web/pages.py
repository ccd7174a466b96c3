"""The start page, and the pages and panels of plugins: each is given a session and a visit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from sqladmin.templating import Jinja2Templates
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import BackdeskError, Forbidden, NotFound
from admin_app.logs import structlog
from admin_app.plugin import Panel
from admin_app.web.context import actor_of, desk_of, path, render, request_id, visit, zone_of
from admin_app.web.markup import ZONE

logger = structlog.get_logger("backdesk.plugins")


async def start(request: Request, templates: Jinja2Templates) -> Response:
    """The start page: the numbers that plugins offer, each leading to its rows, and the menu as cards."""
    desk, viewer = desk_of(request), visit(request)
    async with desk.database.read(snapshot=True) as session:
        tiles = [
            {"label": stat.label, "value": await stat.function(session, viewer), "href": stat.href}
            for stat in desk.registry.stats
            if viewer.may(stat.permission)
        ]
    return await render(request, templates, "sqladmin/index.html", {"tiles": tiles, "title": "Start"})


async def page(request: Request, templates: Jinja2Templates) -> Response:
    """A plugin's page, in one snapshot of the database."""
    desk, actor = desk_of(request), actor_of(request)
    found = desk.registry.pages.get("{plugin}.{name}".format_map(request.path_params))
    if found is None:
        raise NotFound
    if not actor.may(found.permission):
        raise Forbidden(f"You may not see “{found.label}”. It needs the permission {found.permission}.")
    async with desk.database.read(snapshot=True) as session:
        context = await found.function(session, visit(request))
    about = {"page": found, "title": found.label, "url": path("page", found.plugin, found.name)}
    return await render(request, templates, found.template, {**about, **context})


@dataclass(frozen=True)
class Box:
    """A panel as it is shown: its heading and its markup."""

    name: str
    label: str
    content: Markup


async def boxes(request: Request, session: AsyncSession, record: Any, templates: Jinja2Templates) -> list[Box]:
    """The panels of plugins for one record that the viewer may see; one that fails is shown as failed, alone."""
    viewer = visit(request)
    shown = [
        panel
        for panel in desk_of(request).registry.panels_for(type(record))
        if panel.permission is None or viewer.may(panel.permission)
    ]
    ZONE.set(zone_of(request))
    return await _boxes(request, session, record, templates, shown)


async def _boxes(
    request: Request, session: AsyncSession, record: Any, templates: Jinja2Templates, panels: Sequence[Panel]
) -> list[Box]:
    """The panels one after the other; those behind one that fails get a session of their own, for it spoils its own."""
    made: list[Box] = []
    for number, panel in enumerate(panels, start=1):
        try:
            made.append(await _box(request, session, record, panel, templates))
        except BackdeskError:
            raise
        except Exception as error:  # a plugin's mistake must not take the record's page away
            made.append(_failed(request, panel, error))
            session.expunge_all()  # lest the record be forgotten with what was read
            await session.rollback()
            async with desk_of(request).database.read(snapshot=True) as another:
                return made + await _boxes(request, another, record, templates, panels[number:])
    return made


async def _box(request: Request, session: AsyncSession, record: Any, panel: Panel, templates: Jinja2Templates) -> Box:
    context = await panel.function(session, record, visit(request))
    template = templates.env.get_template(panel.template)
    facts = {"request": request, "record": record, "zone": zone_of(request), **context}
    shown = Markup(template.render(facts))  # noqa: S704  rendered with autoescape
    return Box(f"{panel.plugin}.{panel.name}", panel.label, shown)


def _failed(request: Request, panel: Panel, error: Exception) -> Box:
    name = f"{panel.plugin}.{panel.name}"
    logger.error("panel failed", panel=name, request_id=request_id(request), exc_info=error)
    text = Markup('<p class="notice error" role="alert">{} could not be shown. Reference: {}</p>')
    return Box(name, panel.label, text.format(panel.label, request_id(request)))
