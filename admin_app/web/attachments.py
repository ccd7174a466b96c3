"""Attachments of tickets: giving out their bytes, and taking in new ones."""

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import NotFound
from admin_app.plugin import Resource


async def download(request: Request, resource: Resource) -> Response:
    """No file can be downloaded yet."""
    raise NotFound


async def upload(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """No file can be attached yet."""
    raise NotFound
