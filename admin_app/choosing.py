"""Choosing rows as a list finds them: a filter as it stands in a list's address, frozen for whoever acts."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement

from admin_app.db import Database
from admin_app.errors import BadRequest, Forbidden
from admin_app.plugin import Authority, Chosen, Resource
from admin_app.queries import rules, saved_views, selections
from admin_app.queries.filters import ALIASES, Filtered
from admin_app.queries.listing import ListQuery, within
from admin_app.queries.periods import Viewer
from admin_app.queries.users import Actor
from admin_app.settings import Settings

NOBODY = 0
"""Stands for `me` where no person acts; no row has this id."""


def viewer_of(authority: Authority, zone: ZoneInfo) -> Viewer:
    """What `me` and `today` mean for whoever acts, at this moment."""
    user_id = authority.user_id if isinstance(authority, Actor) else NOBODY
    return Viewer(user_id, zone, datetime.now(UTC))


def understood(resource: Resource, text: str, viewer: Viewer) -> ListQuery:
    """What a list's query string asks for.

    Raises BadRequest naming each parameter that is unknown, empty or not understood, and for a filter that leaves
    nothing out: an unset variable of a script must not choose every row.
    """
    pairs = parse_qsl(text.strip().removeprefix("?"), keep_blank_values=True)
    if empty := [name for name, value in pairs if not value.strip() and name.removesuffix("!") in _known(resource)]:
        raise BadRequest(fields=dict.fromkeys(empty, "is empty. Leave it out, or write none where none is meant."))
    asked = ListQuery.parse(resource, pairs, viewer)
    if not asked.narrowed and not asked.trash:
        raise BadRequest("This filter leaves nothing out. Say which rows are meant, such as status=open.")
    return asked


def _filters(asked: ListQuery) -> tuple[Filtered, ...]:
    """Every filter in force, those of the search included."""
    return (*asked.filters, *(asked.search.filters if asked.search else ()))


def _known(resource: Resource) -> set[str]:
    return {"q", "trash", "overdue", *resource.filters, *ALIASES}


def visible_to(authority: Authority, resource: Resource) -> tuple[ColumnElement[bool], ...]:
    """What a row must fulfil for whoever acts; raises Forbidden for somebody who may not see these rows at all."""
    if not authority.may(f"{resource.name}.view"):
        what = resource.label_plural.lower()
        raise Forbidden(f"You may not see {what}. It needs the permission {resource.name}.view.")
    return rules.visible(authority, resource.model) if isinstance(authority, Actor) else ()


async def expanded(
    database: Database, resource: Resource, pairs: Sequence[tuple[str, str]], authority: Authority
) -> list[tuple[str, str]]:
    """The parameters of a list, with those of the view that `view=5` names in its place.

    Raises BadRequest for what is no number, and NotFound for a view that whoever acts does not see.
    """
    if "view" in resource.filters or (number := saved_views.numbered(pairs)) is None:
        return list(pairs)
    user_id = authority.user_id if isinstance(authority, Actor) else NOBODY
    async with database.read() as session:
        found = await saved_views.of_person(session, user_id, others=authority.may(saved_views.SHARE))
    view = saved_views.named(map(saved_views.light, found), resource.name, number)
    own = dict(view.pairs)
    return [pair for pair in within(resource, view, pairs) if pair[1].strip() or pair[0] not in own]


async def _expanded(database: Database, resource: Resource, text: str, authority: Authority) -> str:
    pairs = parse_qsl(text.strip().removeprefix("?"), keep_blank_values=True)
    found = await expanded(database, resource, pairs, authority)
    return text if found == pairs else urlencode(found)


async def by_filter(
    database: Database,
    settings: Settings,
    resource: Resource,
    text: str | None,
    authority: Authority,
    zone: ZoneInfo,
    without: Iterable[int] = (),
) -> Chosen[Any]:
    """The rows that a list's query string finds now for whoever acts, but for those `without`, frozen.

    None in place of a text stands for every row that is not in the trash. Raises BadRequest as `understood` does, and
    BadInput with the number when there are more than one action may touch, or when there is none.
    """
    visible, viewer = visible_to(authority, resource), viewer_of(authority, zone)
    left_out = Chosen.of(resource.model, without).ids
    text = await _expanded(database, resource, text, authority) if text is not None else None
    asked = understood(resource, text, viewer) if text is not None else None
    if asked is not None and viewer.user_id == NOBODY and any(NOBODY in item.ids for item in _filters(asked)):
        raise BadRequest("“me” is nobody here: say with --as who acts.")
    async with database.bookkeeping() as session:
        plain = (text or "").strip().removeprefix("?")
        keys = await selections.found(session, resource, plain, viewer, visible, left_out)
        kept = await selections.freeze(
            session,
            keys,
            user_id=authority.user_id if isinstance(authority, Actor) else None,
            resource=resource.name,
            filter=text or "",
            limit=settings.limits.bulk,
            keep=timedelta(hours=settings.selection_hours),
        )
    return Chosen.frozen(resource.model, kept.id, kept.row_count).seen(visible)
