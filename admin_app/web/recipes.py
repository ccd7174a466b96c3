"""Recipes in the browser: a list with what each would be for now, running, saving, changing and deleting them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sqladmin.templating import Jinja2Templates
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin_app import recipes
from admin_app.choosing import visible_to
from admin_app.editing import key_of
from admin_app.errors import BadInput, BadRequest, Conflict, Forbidden
from admin_app.inputs import inputs_of
from admin_app.models import Recipe
from admin_app.plugin import Action, Resource
from admin_app.queries import recipes as stored
from admin_app.queries import rows, selections
from admin_app.queries.listing import ListQuery
from admin_app.queries.readable import humanized
from admin_app.web import forms, panel, selecting
from admin_app.web.context import (
    Notice,
    acting,
    actor_of,
    desk_of,
    form_of,
    inside,
    path,
    redirect,
    render,
    text_fields,
    zone_of,
)
from admin_app.web.panel import Chip
from admin_app.web.selecting import Choice

HOME = path("recipes")


@dataclass(frozen=True, kw_only=True)
class Understood:
    """A recipe that could be run: its action, its records, what its filter asks for, and the ids that this finds."""

    action: Action
    resource: Resource
    query: ListQuery
    keys: Select[int]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A recipe as it is listed: what it does to which rows in words, how many these are now, or why it cannot run."""

    recipe: Recipe
    label: str
    icon: str
    records: str = ""
    chips: Iterable[Chip] = ()
    inputs: Mapping[str, str]
    number: int | None = None
    may_run: bool = False
    problem: str = ""

    @property
    def count(self) -> str:
        """How many rows it would be for now, counted up to a bound."""
        return "" if self.number is None else counted(self.number)


def counted(number: int) -> str:
    """A number, or that it is more than is counted."""
    return f"{number:,}" if number <= stored.COUNTED else f"more than {stored.COUNTED:,}"


async def page(request: Request, templates: Jinja2Templates) -> Response:
    """The recipes, each with what it would be for now."""
    _require(request, "recipe.view", "see recipes")
    async with desk_of(request).database.read(snapshot=True) as session:
        lines = await _lines(request, session)
    actor = actor_of(request)
    may = {"may_save": actor.may(recipes.SAVE), "may_delete": actor.may(recipes.DELETE)}
    context = {"title": "Recipes", "lines": lines, "recipes_url": HOME, **may}
    return await render(request, templates, "backdesk/recipes.html", context)


async def _lines(request: Request, session: AsyncSession) -> list[Line]:
    """Every recipe in words; the statements grow only with those that look for names or words."""
    found = await stored.every(session)
    read = [await _understood(request, session, recipe) for recipe in found]
    good = [one for one in read if isinstance(one, Understood)]
    numbers = iter(await stored.counts(session, [one.keys for one in good]))
    filters = tuple(item for one in good for item in one.query.filters)
    named = await rows.related(session, replace(good[0].query, filters=filters)) if good else {}
    inputs = [item for one in good for item in inputs_of(one.action.function)]
    labels = await forms.labels_for(session, inputs, *(recipe.inputs for recipe in found))
    return [
        _line(request, recipe, one, next(numbers), named, labels)
        if isinstance(one, Understood)
        else Line(recipe=recipe, label=recipe.action, icon="alert", inputs=recipe.inputs, problem=one)
        for recipe, one in zip(found, read, strict=True)
    ]


async def _understood(request: Request, session: AsyncSession, recipe: Recipe) -> Understood | str:
    """What a recipe is for, or why it cannot be run by the viewer at all."""
    actor = actor_of(request)
    try:
        action, resource = recipes.parts(desk_of(request).registry, recipe)
        visible, viewer = visible_to(actor, resource), selecting.viewer_of(request)
        query = ListQuery.parse(resource, parse_qsl(recipe.filter, keep_blank_values=True), viewer)
        query = await replace(query, visible=visible).understood(session)
    except (BadInput, Conflict, Forbidden) as error:
        return error.message
    return Understood(action=action, resource=resource, query=query, keys=selections.keys_of(query))


