"""Long work: promised change sets are done chunk by chunk, by workers that may be killed at any moment.

A chunk is one transaction: the change, its entries in the audit log, what became of each row, and how far the work is.
The queue only says which change set is next; all that matters is in the change set's own row, and whoever holds its
lock does the next chunk. So nothing is done twice, whoever dies, freezes, or wakes up again.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pgqueuer import PgQueuer
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from admin_app import queue
from admin_app.actions import UNDO, Operator, Order, advance, check_may_undo, finish
from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError, Conflict, Forbidden, NotFound, Unavailable
from admin_app.exports import jobs as exports
from admin_app.logs import structlog
from admin_app.models import ChangeSet, ChangeSetState, RowOutcome
from admin_app.plugin import Authority, Chosen
from admin_app.queries import changes, rules, selections, spelling, undo, users, work
from admin_app.queries.readable import mapper_of
from admin_app.queries.selections import UNFINISHED
from admin_app.queries.users import Actor
from admin_app.registry import Registry
from admin_app.settings import Limits, Settings, time_zone

logger = structlog.get_logger("backdesk.jobs")

HEARTBEAT = timedelta(seconds=5)
"""After which a worker that gives no sign of life loses its work to another."""

LOOK = timedelta(seconds=2)
"""How often a worker looks for work of others that died; new work wakes it at once."""

WAIT = timedelta(seconds=2)
"""How long work waits that comes after other work of the same person."""

WORD_BATCHES = 20
"""Times that words of new tickets are counted in a row, before other work has its turn."""

TRIES = 20
"""Times in a row that the database may fail a chunk before the work is given up."""


async def step(database: Database, registry: Registry, limits: Limits, change_set_id: int) -> ChangeSetState | None:
    """Do the next chunk of a promised change set, or close it; returns its state, None when it had ended before.

    A mistake ends it as failed, with what was done before kept. Raises Unavailable where it may work another time.
    """
    try:
        async with database.resumed(change_set_id) as change:
            if change is not None:
                order = await _order(change.session, registry, change.kept)
                await advance(change, order, limits)
                return ChangeSetState.RUNNING
        async with database.finishing(change_set_id) as ending:
            if ending is None:
                return None
            await finish(ending, ending.undo_of_id)
            return ChangeSetState.COMPLETED
    except Unavailable:
        raise
    except BackdeskError as error:
        logger.warning("work ended", change_set=change_set_id, why=error.message, exc_info=error.status >= 500)
        await end(database, change_set_id, ChangeSetState.FAILED, error.message)
    except Exception as error:
        logger.exception("work failed", change_set=change_set_id)
        await end(database, change_set_id, ChangeSetState.FAILED, f"A plugin failed ({type(error).__name__}).")
    return ChangeSetState.FAILED


async def _order(session: AsyncSession, registry: Registry, kept: Any) -> Order:
    """What was ordered, from the row of its change set; by whom it was, with what they may do now."""
    authority = await _authority(session, kept.user_id)
    acting = Acting(
        user_id=kept.user_id,
        kind=kept.actor_kind,
        door=kept.door,
        reason=kept.reason,
        reference=kept.reference,
        request_id=kept.request_id,
    )
    zone = time_zone(kept.parameters["zone"])
    common: dict[str, Any] = {"authority": authority, "acting": acting, "zone": zone}
    if kept.action == UNDO.permission:
        undone = await session.get_one(ChangeSet, kept.undo_of_id)
        check_may_undo(authority, kept.user_id, undone, await undo.first(session, undone))
        return Order(action=UNDO, chosen=Chosen.audited(kept.undo_of_id, kept.requested), **common)
    if (mapper := mapper_of(kept.parameters["resource"])) is None:
        raise NotFound("What this is about is not loaded any more.")
    chosen = _seen(Chosen.frozen(mapper.class_, kept.selection_id, kept.requested), authority)
    return Order(action=registry.action(kept.action), chosen=chosen, given=kept.parameters["inputs"], **common)


def _seen(chosen: Chosen[Any], authority: Authority) -> Chosen[Any]:
    """The rows that whoever acts may see; the operator sees all."""
    return chosen.seen(rules.visible(authority, chosen.model)) if isinstance(authority, Actor) else chosen


async def _authority(session: AsyncSession, user_id: int | None) -> Authority:
    if user_id is None:
        return Operator()
    if (actor := await users.actor_by_id(session, user_id)) is None:
        raise Forbidden("Whoever ordered this is not active any more.")
    return actor


async def end(database: Database, change_set_id: int, state: ChangeSetState, problem: str) -> bool:
    """End work that is not finished, and say why; what was done stays done. Whether there was something to end."""
    unfinished = (ChangeSet.id == change_set_id, ChangeSet.state.in_(UNFINISHED))
    ended = update(ChangeSet).where(*unfinished).values(state=state, problem=problem, finished_at=func.now())
    async with database.bookkeeping() as session:
        return bool(await session.scalar(ended.returning(ChangeSet.id)))


async def cancel(database: Database, authority: Authority, acting: Acting, change_set_id: int, name: str) -> None:
    """Stop work, and take back the chunks that are being done; by whoever ordered it, or who may cancel others'.

    `name` is who stops it. Raises NotFound, Forbidden, or Conflict where it has ended already.
    """
    async with database.read() as session:
        found = await session.get(ChangeSet, change_set_id)
    if found is None:
        raise NotFound
    own = acting.user_id is not None and found.user_id == acting.user_id
    if not own and not authority.may("change_set.cancel"):
        raise Forbidden("You may cancel only your own work. Others' needs the permission change_set.cancel.")
    if not await end(database, change_set_id, ChangeSetState.CANCELLED, f"Cancelled by {name}."):
        raise Conflict("This has ended already, so there is nothing to cancel.")


async def retry(
    database: Database, registry: Registry, authority: Authority, acting: Acting, change_set_id: int, limits: Limits
) -> Order:
    """The order to do again what failed in a change set, to the rows that failed.

    Raises NotFound, or Conflict where nothing failed, or where it was no action.
    """
    async with database.bookkeeping() as session:
        found = await session.get(ChangeSet, change_set_id)
        if found is None:
            raise NotFound
        mapper = mapper_of(str(found.parameters.get("resource")))
        if found.action not in registry.actions or mapper is None or not found.failed:
            raise Conflict("Nothing failed here that could be tried again.")
        failed = select(RowOutcome.record_id).where(RowOutcome.change_set_id == found.id, RowOutcome.failed)
        resource = registry.resource_of(mapper.class_)
        name = resource.name if resource else mapper.class_.__tablename__
        kept = await selections.freeze(session, failed, user_id=acting.user_id, resource=name, limit=limits.bulk)
    chosen = _seen(Chosen.frozen(mapper.class_, kept.id, kept.row_count), authority)
    zone = time_zone(found.parameters.get("zone", "UTC"))
    given: Mapping[str, str] = found.parameters["inputs"]
    action = registry.action(found.action)
    return Order(authority=authority, acting=acting, action=action, chosen=chosen, given=given, zone=zone)


async def first_in_line(session: AsyncSession, change_set_id: int) -> bool:
    """Whether no earlier work of the same person is unfinished: everybody's work is done one after another."""
    mine = select(ChangeSet.user_id).where(ChangeSet.id == change_set_id).scalar_subquery()
    earlier = select(ChangeSet.id).where(
        ChangeSet.id < change_set_id, ChangeSet.state.in_(UNFINISHED), ChangeSet.user_id.is_not_distinct_from(mine)
    )
    return await session.scalar(earlier.limit(1)) is None


