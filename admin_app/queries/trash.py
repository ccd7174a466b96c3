"""The trash: putting rows of any model with the trait SoftDelete into it, and taking them out again."""

from typing import Any

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput
from admin_app.queries.changes import Chosen, Outcome, apply


async def put(session: AsyncSession, chosen: Chosen[Any], by: int | None, reason: str | None) -> Outcome:
    """Put the chosen rows into the trash; those that are there already stay `unchanged`, with their first reason.

    Raises BadInput without a reason.
    """
    if not (reason or "").strip():
        raise BadInput(fields={"reason": "Please say why; it is shown with the record in the trash."})
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
