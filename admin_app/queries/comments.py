"""Comments: a ticket's thread, adding to it, and a note to many tickets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Subquery, false, func, insert, literal, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput, NotFound
from admin_app.models import Comment, Ticket, User, storable
from admin_app.queries.arrays import as_array
from admin_app.queries.changes import Chosen, Outcome, Writes, write
from admin_app.queries.light import Reference
from admin_app.queries.tickets import IN_TRASH


@dataclass(slots=True)
class Said:
    """A comment as its ticket's page shows it."""

    id: int
    content: str
    is_internal: bool
    created_at: datetime
    version: int
    author: Reference


@cache
def newest(limit: int) -> ColumnElement[Any]:
    """The newest comments of a ticket with their authors, as a column of a statement that reads it; see `said`."""
    columns = Comment.id, Comment.content, Comment.is_internal, Comment.created_at, Comment.version
    found = select(func.row(*columns, User.id, User.label)).join(Comment.author)
    found = found.where(Comment.ticket_id == Ticket.id).correlate(Ticket).limit(limit)
    return as_array(found.order_by(Comment.created_at.desc(), Comment.id.desc()))


def said(found: Sequence[Sequence[Any]]) -> list[Said]:
    """What `newest` holds, which the driver has taken apart, as comments in the order in which they were said."""
    return [
        Said(key, content, is_internal, at, version, Reference(User, author, name))
        for key, content, is_internal, at, version, author, name in reversed(found)
    ]


async def add(
    session: AsyncSession, ticket_id: int, author_id: int, content: str, *, is_internal: bool = True
) -> Comment:
    """Add a comment to a live ticket, an internal note unless made public on purpose.

    Raises BadInput for an empty text and NotFound for a ticket that is gone or in the trash.
    """
    _check(content)
    if not await session.scalar(select(func.count()).where(Ticket.id == ticket_id, Ticket.deleted_at.is_(None))):
        raise NotFound("This ticket does not exist, or is in the trash.")
    comment = Comment(ticket_id=ticket_id, author_id=author_id, content=content, is_internal=is_internal)
    session.add(comment)
    await session.flush()
    return comment


async def note(session: AsyncSession, chosen: Chosen[Ticket], author_id: int, content: str) -> Outcome:
    """Write an internal note to every chosen ticket, in one statement; those in the trash are skipped.

    Raises BadInput for an empty text.
    """
    _check(content)

    def written(changed: Subquery) -> Writes:
        lines = select(changed.c.id, literal(author_id, BigInteger), literal(content), true()).order_by(changed.c.id)
        return [insert(Comment).from_select(["ticket_id", "author_id", "content", "is_internal"], lines)]

    skip = {IN_TRASH: Ticket.deleted_at.is_not(None)}
    return await write(session, chosen, unchanged=false(), skip=skip, writes=written)


def _check(content: str) -> None:
    if not content.strip():
        raise BadInput(fields={"content": "Please write something first."})
    if not storable(content):
        raise BadInput(fields={"content": "The text holds a character that cannot be stored."})
