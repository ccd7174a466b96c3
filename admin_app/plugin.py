"""The plugin contract: values only. A plugin says what it offers; the core builds menus, forms, routes and commands.

    plugin = Plugin(__name__)

    @plugin.action(Ticket, label="Assign to agent")
    async def assign(session: AsyncSession, chosen: Chosen[Ticket], agent: User) -> Outcome: ...

Decorators return the function unchanged and change nothing global.
"""

import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar
from zoneinfo import ZoneInfo

from admin_app.db import Acting
from admin_app.errors import PluginsRefused
from admin_app.inputs import Hint, Only
from admin_app.models import Base
from admin_app.queries.changes import Chosen, Outcome
from admin_app.queries.users import allows

Function = TypeVar("Function", bound=Callable[..., Awaitable[Any]])
Where = Literal["list", "record", "trash"]
"""Where an action is offered: with rows of a list, on a record's page, or in the trash, on both."""

__all__ = [
    "Acting",
    "Action",
    "Authority",
    "Chosen",
    "Hint",
    "Only",
    "Outcome",
    "Page",
    "Panel",
    "Plugin",
    "Resource",
    "Stat",
    "View",
    "Visit",
]


@dataclass(frozen=True)
class Origin:
    """Where something was declared: for messages about mistakes."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Authority(Protocol):
    """Whoever may or may not do something."""

    def may(self, permission: str) -> bool: ...


@dataclass(frozen=True)
class Visit:
    """Who looks at a page or panel, and with what query: its signed-in user's id, permissions, zone and parameters."""

    user_id: int
    permissions: frozenset[str]
    time_zone: ZoneInfo
    query: dict[str, list[str]]

    def may(self, permission: str) -> bool:
        """Whether the viewer has a permission."""
        return allows(self.permissions, permission)

    def one(self, name: str) -> str | None:
        """The last value of a query parameter, or None."""
        return self.query[name][-1] if self.query.get(name) else None


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something that can be done to chosen rows of a model, or of every model that has a trait."""

    plugin: str
    name: str
    model: type
    function: Callable[..., Awaitable[Outcome]]
    label: str
    help: str
    icon: str
    parallel: bool
    danger: bool
    reason: Literal["optional", "required"]
    final: str
    where: tuple[Where, ...]
    roles: tuple[str, ...]
    origin: Origin
    key: str = ""

    @property
    def permission(self) -> str:
        """The permission that performing it needs, also its name on the command line and in change sets."""
        return f"{self.plugin}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of its own in the menu: `function(session, visit)` returns what its template shows."""

    plugin: str
    name: str
    function: Callable[..., Awaitable[dict[str, Any]]]
    label: str
    help: str
    icon: str
    template: str
    group: str
    roles: tuple[str, ...]
    origin: Origin

    @property
    def permission(self) -> str:
        return f"{self.plugin}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A box on the page of each record of a model: `function(session, record, visit)` returns what it shows."""

    plugin: str
    name: str
    model: type
    function: Callable[..., Awaitable[dict[str, Any]]]
    label: str
    template: str
    permission: str | None
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Stat:
    """A number for the start page: `function(session, visit)` returns it, `href` leads to the rows it counts."""

    plugin: str
    name: str
    function: Callable[..., Awaitable[int]]
    label: str
    href: str
    permission: str
    origin: Origin


@dataclass(frozen=True)
class View:
    """A saved view that a resource brings along for everybody: its name, the query string of its list, and an icon.

    It is made once, when it is first seen; from then on it is the desk's, to be changed or deleted.
    """

    name: str
    query: str
    icon: str = "filter"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A model that is listed, shown and edited, with the options of SQLAdmin's model views under their own names."""

    plugin: str
    model: type[Base]
    label: str
    label_plural: str
    icon: str
    group: str
    columns: tuple[str, ...]
    details: tuple[str, ...]
    form: tuple[str, ...]
    create_form: tuple[str, ...]
    search: tuple[str, ...]
    filters: tuple[str, ...]
    sort: tuple[str, ...]
    default_sort: str
    can_create: bool
    can_edit: bool
    roles: tuple[str, ...]
    origin: Origin
    inline: tuple[str, ...] = ()
    views: tuple[View, ...] = ()
    unindexed: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """Its name in URLs, permissions and on the command line: the model's, in snake case."""
        return snake(self.model.__name__)


Item = TypeVar("Item", Action, Page, Panel, Stat, Resource)


