"""A desk with a million tickets for benchmarks, made by SQL in about a minute; its values are hashes of row numbers.

Titles, words, tags and comments are spread as in `../shared/bench/seed.sql`, so that other frameworks do the same work.
What the database's triggers would write is written too: words that search reads, status events, times of answers. Words
that misspelled ones are corrected by are those of the first tickets: counting all would last longer, and find the same.
"""

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from admin_app import migrations, resources
from admin_app.db import Acting, Database
from admin_app.models import Ticket, TicketPriority
from admin_app.postgres import client_environment, find_or_start
from admin_app.queries import comments
from admin_app.queries.spelling import count_words
from admin_app.registry import declare_permissions, load
from admin_app.settings import Settings
from admin_app.testing import SERVER_VARIABLE, scratch_database
from admin_app.web.auth import hash_password

LEAD = "user1@example.com"
PASSWORD = secrets.token_urlsafe(12)

STORIED = 777
"""The ticket with twenty comments and a history."""

QUICK = """
SET session_replication_role = replica;
SET synchronous_commit = off;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';
CREATE FUNCTION pg_temp.h(i bigint, salt int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
  SELECT (hashint8(i * 7919 + salt) & 2147483647) $$;
CREATE FUNCTION pg_temp.born(i bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT timestamptz '2023-01-01' + (i * (1030.0 * 86400 / {rows})) * interval '1 second' $$;
CREATE TEMP VIEW words AS
  SELECT i, ticket, i % 3 = 0 AS is_internal, 1 + pg_temp.h(ticket, 10) % 5000 AS requester,
    CASE i % 3 WHEN 1 THEN 1 + pg_temp.h(ticket, 10) % 5000 ELSE 1 + pg_temp.h(i, 16) % 200 END AS author,
    pg_temp.born(ticket) + (60 + pg_temp.h(i, 19) % 1000000) * interval '1 second' AS at
  FROM (SELECT i, CASE drawn WHEN 777 THEN 778 ELSE drawn END AS ticket
        FROM (SELECT i, 1 + pg_temp.h(i, 15) % {rows} AS drawn FROM generate_series(1, 2 * {rows}) i) d) n
"""

PEOPLE = """
INSERT INTO users (email, full_name, is_staff)
  SELECT 'user' || i || '@example.com',
    (ARRAY['Ada','Grace','Linus','Edsger','Barbara','Ken','Dennis','Margaret','Donald','Tony']
    )[1 + pg_temp.h(i, 1) % 10] || ' ' ||
    (ARRAY['Lovelace','Hopper','Torvalds','Dijkstra','Liskov','Thompson','Ritchie','Hamilton','Knuth','Hoare']
    )[1 + pg_temp.h(i, 2) % 10] || ' ' || i, i <= 200
  FROM generate_series(1, 5000) i;
INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r WHERE u.is_staff AND r.name = 'lead';
INSERT INTO tags (name, color)
  SELECT (ARRAY['billing','login','refund','shipping','mobile','api','crash','slow','feature','security']
    )[1 + (i - 1) % 10] || '-' || i, '#' || lpad(to_hex(pg_temp.h(i, 3) % 16777215), 6, '0')
  FROM generate_series(1, 50) i
"""

