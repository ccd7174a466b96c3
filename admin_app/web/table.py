"""The table of a list as markup: for each column a function is made that writes its cells, and then called row by row.

A page has hundreds of cells, so that each of them counts. Whatever stands in one is escaped here, or written by
markup.py, which escapes it; tests/web/test_table.py sends hostile values through every kind of cell.
"""
# ruff: noqa: S704  every value that goes into markup here has been through `escape`

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2.filters import do_filesizeformat
from markupsafe import Markup, escape
from starlette.requests import Request

from admin_app.models import ChangeSetState, TicketPriority, TicketStatus
from admin_app.plugin import Resource
from admin_app.queries.readable import humanized
from admin_app.queries.rows import Reference, Row
from admin_app.web.cells import Column, summary
from admin_app.web.context import BASE, actor_of, desk_of
from admin_app.web.facts import Link
from admin_app.web.lookups import may_know
from admin_app.web.markup import ZONE, badge, badge_priority, badge_state, badge_status, dot, icon, linked, local, tag

Written = Callable[[Any], str]
"""Writes a value that is there, as markup."""

SUMMARY = 4
"""Fields of a JSON object that a cell shows."""
BADGES: dict[type, Written] = {
    TicketStatus: badge_status,
    TicketPriority: badge_priority,
    ChangeSetState: badge_state,
}
"""Enumerations that have badges of their own."""


SIGNS = re.compile("[&<>'\"]")
UNQUOTED = re.compile(r"[\w-]+")


def _escaped(value: object) -> str:
    """A value as markup; most texts have nothing to escape, which is seen sooner than Markup is made of them."""
    return value if type(value) is str and not SIGNS.search(value) else escape(value)


def _given(name: str, value: str) -> str:
    """An attribute, if it has a value, without quotes where it needs none."""
    if not value:
        return ""
    return f" {name}={value}" if UNQUOTED.fullmatch(value) else f' {name}="{escape(value)}"'


class Sight:
    """What a viewer sees of other records: how they are called, and a link for those who may open them."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._known: dict[type[Any], tuple[str, bool]] = {}

    def of(self, model: type[Any]) -> tuple[str, bool]:
        """Where the records of a model have their pages, without the id, or nothing; and whether they are named."""
        if model not in self._known:
            resource = desk_of(self._request).registry.resource_of(model)
            may = resource is not None and actor_of(self._request).may(f"{resource.name}.view")
            base = f"{BASE}/{escape(resource.name)}/details/" if resource is not None and may else ""
            self._known[model] = base, may_know(self._request, model)
        return self._known[model]

    def link(self, record: Reference) -> str:
        """A record by its name, or by its number only, with its page."""
        base, name = self.of(record.model)[0], self._name(record)
        return f'<a href="{base}{record.id}">{name}</a>' if base else name

    def tags(self, records: Sequence[Reference]) -> str:
        """Several records, each in its colour, for an element of the class `tags`."""
        return "".join([f"<span>{dot(item.color)}{self._name(item)}</span>" for item in records])

    def _name(self, record: Reference) -> str:
        return _escaped(record.label) if self.of(record.model)[1] else f"No. {record.id}"


class Table:
    """The table of one page: its headings, and its rows, as short as HTML lets them be.

    Rows and cells end where the next begins, and our own words and numbers stand without quotes in attributes.
    """

    def __init__(self, request: Request, resource: Resource, columns: Sequence[Column], *, selectable: bool) -> None:
        self.sight, self.selectable = Sight(request), selectable
        self.columns = [column for column in columns if not column.below]
        self._below = [column.name for column in columns if column.below]
        self._href = self.sight.of(resource.model)[0]
        self._head = next((column.name for column in columns if column.heads), "")
        self._cells = [(self._opening(column), self.writer(column)) for column in self.columns]

    def body(self, rows: Sequence[Row]) -> Markup:
        """All rows."""
        return Markup("\n".join(map(self._row, rows)))

    def cells(self, row: Row) -> list[tuple[Column, Markup]]:
        """What stands in each cell of one row."""
        return [(column, Markup(self.writer(column)(row))) for column in self.columns]

    def _row(self, row: Row) -> str:
        cells = "".join([f"{opening}{write(row)}" for opening, write in self._cells])
        return f"<tr data-id={row.id}>{self._box(row)}{cells}"

    def _box(self, row: Row) -> str:
        if not self.selectable:
            return ""
        name = row.values.get(self._head)
        label = _escaped(name if isinstance(name, str) and name else row.label)
        box = f'<input type=checkbox name=ids value={row.id} aria-label="Select {label}">'
        return f"<td class=select><label>{box}</label>"

    def _opening(self, column: Column) -> str:
        only_time = column.kind == "time" and sum(other.kind == "time" for other in self.columns) == 1
        says_itself = column.headline or column.badge in {"status", "priority"} or only_time
        named = column.name == "id" if column.heads else not says_itself
        kind = "th scope=row" if column.heads else "td"
        return f"<{kind}{_given('class', column.style)}{_given('data-label', column.label) if named else ''}>"

    def writer(self, column: Column) -> Callable[[Row], str]:
        """The function that writes a column's cell of any row."""
        name, inside, nothing = column.name, self._inside(column), _nothing(column)

        def write(row: Row) -> str:
            value = row.values.get(name)
            return nothing(row) if value is None or value == "" or value == () else inside(value)

        def lead(row: Row) -> str:
            return f'<a href="{self._href}{row.id}">{write(row) or _escaped(row.label)}</a>'

        written = lead if column.headline and self._href else write
        if not (column.grow and self._below):
            return written

        def with_chips(row: Row) -> str:
            chips = "".join(self.sight.tags(row.values.get(other) or ()) for other in self._below)
            return f"{written(row)}<div class=tags>{chips}</div>" if chips else written(row)

        return with_chips

    def _inside(self, column: Column) -> Written:
        match column.kind:
            case "record":
                return self.sight.link
            case "records":
                return lambda many: f"<span class=tags>{self.sight.tags(many)}</span>"
            case "number" if column.name.endswith("_bytes"):
                return lambda value: do_filesizeformat(int(value))
            case "number" if column.name != "id":
                return lambda value: f"{value:,}" if isinstance(value, int | float) else escape(value)
            case "text" if column.name == "color":
                return lambda value: tag(value, value)
            case kind:
                return WRITTEN.get(kind, _text)

    def head(self) -> Markup:
        """The headings, which sort."""
        return Markup("".join(map(_heading, self.columns)))


