"""The outermost layer: which hosts are answered, which requests may change something, which headers."""

import re
import secrets
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_app.errors import BackdeskError, BadRequest, CrossSite, TooMany
from admin_app.logs import structlog
from admin_app.web.context import Desk, actor_or_none

logger = structlog.get_logger("backdesk.web")

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
LENGTH = re.compile(r"[0-9]{1,18}")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
UNESCAPED = re.compile(rb"[^\x21-\x7e]")
"""What a careless client leaves unescaped in an address; it is read as if it had been escaped."""
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")

ErrorPage = Callable[[Request, BackdeskError], Awaitable[Response]]


class Guard:
    """ASGI middleware: gives each request an id and its desk, refuses what is not ours, and lets no exception out."""

    def __init__(self, app: ASGIApp, desk: Desk, error_page: ErrorPage) -> None:
        self.app, self.desk, self.error_page = app, desk, error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scope["query_string"] = UNESCAPED.sub(lambda byte: b"%%%02X" % ord(byte[0]), scope["query_string"])
        given = headers.get("x-request-id", "")
        scope["desk"] = self.desk
        scope["request_id"] = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(12)
        answer = _Answer(send, scope["request_id"], cacheable=scope["path"].startswith("/static/"))
        about = {"request_id": scope["request_id"], "method": scope["method"], "path": scope["path"]}
        try:
            self._check(scope["method"], headers)
            await self.app(scope, receive, answer.send)
            if scope["method"] not in SAFE_METHODS and (actor := actor_or_none(Request(scope))):
                self.desk.queue_counts.forget(actor.user_id)
        except Exception as error:  # whatever happens, a person gets a page and we get a line in the log
            if not isinstance(error, BackdeskError) or error.status >= 500:
                logger.error("request failed", **about, exc_info=error)
            if not answer.started:
                shown = error if isinstance(error, BackdeskError) else BackdeskError()
                page = await self.error_page(Request(scope, receive), shown)
                await page(scope, receive, answer.send)
        logger.info("request", **about, status=answer.status)

    def _check(self, method: str, headers: Headers) -> None:
        host = headers.get("host", "").lower()
        named, allowed = HOST.fullmatch(host), self.desk.settings.allowed_hosts
        if named is None or ("*" not in allowed and named[1] not in allowed):
            raise BadRequest("Backdesk is not served under this name. Add it to BACKDESK_ALLOWED_HOSTS.")
        if "transfer-encoding" in headers:
            raise BadRequest("A request has to say beforehand how long it is.")
        length = headers.get("content-length", "0")
        if not LENGTH.fullmatch(length) or int(length) > (self.desk.settings.upload_limit_mb + 2) * 1024 * 1024:
            raise TooMany(f"This is larger than {self.desk.settings.upload_limit_mb} MB, the limit of one upload.")
        if method not in SAFE_METHODS and not _same_origin(headers, host):
            raise CrossSite


def _same_origin(headers: Headers, host: str) -> bool:
    """Whether the browser says that the request comes from our own pages; without its word the form's token decides."""
    if site := headers.get("sec-fetch-site"):
        return site in {"same-origin", "none"}
    if origin := headers.get("origin"):
        return origin.lower().partition("://")[2] == host
    return True


class _Answer:
    """Adds the headers of every answer and remembers how it went."""

    def __init__(self, send: Send, request_id: str, *, cacheable: bool) -> None:
        self._send, self._request_id, self._cacheable = send, request_id, cacheable
        self.started, self.status = False, 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers["x-request-id"] = self._request_id
            if not self._cacheable:
                headers.setdefault("cache-control", "no-store")
        await self._send(message)