TICKETS = """
CREATE TEMP TABLE replies AS
  SELECT ticket, min(at) FILTER (WHERE author <= 200 AND author <> requester) AS first_response,
    max(at) FILTER (WHERE author <= 200 AND author <> requester) AS by_staff,
    max(at) FILTER (WHERE author > 200 OR author = requester) AS by_customer
  FROM words WHERE NOT is_internal GROUP BY ticket;
ANALYZE replies;
INSERT INTO tickets (id, ticket_number, title, description, status, priority, source, creator_id, created_by_id,
                     assignee_id, deleted_at, delete_reason, created_at, updated_at, due_at, resolved_at,
                     first_resolved_at, closed_at, first_response_at, last_staff_reply_at, last_customer_reply_at)
  SELECT i, 'SUP-' || lpad(i::text, 8, '0'),
    (ARRAY['Cannot log in','Invoice is wrong','App crashes on start','Refund not received','Slow dashboard',
           'Feature request','Password reset mail missing','Export fails','Wrong shipping address','API returns 500']
    )[1 + pg_temp.h(i, 4) % 10] || ' (' || (ARRAY['web','ios','android','api','desktop'])[1 + pg_temp.h(i, 5) % 5]
    || ', build ' || pg_temp.h(i, 6) % 9999 || ')' || CASE WHEN i % 9973 = 0 THEN ' zyzzyva' ELSE '' END,
    repeat('The customer writes that it worked yesterday and fails since the update. Steps: open, click, wait. ',
           1 + pg_temp.h(i, 7) % 4) || md5(i::text),
    status, (ARRAY['low','medium','medium','medium','high','high','urgent','low','medium','medium']
    )[1 + pg_temp.h(i, 9) % 10], (ARRAY['web','email','email','phone','api'])[1 + pg_temp.h(i, 21) % 5],
    1 + pg_temp.h(i, 10) % 5000, 1 + pg_temp.h(i, 16) % 200,
    CASE WHEN pg_temp.h(i, 11) % 5 > 0 THEN 1 + pg_temp.h(i, 12) % 200 END,
    CASE WHEN gone THEN now() - interval '1 day' END, CASE WHEN gone THEN 'a duplicate' END,
    at, at + interval '1 hour',
    CASE pg_temp.h(i, 20) % 10 WHEN 0 THEN NULL WHEN 1 THEN at + interval '7 days' ELSE at + interval '2000 days' END,
    CASE WHEN done THEN at + interval '1 day' END, CASE WHEN done THEN at + interval '1 day' END,
    CASE WHEN status = 'closed' THEN at + interval '2 days' END, first_response, by_staff, by_customer
  FROM (
    SELECT i, status, status IN ('resolved', 'closed') AS done, pg_temp.h(i, 13) % 50 = 0 AND i <> 777 AS gone,
      pg_temp.born(i) AS at, first_response, by_staff, by_customer
    FROM (
      SELECT i, (ARRAY['open','in_progress','waiting_on_customer','resolved','closed','closed','closed','closed',
                       'resolved','open'])[1 + pg_temp.h(i, 8) % 10] AS status
      FROM generate_series(1, {rows}) i
    ) numbered LEFT JOIN replies ON ticket = i ORDER BY i
  ) dated;
SELECT setval(pg_get_serial_sequence('tickets', 'id'), {rows})
"""

AROUND = """
INSERT INTO comments (ticket_id, author_id, content, is_internal, created_at, updated_at)
  SELECT ticket, author, 'Comment ' || i || ': we looked into it, please retry and tell us the build number.',
    is_internal, at, at FROM words;
INSERT INTO ticket_tags (ticket_id, tag_id)
  SELECT DISTINCT 1 + pg_temp.h(i, 17) % {rows}, 1 + pg_temp.h(i, 18) % 50
  FROM generate_series(1, ({rows} * 3) / 2) i;
ANALYZE comments
"""

COMMENTED = "CREATE INDEX seed_comments ON comments (ticket_id)"

EVENTS = """
INSERT INTO ticket_status_events (ticket_id, from_status, to_status, at)
  SELECT n.id, e.from_status, e.to_status, e.at
  FROM tickets n CROSS JOIN LATERAL (VALUES
    (NULL, 'open', n.created_at, true),
    ('open', n.status, n.created_at, n.status IN ('in_progress', 'waiting_on_customer')),
    ('open', 'resolved', n.resolved_at, n.resolved_at IS NOT NULL),
    ('resolved', 'closed', n.closed_at, n.closed_at IS NOT NULL)
  ) AS e (from_status, to_status, at, happened)
  WHERE e.happened
"""

SEARCH = "SELECT refresh_ticket_search(ARRAY(SELECT generate_series({first}, {last})))"
CHUNK = 20_000

SECONDARY = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE NOT indisunique AND indrelid = ANY (
  '{tickets,ticket_search,ticket_status_events,ticket_tags,comments}'::regclass[]
) ORDER BY pg_get_indexdef(indexrelid) LIKE '% ON public.tickets %'
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


