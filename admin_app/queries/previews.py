"""What a change set did, or would do: its entries in the audit log summed up by field, with some of them as samples."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, Integer, String, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import AuditLog, Base
from admin_app.queries.audit import LINK_VERBS, VERBS, Logged, spoken
from admin_app.queries.readable import FieldChange, belonging, table_label

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
    """One entry in words: the kind of record and how it is called, what was done, each field before and after.

    A row that was made for a record, or taken from it, is told as its `part`: ticket SUP-000007, comment added.
    """

    kind: str
    record: str
    record_id: str
    verb: str
    changes: tuple[FieldChange, ...]
    part: str = ""


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


async def samples(
    session: AsyncSession, change_set_id: int, about: Collection[str] = (), *, limit: int = SAMPLES
) -> list[Sample]:
    """The first entries of a change set in words; two statements.

    Rows that belong to records of the tables it was `about` are told as parts of these. Where there are several, they
    say only what tells them apart: all else was asked for, or is added up.
    """
    found = select(AuditLog.table_name, AuditLog.record_id, AuditLog.action, AuditLog.changes)
    found = found.where(AuditLog.change_set_id == change_set_id).order_by(AuditLog.id).limit(limit)
    rows = (await session.execute(found)).all()
    pairs = [_with_subject(row, about) for row in rows]
    told = await spoken(session, [one for pair in pairs for one in pair])
    made = [
        Sample(
            kind=table_label(subject.table_name),
            record=name,
            record_id=subject.record_id,
            verb=(VERBS if subject is entry and "," not in row.record_id else LINK_VERBS)[row.action],
            changes=fields,
            part="" if subject is entry else table_label(row.table_name),
        )
        for row, (entry, subject), (_, fields), (name, _) in zip(rows, pairs, told[::2], told[1::2], strict=True)
    ]
    return _told_apart(made)


def _with_subject(row: Any, about: Collection[str]) -> tuple[Logged, Logged]:
    """An entry, and what it is told of: the record that a made or deleted row belongs to, or the row itself."""
    entry = Logged(row.table_name, row.record_id, row.changes)
    found = belonging(row.table_name, row.changes, about) if row.action != "UPDATE" else None
    if found is None:
        return entry, entry
    column, table, key = found
    rest = {side: {name: held for name, held in sides.items() if name != column} for side, sides in row.changes.items()}
    return Logged(row.table_name, row.record_id, rest), Logged(table, str(key), {})


def _told_apart(samples: list[Sample]) -> list[Sample]:
    """Samples whose parts say only what is not the same in all of them."""
    parts = Counter(sample.part for sample in samples)
    known = Counter((sample.part, field) for sample in samples for field in sample.changes)

    def told(sample: Sample) -> Sample:
        alike = parts[sample.part]
        return replace(sample, changes=tuple(one for one in sample.changes if known[sample.part, one] < alike))

    return [told(sample) if sample.part and parts[sample.part] > 1 else sample for sample in samples]


def _sides(row: Any) -> dict[str, Any]:
    return {"old": {row.name: row.old}, "new": {row.name: row.new}} if row.name else {}


def _link_keys() -> Sequence[str]:
    """The columns that name the other record in tables that link two."""
    tables = Base.metadata.tables.values()
    return sorted({key.name for table in tables for key in list(table.primary_key)[1:]})