async def adopt(database: Database) -> list[int]:
    """Put unfinished work that lost its place in the queue into it again; returns all unfinished work."""
    async with database.bookkeeping() as session:
        unfinished = select(ChangeSet.id).where(ChangeSet.state.in_(UNFINISHED)).order_by(ChangeSet.id)
        found = list((await session.scalars(unfinished)).all())
        for change_set_id in found:
            await queue.put(session, change_set_id)
    return found


@dataclass
class Worker:
    """Works on what is promised until it is told to stop; what it leaves, another worker goes on with."""

    database: Database
    registry: Registry
    settings: Settings
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Work until `stopping` is set, through lost connections and restarts of the database."""
        while not self.stopping.is_set():
            try:
                async with self.database.connection() as connection:
                    await adopt(self.database)
                    await exports.adopt(self.database)
                    await self._listen(connection)
            except Exception:
                logger.warning("the worker lost the database and tries again", exc_info=True)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), 1)

    async def _listen(self, connection: AsyncConnection) -> None:
        """Take work from the queue over one connection."""
        raw = await connection.get_raw_connection()
        queries = queue.queries(raw.driver_connection)
        pgq = PgQueuer(queries.driver, queries=queries)
        pgq.entrypoint(queue.ENTRYPOINT, concurrency_limit=self.settings.jobs)(self._work)
        pgq.entrypoint(queue.EXPORT, concurrency_limit=1)(self._export)
        pgq.schedule("sweep", "17 * * * *")(self._sweep)
        pgq.schedule("adopt", "* * * * *")(self._adopt)
        pgq.schedule("words", "* * * * *")(self._count_words)
        running = asyncio.create_task(
            pgq.run(dequeue_timeout=LOOK, heartbeat_timeout=HEARTBEAT, shutdown_on_listener_failure=True, batch_size=1)
        )
        stop = asyncio.create_task(self.stopping.wait())
        await asyncio.wait((running, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        pgq.shutdown.set()
        await running

    async def _work(self, job: Job) -> None:
        """Do a change set, if it is its turn; where the database fails, it keeps its place in the queue."""
        change_set_id = int(job.payload or b"0")
        try:
            async with self.database.read() as session:
                its_turn = await first_in_line(session, change_set_id)
                lanes = await work.lanes_left(session, change_set_id) if its_turn else 0
            if its_turn:
                async with asyncio.TaskGroup() as group:
                    loops = [group.create_task(self._chunks(change_set_id)) for _ in range(max(lanes, 1))]
                if not all(loop.result() for loop in loops):
                    raise RetryRequested(timedelta(0), "the worker is stopping")
                return
        except Unavailable as error:
            raise RetryRequested(WAIT, error.message) from error
        raise RetryRequested(WAIT, "after other work of the same person")

    async def _chunks(self, change_set_id: int) -> bool:
        """Do chunk by chunk, to the end of the change set; whether that was reached before we are to stop."""
        failures = 0
        while not self.stopping.is_set():
            try:
                state = await step(self.database, self.registry, self.settings.limits, change_set_id)
            except Unavailable as error:
                failures += 1
                logger.warning("a chunk is tried again", change_set=change_set_id, why=error.message)
                if failures == TRIES:
                    await end(self.database, change_set_id, ChangeSetState.FAILED, error.message)
                    return True
                await asyncio.sleep(min(0.1 * 2**failures, 5))
                continue
            failures = 0
            if state is not ChangeSetState.RUNNING:
                return True
        return False

    async def _export(self, job: Job) -> None:
        """Make the file of an export, or leave it to another worker."""
        maker = exports.Maker(self.database, self.registry, self.settings, self.stopping)
        try:
            await maker.make(int(job.payload or b"0"))
        except Unavailable as error:
            raise RetryRequested(WAIT, error.message) from error
        except exports.Stopped as error:
            raise RetryRequested(timedelta(0), "the worker is stopping") from error

    async def _adopt(self, schedule: Any) -> None:
        """Put work that lost its place in the queue into it again."""
        await adopt(self.database)
        await exports.adopt(self.database)

    async def _count_words(self, schedule: Any) -> None:
        """Go on counting the words of new tickets, from which searches that find nothing are corrected."""
        for _ in range(WORD_BATCHES):
            async with self.database.bookkeeping() as session:
                more = await spelling.count_words(session)
            if not more or self.stopping.is_set():
                return

    async def _sweep(self, schedule: Any) -> None:
        """Forget selections and exports that have expired, and what became of each row long ago."""
        async with self.database.bookkeeping() as session:
            await selections.sweep(session)
            await changes.forget(session, self.settings.outcome_days)
        await exports.sweep(self.database, self.settings)


async def drive(database: Database, registry: Registry, limits: Limits, change_set_id: int) -> None:
    """Do promised work here and now, to its end; a worker may share in it, and goes on with it if we die."""
    while await step(database, registry, limits, change_set_id) is ChangeSetState.RUNNING:
        pass
