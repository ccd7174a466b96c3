"""Loading plugins: found by name, checked all at once, then frozen.

Every mistake is a Problem with an id, a place, what is wrong and how to mend it; the same list is printed when Backdesk
refuses to start and by `backdesk check`.
"""

from collections.abc import Sequence

from admin_app.errors import PluginsRefused
from admin_app.plugin import Plugin
from admin_app.registry.advice import warnings_of
from admin_app.registry.checks import collisions, problems_of, unmappable
from admin_app.registry.loading import available, find
from admin_app.registry.offers import Registry
from admin_app.registry.permissions import declare_permissions
from admin_app.registry.problem import Problem
from admin_app.registry.views import ship_views
from admin_app.settings import Settings

__all__ = [
    "Problem",
    "Registry",
    "available",
    "declare_permissions",
    "inspect_plugins",
    "load",
    "ship_views",
    "warnings_of",
]


def load(settings: Settings, core: Sequence[Plugin] = ()) -> Registry:
    """Load and check the plugins that the settings name; raises PluginsRefused listing every problem."""
    registry, problems = inspect_plugins(settings, core)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise PluginsRefused(f"{len(problems)} mistake(s) in plugins:\n{lines}")
    return registry


def inspect_plugins(settings: Settings, core: Sequence[Plugin] = ()) -> tuple[Registry, list[Problem]]:
    """Load what can be loaded, and every problem found, sorted; for `backdesk check`."""
    found, problems = find(settings)
    registry = Registry((*core, *found))
    if broken := list(unmappable()):
        return registry, sorted(problems + broken)
    problems += [problem for plugin in found for problem in problems_of(plugin, registry)]
    problems += collisions(registry)
    return registry, sorted(problems)
