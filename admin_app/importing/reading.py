"""Reading CSV and JSONL, plain or gzipped, a row at a time; a row that cannot be read does not stop the others."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from admin_app.errors import BadInput
from admin_app.importing.mapping import MappingFile, nearest

LINE_LIMIT = 64 * 1024 * 1024
"""The longest line in bytes that is read; what is longer is no row."""

UNDECODED = re.compile("[\udc80-\udcff]")
"""What a byte becomes that is not UTF-8, by the error handler `surrogateescape`."""

GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class RawRow:
    """A row of the file: the line where it begins, and its values, or why there are none and the text as it stands."""

    line: int
    values: Mapping[str, Any]
    problem: str | None = None
    text: str = ""

    @property
    def original(self) -> Any:
        """The row for the file of rejected rows."""
        return self.text if self.problem else self.values


def rows(file: Path, mapping: MappingFile) -> Iterator[RawRow]:
    """Every row of a file; raises BadInput when the file as a whole cannot be used."""
    with _explained(file), _opened(file) as stream:
        yield from _csv_rows(file, stream, mapping) if _is_csv(file) else _json_rows(stream)


def size_of(file: Path) -> int:
    """How many bytes a file has; raises BadInput when it is empty, of no kind that is imported, or cannot be read."""
    _is_csv(file)
    with _explained(file), _opened(file) as stream:
        if not stream.read(1):
            raise BadInput(f"{file} is empty.")
        return file.stat().st_size


def _is_csv(file: Path) -> bool:
    kind = Path(file.name.removesuffix(".gz")).suffix.lower()
    if kind not in (".csv", ".jsonl", ".ndjson"):
        raise BadInput(f"{file} has to end in .csv or .jsonl, or in .csv.gz or .jsonl.gz.")
    return kind == ".csv"


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error) as error:
        raise BadInput(f"{file} breaks off or is damaged; unpacking it failed. Nothing was imported.") from error
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror or error}.") from error


def _opened(file: Path) -> IO[bytes]:
    packed = file.suffix.lower() == ".gz"
    with file.open("rb") as stream:
        begins_packed = stream.read(2) == GZIP
    if packed and not begins_packed:
        raise BadInput(f"{file} is named .gz but is not gzip.")
    if begins_packed and not packed:
        raise BadInput(f"{file} is gzip; give it a name that ends in .gz.")
    return io.BufferedReader(cast(io.RawIOBase, gzip.open(file))) if packed else file.open("rb")


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Every line with its end; None for one that is too long."""
    while line := stream.readline(LINE_LIMIT):
        too_long = len(line) == LINE_LIMIT and not line.endswith(b"\n")
        while too_long and line and not line.endswith(b"\n"):
            line = stream.readline(LINE_LIMIT)
        yield None if too_long else line


def _json_rows(stream: IO[bytes]) -> Iterator[RawRow]:
    for number, line in enumerate(_lines(stream), 1):
        if line is None:
            yield RawRow(number, {}, f"is longer than {LINE_LIMIT:,} bytes")
        elif line.strip():
            yield _json_row(number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)


def _json_row(number: int, line: bytes) -> RawRow:
    text = line.decode("utf-8", "surrogateescape").strip()
    try:
        found = json.loads(line.decode().strip())
    except UnicodeDecodeError as error:
        return RawRow(number, {}, f"is not UTF-8 at byte {error.start + 1}", text)
    except json.JSONDecodeError as error:
        return RawRow(number, {}, f"is not JSON: {error.msg} at character {error.pos + 1}", text)
    except (ValueError, RecursionError):
        return RawRow(number, {}, "is JSON that is too deep or has a number that is too long", text)
    if not isinstance(found, dict):
        return RawRow(number, {}, "is not a JSON object; each line has to be one, in braces", text)
    return RawRow(number, found)


def _csv_rows(file: Path, stream: IO[bytes], mapping: MappingFile) -> Iterator[RawRow]:
    csv.field_size_limit(LINE_LIMIT)
    lines = _CsvLines(file, stream)
    reader = csv.reader(lines, delimiter=mapping.delimiter, strict=True)
    header: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield RawRow(number, {}, f"is broken CSV ({error}); is a quotation mark missing or too many?", lines.last)
            continue
        if header is None:
            header = [name.strip() for name in cells]
            _check_header(file, header, mapping)
        elif cells:
            yield _csv_row(number, header, cells)


class _CsvLines:
    """The lines of a file as text, bytes that are not UTF-8 as surrogates; `last` is the latest one."""

    def __init__(self, file: Path, stream: IO[bytes]) -> None:
        self.file = file
        self.lines = enumerate(_lines(stream), 1)
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = next(self.lines)
        if line is None:
            raise BadInput(f"{self.file}: line {number} is longer than {LINE_LIMIT:,} bytes. Nothing was imported.")
        bare = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        self.last = bare.decode("utf-8", "surrogateescape")
        return self.last


def _csv_row(number: int, header: list[str], cells: list[str]) -> RawRow:
    if len(cells) != len(header):
        return RawRow(number, {}, f"has {len(cells)} values where the header has {len(header)}", "\t".join(cells))
    if UNDECODED.search(whole := "\t".join(cells)):
        return RawRow(number, {}, "is not UTF-8", whole)
    return RawRow(number, dict(zip(header, cells, strict=True)))


def _check_header(file: Path, header: list[str], mapping: MappingFile) -> None:
    """Raise BadInput for each column that the mapping reads and the file lacks."""
    doubled = sorted({name for name in header if header.count(name) > 1})
    problems = [f"{file} has the column {name!r} more than once." for name in doubled]
    problems += [
        f"{file} has no column {path!r}, from which {mapping.name} fills {name}. {nearest(path, header)}"
        for path, name in mapping.paths.items()
        if path not in header
    ]
    if problems:
        raise BadInput("\n".join(problems))
