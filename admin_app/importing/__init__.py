"""Import of users, tickets and comments from CSV and JSONL, as one change set, in bounded memory.

    file → rows (reading) → records (records, by the mapping) → COPY → checks, inserts and updates (queries.imports)

A rehearsal does all of it and undoes it, so that what it counts is what the import will count.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import IO

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.db import Acting, Change, Database
from admin_app.errors import BadInput
from admin_app.importing.mapping import MappingFile, load, nearest
from admin_app.importing.reading import RawRow, rows, size_of
from admin_app.importing.records import Converter
from admin_app.queries import imports

__all__ = ["Report", "load", "run"]

Progress = Callable[[int], None]
"""Told every so often how many rows were read."""

STEP = 1_000


@dataclass(frozen=True)
class Report:
    """What an import did, or what a rehearsal would have done: rows by outcome, and what is told about them.

    `rejected_file` holds the rejected rows with their reasons, one JSON object a line; None when there are none.
    """

    new: int
    changed: int
    unchanged: int
    rejected: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    rejected_file: Path | None = None
    change_set_id: int | None = None


class _Undone(Exception):
    """Ends a rehearsal's transaction without a commit."""


async def run(
    database: Database,
    acting: Acting,
    file: Path,
    mapping: MappingFile,
    *,
    rehearsal: bool = False,
    rejected_file: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import a file by a mapping as one change set; a `rehearsal` does the same and undoes it.

    Rejected rows are written to `rejected_file`, by default beside the file; all others are imported. Raises BadInput
    when the file as a whole cannot be used, and then nothing was changed.
    """
    size = size_of(file)
    rejected_file = rejected_file or file.with_name(f"{file.name}.rejected.jsonl")
    _check_place(rejected_file, file)
    found: list[Report] = []
    with suppress(_Undone):
        parameters = {"file": file.name, "mapping": mapping.name, "size_bytes": size}
        async with database.transaction(acting, f"import.{mapping.into}", parameters=parameters) as change:
            found.append(await _import(change, file, mapping, rehearsal, rejected_file, progress))
            if rehearsal:
                raise _Undone
    return found[0]


async def _import(
    change: Change, file: Path, mapping: MappingFile, rehearsal: bool, rejected_file: Path, progress: Progress | None
) -> Report:
    session, target = change.session, imports.TARGETS[mapping.into]
    converter = Converter(mapping)
    await imports.stage(session, target, converter.staged_records(_watched(rows(file, mapping), progress)))
    tally = await imports.bring_in(
        session,
        target,
        mapping.sources.keys(),
        duplicates=mapping.duplicates,
        nobody=mapping.nobody,
        rehearsal=rehearsal,
    )
    if tally.rejected:
        await _write_rejected(session, rejected_file, rows(file, mapping))
    change.counts.changed, change.counts.unchanged = tally.new + tally.changed, tally.unchanged
    change.counts.failed, change.counts.skipped = tally.rejected, dict(tally.skipped)
    return Report(
        new=tally.new,
        changed=tally.changed,
        unchanged=tally.unchanged,
        rejected=tally.rejected,
        skipped=tally.skipped,
        notes=tally.notes,
        warnings=tuple(_warnings(mapping, converter)),
        rejected_file=rejected_file if tally.rejected else None,
        change_set_id=None if rehearsal else change.id,
    )


def _watched(source: Iterator[RawRow], progress: Progress | None) -> Iterator[RawRow]:
    for count, row in enumerate(source, 1):
        if progress and count % STEP == 0:
            progress(count)
        yield row


def _warnings(mapping: MappingFile, converter: Converter) -> Iterator[str]:
    """A warning for each path that leads nowhere in all of the file: probably misspelt."""
    for path in converter.unseen if converter.keys else ():
        hint = nearest(path, converter.keys)
        yield f"No row has {path!r}, from which {mapping.name} fills {mapping.paths[path]}. {hint}"


def _check_place(rejected_file: Path, file: Path) -> None:
    """Raise BadInput, before anything is done, when rejected rows could not be written, or over the source itself."""
    folder = rejected_file.absolute().parent
    writable = os.access(rejected_file if rejected_file.exists() else folder, os.W_OK)
    if not writable or rejected_file.is_dir() or rejected_file.resolve() == file.resolve():
        advice = "Name another file for them with --rejected."
        raise BadInput(f"Rejected rows could not be written to {rejected_file}. {advice}")


async def _write_rejected(session: AsyncSession, file: Path, source: Iterator[RawRow]) -> None:
    """Write each rejected row with its line and reasons, read again from the source."""
    with _opened_to_write(file) as stream:
        page, row = await imports.rejections(session), next(source)
        while page:
            for line, rejected in groupby(page, attrgetter("line")):
                while row.line < line:
                    row = next(source)
                reasons = dict.fromkeys(reason for each in rejected for reason in each.reasons)
                entry = {"line": line, "reasons": list(reasons), "row": row.original}
                stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
            page = await imports.rejections(session, page[-1].position)


@contextmanager
def _opened_to_write(file: Path) -> Iterator[IO[str]]:
    """A file for JSON; what is not UTF-8 in a rejected row is written as an escape."""
    try:
        with file.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            yield stream
    except OSError as error:
        raise BadInput(f"Rejected rows could not be written to {file}: {error.strerror}.") from error
