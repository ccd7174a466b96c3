"""What every request has: the desk it belongs to, who asks, their form with its token, and how a page is rendered."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer
from python_multipart.multipart import parse_options_header
from sqladmin.templating import Jinja2Templates
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from admin_app.db import Acting, Database
from admin_app.errors import BadRequest, CrossSite, SignInRequired, TooMany
from admin_app.models import Door
from admin_app.plugin import Resource, Visit
from admin_app.queries.saved_views import View
from admin_app.queries.users import Actor
from admin_app.registry import Registry
from admin_app.saved_views import Counts
from admin_app.settings import Settings, time_zone
from admin_app.web.markup import ZONE

BASE = "/admin"
TOKEN_FIELD = "_token"  # noqa: S105  the name of a field
TOKEN_SECONDS = 12 * 3600
NOTICE_COOKIE = "backdesk_notice"
VISITOR_COOKIE = "backdesk_visitor"
FORM_FIELDS = 20_000
"""Fields that one form may have: more rows than anybody ticks by hand."""
FORM_BYTES = 3 * 1024 * 1024
"""Bytes that a form may have whose characters are written out as `%F0%9F%98%80`, which takes long to read."""
DECEPTIVE = re.compile(r"[\\\x00-\x1f]")
"""What browsers leave out of an address, or read as a slash, so that it would lead elsewhere."""


@dataclass(frozen=True)
class Desk:
    """One running Backdesk: its settings, database, plugins, and the key that signs what it hands out."""

    settings: Settings
    database: Database
    registry: Registry
    secret: str = field(repr=False)

    @cached_property
    def form_signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.secret, salt="form")

    @cached_property
    def list_signer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self.secret, salt="list")

    @cached_property
    def queue_counts(self) -> Counts:
        """The numbers beside the saved views of menus."""
        return Counts()

    @cached_property
    def notice_signer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self.secret, salt="notice")

    @property
    def session_cookie(self) -> str:
        """The name of the sign-in cookie; its prefix makes browsers insist on HTTPS where the desk is served so."""
        return "__Host-backdesk_session" if self.settings.secure_cookies else "backdesk_session"

    def cookie(self, **options: Any) -> dict[str, Any]:
        """How cookies are set: never readable by scripts, never sent along from other sites."""
        return {"httponly": True, "samesite": "lax", "secure": self.settings.secure_cookies, "path": "/", **options}


@dataclass(frozen=True)
class Notice:
    """A sentence shown once on the next page, with a link to more, and one to where it can be undone."""

    text: str
    level: str = "success"
    href: str | None = None
    link_text: str | None = None
    undo_href: str | None = None


def desk_of(request: Request) -> Desk:
    """The desk that a request belongs to."""
    desk: Desk = request.scope["desk"]
    return desk


def request_id(request: Request) -> str:
    """The id under which a request is found in the log and in the audit log."""
    return str(request.scope.get("request_id", ""))


def actor_or_none(request: Request) -> Actor | None:
    """Who is signed in, if anybody is."""
    return getattr(request.state, "actor", None)


def actor_of(request: Request) -> Actor:
    """Who is signed in; raises SignInRequired."""
    if (actor := actor_or_none(request)) is None:
        raise SignInRequired
    return actor


def zone_of(request: Request) -> ZoneInfo:
    """The time zone in which the viewer reads and writes times."""
    actor = actor_or_none(request)
    return time_zone(actor.time_zone) if actor and actor.time_zone else desk_of(request).settings.time_zone


def address_of(request: Request) -> str | None:
    """Where a request comes from, as far as there is room for it; None where the server does not know."""
    return request.client.host[:100] if request.client else None


def acting(
    request: Request, reason: str | None = None, *, door: Door = Door.WEB, reference: str | None = None
) -> Acting:
    """The signed-in person as who makes a change through the web, or through another door of the same server."""
    return Acting(
        user_id=actor_of(request).user_id,
        door=door,
        reason=(reason or "").strip() or None,
        reference=reference,
        request_id=request_id(request),
        address=address_of(request),
        user_agent=request.headers.get("user-agent"),
    )


def visit(request: Request) -> Visit:
    """The signed-in person as who looks at a plugin's page."""
    actor = actor_of(request)
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name, []).append(value)
    return Visit(actor.user_id, actor.permissions, zone_of(request), query)