def _line(
    request: Request, recipe: Recipe, one: Understood, number: int, named: panel.Named, labels: forms.Labels
) -> Line:
    name_of, address = panel.Reader(request).name_of, panel.addresses(path(one.resource.name, "list"), one.query)
    return Line(
        recipe=recipe,
        label=one.action.label,
        icon=one.action.icon,
        records=one.resource.label_plural,
        chips=panel.chips(one.resource, one.query, named, name_of, address),
        inputs=_read(one.action, recipe.inputs, labels),
        number=number,
        may_run=actor_of(request).may(one.action.permission),
    )


def _read(action: Action, given: Mapping[str, Any], labels: forms.Labels) -> dict[str, str]:
    """Inputs as a person reads them."""
    known = {item.name: item for item in inputs_of(action.function)}
    return {known[name].label: forms.shown(known[name], text, labels) for name, text in given.items() if name in known}


async def run(request: Request, templates: Jinja2Templates) -> Response:
    """Freeze what matches now, and lead on to the action with what the recipe fills in."""
    await form_of(request)
    _require(request, "recipe.view", "see recipes")
    desk, recipe = desk_of(request), await _recipe(request)
    try:
        order = await recipes.order(
            desk.database, desk.settings, desk.registry, actor_of(request), acting(request), recipe, zone_of(request)
        )
    except (BadInput, Conflict) as error:
        return redirect(request, HOME, Notice(f"“{recipe.name}” was not run. {error.message}", "warning"))
    chosen = {"selection": order.chosen.selection_id, "recipe": recipe.id, "back": HOME}
    return redirect(request, path(recipe.resource, "do", recipe.action, **chosen))


async def prefilled(request: Request) -> FormData:
    """What the form of an action is opened with: the inputs and the reason of the recipe that the address names."""
    text = request.query_params.get("recipe", "")
    if not text or not actor_of(request).may("recipe.view"):
        return FormData()
    async with desk_of(request).database.read() as session:
        recipe = await stored.one(session, key_of(text))
    if recipe.action != request.path_params["action"]:
        return FormData()
    return FormData([*_fields(recipe.inputs), *([("reason", recipe.reason)] if recipe.reason else [])])


