"""Work that is done in chunks: what is promised, how far it is, and how fast it goes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from admin_app.models import ChangeSet, ChangeSetLane, ChangeSetState, RowOutcome
from admin_app.queries import selections
from admin_app.queries.changes import Chosen
from admin_app.queries.selections import UNFINISHED

ENDED_EARLY = (ChangeSetState.FAILED, ChangeSetState.CANCELLED)


async def lay_out(session: AsyncSession, change_set_id: int, chosen: Chosen[Any], lanes: int) -> None:
    """Divide the rows of promised work into lanes of about the same length, each of which is done in its order."""
    parts = [chosen.after(None, number * chosen.requested // lanes) for number in range(1, lanes)]
    last = [(await selections.bounds(session, part))[0] for part in parts]
    rows = [
        {"change_set_id": change_set_id, "lane": lane, "position": behind, "until": until}
        for lane, (behind, until) in enumerate(zip([None, *last], [*last, None], strict=True))
    ]
    await session.execute(insert(ChangeSetLane), rows)


async def lanes_left(session: AsyncSession, change_set_id: int) -> int:
    """How many lanes of work are not done."""
    left = select(func.count()).where(ChangeSetLane.change_set_id == change_set_id, ~ChangeSetLane.done)
    return await session.scalar(left) or 0


async def recent(session: AsyncSession, *, limit: int = 20) -> Sequence[ChangeSet]:
    """Change sets that are done in chunks: unfinished ones in the order in which it is their turn, then the newest."""
    laid_out = select(ChangeSetLane).where(ChangeSetLane.change_set_id == ChangeSet.id).exists()
    chunked = or_(laid_out, ChangeSet.state.in_((*UNFINISHED, *ENDED_EARLY)))
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
