"""Loading plugins: found by name, checked all at once, then frozen.

Every mistake is a Problem with an id, a place, what is wrong and how to mend it; the same list is printed when Backdesk
refuses to start and by `backdesk check`.
"""

import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import inspect as inspected
from sqlalchemy.orm import configure_mappers

from admin_app.errors import NotFound, PluginsRefused
from admin_app.inputs import UnusableParameter, inputs_of
from admin_app.migrations import Branch
from admin_app.models import Base
from admin_app.plugin import Action, Origin, Page, Panel, Plugin, Resource, Stat
from admin_app.queries.users import Declared
from admin_app.settings import Settings

GROUP = "backdesk.plugins"
PACKAGE = "plugins"
RESERVED = frozenset({"login", "logout", "static", "statics", "page", "api", "core", "db"})


@dataclass(frozen=True, order=True)
class Problem:
    """A mistake in a plugin: which rule it breaks, where, what is wrong, and how to mend it."""

    id: str
    plugin: str
    origin: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.id} {self.origin} [{self.plugin}] {self.what} {self.fix}"


@dataclass(frozen=True)
class Registry:
    """Everything that the loaded plugins offer; nothing can be added once it is made."""

    plugins: tuple[Plugin, ...]

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """Resources by name, in the order of the menu."""
        return {resource.name: resource for plugin in self.plugins for resource in plugin.resources}

    @cached_property
    def actions(self) -> dict[str, Action]:
        """Actions by their dotted name."""
        return {action.permission: action for plugin in self.plugins for action in plugin.actions}

    @cached_property
    def pages(self) -> dict[str, Page]:
        """Pages by their dotted name."""
        return {page.permission: page for plugin in self.plugins for page in plugin.pages}

    @cached_property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for plugin in self.plugins for panel in plugin.panels)

    @cached_property
    def stats(self) -> tuple[Stat, ...]:
        return tuple(stat for plugin in self.plugins for stat in plugin.stats)

    def resource(self, name: str) -> Resource:
        """A resource by its name; raises NotFound."""
        if name not in self.resources:
            raise NotFound
        return self.resources[name]

    def resource_of(self, model: type[Any]) -> Resource | None:
        """The resource that shows a model, if there is one."""
        return next((resource for resource in self.resources.values() if resource.model is model), None)

    def actions_for(self, model: type[Any]) -> list[Action]:
        """Actions that are attached to a model, or to a trait it has."""
        return [action for action in self.actions.values() if issubclass(model, action.model)]

    def action(self, name: str) -> Action:
        """An action by its dotted name; raises NotFound with the nearest one."""
        if name not in self.actions:
            raise NotFound(f"There is no action {name!r}.{_suggestion(name, self.actions)}")
        return self.actions[name]

    def panels_for(self, model: type[Any]) -> list[Panel]:
        """Panels that are attached to a model, or to a trait it has."""
        return [panel for panel in self.panels if issubclass(model, panel.model)]

    def branches(self) -> list[Branch]:
        """The lines of migrations of plugins that have tables of their own."""
        folders = {plugin.name: plugin.folder / "migrations" for plugin in self.plugins if plugin.folder}
        return [Branch(name, folder) for name, folder in folders.items() if (folder / "env.py").is_file()]

    def permissions(self) -> list[Declared]:
        """Every permission that can be granted."""
        declared = [
            Declared(f"{resource.name}.{deed}", f"{deed.capitalize()} {resource.label_plural.lower()}")
            for resource in self.resources.values()
            for deed in ("view", "create", "edit", "export")
        ]
        declared += [Declared(name, label) for name, label in CORE_PERMISSIONS.items()]
        declared += [Declared(action.permission, action.label, action.roles) for action in self.actions.values()]
        return declared + [Declared(page.permission, page.label, page.roles) for page in self.pages.values()]


CORE_PERMISSIONS = {
    "comment.public": "Answer customers in public",
    "ticket.close": "Close tickets",
    "ticket.reopen_closed": "Reopen closed tickets",
    "import.run": "Import files",
}


def load(settings: Settings, core: Sequence[Plugin] = ()) -> Registry:
    """Load and check the plugins that the settings name; raises PluginsRefused listing every problem."""
    registry, problems = inspect_plugins(settings, core)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise PluginsRefused(f"{len(problems)} mistake(s) in plugins:\n{lines}")
    return registry


