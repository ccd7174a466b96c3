"""How PostgreSQL reads a filtered page of a large list: by an index, and little more than the page shows."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event

from admin_app import resources
from admin_app.db import Database
from admin_app.queries import rows
from admin_app.queries.listing import ListQuery
from admin_app.queries.periods import Viewer

VIEWER = Viewer(1, ZoneInfo("Europe/Berlin"), datetime(2026, 11, 21, 12, tzinfo=UTC))
TICKETS = next(resource for resource in resources.plugin.resources if resource.name == "ticket")
LARGE = {"tickets", "ticket_search", "ticket_tags", "comments"}
FEW = 350
"""Rows that the page of a list may read of a large table, where no filter leaves most of them out."""


async def plan_of(database: Database, **asked: str) -> tuple[list[dict[str, Any]], rows.Page[Any]]:
    """The steps by which PostgreSQL reads a page, and the page."""
    statements: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.lstrip().startswith(("WITH", "SELECT")):
            statements.append((statement, parameters))

    query = ListQuery.parse(TICKETS, list(asked.items()), VIEWER)
    for engine in database.engines:
        event.listen(engine.sync_engine, "before_cursor_execute", note)
    async with database.read() as session:
        page = await rows.page_of(session, query, TICKETS.columns)
    for engine in database.engines:
        event.remove(engine.sync_engine, "before_cursor_execute", note)
    return await explained(database, *statements[-1]), page


async def explained(database: Database, statement: str, parameters: Any) -> list[dict[str, Any]]:
    """The steps by which PostgreSQL runs a statement."""
    async with database.engines[0].connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        found = await raw.driver_connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *parameters)
    [whole] = json.loads(found) if isinstance(found, str) else found
    return list(steps(whole["Plan"]))


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from steps(inner)


def read(plan: list[dict[str, Any]]) -> int:
    """How many rows of large tables were read, those that were left out included."""
    return sum(
        round((step["Actual Rows"] + step.get("Rows Removed by Filter", 0)) * step["Actual Loops"])
        for step in plan
        if step.get("Relation Name") in LARGE
    )


def check(plan: list[dict[str, Any]], few: int) -> None:
    """No large table is read whole or sorted."""
    assert not [step for step in plan if step["Node Type"] == "Seq Scan" and step["Relation Name"] in LARGE], plan
    sorted_rows = [inner["Actual Rows"] for step in plan if step["Node Type"] == "Sort" for inner in step["Plans"]]
    assert max(sorted_rows, default=0) <= few, plan
    assert read(plan) <= few, plan


async def test_a_day_is_jumped_to_by_the_index(large: Database) -> None:
    for at in ("2023-06-01", "2025-10-01"):
        plan, page = await plan_of(large, at=at)
        check(plan, FEW)
        assert page.rows[0].values["created_at"].isoformat()[:7] <= at


@pytest.mark.parametrize(
    ("asked", "few"),
    [
        ({"status": "in_progress"}, 1_500),
        ({"status": "open,in_progress", "sort": "-priority_rank"}, 1_500),
        ({"assignee": "7"}, 1_500),
        ({"assignee": "none", "status": "open"}, 1_500),
        ({"creator": "9"}, FEW),
        ({"tags": "billing-1"}, 4_000),
        ({"created_at": "2024-03-01"}, FEW),
        ({"due_at": "2023-05-01..2023-05-03"}, FEW),
        ({"overdue": "yes", "sort": "due_at"}, 1_500),
    ],
)
async def test_filters_read_little_more_than_what_they_show(large: Database, asked: dict[str, str], few: int) -> None:
    plan, page = await plan_of(large, **asked)
    assert page.rows
    check(plan, few)
