"""Database: the engine, read-only sessions for looking, and `transaction()`, the only place that commits a change.

A session from `read()` is read-only in PostgreSQL itself, so a change that forgot who acts is refused there.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Self

from sqlalchemy import URL, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm.exc import StaleDataError

from admin_app.errors import ChangedMeanwhile, Unavailable
from admin_app.models import ActorKind, ChangeSetState, Door
from admin_app.refusals import translated
from admin_app.settings import APP_ROLE, Settings

OPEN = text(
    """
WITH opened AS (
  INSERT INTO change_sets (user_id, actor_kind, action, door, reason, reference, parameters, request_id, address,
                           user_agent, idempotency_key, state, requested, selection_id, undo_of_id)
  VALUES (:user_id, :kind, :action, :door, :reason, :reference, cast(:parameters AS jsonb), :request_id, :address,
          :user_agent, :idempotency_key, :state, :requested, :selection_id, :undo_of_id)
  RETURNING id
)
SELECT id, set_config('app.change_set_id', id::text, true),
  set_config('app.user_id', coalesce(cast(:user_id AS bigint)::text, ''), true),
  set_config('app.actor_kind', :kind, true), set_config('app.request_id', coalesce(:request_id, ''), true),
  set_config('app.reason', coalesce(:reason, ''), true)
FROM opened"""
)

NOBODY = """set_config('app.change_set_id', '', true), set_config('app.user_id', '', true),
  set_config('app.actor_kind', '', true), set_config('app.request_id', '', true), set_config('app.reason', '', true)"""
"""Nobody acts any more, which matters where tests put many change sets into one transaction."""

LANE = "SELECT lane, until, position FROM change_set_lanes WHERE change_set_id = :id AND NOT done ORDER BY lane LIMIT 1"

RESUME = text(
    f"""
WITH resumed AS (SELECT * FROM change_sets WHERE id = :id AND state IN ('queued', 'running')),
free AS ({LANE} FOR UPDATE SKIP LOCKED)
SELECT resumed.*, free.*, set_config('app.change_set_id', id::text, true),
  set_config('app.user_id', coalesce(user_id::text, ''), true), set_config('app.actor_kind', actor_kind, true),
  set_config('app.request_id', coalesce(request_id, ''), true), set_config('app.reason', coalesce(reason, ''), true),
  set_config('idle_in_transaction_session_timeout', :patience, true), set_config('synchronous_commit', 'off', true)
FROM resumed LEFT JOIN free ON true"""
).columns(parameters=JSONB(), skipped=JSONB())
"""No chunk waits for the disk: where a server falls, its last ones are lost whole, and are done again."""

WAIT = text(f"{LANE} FOR UPDATE")

DONE = text(
    """
SELECT * FROM change_sets c
WHERE id = :id AND state IN ('queued', 'running')
  AND NOT EXISTS (SELECT FROM change_set_lanes WHERE change_set_id = c.id AND NOT done)
FOR UPDATE"""
).columns(skipped=JSONB())

PROGRESS = text(
    f"""
WITH counted AS (
  UPDATE change_sets c SET state = 'running', changed = changed + :changed, unchanged = unchanged + :unchanged,
    failed = failed + :failed, progressed_at = clock_timestamp(), skipped = (
      SELECT coalesce(jsonb_object_agg(reason, number), '{{}}') FROM (
        SELECT key AS reason, sum(value::integer) AS number
        FROM (SELECT * FROM jsonb_each_text(c.skipped) UNION ALL
              SELECT * FROM jsonb_each_text(cast(:skipped AS jsonb))) AS known
        GROUP BY key) AS summed)
  WHERE id = :id AND state IN ('queued', 'running')
  RETURNING id
)
UPDATE change_set_lanes l SET position = cast(:position AS bigint), done = :done
FROM counted WHERE l.change_set_id = counted.id AND l.lane = :lane
RETURNING {NOBODY}"""
)
"""What a chunk did is added to what is there by then; nothing where the work was ended meanwhile."""

CLOSE = text(
    f"""
