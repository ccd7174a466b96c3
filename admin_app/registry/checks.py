"""The rules that a plugin's offers must keep, found out at start and not at the first click."""

import difflib
import inspect
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from sqlalchemy import inspect as inspected
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import configure_mappers

from admin_app.errors import BadRequest
from admin_app.inputs import UnusableParameter, columns_of, inputs_of
from admin_app.models import Base
from admin_app.plugin import Action, Origin, Page, Panel, Plugin, Resource, Stat
from admin_app.queries.listing import ListQuery
from admin_app.queries.periods import Viewer
from admin_app.queries.saved_views import NAME_LENGTH
from admin_app.registry.indexes import EVERYTHING
from admin_app.registry.offers import Registry
from admin_app.registry.problem import Problem, suggestion

RESERVED = frozenset({"login", "logout", "static", "statics", "page", "api", "core", "db"})
PLACES = frozenset({"exports", "login", "logout", "page", "palette", "queues", "recipes", "views"})
"""Names in addresses of pages and of the API that are of no resource; one of such a name could not be reached."""
TAKEN_INPUTS = frozenset(
    {"ids", "on", "as", "actor", "reason", "help", "back", "confirmed", "key", "where", "all", "without", "preview"}
    | {"yes", "detach", "json", "reference", "selection", "filter", "recipe_name", "at_most"}
)
"""Names that forms and commands use themselves beside an action's own inputs."""

SOMEBODY = Viewer(1, ZoneInfo("UTC"), datetime.now(UTC))
"""For whom the views that resources bring along are tried."""

TAKEN_KEYS = "egjkoux"
"""Letters that lists and records use themselves."""


def problems_of(plugin: Plugin, registry: Registry) -> Iterator[Problem]:
    """What is wrong with the things that a plugin offers."""

    def problem(id: str, origin: Origin | str, what: str, fix: str) -> Problem:  # noqa: A002  the field's own name
        return Problem(id, plugin.name, str(origin), what, fix)

    place = _file_of(plugin)
    if not plugin.name.isidentifier() or plugin.name != plugin.name.lower() or plugin.name in RESERVED:
        yield problem("P003", place, f"{plugin.name!r} cannot be a plugin's name.", "Use lower case letters and `_`.")
    elif taken := _core_tables(f"{plugin.name}_"):
        what = f"{plugin.name!r} cannot be a plugin's name: its tables would look like {', '.join(taken)}."
        yield problem("P003", place, what, "Choose another name.")
    for needed in plugin.requires:
        if needed not in {other.name for other in registry.plugins}:
            yield problem("P005", place, f"It requires {needed!r}, which is not loaded.", "Add it to BACKDESK_PLUGINS.")
    for action in plugin.actions:
        yield from _check_handler(problem, action, ("session", "chosen"))
        yield from _check_inputs(problem, action)
        yield from _check_key(problem, action, registry)
        if action.name == "view":
            what = "view() would be open to whoever may see everything and change nothing: `*.view` covers it."
            yield problem("P034", action.origin, what, "Call it after what it changes.")
        if not _is_shown(action.model, registry):
            name = getattr(action.model, "__name__", repr(action.model))
            what = f"No resource shows {name}, so nobody could choose rows for {action.name}()."
            yield problem("P032", action.origin, what, "Attach it to a model or trait of a resource.")
    for page in plugin.pages:
        yield from _check_handler(problem, page, ("session", "visit"))
        yield from _check_template(problem, plugin, page)
    for panel in plugin.panels:
        yield from _check_handler(problem, panel, ("session", "record", "visit"))
        if not _is_shown(panel.model, registry):
            name = getattr(panel.model, "__name__", repr(panel.model))
            what = f"No resource shows {name}, so nobody could see {panel.name}()."
            yield problem("P032", panel.origin, what, "Attach it to a model or trait of a resource.")
        yield from _check_template(problem, plugin, panel)
    for stat in plugin.stats:
        yield from _check_handler(problem, stat, ("session", "visit"))
    for resource in plugin.resources:
        mistakes = list(_check_resource(problem, resource))
        yield from mistakes or _check_views(problem, resource)
    yield from _check_tables(problem, plugin)


def _core_tables(beginning: str) -> list[str]:
    core = (mapper for mapper in Base.registry.mappers if mapper.class_.__module__.startswith("admin_app."))
    names = {str(getattr(mapper.local_table, "name", "")) for mapper in core}
    return sorted(name for name in names if name.startswith(beginning))


def _is_shown(model: Any, registry: Registry) -> bool:
    """Whether some resource shows a model, or a model with a trait."""
    shown = [resource.model for resource in registry.resources.values()]
    return isinstance(model, type) and any(isinstance(known, type) and issubclass(known, model) for known in shown)


Report = Callable[[str, Origin | str, str, str], Problem]


