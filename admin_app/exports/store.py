"""The folder of exported files: a file gets its name once it is whole, so that no half one is ever given out."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from admin_app.files import Files
from admin_app.settings import Settings

ROOM = 1024 * 1024
"""Bytes that are gathered before they are written."""
LOST = 24 * 3600
"""Seconds after which a file that nobody knows of was left by a worker that died."""


def files_of(settings: Settings) -> Files:
    """Where exported files are kept, next to the attachments."""
    return Files(Path(settings.data_dir) / "exports", settings.upload_limit_mb)


class Draft:
    """A file that is being written."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self.file = path.open("xb", buffering=0)
        self.gathered = bytearray()

    async def write(self, piece: bytes) -> None:
        """Add a piece; the disk is waited for once a good deal has come together."""
        self.size += len(piece)
        self.gathered += piece
        if len(self.gathered) >= ROOM:
            await self._flush()

    async def _flush(self) -> None:
        gathered, self.gathered = self.gathered, bytearray()
        await asyncio.to_thread(self.file.write, gathered)

    async def settle(self) -> None:
        """Make sure that all of it is on the disk."""
        await self._flush()
        await asyncio.to_thread(os.fsync, self.file.fileno())


@asynccontextmanager
async def drafted(files: Files, key: str) -> AsyncIterator[Draft]:
    """A file to write, which gets its place at the end of the block, and is taken away where that fails."""
    place = files.place(key)
    draft = Draft(await asyncio.to_thread(_room, files.folder, place))
    try:
        yield draft
        await draft.settle()
        draft.path.replace(place)
    finally:
        draft.file.close()
        draft.path.unlink(missing_ok=True)


def _room(folder: Path, place: Path) -> Path:
    """Make the folders for a file, which other users of the machine cannot read; returns where it is drafted."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.parent.mkdir(exist_ok=True)
    return place.with_name(f".{place.name}")


async def clear(files: Files, known: Collection[str]) -> None:
    """Take away what nobody knows of, and is older than any that could still be written."""
    for path in await asyncio.to_thread(lambda: list(_old(files.folder))):
        if path.name not in known:
            await asyncio.to_thread(path.unlink, missing_ok=True)


def _old(folder: Path) -> Iterator[Path]:
    before = time.time() - LOST
    return (path for path in folder.glob("*/*") if path.is_file() and path.stat().st_mtime < before)
