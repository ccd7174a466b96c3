"""Excel workbooks of any length, of which only the present row is in memory."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook

Rows = Sequence[Sequence[Any]]

SHEET_ROWS = 1_048_576
"""Rows that fit on a sheet; what comes after them goes on the next."""
CELL_LENGTH = 32_767
"""Characters that fit into a cell."""
EXACT = 2**53
"""Up to which a spreadsheet keeps whole numbers exactly."""
DAWN = datetime(1900, 1, 1, tzinfo=UTC)
"""The first moment that a spreadsheet knows."""


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
