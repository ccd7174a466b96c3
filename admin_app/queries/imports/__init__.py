"""Imports: rows copied into a temporary table, checked there in SQL, then inserted or updated in one statement each.

Rows meet records by `external_id`. A record that is already as the source says is left alone: no new version, no
audit row.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import Conflict, Unavailable
from admin_app.queries.imports.targets import COMMENTS, LABELS, STAGING, TARGETS, TICKETS, USERS, Target

__all__ = [
    "COMMENTS",
    "TARGETS",
    "TICKETS",
    "USERS",
    "Duplicates",
    "Nobody",
    "Rejection",
    "Tally",
    "Target",
    "bring_in",
    "rejections",
    "stage",
]

LOCK = 7_223_155_003
"""The advisory lock under which imports run one at a time."""

Duplicates = Literal["reject", "first", "last"]
"""Of rows that share an external_id: all after the first are rejected, or only the first, or only the last counts."""

PAGE = 1_000
"""Rejections that are given at a time."""

SUPERSEDED = "another row of the file has the same external_id"

_LEADING = {"position": "bigint PRIMARY KEY", "line": "bigint", "reasons": "text[]", "notes": "text[]"}
"""What every staged record begins with; `reasons` are why it is rejected, `notes` what is told about it."""


@dataclass(frozen=True)
class Nobody:
    """Who stands in where the source names nobody as requester or author; made when first needed."""

    email: str
    full_name: str


@dataclass(frozen=True)
class Tally:
    """What became of the staged rows; `notes` are what is told about accepted ones, with the number of rows."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejection:
    """Why a record, the one at this position among all, was rejected, and the line where its row begins."""

    position: int
    line: int
    reasons: list[str]


async def stage(session: AsyncSession, target: Target, records: Iterable[Sequence[Any]]) -> None:
    """Copy records into the staging table: position, line, reasons, notes, then the target's fields in their order.

    Only a part of them is in memory at a time. Raises Conflict while another import runs.
    """
    await _prepare(session)
    ids = {reference.column: "bigint" for reference in target.references.values()}
    columns = {**_LEADING, **target.staged, **ids, "id": "bigint", "outcome": "text"}
    declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    await session.execute(text(f"DROP TABLE IF EXISTS pg_temp.{STAGING}"))
    await session.execute(text(f"CREATE TEMPORARY TABLE {STAGING} ({declared}) ON COMMIT DROP"))
    driver: Any = (await (await session.connection()).get_raw_connection()).driver_connection
    try:
        await driver.copy_records_to_table(STAGING, records=records, columns=[*_LEADING, *target.staged])
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable("The database broke off while it was given the rows. Nothing was imported.") from error
    await session.execute(text(f"ANALYZE {STAGING}"))


async def _prepare(session: AsyncSession) -> None:
    """Make sure that no other import runs, and give this one the time that a page must not take."""
    if not await session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": LOCK}):
        raise Conflict("Another import is running. Please start this one again when that has ended.")
    for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
        await session.execute(text("SELECT set_config(:setting, '2h', true)"), {"setting": setting})


async def bring_in(
    session: AsyncSession,
    target: Target,
    mapped: Collection[str],
    *,
    duplicates: Duplicates = "reject",
    nobody: Nobody | None = None,
    rehearsal: bool = False,
) -> Tally:
    """Check the staged rows, and insert or update a record for each that stands; `mapped` are the fields it is about.

    A `rehearsal`, which the caller rolls back, uses up no ticket numbers.
    """
    superseded = await _settle_duplicates(session, target, duplicates)
    if nobody and target.stand_in:
        await _make_stand_in(session, target.stand_in, nobody)
    await _resolve(session, target)
    await _check(session, target)
    await _classify(session, target, mapped)
    insertion = target.insertion()
    if rehearsal and target is TICKETS:
        insertion["ticket_number"] = "'rehearsal ' || s.position"
    await _insert(session, target, insertion)
    await _update(session, target, target.update(mapped))
    spellings = await _tag(session) if target.tagged else 0
    tally = await _tally(session, target, superseded, spellings)
    if (tally.new or tally.changed) and not rehearsal:
        await session.execute(text("SELECT renew_statistics()"))
    return tally


async def rejections(session: AsyncSession, after: int = 0) -> list[Rejection]:
    """The next rejected rows behind a position, in the order of the file; at most PAGE of them."""
    rejected = text(
        f"SELECT position, line, reasons FROM {STAGING} WHERE reasons IS NOT NULL AND position > :after"
        " ORDER BY position LIMIT :page"
    )
    return [Rejection(*row) for row in await session.execute(rejected, {"after": after, "page": PAGE})]


