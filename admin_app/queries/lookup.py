"""Finding records by the beginning, or any part, of the texts by which a person names them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import SoftDelete
from admin_app.queries.rows import lean

LIMIT = 20


async def rows(
    session: AsyncSession, model: type[Any], text: str, *, only: ColumnElement[bool] | None = None, limit: int = LIMIT
) -> Sequence[Any]:
    """At most `limit` records whose lookup columns hold `text` in any case, or whose id it is.

    First those that are exactly so called, then those that begin so; inactive ones and longer names come later. Without
    a text the newest, by name. The trash is left out, and what does not fulfil `only`.
    """
    found = select(model).options(*lean(model)).limit(limit)
    if only is not None:
        found = found.where(only)
    if issubclass(model, SoftDelete):
        found = found.where(model.deleted_at.is_(None))
    active = [model.is_active.desc()] if hasattr(model, "is_active") else []
    if not text:
        newest = (await session.scalars(found.order_by(*active, model.id.desc()))).all()
        return sorted(newest, key=lambda row: (not getattr(row, "is_active", True), row.label.casefold()))
    ranked = found.where(_holds(model, text)).order_by(*active, _rank(model, text), *_names(model)[-1:], model.id)
    return (await session.scalars(ranked)).all()


def _names(model: type[Any]) -> list[Any]:
    return [getattr(model, name) for name in model.lookup]


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _holds(model: type[Any], text: str) -> ColumnElement[bool]:
    conditions = [column.icontains(text, autoescape=True) for column in _names(model)]
    if (number := _id(text)) is not None:
        conditions.append(model.id == cast(number, BigInteger))
    return or_(model.id.is_(None), *conditions)


def _rank(model: type[Any], text: str) -> Any:
    exact = [func.lower(column) == func.lower(text) for column in _names(model)]
    begins = [column.istartswith(text, autoescape=True) for column in _names(model)]
    never = model.id.is_(None)
    return case((or_(never, *exact), 0), (or_(never, *begins), 1), else_=2)
