"""All rows of a list, for a file."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.queries.filters import relation_of
from admin_app.queries.listing import ListQuery
from admin_app.queries.rows import by_key, order

BATCH = 200
"""Rows of an export that are in memory at a time."""


async def export_rows(
    session: AsyncSession, query: ListQuery, names: Sequence[str], unnamed: Collection[str], limit: int
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """The values of these columns in every matching row, in batches; related records by the text that finds them.

    Those in `unnamed` come by their id only.
    """
    model = query.listed.model
    values = [
        by_key(model, name, None if name in unnamed else 0) if relation_of(model, name) else getattr(model, name)
        for name in names
    ]
    found: Select[Any] = select(*values).select_from(model).where(*query.conditions()).order_by(*order(query))
    stream = await session.stream(found.limit(limit), execution_options={"yield_per": BATCH})
    async for batch in stream.partitions():
        yield batch
