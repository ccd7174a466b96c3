"""Finding records by the beginning, or any part, of the texts by which a person names them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import SoftDelete
from admin_app.queries.shortened import lean

LIMIT = 20
"""Records that a picker offers at once."""


async def rows(
    session: AsyncSession,
    model: type[Any],
    text: str,
    *,
    only: ColumnElement[bool] | None = None,
    first: ColumnElement[bool] | None = None,
) -> Sequence[Any]:
    """At most 20 records whose lookup columns hold `text` in any case, or whose id it is.

    Those exactly so called come before those that begin so, and these before others; without a text the newest, by
    name. What fulfils `first` goes ahead, inactive ones go last. The trash is left out, and what is not `only` wanted.
    """
    preferred = first if first is not None else false()
    found = select(model, preferred).options(*lean(model)).limit(LIMIT)
    if only is not None:
        found = found.where(only)
    if issubclass(model, SoftDelete):
        found = found.where(model.deleted_at.is_(None))
    ahead = [first.desc()] if first is not None else []
    ahead += [model.is_active.desc()] if hasattr(model, "is_active") else []
    if text:
        ranked = found.where(_holds(model, text)).order_by(*ahead, rank(model, text), *_names(model)[-1:], model.id)
        return (await session.scalars(ranked)).all()
    newest = (await session.execute(found.order_by(*ahead, model.id.desc()))).all()
    newest = sorted(newest, key=lambda row: (not row[1], not getattr(row[0], "is_active", True), row[0].label.lower()))
    return [row[0] for row in newest]


def _names(model: type[Any]) -> list[Any]:
    return [getattr(model, name) for name in model.lookup]


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _holds(model: type[Any], text: str) -> ColumnElement[bool]:
    conditions = [column.icontains(text, autoescape=True) for column in _names(model)]
    if (number := _id(text)) is not None:
        conditions.append(model.id == cast(number, BigInteger))
    return or_(model.id.is_(None), *conditions)


def rank(model: type[Any], text: str) -> Any:
    """How well the names of a row that matches fit a text: 0 is that text, 1 begins so, 2 any other."""
    exact = [func.lower(column) == func.lower(text) for column in _names(model)]
    begins = [column.istartswith(text, autoescape=True) for column in _names(model)]
    never = model.id.is_(None)
    return case((or_(never, *exact), 0), (or_(never, *begins), 1), else_=2)
