"""How PostgreSQL counts the years, months and days of a large list: by ranges of an index, none read to its end."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event

from admin_app.db import Database
from admin_app.queries import facets
from admin_app.queries.facets import MANY
from admin_app.queries.listing import ListQuery
from tests.queries.test_filter_plans import LARGE, TICKETS, VIEWER, explained, read


@dataclass
class Plans:
    """Every statement that reads, with the steps by which PostgreSQL ran it."""

    statements: list[tuple[str, Any]]

    def note(self, connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        """Keep a statement."""
        if "tickets" in statement:
            self.statements.append((statement, parameters))

    async def explained(self, database: Database) -> list[dict[str, Any]]:
        """All steps of all statements."""
        return [step for asked in self.statements for step in await explained(database, *asked)]


@pytest.mark.parametrize("asked", [{}, {"created_at": "2025-01-01..2026-01-01"}, {"status": "open"}])
async def test_periods_are_counted_by_ranges_of_an_index(large: Database, asked: dict[str, str]) -> None:
    query, plans = ListQuery.parse(TICKETS, list(asked.items()), VIEWER), Plans([])
    name = facets.main_time(TICKETS)
    assert name == "created_at"
    for engine in large.engines:
        event.listen(engine.sync_engine, "before_cursor_execute", plans.note)
    async with large.read() as session:
        spans = await facets.spans_of(session, query, name, VIEWER)
        told = await facets.counted(session, query, name, spans, VIEWER)
    for engine in large.engines:
        event.remove(engine.sync_engine, "before_cursor_execute", plans.note)
    found = await plans.explained(large)
    assert told
    assert not [step for step in found if step["Node Type"] == "Seq Scan" and step.get("Relation Name") in LARGE]
    assert read(found) <= len(spans) * (MANY + 1) + 2