def inspect_plugins(settings: Settings, core: Sequence[Plugin] = ()) -> tuple[Registry, list[Problem]]:
    """Load what can be loaded, and every problem found, sorted; for `backdesk check`."""
    problems: list[Problem] = []
    found = [plugin for source in _sources(settings, problems) if (plugin := _load(*source, problems))]
    registry = Registry((*core, *found))
    problems += [problem for plugin in found for problem in _check(plugin, registry)]
    problems += _collisions(registry)
    return registry, sorted(problems)


def available() -> dict[str, str]:
    """Installed plugins by name, with the module that each is in, whether or not they are loaded."""
    return {entry.name: entry.value.partition(":")[0] for entry in entry_points(group=GROUP)} | {
        name: f"{PACKAGE}.{name}" for name in _in_package()
    }


def _sources(settings: Settings, problems: list[Problem]) -> Iterator[tuple[str, Callable[[], ModuleType]]]:
    known = available()
    for name in settings.plugins if settings.plugins is not None else sorted(_in_package()):
        module = known.get(name, name if "." in name else None)
        if module is None:
            fix = f"Known are {', '.join(sorted(known))}." + _suggestion(name, known)
            problems.append(Problem("P002", name, "BACKDESK_PLUGINS", f"There is no plugin {name!r}.", fix))
            continue
        yield name, lambda module=module: importlib.import_module(module)  # type: ignore[misc]
    for path in sorted(settings.plugin_dir.glob("*.py")) if settings.plugin_dir else []:
        yield path.stem, lambda path=path: _import_file(path)  # type: ignore[misc]


def _in_package() -> list[str]:
    """The names of the modules in the project's `plugins` folder."""
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return [module.name for module in pkgutil.iter_modules(places)] if places else []


def _import_file(path: Path) -> ModuleType:
    name = f"backdesk_plugin_files.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be read")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _load(name: str, importer: Callable[[], ModuleType], problems: list[Problem]) -> Plugin | None:
    try:
        module = importer()
    except Exception as error:  # a plugin may fail in any way, and all are reported together
        what, fix = _explained(error)
        problems.append(Problem("P001", name, _place(error), what, fix))
        return None
    plugin = getattr(module, "plugin", None)
    if not isinstance(plugin, Plugin):
        what = f"The module has no value `plugin`, a Plugin; it has {type(plugin).__name__}."
        problems.append(Problem("P031", name, str(module.__file__), what, "Write `plugin = Plugin(__name__)` in it."))
        return None
    return plugin