DIRECTIONS = {"asc": "ascending", "desc": "descending"}


def _heading(column: Column) -> str:
    sorted_by = f' aria-sort="{DIRECTIONS[column.direction]}"' if column.direction and not column.place else ""
    sign = icon(f"sort-{column.direction}" if column.direction else "sort")
    place = ""
    if column.direction and column.place:
        spoken = f"{DIRECTIONS[column.direction]}, place {column.place + 1} of the order"
        place = f'<span class="place" aria-hidden="true">{column.place + 1}</span>'
        place += f'<span class="visually-hidden">, {spoken}</span>'
    shown = f'<a href="{escape(column.href)}">{escape(column.label)}{sign}{place}</a>' if column.href else None
    if column.then:
        then = escape(f"Then by {column.label}")
        link = f'<a class="then" href="{escape(column.then)}" aria-label="{then}" title="{then}">'
        shown = f"{shown}{link}{icon('plus')}</a>"
    given = f"{_given('class', column.style)}{_given('data-by', column.by)}{_given('data-column', column.name)}"
    return f"<th scope=col{given}{sorted_by}>{shown or escape(column.label)}</th>"


def _nothing(column: Column) -> Callable[[Row], str]:
    """What is written where there is no value: who acted without being a person, or that it is nobody's."""
    if column.kind != "record":
        return lambda row: ""
    if column.name == "user":
        return _actor_kind
    text = '<span class="none">Nobody</span>' if column.name == "assignee" else ""
    return lambda row: text


def _actor_kind(row: Row) -> str:
    kind = row.values.get("actor_kind")
    return f'<span class="none">{escape(humanized(str(getattr(kind, "value", kind))))}</span>' if kind else ""


def _text(value: object) -> str:
    return linked(value.label, value.href) if isinstance(value, Link) else _escaped(value)


@cache
def _badge(value: Any) -> str:
    own = BADGES.get(type(value))
    return own(value) if own else badge(humanized(str(getattr(value, "value", value))))


def _switch(value: object) -> str:
    return YES if value else '<span class="none">No</span>'


YES = badge("Yes", "", "check")


def _summary(value: Any) -> str:
    """The first fields of a JSON object, or of an audit entry, with their names."""
    items = [(escape(name), escape(text)) for name, text in summary(value, ZONE.get())]
    said = [f'<span class="muted">{name}:</span> {text}' if name else text for name, text in items]
    more = [f"and {len(said) - SUMMARY} more"] if len(said) > SUMMARY else []
    return f"<span>{'; '.join([*said[:SUMMARY], *more])}</span>" if said else ""


def _time(value: datetime) -> str:
    """A time as the viewer reads it; the exact instant, which lists have a hundred of, is in one attribute only."""
    instant = value.astimezone(UTC).isoformat(" ", "seconds")[:19]
    return f'<span title="{instant} UTC">{local(value, ZONE.get())}</span>'


WRITTEN: dict[str, Written] = {"choice": _badge, "switch": _switch, "time": _time, "json": _summary}
