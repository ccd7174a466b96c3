"""The made-up desk: what is promised of it, on a real database, with a past and without."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import URL, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from admin_app import demo
from admin_app.db import Acting, Database
from admin_app.demo.desk import Desk, imagine
from admin_app.errors import Conflict, NotFound, Unavailable
from admin_app.models import Door, TicketPriority, TicketSource, TicketStatus, User
from admin_app.queries import tickets, users
from admin_app.settings import APP_ROLE
from admin_app.testing import Make, scratch_database

NOW = datetime(2026, 3, 20, 11, 14, tzinfo=UTC)


@dataclass
class Asked:
    """A made-up desk, and a short way to ask its database for one value, one row or many."""

    database: Database

    async def all(self, sql: str, **values: Any) -> list[Any]:
        async with self.database.read() as session:
            return list((await session.execute(text(sql), {"now": NOW, **values} if ":now" in sql else values)).all())

    async def row(self, sql: str, **values: Any) -> Any:
        (row,) = await self.all(sql, **values)
        return row

    async def one(self, sql: str, **values: Any) -> Any:
        return (await self.row(sql, **values))[0]

    async def column(self, sql: str, **values: Any) -> list[Any]:
        return [row[0] for row in await self.all(sql, **values)]


async def built(url: URL, seed: int = 7) -> None:
    database = Database.connect(url)
    await demo.build(database, now=NOW, seed=seed, owner_url=url)
    await database.close()


@pytest_asyncio.fixture(scope="module")
async def made_up_url(server_url: URL, template_url: URL) -> AsyncIterator[URL]:
    """The owner's URL of a made-up desk with its past, built once for this module."""
    async with scratch_database(server_url, template_url.database) as url:
        await built(url)
        yield url


@pytest_asyncio.fixture
async def desk(made_up_url: URL) -> AsyncIterator[Asked]:
    """The made-up desk with its past, in a transaction that is rolled back."""
    engine = create_async_engine(made_up_url, connect_args={"server_settings": {"role": APP_ROLE, "timezone": "UTC"}})
    async with engine.connect() as connection:
        transaction = await connection.begin()
        yield Asked(Database(connection))
        await transaction.rollback()
    await engine.dispose()


@pytest.fixture(scope="module")
def imagined() -> Desk:
    """The same desk before it is written anywhere."""
    return imagine(NOW, 7)


async def test_it_has_the_people_and_tickets_that_are_promised(desk: Asked) -> None:
    roles = dict(
        await desk.all("SELECT r.name, count(*) FROM user_roles u JOIN roles r ON r.id = u.role_id GROUP BY 1")
    )
    assert roles == {"agent": 10, "lead": 2, "auditor": 1, "developer": 1}
    assert await desk.one("SELECT count(*) FROM users WHERE NOT is_staff") == 300
    assert await desk.one("SELECT count(*) FROM users WHERE is_staff AND is_active") == 14
    assert await desk.row("SELECT count(*), count(DISTINCT ticket_number) FROM tickets") == (2000, 2000)
    assert 6_500 < await desk.one("SELECT count(*) FROM comments") < 8_500
    assert await desk.row("SELECT count(*), count(DISTINCT color) FROM tags") == (14, 14)


async def test_every_status_priority_and_source_is_there_in_a_believable_mix(desk: Asked) -> None:
    for column, kind in (("status", TicketStatus), ("priority", TicketPriority), ("source", TicketSource)):
        counted = dict(await desk.all(f"SELECT {column}, count(*) FROM tickets GROUP BY 1"))
        assert counted.keys() == set(kind) - {TicketSource.IMPORT}
        assert min(counted.values()) >= 15
    live = "FROM tickets WHERE deleted_at IS NULL AND"
    assert await desk.one(f"SELECT count(*) {live} status IN ('open', 'in_progress', 'waiting_on_customer')") > 90
    assert await desk.one(f"SELECT count(*) {live} status IN ('open', 'in_progress') AND due_at < :now") > 20
    assert await desk.one(f"SELECT count(*) {live} status = 'open' AND assignee_id IS NULL") > 10
    assert await desk.one(f"SELECT count(*) {live} reopen_count > 0") > 80


