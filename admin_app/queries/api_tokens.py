"""Tokens with which scripts act as a person: making, listing and revoking them, and when each was last used."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput, Conflict, NotFound
from admin_app.models import ApiToken, User

LONGEST = timedelta(days=366)
"""How long a token holds at most."""


async def create(session: AsyncSession, user_id: int, token_sha256: bytes, name: str, lasting: timedelta) -> ApiToken:
    """Record a new token of an active member of staff, valid for so long from now; raises BadInput."""
    if not timedelta(0) < lasting <= LONGEST:
        raise BadInput(fields={"days": f"A token holds for 1 to {LONGEST.days} days."})
    if not 0 < len(name.strip()) <= 100:
        raise BadInput(fields={"name": "A token needs a name of at most 100 characters, after the script that has it."})
    staff = select(User.id).where(User.id == user_id, User.is_staff, User.is_active)
    if await session.scalar(staff) is None:
        raise BadInput("Only an active member of staff can have a token.")
    token = ApiToken(user_id=user_id, token_sha256=token_sha256, name=name.strip(), expires_at=func.now() + lasting)
    session.add(token)
    await session.flush()
    await session.refresh(token)
    return token


async def alive(session: AsyncSession, user_id: int | None = None) -> Sequence[tuple[ApiToken, str]]:
    """Tokens that are neither revoked nor expired, of one person or of all, with e-mail addresses; the oldest first."""
    found = select(ApiToken, User.email).join(User, User.id == ApiToken.user_id).order_by(ApiToken.id)
    found = found.where(ApiToken.revoked_at.is_(None), ApiToken.expires_at > func.now())
    if user_id is not None:
        found = found.where(ApiToken.user_id == user_id)
    return [(token, email) for token, email in await session.execute(found)]


async def revoke(session: AsyncSession, token_id: int) -> None:
    """End a token at once; raises NotFound where there is none, and Conflict where it has ended before."""
    token = await session.get(ApiToken, token_id, with_for_update=True) if 0 < token_id < 2**63 else None
    if token is None:
        raise NotFound(f"There is no token {token_id}.")
    if token.revoked_at is not None:
        raise Conflict(f"The token {token_id} was revoked before.")
    token.revoked_at = func.now()
    await session.flush()


async def note_use(session: AsyncSession, token_id: int) -> None:
    """Note that a token is used now, unless that was noted within the last minute."""
    stale = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < func.now() - timedelta(minutes=1))
    await session.execute(update(ApiToken).where(ApiToken.id == token_id, stale).values(last_used_at=func.now()))
