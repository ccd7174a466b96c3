"""States of tables and entries of the audit log: compared, moments aside, and as an undo leaves them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from admin_app.models import AuditLog
from admin_app.queries.previews import Effect
from tests.engine.desk import Done, Rows

CLOCKED = (
    "resolved_at",
    "first_resolved_at",
    "closed_at",
    "last_reopened_at",
    "deleted_at",
    "updated_at",
    "created_at",
)
"""Columns that hold when something was done, which is another moment in each run."""

COUNTING = ("version", "updated_at", "priority_rank")


def timeless(state: Mapping[str, Rows]) -> Any:
    """A state without moments, versions, and ids that a sequence gave."""

    def told(table: str, key: str, row: Mapping[str, Any]) -> Any:
        facts = {name: value is not None if name in CLOCKED else value for name, value in row.items()}
        if table == "comments":
            del facts["id"]
            return table, tuple(sorted((name, str(value)) for name, value in facts.items()))
        return table, key, tuple(sorted((name, str(value)) for name, value in facts.items()))

    return Counter(told(table, key, row) for table, rows in state.items() for key, row in rows.items())


def timeless_entries(entries: Sequence[AuditLog]) -> Any:
    """Audit rows in the same manner."""
    told: Counter[Any] = Counter()
    for entry in entries:
        sides = {
            side: {
                name: value is not None if name in CLOCKED else value
                for name, value in values.items()
                if (entry.table_name, name) != ("comments", "id")
            }
            for side, values in entry.changes.items()
        }
        key = "" if entry.table_name == "comments" else entry.record_id
        told[(entry.table_name, entry.action, key, str(sorted((k, sorted(v.items())) for k, v in sides.items())))] += 1
    return told


def timeless_effects(found: Sequence[Effect]) -> Any:
    """What was summed up, moments aside."""
    told: Counter[Any] = Counter()
    for effect in found:
        change = effect.change
        values: Any = None
        if change is not None:
            sides = (change.old, change.new)
            values = [None if side is None else "then" if change.kind == "instant" else str(side) for side in sides]
        label = change.label if change else None
        told[(effect.kind, effect.verb, label, str(values), effect.various)] += effect.number
    return told


def foretold(
    state: Mapping[str, Rows], done: Done, later: set[tuple[str, str]]
) -> tuple[dict[str, Rows], Counter[str]]:
    """What undoing must give, one entry after the other: the state after it, and how many entries became what."""
    after, became = deepcopy(dict(state)), Counter[str]()
    for entry in reversed(done.entries):
        rows, key = after[entry.table_name], entry.record_id
        row, old, new = rows.get(key), entry.changes.get("old", {}), entry.changes.get("new", {})
        match entry.action:
            case "CREATE":
                outcome = (
                    "unchanged" if row is None else "changed since" if (entry.table_name, key) in later else "changed"
                )
                if outcome == "changed":
                    del rows[key]
            case "DELETE":
                lost = str(old["ticket_id"]) not in after["tickets"]
                outcome = "unchanged" if row is not None else "failed" if lost else "changed"
                if outcome == "changed":
                    rows[key] = dict(old)
            case _:
                outcome = _update_undone(row, old, new)
        became[outcome] += 1
    return after, became


def _update_undone(row: dict[str, Any] | None, old: dict[str, Any], new: dict[str, Any]) -> str:
    if row is None:
        return "not found"
    if all(row[name] == value for name, value in old.items()):
        return "unchanged"
    if any(row[name] != value for name, value in new.items()):
        return "changed since"
    row.update(old)
    return "changed"


def plain(state: Mapping[str, Rows]) -> dict[str, Rows]:
    """A state without what counts changes."""
    return {
        table: {
            key: {name: value for name, value in row.items() if name not in COUNTING and value is not None}
            for key, row in rows.items()
        }
        for table, rows in state.items()
    }
