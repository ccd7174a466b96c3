"""Light rows: the values that a page of a list shows, read in one statement, with no records made of them.

SQLAlchemy takes longer to write such a statement than PostgreSQL to run it. What it reads depends on the columns and
the order only and is written once; the conditions, which differ from page to page, are in its first part, `page`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Dialect,
    Integer,
    Select,
    Text,
    TextualSelect,
    bindparam,
    column,
    func,
    inspect,
    literal_column,
    null,
    select,
    table,
    text,
    union,
    union_all,
)
from sqlalchemy import cast as cast_in_sql
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.orm import Mapper, RelationshipProperty, aliased
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import NullType

from admin_app.models import Versioned
from admin_app.queries.filters import relation_of
from admin_app.queries.keyset import Part, keys_of, ordered, parts
from admin_app.queries.listing import ListQuery
from admin_app.queries.shortened import beginning, long_columns


@dataclass(slots=True)
class Reference:
    """A related record as a list shows it: enough to name it and to lead to it."""

    model: type[Any]
    id: int
    label: str
    color: str = ""

    @classmethod
    def to(cls, record: Any) -> Self:
        """A reference to a record that was read."""
        return cls(type(record), record.id, str(record.label), getattr(record, "color", ""))


@dataclass(slots=True)
class Row:
    """A row of a page: its values by column, of long ones the beginnings, and how the record is called.

    A related record is a Reference or None, several are a tuple of them. `version` is 0 where none is counted.
    """

    id: int
    version: int
    values: dict[str, Any]
    label: str = ""


DIALECT: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]
Relation = RelationshipProperty[Any] | None
Names = tuple[tuple[str, Relation], ...]
"""What is read of a record by name: columns, and what it is related to."""


@dataclass(frozen=True, eq=False)
class Shape:
    """What a page reads: the ids and keys of its rows, as `page`, and then all else of these few.

    So that an index may tell by itself which rows these are. `found` reads these ids and keys of all rows. `statement`
    reads the id, version and label, then the columns of `names`, and at last the values of the keys.
    """

    found: Select[Any]
    statement: TextualSelect
    names: Names

    def page(self, query: ListQuery) -> TextualSelect:
        """The statement that reads a page, and one row more; a part is read where those before it were too few."""
        read = [self._part(query, part) for part in parts(query.keys, query.position)]
        if len(read) == 1:
            return self.statement.add_cte(read[0].cte("page"))
        ctes = [read[0].cte("part_0")]
        for place, later in enumerate(read[1:], start=1):
            found = [select(func.count()).select_from(cte).scalar_subquery() for cte in ctes]
            ctes.append(later.where(sum(found[1:], found[0]) <= query.size).cte(f"part_{place}"))
        whole = union_all(*(select(text("*")).select_from(cte) for cte in ctes))
        columns: list[Any] = [literal_column(f"key_{place}") for place in range(len(query.keys))]
        nearest = ordered(columns, query.keys, backward=query.position.backward)
        return self.statement.add_cte(whole.order_by(*nearest).limit(query.size + 1).cte("page"))

    def _part(self, query: ListQuery, part: Part) -> Select[Any]:
        """The first rows of a part; of alternatives each finds its own first rows, and these are put together."""
        asked = [(*branch, *part.conditions) for branch in query.branches()]
        read = [self.found.where(*conditions) for conditions in asked]
        if len(read) > 1:
            firsts = [found.order_by(*part.order).limit(query.size + 1).subquery() for found in read]
            either = union(*(select(first.c[0]) for first in firsts))
            read = [self.found.where(query.listed.model.id.in_(either))]
        size = bindparam(None, query.size + 1, Integer, unique=True, literal_execute=not any(map(_varies, asked)))
        return read[0].order_by(*part.order).limit(size)

    def row(self, found: Sequence[Any]) -> Row:
        """A row of the statement's result."""
        rest = iter(found)
        key, version, label = next(rest), next(rest), next(rest)
        return Row(key, version, values_of(self.names, rest), label or "")


