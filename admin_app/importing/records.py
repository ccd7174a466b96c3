"""Rows of a source become records to be staged; dirt is repaired by rules, each of which leaves a note."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from admin_app.importing.fields import FIELDS, Unusable
from admin_app.importing.mapping import MappingFile
from admin_app.importing.reading import RawRow
from admin_app.importing.sources import Row, as_text
from admin_app.importing.values import Notes, value
from admin_app.models import DONE, TicketStatus
from admin_app.queries.imports import TARGETS

TITLE_LENGTH = 500
DAYS_UNTIL_DUE = 7
LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=DAYS_UNTIL_DUE)

TITLE_CUT = "title: longer than 500 characters, stands in full at the beginning of the description"
NAME_MISSING = "full_name: missing, the e-mail address stands in"
RESOLVED_CLEARED = "resolved_at: cleared, since the ticket is not done"
CLOSED_CLEARED = "closed_at: cleared, since the ticket is not closed"
RESOLVED_MISSING = "resolved_at: missing though the ticket is done, its last known time was taken"
RESOLVED_FROM_CLOSED = "resolved_at: missing though the ticket is closed, the time of closing was taken"
BEFORE_CREATED = "{name}: before created_at, was set to that"

Record = dict[str, Any]


class Converter:
    """Makes records of rows.

    `count` is how many were made, `unseen` the paths of the mapping that no row had so far, `keys` what the first had.
    """

    def __init__(self, mapping: MappingFile) -> None:
        self.mapping = mapping
        self.fields = FIELDS[mapping.into]
        self.staged = tuple(TARGETS[mapping.into].staged)
        self.finish = FINISH.get(mapping.into)
        self.stand_in = TARGETS[mapping.into].stand_in
        self.unseen = list(mapping.paths)
        self.keys: list[str] = []
        self.count = 0

    def staged_records(self, rows: Iterable[RawRow]) -> Iterator[tuple[Any, ...]]:
        """What is to be staged: position, line, reasons, notes, then every field."""
        for row in rows:
            if row.problem:
                yield self._staged(row.line, {}, [f"line {row.problem}"], [])
                continue
            self.keys = self.keys or list(row.values)
            self.unseen = [path for path in self.unseen if not row.values.keys() & {path, path.split(".")[0]}]
            try:
                parts = list(self._parts(row.values))
            except Unusable as problem:
                yield self._staged(row.line, {}, [f"each {problem}"], [])
                continue
            for part in parts:
                yield self._converted(row.line, part)

    def _parts(self, row: Row) -> Iterator[Row]:
        """The row itself, or for every entry of its list, or filled column, the row with that under `each`."""
        mapping = self.mapping
        if mapping.each_list is not None:
            entries = mapping.each_list.find(row)
            if not isinstance(entries, list | None):
                raise Unusable(f"is no list at {mapping.each_list.text}")
            yield from ({**row, "each": entry} for entry in entries or ())
        elif mapping.each_column:
            for column in mapping.each_column:
                if (found := as_text(row.get(column), mapping.customs.absent)) is not None:
                    yield {**row, "each": {"column": column, "value": found}}
        else:
            yield row

    def _converted(self, line: int, row: Row) -> tuple[Any, ...]:
        notes: Notes = []
        reasons: list[str] = []
        record: Record = dict.fromkeys(self.fields)
        for name, source in self.mapping.sources.items():
            try:
                found = value(name, self.fields[name], source, row, self.mapping.customs, notes)
                record[name] = self._present(name, notes, reasons) if found is None else found
            except Unusable as problem:
                reasons.append(f"{name}: {problem}")
        if self.finish and not reasons:
            self.finish(record, notes, self.mapping)
        return self._staged(line, record, reasons, notes)

    def _present(self, name: str, notes: Notes, reasons: list[str]) -> Any:
        """What takes the place of a value that the source does not have."""
        facts = self.fields[name]
        if facts.default is not None:
            notes.append(f"{name}: missing, became {facts.default}")
        elif name == self.stand_in and self.mapping.nobody:
            notes.append(f"{name}: missing, {self.mapping.nobody.full_name} stands in")
            return self.mapping.nobody.email
        elif facts.needed:
            advice = "; [nobody] in the mapping can name who stands in" if name == self.stand_in else ""
            reasons.append(f"{name}: is missing{advice}")
        return facts.default

    def _staged(self, line: int, record: Record, reasons: list[str], notes: Notes) -> tuple[Any, ...]:
        self.count += 1
        if reasons:
            record = {}
        values = (record.get(name) for name in self.staged)
        return (self.count, line, reasons or None, list(dict.fromkeys(notes)) or None, *values)


def _finish_user(record: Record, notes: Notes, mapping: MappingFile) -> None:
    if record["full_name"] is None and "full_name" in mapping.sources:
        notes.append(NAME_MISSING)
        record["full_name"] = record["email"]


def _finish_ticket(record: Record, notes: Notes, mapping: MappingFile) -> None:
    if "description" in mapping.sources:
        record["description"] = record["description"] or ""
    title = record["title"] = record["title"].strip()
    if len(title) > TITLE_LENGTH:
        notes.append(TITLE_CUT)
        record["title"] = title[: TITLE_LENGTH - 1] + "…"
        record["description"] = f"{title}\n\n{record['description'] or ''}".rstrip()
    if "due_at" not in mapping.sources:
        created = min(record["created_at"] or datetime.now(UTC), LATEST)
        record["due_at"] = created + timedelta(days=DAYS_UNTIL_DUE)
    _settle_times(record, notes)


def _settle_times(record: Record, notes: Notes) -> None:
    """Bring the times of resolution and closing in line with the status, as the desk's tables demand."""
    done, closed = record["status"] in DONE, record["status"] == TicketStatus.CLOSED
    for name, fits, note in (("resolved_at", done, RESOLVED_CLEARED), ("closed_at", closed, CLOSED_CLEARED)):
        if record[name] and not fits:
            record[name] = None
            notes.append(note)
        if record[name] and record[name] < record["created_at"]:
            record[name] = record["created_at"]
            notes.append(BEFORE_CREATED.format(name=name))
    if done and not record["resolved_at"]:
        record["resolved_at"] = record["closed_at"]
        notes.append(RESOLVED_FROM_CLOSED if record["closed_at"] else RESOLVED_MISSING)


FINISH: dict[str, Callable[[Record, Notes, MappingFile], None]] = {"users": _finish_user, "tickets": _finish_ticket}
"""By table, the rules that look at several fields. A comment needs none: one earlier than its ticket keeps its time."""
