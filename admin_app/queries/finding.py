"""Records of several resources by what somebody types: a few of each, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, inspect, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.hybrid import hybrid_property

from admin_app.models import Base, SoftDelete, Ticket
from admin_app.queries.filters import BIGGEST
from admin_app.queries.lookup import rank

EACH = 6
"""Records of one resource that are found at once."""

UNRANKED: tuple[type[Base], ...] = (Ticket,)
"""Models with so many rows that those which match cannot all be put in order of how well they do; the newest come."""


@dataclass(frozen=True)
class Sought:
    """Where to look: a resource's name and model, and what a row must fulfil to match."""

    name: str
    model: type[Any]
    conditions: tuple[ColumnElement[bool], ...]
    visible: tuple[ColumnElement[bool], ...] = ()


@dataclass(frozen=True)
class Found:
    """A record that was found: of which resource, its id, and how it is called."""

    resource: str
    id: int
    label: str


async def records(session: AsyncSession, sought: Sequence[Sought], text: str) -> list[Found]:
    """At most six records of each resource; the one that has this number or unique name first, the trash left out."""
    if not sought:
        return []
    parts = [part for place in sought for part in (_exact(place, text), _matching(place, text))]
    rows = (await session.execute(union_all(*(select(part.subquery()) for part in parts)))).all()
    found = dict.fromkeys(Found(row.resource, row.id, row.label) for row in sorted(rows, key=lambda row: row.rank))
    return [one for place in sought for one in [one for one in found if one.resource == place.name][:EACH]]


def _exact(place: Sought, text: str) -> Select[Any]:
    """The record of this id, or whose unique name this is."""
    model = place.model
    columns = [getattr(model, name) for name in model.lookup if inspect(model).columns[name].unique]
    named: list[ColumnElement[bool]] = [column.in_([text, text.upper()]) for column in columns]
    if text.isascii() and text.isdecimal() and int(text[:20]) <= BIGGEST:
        named.append(model.id == int(text))
    return _few(place, literal(-1)).where(or_(model.id.is_(None), *named))


def _matching(place: Sought, text: str) -> Select[Any]:
    model = place.model
    order = literal(3) if model in UNRANKED else rank(model, text)
    ahead = [] if model in UNRANKED else [order.asc()]
    return _few(place, order).where(*place.conditions).order_by(*ahead, model.id.desc())


def _few(place: Sought, order: ColumnElement[int]) -> Select[Any]:
    model = place.model
    found = select(literal(place.name, String).label("resource"), model.id, _label(model), order.label("rank"))
    found = found.where(*place.visible).limit(EACH)
    return found.where(model.deleted_at.is_(None)) if issubclass(model, SoftDelete) else found


def _label(model: type[Any]) -> ColumnElement[str]:
    """How rows are called: the model's own label where SQL can say it, else the texts by which people name them."""
    own = inspect(model).all_orm_descriptors.get("label")
    label = model.label if isinstance(own, hybrid_property) else None
    said = label if label is not None else func.concat_ws(" ", *(getattr(model, name) for name in model.lookup))
    return cast(said, String).label("label")
