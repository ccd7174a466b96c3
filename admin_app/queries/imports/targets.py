"""What can be imported into, in the words of SQL: how staged rows find, make and change the records of each table.

In every expression `s` is the staged row and `t` the present record, which a new row does not have.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

STAGING = "import_rows"
"""The temporary table that holds the rows of one import."""

LABELS = "import_labels"
"""The temporary table that holds the tags of the rows, one a line."""

IN_TRASH = "in the trash"


@dataclass(frozen=True)
class Reference:
    """A field that names another record: the column for its id, the query that finds it, and where that looks."""

    column: str
    query: str
    place: str


@dataclass(frozen=True, kw_only=True)
class Target:
    """A table that can be imported into.

    `staged` are its fields with their types; a field outside the mapping is NULL in every staged row. A column is
    filled with the staged value, unless `inserted` says otherwise for new records (by column) or `updated` for
    present ones (by field). `match` finds a present record that has no external_id yet; `distinct` must differ
    between the rows of a file. `faults` say under which condition a row is rejected, `notes` under which something is
    told about it, `skip` under which its record stays as it is. `stand_in` is the field for which somebody stands in
    where the source names nobody.
    """

    table: str
    staged: Mapping[str, str]
    references: Mapping[str, Reference] = field(default_factory=dict)
    inserted: Mapping[str, str] = field(default_factory=dict)
    updated: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    match: str = "NULL"
    distinct: str | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    skip: Mapping[str, str] = field(default_factory=dict)
    stand_in: str | None = None

    @property
    def tagged(self) -> bool:
        """Whether rows of this table have tags, which fill a table of their own."""
        return "tags" in self.staged

    def column(self, name: str) -> str:
        """The column that a field fills."""
        return self.references[name].column if name in self.references else name

    def insertion(self) -> dict[str, str]:
        """The value of every column of a new record."""
        plain = {self.column(name): f"s.{self.column(name)}" for name in self.staged if name != "tags"}
        return plain | dict(self.inserted)

    def update(self, mapped: Collection[str]) -> dict[str, str]:
        """The value of every column of a present record that the mapped fields decide about."""
        found: dict[str, str] = {}
        for name in self.staged:
            if name in mapped and name != "tags":
                found |= self.updated.get(name, {self.column(name): f"s.{self.column(name)}"})
        return found


def _person(name: str, column: str | None = None) -> Reference:
    query = (
        f"coalesce((SELECT id FROM users WHERE external_id = s.{name}),"
        f" (SELECT id FROM users WHERE lower(email) = lower(s.{name})))"
    )
    return Reference(column or f"{name}_id", query, "among the users")


_TICKET = Reference(
    "ticket_id",
    "coalesce((SELECT id FROM tickets WHERE external_id = s.ticket),"
    " (SELECT id FROM tickets WHERE ticket_number = upper(s.ticket)))",
    "among the tickets",
)

_BORN = {
    "created_at": "coalesce(s.created_at, now())",
    "updated_at": "coalesce(s.updated_at, s.created_at, now())",
}
_AGED = {"created_at": {"created_at": "coalesce(s.created_at, t.created_at)"}, "updated_at": {}}
"""A time of creation is never lost to an empty one, and a later `updated_at` alone is no change."""


def _unless_signs_in(name: str) -> dict[str, str]:
    """Whoever can sign in here is administered here: an import neither locks them out nor renames their account."""
    return {name: f"CASE WHEN t.password_hash IS NULL THEN s.{name} ELSE t.{name} END"}


USERS = Target(
    table="users",
    staged={
        "external_id": "text",
        "email": "text",
        "full_name": "text",
        "is_active": "boolean",
        "is_staff": "boolean",
        "time_zone": "text",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
    },
    inserted=_BORN
    | {
        "full_name": "coalesce(s.full_name, s.email)",
        "is_active": "coalesce(s.is_active, true)",
        "is_staff": "coalesce(s.is_staff, false)",
    },
    updated={name: _unless_signs_in(name) for name in ("email", "is_active", "is_staff")} | _AGED,
    match="(SELECT id FROM users WHERE lower(email) = lower(s.email) AND external_id IS NULL)",
    distinct="email",
    faults={
        "EXISTS (SELECT FROM users o WHERE lower(o.email) = lower(s.email) AND o.id IS DISTINCT FROM s.id)": (
            "'email: ' || s.email || ' belongs to another user here'"
        ),
    },
    notes={
        "t.id IS NOT NULL AND t.external_id IS NULL": "known here by the e-mail: took the external_id",
        "t.password_hash IS NOT NULL AND (t.email, t.is_active, t.is_staff) <> (s.email, s.is_active, s.is_staff)": (
            "can sign in here: e-mail, active and staff stay as the desk has them"
        ),
    },
)

_DONE = "s.status IN ('resolved', 'closed')"
_WAS_DONE = "t.status IN ('resolved', 'closed')"
_RESOLVED = "greatest(coalesce(s.resolved_at, {kept}s.updated_at, s.created_at, now()), {created})"
_FIRST_TIME = f"CASE WHEN {_DONE} THEN {_RESOLVED.format(kept='', created='s.created_at')} END"
_AGAIN = (
    f"CASE WHEN {_DONE} THEN"
    f" {_RESOLVED.format(kept='t.resolved_at, ', created='coalesce(s.created_at, t.created_at)')} END"
)
"""The time of resolution: the source's; else the one that is known already; else the last time the source tells."""