async def _settle_duplicates(session: AsyncSession, target: Target, duplicates: Duplicates) -> int:
    """Let each external_id, and each value that must be distinct, occur once; how many rows were superseded."""
    superseded = 0
    if duplicates != "reject":
        order = "position DESC" if duplicates == "last" else "position"
        dropped = await session.execute(
            text(
                f"DELETE FROM {STAGING} s USING (SELECT position, row_number() OVER (PARTITION BY external_id"
                f" ORDER BY {order}) AS nth FROM {STAGING} WHERE reasons IS NULL) r"
                " WHERE r.position = s.position AND r.nth > 1"
            )
        )
        superseded = dropped.rowcount  # type: ignore[attr-defined]
    keys = {"external_id": "external_id"} | ({target.distinct: f"lower({target.distinct})"} if target.distinct else {})
    for name, key in keys.items():
        await session.execute(
            text(
                f"UPDATE {STAGING} s SET reasons = ARRAY['{name}: ' || s.{name} || ' is on line ' || r.line || ' too']"
                " FROM (SELECT position, row_number() OVER same AS nth, first_value(line) OVER same AS line"
                f" FROM {STAGING} WHERE reasons IS NULL"
                f" WINDOW same AS (PARTITION BY {key} ORDER BY position)) r"
                " WHERE r.position = s.position AND r.nth > 1"
            )
        )
    return superseded


async def _make_stand_in(session: AsyncSession, name: str, nobody: Nobody) -> None:
    await session.execute(
        text(
            "INSERT INTO users (email, full_name, is_active) SELECT n.email, n.full_name, false"
            " FROM (SELECT CAST(:email AS text) AS email, CAST(:full_name AS text) AS full_name) n"
            f" WHERE EXISTS (SELECT FROM {STAGING} WHERE reasons IS NULL AND {name} = n.email)"
            " AND NOT EXISTS (SELECT FROM users u WHERE lower(u.email) = lower(n.email))"
        ),
        {"email": nobody.email, "full_name": nobody.full_name},
    )


async def _resolve(session: AsyncSession, target: Target) -> None:
    """Find the present record of every row, and the records that it names."""
    present = f"coalesce((SELECT id FROM {target.table} WHERE external_id = s.external_id), {target.match})"
    found = {"id": present} | {reference.column: reference.query for reference in target.references.values()}
    await session.execute(
        text(
            f"UPDATE {STAGING} r SET {', '.join(f'{column} = f.{column}' for column in found)}"
            f" FROM (SELECT s.position, {', '.join(f'{query} AS {column}' for column, query in found.items())}"
            f" FROM {STAGING} s WHERE s.reasons IS NULL) f WHERE f.position = r.position"
        )
    )


async def _check(session: AsyncSession, target: Target) -> None:
    """Reject rows that name records which do not exist, or that break a rule of the target."""
    faults = {
        f"s.{name} IS NOT NULL AND s.{reference.column} IS NULL": (
            f"'{name}: ' || left(s.{name}, 100) || ' is not {reference.place}'"
        )
        for name, reference in target.references.items()
    } | dict(target.faults)
    if not faults:
        return
    await session.execute(
        text(
            f"UPDATE {STAGING} r SET reasons = f.reasons FROM (SELECT s.position, {_those_that_hold(faults)} AS reasons"
            f" FROM {STAGING} s LEFT JOIN {target.table} t ON t.id = s.id WHERE s.reasons IS NULL) f"
            " WHERE f.position = r.position AND f.reasons <> '{}'"
        )
    )


def _those_that_hold(cases: Mapping[str, str]) -> str:
    found = ", ".join(f"CASE WHEN {condition} THEN {words} END" for condition, words in cases.items())
    return f"array_remove(ARRAY[{found}]::text[], NULL)"


_LACKS_A_TAG = """EXISTS (SELECT FROM unnest(s.tags) AS wanted WHERE NOT EXISTS (SELECT FROM ticket_tags p
  JOIN tags g ON g.id = p.tag_id WHERE p.ticket_id = s.id AND lower(g.name) = lower(wanted)))"""


def _differs(values: Mapping[str, str]) -> str:
    present = ", ".join(f"t.{column}" for column in values)
    return f"({present}) IS DISTINCT FROM ({', '.join(values.values())})"


async def _classify(session: AsyncSession, target: Target, mapped: Collection[str]) -> None:
    """Give every row that stands its outcome, and the notes that the present record gives rise to."""
    differs = _differs(target.update(mapped)) + (f" OR {_LACKS_A_TAG}" if target.tagged else "")
    skips = " ".join(f"WHEN {condition} THEN '{words}'" for condition, words in target.skip.items())
    notes = {condition: f"'{words}'" for condition, words in target.notes.items()}
    await session.execute(
        text(
            f"UPDATE {STAGING} r SET outcome = f.outcome, notes = r.notes || f.notes FROM (SELECT s.position,"
            f" CASE WHEN s.id IS NULL THEN 'new' {skips} WHEN {differs} THEN 'changed' ELSE 'unchanged' END AS outcome,"
            f" {_those_that_hold(notes)} AS notes"
            f" FROM {STAGING} s LEFT JOIN {target.table} t ON t.id = s.id WHERE s.reasons IS NULL) f"
            " WHERE f.position = r.position"
        )
    )


