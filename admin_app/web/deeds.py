"""Change sets in words: what was done, to how much of what, and what may be done about it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from admin_app.actions import UNDO, noun, why_not_undo
from admin_app.errors import BadInput
from admin_app.inputs import NOBODY, Input, inputs_of
from admin_app.models import ChangeSet, ChangeSetState, User
from admin_app.plugin import Action, Resource
from admin_app.queries.progress import Story
from admin_app.queries.readable import humanized, mapper_of
from admin_app.queries.rows import Loaded
from admin_app.queries.selections import UNFINISHED
from admin_app.registry import Registry
from admin_app.web import facts, forms
from admin_app.web.context import actor_of, desk_of, path
from admin_app.web.panel import Chip, Control

DEEDS = {
    UNDO.permission: UNDO.label,
    "attachment.upload": "Attach files",
    "comment.add": "Add a comment",
    "demo.build": "Build a made-up desk",
    "permission.declare": "Declare permissions",
    "saved_view.keep": "Change own views",
    "saved_view.share": "Change shared views",
    "saved_view.ship": "Make shipped views",
    "session.sign_in": "Sign in",
    "session.sign_out": "Sign out",
}
"""What the core does besides editing records and actions."""

FORMS = {
    "create": "New {one}",
    "edit": "Edit {one}",
    "export": "Export {many}",
    "download": "Download export of {many}",
}


def deed(registry: Registry, name: str) -> str:
    """What the action of a change set is called: "Assign to agent", "Edit ticket"."""
    subject, _, verb = name.partition(".")
    if name in registry.actions:
        return registry.actions[name].label
    if name in DEEDS:
        return DEEDS[name]
    if subject == "import":
        return f"Import {humanized(verb).lower()}"
    if subject in registry.resources and verb in FORMS:
        resource = registry.resources[subject]
        return FORMS[verb].format(one=resource.label.lower(), many=resource.label_plural.lower())
    return f"{humanized(subject)}: {humanized(verb).lower()}" if verb else humanized(name)


def told(registry: Registry, story: Story) -> str:
    """What a change set did: an undo says of what, and is a redo when it undoes an undo."""
    what = deed(registry, story.first.action)
    return f"{turn(story.turns)}: {what}" if story.turns else what


def turn(turns: int) -> str:
    """What it is called to turn something round for the first, second, third… time."""
    return "Undo" if turns % 2 else "Redo"


def amount(change_set: ChangeSet) -> str:
    """To how much of what: "98,302 tickets"; empty where it is about one record, or nobody counted."""
    number = change_set.requested or change_set.changed
    mapper = mapper_of(str(change_set.parameters.get("resource", "")))
    if mapper is None or not number or (number == 1 and not change_set.requested):
        return ""
    return f"{number:,} {noun(mapper.class_, number)}"


def in_words(
    registry: Registry,
    rows: Sequence[Loaded],
    names: Sequence[str],
    chips: Sequence[Chip],
) -> dict[str, Any]:
    """The list of change sets with what people call what was done: in its rows, and its filters in force."""
    return {
        "rows": [row.row(names, **_listed(registry, row)) for row in rows],
        "chips": [
            replace(chip, value=_each(registry, chip.value)) if chip.label == "Action" else chip for chip in chips
        ],
    }


def _listed(registry: Registry, row: Loaded) -> dict[str, Any]:
    undone, skipped = row.record.undo_of_id, row.value("skipped") or {}
    words = f"Undo of change set {undone}" if undone else deed(registry, row.record.action)
    number = f"{sum(skipped.values()):,}" if skipped else ""
    kind = row.record.actor_kind
    return {"action": words, "skipped": number, "reference": _reference(row.record.reference), "actor_kind": kind}


def _reference(reference: str | None) -> facts.Link | None:
    """A reference, leading to everything under it."""
    return facts.Link(reference, path("change_set", "reference", reference=reference)) if reference else None


def choosable(registry: Registry, controls: Sequence[Control]) -> list[Control]:
    """The filters of change sets, with what people call what was done."""
    return [_choosable(registry, control) if control.name == "action" else control for control in controls]


def _choosable(registry: Registry, control: Control) -> Control:
    chosen = set(control.value.split(",")) - {""}
    forms = [f"{name}.{verb}" for name in registry.resources for verb in FORMS]
    names = {*registry.actions, *DEEDS, *forms, *chosen}
    choices = sorted((deed(registry, name), name) for name in names)
    return replace(control, choices=tuple((name, words, name in chosen) for words, name in choices))


def _each(registry: Registry, names: str) -> str:
    return ", ".join(deed(registry, name) for name in names.split(", "))


# ---- With which inputs


async def inputs(request: Request, session: AsyncSession, change_set: ChangeSet) -> list[tuple[str, str]]:
    """What an action was given, by the labels of its form and with names instead of ids; one statement a model."""
    action, given = action_of(request, change_set), change_set.parameters.get("inputs")
    if action is None or not isinstance(given, dict):
        return []
    items = [item for item in inputs_of(action.function) if given.get(item.name) not in (None, "", [])]
    labels = await forms.labels_for(session, items, given)
    return [(item.label, _input(item, given[item.name], labels)) for item in items]


def _input(item: Input, text: Any, labels: forms.Labels) -> str:
    if text == NOBODY and item.optional:
        return "Nobody" if item.type is User else "None"
    return forms.shown(item, text, labels)


def action_of(request: Request, change_set: ChangeSet) -> Action | None:
    """The action that a change set carried out, where it was one and its plugin is loaded."""
    return desk_of(request).registry.actions.get(change_set.action)


def resource_of(request: Request, change_set: ChangeSet) -> Resource | None:
    """The resource whose records a change set was about, where that is written down."""
    mapper = mapper_of(str(change_set.parameters.get("resource", "")))
    return desk_of(request).registry.resource_of(mapper.class_) if mapper else None


# ---- What may be done about it


@dataclass(frozen=True)
class Offer:
    """A button, and where it leads; with `why` instead of an address, why it cannot be."""

    label: str
    href: str = ""
    why: str = ""


def is_own(request: Request, change_set: ChangeSet) -> bool:
    """Whether the viewer made a change set."""
    return change_set.user_id == actor_of(request).user_id


def undo_offer(request: Request, story: Story) -> Offer | None:
    """Undoing a change set, or redoing what is undone, for those who may; None where there is nothing to turn round."""
    change_set, undo = story.change_set, story.undo
    if change_set.state in UNFINISHED or not change_set.changed or (undo and undo.state in UNFINISHED):
        return None
    if undo is not None and change_set.state is ChangeSetState.UNDONE:
        if not may_undo(request, undo, story.first):
            return None
        return Offer(turn(story.turns + 2), path("change_set", undo.id, "undo"))
    if not may_undo(request, change_set, story.first):
        return None
    if why := why_final(request, story.first):
        return Offer("Undo", why=f"This cannot be undone. {why}")
    return Offer(turn(story.turns + 1), path("change_set", change_set.id, "undo"))


def may_undo(request: Request, change_set: ChangeSet, first: ChangeSet) -> bool:
    """Whether the viewer may undo a change set that goes back to a `first` one: what one may do, one may undo."""
    actor = actor_of(request)
    return why_not_undo(actor, actor.user_id, change_set, first) is None


TYPED = re.compile(r"[\s.,'’_]")
"""What may stand between the digits of a number that is typed."""


def to_type(action: Action, number: int) -> str:
    """The number of rows that has to be typed before an action is done to them; empty where none has to be."""
    return f"{number:,}" if action.final or (action.danger and number > 1) else ""


def check_typed(action: Action, number: int, text: str) -> None:
    """Raise BadInput where a number has to be typed, and it was not."""
    if (wanted := to_type(action, number)) and TYPED.sub("", text) != str(number):
        raise BadInput(fields={"confirmed": f"Type {wanted} to go on. Nothing has been changed yet."})


def why_final(request: Request, first: ChangeSet) -> str:
    """Why what was done cannot be undone at all; empty where it can."""
    return desk_of(request).registry.finals.get(first.action, "")


def may_cancel(request: Request, change_set: ChangeSet) -> bool:
    """Whether there is something to stop that the viewer may stop."""
    may = is_own(request, change_set) or actor_of(request).may("change_set.cancel")
    return may and change_set.state in UNFINISHED


def may_retry(request: Request, change_set: ChangeSet) -> bool:
    """Whether rows of an action failed that the viewer may try again."""
    action = action_of(request, change_set)
    ended = change_set.state not in UNFINISHED
    return ended and bool(change_set.failed) and action is not None and actor_of(request).may(action.permission)