def _place(error: Exception) -> str:
    """The line of the plugin's own code in which an error arose."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and Path(frame.filename).parent != Path(__file__).parent
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"


def _explained(error: Exception) -> tuple[str, str]:
    """What went wrong while a plugin was imported, and the likely remedy."""
    what = f"It cannot be imported: {type(error).__name__}: {error}."
    if isinstance(error, AttributeError) and error.name:
        return what, _suggestion(error.name, dir(error.obj)).strip() or "Correct the name."
    if isinstance(error, ImportError) and error.name in sys.modules and "cannot import name" in str(error):
        wanted = str(error).split("'")[1]
        return what, _suggestion(wanted, dir(sys.modules[error.name])).strip() or "Correct the name."
    if isinstance(error, NameError) and error.name:
        return what, f"Import or define {error.name!r} in the plugin."
    if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
        method = getattr(Plugin, str(error).split("(")[0].split(".")[-1], None)
        options = list(inspect.signature(method).parameters)[1:] if method else []
        return what, _suggestion(str(error).split("'")[1], options).strip() or f"It takes {', '.join(options)}."
    return what, "Correct the plugin, or leave it out of BACKDESK_PLUGINS."


def _suggestion(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def _check(plugin: Plugin, registry: Registry) -> Iterator[Problem]:
    def problem(id: str, origin: Origin | str, what: str, fix: str) -> Problem:  # noqa: A002  the field's own name
        return Problem(id, plugin.name, str(origin), what, fix)

    place = str(plugin.folder or plugin.module)
    if not plugin.name.isidentifier() or plugin.name != plugin.name.lower() or plugin.name in RESERVED:
        yield problem("P003", place, f"{plugin.name!r} cannot be a plugin's name.", "Use lower case letters and `_`.")
    for needed in plugin.requires:
        if needed not in {other.name for other in registry.plugins}:
            yield problem("P005", place, f"It requires {needed!r}, which is not loaded.", "Add it to BACKDESK_PLUGINS.")
    for action in plugin.actions:
        yield from _check_handler(problem, action, ("session", "chosen"))
        yield from _check_inputs(problem, action)
        if not any(issubclass(resource.model, action.model) for resource in registry.resources.values()):
            what = f"No resource shows {action.model.__name__}, so nobody could choose rows for {action.name}()."
            yield problem("P032", action.origin, what, "Attach it to a model or trait of a resource.")
    for page in plugin.pages:
        yield from _check_handler(problem, page, ("session", "visit"))
        yield from _check_template(problem, plugin, page)
    for panel in plugin.panels:
        yield from _check_handler(problem, panel, ("session", "record", "visit"))
        yield from _check_template(problem, plugin, panel)
    for stat in plugin.stats:
        yield from _check_handler(problem, stat, ("session", "visit"))
    for resource in plugin.resources:
        yield from check_resource(problem, resource)
    yield from _check_tables(problem, plugin)


Report = Callable[[str, Origin | str, str, str], Problem]


def _check_handler(problem: Report, item: Action | Page | Panel | Stat, needed: tuple[str, ...]) -> Iterator[Problem]:
    parameters = list(inspect.signature(item.function).parameters)
    if not inspect.iscoroutinefunction(item.function):
        yield problem("P015", item.origin, f"{item.name}() is not async.", f"Write `async def {item.name}(…)`.")
    for name in needed:
        if name not in parameters:
            nearest = difflib.get_close_matches(name, parameters, n=1)
            fix = f"Rename {nearest[0]!r} to {name!r}." if nearest else f"Write {item.name}({', '.join(needed)}, …)."
            yield problem("P026", item.origin, f"{item.name}() has no parameter {name!r}.", fix)


def _check_inputs(problem: Report, action: Action) -> Iterator[Problem]:
    try:
        inputs_of(action.function)
    except UnusableParameter as error:
        fix = "Use str, int, bool, date, datetime, a StrEnum or a model; `| None` where it may be left out."
        yield problem("P016", action.origin, f"{action.name}(): {error}, which nobody can fill in.", fix)
    except NameError as error:
        fix = f"Import {error.name!r} in the plugin."
        yield problem("P016", action.origin, f"{action.name}(): the type {error.name!r} is not known.", fix)


def _check_template(problem: Report, plugin: Plugin, item: Page | Panel) -> Iterator[Problem]:
    folder = plugin.folder
    if folder and not (folder / "templates" / item.template).is_file():
        fix = f"Put it into {folder / 'templates' / item.template}."
        yield problem("P025", item.origin, f"There is no template {item.template!r}.", fix)


def check_resource(problem: Report, resource: Resource) -> Iterator[Problem]:
    """Problems of a resource's options: names that its model does not have."""
    known = {attribute.key for attribute in inspected(resource.model).all_orm_descriptors if hasattr(attribute, "key")}
    known |= set(inspected(resource.model).attrs.keys()) | {"label"}
    for option in ("columns", "details", "form", "create_form", "search", "filters", "sort"):
        for name in getattr(resource, option):
            if name not in known:
                fix = _suggestion(name, known).strip() or "Name a column or relationship of the model."
                yield problem("P010", resource.origin, f"{option}: {resource.model.__name__} has no {name!r}.", fix)
    if resource.default_sort.lstrip("-") not in known:
        fix = _suggestion(resource.default_sort.lstrip("-"), known).strip() or "Name a column of the model."
        yield problem("P010", resource.origin, f"default_sort: there is no {resource.default_sort!r}.", fix)


def _check_tables(problem: Report, plugin: Plugin) -> Iterator[Problem]:
    for mapper in Base.registry.mappers:
        module = mapper.class_.__module__
        if module != plugin.module and not module.startswith(f"{plugin.module}."):
            continue
        name = str(getattr(mapper.local_table, "name", ""))
        if not name.startswith(f"{plugin.name}_"):
            what = f"The table {name!r} of {mapper.class_.__name__} could collide with another plugin's."
            yield problem("P018", str(inspect.getsourcefile(mapper.class_)), what, f"Call it '{plugin.name}_{name}'.")


def _collisions(registry: Registry) -> Iterator[Problem]:
    configure_mappers()
    names = [plugin.name for plugin in registry.plugins]
    names += [action.permission for plugin in registry.plugins for action in plugin.actions]
    names += [page.permission for plugin in registry.plugins for page in plugin.pages]
    names += [resource.name for plugin in registry.plugins for resource in plugin.resources]
    for name, times in Counter(names).items():
        if times > 1:
            yield Problem("P004", name, "-", f"{name!r} is declared {times} times.", "Give each a name of its own.")
