"""What the database does by itself: audit log, status events, derived columns, the words that search reads, digests.

Tables come from migrations; the functions and triggers here follow from the present models, and `db upgrade` makes
those that the database lacks or has in another version: a new column or audited table needs no line of trigger code.
"""

import re
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_app.models import Base
from admin_app.triggers import audit, outbox, tickets
from admin_app.triggers.audit import audited_tables
from admin_app.triggers.parts import KEY_CHANGED, NOBODY_ACTING, Function, Trigger

__all__ = ["KEY_CHANGED", "NOBODY_ACTING", "audited_tables", "functions", "install", "missing", "triggers"]

_FUNCTIONS = text(
    "SELECT proname, prosrc, prosecdef, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
)

_TRIGGERS = text(
    "SELECT c.relname, t.tgname, t.tgenabled = 'O', obj_description(t.oid, 'pg_trigger')"
    " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace"
)

_OURS = re.compile(r"t\d\d_")


@dataclass(frozen=True)
class Differences:
    """What the database lacks or has in another version, and triggers of our tables that it has beyond."""

    functions: list[Function]
    triggers: list[Trigger]
    stale: list[tuple[str, str]]


def functions() -> list[Function]:
    """All functions, in the order in which they can be created."""
    return audit.functions() + tickets.functions() + outbox.functions()


def triggers() -> list[Trigger]:
    """All triggers. They fire in the order of their names: audit first, then what derives from the change."""
    return audit.triggers() + tickets.triggers() + outbox.triggers()


async def install(connection: AsyncConnection) -> None:
    """Make what differs; tables whose triggers are in place are not locked. Needs the owner of the tables."""
    differences = await _differences(connection)
    for function in differences.functions:
        await connection.exec_driver_sql(function.sql)
    for table, name in differences.stale:
        await connection.exec_driver_sql(f'DROP TRIGGER "{name}" ON "{table}"')
    for trigger in differences.triggers:
        await connection.exec_driver_sql(trigger.sql)
        await connection.exec_driver_sql(f"ALTER TABLE {trigger.table} ENABLE TRIGGER {trigger.name}")
        comment = f"COMMENT ON TRIGGER {trigger.name} ON {trigger.table} IS '{trigger.fingerprint}'"
        await connection.exec_driver_sql(comment)


async def missing(connection: AsyncConnection) -> list[str]:
    """What the database lacks or has in another version, as sentences; empty when all is in place."""
    differences = await _differences(connection)
    functions = [
        f"The database's function {function.name}() is missing or outdated." for function in differences.functions
    ]
    lacking = [
        f"Table {trigger.table} has no active trigger {trigger.name} of this version, so changes would go unnoticed."
        for trigger in differences.triggers
    ]
    stale = [
        f"Table {table} has a trigger {name} that this version does not know." for table, name in differences.stale
    ]
    return [f"{problem} Run `backdesk db upgrade`." for problem in functions + lacking + stale]


async def _differences(connection: AsyncConnection) -> Differences:
    known = {name: tuple(facts) for name, *facts in await connection.execute(_FUNCTIONS)}
    present = {(table, name): tuple(facts) for table, name, *facts in await connection.execute(_TRIGGERS)}
    wanted = triggers()
    names = {(trigger.table, trigger.name) for trigger in wanted}
    return Differences(
        functions=[function for function in functions() if known.get(function.name) != _as_stored(function)],
        triggers=[
            trigger for trigger in wanted if present.get((trigger.table, trigger.name)) != (True, trigger.fingerprint)
        ],
        stale=[
            (table, name)
            for table, name in sorted(present.keys() - names)
            if table in Base.metadata.tables and _OURS.match(name)
        ],
    )


def _as_stored(function: Function) -> tuple[str, bool, list[str] | None]:
    """A function's text and rights as PostgreSQL's catalogue shows them."""
    return function.body, function.definer, list(function.configured) or None