def path(*parts: object, **query: object) -> str:
    """A path below the admin, each part quoted: `path("ticket", "details", 5)` → `/admin/ticket/details/5`."""
    base = "/".join([BASE, *[_quoted(str(part)) for part in parts]])
    given = [(name, str(value)) for name, value in query.items() if value is not None]
    pairs = "&".join([f"{_quoted(name)}={quote(value, safe='')}" for name, value in given])
    return f"{base}?{pairs}" if pairs else base


@lru_cache(maxsize=1_000)
def _quoted(part: str) -> str:
    """A part of a path; a page has a hundred, most of them names that every page has."""
    return quote(part, safe="")


def here(request: Request) -> str:
    """The address that was asked for, below the site's name."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def record_path(resource: Resource, record: Any) -> str:
    """The page of one record."""
    return path(resource.name, "details", record.id)


def _holder(request: Request) -> str:
    """What a form token is bound to: the sign-in, or before that the visitor's own cookie."""
    desk = desk_of(request)
    value = request.cookies.get(desk.session_cookie) or visitor(request)
    return hashlib.sha256(value.encode()).hexdigest()[:24]


def visitor(request: Request) -> str:
    """A random name for a browser that is not signed in, kept in a cookie; made on its first page."""
    known = request.cookies.get(VISITOR_COOKIE) or getattr(request.state, "visitor", "")
    request.state.visitor = known or secrets.token_urlsafe(16)
    return str(request.state.visitor)


def token(request: Request) -> str:
    """The token that a form on this page carries."""
    return desk_of(request).form_signer.dumps(_holder(request))


def inside(address: str | None, otherwise: str) -> str:
    """An address that somebody named, where it is one of ours, else another."""
    named = address or ""
    ours = (named == BASE or named.startswith(f"{BASE}/")) and not DECEPTIVE.search(named)
    return named if ours else otherwise


async def form_of(request: Request, *, at_most: int | None = None, files: bool = False) -> FormData:
    """The posted form of `at_most` so many bytes, once its token is found to be ours.

    Its `files` are for the caller to close; where none are expected, those that came are dropped at once. This is the
    only way to a form, so that none is read unchecked. Raises CrossSite, BadRequest, or TooMany.
    """
    _check_kind(request, at_most)
    limit = desk_of(request).settings.upload_limit_mb * 1024 * 1024
    try:
        form = await request.form(max_fields=FORM_FIELDS, max_part_size=limit)
    except HTTPException as error:
        raise BadRequest(f"The form could not be read: {error.detail}") from error
    if not files:
        await form.close()
    given = form.get(TOKEN_FIELD) or request.headers.get("x-csrf-token") or ""
    try:
        _check_token(request, str(given))
    except CrossSite:
        await form.close()
        raise
    return form


def _check_kind(request: Request, at_most: int | None) -> None:
    """Raise TooMany or BadRequest for a form that is not worth reading, or is in an alphabet that nobody sends.

    Of other alphabets, some can write half characters, which nothing behind the form expects.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if at_most is None and kind != b"multipart/form-data":
        at_most = FORM_BYTES
    if at_most is not None and int(request.headers.get("content-length", "0")) > at_most:
        raise TooMany("This form holds more than Backdesk takes at once. Please shorten it, or send it in parts.")
    if options.get(b"charset", b"utf-8").lower() != b"utf-8":
        raise BadRequest("A form has to be sent in UTF-8.")


def _check_token(request: Request, given: str) -> None:
    """Raise CrossSite for a token that is not ours, too old, or somebody else's."""
    try:
        holder = desk_of(request).form_signer.loads(given, max_age=TOKEN_SECONDS)
    except BadData as error:
        raise CrossSite from error
    if not secrets.compare_digest(str(holder), _holder(request)):
        raise CrossSite


