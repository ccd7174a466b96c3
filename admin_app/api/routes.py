"""The addresses of the API, who is let in, and how everything that goes wrong is answered."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_app.api import actions, change_sets, exports, openapi, records, views
from admin_app.api.answers import handle
from admin_app.api.tokens import authenticate
from admin_app.errors import BackdeskError

Deed = Callable[[Request], Awaitable[Response]]


def application() -> Starlette:
    """The API as an ASGI application, to be mounted at `/api`."""
    routes = [
        _at("/openapi.json", GET=openapi.document),
        _at("/views", GET=views.listed),
        _at("/{resource}", GET=records.listed, POST=records.create),
        _at("/change_set/{id}", GET=change_sets.single),
        _at("/change_set/{id}/outcomes", GET=change_sets.outcomes),
        _at("/change_set/{id}/undo", POST=actions.undo),
        _at("/change_set/{id}/retry", POST=actions.retry),
        _at("/change_set/{id}/cancel", POST=actions.cancel),
        _at("/{resource}/actions/{action}", POST=actions.do),
        _at("/{resource}/export", GET=exports.whole),
        _at("/{resource}/{id}", GET=records.single, PATCH=records.change),
    ]
    kinds: tuple[type[Exception], ...] = (BackdeskError, HTTPException, Exception)
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys(kinds, handle))
    app.router.redirect_slashes = False
    return app


def _at(path: str, **deeds: Deed) -> Route:
    """A route that does what the method says, once the sender is known by a token."""

    async def answer(request: Request) -> Response:
        await authenticate(request)
        return await deeds["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=list(deeds))
