"""The admin: SQLAdmin's shell with our pages behind its routes, and none of the routes that we close."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from sqladmin import Admin
from sqladmin.authentication import login_required
from sqladmin.templating import Jinja2Templates
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_app.errors import BackdeskError, Forbidden
from admin_app.models import ChangeSet
from admin_app.queries.readable import humanized
from admin_app.web import (
    auth,
    changes,
    exporting,
    exports,
    menus,
    outcomes,
    pages,
    palette,
    recipes,
    records,
    saved_views,
    timeline,
    undoing,
)
from admin_app.web.context import BASE, Desk, inside, path, render
from admin_app.web.errors import ErrorPages
from admin_app.web.markup import PARTS, exact, icon, static, when
from admin_app.web.templating import Dense
from admin_app.web.views import Authorization, RecordView, view_of

PACKAGE = Path(__file__).parent.parent
CLOSED = frozenset({"statics", "delete", "import", "ajax_lookup", "logout", "file_download", "file_preview"})
"""Routes of SQLAdmin that do not exist here: files by column, deletion without trash, import past the rules, its lookup
that shows what one may not see, signing out by GET, and the assets that our pages do not use."""

Page = Callable[[Request, Jinja2Templates], Awaitable[Response]]
CHANGE_SETS: tuple[tuple[str, tuple[str, ...], Page], ...] = (
    ("/change_set/reference", ("GET",), undoing.reference),
    ("/change_set/reference/undo", ("GET", "POST"), undoing.everything),
    ("/change_set/{id}/state", ("GET",), changes.state),
    ("/change_set/{id}/changes", ("GET",), changes.changes),
    ("/change_set/{id}/rows", ("GET",), outcomes.page),
    ("/change_set/{id}/rows.csv", ("GET",), outcomes.as_csv),
    ("/change_set/{id}/cancel", ("POST",), changes.cancel),
    ("/change_set/{id}/retry", ("POST",), changes.retry),
    ("/change_set/{id}/undo", ("GET", "POST"), undoing.one),
)
"""The pages of change sets, which people see of their own whatever else they may see."""

PAGES = (
    *CHANGE_SETS,
    *recipes.ROUTES,
    *exports.ROUTES,
    *saved_views.ROUTES,
    *menus.ROUTES,
    ("/palette", ("GET",), palette.page),
)
"""All pages that are of no one resource; each checks for itself what the viewer may do."""


class Backoffice(Admin):
    """SQLAdmin's Admin, with every endpoint answered by our own pages."""

    def __init__(self, app: Starlette, desk: Desk) -> None:
        self.desk = desk
        bind = desk.database.bind
        read_only = bind.execution_options(postgresql_readonly=True) if isinstance(bind, AsyncEngine) else bind
        super().__init__(
            app,
            session_maker=async_sessionmaker(read_only),
            base_url=BASE,
            title="Backdesk",
            authentication_backend=auth.Authentication(),
            authorization_backend=Authorization(),
        )
        self.errors = ErrorPages(self.templates)
        for kind in (BackdeskError, HTTPException, Exception):
            self.admin.add_exception_handler(kind, self.errors.handle)
        kept = [route for route in self.admin.router.routes if getattr(route, "name", "") not in CLOSED]
        self.admin.router.routes = [
            Route("/logout", self.logout, methods=["POST"], name="logout"),
            Route("/page/{plugin}/{name}", self.page, methods=["GET"], name="page"),
            *(Route(path, self._opened(page), methods=methods) for path, methods, page in PAGES),
            *kept,
        ]
        for resource in desk.registry.resources.values():
            self.add_view(view_of(resource))

    def init_templating_engine(self) -> Jinja2Templates:
        """Our templates in place of SQLAdmin's, each plugin's under its own name, and what all of them may use.

        They are written in one go instead of piece by piece, which SQLAdmin's `enable_async` would make of them.
        """
        templates = super().init_templating_engine()
        folders = {plugin.name: plugin.folder for plugin in self.desk.registry.plugins}
        own = {
            name: FileSystemLoader(folder / "templates" / name)
            for name, folder in folders.items()
            if folder and (folder / "templates" / name).is_dir()
        }
        loader = ChoiceLoader([FileSystemLoader(PACKAGE / "templates"), PrefixLoader(own)])
        env = Environment(loader=loader, autoescape=True, auto_reload=False, extensions=[Dense])
        env.globals.update(static=static, icon=icon, base=BASE, parts=PARTS | timeline.PARTS)
        env.filters.update(when=when, exact=exact, humanized=humanized)
        templates.env = env
        return templates

    def view(self, request: Request) -> RecordView:
        """The view that an address names; raises 404."""
        view = self._find_model_view(request.path_params["identity"])
        assert isinstance(view, RecordView)  # noqa: S101  every view here is made by view_of
        return view

    def _require(self, request: Request, deed: str) -> RecordView:
        view = self.view(request)
        if not view.has_permission(request, deed):
            raise Forbidden
        return view

    def _opened(self, page: Page) -> Callable[..., Awaitable[Response]]:
        """A page for whoever is signed in; a part that renews itself has its page reloaded where nobody is any more."""

        @login_required
        async def known(admin: Backoffice, request: Request) -> Response:
            return await page(request, admin.templates)

        async def answer(request: Request) -> Response:
            response: Response = await known(self, request)
            lost = response.headers.get("location", "").startswith(path("login"))
            renewing = "hx-request" in request.headers
            again = {"hx-refresh": "true"} if page is not saved_views.counts else {}
            return Response(status_code=401, headers=again) if lost and renewing else response

        return answer

    @login_required
    async def index(self, request: Request) -> Response:
        return await pages.start(request, self.templates)

    @login_required
    async def list(self, request: Request) -> Response:
        return await self._require(request, "list").list_page(request)

    @login_required
    async def details(self, request: Request) -> Response:
        if self.view(request).model is ChangeSet:
            return await changes.page(request, self.templates)
        return await records.details(request, self._require(request, "details").resource, self.templates)

    @login_required
    async def create(self, request: Request) -> Response:
        return await records.create(request, self._require(request, "create"), self.templates)

    @login_required
    async def edit(self, request: Request) -> Response:
        return await records.edit(request, self._require(request, "edit"), self.templates)

    @login_required
    async def export(self, request: Request) -> Response:
        return await exporting.export(request, self._require(request, "export").resource, self.templates)

    @login_required
    async def page(self, request: Request) -> Response:
        """A plugin's page."""
        return await pages.page(request, self.templates)

    async def login(self, request: Request) -> Response:
        problem, email = None, ""
        if request.method == "POST":
            answer = await auth.sign_in(request)
            if isinstance(answer, Response):
                return answer
            problem, email = answer, str((await request.form()).get("email", ""))
        target = inside(request.query_params.get("next"), path(""))
        context = {"error": problem, "next": target, "email": email}
        return await render(request, self.templates, "sqladmin/login.html", context, status=401 if problem else 200)

    @login_required
    async def logout(self, request: Request) -> Response:
        return await auth.sign_out(request)
