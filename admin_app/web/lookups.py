"""What pickers offer: rows of another table by what somebody has typed."""

from starlette.requests import Request
from starlette.responses import JSONResponse

from admin_app.errors import NotFound
from admin_app.plugin import Resource


async def answer(request: Request, resource: Resource) -> JSONResponse:
    """Nothing can be looked up yet."""
    raise NotFound
