"""What a list could be narrowed down to: how many of its rows have which value, counted no further than is cheap.

Nothing here reads a whole table: rows are counted up to CAPPED, of values those are told that are found among the first
CAPPED rows of the list, and all of it under a time limit of its own.
"""

from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.queries.listing import ListQuery

CAPPED = 10_000
"""Rows up to which anything is counted."""
PATIENCE_MS = 3_000
"""Milliseconds that one statement may take."""


async def hurry(session: AsyncSession, milliseconds: int = PATIENCE_MS) -> None:
    """Let no statement of this transaction take longer."""
    await session.execute(select(func.set_config("statement_timeout", str(milliseconds), True)))


async def count_of(session: AsyncSession, query: ListQuery, limit: int | None = CAPPED) -> int:
    """How many rows match; `limit` + 1 where there are more than `limit`, all of them without one."""
    model, conditions = query.listed.model, query.conditions()
    if limit is None:
        return await session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0
    found = select(literal(1)).select_from(model).where(*conditions).limit(limit + 1)
    return await session.scalar(select(func.count()).select_from(found.subquery())) or 0
