"""The statements that undo entries of the audit log: one a table and deed, whatever the number of entries.

Each judges its entries first, by comparing what they wrote with what the rows hold now, then sets back those that
nothing was done to since, notes the outcome of each entry under the change set that undoes, and counts.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import JSON, Column, Integer, Table
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from admin_app.models import Base
from admin_app.queries.changes import CHANGED, NOT_FOUND, UNCHANGED

POSTGRESQL = dialect()  # type: ignore[no-untyped-call]

CHANGED_SINCE = "changed since"
IN_USE = "in use since"
NOT_KEPT = "a secret that is nowhere kept"

SENT = ("comments", "NOT coalesce((e.new ->> 'is_internal')::boolean, true)", "sent to the customer")
MADE_PUBLIC = ("comments", "(e.old ->> 'is_internal')::boolean AND NOT (e.new ->> 'is_internal')::boolean", SENT[2])
"""A table, the condition under which what was created, or changed, there stays, and why."""

PEOPLE, NEVER = "users", "people are never deleted"


def of_updates(table: Table, names: Sequence[str], *, write: bool) -> str:
    """Set columns back to what they held, in rows where all of them still hold what was written."""
    columns = [table.columns[name] for name in names if name in table.columns]
    lost = [column for column in columns if column.info.get("audit") == "secret"]
    secret = " OR ".join(_held("e.new", column) for column in lost) or "false"
    columns = [column for column in columns if column not in lost]
    olds, news = _record("e.old", columns, "o"), _record("e.new", columns, "n")
    was = " AND ".join(_same(column, "o") for column in columns) or "true"
    stands = " AND ".join(_same(column, "n") for column in columns) or "true"
    kept = "".join(f", o.{_q(column)} AS old_{column.name}" for column in columns)
    sent = _staying(table, MADE_PUBLIC)
    judged = f"""
SELECT e.*{kept}, CASE WHEN p.{_first(table)} IS NULL THEN '{NOT_FOUND}' WHEN {secret} THEN '{NOT_KEPT}'
  WHEN {was} THEN '{UNCHANGED}'{sent} WHEN NOT ({stands}) THEN '{CHANGED_SINCE}' ELSE '{CHANGED}' END AS outcome
FROM entries e LEFT JOIN present p ON {_joined(table, "p")} {olds} {news}"""
    settings = [
        f"{_q(column)} = CASE WHEN {_held('j.new', column)} THEN j.old_{column.name} ELSE t.{_q(column)} END"
        for column in columns
    ] + _bookkeeping(table)
    change = f"UPDATE {table.name} t SET {', '.join(settings)} FROM judged j WHERE {_changing(table)}"
    return _statement(table, judged, change, write=write)


def of_creations(table: Table, *, write: bool) -> str:
    """Take away rows to which nothing was done since they were made: into the trash where there is one."""
    soft = "deleted_at" in table.columns
    later = f"""EXISTS (SELECT FROM audit_logs l WHERE l.table_name = '{table.name}' AND l.record_id = e.record_id
    AND l.id > e.entry AND (l.change_set_id IS NULL OR l.change_set_id NOT IN (SELECT id FROM ours)))"""
    stays = _staying(table, SENT)
    used = "" if soft else "".join(f" WHEN EXISTS ({query}) THEN '{IN_USE}'" for query in _uses(table))
    gone = f"p.{_first(table)} IS NULL" + (" OR p.deleted_at IS NOT NULL" if soft else "")
    judged = f"""
SELECT e.*, CASE WHEN {gone} THEN '{UNCHANGED}'{stays} WHEN {later} THEN '{CHANGED_SINCE}'{used}
  ELSE '{CHANGED}' END AS outcome
FROM entries e LEFT JOIN present p ON {_joined(table, "p")}"""
    if soft:
        settings = [
            "deleted_at = now()",
            "deleted_by_id = acting_user_id()",
            "delete_reason = coalesce(nullif(current_setting('app.reason', true), ''), 'Its creation was undone.')",
            *_bookkeeping(table),
        ]
        change = f"UPDATE {table.name} t SET {', '.join(settings)} FROM judged j WHERE {_changing(table)}"
    else:
        change = f"DELETE FROM {table.name} t USING judged j WHERE {_changing(table)}"
    return _statement(table, judged, change, write=write)


def of_deletions(table: Table, *, write: bool) -> str:
    """Put deleted rows back as they were, under their own ids."""
    columns = [column for column in table.columns if column.info.get("audit") not in {"secret", "derived"}]
    names = ", ".join(_q(column) for column in columns)
    held = ", ".join(f"r.{_q(column)}" for column in columns)
    judged = f"""
