"""The set-based engine: one statement that locks, classifies, changes, notes and counts chosen rows of any table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    Delete,
    Insert,
    Select,
    String,
    Subquery,
    Table,
    Update,
    and_,
    case,
    delete,
    func,
    inspect,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Mapper
from sqlalchemy.sql import ColumnElement

from admin_app.errors import BadInput
from admin_app.models import AuditLog, ChangeSet, RowOutcome, SelectionPart, Versioned

Model = TypeVar("Model")

NOT_FOUND = "not found"
"""Why an id was skipped that does not exist, or that the actor may not see: the answer is the same."""

CHANGED, UNCHANGED = "changed", "unchanged"

NOTED = "noted"
"""In the `info` of a session: whether outcomes were noted in it."""

REASON_LENGTH = 300
"""Characters that are kept of why a row was skipped, or failed."""


@dataclass(frozen=True)
class Chosen(Generic[Model]):
    """The rows an action is for: a short list of ids, or a frozen selection on the server.

    Duplicate ids count once. Build it with `Chosen.of(Ticket, [1, 2, 3])`. `visible` is what a row must fulfil for
    whoever acts. Where `change_set_id` is known, what becomes of each row is noted under it. With `classify` nothing is
    written: the engine only says what would become of the rows.
    """

    model: type[Model]
    ids: tuple[int, ...] = ()
    selection_id: int | None = None
    requested: int = 0
    undo_of_id: int | None = None
    source: Select[int] | None = None
    visible: tuple[ColumnElement[bool], ...] = ()
    change_set_id: int | None = None
    classify: bool = False

    @classmethod
    def of(cls, model: type[Model], ids: Iterable[int]) -> "Chosen[Model]":
        """Rows by their ids; raises BadInput for an id that no row can have."""
        distinct = tuple(sorted(set(ids)))
        if distinct and not (distinct[0] > 0 and distinct[-1] < 2**63):
            raise BadInput("An id is a positive whole number.")
        return cls(model, distinct, None, len(distinct))

    @classmethod
    def frozen(cls, model: type[Model], selection_id: int, row_count: int) -> "Chosen[Model]":
        """The rows of a frozen selection."""
        items = func.unnest(SelectionPart.ids).table_valued("record_id", joins_implicitly=True).render_derived("items")
        ids = select(items.c.record_id).select_from(SelectionPart, items)
        return cls(model, (), selection_id, row_count, source=ids.where(SelectionPart.selection_id == selection_id))

    @classmethod
    def audited(cls, change_set_id: int, row_count: int) -> "Chosen[AuditLog]":
        """What a change set wrote into the audit log: the rows that undoing it is about, the last first."""
        entries = select(AuditLog.id).where(AuditLog.change_set_id == change_set_id)
        return Chosen(AuditLog, (), None, row_count, undo_of_id=change_set_id, source=entries)

    def after(self, position: int | None, size: int) -> "Chosen[Model]":
        """The next rows of a selection behind the one at `position`, at most `size` of them."""
        source, key, backwards = self._behind(position)
        if self.selection_id is not None:
            parts = select(SelectionPart.first_id).where(SelectionPart.selection_id == self.selection_id)
            if position is not None:
                parts = parts.where(SelectionPart.last_id > position)
            parts = parts.order_by(SelectionPart.first_id).limit(size // SelectionPart.SIZE + 2)
            source = source.where(SelectionPart.first_id.in_(parts))
        return replace(self, source=source.order_by(key.desc() if backwards else key).limit(size), requested=size)

    def between(self, position: int | None, last: int, number: int) -> "Chosen[Model]":
        """The `number` rows of a selection behind the one at `position`, up to the `last`: a range of an index."""
        source, _, _ = self.within(last)._behind(position)
        return replace(self, source=source, requested=number)

    def within(self, until: int | None) -> "Chosen[Model]":
        """Those up to the one at `until`, where there is one."""
        source, key, backwards = self._walk()
        if until is None:
            return self
        if self.selection_id is not None:
            source = source.where(SelectionPart.first_id <= until)
        return replace(self, source=source.where(key >= until if backwards else key <= until))

    def _behind(self, position: int | None) -> tuple[Select[int], ColumnElement[int], bool]:
        """Those behind the one at `position`, if anything is before them."""
        source, key, backwards = self._walk()
        if position is not None:
            source = source.where(key < position if backwards else key > position)
            if self.selection_id is not None:
                source = source.where(SelectionPart.last_id > position)
        return source, key, backwards

    def _walk(self) -> tuple[Select[int], ColumnElement[int], bool]:
        """How chunks go through the rows: by their ids, and backwards where work is undone."""
        source = cast(Select[int], self.source)
        return source, source.selected_columns[0], self.undo_of_id is not None

    def seen(self, visible: tuple[ColumnElement[bool], ...]) -> "Chosen[Model]":
        """Those that fulfil what a row must fulfil for whoever acts; the others count as not found."""
        return replace(self, visible=visible)

    def keys(self) -> Select[int]:
        """The ids, as a query of one column."""
        return self.source if self.source is not None else select(func.unnest(self._array()).label("id"))

    def where(self, key: ColumnElement[Any] | InstrumentedAttribute[Any]) -> ColumnElement[bool]:
        """The condition that a row's key is among the chosen: an array, by which an index is read in its order."""
        if self.source is None:
            return key == func.any(self._array())
        if self.undo_of_id is not None and self.source.whereclause is not None:
            return self.source.whereclause
        return key == func.any(func.array(self.source.scalar_subquery()))

    def _array(self) -> ColumnElement[Any]:
        return literal(list(self.ids), ARRAY(BigInteger))