def _check_handler(problem: Report, item: Action | Page | Panel | Stat, needed: tuple[str, ...]) -> Iterator[Problem]:
    parameters = inspect.signature(item.function).parameters
    if not inspect.iscoroutinefunction(item.function):
        yield problem("P015", item.origin, f"{item.name}() is not async.", f"Write `async def {item.name}(…)`.")
    for name in needed:
        if name not in parameters:
            nearest = difflib.get_close_matches(name, parameters, n=1)
            fix = f"Rename {nearest[0]!r} to {name!r}." if nearest else f"Write {item.name}({', '.join(needed)}, …)."
            yield problem("P026", item.origin, f"{item.name}() has no parameter {name!r}.", fix)
    for name, parameter in parameters.items():
        if not isinstance(item, Action) and name not in needed and parameter.default is inspect.Parameter.empty:
            fix = f"Write {item.name}({', '.join(needed)})."
            yield problem("P026", item.origin, f"{item.name}() has a parameter {name!r} that nobody gives.", fix)


def _check_inputs(problem: Report, action: Action) -> Iterator[Problem]:
    try:
        taken = [item.name for item in inputs_of(action.function) if item.name in TAKEN_INPUTS]
        for name in taken:
            fix = "Take `acting: Acting` and read acting.reason." if name == "reason" else "Rename the parameter."
            yield problem("P016", action.origin, f"{action.name}(): the name {name!r} is taken by every form.", fix)
    except UnusableParameter as error:
        fix = "Use str, int, bool, date, datetime, a StrEnum, a model or a list of one; `| None` if it may be left out."
        yield problem("P016", action.origin, f"{action.name}(): {error}, which nobody can fill in.", fix)
    except NameError as error:
        fix = f"Import {error.name!r} in the plugin."
        yield problem("P016", action.origin, f"{action.name}(): the type {error.name!r} is not known.", fix)


def _check_key(problem: Report, action: Action, registry: Registry) -> Iterator[Problem]:
    key = action.key
    if key and not (len(key) == 1 and key.isascii() and key.islower() and key not in TAKEN_KEYS):
        fix = f"Choose one letter from a to z, but none of {', '.join(TAKEN_KEYS)}."
        yield problem("P035", action.origin, f"{action.name}(): {key!r} cannot be a key.", fix)
    for other in takewhile(lambda other: other is not action, registry.actions.values()):
        if key and other.key == key and _share_rows(action, other):
            what = f"{action.name}(): the key {key!r} is also that of {other.permission}."
            yield problem("P035", action.origin, what, "Choose another letter, or none.")


def _share_rows(one: Action, other: Action) -> bool:
    """Whether two actions may be offered for the same rows."""
    known = isinstance(one.model, type) and isinstance(other.model, type)
    return known and (issubclass(one.model, other.model) or issubclass(other.model, one.model))


def _check_template(problem: Report, plugin: Plugin, item: Page | Panel) -> Iterator[Problem]:
    what = f"There is no template {item.template!r}."
    if plugin.folder is None:
        fix = f"Make the plugin a folder, and put the file into {plugin.name}/templates/{plugin.name}/."
        yield problem("P025", item.origin, what, fix)
    elif not item.template.startswith(f"{plugin.name}/"):
        yield problem("P025", item.origin, what, f"Call it '{plugin.name}/{Path(item.template).name}'.")
    elif not (file := plugin.folder / "templates" / item.template).is_file():
        yield problem("P025", item.origin, what, f"Put it into {file}.")


def _check_resource(problem: Report, resource: Resource) -> Iterator[Problem]:
    """Problems of a resource's options: names that its model does not have."""
    if not (isinstance(resource.model, type) and issubclass(resource.model, Base)):
        what = f"{getattr(resource.model, '__name__', resource.model)} is no model."
        yield problem("P010", resource.origin, what, "Write a class that inherits from admin_app.models.Base.")
        return
    if resource.name in PLACES:
        what = f"{resource.model.__name__} would have the addresses of {resource.name!r}, which is a part of Backdesk."
        yield problem("P040", resource.origin, what, "Give the model another name.")
    known = {attribute.key for attribute in inspected(resource.model).all_orm_descriptors if hasattr(attribute, "key")}
    known |= set(inspected(resource.model).attrs.keys()) | {"label"}
    for option in ("columns", "details", "form", "create_form", "search", "filters", "sort"):
        computed = set(inspected(resource.model).all_orm_descriptors.keys()) if option == "filters" else set()
        for name in getattr(resource, option):
            if name not in known | computed:
                fix = suggestion(name, known).strip() or "Name a column or relationship of the model."
                yield problem("P010", resource.origin, f"{option}: {resource.model.__name__} has no {name!r}.", fix)
    if resource.default_sort.lstrip("-") not in known:
        fix = suggestion(resource.default_sort.lstrip("-"), known).strip() or "Name a column of the model."
        yield problem("P010", resource.origin, f"default_sort: there is no {resource.default_sort!r}.", fix)
    yield from _check_form(problem, resource)
    yield from _check_inline(problem, resource)
    read = {*resource.columns, *resource.search, *resource.filters, *resource.sort, EVERYTHING}
    for name in sorted(resource.unindexed.keys() - read):
        fix = suggestion(name, read).strip() or "Leave it out."
        yield problem("P039", resource.origin, f"unindexed: no list reads anything by {name!r}.", fix)


