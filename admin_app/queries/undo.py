"""Undo: compare and set from the audit log, which restores what nobody touched since, and lists the rest.

What is undone are entries of the audit log, the last first: an update is set back where all its columns still hold
what it wrote, a creation is taken away where nothing was done to the record since, a deleted row is put back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, case, func, select, text, true, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BackdeskError, Conflict, NotFound
from admin_app.models import AuditLog, Base, ChangeSet, ChangeSetState, RowOutcome
from admin_app.queries import reversal
from admin_app.queries.audit import Logged, spoken
from admin_app.queries.changes import CHANGED, UNCHANGED, Chosen, Outcome
from admin_app.queries.readable import FieldChange

RIGHTS = frozenset({"user_sessions", "api_tokens", "user_roles", "roles", "role_permissions"})
"""Tables that no undo touches: it would give people rights that somebody took from them."""

STANDING = {"users": frozenset({"email", "is_active", "is_staff"})}
"""Columns by which somebody signs in: their changes are undone only by who may give people rights."""

NO_RIGHTS = "what people may do is not undone"
UNKNOWN = "its table is not loaded"


class Group(NamedTuple):
    """Entries of one table and deed that one statement undoes; no record is twice among them."""

    table: str
    action: str
    wave: int
    ids: list[int]
    columns: list[str]


async def undoable(session: AsyncSession, change_set_id: int) -> tuple[ChangeSet, int]:
    """A change set that can be undone, and how many entries it has; raises NotFound, or Conflict saying why not."""
    found = await session.get(ChangeSet, change_set_id)
    if found is None:
        raise NotFound
    if found.state in {ChangeSetState.QUEUED, ChangeSetState.RUNNING}:
        raise Conflict(f"Change set {found.id} is still being done. Cancel it first, or wait for its end.")
    latest = select(func.max(ChangeSet.id)).where(ChangeSet.undo_of_id == found.id)
    if found.state is ChangeSetState.UNDONE:
        by = await session.scalar(latest)
        raise Conflict(f"Change set {found.id} is undone already, by change set {by}. Undo that one to do it again.")
    number = await session.scalar(select(func.count()).where(AuditLog.change_set_id == found.id)) or 0
    if not number:
        raise Conflict(f"Change set {found.id} changed nothing, so there is nothing to undo.")
    return found, number


async def first(session: AsyncSession, change_set: ChangeSet) -> ChangeSet:
    """What was done first, where a change set undoes another, or the undo of another; else the change set itself."""
    while change_set.undo_of_id is not None:
        change_set = await session.get_one(ChangeSet, change_set.undo_of_id)
    return change_set


async def subjects(session: AsyncSession, change_set_id: int) -> set[str]:
    """The table of the records that somebody chose, where a change set or what it goes back to says so."""
    return chosen_in(await first(session, await session.get_one(ChangeSet, change_set_id)))


def chosen_in(done: ChangeSet) -> set[str]:
    """The table of the records that somebody chose for a change set that undoes no other; empty where it says none."""
    return {str(done.parameters["resource"])} if "resource" in done.parameters else set()


async def parallel(session: AsyncSession, change_set_id: int) -> bool:
    """Whether parts of a change set may be undone at the same time: it wrote to one table, to each record once.

    Not where records of that table refer to each other, and have to come back in an order.
    """
    entries = select(AuditLog.table_name, func.count().label("number")).where(AuditLog.change_set_id == change_set_id)
    records = entries.group_by(AuditLog.table_name, AuditLog.record_id).subquery()
    name, number = records.c.table_name, records.c.number
    found = (await session.execute(select(func.min(name), func.max(name), func.max(number)))).one()
    table = Base.metadata.tables.get(found[0])
    alone = table is not None and all(key.column.table is not table for key in table.foreign_keys)
    return alone and found[0] == found[1] and found[2] == 1


async def mark(session: AsyncSession, change_set_id: int) -> None:
    """Let an undone change set say so; where it was itself an undo, what that undid is done again."""
    undone = update(ChangeSet).where(ChangeSet.id == change_set_id).values(state=ChangeSetState.UNDONE)
    again = await session.scalar(undone.returning(ChangeSet.undo_of_id))
    if again is not None:
        done = update(ChangeSet).where(ChangeSet.id == again, ChangeSet.state == ChangeSetState.UNDONE)
        await session.execute(done.values(state=ChangeSetState.COMPLETED))


async def revert(session: AsyncSession, chosen: Chosen[AuditLog], authority: Any) -> Outcome:
    """Undo entries of the audit log; each is `changed` (undone), `unchanged` (was so already), or skipped with why.

    `authority` tells what whoever undoes may do. Raises BackdeskError where it is only to classify, and cannot.
    """
    trusted = authority.may("user.roles")
    outcome, groups = Outcome(), await _groups(session, chosen)
    if chosen.classify and not _apart(groups):
        raise BackdeskError("What becomes of these shows only when it is done.")
    for group in groups:
        statement = text(_statement(group, trusted=trusted, write=not chosen.classify)).bindparams(
            bindparam("ids", type_=IDS)
        )
        facts = {"ids": group.ids} if chosen.classify else {"ids": group.ids, "change_set": chosen.change_set_id}
        counts = {row.outcome: row.number for row in await session.execute(statement, facts)}
        outcome += Outcome(counts.pop(CHANGED, 0), counts.pop(UNCHANGED, 0), counts)
    return outcome


IDS = ARRAY(BigInteger)


def _apart(groups: Sequence[Group]) -> bool:
    """Whether what becomes of an entry does not hang on what was undone before it."""
    once = all(group.wave == 1 for group in groups)
    return once and (len({group.table for group in groups}) == 1 or all(group.action != "CREATE" for group in groups))


def _statement(group: Group, *, trusted: bool, write: bool) -> str:
    table = Base.metadata.tables.get(group.table)
    stands = not trusted and not STANDING.get(group.table, frozenset()).isdisjoint(group.columns)
    if group.table in RIGHTS or stands:
        return reversal.of_others(NO_RIGHTS, write=write)
    if table is None or not reversal.can_undo(table):
        return reversal.of_others(UNKNOWN, write=write)
    match group.action:
        case "CREATE" if group.table == reversal.PEOPLE:
            return reversal.of_others(reversal.NEVER, write=write)
        case "CREATE":
            return reversal.of_creations(table, write=write)
        case "DELETE":
            return reversal.of_deletions(table, write=write)
        case _:
            return reversal.of_updates(table, group.columns, write=write)


async def _groups(session: AsyncSession, chosen: Chosen[AuditLog]) -> list[Group]:
    """The entries by table and deed, in an order in which they can be undone.

    A record that was changed several times is undone in as many waves, the last change first.
    """
    part = (
        select(AuditLog.id, AuditLog.table_name, AuditLog.record_id, AuditLog.action, AuditLog.changes)
        .where(chosen.where(AuditLog.id))
        .cte("part")
        .prefix_with("MATERIALIZED")
    )
    again = func.row_number().over(partition_by=(part.c.table_name, part.c.record_id), order_by=part.c.id.desc())
    entries = select(part, again.label("wave")).subquery()
    written = case((entries.c.action == "UPDATE", entries.c.changes["new"]))
    names = select(func.jsonb_object_keys(written).label("name")).correlate(entries).lateral()
    found = (
        select(
            entries.c.table_name,
            entries.c.action,
            entries.c.wave,
            func.array_agg(entries.c.id.distinct()),
            func.array_remove(func.array_agg(names.c.name.distinct()), None),
        )
        .select_from(entries.outerjoin(names, true()))
        .group_by(entries.c.table_name, entries.c.action, entries.c.wave)
    )
    groups = [Group(*row) for row in await session.execute(found)]
    return sorted(groups, key=_turn)


def _turn(group: Group) -> tuple[int, int, int]:
    """Within a wave, children go before their parents, updates are set back, parents come back before children."""
    tables = [table.name for table in Base.metadata.sorted_tables]
    place = tables.index(group.table) if group.table in tables else 0
    kind = {"CREATE": 0, "DELETE": 2}.get(group.action, 1)
    return group.wave, kind, place if kind else -place


@dataclass(frozen=True)
class Left:
    """A record that an undo left alone because it was changed since: each field, as it was written and as it is now."""

    entry_id: int
    table: str
    record_id: str
    record: str
    fields: tuple[FieldChange, ...]


async def left_alone(
    session: AsyncSession, change_set_id: int, *, entries: Sequence[int] | None = None, limit: int = 50
) -> list[Left]:
    """What an undo left alone because it was changed since, at most `limit` records; `old` is what was written.

    Only those of the given `entries` of the audit log, where some are given.
    """
    ours = [RowOutcome.change_set_id == change_set_id, RowOutcome.outcome == reversal.CHANGED_SINCE]
    if entries is not None:
        ours.append(RowOutcome.record_id.in_(entries))
    found = select(AuditLog).join(RowOutcome, RowOutcome.record_id == AuditLog.id).where(*ours)
    left = (await session.scalars(found.order_by(AuditLog.id).limit(limit))).all()
    now = await _present(session, left)
    rows = [
        Logged(
            entry.table_name,
            entry.record_id,
            {"old": entry.changes.get("new", {}), "new": _of(now.get(entry.id, {}), entry.changes.get("new", {}))},
        )
        for entry in left
    ]
    told = await spoken(session, rows)
    return [
        Left(entry.id, entry.table_name, entry.record_id, name, tuple(f for f in fields if f.old != f.new) or fields)
        for entry, (name, fields) in zip(left, told, strict=True)
    ]


def _of(present: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    return {name: present.get(name) for name in written}


async def _present(session: AsyncSession, entries: Sequence[AuditLog]) -> dict[int, dict[str, Any]]:
    """What the records of entries hold now, by entry; one statement a table."""
    by_table: dict[str, list[int]] = {}
    for entry in entries:
        by_table.setdefault(entry.table_name, []).append(entry.id)
    found: dict[int, dict[str, Any]] = {}
    for name, ids in by_table.items():
        statement = text(reversal.of_present(Base.metadata.tables[name])).bindparams(bindparam("ids", type_=IDS))
        found |= {row.entry: row.present for row in await session.execute(statement, {"ids": ids})}
    return found