TICKETS = Target(
    table="tickets",
    staged={
        "external_id": "text",
        "title": "text",
        "description": "text",
        "status": "text",
        "priority": "text",
        "requester": "text",
        "created_by": "text",
        "assignee": "text",
        "resolved_by": "text",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
        "due_at": "timestamptz",
        "resolved_at": "timestamptz",
        "closed_at": "timestamptz",
        "reopen_count": "integer",
        "tags": "text[]",
    },
    references={
        "requester": _person("requester", "creator_id"),
        "created_by": _person("created_by"),
        "assignee": _person("assignee"),
        "resolved_by": _person("resolved_by"),
    },
    inserted=_BORN
    | {
        "source": "'import'",
        "description": "coalesce(s.description, '')",
        "status": "coalesce(s.status, 'open')",
        "priority": "coalesce(s.priority, 'medium')",
        "reopen_count": "coalesce(s.reopen_count, 0)",
        "resolved_at": _FIRST_TIME,
        "first_resolved_at": _FIRST_TIME,
        "closed_at": f"CASE s.status WHEN 'closed' THEN coalesce(s.closed_at, {_FIRST_TIME}) END",
        "resolved_by_id": f"CASE WHEN {_DONE} THEN s.resolved_by_id END",
    },
    updated=_AGED
    | {
        "status": {
            "status": "s.status",
            "resolved_at": _AGAIN,
            "first_resolved_at": f"coalesce(t.first_resolved_at, {_AGAIN})",
            "closed_at": f"CASE s.status WHEN 'closed' THEN coalesce(s.closed_at, {_AGAIN}) END",
            "resolved_by_id": f"CASE WHEN {_DONE} THEN t.resolved_by_id END",
            "reopen_count": f"t.reopen_count + ({_WAS_DONE} AND NOT {_DONE})::integer",
            "last_reopened_at": f"CASE WHEN {_WAS_DONE} AND NOT {_DONE} THEN coalesce(s.updated_at, now())"
            " ELSE t.last_reopened_at END",
        },
        "resolved_by": {"resolved_by_id": f"CASE WHEN {_DONE} THEN s.resolved_by_id END"},
        "resolved_at": {},
        "closed_at": {},
    },
    faults={
        "t.first_response_at < s.created_at": (
            "'created_at: the ticket was answered before that, at ' || t.first_response_at"
        ),
        "s.status IS NULL AND t.resolved_at < s.created_at": (
            "'created_at: the ticket was resolved before that, at ' || t.resolved_at"
        ),
    },
    skip={"t.deleted_at IS NOT NULL": IN_TRASH},
    stand_in="requester",
)

COMMENTS = Target(
    table="comments",
    staged={
        "external_id": "text",
        "ticket": "text",
        "author": "text",
        "content": "text",
        "is_internal": "boolean",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
    },
    references={"ticket": _TICKET, "author": _person("author")},
    inserted=_BORN | {"is_internal": "coalesce(s.is_internal, true)"},
    updated=_AGED,
    stand_in="author",
)

TARGETS = {target.table: target for target in (USERS, TICKETS, COMMENTS)}
