"""Signing in and out: argon2id passwords, sign-ins kept on the server and revoked there, tries counted."""

import asyncio
import hashlib
import secrets
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqladmin.authentication import AuthenticationBackend
from starlette.requests import Request
from starlette.responses import Response

from admin_app.db import Acting
from admin_app.errors import TooMany
from admin_app.models import Door
from admin_app.queries import users
from admin_app.web.context import (
    VISITOR_COOKIE,
    acting,
    actor_or_none,
    address_of,
    desk_of,
    form_of,
    here,
    inside,
    path,
    redirect,
    request_id,
    text_fields,
)

SESSION_HOURS = 12
FORM_BYTES = 64 * 1024
"""Bytes that the form of a sign-in may have: whoever sends it is nobody yet."""
TRIES = {
    "e-mail": {"period": timedelta(seconds=30), "burst": timedelta(seconds=30 * 9)},
    "address": {"period": timedelta(seconds=3), "burst": timedelta(seconds=3 * 99)},
}
"""Ten tries at once for one e-mail, then one every 30 seconds; ten times as many for an address: an office has one."""

hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def _of_nothing() -> str:
    """What looks like the hash of a password, and is none's: bytes made up."""
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19${costs}${salt}${digest}"


NO_PASSWORD = _of_nothing()
"""Verified in place of a hash that does not exist, so that the answer takes as long."""

verifying = ThreadPoolExecutor(1, "passwords")
"""Passwords are verified one after another: each takes 19 MB, which a thread keeps for its next."""

WRONG = "The e-mail address or the password is not right. Please try again."


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its parameters."""
    return hasher.hash(password)


def token_hash(token: str) -> bytes:
    """What is stored of a sign-in's token."""
    return hashlib.sha256(token.encode()).digest()


class Authentication(AuthenticationBackend):
    """Who a request is from, asked once a request by SQLAdmin's guard of every page."""

    def __init__(self) -> None:
        self.middlewares = []

    async def authenticate(self, request: Request) -> Response | bool:
        desk = desk_of(request)
        given = request.cookies.get(desk.session_cookie)
        if given and actor_or_none(request) is None:
            async with desk.database.glance() as session:
                request.state.actor = await users.actor_by_session(session, token_hash(given))
        if actor_or_none(request) is not None:
            return True
        return redirect(request, path("login", next=here(request) if request.method == "GET" else None))

    async def get_user_id(self, request: Request) -> int | None:
        actor = actor_or_none(request)
        return actor.user_id if actor else None


async def sign_in(request: Request) -> Response | str:
    """Check a posted sign-in; the way on with a new sign-in cookie, or what to tell the person.

    Raises TooMany after ten tries for one e-mail, or a hundred from one address.
    """
    desk = desk_of(request)
    fields = text_fields(await form_of(request, at_most=FORM_BYTES))
    email, password = fields.get("email", "").strip(), fields.get("password", "")
    address = address_of(request)
    if not await _may_try(request, {"e-mail": email.lower()[:200], "address": address or "unknown"}):
        raise TooMany("There were too many tries. Please wait a minute, then sign in again.")
    async with desk.database.read() as session:
        found = await users.credentials(session, email) if "\x00" not in email else None
    known = found.password_hash if found else NO_PASSWORD
    right = await asyncio.get_running_loop().run_in_executor(verifying, _verified, known, password)
    if not right or not found:
        return WRONG
    token = secrets.token_urlsafe(32)
    until = datetime.now(UTC) + timedelta(hours=SESSION_HOURS)
    person = Acting(user_id=found.user_id, door=Door.WEB, request_id=request_id(request), address=address)
    async with desk.database.transaction(person, "session.sign_in") as change:
        agent = (request.headers.get("user-agent") or "")[:400]
        await users.open_session(
            change.session, found.user_id, token_hash(token), until, address=address, user_agent=agent
        )
        change.counts.changed = 1
    response = redirect(request, inside(fields.get("next"), path("")))
    response.set_cookie(desk.session_cookie, token, **desk.cookie(max_age=SESSION_HOURS * 3600))
    response.delete_cookie(VISITOR_COOKIE, path="/")
    return response


async def _may_try(request: Request, keys: Mapping[str, str]) -> bool:
    """Count a try under each key, and tell whether it is within every limit."""
    async with desk_of(request).database.bookkeeping() as session:
        allowed = [await users.may_try(session, [f"sign-in {kind} {key}"], **TRIES[kind]) for kind, key in keys.items()]
    return all(allowed)


def _verified(password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


async def sign_out(request: Request) -> Response:
    """End the sign-in on the server, so that a copy of its cookie is worth nothing."""
    desk = desk_of(request)
    await form_of(request, at_most=FORM_BYTES)
    actor = actor_or_none(request)
    if actor and actor.session_id:
        async with desk.database.transaction(acting(request), "session.sign_out") as change:
            await users.revoke_session(change.session, actor.session_id)
            change.counts.changed = 1
    response = redirect(request, path("login"))
    response.delete_cookie(desk.session_cookie, path="/", secure=desk.settings.secure_cookies, httponly=True)
    return response
