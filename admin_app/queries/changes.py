"""The set-based engine: one statement that locks, classifies, updates and counts the chosen rows of any table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import BigInteger, Table, and_, case, func, inspect, literal, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Mapper
from sqlalchemy.sql import ColumnElement

from admin_app.errors import BadInput
from admin_app.models import SelectionItem, Versioned

Model = TypeVar("Model")

NOT_FOUND = "not found"
"""Why an id was skipped that does not exist, or that the actor may not see: the answer is the same."""


@dataclass(frozen=True)
class Chosen(Generic[Model]):
    """The rows an action is for: a short list of ids, or a frozen selection on the server.

    Duplicate ids count once. Build it with `Chosen.of(Ticket, [1, 2, 3])`.
    """

    model: type[Model]
    ids: tuple[int, ...] = ()
    selection_id: int | None = None
    requested: int = 0

    @classmethod
    def of(cls, model: type[Model], ids: Iterable[int]) -> "Chosen[Model]":
        """Rows by their ids; raises BadInput for an id that no row can have."""
        distinct = tuple(sorted(set(ids)))
        if distinct and not (distinct[0] > 0 and distinct[-1] < 2**63):
            raise BadInput("An id is a positive whole number.")
        return cls(model, distinct, None, len(distinct))

    def where(self, key: ColumnElement[Any] | InstrumentedAttribute[Any]) -> ColumnElement[bool]:
        """The condition that a row's key is among the chosen; ids travel as one array parameter."""
        if self.selection_id is not None:
            frozen = select(SelectionItem.record_id).where(SelectionItem.selection_id == self.selection_id)
            return key.in_(frozen)
        return key == func.any(literal(list(self.ids), ARRAY(BigInteger)))


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


async def apply(
    session: AsyncSession,
    chosen: Chosen[Any],
    *,
    set: Mapping[Any, Any],  # noqa: A002  the SQL word is the clearest name at the call
    also: Mapping[Any, Any] | None = None,
    skip: Mapping[str, ColumnElement[bool]] | None = None,
) -> Outcome:
    """Give columns new values in every chosen row that no skip reason holds back, in one statement.

    `set` decides whether a row changes: one in which all its columns have their value already is `unchanged`.
    `also` are side effects, written only where something changed. `skip` maps a reason to a condition; the first
    that holds is the row's outcome. Rows are locked in the order of their ids, so that two bulk changes never
    deadlock; notes and tags can be added to them meanwhile. `version` and `updated_at` follow by themselves.
    """
    mapper = cast(Mapper[Any], inspect(chosen.model))
    table = cast(Table, mapper.local_table)
    key = table.c.id
    values = {_name(column): value for column, value in {**set, **(also or {})}.items()}
    same = and_(*(_same(column, value) for column, value in set.items()))
    reasons = [(condition, literal(reason)) for reason, condition in (skip or {}).items()]
    outcome = case(*reasons, (same, literal_column("'unchanged'")), else_=literal_column("'changed'"))
    rows = (
        select(key.label("id"), outcome.label("outcome"))
        .where(chosen.where(key))
        .order_by(key)
        .with_for_update(key_share=True)
        .cte("chosen")
        .prefix_with("MATERIALIZED")
    )
    written = (
        update(table)
        .values({**values, **_bookkeeping(chosen.model)})
        .where(key == rows.c.id, rows.c.outcome == "changed")
        .returning(key)
        .cte("written")
    )
    counted = select(rows.c.outcome, func.count().label("number")).group_by(rows.c.outcome).add_cte(written)
    return _outcome(chosen, {row.outcome: row.number for row in await session.execute(counted)})


def _outcome(chosen: Chosen[Any], counts: dict[str, int]) -> Outcome:
    changed, unchanged = counts.pop("changed", 0), counts.pop("unchanged", 0)
    if missing := chosen.requested - changed - unchanged - sum(counts.values()):
        counts[NOT_FOUND] = missing
    return Outcome(changed=changed, unchanged=unchanged, skipped=counts)


def _bookkeeping(model: type[Any]) -> dict[str, Any]:
    table = cast(Mapper[Any], inspect(model)).local_table
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
