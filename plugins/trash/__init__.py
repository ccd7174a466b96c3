"""The trash: records of any model with the trait SoftDelete go there with a reason, and come back whole, or never."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import SoftDelete
from admin_app.plugin import Acting, Chosen, Outcome, Plugin
from admin_app.queries import trash

plugin = Plugin(__name__)


@plugin.action(SoftDelete, label="Move to trash", icon="trash", parallel=True, danger=True, reason="required")
async def put(session: AsyncSession, chosen: Chosen[Any], acting: Acting) -> Outcome:
    """The chosen records leave every list and statistic, and can be restored from the trash with all they had."""
    return await trash.put(session, chosen, acting.user_id, acting.reason)


@plugin.action(SoftDelete, label="Restore from trash", icon="restore", parallel=True, where=("trash",))
async def restore(session: AsyncSession, chosen: Chosen[Any]) -> Outcome:
    """The chosen records come back from the trash as they were, with their number, status and assignee."""
    return await trash.restore(session, chosen)


@plugin.action(
    SoftDelete,
    label="Purge",
    icon="x-circle",
    danger=True,
    reason="required",
    final="Purged records are gone for good.",
    where=("trash",),
    roles=(),
)
async def purge(session: AsyncSession, chosen: Chosen[Any], acting: Acting) -> Outcome:
    """The chosen records are deleted for good, tickets with all their comments, tags and attachments.

    Only the audit log still holds what was in them.
    """
    return await trash.purge(session, chosen, acting.reason)
