"""The list of a resource: one page of its records, and the whole of it as a file."""

from sqladmin.templating import Jinja2Templates
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import NotFound
from admin_app.plugin import Resource
from admin_app.web.context import desk_of, record_path, render


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """The newest records of a resource, each a link."""
    key = resource.model.id  # type: ignore[attr-defined]
    async with desk_of(request).database.read() as session:
        rows = (await session.scalars(select(resource.model).order_by(key.desc()).limit(50))).all()
    links = [(record_path(resource, row), row.label) for row in rows]
    context = {"title": resource.label_plural, "resource": resource, "links": links}
    return await render(request, templates, "sqladmin/list.html", context)


async def export(request: Request, resource: Resource) -> Response:
    """Nothing can be exported yet."""
    raise NotFound
