"""Holding rows for a change that also reads what hangs on them, or other tables."""

from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.queries.changes import Chosen


async def hold(session: AsyncSession, chosen: Chosen[Any], also: ColumnElement[bool] | None = None) -> None:
    """Lock the chosen rows, and others of their table, so that what the next statement reads is as it is by then.

    The engine locks them too, and then looks at the rows themselves again, but not at what hangs on them. Nothing is
    locked where nothing is to be written.
    """
    if not chosen.classify:
        ours = and_(chosen.where(chosen.model.id), *chosen.visible)
        await lock(session, chosen.model, or_(ours, false() if also is None else also))


async def lock(session: AsyncSession, model: type[Any], *which: ColumnElement[bool]) -> None:
    """Lock rows of a table in the order of their ids, so that two who lock the same rows never wait for each other."""
    rows = select(model.id).where(*which).order_by(model.id).with_for_update(key_share=True, of=model)
    await session.execute(select(func.count()).select_from(rows.subquery()))
