"""Finding plugins and importing them; what goes wrong there becomes a Problem with the likely remedy."""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from admin_app import plugin as contract
from admin_app.plugin import Plugin
from admin_app.registry.problem import Problem, suggestion
from admin_app.settings import Settings

GROUP = "backdesk.plugins"
PACKAGE = "plugins"


def find(settings: Settings) -> tuple[list[Plugin], list[Problem]]:
    """The plugins that the settings name, each once, as far as they can be imported; and what keeps the others out."""
    problems: list[Problem] = []
    loaded = [plugin for source in _sources(settings, problems) if (plugin := _load(*source, problems))]
    return list({id(plugin): plugin for plugin in loaded}.values()), problems


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
            fix = f"Known are {', '.join(sorted(known))}." + suggestion(name, known)
            problems.append(Problem("P002", name, "BACKDESK_PLUGINS", f"There is no plugin {name!r}.", fix))
            continue
        yield name, lambda module=module: importlib.import_module(module)  # type: ignore[misc]
    for name, path in _in_folder(settings.plugin_dir) if settings.plugin_dir else []:
        yield name, lambda name=name, path=path: _import_file(name, path)  # type: ignore[misc]


def _in_package() -> list[str]:
    """The names of the modules in the project's `plugins` folder."""
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return [module.name for module in pkgutil.iter_modules(places)] if places else []


def _in_folder(folder: Path) -> list[tuple[str, Path]]:
    """Name and file of each plugin in a folder: modules, and packages that may hold templates and migrations."""
    modules = [(path.stem, path) for path in folder.glob("[!_.]*.py")]
    return sorted(modules + [(path.parent.name, path) for path in folder.glob("[!_.]*/__init__.py")])


def _import_file(plugin: str, path: Path) -> ModuleType:
    name = f"backdesk_plugin_files.{plugin}"
    if (known := sys.modules.get(name)) and known.__file__ == str(path):
        return known
    inside = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be read")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
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
        problems.append(Problem("P031", name, f"{module.__file__}:1", what, "Write `plugin = Plugin(__name__)` in it."))
        return None
    return plugin


def _place(error: Exception) -> str:
    """The line of the plugin's own code in which an error arose, not that of a library which it called."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    files = [frame.filename for frame in frames if frame.name == "<module>"]
    own = [frame for frame in frames if files and frame.filename == files[-1]]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else "BACKDESK_PLUGINS"


def _explained(error: Exception) -> tuple[str, str]:
    """What went wrong while a plugin was imported, and the likely remedy."""
    what, text = f"It cannot be imported: {type(error).__name__}: {error}.", str(error)
    match error:
        case AttributeError(name=str(name)):
            return what, suggestion(name, dir(error.obj)).strip() or "Correct the name."
        case ModuleNotFoundError(name=str(name)):
            return what, suggestion(name, sys.modules).strip() or f"Install {name!r}, or correct the name."
        case ImportError(name=str(name)) if name in sys.modules and "cannot import name" in text:
            return what, suggestion(text.split("'")[1], _names_in(sys.modules[name])).strip() or "Correct the name."
        case NameError(name=str(name)):
            return what, f"Import or define {name!r} in the plugin."
        case TypeError() if "unexpected keyword argument" in text and (options := _options(text.split("(")[0])):
            return what, suggestion(text.split("'")[1], options).strip() or f"It takes {', '.join(options)}."
    return what, "Correct the plugin, or leave it out of BACKDESK_PLUGINS."


def _names_in(module: ModuleType) -> list[str]:
    """What can be imported from a module or package."""
    return dir(module) + [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))]


def _options(called: str) -> list[str]:
    """The keyword arguments of a function of the contract, such as `Plugin.action`; none for other functions."""
    owner, _, name = called.rpartition(".")
    function = getattr(getattr(contract, owner, contract), name, None)
    return [option for option in inspect.signature(function).parameters if option != "self"] if function else []
