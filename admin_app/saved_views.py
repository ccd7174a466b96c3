"""Saved views through every door: checked when they are saved, found by number, and counted as queues of work."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import Select, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.actions import REASON_LENGTH, UNASKED
from admin_app.choosing import NOBODY, viewer_of
from admin_app.db import Acting, Change, Database
from admin_app.errors import BackdeskError, BadInput, Forbidden
from admin_app.models import Role, SavedView, storable
from admin_app.plugin import Resource
from admin_app.queries import rules
from admin_app.queries import saved_views as stored
from admin_app.queries.filters import ALIASES
from admin_app.queries.listing import BEGINNING, ListQuery
from admin_app.queries.periods import Viewer
from admin_app.queries.saved_views import SHARE, View
from admin_app.queries.users import Actor
from admin_app.registry import Registry

KEEP = "saved_view.keep"
"""What it is called in change sets when somebody makes, changes or deletes a view of their own; everybody may."""

ME, EVERYONE = "me", "everyone"
"""For whom a view is, beside the numbers of roles."""

ICONS = ("filter", "inbox", "user", "users", "clock", "alert", "calendar", "message", "tag", "check", "undo", "trash")
"""Icons that a view can have, of those that every page knows."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A view as somebody wrote it; `audience` is me, everyone, or the number of a role."""

    name: str
    icon: str = ICONS[0]
    audience: str = ME
    resource: str = ""
    query: str = ""


@dataclass(frozen=True)
class Done:
    """A view that was changed, and the change set that did it, by which it can be undone."""

    view: SavedView
    change_set_id: int


# ---- Making and changing them


async def save(
    database: Database, registry: Registry, actor: Actor, acting: Acting, draft: Draft, zone: ZoneInfo
) -> Done:
    """Keep a view as a change set of its own.

    Raises Forbidden, NotFound for a list that there is not, or BadInput naming each part that cannot be kept.
    """
    resource = seen(registry, actor, draft.resource)
    made = SavedView(resource=resource.name, query=kept(resource, draft.query, viewer_of(actor, zone)))
    deed = _deed(actor, shared=draft.audience != ME)
    async with _changing(database, acting, deed, draft.name) as change:
        await _describe(change.session, made, actor, draft)
        await stored.add(change.session, made)
        change.counts.changed = 1
    return Done(made, change.id)


async def describe(database: Database, actor: Actor, acting: Acting, view_id: int, version: int, draft: Draft) -> Done:
    """Give a view another name, icon or audience; raises Forbidden, NotFound, ChangedMeanwhile or BadInput."""
    before = await look(database, actor, view_id)
    deed = _deed(actor, shared=before.user_id is None or draft.audience != ME)
    async with _changing(database, acting, deed, before.name) as change:
        view = await stored.one(change.session, view_id, actor.user_id, others=actor.may(SHARE), version=version)
        with change.session.no_autoflush:
            people = (view.user_id, view.role_id)
            await _describe(change.session, view, actor, draft)
            if people != (view.user_id, view.role_id):
                await stored.place(change.session, view)
        change.counts.changed = int(change.session.is_modified(view))
    return Done(view, change.id)


async def keep(
    database: Database, registry: Registry, actor: Actor, acting: Acting, view_id: int, query: str, zone: ZoneInfo
) -> Done:
    """Let a view show from now on what a list's query string asks for; raises Forbidden, NotFound or BadInput."""
    before = await look(database, actor, view_id)
    resource, deed = seen(registry, actor, before.resource), _deed(actor, shared=before.user_id is None)
    text = kept(resource, query, viewer_of(actor, zone))
    async with _changing(database, acting, deed, before.name) as change:
        view = await stored.one(change.session, view_id, actor.user_id, others=actor.may(SHARE))
        view.query = text
        change.counts.changed = int(change.session.is_modified(view))
    return Done(view, change.id)


async def move(database: Database, actor: Actor, acting: Acting, view_id: int, step: int) -> Done:
    """Bring a view one place up (-1) or down (1) among those of its people; raises Forbidden or NotFound."""
    before = await look(database, actor, view_id)
    deed = _deed(actor, shared=before.user_id is None)
    async with _changing(database, acting, deed, before.name) as change:
        view = await stored.one(change.session, view_id, actor.user_id, others=actor.may(SHARE))
        change.counts.changed = await stored.move(change.session, view, step)
    return Done(before, change.id)