@dataclass(frozen=True)
class Outcome:
    """What became of the chosen rows: how many changed, stayed as they were, were skipped and why, or failed."""

    changed: int = 0
    unchanged: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0

    @property
    def total(self) -> int:
        """Every chosen row, once."""
        return self.changed + self.unchanged + sum(self.skipped.values()) + self.failed

    def __add__(self, other: "Outcome") -> "Outcome":
        skipped = dict(self.skipped)
        for reason, number in other.skipped.items():
            skipped[reason] = skipped.get(reason, 0) + number
        return Outcome(
            self.changed + other.changed, self.unchanged + other.unchanged, skipped, self.failed + other.failed
        )


Writes = Sequence[Update | Insert | Delete]
Skip = Mapping[str, ColumnElement[bool]]


async def apply(
    session: AsyncSession,
    chosen: Chosen[Any],
    *,
    set: Mapping[Any, Any],  # noqa: A002  the SQL word is the clearest name at the call
    also: Mapping[Any, Any] | None = None,
    skip: Skip | None = None,
) -> Outcome:
    """Give columns new values in every chosen row that no skip reason holds back, in one statement.

    `set` decides whether a row changes: one in which all its columns have their value already is `unchanged`.
    `also` are side effects, written only where something changed. `skip` maps a reason to a condition; the first
    that holds is the row's outcome. `version` and `updated_at` follow by themselves.
    """
    table = _table(chosen.model)
    values = {_name(column): value for column, value in {**set, **(also or {})}.items()}

    def written(changed: Subquery) -> Writes:
        return [update(table).values({**values, **_bookkeeping(chosen.model)}).where(table.c.id == changed.c.id)]

    same = and_(*(_same(column, value) for column, value in set.items()))
    return await write(session, chosen, unchanged=same, skip=skip, writes=written)


async def write(
    session: AsyncSession,
    chosen: Chosen[Any],
    *,
    unchanged: ColumnElement[bool],
    writes: Callable[[Subquery], Writes],
    skip: Skip | None = None,
) -> Outcome:
    """Do something for every chosen row that is neither skipped nor `unchanged`, in one statement.

    `writes` gets the rows that are to change, a subquery with their `id`, and returns the statements that do it to all
    of them: an UPDATE of the rows themselves, or an INSERT or DELETE of what hangs on them. Rows are locked in the
    order of their ids, so that two bulk changes never deadlock; notes and tags can be added to them meanwhile.
    """
    key = _table(chosen.model).c.id
    reasons = [(condition, literal(reason[:REASON_LENGTH])) for reason, condition in (skip or {}).items()]
    outcome = case(*reasons, (unchanged, literal_column(f"'{UNCHANGED}'")), else_=literal_column(f"'{CHANGED}'"))
    found = select(key.label("id"), outcome.label("outcome")).where(chosen.where(key), *chosen.visible)
    if not chosen.classify:
        found = found.order_by(key).with_for_update(key_share=True, of=_table(chosen.model))
    rows = found.cte("chosen").prefix_with("MATERIALIZED")
    counted = select(rows.c.outcome, func.count().label("number")).group_by(rows.c.outcome)
    if not chosen.classify:
        changed = select(rows.c.id).where(rows.c.outcome == CHANGED).subquery("changing")
        for number, statement in enumerate(writes(changed)):
            counted = counted.add_cte(statement.returning(literal_column("1")).cte(f"written_{number}"))
        if chosen.change_set_id is not None:
            of_rows = select(literal(chosen.change_set_id, BigInteger), rows.c.id, rows.c.outcome)
            counted = counted.add_cte(_noted(session, of_rows).returning(literal_column("1")).cte("noted"))
    counts = {row.outcome: row.number for row in await session.execute(counted)}
    return await _counted(session, chosen, counts)


