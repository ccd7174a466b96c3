"""Recipes through every door: checked when they are saved, and run on what matches on the day."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from admin_app.actions import REASON_LENGTH, Order
from admin_app.choosing import by_filter, understood, viewer_of, visible_to
from admin_app.db import Acting, Database
from admin_app.errors import BadInput, Conflict, Forbidden
from admin_app.inputs import inputs_of, parse
from admin_app.models import Recipe, storable
from admin_app.plugin import Action, Authority, Resource
from admin_app.queries import recipes, selections
from admin_app.registry import Registry
from admin_app.settings import Settings

SAVE, DELETE = "recipe.save", "recipe.delete"
"""What saving and deleting are called: as permissions, and as actions of change sets."""

ORDERLESS: dict[str, None] = {"sort": None, "size": None, "page": None}
"""Parameters of a list that do not say which rows are meant."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A recipe as somebody wrote it: inputs are texts, or lists of them."""

    name: str
    action: str
    resource: str
    filter: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


async def save(
    database: Database, registry: Registry, authority: Authority, acting: Acting, draft: Draft, zone: ZoneInfo
) -> Recipe:
    """Keep a recipe as a change set of its own.

    Raises Forbidden, or BadInput naming each filter and each input that would not be accepted today.
    """
    _require(authority, SAVE, "save recipes")
    action, resource = registry.action(draft.action), registry.resource(draft.resource)
    if not issubclass(resource.model, action.model):
        raise BadInput(f"“{action.label}” is nothing that can be done to {resource.label_plural.lower()}.")
    _require(authority, action.permission, f"do “{action.label}”")
    asked = understood(resource, draft.filter, viewer_of(authority, zone))
    given = {name: text for name, text in draft.inputs.items() if text}
    async with database.read() as session:
        await asked.understood(session)
        await parse(session, inputs_of(action.function), given, zone)
    made = Recipe(
        name=" ".join(draft.name.split()),
        resource=resource.name,
        action=action.permission,
        filter=urlencode(asked.pairs(**ORDERLESS)),
        inputs=given,
        reason=_reason(draft.reason),
        created_by_id=acting.user_id,
    )
    async with database.transaction(replace(acting, reason=None), SAVE, parameters={"recipe": made.name}) as change:
        await recipes.add(change.session, made)
        change.counts.changed = 1
    return made


async def change(
    database: Database,
    authority: Authority,
    acting: Acting,
    recipe_id: int,
    version: int,
    name: str,
    reason: str | None,
) -> None:
    """Give a recipe another name and reason; raises Forbidden, NotFound, ChangedMeanwhile or BadInput."""
    _require(authority, SAVE, "change recipes")
    async with database.transaction(acting, SAVE, parameters={"recipe": name}) as made:
        found = await recipes.one(made.session, recipe_id, version)
        await recipes.rename(made.session, found, name, _reason(reason))
        made.counts.changed = 1


async def delete(database: Database, authority: Authority, acting: Acting, recipe_id: int) -> str:
    """Delete a recipe, which can be undone; returns its name. Raises Forbidden or NotFound."""
    _require(authority, DELETE, "delete recipes")
    async with database.transaction(acting, DELETE, parameters={"recipe": recipe_id}) as made:
        found = await recipes.one(made.session, recipe_id)
        await made.session.delete(found)
        await made.session.flush()
        made.counts.changed = 1
    return found.name


def parts(registry: Registry, recipe: Recipe) -> tuple[Action, Resource]:
    """What a recipe does, and to which records; raises Conflict where a plugin that it needs is not loaded."""
    action, resource = registry.actions.get(recipe.action), registry.resources.get(recipe.resource)
    if action is None or resource is None:
        raise Conflict(f"The recipe “{recipe.name}” needs {recipe.action}, which is not loaded.")
    return action, resource


async def order(
    database: Database,
    settings: Settings,
    registry: Registry,
    authority: Authority,
    acting: Acting,
    recipe: Recipe,
    zone: ZoneInfo,
) -> Order:
    """The order to do what a recipe says to the rows that match now, for whoever runs it; these are frozen.

    Raises Forbidden, Conflict, or BadInput for a filter that is not understood any more, for no row, and for too many.
    """
    action, resource = parts(registry, recipe)
    _require(authority, action.permission, f"do “{action.label}”")
    chosen = await by_filter(database, settings, resource, recipe.filter, authority, zone)
    acting = replace(acting, reason=acting.reason or recipe.reason)
    return Order(authority=authority, acting=acting, action=action, chosen=chosen, given=recipe.inputs, zone=zone)


async def number(database: Database, registry: Registry, authority: Authority, recipe: Recipe, zone: ZoneInfo) -> int:
    """How many rows a recipe would be for now, counted up to one more than 10,000."""
    _, resource = parts(registry, recipe)
    viewer, visible = viewer_of(authority, zone), visible_to(authority, resource)
    async with database.read() as session:
        keys = await selections.found(session, resource, recipe.filter, viewer, visible)
        return (await recipes.counts(session, [keys]))[0]


def _require(authority: Authority, permission: str, deed: str) -> None:
    if not authority.may(permission):
        raise Forbidden(f"You may not {deed}. It needs the permission {permission}.")


def _reason(text: str | None) -> str | None:
    """A reason as it is stored; raises BadInput for one that no change set could have."""
    text = (text or "").strip()
    if len(text) > REASON_LENGTH or not storable(text):
        raise BadInput(fields={"reason": f"takes {REASON_LENGTH:,} characters at most, and only those that are seen."})
    return text or None
