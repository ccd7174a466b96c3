"""What an order would do, or did, as values for scripts; the command line and the API tell the same."""

from datetime import datetime
from typing import Any

from admin_app.actions import Preview
from admin_app.models import ChangeSet
from admin_app.plugin import Outcome
from admin_app.queries.readable import Excerpt, FieldChange, Value

TOLD = (
    *("id", "action", "state", "problem", "reason", "reference", "requested", "changed", "unchanged", "skipped"),
    *("failed", "undo_of_id", "user_id", "started_at", "progressed_at", "finished_at"),
)
"""What is told of a change set."""


def of_preview(told: Preview) -> dict[str, Any]:
    """A preview: counts by outcome, effects, samples, what an undo would leave alone, and warnings."""
    outcome = told.outcome
    return {
        "requested": told.requested,
        "tried": told.tried,
        "exact": told.exact,
        "outcome": {
            "changed": outcome.changed,
            "unchanged": outcome.unchanged,
            "skipped": dict(outcome.skipped),
            "failed": outcome.failed,
        },
        "effects": [
            {
                "kind": effect.kind,
                "verb": effect.verb,
                "various": effect.various,
                "number": effect.number,
                "change": of_change(effect.change) if effect.change else None,
            }
            for effect in told.effects
        ],
        "samples": [
            {
                "kind": one.kind,
                "record": one.record,
                "part": one.part or None,
                "verb": one.verb,
                "changes": [*map(of_change, one.changes)],
            }
            for one in told.samples
        ],
        "left": [{"record": one.record, "changes": [*map(of_change, one.fields)]} for one in told.left],
        "warnings": list(told.warnings),
    }


def of_change_set(found: ChangeSet) -> dict[str, Any]:
    """A change set: how far it is, what became of its rows, and why it was done."""
    return {name: _plain(getattr(found, name)) for name in TOLD} | {"done": outcome_of(found).total}


def of_change(change: FieldChange) -> dict[str, Any]:
    """One field, as it was and as it is."""
    return {"field": change.label, "from": _value(change.old), "to": _value(change.new)}


def outcome_of(found: ChangeSet) -> Outcome:
    """What became of the rows of a change set so far."""
    return Outcome(found.changed, found.unchanged, found.skipped, found.failed)


def _value(value: Value) -> Any:
    return value.text if isinstance(value, Excerpt) else _plain(value)


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
