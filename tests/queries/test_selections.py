"""Frozen selections: how their ids are kept, and how chunks of work walk through them."""

import json
from typing import Any

import pytest
from sqlalchemy import BigInteger, func, literal, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.db import Database
from admin_app.models import SelectionPart, Ticket
from admin_app.plugin import Chosen
from admin_app.queries import selections

IDS = list(range(7, 7 + 3 * 25_500, 3))
"""More than whole parts hold."""


async def frozen(session: AsyncSession) -> Chosen[Ticket]:
    """A selection of these ids, whether there are such tickets or not."""
    ids = select(func.generate_series(IDS[0], literal(IDS[-1], BigInteger), 3))
    kept = await selections.freeze(session, ids, user_id=None, resource="ticket", limit=len(IDS))
    return Chosen.frozen(Ticket, kept.id, kept.row_count)


async def test_ids_are_kept_in_parts_in_their_order(database: Database) -> None:
    async with database.bookkeeping() as session:
        chosen = await frozen(session)
        rows = await session.scalars(select(SelectionPart).order_by(SelectionPart.first_id))
        parts = [(part.first_id, part.last_id, part.ids) for part in rows]
    assert chosen.requested == len(IDS)
    assert [len(ids) for _, _, ids in parts] == [SelectionPart.SIZE] * 25 + [500]
    assert [one for _, _, ids in parts for one in ids] == IDS
    assert all((first, last) == (ids[0], ids[-1]) for first, last, ids in parts)


@pytest.mark.parametrize("size", [700, 1_000, 2_500])
async def test_chunks_are_every_id_once_and_end_where_their_lane_does(database: Database, size: int) -> None:
    async with database.bookkeeping() as session:
        chosen, until, seen, position = await frozen(session), IDS[20_100], list[int](), None
        while True:
            last, number = await selections.bounds(session, chosen.within(until).after(position, size))
            if not number:
                break
            seen += sorted(await session.scalars(chosen.between(position, last, number).keys()))
            position = last
    assert seen == IDS[: 20_100 + 1]


async def test_a_chunk_reads_only_the_parts_in_which_it_lies(database: Database) -> None:
    async with database.bookkeeping() as session:
        chosen = await frozen(session)
        behind, last = IDS[12_300], IDS[14_299]
        for part in (chosen.after(behind, 2_000), chosen.between(behind, last, 1_999)):
            assert await read(session, part.keys()) <= 4 * SelectionPart.SIZE


async def read(session: AsyncSession, query: Any) -> int:
    """Ids that a query takes out of arrays."""
    sql = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    plan = await session.scalar(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}"))
    nodes = [(plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]]
    for node in nodes:
        nodes.extend(node.get("Plans", []))
    scans = [node for node in nodes if node["Node Type"] == "Function Scan"]
    assert scans
    return sum((scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"] for scan in scans)
