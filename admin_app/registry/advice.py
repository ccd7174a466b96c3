"""What will be slow once a table is large: orders, filters and searches without an index, and columns read row by row.

All of it is told from the models, without a database. It is advice: it never keeps Backdesk from starting.
"""

from collections.abc import Iterator
from typing import Any, cast

from sqlalchemy import Table, inspect

from admin_app.models import SoftDelete, Ticket
from admin_app.plugin import Resource
from admin_app.queries.filters import kind_of, relation_of
from admin_app.queries.keyset import keys_of
from admin_app.registry.indexes import DOWN, EVERYTHING, LIVE, create, indexes_of, is_stored, sql_of
from admin_app.registry.offers import Registry
from admin_app.registry.problem import Problem

CONSTANT = {"switch", "json"}
"""Kinds of filters that no index helps: half of the rows have the value."""

Advice = tuple[str, str, str, str]
"""Which rule is broken, the column, what is slow, and how to mend it."""


def warnings_of(registry: Registry) -> list[Problem]:
    """What will be slow in the lists of large tables, in the order of the files and lines that declare them."""
    return sorted(warning for resource in registry.resources.values() for warning in _warnings(resource))


def _warnings(resource: Resource) -> Iterator[Problem]:
    """The warnings of a resource, but for what it says itself to be without an index."""
    for rule, name, what, fix in (*_sorts(resource), *_filters(resource), *_searches(resource), *_columns(resource)):
        if name not in resource.unindexed and EVERYTHING not in resource.unindexed:
            fix = f"{fix} Or say why it may be so: unindexed={{{name!r}: '…'}}."
            yield Problem(rule, resource.plugin, str(resource.origin), f"{resource.model.__name__}: {what}", fix)


def _sorts(resource: Resource) -> Iterator[Advice]:
    """Orders in which no index can be read; the id behind others may be missing in it, since few rows tie."""
    default = [name.removeprefix("-") for name in resource.default_sort.split(",")]
    for name in dict.fromkeys([*resource.sort, *default]):
        what = f"no index has the order of {name!r}: every row is read for a page."
        if relation_of(resource.model, name):
            yield "W001", name, what, "Sort by a column of its own."
            continue
        columns = _order(resource, name)
        needed = columns[:-1] or columns
        if not any(index.orders(needed, _allowed(resource, needed[0])) for index in indexes_of(_table(resource))):
            yield "W001", name, what, _index(resource, columns)


def _filters(resource: Resource) -> Iterator[Advice]:
    """Filters of which the rows cannot be found by an index."""
    for name in resource.filters:
        relation, kind = relation_of(resource.model, name), kind_of(resource.model, name)
        what = f"no index finds the rows of a value of the filter {name!r}: every row may be read."
        if relation is not None and relation.uselist:
            yield from _beside("W002", name, what, relation.local_remote_pairs[-1][1])
            continue
        attribute = getattr(resource.model, name)
        column = next(iter(relation.local_columns)) if relation is not None else attribute
        written = sql_of(column)
        if kind in CONSTANT or any(
            index.finds(written, _allowed(resource, written)) for index in indexes_of(_table(resource))
        ):
            continue
        if is_stored(column):
            behind = ["id"] if kind in {"time", "number"} else _order(resource, resource.default_sort)
            yield "W002", name, what, _index(resource, [written, *(item.removesuffix(DOWN) for item in behind)])
        else:
            yield "W002", name, what, "Let people filter by the columns from which it is computed."


def _searches(resource: Resource) -> Iterator[Advice]:
    """Texts whose words cannot be found by an index; tickets have one for all of theirs."""
    for name in resource.search if resource.model is not Ticket else ():
        column, table = sql_of(getattr(resource.model, name)), _table(resource)
        if kind_of(resource.model, name) == "text" and not any(
            index.holds_words(column) for index in indexes_of(table)
        ):
            what = f"no index finds words in {name!r}: every row may be read for a search."
            statement = f"CREATE INDEX ix_{table.name}_{name}_words ON {table.name} USING gin ({column} gin_trgm_ops);"
            yield "W003", name, what, _remedy(statement)


def _columns(resource: Resource) -> Iterator[Advice]:
    """Columns for which each row of a page would be asked about by itself."""
    for name in resource.columns:
        relation = relation_of(resource.model, name)
        owner, shown = (resource.model, name) if relation is None else (relation.mapper.class_, "label")
        if shown not in inspect(owner).all_orm_descriptors:
            what = f"the column {name!r} takes a query for each row: only Python knows {owner.__name__}.{shown}."
            yield "W004", name, what, f"Make {owner.__name__}.{shown} a hybrid_property with an expression."
        if relation is not None and relation.uselist:
            what = f"the column {name!r} reads a whole table for each row: no index leads to what belongs to one."
            yield from _beside("W004", name, what, relation.local_remote_pairs[0][1])


def _beside(rule: str, name: str, what: str, column: Any) -> Iterator[Advice]:
    """Advice where a table beside the list's own has no index that begins with a column."""
    table = column.table
    if not any(index.finds(column.name, frozenset({LIVE})) for index in indexes_of(table)):
        others = [item.name for item in table.primary_key.columns]
        yield rule, name, what, _remedy(create(table, [column.name, *others]))


def _order(resource: Resource, sort: str) -> list[str]:
    """The columns by which a list is sorted."""
    keys = keys_of(resource.model, sort, resource.default_sort)
    return [f"{sql_of(key.column)}{DOWN if key.descending else ''}" for key in keys]


def _allowed(resource: Resource, column: str) -> frozenset[str]:
    """What an index may demand of its rows and still serve a list by this column."""
    live = {LIVE} if issubclass(resource.model, SoftDelete) else set()
    return frozenset({*live, f"{column.removesuffix(DOWN)} is not null"})


def _table(resource: Resource) -> Table:
    return cast(Table, inspect(resource.model).local_table)


def _index(resource: Resource, columns: list[str]) -> str:
    return _remedy(create(_table(resource), columns, live=issubclass(resource.model, SoftDelete)))


def _remedy(statement: str) -> str:
    return f"Add an Index to the model, and to a migration: {statement}"
