"""Holding rows for a change that also reads other tables."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.queries.changes import Chosen


async def hold(session: AsyncSession, chosen: Chosen[Any]) -> None:
    """Lock the chosen rows, in the order of their ids, so that the statement after sees what others did meanwhile.

    The engine locks them by itself, and then looks at the rows themselves again, but not at what hangs on them.
    Nothing is locked where nothing is to be written.
    """
    if chosen.classify:
        return
    model = chosen.model
    rows = select(model.id).where(chosen.where(model.id), *chosen.visible).order_by(model.id)
    locked = rows.with_for_update(key_share=True, of=model).subquery()
    await session.execute(select(func.count()).select_from(locked))
