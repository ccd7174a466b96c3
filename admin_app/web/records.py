"""The pages of one record, whatever its resource: what is known of it, its forms, and saving them."""

from typing import Any

from sqladmin import ModelView
from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import Forbidden, NotFound
from admin_app.inputs import label_of
from admin_app.plugin import Resource
from admin_app.queries import records
from admin_app.web.context import desk_of, path, render


def key_of(text: str) -> int:
    """The id that an address names; raises NotFound for anything that no record can have."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and 0 < int(text) < 2**63):
        raise NotFound
    return int(text)


async def details(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """Everything that is known of one record."""
    key = key_of(request.path_params["pk"])
    async with desk_of(request).database.read(snapshot=True) as session:
        record = await records.one(session, resource.model, key, resource.details)
        if record is None:
            raise NotFound
        context = {
            "title": record.label,
            "record": record,
            "facts": [(label_of(resource.model, name), getattr(record, name)) for name in resource.details],
            "breadcrumbs": [
                {"label": resource.label_plural, "url": path(resource.name, "list")},
                {"label": record.label},
            ],
        }
    return await render(request, templates, "backdesk/details.html", context)


async def create(request: Request, view: ModelView, templates: Jinja2Templates) -> Response:
    """Nothing can be made with a form yet."""
    raise Forbidden("Forms are not there yet.")


async def edit(request: Request, view: ModelView, templates: Jinja2Templates) -> Response:
    """Nothing can be edited with a form yet."""
    raise Forbidden("Forms are not there yet.")


async def insert(request: Request, resource: Resource, data: dict[str, Any]) -> Any:
    """Nothing can be made with a form yet."""
    raise Forbidden("Forms are not there yet.")


async def update(request: Request, resource: Resource, pk: str, data: dict[str, Any]) -> Any:
    """Nothing can be edited with a form yet."""
    raise Forbidden("Forms are not there yet.")


async def comment(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """No comment can be added yet."""
    raise NotFound
