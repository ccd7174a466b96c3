"""Frozen selections: the rows that somebody selected, kept on the server, so that exactly these are touched later."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Interval,
    Select,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput, NotFound, NothingMatches
from admin_app.models import ChangeSet, ChangeSetState, Selection, SelectionPart
from admin_app.queries.changes import Chosen
from admin_app.queries.listing import Listed, ListQuery
from admin_app.queries.periods import Viewer

UNFINISHED = (ChangeSetState.QUEUED, ChangeSetState.RUNNING)


async def found(
    session: AsyncSession,
    listed: Listed,
    filter: str,  # noqa: A002  the column's name
    viewer: Viewer,
    visible: tuple[ColumnElement[bool], ...] = (),
    without: Iterable[int] = (),
) -> Select[int]:
    """The ids of what a list's query string finds for a viewer, but for those `without`; order and page do not count.

    Raises BadRequest naming every parameter that is unknown or cannot be understood, and every name that nobody has.
    """
    asked = ListQuery.parse(listed, parse_qsl(filter, keep_blank_values=True), viewer)
    return keys_of(await replace(asked, visible=visible).understood(session), without)


def keys_of(asked: ListQuery, without: Iterable[int] = ()) -> Select[int]:
    """The ids of what a list was asked for."""
    key = asked.listed.model.id
    keys = select(key).where(*asked.conditions())
    left_out = sorted(set(without))
    return keys.where(key != func.all(literal(left_out, ARRAY(BigInteger)))) if left_out else keys


async def freeze(
    session: AsyncSession,
    keys: Select[int],
    *,
    user_id: int | None,
    resource: str,
    filter: str = "",  # noqa: A002  the column's name
    limit: int,
    keep: timedelta = timedelta(hours=24),
) -> Selection:
    """Keep the ids that a query of one column finds, in one statement; they can be used for as long as `keep`.

    `filter` is the list's query string that found them. Raises BadInput with the number when there are more than
    `limit`, and when there is none.
    """
    key = keys.selected_columns[0]
    ids = keys.order_by(key).limit(limit + 1).cte("ids").prefix_with("MATERIALIZED")
    facts = (literal(user_id), literal(resource), literal(filter), func.now() + as_type(literal(keep), Interval))
    made = insert(Selection).from_select(
        ["user_id", "resource", "filter", "expires_at", "row_count"],
        select(*facts, as_type(func.count(), Integer)).select_from(ids),
    )
    made_row = made.returning(Selection.id, Selection.row_count).cte("made")
    place = (func.row_number().over(order_by=ids.c[0]) - 1) // SelectionPart.SIZE
    placed = select(ids.c[0].label("id"), place.label("part")).subquery("placed")
    id = placed.c.id  # noqa: A001
    columns = (made_row.c.id, func.min(id), func.max(id), func.array_agg(aggregate_order_by(id, id)))
    rows = select(*columns).select_from(made_row.join(placed, true())).group_by(made_row.c.id, placed.c.part)
    parts = insert(SelectionPart).from_select(["selection_id", "first_id", "last_id", "ids"], rows)
    kept = select(made_row.c.id, made_row.c.row_count).add_cte(parts.returning(literal_column("1")).cte("parts"))
    row = (await session.execute(kept)).one()
    if not row.row_count:
        raise NothingMatches
    if row.row_count > limit:
        number = await session.scalar(select(func.count()).select_from(keys.order_by(None).subquery()))
        raise BadInput(f"{number:,} rows match; one action may touch {limit:,} at most. Please narrow the list.")
    return await session.get_one(Selection, row.id)


async def find(session: AsyncSession, selection_id: int, user_id: int | None) -> Selection:
    """A selection of this person's that has not expired; raises NotFound for every other."""
    mine = Selection.user_id.is_not_distinct_from(user_id)
    fresh = select(Selection).where(Selection.id == selection_id, mine, Selection.expires_at > func.now())
    if (found := await session.scalar(fresh)) is None:
        raise NotFound("This selection has expired, or it is somebody else's. Please select the rows again.")
    return found


@dataclass(frozen=True)
class Drift:
    """What happened to a selection since it was frozen: rows that changed, that match no more, and that came since."""

    changed: int
    left: int
    new: int


async def drift(
    session: AsyncSession, selection: Selection, model: type[Any], conditions: list[ColumnElement[bool]]
) -> Drift:
    """What happened since a selection was frozen, under the conditions that found it. Two statements."""
    chosen = Chosen.frozen(model, selection.id, selection.row_count)
    since = selection.created_at
    touched = model.updated_at > since if hasattr(model, "updated_at") else literal(False)
    counts = select(func.count().filter(touched), func.count().filter(*conditions))
    changed, matching = (await session.execute(counts.select_from(model).where(chosen.where(model.id)))).one()
    new = 0
    if hasattr(model, "created_at"):
        came = select(literal(1)).select_from(model).where(model.created_at > since, *conditions)
        new = await session.scalar(select(func.count()).select_from(came.limit(10_000).subquery())) or 0
    return Drift(changed, selection.row_count - matching, new)


async def bounds(session: AsyncSession, part: Chosen[Any]) -> tuple[int, int]:
    """The last id of the next rows, and how many there are; none when all is done."""
    rows = part.keys().subquery()
    last = func.min(rows.c[0]) if part.undo_of_id is not None else func.max(rows.c[0])
    row = (await session.execute(select(last, func.count()))).one()
    return row[0] or 0, row[1]


async def sweep(session: AsyncSession) -> int:
    """Forget selections that have expired and that no unfinished work needs; returns how many."""
    needed = select(ChangeSet.selection_id).where(ChangeSet.state.in_(UNFINISHED), ChangeSet.selection_id.is_not(None))
    old = delete(Selection).where(Selection.expires_at < func.now(), Selection.id.not_in(needed))
    gone = list((await session.scalars(old.returning(Selection.id))).all())
    if gone:
        await session.execute(delete(SelectionPart).where(SelectionPart.selection_id.in_(gone)))
    return len(gone)
