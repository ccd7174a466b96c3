"""What became of every row of a change set, for a file: one COPY, with what each record is called joined to it."""

from typing import Any

from sqlalchemy import Text, cast, func, inspect, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper

from admin_app.models import ChangeSet, RowOutcome
from admin_app.queries.export import Sink, copy, safe
from admin_app.queries.readable import mapper_of, table_label
from admin_app.queries.touched import became


def mapper_with_label(change_set: ChangeSet) -> Mapper[Any] | None:
    """What a change set's rows are, where the database knows what they are called; None where only Python does."""
    mapper = mapper_of(str(change_set.parameters.get("resource", "")))
    named = mapper is not None and "label" in inspect(mapper.class_).all_orm_descriptors
    return mapper if named and change_set.undo_of_id is None else None


async def copy_outcomes(
    session: AsyncSession, change_set: ChangeSet, mapper: Mapper[Any], outcome: str, sink: Sink, *, named: bool
) -> int:
    """Send kind, id, name, outcome and whether it failed of each row; the names only where they may be `named`."""
    model, table = mapper.class_, str(change_set.parameters["resource"])
    label = safe(func.coalesce(cast(model.label, Text), literal(""))) if named else literal("")
    values = (
        literal(table_label(table)),
        RowOutcome.record_id,
        label,
        safe(cast(RowOutcome.outcome, Text)),
        cast(RowOutcome.failed, Text),
    )
    rows = select(*(value.label(f"c{place}") for place, value in enumerate(values))).select_from(RowOutcome)
    rows = rows.outerjoin(model, model.id == RowOutcome.record_id).where(RowOutcome.change_set_id == change_set.id)
    if outcome:
        rows = rows.where(*became(outcome))
    return await copy(session, rows.order_by(RowOutcome.record_id), sink)