def _varies(conditions: Iterable[ColumnElement[bool]]) -> bool:
    """Whether there are values in these conditions that PostgreSQL is told apart from the statement.

    Where there are none it plans a statement once for each connection, which takes it half as long as to run it; with
    values it plans for these, since a filter may find a few rows or most of them.
    """
    parts = (part for condition in conditions for part in iterate(condition))
    return any(isinstance(part, BindParameter) and not part.literal_execute for part in parts)


def values_of(names: Names, rest: Iterator[Any]) -> dict[str, Any]:
    """Values by name, from what the columns of `reading` hold, one after the other."""
    return {name: next(rest) if relation is None else _related(relation, rest) for name, relation in names}


def _related(relation: RelationshipProperty[Any], rest: Iterator[Any]) -> Reference | tuple[Reference, ...] | None:
    target, value = relation.mapper.class_, next(rest)
    if relation.uselist:
        return tuple(Reference(target, *item) for item in value or ())
    label, color = next(rest), next(rest)
    return Reference(target, value, label, color) if value is not None else None


def in_sql(model: type[Any], name: str) -> bool:
    """Whether the database knows an attribute, and not only Python."""
    return name in cast(Mapper[Any], inspect(model)).all_orm_descriptors


def shape_of(model: Any, names: tuple[str, ...], sort: str, default_sort: str) -> Shape:
    """What a page of a list with these columns reads in this order."""
    return _shape_of(model, names, sort, default_sort)


@lru_cache(maxsize=1_000)
def _shape_of(model: Any, names: tuple[str, ...], sort: str, default_sort: str) -> Shape:
    known = tuple((name, relation_of(model, name)) for name in names if in_sql(model, name))
    keys = keys_of(model, sort, default_sort)
    found = [inspect(model).primary_key[0].label("id")]
    found += [key.column.label(f"key_{place}") for place, key in enumerate(keys)]
    page = table("page", *(column(item.name, item.type) for item in found))
    record, long = aliased(model), long_columns(model)
    read, joined = reading(record, known, long)
    last = [page.c[f"key_{place}"] for place in range(len(keys))]
    whole = select(*_itself(record, model), *read, *last).select_from(page).join(record, record.id == page.c.id)
    for related in joined:
        whole = whole.outerjoin(related)
    return Shape(select(*found), _written(whole.order_by(*ordered(last, keys))), known)


def reading(record: Any, names: Names, shortened: Collection[str] = ()) -> tuple[list[Any], list[Any]]:
    """The columns that hold what is read by name, three for each Reference, and what has to be joined for them."""
    read: list[Any] = []
    joined: list[Any] = []
    for name, relation in names:
        value = getattr(record, name)
        if relation is None:
            read.append(beginning(value) if name in shortened else value)
        elif relation.uselist:
            read.append(_many(value, relation))
        else:
            target = aliased(relation.mapper.class_)
            joined.append(value.of_type(target))
            read += _reference(target, relation.mapper.class_)
    return read, joined


def _itself(record: Any, model: type[Any]) -> list[Any]:
    """The id of a row, its version, and how it is called."""
    version = record.version if issubclass(model, Versioned) else literal_column("0", Integer)
    return [record.id, version, record.label if in_sql(model, "label") else null()]


def _reference(target: Any, model: type[Any]) -> list[Any]:
    """The columns of a Reference."""
    label = target.label if in_sql(model, "label") else cast_in_sql(null(), Text)
    color = target.color if in_sql(model, "color") else cast_in_sql(literal_column("''"), Text)
    return [target.id, label.label(None), color.label(None)]


def _many(related: Any, relation: RelationshipProperty[Any]) -> ColumnElement[Any]:
    """All records that are related to a row, as an array of what makes References, which the driver takes apart."""
    target = relation.mapper.class_
    items = select(func.row(*_reference(target, target))).where(related)
    return func.array(items.order_by(*(relation.order_by or [target.id])).scalar_subquery(), type_=NullType())


def _written(whole: Select[Any]) -> TextualSelect:
    """A statement as its text behind `page`, of which nothing is left to be worked out when it is run."""
    written = str(whole.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))
    columns = [column(f"read_{place}", item.type) for place, item in enumerate(whole.selected_columns)]
    return text(written.replace(":", r"\:")).columns(*columns)
