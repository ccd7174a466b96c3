"""The trash: rows of any model with the trait SoftDelete are put into it, taken out again, or deleted for good."""

from typing import Any

from sqlalchemy import Subquery, delete, false, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput
from admin_app.queries.changes import Chosen, Outcome, Writes, apply, write

NOT_IN_TRASH = "not in the trash"


async def put(session: AsyncSession, chosen: Chosen[Any], by: int | None, reason: str | None) -> Outcome:
    """Put the chosen rows into the trash; those that are there already stay `unchanged`, with their first reason.

    Raises BadInput without a reason.
    """
    _insist(reason, "Please say why; it is shown with the record in the trash.")
    model = chosen.model
    return await apply(
        session,
        chosen,
        set={model.deleted_at: func.coalesce(model.deleted_at, func.now())},
        also={model.deleted_by_id: by, model.delete_reason: reason},
    )


async def restore(session: AsyncSession, chosen: Chosen[Any]) -> Outcome:
    """Take the chosen rows out of the trash; those that are not in it stay `unchanged`."""
    model = chosen.model
    return await apply(
        session, chosen, set={model.deleted_at: None}, also={model.deleted_by_id: None, model.delete_reason: None}
    )


async def purge(session: AsyncSession, chosen: Chosen[Any], reason: str | None) -> Outcome:
    """Delete the chosen rows for good, with all that the database deletes with them; only those in the trash.

    A ticket goes with its comments, tags and attachments; the audit log keeps what was in them. Raises BadInput without
    a reason.
    """
    _insist(reason, "Please say why; it is kept in the audit log.")
    model = chosen.model

    def deleted(changed: Subquery) -> Writes:
        return [delete(model).where(model.id.in_(select(changed.c.id)))]

    return await write(
        session, chosen, unchanged=false(), skip={NOT_IN_TRASH: model.deleted_at.is_(None)}, writes=deleted
    )


def _insist(reason: str | None, why: str) -> None:
    if not (reason or "").strip():
        raise BadInput(fields={"reason": why})
