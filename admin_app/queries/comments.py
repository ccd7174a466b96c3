"""Comments: a ticket's thread, and adding to it."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from admin_app.errors import BadInput, NotFound
from admin_app.models import Comment, Ticket, storable


async def thread(session: AsyncSession, ticket_id: int, *, internal: bool, limit: int = 200) -> Sequence[Comment]:
    """The newest `limit` comments of a ticket with their authors, oldest first; notes only where `internal`."""
    newest = (
        select(Comment)
        .where(Comment.ticket_id == ticket_id)
        .order_by(Comment.created_at.desc(), Comment.id.desc())
        .limit(limit)
        .options(joinedload(Comment.author))
    )
    if not internal:
        newest = newest.where(Comment.is_internal.is_(False))
    return (await session.scalars(newest)).all()[::-1]


async def add(
    session: AsyncSession, ticket_id: int, author_id: int, content: str, *, is_internal: bool = True
) -> Comment:
    """Add a comment to a live ticket, an internal note unless made public on purpose.

    Raises BadInput for an empty text and NotFound for a ticket that is gone or in the trash.
    """
    if not content.strip():
        raise BadInput(fields={"content": "Please write something first."})
    if not storable(content):
        raise BadInput(fields={"content": "The text holds a character that cannot be stored."})
    if not await session.scalar(select(func.count()).where(Ticket.id == ticket_id, Ticket.deleted_at.is_(None))):
        raise NotFound("This ticket does not exist, or is in the trash.")
    comment = Comment(ticket_id=ticket_id, author_id=author_id, content=content, is_internal=is_internal)
    session.add(comment)
    await session.flush()
    return comment
