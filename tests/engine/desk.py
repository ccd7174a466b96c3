"""A desk to try the change engine on: ordering anything in any size, and looking at all that became of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, insert, select, text

from admin_app import jobs
from admin_app.actions import UNDO, Operator, Order, Preview, perform, preview, undo_order
from admin_app.db import Acting, Database
from admin_app.models import AuditLog, ChangeSet, RowOutcome, Ticket
from admin_app.plugin import Action, Authority, Chosen, Outcome
from admin_app.queries import selections
from admin_app.registry import Registry
from admin_app.settings import Limits
from admin_app.testing import Make

WHOLE = Limits(bulk=200_000, inline=100_000, chunk=2_000)
"""Everything at once, in one transaction."""

CHUNKED = Limits(bulk=200_000, inline=1, chunk=3)
"""Everything as a job, three rows a transaction."""

UTC_ZONE = ZoneInfo("UTC")
NOWHERE = 999_999_999
"""An id that no row has."""

Rows = dict[str, dict[str, Any]]
"""Rows of a table by the id that the audit log gives them, as the database writes them in JSON."""


@dataclass(frozen=True)
class Done:
    """What became of an order: its change set, what was noted of each row, and its entries in the audit log."""

    kept: ChangeSet
    noted: dict[int, str]
    failed: dict[int, str]
    entries: list[AuditLog]

    @property
    def id(self) -> int:
        return self.kept.id

    @property
    def outcome(self) -> Outcome:
        kept = self.kept
        return Outcome(kept.changed, kept.unchanged, kept.skipped, kept.failed)


@dataclass
class Desk:
    """A database with the plugins that are loaded, and the person who acts; None is the installation itself."""

    database: Database
    registry: Registry
    person: int | None
    authority: Authority = field(default_factory=Operator)

    @property
    def acting(self) -> Acting:
        if self.person is None:
            return Acting.system(reason="Because.")
        return Acting(user_id=self.person, reason="Because.")

    def order(self, action: str | Action, chosen: Chosen[Any], given: Mapping[str, Any] | None = None) -> Order:
        """An order of this person's, by the name of the action or the action itself."""
        found = self.registry.action(action) if isinstance(action, str) else action
        return Order(
            authority=self.authority,
            acting=self.acting,
            action=found,
            chosen=chosen,
            given=given or {},
            zone=UTC_ZONE,
        )

    async def frozen(self, model: type[Any], which: Iterable[int] | Select[int]) -> Chosen[Any]:
        """Rows of a model, frozen: by their ids, which need not exist, or as a query finds them."""
        keys = which if isinstance(which, Select) else Chosen.of(model, which).keys()
        async with self.database.bookkeeping() as session:
            kept = await selections.freeze(session, keys, user_id=self.person, resource="test", limit=200_000)
        return Chosen.frozen(model, kept.id, kept.row_count)

    async def promise(self, order: Order, limits: Limits = CHUNKED) -> int:
        """Order something that becomes a job, which nobody does yet; its change set."""
        done = await perform(self.database, order, limits)
        assert done.outcome is None
        return done.change_set_id

    async def do(self, order: Order, limits: Limits = WHOLE) -> Done:
        """Have an order carried out, to its end."""
        done = await perform(self.database, order, limits)
        if done.outcome is None:
            await jobs.drive(self.database, self.registry, limits, done.change_set_id)
        found = await self.done(done.change_set_id)
        assert found.kept.problem is None
        return found

    async def undo(self, change_set_id: int, limits: Limits = WHOLE) -> Done:
        """Undo a change set, to its end."""
        return await self.do(await self.undoing(change_set_id), limits)

    async def undoing(self, change_set_id: int) -> Order:
        """The order to undo a change set."""
        return await undo_order(self.database, self.authority, self.acting, change_set_id, {}, UTC_ZONE)

    async def preview(self, order: Order, limits: Limits = WHOLE) -> Preview:
        return await preview(self.database, order, limits)

    async def done(self, change_set_id: int) -> Done:
        """What became of a change set by now."""
        async with self.database.read() as session:
            kept = await session.get_one(ChangeSet, change_set_id)
            of_rows = select(RowOutcome).where(RowOutcome.change_set_id == change_set_id)
            rows = (await session.scalars(of_rows.order_by(RowOutcome.record_id))).all()
            written = select(AuditLog).where(AuditLog.change_set_id == change_set_id)
            entries = (await session.scalars(written.order_by(AuditLog.id))).all()
        noted = {row.record_id: row.outcome for row in rows if not row.failed}
        return Done(kept, noted, {row.record_id: row.outcome for row in rows if row.failed}, list(entries))

    async def rows(self, *tables: str) -> dict[str, Rows]:
        """Every row of some tables."""
        return {table: await self._rows(table) for table in tables}

    async def _rows(self, table: str) -> Rows:
        keys = (
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)"
            f" WHERE indrelid = '{table}'::regclass AND indisprimary"
            " ORDER BY array_position(indkey::int2[], attnum)"
        )
        async with self.database.read() as session:
            names = (await session.scalars(text(keys))).all()
            rows = (await session.scalars(text(f"SELECT to_jsonb(t) FROM {table} t"))).all()
        return {",".join(str(row[name]) for name in names): row for row in rows}

    async def checksums(self) -> dict[str, str]:
        """A checksum of every table there is, the queue's too."""
        tables = text(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'jobs') ORDER BY 1"
        )
        async with self.database.read() as session:
            names = (await session.scalars(tables)).all()
            parts = [f"SELECT '{name}', md5(string_agg(t::text, '/' ORDER BY t::text)) FROM {name} t" for name in names]
            return {name: str(checksum) for name, checksum in await session.execute(text(" UNION ALL ".join(parts)))}


def of_the_whole(done: Done, requested: int) -> None:
    """Fail unless every chosen row has one outcome, and the change set counts exactly these."""
    kept, outcome = done.kept, done.outcome
    assert outcome.total == kept.requested == requested
    assert len(done.noted) + len(done.failed) == requested
    assert len(done.failed) == outcome.failed
    counted: dict[str, int] = {}
    for became in done.noted.values():
        counted[became] = counted.get(became, 0) + 1
    assert counted.pop("changed", 0) == outcome.changed
    assert counted.pop("unchanged", 0) == outcome.unchanged
    assert counted == dict(outcome.skipped)


async def tickets(database: Database, make: Make, rows: int) -> list[int]:
    """So many tickets, by their ids."""
    creator = await make.customer()
    async with database.transaction(Acting.system(), "test.make") as change:
        row = {"title": "Something broken", "description": "d", "creator_id": creator.id}
        return sorted(await change.session.scalars(insert(Ticket).returning(Ticket.id), [row] * rows))


async def number(database: Database, model: type[Any], *conditions: Any) -> int:
    """How many rows fulfil conditions."""
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0


__all__ = ["CHUNKED", "NOWHERE", "UNDO", "UTC_ZONE", "WHOLE", "Desk", "Done", "Rows", "number", "of_the_whole"]