def text_fields(form: FormData) -> dict[str, str]:
    """The form's texts by name, the last of each, without the token."""
    return {name: value for name, value in form.multi_items() if isinstance(value, str) and name != TOKEN_FIELD}


def redirect(request: Request, to: str, notice: Notice | None = None) -> Response:
    """Go on to another page of ours by GET, with a sentence to show there."""
    response = RedirectResponse(to, status_code=303)
    if notice:
        desk = desk_of(request)
        response.set_cookie(NOTICE_COOKIE, desk.notice_signer.dumps(asdict(notice)), **desk.cookie(max_age=300))
    return response


def _notices(request: Request) -> list[Notice]:
    if not (given := request.cookies.get(NOTICE_COOKIE)):
        return []
    try:
        return [Notice(**desk_of(request).notice_signer.loads(given))]
    except (BadData, TypeError):
        return []


def menu(request: Request) -> list[dict[str, Any]]:
    """The menu of the signed-in person: groups of lists and pages that they may see."""
    actor, registry = actor_or_none(request), desk_of(request).registry
    if actor is None:
        return []
    entries = [
        (resource.group, resource.label_plural, path(resource.name, "list"), resource.icon)
        for resource in registry.resources.values()
        if actor.may(f"{resource.name}.view")
    ]
    entries += [
        (page.group, page.label, path("page", page.plugin, page.name), page.icon)
        for page in registry.pages.values()
        if actor.may(page.permission)
    ]
    entries += [("Desk", "Recipes", path("recipes"), "layers")] * actor.may("recipe.view")
    groups: dict[str, list[dict[str, Any]]] = {}
    present, in_view = request.url.path, "view" in request.query_params
    for group, label, url, icon in entries:
        active = not in_view if present == url else present.startswith(url.removesuffix("/list") + "/")
        groups.setdefault(group, []).append({"label": label, "url": url, "icon": icon, "active": active})
    return [{"label": label, "items": items} for label, items in groups.items()]


def queues(request: Request) -> list[View]:
    """The saved views in the menu of the signed-in person, but for those that they hid."""
    return [view for view in workable(request) if not view.hidden]


def workable(request: Request) -> list[View]:
    """The saved views that the signed-in person can work through: their own, those of their roles, and everybody's."""
    actor, registry = actor_or_none(request), desk_of(request).registry
    return [
        view
        for view in (actor.views if actor else ())
        if view.resource in registry.resources
        and actor_of(request).may(f"{view.resource}.view")
        and (view.mine or view.role is None or view.role in actor_of(request).role_names)
    ]


async def render(
    request: Request, templates: Jinja2Templates, name: str, context: Mapping[str, Any], status: int = 200
) -> Response:
    """A page: the template with its own context and what every page has."""
    notices, zone = _notices(request), zone_of(request)
    everywhere = {
        "request": request,
        "brand": "Backdesk",
        "menu": menu(request),
        "queues": queues(request),
        "queue": request.query_params.get("view") if request.url.path.endswith("/list") else None,
        "actor": actor_or_none(request),
        "csrf": cache(lambda: token(request)),
        "notices": [*notices, *context.get("notices", [])],
        "zone": zone,
        "request_id": request_id(request),
    }
    ZONE.set(zone)
    response = HTMLResponse(templates.env.get_template(name).render({**context, **everywhere}), status_code=status)
    if NOTICE_COOKIE in request.cookies:
        response.delete_cookie(NOTICE_COOKIE, path="/")
    if made := getattr(request.state, "visitor", None):
        response.set_cookie(VISITOR_COOKIE, made, **desk_of(request).cookie())
    return response
