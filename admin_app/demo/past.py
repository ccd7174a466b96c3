"""Sets the history of a made-up desk back to when it is said to have happened, which only the tables' owner can."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from admin_app.demo.desk import Desk
from admin_app.demo.rows import as_json
from admin_app.demo.story import Act
from admin_app.errors import Unavailable
from admin_app.models import ActorKind
from admin_app.refusals import translated
from admin_app.settings import APP_ROLE

CHANGE_SETS = text(
    """
INSERT INTO change_sets (user_id, actor_kind, action, door, reason, parameters, state, changed, started_at, finished_at)
SELECT user_id, actor_kind, action, door, reason, parameters, 'completed', changed, at, at + interval '40 milliseconds'
FROM jsonb_to_recordset(CAST(:acts AS jsonb)) AS a(user_id bigint, actor_kind text, action text, door text, reason text,
                                                   parameters jsonb, changed integer, at timestamptz)
RETURNING id"""
)

MOMENTS = """
CREATE TEMPORARY TABLE demo_moments (table_name text, record_id text, nth integer, change_set_id bigint, at timestamptz)
ON COMMIT DROP"""

REMEMBER = text(
    "INSERT INTO demo_moments SELECT * FROM jsonb_populate_recordset(NULL::demo_moments, CAST(:rows AS jsonb))"
)

AUDIT = text(
    """
WITH numbered AS (
  SELECT id, table_name, record_id, row_number() OVER (PARTITION BY table_name, record_id ORDER BY id) AS nth
  FROM audit_logs WHERE change_set_id = :made_in
), taken AS (
  DELETE FROM audit_logs a USING numbered n JOIN demo_moments m USING (table_name, record_id, nth) WHERE a.id = n.id
  RETURNING a.id, a.table_name, a.record_id, a.action, a.changes, m.change_set_id, m.at
)
INSERT INTO audit_logs (table_name, record_id, action, changes, user_id, actor_kind, change_set_id, reason, created_at)
SELECT t.table_name, t.record_id, t.action, t.changes, c.user_id, c.actor_kind, c.id, c.reason,
  coalesce(t.at, c.started_at) AS moment
FROM taken t JOIN change_sets c ON c.id = t.change_set_id ORDER BY moment, t.id"""
)

EVENTS = text(
    """
UPDATE ticket_status_events e SET at = c.started_at, actor_id = c.user_id, change_set_id = c.id
FROM (
  SELECT id, ticket_id, row_number() OVER (PARTITION BY ticket_id ORDER BY id) AS nth
  FROM ticket_status_events WHERE change_set_id = :made_in
) n
JOIN jsonb_to_recordset(CAST(:events AS jsonb)) AS s(ticket_id bigint, nth integer, change_set_id bigint)
  USING (ticket_id, nth)
JOIN change_sets c ON c.id = s.change_set_id
WHERE e.id = n.id"""
)

BEGINNINGS = text(
    """
INSERT INTO demo_moments
SELECT 'users', id::text, 1, CAST(:made_in AS bigint), created_at FROM users UNION ALL
SELECT 'tags', id::text, 1, CAST(:made_in AS bigint), created_at FROM tags UNION ALL
SELECT 'user_roles', r.user_id || ',' || r.role_id, 1, CAST(:made_in AS bigint), u.created_at
FROM user_roles r JOIN users u ON u.id = r.user_id"""
)

COUNT = text(
    "UPDATE change_sets SET changed = (SELECT count(*) FROM audit_logs WHERE change_set_id = :made_in)"
    " WHERE id = :made_in"
)


@asynccontextmanager
async def as_owner(owner_url: URL) -> AsyncIterator[AsyncConnection]:
    """The owner's connection in one transaction, which begins in the application's role."""
    engine = create_async_engine(owner_url.set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL ROLE {APP_ROLE}"))
            yield connection
    except DBAPIError as error:
        raise translated(error) from error
    except OSError as error:
        raise Unavailable from error
    finally:
        await engine.dispose()


async def set_back(connection: AsyncConnection, desk: Desk, made_in: int) -> None:
    """Give every act of the past a change set of its own, and every audit row and status event its time and actor.

    `made_in` is the change set in which all was really written; what belongs to no act, such as people, stays there.
    """
    await connection.execute(text("RESET ROLE"))
    moments = sorted(_moments(desk), key=lambda moment: moment.act.at)
    acts = list(dict.fromkeys(moment.act for moment in moments))
    touched = Counter(moment.act for moment in moments if moment.table == "tickets")
    made = await connection.execute(CHANGE_SETS, {"acts": as_json([_facts(act, touched[act]) for act in acts])})
    change_sets = dict(zip(acts, sorted(made.scalars()), strict=True))
    events = [{"ticket_id": one, "nth": nth, "change_set_id": change_sets[act]} for one, nth, act in _events(desk)]
    await connection.execute(text(MOMENTS))
    await connection.execute(REMEMBER, {"rows": as_json([moment.row(change_sets) for moment in moments])})
    await connection.execute(BEGINNINGS, {"made_in": made_in})
    await connection.execute(AUDIT, {"made_in": made_in})
    await connection.execute(EVENTS, {"made_in": made_in, "events": as_json(events)})
    await connection.execute(COUNT, {"made_in": made_in})


@dataclass(frozen=True)
class Moment:
    """That an act wrote the audit row of a record's creation (`nth` is 1) or of its change number `nth` - 1.

    In the temporary table, moments without a time of their own happened when their change set did.
    """

    table: str
    record_id: str
    nth: int
    act: Act

    def row(self, change_sets: Mapping[Act, int]) -> dict[str, Any]:
        """The moment as a row of the temporary table."""
        return {
            "table_name": self.table,
            "record_id": self.record_id,
            "nth": self.nth,
            "change_set_id": change_sets[self.act],
        }


def _moments(desk: Desk) -> Iterator[Moment]:
    for story in desk.stories:
        for nth, act in enumerate([story.act, *(step.act for step in story.steps)], start=1):
            yield Moment("tickets", str(story.id), nth, act)
        for name, act in story.tags.items():
            yield Moment("ticket_tags", f"{story.id},{desk.tag_ids[name]}", 1, act)
        for said in story.said:
            yield Moment("comments", str(said.id), 1, said.act)


def _facts(act: Act, tickets: int) -> dict[str, Any]:
    """The change set of an act that changed so many tickets, or none and only added a comment."""
    bulk = {"resource": "tickets", "requested": tickets}
    return {
        "user_id": act.by,
        "actor_kind": ActorKind.USER if act.by else ActorKind.SYSTEM,
        "action": act.name,
        "door": act.door,
        "reason": act.reason,
        "parameters": bulk if tickets else {},
        "changed": tickets or 1,
        "at": act.at,
    }


def _events(desk: Desk) -> Iterator[tuple[int, int, Act]]:
    """Ticket, place among its status events, and the act of every status that a ticket came to."""
    for story in desk.stories:
        acts = [story.act, *(step.act for step in story.steps if "status" in step.values)]
        yield from ((story.id, nth, act) for nth, act in enumerate(acts, start=1))
