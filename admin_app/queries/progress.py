"""What the pages of change sets are told: what one did and what followed from it, how far it is, and each row."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, and_, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, joinedload

from admin_app.models import AuditLog, ChangeSet, ChangeSetState, RowOutcome, Selection
from admin_app.queries.audit import Logged, spoken
from admin_app.queries.readable import mapper_of
from admin_app.queries.selections import UNFINISHED
from admin_app.queries.shortened import lean
from admin_app.queries.touched import became

BATCH = 200
"""Rows of a report that are in memory at a time, so few that others need not wait long."""

PATIENCE = timedelta(seconds=10)
"""After which work that nobody takes up, or goes on with, is worth a word."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """A change set with its actor, the filter of its selection, its latest undo, and, of an undo, what was done first.

    `turns` counts how often it was turned round: 0 for a change, 1 for its undo, 2 for the undo of that, which is a
    redo. `begun` is when the first row was changed.
    """

    change_set: ChangeSet
    filter: str
    undo: ChangeSet | None
    first: ChangeSet
    turns: int
    begun: datetime | None

    @property
    def done(self) -> int:
        """Rows of which it is known what became of them."""
        return total(self.change_set)


def total(change_set: ChangeSet) -> int:
    """Rows of which it is known what became of them in a change set."""
    return sum((change_set.changed, change_set.unchanged, change_set.failed, *change_set.skipped.values()))


async def story(session: AsyncSession, change_set_id: int) -> Story | None:
    """What is known of a change set, in one statement, and one more for an undo; None where there is none."""
    later = aliased(ChangeSet)
    latest = select(func.max(later.id)).where(later.undo_of_id == ChangeSet.id).correlate(ChangeSet).scalar_subquery()
    entry = select(AuditLog.created_at).where(AuditLog.change_set_id == ChangeSet.id).order_by(AuditLog.id).limit(1)
    found = (
        select(ChangeSet, later, Selection.filter, entry.correlate(ChangeSet).scalar_subquery())
        .outerjoin(later, later.id == latest)
        .outerjoin(Selection, Selection.id == ChangeSet.selection_id)
        .where(ChangeSet.id == change_set_id)
        .options(joinedload(ChangeSet.user))
    )
    row = (await session.execute(found)).first()
    if row is None:
        return None
    change_set, undo, filter, begun = row  # noqa: A001  the column's name
    first, turns = await _origin(session, change_set) if change_set.undo_of_id else (change_set, 0)
    return Story(change_set=change_set, filter=filter or "", undo=undo, first=first, turns=turns, begun=begun)


async def _origin(session: AsyncSession, change_set: ChangeSet) -> tuple[ChangeSet, int]:
    """What was done first, before it was undone, redone, and so on; and how often it was turned round since."""
    above = select(ChangeSet.id, ChangeSet.undo_of_id, literal(0).label("turns")).where(ChangeSet.id == change_set.id)
    chain = above.cte("chain", recursive=True)
    up = select(ChangeSet.id, ChangeSet.undo_of_id, chain.c.turns + 1).join(chain, ChangeSet.id == chain.c.undo_of_id)
    chain = chain.union_all(up)
    found = select(ChangeSet, chain.c.turns).join(chain, chain.c.id == ChangeSet.id)
    row = (await session.execute(found.where(chain.c.undo_of_id.is_(None)))).one()
    return row[0], row[1]


# ---- How far it is


@dataclass(frozen=True, kw_only=True)
class Line:
    """Where unfinished work stands: own work ahead of it, others' work under way, and whether a worker gives signs.

    `alive` is false once for some seconds nobody took up the work, or went on with it.
    """

    ahead: int
    next_id: int | None
    others: int
    alive: bool


_LINE = text(
    """
SELECT count(*) FILTER (WHERE own AND earlier) AS ahead, min(id) FILTER (WHERE own AND earlier) AS next_id,
  count(*) FILTER (WHERE NOT own AND state = 'running') AS others,
  max(coalesce(progressed_at, started_at)) > clock_timestamp() - cast(:patience AS interval) OR EXISTS (
    SELECT FROM jobs.pgqueuer
    WHERE status = 'picked' AND heartbeat > clock_timestamp() - cast(:patience AS interval)
  ) AS alive
