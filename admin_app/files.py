"""Attachments on disk: which files are taken, how they are stored, and finding them again.

A file is written under a random name beside the others, hashed on the way, and only then given its place; so a file in
its place is always whole. What a browser says about a file is never believed.
"""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from admin_app.errors import BadInput, NotFound

CHUNK = 256 * 1024
"""Bytes that are held in memory at a time."""

HEAD = 4096
"""Bytes from which a file's kind is told."""

OFFICE = "application/vnd.openxmlformats-officedocument"
TYPES = {
    ".csv": "text/csv",
    ".doc": "application/msword",
    ".docx": f"{OFFICE}.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".mp4": "video/mp4",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": f"{OFFICE}.presentationml.presentation",
    ".txt": "text/plain",
    ".webp": "image/webp",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": f"{OFFICE}.spreadsheetml.sheet",
    ".zip": "application/zip",
}
"""The endings that are taken, and the type under which each is given out again."""

_COMPOUND = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
BEGINNINGS = {
    ".doc": _COMPOUND,
    ".xls": _COMPOUND,
    ".ppt": _COMPOUND,
    **dict.fromkeys((".docx", ".odp", ".ods", ".odt", ".pptx", ".xlsx", ".zip"), _ZIP),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".gz": (b"\x1f\x8b",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".jpg": (b"\xff\xd8\xff",),
    ".pdf": (b"%PDF-",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".webp": (b"RIFF",),
}
"""What a file with such an ending begins with; endings that are not here are texts, or .mp4."""

PROGRAMS = (b"MZ", b"\x7fELF", b"#!", b"\xfe\xed\xfa", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
MARKUP = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<!--((?!-->).)*-->\s*)*<(!doctype\s+html|html|head|body|script|iframe|svg|\?xml[^>]*>.{0,2000}<svg)",
    re.IGNORECASE | re.DOTALL,
)
"""How a web page begins, or a picture that can hold scripts. A comment ends at its first end: were that left open, many
comments could be divided in so many ways that trying them all would take years."""

TEXT_MARKS = (b"\xff\xfe", b"\xfe\xff")

Read = Callable[[int], Awaitable[bytes]]


@dataclass(frozen=True)
class Stored:
    """A file that has its place: the key to find it by, how large it is, and its hash."""

    key: str
    size_bytes: int
    sha256: str
    content_type: str


class Files:
    """The folder in which attachments are kept."""

    def __init__(self, folder: Path, limit_mb: int) -> None:
        self.folder, self.limit_mb = folder, limit_mb

    async def put(self, name: str, read: Read) -> Stored:
        """Take in a file, by a function that reads so many bytes of it; raises BadInput for one that is not taken."""
        key = secrets.token_hex(16)
        place = self.place(key)
        draft = place.with_name(f".{place.name}")
        await asyncio.to_thread(self._make_room, place.parent)
        try:
            stored = await self._write(key, name, read, draft)
            await asyncio.to_thread(draft.replace, place)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return stored

    def _make_room(self, folder: Path) -> None:
        """Make the folders for a file, which other users of the machine cannot read."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)

    async def _write(self, key: str, name: str, read: Read, draft: Path) -> Stored:
        digest, size = hashlib.sha256(), 0
        chunk = await read(CHUNK)
        content_type = accepted(name, chunk[:HEAD])
        with draft.open("xb") as file:
            while chunk:
                size += len(chunk)
                if size > self.limit_mb * 1024 * 1024:
                    raise BadInput(f"“{name}” is larger than {self.limit_mb} MB, the limit of one file.")
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
                chunk = await read(CHUNK)
            await asyncio.to_thread(_settle, file.fileno(), file.flush)
        return Stored(key, size, digest.hexdigest(), content_type)

    def place(self, key: str) -> Path:
        """Where the file of a key is kept; raises NotFound for a key that was never one of ours."""
        if not re.fullmatch(r"[0-9A-Za-z_-]{8,100}", key):
            raise NotFound("This file is not in the store.")
        return self.folder / key[:2] / key

    async def find(self, key: str) -> Path:
        """The file of a key; raises NotFound where the disk does not have it."""
        place = self.place(key)
        if not await asyncio.to_thread(place.is_file):
            raise NotFound(
                "This file is not in the store any more. Its entry is still here; ask whoever keeps backups."
            )
        return place

    async def remove(self, key: str) -> None:
        """Take away a file that nothing refers to."""
        await asyncio.to_thread(self.place(key).unlink, missing_ok=True)


def _settle(number: int, flush: Callable[[], None]) -> None:
    """Make sure that the bytes are on the disk before anything refers to them."""
    flush()
    os.fsync(number)


def accepted(name: str, head: bytes) -> str:
    """The type of a file by its ending, once its beginning agrees; raises BadInput for what is not taken."""
    ending = PurePosixPath(name.lower()).suffix
    if ending not in TYPES:
        raise BadInput(f"“{name}” cannot be attached. Files may end in {', '.join(sorted(TYPES))}.")
    if not head:
        raise BadInput(f"“{name}” is empty.")
    if head.startswith(PROGRAMS):
        raise BadInput(f"“{name}” is a program. Programs cannot be attached, whatever they are called.")
    if ending == ".mp4":
        fits = head[4:8] == b"ftyp"
    elif ending in BEGINNINGS:
        fits = head.startswith(BEGINNINGS[ending])
    elif MARKUP.match(head):
        raise BadInput(f"“{name}” holds a web page. Put it into a .zip file first.")
    else:
        fits = head.startswith(TEXT_MARKS) or b"\x00" not in head
    if not fits:
        raise BadInput(f"“{name}” is not what its ending says. Check the file, then attach it again.")
    return TYPES[ending]