async def test_the_trash_holds_some_tickets_each_with_who_and_why(desk: Asked) -> None:
    reasons = await desk.column("SELECT delete_reason FROM tickets WHERE deleted_at IS NOT NULL")
    assert 20 <= len(reasons) <= 40
    assert len(set(reasons)) == 3
    assert not await desk.column("SELECT id FROM tickets WHERE deleted_at IS NOT NULL AND deleted_by_id IS NULL")


async def test_every_address_is_reserved_for_examples(desk: Asked) -> None:
    for address in await desk.column("SELECT email FROM users"):
        assert re.fullmatch(r"[a-z0-9.-]+@example\.(com|org|net)", address), address


async def test_texts_are_many_and_every_fact_is_filled_in(desk: Asked) -> None:
    assert await desk.one("SELECT count(DISTINCT title) FROM tickets") >= 700
    assert await desk.one("SELECT count(DISTINCT description) FROM tickets") >= 1_950
    assert await desk.one("SELECT count(DISTINCT content) FROM comments") >= 5_000
    texts = await desk.column("SELECT title || description FROM tickets UNION ALL SELECT content FROM comments")
    for written in texts:
        assert not re.search(r"\{\w*\}|  |None|\blorem\b", written), written


async def test_nobody_does_anything_before_the_ticket_begins_or_after_now(desk: Asked) -> None:
    assert not await desk.column("SELECT id FROM tickets WHERE resolved_at < created_at OR closed_at < resolved_at")
    assert not await desk.column("SELECT id FROM tickets WHERE first_resolved_at > resolved_at OR updated_at > :now")
    early = "SELECT c.id FROM comments c JOIN tickets t ON t.id = c.ticket_id WHERE c.created_at < t.created_at"
    assert not await desk.column(early)
    assert not await desk.column("SELECT id FROM comments WHERE created_at > :now OR btrim(content) = ''")
    assert not await desk.column(
        "SELECT t.id FROM tickets t JOIN users u ON u.id = t.creator_id WHERE t.created_at < u.created_at"
    )
    assert await desk.one("SELECT min(created_at) FROM tickets") > NOW - timedelta(days=366)


async def test_due_times_follow_the_priority_a_ticket_came_in_with(imagined: Desk) -> None:
    days = {(story.priority.value, (story.due_at - story.act.at).days) for story in imagined.stories}
    assert days == {("urgent", 1), ("high", 2), ("medium", 7), ("low", 14)}


async def test_nearly_every_resolved_ticket_was_answered_in_public(desk: Asked) -> None:
    done = "FROM tickets WHERE resolved_at IS NOT NULL AND deleted_at IS NULL"
    answered, resolved = await desk.row(f"SELECT count(first_response_at), count(*) {done}")
    assert answered / resolved > 0.98
    half, most = await desk.row(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY hours), percentile_cont(0.9) WITHIN GROUP (ORDER BY hours)"
        " FROM (SELECT extract(epoch FROM first_response_at - created_at) / 3600 AS hours FROM tickets) t"
    )
    assert 1 < half < 24
    assert most > 3 * half
    assert await desk.one("SELECT count(*) FROM comments WHERE is_internal") > 400


async def test_tickets_come_in_by_day_mostly_on_weekdays_and_most_before_the_holidays(desk: Asked) -> None:
    days = dict(await desk.all("SELECT extract(isodow FROM created_at)::int, count(*) FROM tickets GROUP BY 1"))
    assert days[1] > 2 * days[7]
    at_night, by_day = await desk.row(
        "SELECT count(*) FILTER (WHERE extract(hour FROM created_at) < 6),"
        " count(*) FILTER (WHERE extract(hour FROM created_at) BETWEEN 8 AND 17) FROM tickets"
    )
    assert by_day > 10 * at_night
    weeks = await desk.column("SELECT date_trunc('week', created_at) FROM tickets GROUP BY 1 ORDER BY count(*) DESC")
    assert weeks[0].date() <= datetime(2025, 12, 10, tzinfo=UTC).date() < weeks[0].date() + timedelta(days=7)


