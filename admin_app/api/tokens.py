"""Who a script acts as: the token that it sends with every request, and nothing else, not even a cookie."""

import re
import secrets
from datetime import timedelta

from starlette.requests import Request

from admin_app.errors import SignInRequired, TooMany
from admin_app.queries import api_tokens, users
from admin_app.web.auth import token_hash
from admin_app.web.context import address_of, desk_of

SENT = re.compile(r"[Bb]earer +(bd_[A-Za-z0-9_-]{43})")
TRIES = {"period": timedelta(seconds=3), "burst": timedelta(seconds=3 * 99)}
"""A hundred wrong tokens at once from one address, then one every three seconds."""

WRONG = "Send a token that holds with every request: Authorization: Bearer bd_…"


def new_token() -> str:
    """A token as it is shown to a person, once: nobody can guess it, and searches for leaked secrets can find it."""
    return f"bd_{secrets.token_urlsafe(32)}"


async def authenticate(request: Request) -> None:
    """Note on the request who sent it; raises SignInRequired, always the same, or TooMany for wrong tokens."""
    desk, given = desk_of(request), request.headers.getlist("authorization")
    if not given:
        raise SignInRequired(WRONG)
    sent = SENT.fullmatch(given[0]) if len(given) == 1 else None
    async with desk.database.glance() as session:
        found = await users.bearer(session, token_hash(sent[1])) if sent else None
    if found is None:
        await _count(request)
        raise SignInRequired(WRONG)
    if not found.noted:
        async with desk.database.bookkeeping() as session:
            await api_tokens.note_use(session, found.token_id)
    request.state.actor = found.actor


async def _count(request: Request) -> None:
    """Count a wrong token; raises TooMany."""
    async with desk_of(request).database.bookkeeping() as session:
        if not await users.may_try(session, [f"token address {address_of(request) or 'unknown'}"], **TRIES):
            raise TooMany("There were too many wrong tokens from this address. Please wait.")