SELECT e.*, CASE WHEN p.{_first(table)} IS NULL THEN '{CHANGED}' ELSE '{UNCHANGED}' END AS outcome
FROM entries e LEFT JOIN present p ON {_joined(table, "p")}"""
    change = f"""INSERT INTO {table.name} ({names}) SELECT {held} FROM judged j {_record("j.old", columns, "r")}
  WHERE j.outcome = '{CHANGED}'"""
    return _statement(table, judged, change, write=write)


def of_others(why: str, *, write: bool) -> str:
    """Leave entries alone, and say why."""
    judged = f"SELECT e.*, '{why}' AS outcome FROM entries e"
    return f"WITH {_ENTRIES}, judged AS ({judged}){_NOTED if write else ''} {_COUNTED}"


def of_present(table: Table) -> str:
    """What the records of entries hold now: a query of `entry` and `present`, a JSON object without secrets."""
    secrets = ", ".join(f"'{column.name}'" for column in table.columns if column.info.get("audit") == "secret")
    entries = (
        "entries AS (SELECT a.id AS entry, a.record_id FROM audit_logs a WHERE a.id = ANY(cast(:ids AS bigint[])))"
    )
    return f"""WITH {entries} SELECT e.entry, to_jsonb(p) - ARRAY[{secrets}]::text[] AS present
  FROM entries e JOIN {table.name} p ON {_joined(table, "p")}"""


def can_undo(table: Table) -> bool:
    """Whether rows of a table can be told by whole numbers."""
    return all(isinstance(key.type, Integer) for key in table.primary_key)


_ENTRIES = """entries AS MATERIALIZED (
  SELECT a.id AS entry, a.record_id, a.change_set_id AS change_set, a.changes -> 'old' AS old, a.changes -> 'new' AS new
  FROM audit_logs a WHERE a.id = ANY(cast(:ids AS bigint[])))"""
"""Read by their ids, whose number the planner knows, however old its statistics of the log are."""

_OURS = """ours AS MATERIALIZED (
  WITH RECURSIVE ours (id) AS (
    SELECT id FROM (SELECT min(change_set) FROM entries
      UNION SELECT nullif(current_setting('app.change_set_id', true), '')::bigint) begun (id)
    UNION SELECT u.id FROM change_sets u JOIN ours ON u.undo_of_id = ours.id
  ) SELECT id FROM ours WHERE id IS NOT NULL)"""
"""The change set that is undone, with all that undid it, or undid that, before, and what is being done now."""

_NOTED = """, noted AS (
  INSERT INTO row_outcomes (change_set_id, record_id, outcome)
  SELECT cast(:change_set AS bigint), entry, outcome FROM judged RETURNING 1)"""

_COUNTED = "SELECT outcome, count(*) AS number FROM judged GROUP BY outcome"


def _statement(table: Table, judged: str, change: str, *, write: bool) -> str:
    keys = ", ".join(_key(table, number, "entries") for number in range(len(table.primary_key)))
    names = ", ".join(f"t.{_q(key)}" for key in table.primary_key)
    lock = f" ORDER BY {names} FOR NO KEY UPDATE" if write else ""
    present = (
        f"present AS MATERIALIZED (SELECT * FROM {table.name} t WHERE ({names}) IN (SELECT {keys} FROM entries){lock})"
    )
    written = f", written AS ({change} RETURNING 1){_NOTED}" if write else ""
    return f"WITH {_ENTRIES}, {_OURS}, {present}, judged AS MATERIALIZED ({judged}){written} {_COUNTED}"


def _staying(table: Table, case: tuple[str, str, str]) -> str:
    name, condition, why = case
    return f" WHEN {condition} THEN '{why}'" if name == table.name else ""


def _uses(table: Table) -> Iterable[str]:
    """Queries of the rows elsewhere that refer to an entry's row."""
    for other in Base.metadata.tables.values():
        for key in other.foreign_keys:
            if key.column.table is table:
                yield f"SELECT FROM {other.name} u WHERE u.{_q(key.parent)} = p.{_q(key.column)}"


def _record(value: str, columns: Sequence[Column[object]], name: str) -> str:
    """The values of a JSON object as columns of their types."""
    if not columns:
        return ""
    types = ", ".join(f"{_q(column)} {column.type.compile(dialect=POSTGRESQL)}" for column in columns)
    return f"CROSS JOIN LATERAL jsonb_to_record({value}) AS {name} ({types})"


def _same(column: Column[object], side: str) -> str:
    """Whether the row holds what the entry says of a column; columns that it does not speak of are as they are."""
    value = f"{side}.{_q(column)}"
    if isinstance(column.type, JSON):
        value = f"coalesce({value}, 'null')"
        return f"(NOT {_held('e.new', column)} OR coalesce(p.{_q(column)}, 'null') = {value})"
    return f"(NOT {_held('e.new', column)} OR p.{_q(column)} IS NOT DISTINCT FROM {value})"


def _held(value: str, column: Column[object]) -> str:
    return f"jsonb_exists({value}, '{column.name}')"


def _key(table: Table, number: int, source: str) -> str:
    kind = list(table.primary_key)[number].type.compile(dialect=POSTGRESQL)
    return f"cast(split_part({source}.record_id, ',', {number + 1}) AS {kind})"


def _joined(table: Table, row: str) -> str:
    return " AND ".join(f"{row}.{_q(key)} = {_key(table, n, 'e')}" for n, key in enumerate(table.primary_key))


def _changing(table: Table) -> str:
    keys = " AND ".join(f"t.{_q(key)} = {_key(table, n, 'j')}" for n, key in enumerate(table.primary_key))
    return f"j.outcome = '{CHANGED}' AND {keys}"


def _bookkeeping(table: Table) -> list[str]:
    settings = {"version": "version = t.version + 1", "updated_at": "updated_at = now()"}
    return [setting for name, setting in settings.items() if name in table.columns]


def _first(table: Table) -> str:
    return _q(next(iter(table.primary_key)))


def _q(column: Column[object]) -> str:
    return f'"{column.name}"'
