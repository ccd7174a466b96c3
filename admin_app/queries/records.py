"""Records of any table: reading one with what its page shows."""

from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import RelationshipProperty, joinedload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from admin_app.models import Base

Model = TypeVar("Model", bound=Base)


async def one(session: AsyncSession, model: type[Model], id: int, names: Iterable[str] = ()) -> Model | None:  # noqa: A002
    """A record by its id, with the relationships among `names` loaded; None when there is none."""
    key = inspect(model).primary_key[0]
    found = select(model).where(key == id).options(*loading(model, names))
    return (await session.scalars(found)).one_or_none()


def loading(model: type[Base], names: Iterable[str]) -> list[ORMOption]:
    """How the relationships among `names` are loaded: a single row in the same statement, many rows in one more."""
    relationships = [
        attribute for name in names if isinstance(attribute := inspect(model).attrs.get(name), RelationshipProperty)
    ]
    return [
        (selectinload if attribute.uselist else joinedload)(attribute.class_attribute) for attribute in relationships
    ]
