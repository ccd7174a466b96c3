"""The file formats of exports, written batch by batch, so that memory does not grow with the list."""

import asyncio
import csv
import io
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook

Rows = Sequence[Sequence[Any]]
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A text that begins so would be calculated by a spreadsheet, with whatever a stranger wrote into it."""


def csv_text(names: Sequence[str] | None, rows: Rows) -> str:
    """Rows for a spreadsheet, under their names where these are given.

    UTF-8 with a byte order mark, without which Excel misreads it; a text that would be a formula gets a ' in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    if names is not None:
        buffer.write("\ufeff")
        writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
    value = _flat(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _flat(value: Any) -> Any:
    """A value that fits into one cell."""
    match value:
        case datetime():
            return value.isoformat()
        case list():
            return ", ".join(map(str, value))
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return value


def jsonl_text(names: Sequence[str], rows: Rows) -> str:
    """Rows for a program: one JSON object a line, times in ISO 8601."""
    objects = (dict(zip(names, row, strict=True)) for row in rows)
    return "".join(json.dumps(item, ensure_ascii=False, default=_plain) + "\n" for item in objects)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def csv_chunks(names: Sequence[str], batches: AsyncIterator[Rows]) -> AsyncIterator[str]:
    """A CSV file in pieces, the first with the names."""
    yield csv_text(names, [])
    async for rows in batches:
        yield csv_text(None, rows)


async def jsonl_chunks(names: Sequence[str], batches: AsyncIterator[Rows]) -> AsyncIterator[str]:
    """A JSON Lines file in pieces."""
    async for rows in batches:
        yield jsonl_text(names, rows)


SHEET_ROWS = 1_048_576
"""Rows that fit on a sheet; what comes after them goes on the next."""
CELL_LENGTH = 32_767
"""Characters that fit into a cell."""
EXACT = 2**53
"""Up to which a spreadsheet keeps whole numbers exactly."""
DAWN = datetime(1900, 1, 1, tzinfo=UTC)
"""The first moment that a spreadsheet knows."""
PIECE = 256 * 1024
"""Bytes of a finished file that are sent at a time."""


class Sheets:
    """A workbook that is written row by row: only the present row is in memory; at most so many are on one sheet."""

    def __init__(self, names: Sequence[str], folder: Path, most: int = SHEET_ROWS) -> None:
        options = {"constant_memory": True, "tmpdir": str(folder), "use_zip64": True}
        self.file = folder / "export.xlsx"
        self.names, self.most = names, most
        self.book = Workbook(str(self.file), options)
        self.bold = self.book.add_format({"bold": True})
        self.moment = self.book.add_format({"num_format": 'yyyy-mm-dd hh:mm:ss "UTC"'})
        self._turn()

    def _turn(self) -> None:
        """Go on on a new sheet."""
        self.sheet, self.line = self.book.add_worksheet(), 1
        self.sheet.freeze_panes(1, 0)
        self.sheet.set_column(0, max(len(self.names) - 1, 0), 18)
        for column, name in enumerate(self.names):
            self.sheet.write_string(0, column, name, self.bold)

    def write(self, rows: Rows) -> None:
        """Add rows."""
        for row in rows:
            if self.line == self.most:
                self._turn()
            for column, value in enumerate(row):
                self._put(column, value)
            self.line += 1

    def _put(self, column: int, value: Any) -> None:
        """A value as what it is; every text as a text, so that none is calculated, whatever it begins with."""
        if value is None:
            return
        if isinstance(value, bool):
            self.sheet.write_boolean(self.line, column, value)
        elif isinstance(value, int | float | Decimal) and -EXACT <= value <= EXACT:
            self.sheet.write_number(self.line, column, value)
        elif isinstance(value, datetime) and value >= DAWN:
            self.sheet.write_datetime(self.line, column, value.astimezone(UTC).replace(tzinfo=None), self.moment)
        else:
            self.sheet.write_string(self.line, column, _in_cell(value))


def _in_cell(value: Any) -> str:
    text = str(_flat(value))
    return text if len(text) <= CELL_LENGTH else f"{text[: CELL_LENGTH - 1]}…"


async def xlsx_chunks(names: Sequence[str], batches: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    """An Excel workbook in pieces, from a file that is made first; times are in UTC, since cells know no zone."""
    with tempfile.TemporaryDirectory(prefix="backdesk-export-", ignore_cleanup_errors=True) as folder:
        sheets = await asyncio.to_thread(Sheets, names, Path(folder))
        try:
            async for rows in batches:
                await asyncio.to_thread(sheets.write, rows)
        finally:
            await asyncio.to_thread(sheets.book.close)
        file = await asyncio.to_thread(sheets.file.open, "rb")
        with file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece


Writer = Callable[[Sequence[str], AsyncIterator[Rows]], AsyncIterator[str] | AsyncIterator[bytes]]
FORMATS: dict[str, tuple[Writer, str]] = {
    "csv": (csv_chunks, "text/csv; charset=utf-8"),
    "xlsx": (xlsx_chunks, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "jsonl": (jsonl_chunks, "application/x-ndjson; charset=utf-8"),
}
"""By the end of the file's name: how it is written, and its media type."""
