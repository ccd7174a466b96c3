"""The columns of a list, and how what stands in them is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any

from sqlalchemy import String

from admin_app.inputs import label_of
from admin_app.models import ChangeSetState, SoftDelete, TicketPriority, TicketStatus, User
from admin_app.plugin import Resource
from admin_app.queries.filters import Kind, kind_of, relation_of
from admin_app.queries.listing import ListQuery, sort_name
from admin_app.queries.readable import Excerpt, FieldChange, humanized
from admin_app.queries.shortened import long_columns
from admin_app.web.markup import local

SAID = 60
"""Characters of one value of a JSON object that a cell shows."""
BADGES = {TicketStatus: "status", TicketPriority: "priority", ChangeSetState: "state"}
"""Enumerations that have badges of their own."""
ROOMY = 255
"""Characters from which on a text may take the room that is left."""
SORTED_BY = 3
"""Columns by which headings sort at the same time."""
TRASH_COLUMNS = ("deleted_at", "deleted_by", "delete_reason")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a list: what it holds, how its cells are shown, and where its heading leads.

    The one that may `grow` takes the room that is left; those `below` it are shown in its cells. The one that `heads` a
    row names it, the `headline` links to the record and comes first where a row is a card, and what `wraps` may take
    two lines where others do anyway. At `href` the list is sorted by this column, at `then` by it
    where rows are equal so far; `direction` is how it is sorted by the column, and at which `place` among several. `by`
    is the key that may join the list's order, or the one that stands in it turned round.
    """

    name: str
    label: str
    kind: Kind
    badge: str
    wraps: bool
    grow: bool
    below: bool
    heads: bool
    headline: bool
    href: str = ""
    direction: str = ""
    place: int = 0
    then: str = ""
    by: str = ""

    @property
    def style(self) -> str:
        """The classes of its cells."""
        known = {"time": "when", "number": "number", "record": "truncate", "text": "truncate"}
        plain = self.wraps or (self.heads and self.kind == "text")
        own = "grow" if self.grow else "" if plain else "id" if self.name == "id" else known.get(self.kind, "")
        return f"{own} title".strip() if self.headline else own


def shown_names(resource: Resource, query: ListQuery) -> tuple[str, ...]:
    """The columns of a list, or those that are asked for; in the trash also who put a row there, when and why."""
    trash = TRASH_COLUMNS if query.trash and issubclass(resource.model, SoftDelete) else ()
    names = query.columns or (resource.columns[:3] if trash else resource.columns)
    return tuple(dict.fromkeys((*names, *trash)))


def columns(resource: Resource, query: ListQuery, address: Callable[..., str]) -> list[Column]:
    """The columns of a list in order; `address(sort=…)` is the same list sorted otherwise."""
    keys = query.sort.split(",")
    known = {key.removeprefix("-"): (place, "desc" if key.startswith("-") else "asc") for place, key in enumerate(keys)}
    room = len(keys) < SORTED_BY and known.keys() <= set(resource.sort)
    usual, made = query.sort == resource.default_sort, []
    for column in _columns(resource.model, shown_names(resource, query)):
        if sort := sort_name(resource, column.name):
            place, direction = known.get(sort, (0, ""))
            greatest = column.kind in {"time", "number"} or sort != column.name
            down = direction == "asc" or (not direction and greatest)
            key = f"{'-' * down}{sort}"
            by = key if direction or room else ""
            then = address(sort=f"{query.sort},{by}") if by and not direction and not usual else ""
            column = replace(column, href=address(sort=key), direction=direction, place=place, then=then, by=by)
        made.append(column)
    return made


@lru_cache(maxsize=1_000)
def _columns(model: Any, names: tuple[str, ...]) -> list[Column]:
    """How these columns are shown together, whoever looks and however they are sorted."""
    head = next((name for name in names if kind_of(model, name) not in {"record", "records"}), names[0])
    room = _roomiest(model, names)
    headline = room if room in model.lookup else head
    below = [
        name for name in names if room and hasattr(_target(model, name), "color") and kind_of(model, name) == "records"
    ]
    return [
        Column(
            name=name,
            label=label_of(model, name),
            kind=(kind := kind_of(model, name)),
            badge=_badge(model, name, kind),
            wraps=bool(below) and _target(model, name) is User,
            grow=name == room,
            below=name in below,
            heads=name == head,
            headline=name == headline,
        )
        for name in names
    ]


def _target(model: type[Any], name: str) -> type[Any] | None:
    relation = relation_of(model, name)
    return relation.mapper.class_ if relation is not None else None


def _badge(model: type[Any], name: str, kind: Kind) -> str:
    return BADGES.get(getattr(model, name).type.enum_class, "plain") if kind == "choice" else ""


def _roomiest(model: type[Any], names: Sequence[str]) -> str | None:
    """The column that takes the room that is left: the first that is known to be long, else the last that may be."""
    texts = {name: length for name in names if (length := _length(model, name)) is not None}
    known = [name for name, length in texts.items() if length >= ROOMY or name in long_columns(model)]
    known = [name for name in known if kind_of(model, name) == "text"]
    return next(iter([*known, *reversed(texts)]), None)


def _length(model: type[Any], name: str) -> int | None:
    """How many characters a text or a JSON object may have, 0 where nothing limits it; None for other columns."""
    kind = getattr(getattr(model, name, None), "type", None)
    if kind_of(model, name) == "json":
        return 0
    return kind.length or 0 if kind_of(model, name) == "text" and isinstance(kind, String) else None


def summary(value: Any, zone: tzinfo) -> list[tuple[str, str]]:
    """A JSON object, or the fields of an audit entry, as names and what is said of each: `Status`, `Open → Closed`."""
    if isinstance(value, dict):
        return [(humanized(name), _said(item, zone)) for name, item in value.items()]
    if not isinstance(value, tuple):
        return [("", _said(value, zone))] if value else []
    return [(field.label, _change(field, zone)) for field in value]


def _change(field: FieldChange, zone: tzinfo) -> str:
    now = _said(field.new, zone)
    return now if field.old is None else f"{_said(field.old, zone)} → {now}"


def _said(value: Any, zone: tzinfo) -> str:
    match value:
        case None | "":
            return "empty"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return local(value, zone)
        case Excerpt() if not value.text:
            return f"{value.length:,} characters"
        case Excerpt():
            value = value.text
    text = " ".join(str(value).split())
    return text if len(text) <= SAID else f"{text[:SAID]}…"
