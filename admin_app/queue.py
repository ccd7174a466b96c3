"""The queue of jobs in PostgreSQL, PgQueuer's: it carries ids of change sets and of exports, and nothing else.

Its tables live in a schema of their own, made and brought up to date by `backdesk db upgrade`.
"""

from typing import Any

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.queries import Queries
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

SCHEMA = "jobs"
ENTRYPOINT = "change_set"
EXPORT = "export"


def queries(connection: Any) -> Queries:
    """PgQueuer's statements, in our schema, on a connection of asyncpg."""
    settings = DBSettings(db_schema=SCHEMA)
    return Queries(
        AsyncpgDriver(connection),
        QueryBuilderEnvironment(settings),
        QueryQueueBuilder(settings),
        QuerySchedulerBuilder(settings),
    )


async def put(session: AsyncSession, key: int, entrypoint: str = ENTRYPOINT) -> None:
    """Have a change set, or an export, worked on once this transaction commits; one that waits is not put in again."""
    raw = await (await session.connection()).get_raw_connection()
    await queries(raw.driver_connection).enqueue(
        entrypoint, str(key).encode(), dedupe_key=f"{entrypoint}:{key}", on_conflict="skip"
    )


async def install(connection: AsyncConnection) -> None:
    """Make the tables of the queue, or bring them to this version of PgQueuer; needs the owner of the tables."""
    raw = await connection.get_raw_connection()
    queue = queries(raw.driver_connection)
    if await queue.schema_is_installed():
        for statement in (await queue.plan_upgrade()).statements:
            await queue.driver.execute(statement)
    else:
        await queue.install()


async def outdated(connection: AsyncConnection) -> list[str]:
    """What the queue lacks in this database, as sentences; empty when it fits."""
    raw = await connection.get_raw_connection()
    queue = queries(raw.driver_connection)
    if await queue.schema_is_installed() and not (await queue.plan_upgrade()).statements:
        return []
    return ["The queue of jobs is missing or outdated. Run `backdesk db upgrade`."]
