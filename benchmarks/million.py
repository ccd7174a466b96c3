"""A desk with a million tickets for benchmarks, made by SQL in half a minute; its values are hashes of row numbers."""

import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from admin_app import migrations, resources
from admin_app.db import Database
from admin_app.postgres import find_or_start
from admin_app.registry import declare_permissions, load
from admin_app.settings import Settings
from admin_app.testing import SERVER_VARIABLE, scratch_database
from admin_app.web.auth import hash_password

LEAD = "user1@example.com"
PASSWORD = secrets.token_urlsafe(12)

SEED = """
CREATE FUNCTION pg_temp.h(i bigint, salt int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
  SELECT (hashint8(i * 7919 + salt) & 2147483647) $$;
INSERT INTO users (email, full_name, is_staff)
  SELECT 'user' || i || '@example.com', 'Person ' || i, i <= 200 FROM generate_series(1, 5000) i;
INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r WHERE u.is_staff AND r.name = 'lead';
INSERT INTO tickets (ticket_number, title, description, status, priority, creator_id, created_by_id, assignee_id,
                     deleted_at, delete_reason, created_at, updated_at, resolved_at, first_resolved_at, closed_at)
  SELECT 'SUP-' || lpad(i::text, 8, '0'),
    (ARRAY['Cannot log in','Invoice is wrong','App crashes on start','Refund not received','Slow dashboard',
           'Feature request','Password reset mail missing','Export fails','Wrong shipping address','API returns 500']
    )[1 + pg_temp.h(i, 4) % 10] || ' (build ' || pg_temp.h(i, 6) % 9999 || ')',
    repeat('It worked yesterday and fails since the update. Steps: open, click, wait. ', 1 + pg_temp.h(i, 7) % 4),
    status, (ARRAY['low','medium','medium','high','urgent'])[1 + pg_temp.h(i, 9) % 5],
    1 + pg_temp.h(i, 10) % 5000, 1 + pg_temp.h(i, 16) % 200,
    CASE WHEN pg_temp.h(i, 11) % 5 > 0 THEN 1 + pg_temp.h(i, 12) % 200 END,
    CASE WHEN pg_temp.h(i, 13) % 50 = 0 THEN now() END, CASE WHEN pg_temp.h(i, 13) % 50 = 0 THEN 'a duplicate' END,
    at, at + interval '1 hour', CASE WHEN done THEN at + interval '1 day' END,
    CASE WHEN done THEN at + interval '1 day' END, CASE WHEN status = 'closed' THEN at + interval '2 days' END
  FROM (
    SELECT i, status, status IN ('resolved', 'closed') AS done,
      timestamptz '2023-01-01' + (i * (1030.0 * 86400 / {rows})) * interval '1 second' AS at
    FROM (
      SELECT i, (ARRAY['open','in_progress','waiting_on_customer','resolved','closed','closed','closed','closed',
                       'resolved','open'])[1 + pg_temp.h(i, 8) % 10] AS status
      FROM generate_series(1, {rows}) i
    ) numbered
  ) dated;
INSERT INTO ticket_search (ticket_id, document)
  SELECT id, to_tsvector('english', ticket_number || ' ' || title || ' ' || description) FROM tickets
"""


@contextmanager
def server() -> Iterator[URL]:
    """The owner's URL of a PostgreSQL server to measure on; a local one is started when none is named."""
    if given := os.environ.get(SERVER_VARIABLE):
        yield make_url(given).set(drivername="postgresql+asyncpg")
        return
    with tempfile.TemporaryDirectory(prefix="backdesk-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        local = find_or_start(Path(folder), Settings.from_env().pg_bindir)
        yield local.owner_url
        local.stop()


@asynccontextmanager
async def desk(owner: URL, rows: int = 1_000_000) -> AsyncIterator[URL]:
    """A database of its own with so many tickets, 5,000 people, and 200 leads, of whom the first can sign in."""
    registry = load(Settings(), core=[resources.plugin])
    async with scratch_database(owner) as url:
        await migrations.upgrade(url, plugins=registry.branches())
        database = Database.connect(url)
        await declare_permissions(database, registry)
        await database.close()
        engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text("SET session_replication_role = replica"))
            for statement in SEED.format(rows=rows).split(";\n"):
                await connection.exec_driver_sql(statement)
            await connection.execute(
                text("UPDATE users SET password_hash = :hash WHERE email = :email"),
                {"hash": hash_password(PASSWORD), "email": LEAD},
            )
            await connection.exec_driver_sql("VACUUM ANALYZE")
            await connection.exec_driver_sql("CHECKPOINT")
        await engine.dispose()
        yield url