class Owner:
    """A connection of the owner of a database, by which it is asked without asking what is measured."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.runner = asyncio.Runner()

    def __enter__(self) -> Self:
        engine = create_async_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self.connection = self.runner.run(engine.connect().__aenter__())
        return self

    def __exit__(self, *failure: object) -> None:
        self.runner.run(self.connection.close())
        self.runner.close()

    def ask(self, query: str, **values: Any) -> str:
        """The one value of a query, as text."""
        return str(self.runner.run(self.connection.scalar(text(query), values)))


def peers_environment(database: URL, python: str) -> dict[str, str]:
    """The environment in which the other frameworks, run by this Python, find a database, also by a socket."""
    named = f"postgresql://{database.username}@/{database.database}"
    return {**client_environment(database), "BENCH_DSN": named, "BENCH_PY": python}


@asynccontextmanager
async def desk(owner: URL, rows: int = 1_000_000) -> AsyncIterator[URL]:
    """A database of its own, filled with so many tickets, and dropped afterwards."""
    async with scratch_database(owner) as url:
        await fill(url, rows)
        yield url


async def fill(url: URL, rows: int = 1_000_000) -> None:
    """Make an empty database a desk with tickets, 5,000 people, and 200 leads, of whom the first can sign in."""
    registry = load(Settings(), core=[resources.plugin])
    await migrations.upgrade(url, plugins=registry.branches())
    database = Database.connect(url)
    await declare_permissions(database, registry)
    with_indexes = await _rows(url, SECONDARY)
    await _run(url, rows, [f"DROP INDEX {name}" for name, _ in with_indexes])
    await _run(url, rows, _statements(PEOPLE))
    await asyncio.gather(_run(url, rows, _statements(TICKETS)), _run(url, rows, [*_statements(AROUND), COMMENTED]))
    chunks = [SEARCH.format(first=first, last=min(first + CHUNK, rows + 1) - 1) for first in range(1, rows + 1, CHUNK)]
    half = len(chunks) * 3 // 5
    await asyncio.gather(_run(url, rows, chunks[:half]), _run(url, rows, [*chunks[half:], EVENTS]))
    definitions = [definition for _, definition in with_indexes]
    await _run(url, rows, ["DROP INDEX seed_comments"])
    await asyncio.gather(_run(url, rows, definitions[::2]), _run(url, rows, definitions[1::2]))
    hashed = hash_password(PASSWORD)
    await _run(url, rows, [f"UPDATE users SET password_hash = '{hashed}' WHERE email = '{LEAD}'"])
    await _run(url, rows, ["VACUUM ANALYZE"])
    await _tell(database)
    async with database.bookkeeping() as session:
        await count_words(session, CHUNK)
    await database.close()
    await _run(url, rows, [f"UPDATE search_position SET ticket_id = {rows}", "CHECKPOINT"])


def _statements(script: str) -> list[str]:
    return script.strip().split(";\n")


async def _run(url: URL, rows: int, statements: Iterable[str]) -> None:
    """Run statements one after another, without triggers, on a connection that knows the seed's functions."""
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in [*_statements(QUICK), *statements]:
            await connection.exec_driver_sql(statement.replace("{rows}", str(rows)))
    await engine.dispose()


async def _rows(url: URL, query: str) -> list[tuple[str, str]]:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        found = [(name, definition) for name, definition in await connection.execute(text(query))]
    await engine.dispose()
    return found


async def _tell(database: Database) -> None:
    """Give one ticket twenty comments and ten changes of its priority, as the desk itself writes them."""
    ranks = list(TicketPriority)
    for turn in range(20):
        acting = Acting(user_id=1 + turn, reason="to be measured")
        async with database.transaction(acting, "core.benchmark") as change:
            said = f"Answer {turn}: please send us the log of build {turn * 7}."
            await comments.add(change.session, STORIED, 1 + turn, said, is_internal=turn % 3 == 0)
            if turn % 2:
                ticket = await change.session.get_one(Ticket, STORIED)
                ticket.priority = next(rank for rank in ranks if rank != ticket.priority)
