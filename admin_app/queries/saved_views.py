"""Saved views: lists under a name, for one person, one role or everybody, which are worked through as queues."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, text, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager

from admin_app.errors import BadInput, BadRequest, ChangedMeanwhile, NotFound
from admin_app.models import Role, SavedView, ShippedView, UserRole, storable

MOST = 30
"""Views that a person, a role, or everybody may have: more than anybody finds their way about in."""

NAME_LENGTH = 100

COUNTED = 999
"""Rows up to which a queue is counted."""


SHARE = "saved_view.share"
"""The permission to make, change and delete views that are not one's own."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A view as the menu and its list need it: whether it is the viewer's own, else for which role, if not for all.

    Its query string holds texts, in which `me` is whoever looks. The viewer may have `hidden` it from their menu, or
    given it a `place` there.
    """

    id: int
    resource: str
    name: str
    icon: str
    query: str
    mine: bool
    role: str | None
    hidden: bool = False
    place: int | None = None

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Its parameters, as they stand in the address of a list."""
        return parse_qsl(self.query, keep_blank_values=True)

    def without(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The parameters of a list as an address within this view: only those that differ, empty where one is gone."""
        own, asked = dict(self.pairs), dict(pairs)
        changed = [(name, value) for name, value in asked.items() if own.get(name) != value]
        return [("view", str(self.id)), *changed, *((name, "") for name in own if name not in asked)]


# ---- Which there are

OF_PERSON = f"""
SELECT jsonb_agg(jsonb_build_array(v.id, v.resource, v.name, v.icon, v.query, v.user_id IS NOT NULL, r.name,
  coalesce(m.hidden, false), m.position)
  ORDER BY m.position, v.user_id IS NULL, v.role_id IS NULL, r.name, v.position, v.id)
FROM saved_views v LEFT JOIN roles r ON r.id = v.role_id
LEFT JOIN menu_views m ON m.user_id = u.id AND m.view_id = v.id
WHERE v.user_id = u.id OR (v.user_id IS NULL AND (v.role_id IS NULL OR r.name = ANY (granted.roles)
  OR granted.permissions && ARRAY['{SHARE}', '*', 'saved_view.*', '*.share']::varchar[]))"""
"""The views of a person `u` with `granted` roles and permissions, for `read`: as they put them in order, else first
their own, last everybody's.

Whoever may share views sees those of other roles too, though not in the menu.
"""

FIELDS = ("id", "resource", "name", "icon", "query", "mine", "role", "hidden", "place")


def read(found: Sequence[Sequence[Any]] | None) -> tuple[View, ...]:
    """Views from what OF_PERSON finds, which the driver has decoded."""
    return tuple(View(**dict(zip(FIELDS, one, strict=True))) for one in found or ())


def numbered(pairs: Iterable[tuple[str, str]]) -> int | None:
    """The number of the view that an address names, if it names one; raises BadRequest for what is no number."""
    texts = {value.strip() for name, value in pairs if name == "view"}
    if not texts:
        return None
    text = texts.pop()
    if texts or not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest(fields={"view": "takes the number of one saved view."})
    return int(text)


def named(views: Iterable[View], resource: str, number: int) -> View:
    """The view of a list, among those that somebody sees; raises NotFound."""
    found = next((view for view in views if view.id == number and view.resource == resource), None)
    if found is None:
        raise NotFound("There is no such view of this list, or it is somebody else's and not shared.")
    return found


def light(view: SavedView) -> View:
    """A stored view, read with its role, as the menu and its list need it."""
    facts = {name: getattr(view, name) for name in ("id", "resource", "name", "icon", "query")}
    return View(**facts, mine=view.user_id is not None, role=view.role.name if view.role else None)


async def of_person(session: AsyncSession, user_id: int, *, others: bool = False) -> Sequence[SavedView]:
    """The views that somebody sees, in the order of the menu; with `others` those of all roles."""
    own = SavedView.role_id.in_(select(UserRole.role_id).where(UserRole.user_id == user_id))
    shared = and_(SavedView.user_id.is_(None), or_(literal(others), SavedView.role_id.is_(None), own))
    found = select(SavedView).outerjoin(SavedView.role).options(contains_eager(SavedView.role))
    order = (SavedView.user_id.is_(None), SavedView.role_id.is_(None), Role.name, SavedView.position, SavedView.id)
    return (await session.scalars(found.where(or_(SavedView.user_id == user_id, shared)).order_by(*order))).all()


async def one(
    session: AsyncSession, view_id: int, user_id: int, *, others: bool = False, version: int | None = None
) -> SavedView:
    """A view that somebody sees; raises NotFound for every other, or ChangedMeanwhile where it is not at `version`."""
    found = next((view for view in await of_person(session, user_id, others=others) if view.id == view_id), None)
    if found is None:
        raise NotFound
    if version is not None and found.version != version:
        raise ChangedMeanwhile
    return found


async def every(session: AsyncSession) -> Sequence[SavedView]:
    """All views, of whomever."""
    return (await session.scalars(select(SavedView).order_by(SavedView.resource, SavedView.id))).all()


async def roles(session: AsyncSession) -> Sequence[Role]:
    """The roles that a view can be for, by name."""
    return (await session.scalars(select(Role).order_by(Role.name))).all()


# ---- Making and changing them


def _same(view: SavedView) -> ColumnElement[bool]:
    """Which views are for the same people as this one."""
    return and_(
        SavedView.user_id.is_not_distinct_from(view.user_id), SavedView.role_id.is_not_distinct_from(view.role_id)
    )


async def add(session: AsyncSession, view: SavedView) -> SavedView:
    """Keep a new view, the last for its people; raises BadInput for a name that is taken, and for one too many."""
    view.name = await free_name(session, view, view.name)
    await place(session, view)
    session.add(view)
    await session.flush()
    return view


async def place(session: AsyncSession, view: SavedView) -> None:
    """Put a view behind the others of its people; raises BadInput where there are too many."""
    facts = select(func.count(), func.coalesce(func.max(SavedView.position), 0)).where(
        _same(view), SavedView.id.is_distinct_from(view.id)
    )
    number, last = (await session.execute(facts)).one()
    if number >= MOST:
        raise BadInput(
            f"There are {MOST} views for the same people, and that is the most. Delete one that nobody uses."
        )
    view.position = last + 1


async def free_name(session: AsyncSession, view: SavedView, name: str) -> str:
    """The name as it is stored; raises BadInput where it cannot be, or where another view of these people has it."""
    name = " ".join(name.split())
    if not name or not storable(name):
        raise BadInput(fields={"name": "Please give it a name, which stands in the menu."})
    if len(name) > NAME_LENGTH:
        raise BadInput(fields={"name": f"has {len(name):,} characters; at most {NAME_LENGTH} fit."})
    lowered = func.lower(SavedView.name) == func.lower(name)
    others = and_(_same(view), SavedView.resource == view.resource, SavedView.id.is_distinct_from(view.id))
    if (taken := await session.scalar(select(SavedView.name).where(lowered, others))) is not None:
        raise BadInput(fields={"name": f"“{taken}” is the name of another view of this list."})
    return name


async def move(session: AsyncSession, view: SavedView, step: int) -> int:
    """Bring a view one place up (-1) or down (1) among those of its people; returns how many rows changed."""
    found = select(SavedView).where(_same(view)).order_by(SavedView.position, SavedView.id).with_for_update()
    views = list((await session.scalars(found)).all())
    place = next(place for place, other in enumerate(views) if other.id == view.id)
    views.insert(max(place + step, 0), views.pop(place))
    for position, other in enumerate(views, 1):
        other.position = position
    changed = len(session.dirty)
    await session.flush()
    return changed


# ---- Shipped views


async def unshipped(session: AsyncSession, names: Iterable[str]) -> list[str]:
    """Those of the shipped views that the desk has not seen yet."""
    known = set(await session.scalars(select(ShippedView.name)))
    return [name for name in names if name not in known]


async def ship(session: AsyncSession, views: Mapping[str, SavedView]) -> int:
    """Make shipped views for everybody, each once in the life of a desk; one whose name is taken is left out."""
    new = insert(ShippedView).on_conflict_do_nothing().returning(ShippedView.name)
    names = set((await session.scalars(new, [{"name": name} for name in views])).all())
    everyone = and_(SavedView.user_id.is_(None), SavedView.role_id.is_(None))
    taken = {
        (view.resource, view.name.lower()): view for view in await session.scalars(select(SavedView).where(everyone))
    }
    last = max((view.position for view in taken.values()), default=0)
    made = [view for name, view in views.items() if name in names and (view.resource, view.name.lower()) not in taken]
    for position, view in enumerate(made, last + 1):
        view.position = position
    session.add_all(made)
    await session.flush()
    return len(made)


# ---- Counting


BRIEFLY = text(
    "SELECT set_config('statement_timeout', :limit, true), set_config(name, 'off', true) "
    "FROM unnest(ARRAY['enable_seqscan', 'enable_bitmapscan']) name"
)
"""The planner does not know how far it has to read for a bounded count; by an index it is never far."""


async def counts(session: AsyncSession, found: Mapping[int, Select[Any]], limit_ms: int) -> dict[int, int]:
    """How many rows each query finds, up to one more than COUNTED, by its key; one statement, under a time limit.

    Raises Unavailable where it takes longer than `limit_ms` milliseconds.
    """
    if not found:
        return {}
    await session.execute(BRIEFLY, {"limit": str(limit_ms)})
    each = [
        select(literal(key), func.count()).select_from(query.limit(COUNTED + 1).subquery())
        for key, query in found.items()
    ]
    rows = await session.execute(union_all(*each) if len(each) > 1 else each[0])
    return {row[0]: row[1] for row in rows}