WITH closed AS (
  UPDATE change_sets SET state = 'completed', changed = :changed, unchanged = :unchanged, failed = :failed,
    skipped = cast(:skipped AS jsonb), progressed_at = clock_timestamp(), finished_at = clock_timestamp()
  WHERE id = :id
  RETURNING id
)
SELECT {NOBODY}
FROM closed"""
)


@dataclass(frozen=True, kw_only=True)
class Acting:
    """Who makes a change, through which door, and why; written into the change set and every audit row."""

    user_id: int | None
    kind: ActorKind = ActorKind.USER
    door: Door = Door.CODE
    reason: str | None = None
    reference: str | None = None
    request_id: str | None = None
    address: str | None = None
    user_agent: str | None = None

    @classmethod
    def system(cls, door: Door = Door.CODE, **facts: Any) -> Self:
        """The installation itself: the command line without a named person, imports, housekeeping."""
        return cls(user_id=None, kind=ActorKind.SYSTEM, door=door, **facts)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a change set is to do: with which parameters, which hold no secret, and to how many rows.

    A key makes sure that it is done once. What it works through in chunks are the rows of a selection, or those that
    another change set wrote and that it undoes.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    requested: int = 0
    selection_id: int | None = None
    undo_of_id: int | None = None


@dataclass
class Counts:
    """How many rows a change set, or a chunk of it, changed, left as they were, skipped for which reason, failed on."""

    changed: int = 0
    unchanged: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    failed: int = 0


@dataclass(frozen=True)
class Change:
    """A change set under way: its id, the session to change things with, and the counts it will be closed with."""

    id: int
    session: AsyncSession
    counts: Counts


@dataclass
class Lane:
    """A part of the rows of a change set, those up to `until`, and the last of them that is done with."""

    number: int
    until: int | None
    position: int | None
    done: bool = False


@dataclass(frozen=True)
class Resumed(Change):
    """A chunk of a change set that was promised before, with its row as it was stored, and the lane that it is of."""

    kept: Any
    lane: Lane


@dataclass(frozen=True)
class Finishing(Change):
    """A promised change set of which all is done, and what it undoes, if it does."""

    undo_of_id: int | None


class Database:
    """A PostgreSQL database, given as an engine; or as one connection, in whose transaction everything then happens.

    `glancing` is an engine whose connections can only read, each statement for itself; without it they are read in the
    transactions of `bind`.
    """

    def __init__(self, bind: AsyncEngine | AsyncConnection, glancing: AsyncEngine | None = None) -> None:
        self.bind, self.glancing = bind, glancing

    @classmethod
    def connect(cls, url: URL, settings: Settings | None = None) -> Self:
        """A database at a URL, used in the application's role whatever login the URL names."""
        settings = settings or Settings()
        session_settings = {
            "application_name": "backdesk",
            "timezone": "UTC",
            "jit": "off",
            "statement_timeout": str(settings.statement_timeout_ms),
            "idle_in_transaction_session_timeout": "60000",
        }
        if url.username != APP_ROLE:
            session_settings["role"] = APP_ROLE
        limit = min(round(settings.list_timeout * 1_000), settings.statement_timeout_ms)
        glances = session_settings | {"default_transaction_read_only": "on", "statement_timeout": str(limit)}
        glances["max_parallel_workers_per_gather"] = "0"  # to start them takes longer than a page
        return cls(
            _engine(url, settings.pool_size, session_settings),
            _engine(url, settings.pool_size, glances, isolation_level="AUTOCOMMIT"),
        )

    async def close(self) -> None:
        """Close every connection of the pools."""
        for engine in self.engines:
            await engine.dispose()

    @property
    def engines(self) -> list[AsyncEngine]:
        """The engines that sessions come from; none where everything happens on one connection."""
        if isinstance(self.bind, AsyncConnection):
            return []
        return [self.bind, self.glancing] if self.glancing is not None else [self.bind]

    @asynccontextmanager
    async def glance(self) -> AsyncIterator[AsyncSession]:
        """A session that can only read, each statement for itself, which saves two trips to the database.

        What streams rows, or has to see the same instant in several statements, needs `read()`.
        """
        if self.glancing not in self.engines:
            async with self.read() as session:
                yield session
            return
        async with self._session(self.glancing) as session:
            yield session

    @asynccontextmanager
    async def read(self, *, snapshot: bool = False) -> AsyncIterator[AsyncSession]:
        """A session that can only read; with `snapshot`, all its statements see the same instant."""
        async with self._session() as session:
            await self._begin(session, read_only=True, snapshot=snapshot)
            yield session

    @asynccontextmanager
    async def transaction(
        self,
        acting: Acting,
        action: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        plan: Plan | None = None,
    ) -> AsyncIterator[Change]:
        """One change set and its transaction: opened first, closed with its counts, committed last, or all undone.

        `action` is the dotted name of what is done, such as `assign.assign`; a whole plan, or its `parameters` and key,
        are kept with it. Raises Unavailable, Conflict or another BackdeskError in place of the driver's errors.
        """
        plan = plan or Plan(parameters=parameters or {}, idempotency_key=idempotency_key)
        async with self._session() as session:
            await self._begin(session)
            change = await _opened(session, acting, action, plan, ChangeSetState.RUNNING)
            yield change
            await _close(change)
            await session.commit()

    @asynccontextmanager
    async def rehearsal(self, acting: Acting, action: str) -> AsyncIterator[Change]:
        """A change set that never was: what it does can be looked at inside, and is all undone at the end."""
        async with self._session() as session:
            await self._begin(session)
            yield await _opened(session, acting, action, Plan(), ChangeSetState.RUNNING)
            await session.rollback()

    @asynccontextmanager
    async def promise(self, acting: Acting, action: str, plan: Plan) -> AsyncIterator[Change]:
        """A change set that is only written down, to be done by and by; what is put into its session commits with it.

        Nobody acts in it yet: `resumed()` is where it is done.
        """
        async with self._session() as session:
            await self._begin(session)
            yield await _opened(session, acting, action, plan, ChangeSetState.QUEUED)
            await session.commit()

    @asynccontextmanager
    async def resumed(self, change_set_id: int) -> AsyncIterator[Resumed | None]:
        """The next chunk of a promised change set, in a lane that nobody else takes meanwhile; None where none is left.

        Whoever is frozen in it loses it after PATIENCE, with all that the chunk had done. All of it is taken back as
        well where the change set was ended meanwhile.
        """
        async with self._session() as session:
            await self._begin(session)
            kept = (await session.execute(RESUME, {"id": change_set_id, "patience": PATIENCE})).first()
            free = kept
            if kept is not None and kept.lane is None:
                free = (await session.execute(WAIT, {"id": change_set_id})).first()
            if kept is None or free is None:
                yield None
                return
            change = Resumed(kept.id, session, Counts(), kept, Lane(free.lane, free.until, free.position))
            yield change
            if await _progressed(change):
                await session.commit()

    @asynccontextmanager
    async def finishing(self, change_set_id: int) -> AsyncIterator[Finishing | None]:
        """The end of a promised change set of which every lane is done; None before that, and once it has ended."""
        async with self._session() as session:
            await self._begin(session)
            kept = (await session.execute(DONE, {"id": change_set_id})).first()
            if kept is None:
                yield None
                return
            counts = Counts(kept.changed, kept.unchanged, kept.skipped, kept.failed)
            change = Finishing(kept.id, session, counts, kept.undo_of_id)
            yield change
            await _close(change)
            await session.commit()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection of its own outside transactions, for listening to what the database tells."""
        if isinstance(self.bind, AsyncConnection):
            yield self.bind
            return
        async with self.bind.connect() as connection:
            yield connection

    @asynccontextmanager
    async def bookkeeping(self) -> AsyncIterator[AsyncSession]:
        """A transaction for tables that are not audited, such as throttles; the database refuses any other change."""
        async with self._session() as session:
            await self._begin(session)
            yield session
            await session.commit()

    @asynccontextmanager
    async def _session(self, bind: AsyncEngine | None = None) -> AsyncIterator[AsyncSession]:
        mode: Any = "create_savepoint" if isinstance(self.bind, AsyncConnection) else "conditional_savepoint"
        session = AsyncSession(bind or self.bind, expire_on_commit=False, join_transaction_mode=mode)
        try:
            async with session:
                yield session
        except StaleDataError as error:
            raise ChangedMeanwhile from error
        except (DBAPIError, PoolTimeoutError, ConnectionError) as error:
            raise translated(error) from error

    async def _begin(self, session: AsyncSession, *, read_only: bool = False, snapshot: bool = False) -> None:
        """Start the transaction; on an engine, in the mode that is asked for."""
        if isinstance(self.bind, AsyncConnection):
            return
        options: dict[str, Any] = {"postgresql_readonly": True} if read_only else {}
        if snapshot:
            options["isolation_level"] = "REPEATABLE READ"
        try:
            await session.connection(execution_options=options)
        except OSError as error:
            raise Unavailable from error


RESTED = 1.0
"""Seconds without use after which a connection is asked whether it is alive; one that was in use just now is."""


def _engine(url: URL, size: int, session_settings: Mapping[str, str], **options: Any) -> AsyncEngine:
    """An engine with `size` connections, which are looked at before they are used again.

    The one that was used last is used next: its process of PostgreSQL has at hand what it read before.
    """
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={"server_settings": dict(session_settings), "timeout": 10},
        **options,
    )
    dialect = engine.dialect

    @event.listens_for(engine.sync_engine, "checkin")
    def rest(connection: Any, record: Any) -> None:
        record.info["resting_since"] = monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def wake(connection: Any, record: Any, proxy: Any) -> None:
        alive = not connection.driver_connection.is_closed()
        if alive and monotonic() - record.info.get("resting_since", monotonic()) > RESTED:
            try:
                dialect.do_ping(connection)
            except (dialect.loaded_dbapi.Error, OSError):
                alive = False
        if not alive:
            raise InvalidatePoolError

    return engine


PATIENCE = "5s"
"""How long a transaction of a job may wait for its process before the database gives its locks to others."""


async def _opened(session: AsyncSession, acting: Acting, action: str, plan: Plan, state: ChangeSetState) -> Change:
    facts = {
        "user_id": acting.user_id,
        "kind": acting.kind.value,
        "action": action,
        "door": acting.door.value,
        "reason": acting.reason,
        "reference": acting.reference,
        "parameters": json.dumps(dict(plan.parameters), default=str),
        "request_id": acting.request_id,
        "address": acting.address,
        "user_agent": (acting.user_agent or "")[:400] or None,
        "idempotency_key": plan.idempotency_key,
        "state": state.value,
        "requested": plan.requested,
        "selection_id": plan.selection_id,
        "undo_of_id": plan.undo_of_id,
    }
    return Change((await session.execute(OPEN, facts)).scalar_one(), session, Counts())


async def _close(change: Change) -> None:
    await change.session.flush()
    await change.session.execute(CLOSE, _counted(change))


async def _progressed(change: Resumed) -> bool:
    """Write down what a chunk did, and how far its lane is; whether there was still somebody to tell."""
    await change.session.flush()
    lane = change.lane
    facts = _counted(change) | {"lane": lane.number, "position": lane.position, "done": lane.done}
    return (await change.session.execute(PROGRESS, facts)).first() is not None


def _counted(change: Change) -> dict[str, Any]:
    counts = change.counts
    return {
        "id": change.id,
        "changed": counts.changed,
        "unchanged": counts.unchanged,
        "failed": counts.failed,
        "skipped": json.dumps(counts.skipped),
    }
