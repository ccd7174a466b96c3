"""Functions and triggers as values, from which the statements that make them are written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

NOBODY_ACTING = "BD001"
"""The SQLSTATE with which the database refuses a change of the application that nobody answers for."""

KEY_CHANGED = "BD002"
"""The SQLSTATE with which the database refuses to change a primary key."""

SEARCH_PATH = "public, pg_temp"
"""Where functions that act as their owner look for tables: a caller's temporary table must never come first."""

ROWS_BY_HASH = ("enable_nestloop=off", "enable_mergejoin=off")
"""For functions that join a statement's old rows with its new ones and read nothing else.

A connection keeps the plan of the first statement, which for one row is a loop in a loop: of 8,000 rows, 12 seconds.
Of some thousand wide rows PostgreSQL would rather sort both sides, which takes longer than a hash of one.
"""


@dataclass(frozen=True)
class Function:
    """A function in the database; as a `definer` it may do what its owner may, whoever causes it.

    `settings` are those of PostgreSQL under which it runs, as `name=value`.
    """

    signature: str
    returns: str
    body: str
    language: str = "plpgsql"
    definer: bool = False
    settings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.signature.partition("(")[0]

    @property
    def configured(self) -> tuple[str, ...]:
        """Every setting it carries, as the catalogue of PostgreSQL lists them."""
        return (f"search_path={SEARCH_PATH}", *self.settings) if self.definer else self.settings

    @property
    def sql(self) -> str:
        """The statement that makes it, or makes it anew."""
        rights = " ".join(["SECURITY DEFINER"] * self.definer + [f"SET {setting}" for setting in self.configured])
        head = f"CREATE OR REPLACE FUNCTION {self.signature} RETURNS {self.returns} LANGUAGE {self.language} {rights}"
        return f"{head} AS $body${self.body}$body$"


@dataclass(frozen=True)
class Trigger:
    """A trigger of one table, and what follows `CREATE TRIGGER name`."""

    table: str
    name: str
    body: str

    @property
    def sql(self) -> str:
        """The statement that makes it, or makes it anew."""
        return f"CREATE OR REPLACE TRIGGER {self.name} {self.body}"

    @property
    def fingerprint(self) -> str:
        """Kept as the trigger's comment, to tell whether the database has this very version."""
        return sha256(self.body.encode()).hexdigest()[:16]


def statement_triggers(table: str, name: str, function: str, events: Iterable[str]) -> Iterator[Trigger]:
    """One trigger for each of `insert`, `update` and `delete`, run once a statement with all its rows."""
    for event in events:
        rows = {
            "insert": "NEW TABLE AS new_rows",
            "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
            "delete": "OLD TABLE AS old_rows",
        }[event]
        body = f"AFTER {event.upper()} ON {table} REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION {function}"
        yield Trigger(table, f"{name}_{event}", body)
