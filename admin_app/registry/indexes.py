"""The indexes of a table as far as lists care, told from the models; and how one that is missing is made."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.schema import Column

LIVE = "deleted_at is null"
DOWN = " desc"
EVERYTHING = "*"
"""In place of a column's name: all of a table, because it stays small."""


@dataclass(frozen=True)
class Served:
    """An index: its columns as SQL, those that go downwards with ` desc`, its kind, and which rows it is for."""

    columns: tuple[str, ...]
    kind: str = "btree"
    conditions: frozenset[str] = frozenset()

    def orders(self, columns: Sequence[str], allowed: frozenset[str]) -> bool:
        """Whether rows can be read from it in this order, forwards or backwards; `allowed` is what rows may fulfil."""
        first = self.columns[: len(columns)]
        turned = tuple(plain(column) if column.endswith(DOWN) else f"{column}{DOWN}" for column in first)
        return self.kind == "btree" and self.conditions <= allowed and tuple(columns) in {first, turned}

    def finds(self, column: str, allowed: frozenset[str]) -> bool:
        """Whether the rows of one value can be found by it."""
        return self.kind != "gin" and self.conditions <= allowed and plain(self.columns[0]) == column

    def holds_words(self, column: str) -> bool:
        """Whether parts of a text can be found by it."""
        return self.kind in {"gin", "gist"} and self.columns[0] == column


def indexes_of(table: Table) -> Iterator[Served]:
    """The indexes of a table, those of its keys and unique constraints included."""
    for constraint in table.constraints:
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint):
            yield Served(tuple(column.name for column in constraint.columns))
    for index in table.indexes:
        options = index.dialect_options["postgresql"]
        where = sql_of(options["where"]).lower() if options["where"] is not None else ""
        conditions = frozenset(condition.strip("() ") for condition in where.split(" and ") if condition)
        yield Served(tuple(map(sql_of, index.expressions)), str(options["using"] or "btree"), conditions)


def is_stored(column: Any) -> bool:
    """Whether a column is one of a table, and not computed from others."""
    return isinstance(getattr(column, "expression", column), Column)


def sql_of(expression: Any) -> str:
    """An expression as SQL without the name of its table."""
    found: ColumnElement[Any] = getattr(expression, "expression", expression)
    if isinstance(found, Column):
        return found.name
    try:
        written = str(found.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[no-untyped-call]
    except (SQLAlchemyError, NotImplementedError):
        return ""
    return re.sub(r'"?\b[a-z_0-9]+"?\.(?=["a-z])', "", written).replace(" DESC", DOWN).replace(" ASC", "")


def plain(column: str) -> str:
    """A column of an index without its direction."""
    return column.removesuffix(DOWN)


def create(table: Table, columns: Sequence[str], *, live: bool = False) -> str:
    """The statement that makes an index, of live rows only where these are what lists show."""
    distinct = list(dict.fromkeys(columns))
    if len({column.endswith(DOWN) for column in distinct}) == 1:
        distinct = [plain(column) for column in distinct]
    words = re.findall(r"[a-z_]+", plain(distinct[0]))
    name = f"ix_{table.name}_{'live_' if live else ''}{'_'.join(words)}"[:63]
    rows = " WHERE deleted_at IS NULL" if live else ""
    return f"CREATE INDEX {name} ON {table.name} ({', '.join(distinct)}){rows};"