async def record(
    session: AsyncSession, chosen: Chosen[Any], outcomes: Mapping[int, str], *, failed: bool = False
) -> None:
    """Note what became of single rows, by id, in a handler that works on them by itself rather than by `apply`.

    An outcome is "changed", "unchanged", why a row was skipped, or, where it `failed`, why.
    """
    if chosen.change_set_id is None or not outcomes:
        return
    ids = literal(list(outcomes), ARRAY(BigInteger))
    texts = literal([text[:REASON_LENGTH] for text in outcomes.values()], ARRAY(String))
    rows = select(literal(chosen.change_set_id, BigInteger), func.unnest(ids), func.unnest(texts), literal(failed))
    await session.execute(_noted(session, rows))


async def forget(session: AsyncSession, days: int, *, most: int = 100) -> int:
    """Forget what became of each row in change sets older than so many days; their counts stay.

    At most so many change sets at a time; returns how many it were.
    """
    first = select(func.min(RowOutcome.change_set_id)).scalar_subquery()
    old = select(ChangeSet.id).where(ChangeSet.id >= first, ChangeSet.started_at < func.now() - timedelta(days=days))
    ids = (await session.scalars(old.order_by(ChangeSet.id).limit(most))).all()
    await session.execute(delete(RowOutcome).where(RowOutcome.change_set_id.in_(ids)))
    return len(ids)


def _noted(session: AsyncSession, rows: Select[Any]) -> Any:
    """The statement that notes outcomes; where an action does two things to a row, the one that matters more stands.

    Looking for an earlier note of each row costs as much as noting it, so the first statement of a session does not:
    no two sessions note the same row of a change set.
    """
    names = ["change_set_id", "record_id", "outcome", "failed"][: len(rows.selected_columns)]
    noted = insert(RowOutcome).from_select(names, rows)
    if not session.info.get(NOTED):
        session.info[NOTED] = True
        return noted
    later = noted.excluded.outcome
    matters = and_(RowOutcome.outcome != CHANGED, or_(later == CHANGED, RowOutcome.outcome == UNCHANGED))
    return noted.on_conflict_do_update(
        index_elements=["change_set_id", "record_id"], set_={"outcome": later}, where=matters
    )


async def _counted(session: AsyncSession, chosen: Chosen[Any], counts: dict[str, int]) -> Outcome:
    """The counts as an Outcome; chosen rows that are not there, or hidden, are noted as well."""
    changed, unchanged = counts.pop(CHANGED, 0), counts.pop(UNCHANGED, 0)
    if missing := chosen.requested - changed - unchanged - sum(counts.values()):
        counts[NOT_FOUND] = counts.get(NOT_FOUND, 0) + missing
        if chosen.change_set_id is not None and not chosen.classify:
            keys = chosen.keys().subquery("keys")
            ours = (RowOutcome.change_set_id == chosen.change_set_id, RowOutcome.record_id == keys.c[0])
            known = select(RowOutcome.record_id).where(*ours).correlate(keys).exists()
            absent = select(literal(chosen.change_set_id, BigInteger), keys.c[0], literal(NOT_FOUND))
            await session.execute(_noted(session, absent.where(~known)))
    return Outcome(changed=changed, unchanged=unchanged, skipped=counts)


def _table(model: type[Any]) -> Table:
    return cast(Table, cast(Mapper[Any], inspect(model)).local_table)


def _bookkeeping(model: type[Any]) -> dict[str, Any]:
    table = _table(model)
    extra: dict[str, Any] = {}
    if issubclass(model, Versioned):
        extra["version"] = table.c.version + 1
    if "updated_at" in table.c:
        extra["updated_at"] = func.now()
    return extra


def _same(column: Any, value: Any) -> ColumnElement[bool]:
    expression = value if isinstance(value, ColumnElement) else literal(value, column.type)
    return cast(ColumnElement[bool], column.is_not_distinct_from(expression))


def _name(column: Any) -> str:
    return str(column.key)
