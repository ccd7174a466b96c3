"""The audit log: the history of one record, and a search through everything that was ever changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput
from admin_app.models import Audited, AuditLog, Base, ChangeSet, Ticket, User
from admin_app.queries.arrays import as_array
from admin_app.queries.called import called, fixed, names_in, names_of
from admin_app.queries.readable import FieldChange, Names, all_references, field_changes, table_label, target_of

PAGE_LIMIT = 200
"""Entries that one page may hold at most."""

PEOPLE_LIMIT = 500

LONGEST_ID = 19
"""Digits of which there are numbers that are no id."""

LOG: Any = AuditLog.__table__.c
"""The columns of the log, of which rows are read and no records: these take SQLAlchemy a quarter longer."""

VERBS = {"CREATE": "created", "UPDATE": "changed", "DELETE": "deleted"}
LINK_VERBS = {"CREATE": "added", "UPDATE": "changed", "DELETE": "removed"}
"""What is said of rows that only link two records, such as a ticket's tag."""


@dataclass(kw_only=True, slots=True)  # not frozen: a page makes many, and that takes twice as long
class Entry:
    """What one change did to one row: who, when, why, through which door, and each field before and after.

    `action` is CREATE, UPDATE or DELETE; `change_action`, `change_state` and `door` are those of the change set, None
    for changes made outside Backdesk. `record` is how the row is called.
    """

    id: int
    at: datetime
    table: str
    record_id: str
    record: str
    action: str
    user_id: int | None
    user_name: str | None
    actor_kind: str
    database_user: str | None
    change_set_id: int | None
    change_action: str | None
    change_state: str | None
    door: str | None
    reason: str | None
    request_id: str | None
    changes: tuple[FieldChange, ...]

    @property
    def who(self) -> str:
        """The person, or what acted without one."""
        if self.user_name:
            return self.user_name
        return f"Database user {self.database_user}" if self.database_user else "Backdesk"

    @property
    def kind(self) -> str:
        """What kind of record it is about: `Ticket`."""
        return table_label(self.table)

    @property
    def is_link(self) -> bool:
        """Whether the row only links two records, such as a ticket's tag."""
        return "," in self.record_id

    @property
    def verb(self) -> str:
        """What was done, in a word."""
        return (LINK_VERBS if self.is_link else VERBS).get(self.action, self.action.lower())


@dataclass(frozen=True)
class AuditPage:
    """Entries, newest first, and the ids from which the pages before and after go on; None where there is none."""

    entries: tuple[Entry, ...]
    older: int | None = None
    newer: int | None = None


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """What to look for; None means "whatever". The range of time is half-open.

    `record` is an id of a row of `table`, or a ticket's number.
    """

    table: str | None = None
    record: str | None = None
    user_id: int | None = None
    action: str | None = None
    change_set_id: int | None = None
    request_id: str | None = None
    start: datetime | None = None
    before: datetime | None = None


async def history(
    session: AsyncSession, table: str, record_id: str, *, limit: int = 50, before_id: int | None = None
) -> AuditPage:
    """What happened to one record, newest first, and to the rows that link it with others, such as its tags.

    `record_id` is its key as text. One statement. Raises BadInput for more than 200 entries.
    """
    asked = {"record": record_id, "first_link": f"{record_id},", "last_link": f"{record_id}-", "before": before_id}
    own = int(record_id) if record_id.isdecimal() and len(record_id) < LONGEST_ID else None
    statement, columns = _history(table, _checked(limit), onward=before_id is not None)
    found, named = (await session.execute(statement, {**asked, "own": own})).one()
    rows = [SimpleNamespace(**dict(zip(columns, row, strict=True))) for row in found]
    names = {(name_of, key): name for name_of, key, name in named or ()}
    entries = tuple(_entry(row, names, table) for row in rows[:limit])
    return AuditPage(entries, older=rows[limit - 1].id if len(rows) > limit else None)


@cache
def _history(table: str, limit: int, *, onward: bool) -> tuple[Select[Any], Sequence[str]]:
    """The newest entries of a record and of its links, or those before one, and how what they refer to is called.

    All of it in one row, in a statement that is put together once; and the names of the columns of an entry. Only its
    record varies, for which PostgreSQL need not plan anew.
    """
    text = LOG.record_id.type
    record, before = bindparam("record", type_=text), bindparam("before", type_=BigInteger)
    first, last = bindparam("first_link", type_=text), bindparam("last_link", type_=text)
    own = and_(LOG.table_name == fixed(table), LOG.record_id == record)
    tables = link_tables(table)
    links = [and_(LOG.table_name == fixed(name), LOG.record_id >= first, LOG.record_id < last) for name in tables]
    newest, number = LOG.id.desc(), fixed(limit + 1)
    parts = [and_(part, LOG.id < before) if onward else part for part in (own, *links)]
    each = union_all(*(select(LOG.id).where(part).order_by(newest).limit(number) for part in parts))
    found = _rows().where(LOG.id.in_(each)).order_by(newest).limit(number).cte("found")
    rows = select(func.row(*found.c)).order_by(found.c.id.desc())
    return select(as_array(rows), names_in(found, table, tables)), found.c.keys()


