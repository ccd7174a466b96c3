"""Ordering a shipped plugin's action as every door does, and looking at what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from admin_app import resources
from admin_app.actions import Operator, Order, perform
from admin_app.db import Acting, Database
from admin_app.models import AuditLog, RowOutcome, Ticket, User
from admin_app.plugin import Chosen, Outcome
from admin_app.queries import trash
from admin_app.registry import load
from admin_app.settings import Limits, Settings
from admin_app.testing import Make

REGISTRY = load(Settings.from_env({}), core=[resources.plugin])
NOWHERE = 999_999_999
"""An id that no row has."""


@dataclass
class Somebody:
    """Whoever has exactly these permissions."""

    permissions: set[str] = field(default_factory=set)

    def may(self, permission: str) -> bool:
        return permission in self.permissions


@dataclass(frozen=True)
class Done:
    """What became of an order: counts, outcomes by row, and how many entries the audit log has of each table."""

    outcome: Outcome
    rows: dict[int, str]
    audited: dict[str, int]


async def do(
    database: Database,
    permission: str,
    ids: Iterable[int],
    given: dict[str, Any] | None = None,
    *,
    model: type[Any] = Ticket,
    by: User | None = None,
    reason: str | None = "Because.",
    authority: Any = None,
) -> Done:
    """Order an action for rows by their ids, and carry it out at once; `by` is nobody, the operator, unless given."""
    acting = Acting(user_id=by.id, reason=reason) if by else Acting.system(reason=reason)
    order = Order(
        authority=authority or Operator(),
        acting=acting,
        action=REGISTRY.action(permission),
        chosen=Chosen.of(model, ids),
        given=given or {},
        zone=ZoneInfo("UTC"),
    )
    done = await perform(database, order, Limits(10_000, 10_000, 2_000))
    assert done.outcome is not None
    async with database.read() as session:
        noted = select(RowOutcome).where(RowOutcome.change_set_id == done.change_set_id)
        rows = {row.record_id: row.outcome for row in await session.scalars(noted)}
        entries = select(AuditLog.table_name, func.count()).where(AuditLog.change_set_id == done.change_set_id)
        audited = dict((await session.execute(entries.group_by(AuditLog.table_name))).all())
    return Done(done.outcome, rows, audited)


async def stored(database: Database, ticket: Ticket) -> Ticket:
    """A ticket as it is now."""
    async with database.read() as session:
        return await session.get_one(Ticket, ticket.id, populate_existing=True)


async def closed_ticket(make: Make, **facts: Any) -> Ticket:
    """A ticket that was closed today."""
    now = datetime.now(UTC)
    return await make.ticket(status="closed", created_at=now, resolved_at=now, closed_at=now, **facts)


async def trashed_ticket(database: Database, make: Make, **facts: Any) -> Ticket:
    """A ticket in the trash."""
    ticket = await make.ticket(**facts)
    async with database.transaction(Acting.system(), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [ticket.id]), None, "Spam.")
    return ticket