def _check_views(problem: Report, resource: Resource) -> Iterator[Problem]:
    """Views that a list would refuse, or of which it could not be told which is meant."""
    names = [view.name.lower() for view in resource.views]
    for view in resource.views:
        if not 0 < len(view.name.strip()) <= NAME_LENGTH or names.count(view.name.lower()) > 1:
            fix = f"Give each a name of its own, of {NAME_LENGTH} characters at most."
            yield problem("P038", resource.origin, f"views: {view.name!r} cannot be a view's name.", fix)
        try:
            ListQuery.parse(resource, parse_qsl(view.query, keep_blank_values=True), SOMEBODY)
        except BadRequest as error:
            for name, why in error.fields.items():
                what = f"views: {view.name!r} asks for {name!r}, which {why[:1].lower()}{why[1:]}"
                yield problem("P038", resource.origin, what, "Write it as it stands in the address of the list.")


def _check_inline(problem: Report, resource: Resource) -> Iterator[Problem]:
    """Columns that cannot be edited in the list: those that are not shown there, not in the form, or long."""
    for name in resource.inline:
        missing = [option for option in ("columns", "form") if name not in getattr(resource, option)]
        if missing:
            fix = f"Add it to {' and '.join(missing)}, or leave it out of inline."
            yield problem("P036", resource.origin, f"inline: {name!r} is not in {' and '.join(missing)}.", fix)
        elif name in inspected(resource.model).attrs and _is_uneditable(resource.model, name):
            what = f"inline: {resource.model.__name__}.{name} cannot be edited in a list."
            yield problem("P036", resource.origin, what, "Name short texts, choices, times, numbers or relationships.")


def _is_uneditable(model: type[Base], name: str) -> bool:
    """Whether a column is closed to editing, or holds long texts; one that nobody can fill in is reported elsewhere."""
    try:
        items = columns_of(model, [name])
    except UnusableParameter:
        return False
    return not items or items[0].kind == "long_text"


def _check_form(problem: Report, resource: Resource) -> Iterator[Problem]:
    """Columns of a form that nobody could fill in, so that this is not found by whoever opens the form."""
    attributes = inspected(resource.model).attrs
    for name in sorted({*resource.form, *resource.create_form} & set(attributes.keys())):
        try:
            columns_of(resource.model, [name])
        except UnusableParameter as error:
            what = f"form: {resource.model.__name__}.{error.name} has a type that nobody can fill in."
            yield problem("P016", resource.origin, what, f"Leave {name!r} out of the form.")


def _check_tables(problem: Report, plugin: Plugin) -> Iterator[Problem]:
    mappers = sorted(Base.registry.mappers, key=str)
    own = [mapper for mapper in mappers if f"{mapper.class_.__module__}.".startswith(f"{plugin.module}.")]
    if own and not (plugin.folder and (plugin.folder / "migrations").is_dir()):
        what = f"{own[0].class_.__name__} has a table that no migration makes."
        fix = f"Make the plugin a folder with the migration in {plugin.name}/migrations/."
        yield problem("P020", _place_of(own[0].class_), what, fix)
    for mapper in own:
        name = str(getattr(mapper.local_table, "name", ""))
        if not name.startswith(f"{plugin.name}_"):
            what = f"The table {name!r} of {mapper.class_.__name__} could collide with another plugin's."
            yield problem("P018", _place_of(mapper.class_), what, f"Call it '{plugin.name}_{name}'.")


def _file_of(plugin: Plugin) -> str:
    return f"{getattr(sys.modules.get(plugin.module), '__file__', plugin.module)}:1"


def _place_of(model: type[Any]) -> str:
    return f"{inspect.getsourcefile(model)}:{inspect.getsourcelines(model)[1]}"


def unmappable() -> Iterator[Problem]:
    """What keeps SQLAlchemy from connecting the models, such as a relationship to a model that does not exist."""
    try:
        configure_mappers()
    except SQLAlchemyError as error:
        blamed = [mapper.class_ for mapper in Base.registry.mappers if str(mapper) in str(error)]
        place = _place_of(blamed[0]) if blamed else "?"
        what = f"The models cannot be connected: {error}".strip()
        yield Problem("P033", blamed[0].__module__ if blamed else "?", place, what, "Correct the relationship.")


def collisions(registry: Registry) -> Iterator[Problem]:
    """Names that are declared more than once."""
    declared: dict[str, list[str]] = {}
    for plugin in registry.plugins:
        declared.setdefault(plugin.name, []).append(_file_of(plugin))
        offers: list[Action | Page] = [*plugin.actions, *plugin.pages]
        for offer in offers:
            declared.setdefault(offer.permission, []).append(str(offer.origin))
        for resource in plugin.resources:
            declared.setdefault(resource.name, []).append(str(resource.origin))
    for name, places in declared.items():
        if len(places) > 1:
            what = f"{name!r} is declared {len(places)} times, also in {', '.join(places[:-1])}."
            yield Problem("P004", name, places[-1], what, "Give each a name of its own.")
