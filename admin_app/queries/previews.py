"""What a change set did, or would do: its entries in the audit log summed up by field, with some of them as samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Integer, String, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import AuditLog, Base
from admin_app.queries.audit import LINK_VERBS, VERBS, Logged, spoken
from admin_app.queries.readable import FieldChange, table_label

SAMPLES = 10
KINDS = 6
"""Different values that a field may go from or to before they are summed up as "various"."""

MOST = 60
"""Lines that a summary has at most."""

_EFFECTS = text(
    """
WITH entries AS (
  SELECT table_name, record_id, action, changes -> 'old' AS old, changes -> 'new' AS new
  FROM audit_logs WHERE change_set_id = :id
), parts AS (
  SELECT table_name, action, name, old -> name AS old, new -> name AS new
  FROM entries, jsonb_object_keys(new) AS name WHERE action = 'UPDATE'
  UNION ALL
  SELECT table_name, action, name, old -> name, new -> name
  FROM entries, jsonb_object_keys(coalesce(new, old)) AS name
  WHERE action <> 'UPDATE' AND position(',' in record_id) > 0 AND name = any(cast(:link_keys AS text[]))
  UNION ALL
  SELECT table_name, action, NULL, NULL, NULL FROM entries WHERE action <> 'UPDATE' AND position(',' in record_id) = 0
), counted AS (
  SELECT table_name, action, name, old, new, count(*) AS number,
    count(*) OVER (PARTITION BY table_name, action, name) AS kinds
  FROM parts GROUP BY table_name, action, name, old, new
)
SELECT table_name, action, name, kinds, CASE WHEN kinds <= :kinds THEN old END AS old,
  CASE WHEN kinds <= :kinds THEN new END AS new, sum(number)::bigint AS number
FROM counted GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY table_name, action, name, number DESC, old, new LIMIT :most"""
).columns(table_name=String, action=String, name=String, kinds=Integer, old=JSONB(), new=JSONB(), number=BigInteger)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One kind of change and how many rows it happened to: status from open to in progress, 310 times.

    Without `change` rows were made or deleted as a whole. `various` stands for more values than can be told.
    """

    kind: str
    verb: str
    change: FieldChange | None
    various: bool
    number: int


@dataclass(frozen=True)
class Sample:
    """One entry in words: the kind of record and how it is called, what was done, each field before and after."""

    kind: str
    record: str
    record_id: str
    verb: str
    changes: tuple[FieldChange, ...]


async def effects(session: AsyncSession, change_set_id: int) -> list[Effect]:
    """What a change set did, by kind of change; two statements."""
    facts = {"id": change_set_id, "kinds": KINDS, "most": MOST, "link_keys": _link_keys()}
    rows = (await session.execute(_EFFECTS, facts)).all()
    told = await spoken(session, [Logged(row.table_name, "", _sides(row)) for row in rows])
    return [
        Effect(
            kind=table_label(row.table_name),
            verb=(LINK_VERBS if row.name and row.action != "UPDATE" else VERBS)[row.action],
            change=fields[0] if fields else None,
            various=row.kinds > KINDS,
            number=row.number,
        )
        for row, (_, fields) in zip(rows, told, strict=True)
    ]


async def samples(session: AsyncSession, change_set_id: int, *, limit: int = SAMPLES) -> list[Sample]:
    """The first entries of a change set in words; two statements."""
    found = select(AuditLog.table_name, AuditLog.record_id, AuditLog.action, AuditLog.changes)
    found = found.where(AuditLog.change_set_id == change_set_id).order_by(AuditLog.id).limit(limit)
    rows = (await session.execute(found)).all()
    told = await spoken(session, [Logged(row.table_name, row.record_id, row.changes) for row in rows])
    return [
        Sample(table_label(row.table_name), name, row.record_id, _verb(row), fields)
        for row, (name, fields) in zip(rows, told, strict=True)
    ]


def _verb(row: Any) -> str:
    return (LINK_VERBS if "," in row.record_id else VERBS)[row.action]


def _sides(row: Any) -> dict[str, Any]:
    return {"old": {row.name: row.old}, "new": {row.name: row.new}} if row.name else {}


def _link_keys() -> Sequence[str]:
    """The columns that name the other record in tables that link two."""
    tables = Base.metadata.tables.values()
    return sorted({key.name for table in tables for key in list(table.primary_key)[1:]})
