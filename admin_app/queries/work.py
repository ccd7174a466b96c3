"""Work that is done in chunks: what is promised, how far it is, and how fast it goes."""

from collections.abc import Sequence

from sqlalchemy import case, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from admin_app.models import ChangeSet, ChangeSetState, RowOutcome
from admin_app.queries.selections import UNFINISHED

ENDED_EARLY = (ChangeSetState.FAILED, ChangeSetState.CANCELLED)


async def recent(session: AsyncSession, *, limit: int = 20) -> Sequence[ChangeSet]:
    """Change sets that are done in chunks: unfinished ones in the order in which it is their turn, then the newest."""
    chunked = or_(ChangeSet.position.is_not(None), ChangeSet.state.in_((*UNFINISHED, *ENDED_EARLY)))
    waiting = ChangeSet.state.in_(UNFINISHED)
    found = select(ChangeSet).where(chunked).options(joinedload(ChangeSet.user))
    order = (waiting.desc(), case((waiting, ChangeSet.id)), ChangeSet.id.desc())
    return (await session.scalars(found.order_by(*order).limit(limit))).all()


async def in_line(session: AsyncSession, change_set_id: int) -> Sequence[int]:
    """Unfinished work of the same person up to this one, which is done first: its own id is the last, if at all."""
    mine = select(ChangeSet.user_id).where(ChangeSet.id == change_set_id).scalar_subquery()
    unfinished = (ChangeSet.state.in_(UNFINISHED), ChangeSet.id <= change_set_id)
    found = select(ChangeSet.id).where(*unfinished, ChangeSet.user_id.is_not_distinct_from(mine))
    return (await session.scalars(found.order_by(ChangeSet.id))).all()


async def one(session: AsyncSession, change_set_id: int) -> ChangeSet | None:
    """A change set with whoever made it."""
    found = select(ChangeSet).where(ChangeSet.id == change_set_id).options(joinedload(ChangeSet.user))
    return await session.scalar(found)


async def failures(session: AsyncSession, change_set_id: int, *, limit: int = 10) -> Sequence[RowOutcome]:
    """The first rows on which a change set failed, with why."""
    failed = select(RowOutcome).where(RowOutcome.change_set_id == change_set_id, RowOutcome.failed)
    return (await session.scalars(failed.order_by(RowOutcome.record_id).limit(limit))).all()


def rate(found: ChangeSet) -> float | None:
    """Rows a second since the work was promised; None before the first chunk."""
    done = found.changed + found.unchanged + found.failed + sum(found.skipped.values())
    seconds = (found.progressed_at - found.started_at).total_seconds() if found.progressed_at else 0
    return done / seconds if done and seconds > 0 else None
