"""Attachments: those of a ticket, adding to a ticket, and what a file may be called."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from sqlalchemy import BigInteger, Integer, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import Conflict
from admin_app.models import Attachment, Ticket, User


@dataclass(slots=True)
class File:
    """An attachment as its ticket's page shows it."""

    id: int
    filename: str
    size_bytes: int
    is_internal: bool
    created_at: datetime
    uploaded_by: str | None


async def of_ticket(session: AsyncSession, ticket_id: int, *, internal: bool, limit: int = 200) -> list[File]:
    """The newest `limit` attachments of a ticket outside the trash, with who added them; internal ones if asked for."""
    newest = NEWEST if internal else NEWEST.where(Attachment.is_internal.is_(False))
    return [File(*row) for row in await session.execute(newest, {"ticket": ticket_id, "limit": limit})]


NEWEST = (
    select(Attachment.id, Attachment.filename, Attachment.size_bytes, Attachment.is_internal, Attachment.created_at)
    .add_columns(User.label)
    .outerjoin(Attachment.uploaded_by)
    .where(Attachment.ticket_id == bindparam("ticket", type_=BigInteger), Attachment.deleted_at.is_(None))
    .order_by(Attachment.id.desc())
    .limit(bindparam("limit", type_=Integer))
)


async def add(session: AsyncSession, ticket_id: int, files: Sequence[Attachment]) -> None:
    """Add files to a live ticket; raises Conflict for one that is gone or in the trash."""
    live = select(func.count()).where(Ticket.id == ticket_id, Ticket.deleted_at.is_(None))
    if not await session.scalar(live):
        raise Conflict("This ticket does not exist any more, or is in the trash.")
    for attachment in files:
        attachment.ticket_id = ticket_id
    session.add_all(files)
    await session.flush()


INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
NAME_LENGTH = 255


def cleaned(name: str) -> str:
    """A file's name without folders and without characters that deceive, at most 255 characters with its ending."""
    text = INVISIBLE.sub("", unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])).strip(" .")
    ending = PurePosixPath(text).suffix[:20]
    return (text if len(text) <= NAME_LENGTH else f"{text[: NAME_LENGTH - len(ending)]}{ending}") or "file"
