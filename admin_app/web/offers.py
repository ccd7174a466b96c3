"""What a list offers to do with its rows: with those that are ticked, and with the one where the viewer is."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from admin_app.plugin import Action, Resource, Where
from admin_app.web import inline
from admin_app.web.context import BASE, actor_of, desk_of, path

AT_HAND = 3
"""Actions that are buttons of their own; all others are in a menu."""

BESIDE = 2
"""Harmless actions that stand beside the row where one is; the first dangerous one does too."""


@dataclass(frozen=True)
class RowAction:
    """Something that leads on from one row; `{id}` and `{back}` in its address stand for the row and the list."""

    label: str
    icon: str
    href: str
    danger: bool = False


def of_list(request: Request, resource: Resource, *, trash: bool) -> dict[str, Any]:
    """What the template of a list needs to offer actions on it, or on its trash."""
    actions = allowed(request, resource, "trash" if trash else "list")
    return {
        "actions": [(action, path(resource.name, "do", action.permission)) for action in actions],
        "at_hand": sum(1 for action in actions[:AT_HAND] if not action.danger),
        "row_actions": _row_actions(request, resource, trash=trash),
        "inline": [] if trash else inline.editable(request, resource),
        "inline_url": path(resource.name, "inline"),
    }


def allowed(request: Request, resource: Resource, place: Where) -> list[Action]:
    """The actions that the viewer may do in a place: those with a key first, dangerous ones last."""
    actor = actor_of(request)
    found = [
        action
        for action in desk_of(request).registry.actions_for(resource.model)
        if place in action.where and actor.may(action.permission)
    ]
    return sorted(found, key=lambda action: (action.danger, not action.key))


def _row_actions(request: Request, resource: Resource, *, trash: bool) -> list[RowAction]:
    base = f"{BASE}/{resource.name}"
    found = [RowAction("Open", "external", f"{base}/details/{{id}}")]
    if resource.can_edit and resource.form and actor_of(request).may(f"{resource.name}.edit") and not trash:
        found.append(RowAction("Open its form", "file", f"{base}/edit/{{id}}"))
    actions = allowed(request, resource, "trash" if trash else "record")
    safe = [action for action in actions if not action.danger][:BESIDE]
    for action in [*safe, *[action for action in actions if action.danger][:1]]:
        href = f"{base}/do/{action.permission}?ids={{id}}&back={{back}}"
        found.append(RowAction(action.label, action.icon, href, action.danger))
    return found
