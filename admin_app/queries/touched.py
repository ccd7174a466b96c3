"""The rows that a change set touched, as a condition for a list of them."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, inspect, select, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper

from admin_app.models import AuditLog, ChangeSet, RowOutcome
from admin_app.queries.changes import CHANGED, UNCHANGED


def touched(model: type[Any], change_set_id: int, outcome: str = "", *, audited: bool = True) -> ColumnElement[bool]:
    """The condition that a change set was about a row, and that this became of it; any outcome where none is named.

    An outcome is `changed`, `unchanged`, `skipped`, `failed`, or why a row was skipped or failed. With `audited`,
    records of which only the audit log tells are found as well, as changed: those edited one by one, or long ago.
    """
    table = inspect(model).local_table.name
    noted = (
        select(RowOutcome.record_id)
        .join(ChangeSet, ChangeSet.id == RowOutcome.change_set_id)
        .where(RowOutcome.change_set_id == change_set_id, ChangeSet.parameters["resource"].astext == table)
    )
    if outcome:
        noted = noted.where(*became(outcome))
    if not audited or outcome not in {"", CHANGED} or len(_mapper(model).primary_key) > 1:
        return _key(model).in_(noted)
    entry = case((AuditLog.table_name == table, cast(AuditLog.record_id, BigInteger)))
    logged = select(entry).where(AuditLog.change_set_id == change_set_id, AuditLog.table_name == table)
    return _key(model).in_(union(noted, logged))


async def is_noted(session: AsyncSession, change_set_id: int) -> bool:
    """Whether it is known of each row what became of it, so that the audit log need not be asked."""
    found = select(RowOutcome.record_id).where(RowOutcome.change_set_id == change_set_id).limit(1)
    return await session.scalar(found) is not None


def became(outcome: str) -> list[ColumnElement[bool]]:
    """The condition of one row's outcome, named as for `touched`."""
    match outcome:
        case "skipped":
            return [RowOutcome.outcome.not_in((CHANGED, UNCHANGED)), ~RowOutcome.failed]
        case "failed":
            return [RowOutcome.failed.is_(True)]
        case _:
            return [RowOutcome.outcome == outcome]


def _mapper(model: type[Any]) -> Mapper[Any]:
    found: Mapper[Any] = inspect(model)
    return found


def _key(model: type[Any]) -> ColumnElement[int]:
    key: ColumnElement[int] = model.id
    return key
