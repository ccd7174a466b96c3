"""Entries of the audit log in words: which record, what was done to it, and each field before and after."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from admin_app.models import AuditLog
from admin_app.queries.audit import Logged, spoken
from admin_app.queries.readable import table_label
from admin_app.queries.rows import Loaded, Row
from admin_app.web import facts

DONE = {"CREATE": "Created", "UPDATE": "Changed", "DELETE": "Deleted"}
LONG_TEXT = re.compile(r'\{"length": ([0-9]+), "sha256": .*')
"""How the audit log keeps a long text of a new record; a list gets its beginning."""


async def in_words(request: Request, session: AsyncSession, rows: Sequence[Loaded], names: Sequence[str]) -> list[Row]:
    """These columns of a list of audit entries, with what people read instead of what the database wrote."""
    logged = [Logged(row.record.table_name, row.record.record_id, _whole(row.value("changes"))) for row in rows]
    said = await spoken(session, logged)
    return [
        row.row(names, **_said(request, row.record, name), changes=changes, actor_kind=row.record.actor_kind)
        for row, (name, changes) in zip(rows, said, strict=True)
    ]


def _said(request: Request, entry: AuditLog, name: str) -> dict[str, Any]:
    return {
        "action": DONE.get(entry.action, entry.action),
        "table_name": table_label(entry.table_name),
        "record_id": facts.subject(request, entry, name),
    }


def _whole(changes: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Shortened changes with the lengths of long texts as the audit log has them."""
    return {side: dict(_lengths(values)) for side, values in (changes or {}).items() if isinstance(values, Mapping)}


def _lengths(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        match = LONG_TEXT.fullmatch(value) if isinstance(value, str) else None
        yield name, {"length": int(match[1]), "sha256": ""} if match else value
