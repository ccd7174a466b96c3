"""Records of several resources by what somebody types: a few of each, in at most three statements."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, inspect, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.hybrid import hybrid_property

from admin_app.errors import BadRequest
from admin_app.models import Base, SoftDelete, Ticket
from admin_app.queries import rows
from admin_app.queries.filters import BIGGEST
from admin_app.queries.listing import ListQuery
from admin_app.queries.lookup import rank

EACH = 6
"""Records of one resource that are found at once."""

LARGE: tuple[type[Base], ...] = (Ticket,)
"""Models with so many rows that those which match cannot be put in order of how well they do: the list's first come."""


@dataclass(frozen=True)
class Sought:
    """Where to look: in the list of the resource of this name, for what its search makes of the text."""

    name: str
    query: ListQuery


@dataclass(frozen=True)
class Found:
    """A record that was found: of which resource, its id, and how it is called."""

    resource: str
    id: int
    label: str


async def records(session: AsyncSession, sought: Sequence[Sought], text: str) -> list[Found]:
    """At most six records of each resource; the one that has this number or unique name first, the trash left out.

    A resource of which the text asks what nobody understands, such as `status:nowhere`, is looked in by number only.
    """
    understood = [await _understood(session, place) for place in sought]
    parts = [_exact(place, text) for place in sought]
    parts += [_matching(place, text) for place in understood if place and place.query.listed.model not in LARGE]
    if not parts:
        return []
    read = (await session.execute(union_all(*(select(part.subquery()) for part in parts)))).all()
    found = [Found(row.resource, row.id, row.label) for row in sorted(read, key=lambda row: row.rank)]
    for place in understood:
        if place and place.query.listed.model in LARGE:
            page = await rows.page_of(session, replace(place.query, size=EACH), ())
            found += [Found(place.name, row.id, row.label) for row in page.rows]
    return [one for place in sought for one in _few_of(place, found)]


def _few_of(place: Sought, found: Sequence[Found]) -> list[Found]:
    return list({one.id: one for one in found if one.resource == place.name}.values())[:EACH]


async def _understood(session: AsyncSession, place: Sought) -> Sought | None:
    try:
        return replace(place, query=await place.query.understood(session))
    except BadRequest:
        return None


def _exact(place: Sought, text: str) -> Select[Any]:
    """The record of this id, or whose unique name this is."""
    model: Any = place.query.listed.model
    columns = [getattr(model, name) for name in model.lookup if inspect(model).columns[name].unique]
    named: list[ColumnElement[bool]] = [column.in_([text, text.upper()]) for column in columns]
    if text.isascii() and text.isdecimal() and int(text[:20]) <= BIGGEST:
        named.append(model.id == int(text))
    return _read(place, literal(-1)).where(or_(model.id.is_(None), *named))


def _matching(place: Sought, text: str) -> Select[Any]:
    model: Any = place.query.listed.model
    order = rank(model, text)
    return _read(place, order).where(*place.query.conditions()).order_by(order, model.id.desc())


def _read(place: Sought, order: ColumnElement[int]) -> Select[Any]:
    model: Any = place.query.listed.model
    found = select(literal(place.name, String).label("resource"), model.id, _label(model), order.label("rank"))
    found = found.where(*place.query.visible).limit(EACH)
    return found.where(model.deleted_at.is_(None)) if issubclass(model, SoftDelete) else found


def _label(model: type[Any]) -> ColumnElement[str]:
    """How rows are called: the model's own label where SQL can say it, else the texts by which people name them."""
    own = inspect(model).all_orm_descriptors.get("label")
    label = model.label if isinstance(own, hybrid_property) else None
    said = label if label is not None else func.concat_ws(" ", *(getattr(model, name) for name in model.lookup))
    return cast(said, String).label("label")
