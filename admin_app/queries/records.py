"""Records of any table: reading one with what its page shows, holding it for a change, and writing it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, inspect, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import RelationshipProperty, joinedload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from admin_app.models import AuditLog, Base, ChangeSet, User
from admin_app.queries.filters import relation_of
from admin_app.queries.light import Names, in_sql, reading, values_of
from admin_app.queries.users import Actor

Model = TypeVar("Model", bound=Base)


async def one(
    session: AsyncSession,
    model: type[Model],
    id: int,  # noqa: A002  what it is called everywhere
    names: Iterable[str] = (),
    *,
    where: Iterable[ColumnElement[bool]] = (),
    lock: bool = False,
) -> Model | None:
    """A record by its id, with the relationships among `names` loaded; None when there is none, or not `where`.

    With `lock`, nobody else can change it until the transaction ends.
    """
    found = _reading(model, tuple(names)).where(*where)
    if lock:
        found = found.with_for_update(of=model).execution_options(populate_existing=True)
    return (await session.scalars(found, {"id": id})).one_or_none()


async def shown(
    session: AsyncSession,
    model: type[Model],
    id: int,  # noqa: A002  what it is called everywhere
    names: Iterable[str],
    *,
    beside: Mapping[str, ColumnElement[Any]] | None = None,
    where: Iterable[ColumnElement[bool]] = (),
) -> tuple[Model, dict[str, Any]] | None:
    """A record by its id with what it is related to among `names`, as references; None where there is none.

    One statement, and one for each relationship to many records of which only Python knows how they are called. Further
    columns of that statement are given as `beside`, and found by their names with the references.
    """
    beside = beside or {}
    statement, light = _showing(model, tuple(names), tuple(beside.values()))
    found = (await session.execute(statement.where(*where) if where else statement, {"id": id})).one_or_none()
    if found is None:
        return None
    rest = iter(found)
    record = next(rest)
    known = values_of(light, rest) | dict(zip(beside, rest, strict=True))
    return record, known | {
        name: getattr(record, name) for name in names if name not in known and relation_of(model, name)
    }


@cache
def _showing(
    model: type[Model], names: tuple[str, ...], beside: tuple[ColumnElement[Any], ...]
) -> tuple[Select[Any], Names]:
    """The statement that reads a record with References, which is put together once, and the names of these."""
    related = {name: relation for name in names if (relation := relation_of(model, name)) is not None}
    light = tuple((name, relation) for name, relation in related.items() if in_sql(relation.mapper.class_, "label"))
    read, joined = reading(model, light)
    found = _reading(model, tuple(related.keys() - dict(light).keys())).add_columns(*read, *beside)
    for target in joined:
        found = found.outerjoin(target)
    return found, light


@cache
def _reading(model: type[Model], names: tuple[str, ...]) -> Select[Model]:
    """The statement that reads a record by its id, which is put together once."""
    key = inspect(model).primary_key[0]
    return select(model).where(key == bindparam("id", type_=key.type)).options(*loading(model, names))


def loading(model: type[Base], names: Iterable[str]) -> list[ORMOption]:
    """How the relationships among `names` are loaded: a single row in the same statement, many rows in one more."""
    relationships = [
        attribute for name in names if isinstance(attribute := inspect(model).attrs.get(name), RelationshipProperty)
    ]
    return [
        (selectinload if attribute.uselist else joinedload)(attribute.class_attribute) for attribute in relationships
    ]


async def labels(session: AsyncSession, model: type[Base], ids: Iterable[int]) -> dict[int, str]:
    """How the rows with these ids are called; ids that no row has are left out."""
    if not (wanted := list(ids)):
        return {}
    key = inspect(model).primary_key[0]
    rows = await session.execute(select(key, model).where(key == func.any(literal(wanted, ARRAY(BigInteger)))))
    return {number: row.label for number, row in rows}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What somebody wants to write: `values` for `record`, which is locked, or for a new one where it is None.

    `values` holds only what is to change; checks may put a value into its proper form there.
    """

    session: AsyncSession
    actor: Actor
    model: type[Base]
    record: Any
    values: dict[str, Any]
    reason: str | None = None

    def becomes(self, name: str) -> Any:
        """The value that a column will have."""
        return self.values[name] if name in self.values else getattr(self.record, name, None)


async def write(draft: Draft) -> Any:
    """Write a draft and give back the record; a new one notes who made it, where its table has room for that."""
    if draft.record is None:
        record: Any = draft.model(**_given(draft))
        draft.session.add(record)
    else:
        record = draft.record
        for name, value in draft.values.items():
            setattr(record, name, value)
    await draft.session.flush()
    return record


def _given(draft: Draft) -> Mapping[str, Any]:
    """The values of a new record, without the empty ones that the database fills in."""
    columns = inspect(draft.model).columns
    by_database = {name for name, column in columns.items() if column.server_default is not None}
    given = {name: value for name, value in draft.values.items() if value is not None or name not in by_database}
    return {**({"created_by_id": draft.actor.user_id} if "created_by_id" in columns else {}), **given}


async def made_with(session: AsyncSession, model: type[Base], user_id: int, key: str) -> int | None:
    """The id of the record that a person made with this idempotency key before, if they did."""
    made = (
        select(AuditLog.record_id)
        .join(ChangeSet, ChangeSet.id == AuditLog.change_set_id)
        .where(ChangeSet.user_id == user_id, ChangeSet.idempotency_key == key)
        .where(AuditLog.action == "CREATE", AuditLog.table_name == model.__tablename__)
    )
    found = (await session.scalars(made.limit(1))).first()
    return int(found) if found else None


async def last_change(session: AsyncSession, model: type[Base], id: int) -> tuple[str | None, datetime | None]:  # noqa: A002
    """Who changed a record last, and when; the name is None where it was no person."""
    last = (
        select(User.full_name, AuditLog.created_at)
        .select_from(AuditLog)
        .outerjoin(User, User.id == AuditLog.user_id)
        .where(AuditLog.table_name == model.__tablename__, AuditLog.record_id == str(id))
        .order_by(AuditLog.id.desc())
        .limit(1)
    )
    row = (await session.execute(last)).first()
    return (row.full_name, row.created_at) if row else (None, None)