async def delete(database: Database, actor: Actor, acting: Acting, view_id: int) -> Done:
    """Delete a view, which can be undone; raises Forbidden or NotFound."""
    before = await look(database, actor, view_id)
    deed = _deed(actor, shared=before.user_id is None)
    async with _changing(database, acting, deed, before.name) as change:
        view = await stored.one(change.session, view_id, actor.user_id, others=actor.may(SHARE))
        await change.session.delete(view)
        await change.session.flush()
        change.counts.changed = 1
    return Done(before, change.id)


async def look(database: Database, actor: Actor, view_id: int) -> SavedView:
    """A view that somebody sees, of any role where they may share views; raises NotFound for every other."""
    async with database.read() as session:
        return await stored.one(session, view_id, actor.user_id, others=actor.may(SHARE))


def seen(registry: Registry, actor: Actor, name: str) -> Resource:
    """The resource of a view's list, as far as somebody may see it; raises NotFound or Forbidden."""
    resource = registry.resource(name)
    if not actor.may(f"{name}.view"):
        raise Forbidden(f"You may not see {resource.label_plural.lower()}. It needs the permission {name}.view.")
    return resource


def kept(resource: Resource, query: str, viewer: Viewer) -> str:
    """A list's query string as a view keeps it; raises BadRequest naming each part that is not understood."""
    asked = ListQuery.parse(resource, parse_qsl(query.strip().removeprefix("?"), keep_blank_values=True), viewer)
    return _encoded(asked.pairs(**BEGINNING))


def _encoded(pairs: Iterable[tuple[str, str]]) -> str:
    return urlencode(list(pairs), safe=",:", quote_via=quote)


def may_change(actor: Actor, view: View | SavedView) -> bool:
    """Whether somebody may change a view that they see."""
    mine = view.mine if isinstance(view, View) else view.user_id is not None
    return mine or actor.may(SHARE)


def require(actor: Actor, view: SavedView) -> None:
    """Raise Forbidden for a view that somebody may not change."""
    _deed(actor, shared=view.user_id is None)


def _deed(actor: Actor, *, shared: bool) -> str:
    if shared and not actor.may(SHARE):
        raise Forbidden(f"You may not change what others have in their menu. It needs the permission {SHARE}.")
    return SHARE if shared else KEEP


def _changing(database: Database, acting: Acting, deed: str, name: str) -> AbstractAsyncContextManager[Change]:
    """The change set in which something is done to the view of this name; to one's own nobody needs a permission."""
    return database.transaction(_checked(acting), deed, parameters={"view": name, **(UNASKED if deed == KEEP else {})})


def _checked(acting: Acting) -> Acting:
    if len(acting.reason or "") > REASON_LENGTH or not storable(acting.reason or ""):
        raise BadInput(fields={"reason": f"takes {REASON_LENGTH:,} characters at most, and only those that are seen."})
    return acting


async def _describe(session: AsyncSession, view: SavedView, actor: Actor, draft: Draft) -> None:
    """Give a view the audience, name and icon of a draft; raises BadInput for each that cannot be."""
    if draft.icon not in ICONS:
        raise BadInput(fields={"icon": f"takes one of {', '.join(ICONS)}."})
    role = None
    if draft.audience not in {ME, EVERYONE}:
        known = {str(one.id): one for one in await stored.roles(session)}
        if (role := known.get(draft.audience)) is None:
            raise BadInput(fields={"audience": "takes me, everyone, or one of the roles."})
    view.user_id = actor.user_id if draft.audience == ME else None
    view.role_id = role.id if isinstance(role, Role) else None
    view.icon, view.name = draft.icon, await stored.free_name(session, view, draft.name)


# ---- Those that are not understood any more


async def broken(session: AsyncSession, resource: Resource, query: str, viewer: Viewer) -> dict[str, str]:
    """By parameter, what in a view's query string is not understood any more; empty for a view that can be used."""
    try:
        await ListQuery.parse(resource, parse_qsl(query, keep_blank_values=True), viewer).understood(session)
    except BadInput as error:
        return error.fields or {"": error.message}
    return {}


async def mended(session: AsyncSession, resource: Resource, query: str, viewer: Viewer) -> str:
    """What is left of a view's query string without the parts that are not understood."""
    pairs = parse_qsl(query, keep_blank_values=True)
    while pairs and (wrong := await broken(session, resource, _encoded(pairs), viewer)):
        rest = [pair for pair in pairs if not {pair[0], ALIASES.get(pair[0], pair[0])} & wrong.keys()]
        pairs = rest if len(rest) < len(pairs) else []
    return _encoded(pairs)


