"""What a script is answered: JSON, and errors in one form, each with a status, a sentence and the request's id."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import BackdeskError, BadInput, BadRequest, NotFound, SignInRequired
from admin_app.web.context import request_id


class JsonConflict(BackdeskError):
    """Somebody else changed this record since you read it. Read it again, and decide which values stay."""

    status = 409

    def __init__(self, conflict: Mapping[str, Any], version: int) -> None:
        super().__init__()
        self.facts = {"conflict": dict(conflict), "version": version}


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return Response(body, status, headers, media_type="application/json")


async def problem(request: Request, error: BackdeskError) -> Response:
    """An error as JSON."""
    facts: dict[str, Any] = {
        "status": error.status,
        "message": error.message,
        "fields": error.fields if isinstance(error, BadInput) else {},
        "request_id": request_id(request),
    }
    if isinstance(error, JsonConflict):
        facts |= error.facts
    headers = {"www-authenticate": 'Bearer realm="Backdesk"'} if isinstance(error, SignInRequired) else None
    return answer({"error": facts}, error.status, headers)


async def handle(request: Request, error: Exception) -> Response:
    """What the API answers to an exception that ends a request."""
    if isinstance(error, BackdeskError):
        return await problem(request, error)
    if not isinstance(error, HTTPException):
        return await problem(request, BackdeskError())
    known = {404: NotFound("There is nothing at this address."), 400: BadRequest()}
    found = known.get(error.status_code, BackdeskError(f"This address does not take {request.method}."))
    found.status = error.status_code
    response = await problem(request, found)
    response.headers.update(error.headers or {})
    return response