FROM (
  SELECT w.*, w.user_id IS NOT DISTINCT FROM c.user_id AS own, w.id < c.id AS earlier
  FROM change_sets w JOIN change_sets c ON c.id = :id WHERE w.state IN ('queued', 'running')
) work"""
)


async def line(session: AsyncSession, change_set_id: int) -> Line:
    """Where unfinished work stands; one statement."""
    row = (await session.execute(_LINE, {"id": change_set_id, "patience": PATIENCE})).one()
    return Line(ahead=row.ahead, next_id=row.next_id, others=row.others, alive=bool(row.alive))


# ---- Each of its rows


@dataclass(frozen=True)
class Row:
    """What became of one row: the record's table and id, how it is called, and the outcome or why it failed.

    Of a row that is gone, or that never was, the label is empty. `key` is what the rows are in order of; of an undo it
    is the entry of the audit log that was undone.
    """

    key: int
    table: str
    record_id: str
    label: str
    outcome: str
    failed: bool


async def rows(
    session: AsyncSession, change_set: ChangeSet, *, after: int = 0, limit: int, outcome: str = ""
) -> list[Row]:
    """What became of the rows behind `after`, in the order of their ids, at most `limit`; three statements."""
    found = select(RowOutcome.record_id, RowOutcome.outcome, RowOutcome.failed)
    found = found.where(RowOutcome.change_set_id == change_set.id, RowOutcome.record_id > after)
    if outcome:
        found = found.where(*became(outcome))
    found = found.order_by(RowOutcome.record_id).limit(limit)
    outcomes = (await session.execute(found)).all()
    ids = [row.record_id for row in outcomes]
    table = str(change_set.parameters.get("resource", ""))
    named = await (_entries(session, ids) if table == AuditLog.__tablename__ else _records(session, table, ids))
    return [Row(row.record_id, *named[row.record_id], row.outcome, row.failed) for row in outcomes]


async def all_rows(session: AsyncSession, change_set: ChangeSet, outcome: str = "") -> AsyncIterator[list[Row]]:
    """Every row of a change set, in batches."""
    after = 0
    while batch := await rows(session, change_set, after=after, limit=BATCH, outcome=outcome):
        yield batch
        after = batch[-1].key


async def _records(session: AsyncSession, table: str, ids: Sequence[int]) -> dict[int, tuple[str, str, str]]:
    mapper = mapper_of(table)
    labels: dict[int, str] = {}
    if mapper is not None:
        model = mapper.class_
        found = select(model).where(model.id == func.any(literal(list(ids), ARRAY(BigInteger))))
        labels = {row.id: row.label for row in await session.scalars(found.options(*lean(model)))}
    return {key: (table, str(key), labels.get(key, "")) for key in ids}


async def _entries(session: AsyncSession, ids: Sequence[int]) -> dict[int, tuple[str, str, str]]:
    """The records that entries of the audit log are about."""
    found = select(AuditLog).where(AuditLog.id == func.any(literal(list(ids), ARRAY(BigInteger))))
    entries = (await session.scalars(found)).all()
    told = await spoken(session, [Logged(entry.table_name, entry.record_id, {}) for entry in entries])
    pairs = zip(entries, told, strict=True)
    return {entry.id: (entry.table_name, entry.record_id, name) for entry, (name, _) in pairs}


async def failures(session: AsyncSession, change_set_id: int) -> list[tuple[str, int]]:
    """Why rows failed, and how many for each reason, most first; at most 20 reasons."""
    number = func.count().label("number")
    found = select(RowOutcome.outcome, number).where(RowOutcome.change_set_id == change_set_id, RowOutcome.failed)
    rows = await session.execute(found.group_by(RowOutcome.outcome).order_by(number.desc()).limit(20))
    return [(row.outcome, row.number) for row in rows]


def failed_ids(change_set_id: int) -> Any:
    """The ids of the rows that failed, as a query of one column."""
    return select(RowOutcome.record_id).where(RowOutcome.change_set_id == change_set_id, RowOutcome.failed)


# ---- Everything under a reference


@dataclass(frozen=True)
class Referred:
    """A change set under a reference, with its latest undo; `open` where it can be undone as things stand."""

    change_set: ChangeSet
    undo: ChangeSet | None

    @property
    def open(self) -> bool:
        """Whether it changed something, has ended, and is not undone."""
        ended = self.change_set.state not in {*UNFINISHED, ChangeSetState.UNDONE}
        under_way = self.undo is not None and self.undo.state in UNFINISHED
        return ended and self.change_set.changed > 0 and not under_way


async def under(session: AsyncSession, reference: str, *, user_id: int | None = None, limit: int) -> Sequence[Referred]:
    """The newest of what was done under a reference, undos aside; with `user_id`, only what this person did."""
    later = aliased(ChangeSet)
    latest = select(func.max(later.id)).where(later.undo_of_id == ChangeSet.id).correlate(ChangeSet).scalar_subquery()
    conditions = [ChangeSet.reference == reference, ChangeSet.undo_of_id.is_(None)]
    if user_id is not None:
        conditions.append(ChangeSet.user_id == user_id)
    found = select(ChangeSet, later).outerjoin(later, later.id == latest).where(and_(*conditions))
    found = found.options(joinedload(ChangeSet.user)).order_by(ChangeSet.id.desc()).limit(limit)
    return [Referred(change_set, undo) for change_set, undo in await session.execute(found)]
