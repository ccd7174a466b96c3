"""The file formats of exports, written batch by batch, so that memory does not grow with the list."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any

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
        case datetime():
            return value.isoformat()
        case list():
            value = ", ".join(map(str, value))
        case dict():
            value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


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


Writer = Callable[[Sequence[str], AsyncIterator[Rows]], AsyncIterator[str]]
FORMATS: dict[str, tuple[Writer, str]] = {
    "csv": (csv_chunks, "text/csv; charset=utf-8"),
    "jsonl": (jsonl_chunks, "application/x-ndjson; charset=utf-8"),
}
"""By the end of the file's name: how it is written, and its media type."""
