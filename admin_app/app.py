"""The application: settings, a database and plugins become one ASGI app."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from admin_app import api, resources
from admin_app.db import Database
from admin_app.errors import BackdeskError
from admin_app.jobs import Worker
from admin_app.logs import structlog
from admin_app.registry import Registry, declare_permissions, load, ship_views
from admin_app.settings import Settings
from admin_app.web.admin import PACKAGE, Backoffice
from admin_app.web.context import BASE, Desk
from admin_app.web.security import Guard

logger = structlog.get_logger("backdesk")


class Statics(StaticFiles):
    """Our static files; an address that carries the file's hash may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        forever = scope["query_string"].startswith(b"v=")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if forever else "no-cache"
        return response


def create_app(settings: Settings, database: Database, registry: Registry | None = None) -> Starlette:
    """The whole desk as one ASGI app; raises PluginsRefused when a plugin has mistakes."""
    registry = registry or load(settings, core=[resources.plugin])
    desk = Desk(settings, database, registry, secret_of(settings))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await declare_permissions(database, registry)
        await ship_views(database, registry)
        worker = Worker(database, registry, settings)
        working = asyncio.create_task(worker.run()) if settings.worker else None
        yield
        worker.stopping.set()
        if working:
            await working
        await database.close()

    routes = [
        Route("/", _home),
        Route("/healthz", _alive),
        Route("/readyz", _ready),
        Mount("/api", api.application()),
        Mount("/static", Statics(directory=PACKAGE / "static"), name="static"),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.desk = desk
    admin = Backoffice(app, desk)

    async def handle(request: Request, error: Exception) -> Response:
        of_api = request.scope["path"].startswith("/api/")
        return await (api.handle if of_api else admin.errors.handle)(request, error)

    app.user_middleware.append(Middleware(Guard, desk=desk, error_page=handle))
    app.add_exception_handler(404, handle)
    return app


def secret_of(settings: Settings) -> str:
    """The key that signs forms: the one in the settings, else one that is made once and kept in the data folder."""
    if settings.secret_key:
        return settings.secret_key
    file = Path(settings.data_dir) / "secret_key"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            file.hardlink_to(draft)
        except FileExistsError:
            logger.info("another process made the secret key first")
        draft.unlink()
    return file.read_text().strip()


async def _home(request: Request) -> Response:
    return RedirectResponse(f"{BASE}/", status_code=302)


async def _alive(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> Response:
    """Whether the database answers and has the schema of this code."""
    try:
        async with request.scope["desk"].database.read() as session:
            revision = await session.scalar(text("SELECT version_num FROM alembic_version"))
    except BackdeskError as error:
        return JSONResponse({"status": "unavailable", "why": error.message}, status_code=503)
    return JSONResponse({"status": "ok", "revision": revision})