async def search(
    session: AsyncSession,
    wanted: AuditFilter,
    *,
    limit: int = 50,
    before_id: int | None = None,
    after_id: int | None = None,
) -> AuditPage:
    """Entries that match, newest first: the newest of all, those older than `before_id`, or newer than `after_id`.

    Two statements, whatever the length of the log. Raises BadInput for more than 200 entries, or for both ids.
    """
    if before_id is not None and after_id is not None:
        raise BadInput("Give the id before which or after which to go on, not both.")
    found = _rows().where(*_conditions(wanted))
    if after_id is not None:
        nearest = found.where(LOG.id > after_id).order_by(LOG.id).limit(_checked(limit) + 1)
        rows = (await session.execute(nearest)).all()
        page = rows[:limit][::-1]
        more = len(rows) > limit
        older, newer = after_id + 1 if not page else page[-1].id, page[0].id if more else None
        return AuditPage(await _entries(session, page), older, newer)
    if before_id is not None:
        found = found.where(LOG.id < before_id)
    rows = (await session.execute(_newest(found, limit))).all()
    page = rows[:limit]
    older = page[-1].id if len(rows) > limit else None
    newer = (page[0].id if page else before_id - 1) if before_id is not None else None
    return AuditPage(await _entries(session, page), older, newer)


async def entry(session: AsyncSession, id: int) -> Entry | None:  # noqa: A002  what it is called everywhere
    """One entry by its id; None when there is none. Two statements."""
    found = (await session.execute(_rows().where(LOG.id == id))).all()
    return next(iter(await _entries(session, found)), None)


@dataclass(frozen=True)
class Logged:
    """Of a row of the audit log, what it is about and what it holds; long values may be shortened."""

    table_name: str
    record_id: str
    changes: Mapping[str, Any]


async def spoken(session: AsyncSession, rows: Sequence[Logged]) -> list[tuple[str, tuple[FieldChange, ...]]]:
    """How each row's record is called, and its fields in words. One statement; a link is called by what it links."""
    names = await names_of(session, all_references(rows))
    return [(called(row, names), field_changes(row.table_name, row.changes, names)) for row in rows]


async def people(session: AsyncSession) -> dict[int, str]:
    """The names of staff by id, in the order of the alphabet: those who can change something. At most 500."""
    found = select(User.id, User.full_name).where(User.is_staff).order_by(func.lower(User.full_name), User.id)
    return dict((await session.execute(found.limit(PEOPLE_LIMIT))).all())


def audited_tables() -> dict[str, str]:
    """The label of every audited table by its name, in the order of the alphabet."""
    mapped = (mapper for mapper in Base.registry.mappers if issubclass(mapper.class_, Audited))
    names = (mapper.class_.__tablename__ for mapper in mapped)
    return dict(sorted(((name, table_label(name)) for name in names), key=lambda pair: pair[1]))


def link_tables(table: str) -> list[str]:
    """Audited tables whose rows link a record of this table, first, with another: a ticket's tags, a user's roles."""
    keys = {name: list(Base.metadata.tables[name].primary_key) for name in audited_tables()}
    return [name for name, (first, *others) in keys.items() if others and table == target_of(first)]


def _rows() -> Select[Any]:
    people, sets = User.__table__, ChangeSet.__table__
    of_set = sets.c.action.label("change_action"), sets.c.state.label("change_state"), sets.c.door
    return (
        select(*LOG, people.c.full_name.label("user_name"), *of_set)
        .outerjoin(people, people.c.id == LOG.user_id)
        .outerjoin(sets, sets.c.id == LOG.change_set_id)
    )


def _newest(found: Select[Any], limit: int) -> Select[Any]:
    """One more than the limit, to know whether there are older ones."""
    return found.order_by(LOG.id.desc()).limit(_checked(limit) + 1)


def _checked(limit: int) -> int:
    if not 1 <= limit <= PAGE_LIMIT:
        raise BadInput(f"A page has 1 to {PAGE_LIMIT} entries.")
    return limit


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    simple = {
        LOG.table_name: wanted.table,
        LOG.user_id: wanted.user_id,
        LOG.action: wanted.action,
        LOG.change_set_id: wanted.change_set_id,
    }
    found: list[ColumnElement[bool]] = [column == value for column, value in simple.items() if value is not None]
    if wanted.record is not None:
        found.append(LOG.record_id == _record_id(wanted.record))
    if wanted.request_id is not None:
        asked = select(ChangeSet.id).where(ChangeSet.request_id == wanted.request_id)
        found.append(LOG.change_set_id.in_(asked))
    if wanted.start is not None:
        found.append(LOG.created_at >= wanted.start)
    if wanted.before is not None:
        found.append(LOG.created_at < wanted.before)
    return found


def _record_id(text: str) -> ColumnElement[str]:
    by_number = select(cast(Ticket.id, Text)).where(Ticket.ticket_number == text.upper()).scalar_subquery()
    return func.coalesce(by_number, text)


async def _entries(session: AsyncSession, rows: Sequence[Any], about: str | None = None) -> tuple[Entry, ...]:
    """Rows as entries; in the history of one record (`about`), links show only what they link it with."""
    names = await names_of(session, all_references(rows))
    return tuple(_entry(row, names, about) for row in rows)


def _entry(row: Any, names: Names, about: str | None) -> Entry:
    changes = row.changes
    if about and row.table_name != about:
        changes = {side: _linked(row.table_name, values) for side, values in changes.items()}
    return Entry(
        id=row.id,
        at=row.created_at,
        table=row.table_name,
        record_id=row.record_id,
        record=called(row, names),
        action=row.action,
        user_id=row.user_id,
        user_name=row.user_name,
        actor_kind=row.actor_kind,
        database_user=row.database_user,
        change_set_id=row.change_set_id,
        change_action=row.change_action,
        change_state=row.change_state,
        door=row.door,
        reason=row.reason,
        request_id=row.request_id,
        changes=field_changes(row.table_name, changes, names),
    )


def _linked(table: str, values: dict[str, Any]) -> dict[str, Any]:
    """Of a link's values, the keys of the other record."""
    others = [key.name for key in list(Base.metadata.tables[table].primary_key)[1:]]
    return {name: value for name, value in values.items() if name in others}
