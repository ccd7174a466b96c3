"""Waiting for what other connections do, without guessing how long it takes."""

from sqlalchemy import text

from admin_app.db import Database

WAITING = text(
    "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE NOT l.granted AND a.datname = current_database()"
)


async def until_somebody_waits(database: Database, number: int = 1) -> None:
    """Return as soon as `number` other connections to this database wait for a lock."""
    waiting = 0
    while waiting < number:
        async with database.read() as session:  # a transaction sees the same activity to its end
            waiting = await session.scalar(WAITING) or 0
