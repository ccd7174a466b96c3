"""A file of an export, written piece by piece to whoever takes it, as fast as they do."""

import asyncio
import codecs
import csv
import io
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.exports.layout import Layout
from admin_app.queries.export import FORMULA, Extract, Sink, batches, copy_csv, copy_jsonl

Progress = Callable[[int], Awaitable[None]]
"""Is told how many rows were read, every now and then."""


async def write(
    session: AsyncSession, extract: Extract, layout: Layout, sink: Sink, progress: Progress | None = None
) -> int:
    """Give every row to the sink, as the layout says; returns how many there were.

    Nothing is given before the first rows are there, so that what fails at once can still be told in another way.
    """
    match layout.kind:
        case "csv":
            pieces = _Pieces(sink, progress, csv_text(extract.headings, bom=layout.bom), quoted=True)
            rows = await copy_csv(session, extract, pieces.take, formulas=layout.formulas)
            await pieces.finish()
            return rows
        case "jsonl":
            return await copy_jsonl(session, extract, _Pieces(sink, progress).take)
        case _:
            return await _write_workbook(session, extract, sink, progress)


def csv_text(*lines: Sequence[str], bom: bool = False) -> bytes:
    """Lines of CSV, in front of them a byte order mark where one is wanted."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return (codecs.BOM_UTF8 if bom else b"") + buffer.getvalue().encode()


def harmless(text: str) -> str:
    """A text of which no spreadsheet makes a formula."""
    return f"'{text}" if text.startswith(tuple(FORMULA)) else text


PIECE = 256 * 1024
"""Bytes of a finished file that are sent at a time."""


class _Pieces:
    """Passes pieces on, the first behind a `head`, and tells how many rows they were; quotes may hold line breaks."""

    def __init__(self, sink: Sink, progress: Progress | None, head: bytes = b"", *, quoted: bool = False) -> None:
        self.sink, self.progress, self.head, self.quoted = sink, progress, head, quoted
        self.lines, self.inside = 0, 0

    async def take(self, piece: bytes) -> None:
        head, self.head = self.head, b""
        await self.sink(head + piece if head else piece)
        if self.progress is not None:
            self.lines += self._ends(piece)
            await self.progress(self.lines)

    async def finish(self) -> None:
        """Pass on the head where no row came behind it."""
        if self.head:
            await self.sink(self.head)

    def _ends(self, piece: bytes) -> int:
        """How many lines end in a piece: line breaks between quotes do not count."""
        if not self.quoted:
            return piece.count(b"\n")
        parts = piece.split(b'"')
        outside = parts[self.inside :: 2]
        self.inside = (self.inside + len(parts) - 1) % 2
        return sum(part.count(b"\n") for part in outside)


async def _write_workbook(session: AsyncSession, extract: Extract, sink: Sink, progress: Progress | None) -> int:
    """An Excel workbook, from a file that is made first; times are in UTC, since cells know no zone."""
    from admin_app.exports.workbook import Sheets  # with XlsxWriter, 2 MB that a server may never need

    number = 0
    with tempfile.TemporaryDirectory(prefix="backdesk-export-", ignore_cleanup_errors=True) as folder:
        sheets = await asyncio.to_thread(Sheets, extract.headings, Path(folder))
        try:
            async for rows in batches(session, extract):
                await asyncio.to_thread(sheets.write, rows)
                number += len(rows)
                if progress is not None:
                    await progress(number)
        finally:
            await asyncio.to_thread(sheets.book.close)
        file = await asyncio.to_thread(sheets.file.open, "rb")
        with file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                await sink(piece)
    return number