async def problems(session: AsyncSession, registry: Registry, zone: ZoneInfo) -> list[str]:
    """Every view that cannot be used any more, with why, as sentences for whoever runs the desk."""
    found, viewer = [], Viewer(NOBODY, zone, datetime.now(UTC))
    for view in await stored.every(session):
        where = f"view {view.id} “{view.name}” of {view.resource}"
        if (resource := registry.resources.get(view.resource)) is None:
            found.append(f"{where}: the plugin that offers this list is not loaded. Load it, or delete the view.")
            continue
        wrong = await broken(session, resource, view.query, viewer)
        found += [f"{where}: {name} {why} Mend it on its page." for name, why in wrong.items()]
    return found


# ---- Counting


SECONDS = 30.0
"""How long a count is shown before it is taken anew."""

SLOW_SECONDS = 600.0
"""How long one that took too long is not tried again."""

TOGETHER_MS, ALONE_MS = 600, 200
"""Milliseconds that all counts of somebody may take in one statement, and one of them by itself."""

REMEMBERED = 20_000
"""Counts that one process remembers."""


@dataclass
class Counts:
    """The numbers beside the queues of a menu, None where counting takes too long.

    Each is at most half a minute old, and counted after what its viewer last sent here or watched to its end.
    """

    kept: dict[tuple[int, int, str], tuple[float, int | None]] = field(default_factory=dict)
    changed: dict[int, float] = field(default_factory=dict)

    async def of(
        self, database: Database, registry: Registry, actor: Actor, views: Iterable[View], viewer: Viewer
    ) -> dict[int, int | None]:
        """By view, how many rows there are for the viewer, up to one more than COUNTED; broken views are left out."""
        now, wanted, views = monotonic(), dict[int, Select[Any]](), list(views)
        keys, found = self._keys(actor, views, viewer), self.known(actor, views, viewer)
        async with database.glance() as session:
            for view in views:
                if view.id not in found and (rows := await _rows(session, registry, actor, view, viewer)) is not None:
                    wanted[view.id] = rows
        for key, number in (await counted(database, wanted)).items():
            found[key] = number
            self.kept[keys[key]] = (now, number)
        if len(self.kept) > REMEMBERED:
            self.kept = {key: kept for key, kept in self.kept.items() if self._holds(key, now)}
        return found

    def forget(self, user_id: int) -> None:
        """Count anew for somebody who changed something; what took too long stays untried for its time."""
        self.changed[user_id] = monotonic()

    def known(self, actor: Actor, views: Iterable[View], viewer: Viewer) -> dict[int, int | None]:
        """The numbers that are remembered, by view; asks nobody."""
        now, keys = monotonic(), self._keys(actor, views, viewer)
        return {view: self.kept[key][1] for view, key in keys.items() if key in self.kept and self._holds(key, now)}

    def _holds(self, key: tuple[int, int, str], now: float) -> bool:
        """Whether a count that is remembered, with when it was begun, is still shown."""
        begun, number = self.kept[key]
        if number is None:
            return now < begun + SLOW_SECONDS
        return self.changed.get(key[0], 0) < begun and now < begun + SECONDS

    def _keys(self, actor: Actor, views: Iterable[View], viewer: Viewer) -> dict[int, tuple[int, int, str]]:
        return {view.id: (actor.user_id, view.id, f"{viewer.zone} {view.query}") for view in views}


async def _rows(
    session: AsyncSession, registry: Registry, actor: Actor, view: View, viewer: Viewer
) -> Select[Any] | None:
    """What a view finds for its viewer, to be counted; None where it is broken."""
    resource = registry.resource(view.resource)
    try:
        asked = await ListQuery.parse(resource, view.pairs, viewer).understood(session)
    except BadInput:
        return None
    query = replace(asked, visible=rules.visible(actor, resource.model))
    return select(literal(1)).select_from(resource.model).where(*query.conditions())


async def counted(database: Database, wanted: Mapping[int, Select[Any]]) -> dict[int, int | None]:
    """Counts in one statement; where that takes too long, each alone, so that only slow ones have no number."""
    try:
        async with database.read() as session:
            return dict((await stored.counts(session, wanted, TOGETHER_MS)).items())
    except BackdeskError:
        return {key: await _alone(database, key, rows) for key, rows in wanted.items()}


async def _alone(database: Database, key: int, rows: Select[Any]) -> int | None:
    try:
        async with database.read() as session:
            return (await stored.counts(session, {key: rows}, ALONE_MS))[key]
    except BackdeskError:
        return None
