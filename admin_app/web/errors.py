"""Errors as pages: the status, a sentence, the request's id, and a way on; never the words of the database."""

import json
from typing import Any

from sqladmin.templating import Jinja2Templates
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from admin_app.errors import BackdeskError, BadRequest, Forbidden, NotFound, SignInRequired
from admin_app.web.context import here, path, redirect, render, request_id

BY_STATUS: dict[int, type[BackdeskError]] = {400: BadRequest, 401: SignInRequired, 403: Forbidden, 404: NotFound}


class ErrorPages:
    """Renders errors with the templates of the admin."""

    def __init__(self, templates: Jinja2Templates) -> None:
        self.templates = templates

    async def page(self, request: Request, error: BackdeskError) -> Response:
        """The page of an error; signing in comes first where nobody is signed in."""
        if isinstance(error, SignInRequired) and request.method == "GET":
            return redirect(request, path("login", next=here(request)))
        if "application/json" in request.headers.get("accept", ""):
            body = json.dumps({"error": error.message, "request_id": request_id(request)})
            return Response(body, status_code=error.status, media_type="application/json")
        context: dict[str, Any] = {"status_code": error.status, "message": error.message}
        listed = request.url.path.startswith(path("")) and request.url.path.endswith("/list")
        if error.status == 400 and listed and request.url.query:
            context["ways"] = [("The whole list", request.url.path)]
        return await render(request, self.templates, "sqladmin/error.html", context, status=error.status)

    async def handle(self, request: Request, error: Exception) -> Response:
        """What the admin answers to an exception that ends a request."""
        if isinstance(error, BackdeskError):
            return await self.page(request, error)
        if isinstance(error, HTTPException):
            if error.status_code == 405:
                return PlainTextResponse("This address does not take that method.", 405, headers=error.headers)
            known = BY_STATUS.get(error.status_code, BackdeskError)()
            known.status = error.status_code
            return await self.page(request, known)
        return await self.page(request, BackdeskError())
