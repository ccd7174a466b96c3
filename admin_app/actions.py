"""The one road of a change: whoever performs an action, through whichever door, it goes through `perform()`."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError, BadInput, Forbidden
from admin_app.inputs import inputs_of, parse
from admin_app.models import Base, storable
from admin_app.plugin import Action, Chosen, Outcome, snake

REASON_LENGTH = 2_000
UNSTORABLE = "holds a character that cannot be stored."


class Authority(Protocol):
    """Whoever may or may not do something."""

    def may(self, permission: str) -> bool: ...


class Operator:
    """Somebody with the shell of the installation: may do everything, since they hold the database's keys anyway."""

    def may(self, permission: str) -> bool:
        return True


@dataclass(frozen=True)
class Performed:
    """An action that was done: its change set, what became of the rows, and the sentence that says so."""

    change_set_id: int
    outcome: Outcome
    sentence: str


async def perform(
    database: Database,
    authority: Authority,
    acting: Acting,
    action: Action,
    chosen: Chosen[Any],
    given: Mapping[str, Any],
    *,
    zone: ZoneInfo,
    limit: int,
    idempotency_key: str | None = None,
) -> Performed:
    """Do an action to chosen rows as one change set, and say what became of them.

    `given` holds the inputs as texts. Raises Forbidden, or BadInput naming each field that is wrong, before
    anything is changed; an error later undoes everything.
    """
    if not authority.may(action.permission):
        raise Forbidden(f"You may not do “{action.label}”. It needs the permission {action.permission}.")
    acting = replace(acting, reason=_reason(action, acting.reason))
    if unstorable := [name for name, value in given.items() if not storable(f"{name}{value}")]:
        raise BadInput(fields=dict.fromkeys(unstorable, UNSTORABLE))
    if not chosen.requested:
        raise BadInput("Nothing is selected. Tick the rows first, then choose the action.")
    if chosen.requested > limit:
        raise BadInput(f"{chosen.requested:,} rows are selected; one action may touch {limit:,} at most.")
    parameters = {"resource": chosen.model.__tablename__, "requested": chosen.requested, "inputs": dict(given)}
    async with database.transaction(
        acting, action.permission, parameters=parameters, idempotency_key=idempotency_key
    ) as change:
        values = await parse(change.session, inputs_of(action.function), given, zone)
        available = {"session": change.session, "chosen": chosen, "acting": acting, **values}
        outcome: object = await action.function(**_asked_for(action.function, available))
        if not isinstance(outcome, Outcome):
            raise BackdeskError(
                f"Nothing was changed: {action.permission} returned no Outcome. Its plugin needs mending."
            )
        change.counts.changed, change.counts.unchanged = outcome.changed, outcome.unchanged
        change.counts.skipped, change.counts.failed = dict(outcome.skipped), outcome.failed
    return Performed(change.id, outcome, sentence(action.label, outcome, chosen.model))


def _asked_for(function: Callable[..., Any], available: Mapping[str, Any]) -> dict[str, Any]:
    return {name: available[name] for name in inspect.signature(function).parameters if name in available}


def _reason(action: Action, reason: str | None) -> str | None:
    text = (reason or "").strip()
    if len(text) > REASON_LENGTH:
        raise BadInput(fields={"reason": f"has {len(text):,} characters; at most {REASON_LENGTH:,} fit."})
    if not storable(text):
        raise BadInput(fields={"reason": UNSTORABLE})
    if not text and action.reason == "required":
        raise BadInput(fields={"reason": "Please say why; it is kept in the audit log."})
    return text or None


def sentence(label: str, outcome: Outcome, model: type[Base] | type[Any]) -> str:
    """What happened, from what was counted: "Assign to agent: 20 tickets changed, 3 unchanged, 2 skipped (closed)."."""
    noun = snake(model.__name__).replace("_", " ")
    parts = [f"{outcome.changed:,} {noun}{'' if outcome.changed == 1 else 's'} changed"]
    if outcome.unchanged:
        parts.append(f"{outcome.unchanged:,} already so")
    if skipped := sum(outcome.skipped.values()):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(outcome.skipped.items()))
        parts.append(f"{skipped:,} skipped ({reasons})")
    if outcome.failed:
        parts.append(f"{outcome.failed:,} failed")
    return f"{label}: {', '.join(parts)}."