async def test_one_outage_is_reported_by_many_and_resolved_at_once(desk: Asked) -> None:
    reports, days, ends, titles = await desk.row(
        "SELECT count(*), count(DISTINCT t.created_at::date), count(DISTINCT t.resolved_at), count(DISTINCT t.title)"
        " FROM tickets t JOIN ticket_tags g ON g.ticket_id = t.id JOIN tags ON tags.id = g.tag_id"
        " WHERE tags.name = 'outage'"
    )
    assert (reports, days, ends) == (46, 1, 1)
    assert titles > 15
    sets = await desk.column("SELECT action FROM change_sets WHERE reason LIKE 'Outage %' ORDER BY started_at")
    assert sets[0] == "assign.assign"
    assert sets[-1] == "ticket.resolve"


async def test_some_customers_ask_all_the_time_and_most_seldom(desk: Asked) -> None:
    counts = sorted(await desk.column("SELECT count(*) FROM tickets GROUP BY creator_id"))
    assert len(counts) > 240
    assert counts[-1] > 5 * counts[len(counts) // 2]


ASTRAY = """
SELECT t.id FROM tickets t JOIN LATERAL (
  SELECT to_status FROM ticket_status_events e WHERE e.ticket_id = t.id ORDER BY at DESC, id DESC LIMIT 1
) e ON true WHERE to_status <> status"""
"""Tickets whose last status event is not their status."""


async def test_the_last_status_event_of_every_ticket_is_its_status(desk: Asked) -> None:
    assert not await desk.column(ASTRAY)
    chain = (
        "SELECT ticket_id, from_status, lag(to_status) OVER w AS before FROM ticket_status_events"
        " WINDOW w AS (PARTITION BY ticket_id ORDER BY at, id)"
    )
    assert not await desk.column(f"SELECT ticket_id FROM ({chain}) c WHERE from_status IS DISTINCT FROM before")
    resolved = (
        "SELECT t.id FROM tickets t WHERE resolved_at IS NOT NULL AND NOT EXISTS (SELECT FROM ticket_status_events e"
        " WHERE e.ticket_id = t.id AND e.at IN (t.resolved_at, t.closed_at))"
    )
    assert not await desk.column(resolved)


TABLES = {
    "users": "id::text",
    "tags": "id::text",
    "tickets": "id::text",
    "comments": "id::text",
    "user_roles": "user_id || ',' || role_id",
    "ticket_tags": "ticket_id || ',' || tag_id",
}


MADE_UP_AUDIT = "(SELECT * FROM audit_logs WHERE table_name <> 'role_permissions') t"
"""The audit log without the permissions that every desk has from its installation."""


@pytest.mark.parametrize("table", TABLES)
async def test_every_row_has_exactly_one_audit_row_of_its_creation(desk: Asked, table: str) -> None:
    created = "FROM audit_logs WHERE action = 'CREATE' AND table_name = :table"
    rows, distinct = await desk.row(f"SELECT count(*), count(DISTINCT record_id) {created}", table=table)
    unaudited = f"SELECT 1 FROM {table} WHERE {TABLES[table]} NOT IN (SELECT record_id {created})"
    assert rows == distinct == await desk.one(f"SELECT count(*) FROM {table}")
    assert not await desk.column(unaudited, table=table)


async def test_the_audit_log_tells_the_past_in_order_by_whoever_acted(desk: Asked) -> None:
    times = await desk.column(f"SELECT created_at FROM {MADE_UP_AUDIT} ORDER BY id")
    assert times == sorted(times)
    assert times[-1] <= NOW
    answers = (
        "SELECT c.id FROM comments c JOIN audit_logs a ON a.table_name = 'comments' AND a.record_id = c.id::text"
        " WHERE a.user_id <> c.author_id OR a.created_at <> c.created_at"
    )
    assert not await desk.column(answers)
    strange = (
        "SELECT a.id FROM audit_logs a JOIN change_sets c ON c.id = a.change_set_id"
        " WHERE a.user_id IS DISTINCT FROM c.user_id OR (c.user_id IS NOT NULL AND a.created_at <> c.started_at)"
    )
    assert not await desk.column(strange)
    assert await desk.one("SELECT count(*) FROM change_sets") > 10_000
    reassigned = "changes #> '{old,assignee_id}' <> 'null' AND changes #> '{new,assignee_id}' <> 'null'"
    assert await desk.one(f"SELECT count(*) FROM audit_logs WHERE {reassigned}") > 150


async def test_one_change_set_of_today_says_that_the_past_is_invented(desk: Asked) -> None:
    recent = await desk.all("SELECT * FROM change_sets WHERE started_at > :now AND action <> 'permission.declare'")
    (honest,) = recent
    assert (honest.action, honest.actor_kind, honest.state) == ("demo.build", "system", "completed")
    assert "invented" in honest.reason
    assert honest.changed == await desk.one("SELECT count(*) FROM audit_logs WHERE change_set_id = :id", id=honest.id)


async def test_absent_agents_hand_over_what_they_have_in_one_change_set(desk: Asked) -> None:
    handed = await desk.column(
        "SELECT changed FROM change_sets WHERE reason IN ('Handing over before holiday', 'Ill this week')"
    )
    assert len(handed) > 15
    assert max(handed) > 5


async def test_the_search_finds_made_up_tickets(desk: Asked) -> None:
    async with desk.database.read() as session:
        found = await tickets.search(session, tickets.TicketFilter(text='"receipt printer"'))
    assert found.total > 20


CONTENT = {
    "tickets t": "t::text",
    "comments t": "t::text",
    "users t": "t::text",
    "tags t": "t::text",
    "ticket_tags t": "t::text",
    "ticket_status_events t": "t::text",
    MADE_UP_AUDIT: "t.created_at || t.changes::text || t.record_id || coalesce(t.reason, '')",
}


async def digests(asked: Asked) -> dict[str, str]:
    """A digest of all rows of each table."""
    return {
        table: await asked.one(f"SELECT md5(string_agg({row}, '|' ORDER BY {row})) FROM {table}")
        for table, row in CONTENT.items()
    }


async def test_the_same_seed_and_time_give_the_same_rows_and_another_seed_others(
    desk: Asked, live_url: URL, live_database: Database
) -> None:
    await built(live_url)
    assert await digests(Asked(live_database)) == await digests(desk)
    assert [story.title for story in imagine(NOW, 8).stories] != [story.title for story in imagine(NOW, 7).stories]


@pytest.mark.parametrize("now", ["2024-02-29T03:00:00+00:00", "2026-01-04T23:59:59+02:00"])
async def test_a_desk_can_be_built_at_any_time_in_the_role_of_the_application(
    live_database: Database, now: str
) -> None:
    moment = datetime.fromisoformat(now)
    await demo.build(live_database, now=moment, seed=moment.day)
    asked = Asked(live_database)
    assert await asked.one("SELECT count(*) FROM tickets") == 2000
    assert await asked.one("SELECT max(created_at) FROM tickets") < moment


async def test_without_the_owner_the_audit_log_is_of_today_and_shows_agents_at_work(
    live_database: Database,
) -> None:
    before = datetime.now(UTC)
    await demo.build(live_database, now=NOW)
    asked = Asked(live_database)
    assert await asked.one(f"SELECT min(created_at) FROM {MADE_UP_AUDIT}") >= before
    work = await asked.all("SELECT * FROM change_sets WHERE user_id IS NOT NULL")
    assert len(work) >= 24
    assert len({one.user_id for one in work}) >= 8
    assert {one.door for one in work} == {Door.WEB}
    assert all(one.reason and one.changed and one.state == "completed" for one in work)
    assert {"assign.assign", "ticket.resolve", "ticket.reopen", "trash.put"} <= {one.action for one in work}
    by_agents = "SELECT count(*) FROM audit_logs WHERE action = 'UPDATE' AND table_name = 'tickets'"
    assert await asked.one(by_agents) == sum(one.changed for one in work)
    assert not await asked.column(ASTRAY)


async def test_a_desk_with_somebody_in_it_is_refused_and_left_as_it_is(database: Database, make: Make) -> None:
    async with database.read() as session:
        assert await demo.is_empty(session)
    await make.customer()
    with pytest.raises(Conflict, match="people or tickets already"):
        await demo.build(database, now=NOW)
    async with database.read() as session:
        assert not await demo.is_empty(session)
        assert len((await session.scalars(select(User))).all()) == 1


async def test_a_second_build_by_the_owner_is_refused(made_up_url: URL, desk: Asked) -> None:
    with pytest.raises(Conflict, match="people or tickets already"):
        await demo.build(desk.database, now=NOW, owner_url=made_up_url)
    assert await desk.one("SELECT count(*) FROM tickets") == 2000


async def test_an_owner_that_cannot_be_reached_and_a_time_without_a_zone_are_refused(database: Database) -> None:
    nowhere = URL.create("postgresql", "nobody", host="127.0.0.1", port=1, database="nothing")
    with pytest.raises(Unavailable):
        await demo.build(database, now=NOW, owner_url=nowhere)
    with pytest.raises(ValueError, match="no time zone"):
        await demo.build(database, now=NOW.replace(tzinfo=None))


async def test_the_four_accounts_get_passwords_once_that_open_the_door_and_are_stored_nowhere(desk: Asked) -> None:
    given = await demo.accounts(desk.database)
    assert {account.email: account.role for account in given} == {
        f"{role}@example.com": role for role in ("agent", "lead", "auditor", "developer")
    }
    for account in given:
        async with desk.database.read() as session:
            credentials = await users.credentials(session, account.email)
            actor = await users.actor_by_email(session, account.email)
        assert credentials
        assert PasswordHasher().verify(credentials.password_hash, account.password)
        assert credentials.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert actor
        assert (actor.full_name, actor.role_names) == (account.name, (account.role,))
        assert account.password not in repr(account)
        for table in ("users", "audit_logs", "change_sets"):
            trace = f"SELECT 1 FROM {table} t WHERE position(:password IN t::text) > 0"
            assert not await desk.column(trace, password=account.password)
    assert await demo.accounts(desk.database) == []


async def test_new_passwords_replace_the_old_ones_and_end_their_sign_ins(desk: Asked) -> None:
    old = {account.email: account.password for account in await demo.accounts(desk.database)}
    async with desk.database.transaction(Acting.system(), "test.sign_in") as change:
        user_id = await change.session.scalar(select(User.id).where(User.email == "lead@example.com"))
        assert user_id
        await users.open_session(change.session, user_id, b"token", datetime.now(UTC) + timedelta(hours=1))
    new = {account.email: account.password for account in await demo.new_passwords(desk.database)}
    assert new.keys() == old.keys()
    assert not set(new.values()) & set(old.values())
    async with desk.database.read() as session:
        credentials = await users.credentials(session, "lead@example.com")
        assert credentials
        assert PasswordHasher().verify(credentials.password_hash, new["lead@example.com"])
        with pytest.raises(VerifyMismatchError):
            PasswordHasher().verify(credentials.password_hash, old["lead@example.com"])
        assert await users.actor_by_session(session, b"token") is None


async def test_a_desk_that_is_not_made_up_gets_no_passwords(database: Database, make: Make) -> None:
    await make.agent(email="agent@example.com")
    for give in (demo.accounts, demo.new_passwords):
        with pytest.raises(NotFound, match=r"no made-up desk: it has no auditor@example\.com"):
            await give(database)
