"""How PostgreSQL reads pages of large lists: by an index, a few rows at a time, wherever in the list they are."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest_asyncio
from sqlalchemy import URL, Executable, select, text
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from admin_app.plugin import Resource
from admin_app.queries.keyset import ordered
from admin_app.queries.light import shape_of
from admin_app.queries.listing import ListQuery
from tests.queries.test_keyset import RESOURCES, asked, beginning

MANY = 20_000
READ = 800
"""Rows of a list's table that reading one page may touch: those of each of its parts, and those shown once more."""

FILLED = f"""
ALTER TABLE users DISABLE TRIGGER USER;
ALTER TABLE tickets DISABLE TRIGGER USER;
ALTER TABLE comments DISABLE TRIGGER USER;
ALTER TABLE attachments DISABLE TRIGGER USER;
INSERT INTO users (email, full_name, created_at)
SELECT 'p' || n || '@example.com', 'Person ' || n % 500, timestamptz '2026-01-01' + n % 5000 * interval '1 minute'
FROM generate_series(1, {MANY}) n;
INSERT INTO tickets (ticket_number, title, description, creator_id, created_at, priority, status, due_at, resolved_at)
SELECT 'T-' || n, 'Ticket ' || n, 'd', 1 + n % 100, timestamptz '2026-01-01' + n % 9000 * interval '1 minute',
  (ARRAY['low', 'medium', 'high', 'urgent'])[1 + n % 4], (ARRAY['open', 'in_progress', 'resolved'])[1 + n % 3],
  CASE WHEN n % 7 <> 0 THEN timestamptz '2026-02-01' + n % 3000 * interval '1 minute' END,
  CASE WHEN n % 3 = 2 THEN timestamptz '2026-03-01' + n % 3000 * interval '1 minute' END
FROM generate_series(1, {MANY}) n;
INSERT INTO comments (ticket_id, author_id, content, created_at)
SELECT 1 + n % 1000, 1 + n % 100, 'c', timestamptz '2026-01-01' + n % 9000 * interval '1 minute'
FROM generate_series(1, {MANY}) n;
INSERT INTO attachments (ticket_id, filename, content_type, size_bytes, sha256, storage_key, created_at)
SELECT 1 + n % 1000, n || '.txt', 'text/plain', n % 900, repeat('0', 64), 'key ' || n,
  timestamptz '2026-01-01' + n % 9000 * interval '1 minute'
FROM generate_series(1, {MANY}) n;
INSERT INTO change_sets (action, actor_kind, door, started_at)
SELECT 'test.make', 'system', 'code', timestamptz '2026-01-01' + n % 9000 * interval '1 minute'
FROM generate_series(1, {MANY}) n
"""


@pytest_asyncio.fixture
async def large(live_url: URL) -> AsyncIterator[AsyncConnection]:
    """A connection to a desk with many records, of which PostgreSQL knows what there is."""
    engine = create_async_engine(live_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in FILLED.split(";\n"):
            await connection.execute(text(statement))
        await connection.execute(text("VACUUM ANALYZE"))
        yield connection
    await engine.dispose()


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node of a plan and all below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes_of(below)


def read_of(node: dict[str, Any]) -> float:
    """How many rows a node took out of a table."""
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float(rows * node["Actual Loops"])


async def explained(connection: AsyncConnection, statement: Executable) -> list[dict[str, Any]]:
    """The nodes of the plan by which a statement was run."""
    dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]
    written = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]
    found = await connection.scalar(text("EXPLAIN (ANALYZE, FORMAT JSON) " + written.replace(":", r"\:")))
    plans = json.loads(found) if isinstance(found, str) else found
    return list(nodes_of(plans[0]["Plan"]))


async def check(connection: AsyncConnection, query: ListQuery) -> None:
    """Reading this page has to take few rows of the list's table, and to sort few."""
    table = query.listed.model.__tablename__
    shape = shape_of(query.listed.model, query.listed.columns, query.sort, query.listed.default_sort)
    nodes = await explained(connection, shape.page(query))
    what = (table, query.sort, query.position.side)
    of_table = [node for node in nodes if node.get("Relation Name") == table]
    assert not [node for node in of_table if node["Node Type"] == "Seq Scan"], what
    assert sum(map(read_of, of_table)) <= READ, what
    for node in nodes:
        if "Sort" in node["Node Type"]:
            assert sum(below["Actual Rows"] for below in node["Plans"]) <= READ, what


def orders(resource: Resource) -> list[str]:
    """Every declared order that has an index, both ways, and some of several columns."""
    indexed = [name for name in resource.sort if name not in resource.unindexed or name != "last_login"]
    several = ["-priority_rank,created_at", "status,-created_at"] if resource.name == "ticket" else []
    return [f"{sign}{name}" for name in indexed for sign in ("", "-")] + several


async def test_every_page_of_every_order_is_read_by_an_index_and_costs_what_the_first_does(
    large: AsyncConnection,
) -> None:
    for name in ("ticket", "comment", "attachment", "user", "change_set"):
        for sort in orders(RESOURCES[name]):
            query = asked(RESOURCES[name], f"sort={sort}")
            keys = [key.column for key in query.keys]
            deep = select(*keys).where(*query.conditions()).order_by(*ordered(keys, query.keys)).offset(MANY * 3 // 4)
            row = (await large.execute(deep.limit(1))).one()
            pages = [query, beginning(query, "before", "end")]
            pages += [beginning(query, side, query.cursor(row)) for side in ("after", "before")]
            for page in pages:
                await check(large, replace(page, size=50))


async def test_the_lists_that_staff_live_in_are_read_by_an_index(large: AsyncConnection) -> None:
    for asked_for in ("status=open", "status=open&created_at=2026-01-02..2026-01-03", "assignee=none&status=open"):
        await check(large, asked(RESOURCES["ticket"], asked_for))