async def _insert(session: AsyncSession, target: Target, values: Mapping[str, str]) -> None:
    await session.execute(
        text(
            f"INSERT INTO {target.table} ({', '.join(values)}) SELECT {', '.join(values.values())}"
            f" FROM {STAGING} s WHERE s.outcome = 'new' ORDER BY s.position"
        )
    )


async def _update(session: AsyncSession, target: Target, values: Mapping[str, str]) -> None:
    """Update the changed records, locked in the order of their ids as every bulk change does."""
    await session.execute(
        text(
            f"SELECT count(*) FROM (SELECT t.id FROM {target.table} t JOIN {STAGING} s ON s.id = t.id"
            " WHERE s.outcome = 'changed' ORDER BY t.id FOR NO KEY UPDATE OF t) locked"
        )
    )
    assigned = ", ".join(f"{column} = {value}" for column, value in values.items())
    await session.execute(
        text(
            f"UPDATE {target.table} t SET {assigned}, version = t.version + 1,"
            " updated_at = CASE WHEN s.updated_at > t.updated_at THEN s.updated_at ELSE now() END"
            f" FROM {STAGING} s WHERE s.id = t.id AND s.outcome = 'changed' AND {_differs(values)}"
        )
    )


async def _tag(session: AsyncSession) -> int:
    """Give tickets the tags of their rows; how many spellings differ from their tag only by case.

    A tag that does not exist yet is made in its first spelling. Tags that a ticket has already are never taken away.
    """
    for statement in _TAGGING:
        await session.execute(text(statement))
    spellings = text(
        f"SELECT count(DISTINCT l.name) FROM {LABELS} l JOIN tags g ON lower(g.name) = l.key WHERE g.name <> l.name"
    )
    return int(await session.scalar(spellings) or 0)


_TAGGING = (
    f"DROP TABLE IF EXISTS pg_temp.{LABELS}",
    f"""
    CREATE TEMPORARY TABLE {LABELS} ON COMMIT DROP AS
    SELECT t.id AS ticket_id, s.position, l.nth, l.name, lower(l.name) AS key
    FROM {STAGING} s JOIN tickets t ON t.external_id = s.external_id
    CROSS JOIN unnest(s.tags) WITH ORDINALITY AS l (name, nth)
    WHERE s.outcome IN ('new', 'changed', 'unchanged')""",
    f"ANALYZE {LABELS}",
    f"""
    INSERT INTO tags (name) SELECT name FROM (
      SELECT DISTINCT ON (key) key, name, position, nth FROM {LABELS} ORDER BY key, position, nth) l
    WHERE NOT EXISTS (SELECT FROM tags g WHERE lower(g.name) = l.key) ORDER BY position, nth""",
    f"""
    INSERT INTO ticket_tags (ticket_id, tag_id)
    SELECT DISTINCT l.ticket_id, g.id FROM {LABELS} l JOIN tags g ON lower(g.name) = l.key
    WHERE NOT EXISTS (SELECT FROM ticket_tags p WHERE p.ticket_id = l.ticket_id AND p.tag_id = g.id)
    ORDER BY 1, 2 ON CONFLICT DO NOTHING""",
)


async def _tally(session: AsyncSession, target: Target, superseded: int, spellings: int) -> Tally:
    counted = text(f"SELECT coalesce(outcome, 'rejected') AS outcome, count(*) AS rows FROM {STAGING} GROUP BY 1")
    counts: dict[str, int] = {row.outcome: row.rows for row in await session.execute(counted)}
    told = text(
        f"SELECT note, count(*) AS rows FROM {STAGING}, unnest(notes) AS note WHERE reasons IS NULL"
        " GROUP BY note ORDER BY count(*) DESC, note"
    )
    notes: dict[str, int] = {row.note: row.rows for row in await session.execute(told)}
    if spellings:
        notes["spellings of tags that differ only by case, brought under one tag"] = spellings
    skipped = {words: counts[words] for words in target.skip.values() if words in counts}
    if superseded:
        skipped[SUPERSEDED] = superseded
    return Tally(
        new=counts.get("new", 0),
        changed=counts.get("changed", 0),
        unchanged=counts.get("unchanged", 0),
        rejected=counts.get("rejected", 0),
        skipped=skipped,
        notes=notes,
    )
