"""Change sets as scripts ask for them: the one that a key stands for, and what became of each row."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import ChangeSet, RowOutcome


async def with_key(session: AsyncSession, user_id: int | None, key: str) -> ChangeSet | None:
    """The change set that somebody made with an idempotency key before, if they did."""
    mine = ChangeSet.user_id.is_not_distinct_from(user_id)
    return await session.scalar(select(ChangeSet).where(mine, ChangeSet.idempotency_key == key))


async def outcomes(
    session: AsyncSession, change_set_id: int, *, after: int, limit: int, outcome: str | None = None
) -> Sequence[RowOutcome]:
    """What became of the rows of a change set behind the one with the id `after`, in the order of their ids.

    At most `limit` of them; with `outcome`, only those of which this became.
    """
    found = select(RowOutcome).where(RowOutcome.change_set_id == change_set_id, RowOutcome.record_id > after)
    if outcome is not None:
        found = found.where(RowOutcome.outcome == outcome)
    return (await session.scalars(found.order_by(RowOutcome.record_id).limit(limit))).all()