def _fields(inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Inputs as the fields of a form; one that picks several records has a field for each."""
    many = {name: text if isinstance(text, list) else [text] for name, text in inputs.items()}
    return [(name, str(text)) for name, texts in many.items() for text in texts]


def save_url(request: Request, resource: Resource, action: Action, choice: Choice, back: str) -> str:
    """Where an action for what a list found is saved as a recipe; empty where it cannot be."""
    if not actor_of(request).may(recipes.SAVE) or not _filter(request, resource, choice, back):
        return ""
    return path("recipes", "save", resource.name, action.permission)


def _filter(request: Request, resource: Resource, choice: Choice, back: str) -> str:
    """The filter of the list in which rows were chosen, all or only some; empty where it leaves nothing out."""
    list_address = urlsplit(back)
    text = list_address.query if list_address.path == path(resource.name, "list") else ""
    if choice.selection is not None and choice.selection.filter:
        text = choice.selection.filter
    try:
        asked = selecting.asked(request, resource, parse_qsl(text, keep_blank_values=True))
    except BadRequest:
        return ""
    text = panel.encoded(asked.alone.pairs()) if asked.view else text
    return text if asked.narrowed or asked.trash else ""


async def save(request: Request, templates: Jinja2Templates) -> Response:
    """A POST from an action's form asks for a name; one with a name saves the recipe."""
    form, desk = await form_of(request), desk_of(request)
    _require(request, recipes.SAVE, "save recipes")
    action = desk.registry.action(request.path_params["action"])
    resource = desk.registry.resource(request.path_params["resource"])
    fields = text_fields(form)
    if "filter" not in fields:
        choice = await selecting.chosen(request, resource, form)
        fields["filter"] = _filter(request, resource, choice, fields.get("back", ""))
    inputs = forms.filled(form, inputs_of(action.function)).texts
    if "recipe_name" not in fields:
        return await _ask(request, templates, action, resource, fields, inputs, {})
    draft = recipes.Draft(
        name=fields["recipe_name"],
        action=action.permission,
        resource=resource.name,
        filter=fields["filter"],
        inputs=inputs,
        reason=fields.get("reason"),
    )
    who = (actor_of(request), acting(request))
    try:
        made = await recipes.save(desk.database, desk.registry, *who, draft, zone_of(request))
    except BadInput as error:
        return await _ask(request, templates, action, resource, fields, inputs, error.fields or {"": error.message})
    return redirect(request, HOME, Notice(f"Saved “{made.name}”. Run it whenever it is needed again."))


async def _ask(
    request: Request,
    templates: Jinja2Templates,
    action: Action,
    resource: Resource,
    fields: Mapping[str, str],
    inputs: Mapping[str, Any],
    problems: Mapping[str, str],
) -> Response:
    """The form that asks for a name, with what the recipe would do in words."""
    try:
        query = selecting.asked(request, resource, parse_qsl(fields["filter"], keep_blank_values=True))
    except BadRequest:
        query = selecting.asked(request, resource, [])
    given = {name: text for name, text in inputs.items() if text}
    async with desk_of(request).database.read() as session:
        chips = await selecting.chips(request, session, resource, query)
        labels = await forms.labels_for(session, inputs_of(action.function), given)
    known = {"name": "recipe_name", "reason": "reason"}
    context = {
        "title": "Save as recipe",
        "action": action,
        "resource": resource,
        "chips": chips,
        "inputs": _read(action, given, labels),
        "hidden": [("filter", fields["filter"]), *_fields(given)],
        "values": {"recipe_name": fields.get("recipe_name", ""), "reason": fields.get("reason", "")},
        "problems": {known[name]: text for name, text in problems.items() if name in known},
        "loose_problems": [f"{humanized(name)} {text}".strip() for name, text in problems.items() if name not in known],
        "url": path("recipes", "save", resource.name, action.permission),
        "back": inside(fields.get("back"), path(resource.name, "list")),
    }
    return await render(request, templates, "backdesk/recipe_save.html", context, status=422 if problems else 200)


async def edit(request: Request, templates: Jinja2Templates) -> Response:
    """Another name, and another reason."""
    _require(request, recipes.SAVE, "change recipes")
    recipe = await _recipe(request)
    values, problems = {"recipe_name": recipe.name, "reason": recipe.reason or "", "version": str(recipe.version)}, {}
    if request.method == "POST":
        values |= text_fields(await form_of(request))
        try:
            who = (desk_of(request).database, actor_of(request), acting(request))
            version = key_of(values["version"])
            await recipes.change(*who, recipe.id, version, values["recipe_name"], values["reason"])
        except BadInput as error:
            problems = {"recipe_name" if name == "name" else name: text for name, text in error.fields.items()}
        else:
            return redirect(request, HOME, Notice("The recipe is changed."))
    context = {
        "title": "Edit recipe",
        "recipe": recipe,
        "values": values,
        "problems": problems,
        "url": path("recipes", recipe.id, "edit"),
        "recipes_url": HOME,
    }
    return await render(request, templates, "backdesk/recipe_edit.html", context, status=422 if problems else 200)


async def delete(request: Request, templates: Jinja2Templates) -> Response:
    """GET asks, POST deletes."""
    _require(request, recipes.DELETE, "delete recipes")
    recipe = await _recipe(request)
    if request.method == "POST":
        await form_of(request)
        await recipes.delete(desk_of(request).database, actor_of(request), acting(request), recipe.id)
        return redirect(request, HOME, Notice(f"“{recipe.name}” is deleted. What it did stays as it is."))
    context = {
        "title": f"Delete “{recipe.name}”?",
        "recipe": recipe,
        "url": path("recipes", recipe.id, "delete"),
        "recipes_url": HOME,
    }
    return await render(request, templates, "backdesk/recipe_delete.html", context)


async def _recipe(request: Request) -> Recipe:
    async with desk_of(request).database.read() as session:
        return await stored.one(session, key_of(request.path_params["id"]))


def _require(request: Request, permission: str, deed: str) -> None:
    if not actor_of(request).may(permission):
        raise Forbidden(f"You may not {deed}. It needs the permission {permission}.")


ROUTES: tuple[tuple[str, tuple[str, ...], Callable[[Request, Jinja2Templates], Awaitable[Response]]], ...] = (
    ("/recipes", ("GET",), page),
    ("/recipes/save/{resource}/{action}", ("POST",), save),
    ("/recipes/{id}/run", ("POST",), run),
    ("/recipes/{id}/edit", ("GET", "POST"), edit),
    ("/recipes/{id}/delete", ("GET", "POST"), delete),
)
"""The pages of recipes; each checks for itself what the viewer may do."""
