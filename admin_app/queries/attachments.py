"""Attachments: those of a ticket, adding to a ticket, and what a file may be called."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import Conflict
from admin_app.models import Attachment, Ticket, User
from admin_app.queries.arrays import as_array


@dataclass(slots=True)
class File:
    """An attachment as its ticket's page shows it."""

    id: int
    filename: str
    size_bytes: int
    is_internal: bool
    created_at: datetime
    uploaded_by: str | None


@cache
def newest(limit: int, *, internal: bool) -> ColumnElement[Any]:
    """The newest files of a ticket outside the trash, as a column of a statement that reads it; see `files`.

    Each with who added it; internal ones only if asked for.
    """
    columns = Attachment.id, Attachment.filename, Attachment.size_bytes, Attachment.is_internal, Attachment.created_at
    found = select(func.row(*columns, User.label)).outerjoin(Attachment.uploaded_by).correlate(Ticket)
    found = found.where(Attachment.ticket_id == Ticket.id, Attachment.deleted_at.is_(None))
    shown = found if internal else found.where(Attachment.is_internal.is_(False))
    return as_array(shown.order_by(Attachment.id.desc()).limit(limit))


def files(found: Iterable[Sequence[Any]]) -> list[File]:
    """What `newest` holds, which the driver has taken apart, as files, the newest first."""
    return [File(*columns) for columns in found]


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
