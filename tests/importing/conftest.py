"""What the tests of the import share: a desk to import into, from rows and mappings written in the test."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import RowMapping, func, select, text

from admin_app.db import Acting, Database
from admin_app.importing import Report, load, run
from admin_app.models import AuditLog, ChangeSet

USERS = """
into = "users"
[fields]
external_id = "id"
email = "email"
full_name = "name"
"""

TICKETS = """
into = "tickets"
[fields]
external_id = "key"
title = "summary"
description = "description"
requester = "reporter"
assignee = "assignee"
status = "status"
priority = "priority"
created_at = "created"
updated_at = "updated"
resolved_at = "resolved"
closed_at = "closed"
tags = { path = "labels", split = "," }
"""

COMMENTS = """
into = "comments"
[fields]
external_id = "id"
ticket = "ticket"
author = "author"
content = "body"
is_internal = { path = "private", default = "no" }
created_at = "created"
"""

MAPPINGS = {"users": USERS, "tickets": TICKETS, "comments": COMMENTS}

CREATED = "2020-05-01T10:00:00Z"


def ticket(key: str, **facts: Any) -> dict[str, Any]:
    """A ticket as its source has it, asked by the user `ana`."""
    always = {"summary": f"Ticket {key}", "reporter": "ana", "created": CREATED, "status": "open", "priority": "low"}
    return {"key": key, **always, **facts}


def comment(key: str, **facts: Any) -> dict[str, Any]:
    """A comment as its source has it, by `ana` on the ticket `T-1`."""
    return {"id": key, "ticket": "T-1", "author": "ana", "body": f"Comment {key}", "created": CREATED, **facts}


ANA = {"id": "ana", "email": "ana@example.com", "name": "Ana"}


@dataclass
class Desk:
    """A desk to import into."""

    database: Database
    folder: Path

    def file(self, rows: Sequence[Any] | bytes, name: str = "source.jsonl") -> Path:
        """A source file: of rows as JSONL, or of bytes as they are."""
        file = self.folder / name
        lines = rows if isinstance(rows, bytes) else b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        file.write_bytes(lines)
        return file

    def mapping(self, content: str) -> Path:
        """A mapping file."""
        file = self.folder / "mapping.toml"
        file.write_text(content)
        return file

    async def bring(
        self, what: str, rows: Sequence[Any] | bytes, mapping: str | None = None, name: str = "source.jsonl", **how: Any
    ) -> Report:
        """Import rows by a mapping."""
        loaded = load(self.mapping(mapping or MAPPINGS[what]), what)
        return await run(self.database, Acting.system(), self.file(rows, name), loaded, **how)

    async def value(self, sql: str) -> Any:
        """The one value that a query gives."""
        async with self.database.read() as session:
            return await session.scalar(text(sql))

    async def ids(self, table: str) -> list[int]:
        """The ids of all records of a table."""
        async with self.database.read() as session:
            return list(await session.scalars(text(f"SELECT id FROM {table} ORDER BY id")))

    async def record(self, sql: str) -> RowMapping:
        """The one row that a query gives."""
        async with self.database.read() as session:
            return (await session.execute(text(sql))).mappings().one()

    async def audited(self) -> int:
        """How many rows the audit log has."""
        async with self.database.read() as session:
            return await session.scalar(select(func.count()).select_from(AuditLog)) or 0

    async def change_set(self, report: Report) -> ChangeSet:
        """The change set of an import."""
        async with self.database.read() as session:
            return (await session.scalars(select(ChangeSet).where(ChangeSet.id == report.change_set_id))).one()

    def rejected(self, report: Report) -> list[dict[str, Any]]:
        """The rejected rows as they were written."""
        assert report.rejected_file
        return [json.loads(line) for line in report.rejected_file.read_text().splitlines()]


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    """An empty desk, in which everything is rolled back after the test."""
    return Desk(database, tmp_path)