@dataclass
class Plugin:
    """Everything one plugin offers. Give it `__name__`; its own name is the last part of that."""

    module: str
    label: str = ""
    version: str = ""
    requires: Sequence[str] = ()
    actions: list[Action] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    stats: list[Stat] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    closed: bool = False
    """Whether it was loaded and checked, after which it can offer nothing more."""

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]

    @property
    def folder(self) -> Path | None:
        """The plugin's own folder, when it is a package: its templates and migrations are there."""
        module = sys.modules.get(self.module)
        return Path(module.__file__).parent if module and module.__file__ and hasattr(module, "__path__") else None

    def action(
        self,
        model: type,
        *,
        label: str,
        icon: str = "check",
        parallel: bool = False,
        danger: bool = False,
        reason: Literal["optional", "required"] = "optional",
        final: str = "",
        where: tuple[Where, ...] = ("list", "record"),
        key: str = "",
        roles: tuple[str, ...] = ("lead",),
    ) -> Callable[[Function], Function]:
        """Offer `async def f(session, chosen, **inputs) -> Outcome` for a model's rows, or for a trait's.

        Its typed parameters become form fields, options and JSON; its docstring the help; its permission is
        `plugin.function`, granted to `roles` when it is first seen. `final` says why it cannot be undone, if so. One is
        `parallel` where what becomes of a row does not depend on other rows: a job then works on two parts at once. Its
        `key` is a letter that opens it on lists and records, and brings it to the front there.
        """

        def register(function: Function) -> Function:
            self._offer(
                self.actions,
                Action(
                    plugin=self.name,
                    name=_name(function),
                    model=model,
                    function=function,
                    label=label,
                    help=inspect.getdoc(function) or "",
                    icon=icon,
                    parallel=parallel,
                    danger=danger,
                    reason=reason,
                    final=final,
                    where=where,
                    key=key,
                    roles=roles,
                    origin=_origin(function),
                ),
            )
            return function

        return register

    def page(
        self,
        *,
        label: str,
        template: str,
        icon: str = "external",
        group: str = "Desk",
        roles: tuple[str, ...] = ("lead",),
    ) -> Callable[[Function], Function]:
        """Offer `async def f(session, visit) -> dict` as a page; `template` extends `sqladmin/layout.html`."""

        def register(function: Function) -> Function:
            self._offer(
                self.pages,
                Page(
                    plugin=self.name,
                    name=_name(function),
                    function=function,
                    label=label,
                    help=inspect.getdoc(function) or "",
                    icon=icon,
                    template=template,
                    group=group,
                    roles=roles,
                    origin=_origin(function),
                ),
            )
            return function

        return register

    def panel(
        self, model: type, *, label: str, template: str, permission: str | None = None
    ) -> Callable[[Function], Function]:
        """Offer `async def f(session, record, visit) -> dict` as a box on each record of a model, or of a trait."""

        def register(function: Function) -> Function:
            self._offer(
                self.panels,
                Panel(
                    plugin=self.name,
                    name=_name(function),
                    model=model,
                    function=function,
                    label=label,
                    template=template,
                    permission=permission,
                    origin=_origin(function),
                ),
            )
            return function

        return register

    def stat(self, *, label: str, href: str, permission: str) -> Callable[[Function], Function]:
        """Offer `async def f(session, visit) -> int` as a number on the start page that leads to its rows."""

        def register(function: Function) -> Function:
            self._offer(
                self.stats,
                Stat(
                    plugin=self.name,
                    name=_name(function),
                    function=function,
                    label=label,
                    href=href,
                    permission=permission,
                    origin=_origin(function),
                ),
            )
            return function

        return register

    def resource(
        self,
        model: type[Base],
        *,
        columns: Sequence[str],
        label: str | None = None,
        label_plural: str | None = None,
        icon: str = "layers",
        group: str = "Desk",
        details: Sequence[str] = (),
        form: Sequence[str] = (),
        create_form: Sequence[str] = (),
        inline: Sequence[str] = (),
        search: Sequence[str] = (),
        filters: Sequence[str] = (),
        sort: Sequence[str] = (),
        default_sort: str = "-id",
        views: Sequence[View] = (),
        unindexed: Mapping[str, str] | None = None,
        can_create: bool = True,
        can_edit: bool = True,
        roles: tuple[str, ...] = ("lead",),
    ) -> type[Base]:
        """List, show and edit a model. Names are its columns and relationships; a form may hold only these.

        Those that are `inline` are among its columns and in its form, and can be edited in the list itself. Its `views`
        are queues of work that everybody finds in the menu. What is `unindexed` says of columns why lists may read
        every row for them, or of `*` why for all, and `backdesk check` does not warn of it.

        Its permissions, such as `tag.view`, `tag.create`, `tag.edit` and `tag.export`, are granted to `roles` when they
        are first seen.
        """
        frame = inspect.stack()[1]
        singular = label or snake(model.__name__).replace("_", " ").capitalize()
        self._offer(
            self.resources,
            Resource(
                plugin=self.name,
                model=model,
                label=singular,
                label_plural=label_plural or f"{singular}s",
                icon=icon,
                group=group,
                columns=tuple(columns),
                details=tuple(details),
                form=tuple(form),
                create_form=tuple(create_form or form),
                inline=tuple(inline),
                views=tuple(views),
                unindexed=dict(unindexed or {}),
                search=tuple(search),
                filters=tuple(filters),
                sort=tuple(sort),
                default_sort=default_sort,
                can_create=can_create,
                can_edit=can_edit,
                roles=roles,
                origin=Origin(frame.filename, frame.lineno),
            ),
        )
        return model

    def _offer(self, offered: list[Item], item: Item) -> None:
        if self.closed:
            what = f"The plugin {self.name!r} was already loaded when {item.name!r} was declared ({item.origin})."
            raise PluginsRefused(f"{what} Declare it where the module is imported, not inside a function.")
        offered.append(item)


@cache
def snake(name: str) -> str:
    """`ChangeSet` → `change_set`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", function))


def _origin(function: Callable[..., Any]) -> Origin:
    code = inspect.unwrap(function).__code__
    return Origin(code.co_filename, code.co_firstlineno)
