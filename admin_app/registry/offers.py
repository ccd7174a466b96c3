"""Everything that the loaded plugins offer, by name."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from admin_app.branches import Branch
from admin_app.errors import NotFound
from admin_app.models import User
from admin_app.plugin import Action, Page, Panel, Plugin, Resource, Stat
from admin_app.queries.users import Actor, Declared
from admin_app.registry.problem import suggestion


@dataclass(frozen=True)
class Registry:
    """Everything that the loaded plugins offer; nothing can be added once it is made."""

    plugins: tuple[Plugin, ...]

    def __post_init__(self) -> None:
        for plugin in self.plugins:
            plugin.closed = True

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """Resources by name, in the order of the menu."""
        return {resource.name: resource for plugin in self.plugins for resource in plugin.resources}

    @cached_property
    def actions(self) -> dict[str, Action]:
        """Actions by their dotted name."""
        return {action.permission: action for plugin in self.plugins for action in plugin.actions}

    @cached_property
    def finals(self) -> dict[str, str]:
        """By the dotted name of an action that cannot be undone, why."""
        return {name: action.final for name, action in self.actions.items() if action.final}

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

    def may_know(self, actor: Actor, model: type[Any]) -> bool:
        """Whether somebody may learn how a model's records are called; people are known to everybody at the desk."""
        shown = self.resource_of(model)
        return shown is None or model is User or actor.may(f"{shown.name}.view")

    def actions_for(self, model: type[Any]) -> list[Action]:
        """Actions that are attached to a model, or to a trait it has."""
        return [action for action in self.actions.values() if issubclass(model, action.model)]

    def action(self, name: str) -> Action:
        """An action by its dotted name; raises NotFound with the nearest one."""
        if name not in self.actions:
            raise NotFound(f"There is no action {name!r}.{suggestion(name, self.actions)}")
        return self.actions[name]

    def panels_for(self, model: type[Any]) -> list[Panel]:
        """Panels that are attached to a model, or to a trait it has."""
        return [panel for panel in self.panels if issubclass(model, panel.model)]

    def branches(self) -> list[Branch]:
        """The lines of migrations of plugins that have tables of their own."""
        folders = {plugin.name: plugin.folder / "migrations" for plugin in self.plugins if plugin.folder}
        return [Branch(name, folder) for name, folder in folders.items() if folder.is_dir()]

    def permissions(self) -> list[Declared]:
        """Every permission that can be granted."""
        declared = [
            Declared(f"{resource.name}.{deed}", f"{deed.capitalize()} {resource.label_plural.lower()}", resource.roles)
            for resource in self.resources.values()
            for deed in ("view", "create", "edit", "export")
        ]
        declared += [Declared(name, label, FROM_THE_START.get(name, ())) for name, label in CORE_PERMISSIONS.items()]
        declared += [Declared(action.permission, action.label, action.roles) for action in self.actions.values()]
        return declared + [Declared(page.permission, page.label, page.roles) for page in self.pages.values()]


CORE_PERMISSIONS = {
    "comment.public": "Answer customers in public",
    "ticket.close": "Close tickets",
    "ticket.reopen_closed": "Reopen closed tickets",
    "user.roles": "Give people roles",
    "import.run": "Import files",
    "change_set.undo": "Undo what others did",
    "change_set.cancel": "Cancel work that others ordered",
    "recipe.view": "See recipes",
    "recipe.save": "Save and change recipes",
    "recipe.delete": "Delete recipes",
    "saved_view.share": "Make and change views for others",
}
"""What the core itself lets people do, beyond records."""

FROM_THE_START: dict[str, tuple[str, ...]] = {
    "change_set.undo": ("lead",),
    "change_set.cancel": ("lead",),
    "recipe.view": ("agent", "lead"),
    "recipe.save": ("lead",),
    "recipe.delete": ("lead",),
    "saved_view.share": ("lead",),
}
"""The roles that have one of them from the start; the others were granted by the first migration."""
