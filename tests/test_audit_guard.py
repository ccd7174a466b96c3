"""The audit log cannot be got round: what the application's role may not do, and tricks that do not help."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import URL, func, select, text
from sqlalchemy.exc import DBAPIError

from admin_app import migrations
from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError, NobodyActing
from admin_app.models import AuditLog, ChangeSet, Ticket
from admin_app.testing import Make, administration, scratch_database
from tests.audited import people_and_things, psql


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner_url(server_url: URL, template_url: URL) -> AsyncIterator[URL]:
    async with scratch_database(server_url, template_url.database) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def login_url(owner_url: URL) -> AsyncIterator[URL]:
    """A login of the application, as a deployment has one: no owner of anything, a member of the application's role."""
    name = f"login_{uuid4().hex[:8]}"
    url = owner_url.set(username=name, password="only for tests")
    async with administration(owner_url) as connection:
        await connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD '{url.password}'"))
        await migrations.upgrade(owner_url, url)
        yield url
        await connection.execute(text(f"DROP ROLE {name}"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def as_app(login_url: URL) -> AsyncIterator[Database]:
    """The application, connected as its own login."""
    database = Database.connect(login_url)
    async with database.transaction(Acting.system(reason="First."), "test.begin") as change:
        await people_and_things(change.session)
    yield database
    await database.close()


FORBIDDEN = [
    "INSERT INTO audit_logs (table_name, record_id, action, actor_kind, changes) VALUES ('a', '1', 'C', 'user', '{}')",
    "UPDATE audit_logs SET reason = 'Another.'",
    "DELETE FROM audit_logs",
    "TRUNCATE audit_logs",
    "ALTER TABLE audit_logs OWNER TO CURRENT_USER",
    "DROP TABLE audit_logs",
    "LOCK TABLE audit_logs IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE tickets DISABLE TRIGGER ALL",
    "ALTER TABLE tickets DISABLE TRIGGER t10_audit_update",
    "DROP TRIGGER t10_audit_update ON tickets",
    "CREATE TRIGGER t09 BEFORE UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE quiet AS ON INSERT TO audit_logs DO INSTEAD NOTHING",
    "DROP FUNCTION audit_tickets() CASCADE",
    "CREATE OR REPLACE FUNCTION audit_tickets() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "ALTER FUNCTION audit_tickets() SECURITY INVOKER",
    "SET session_replication_role = replica",
    "SELECT set_config('session_replication_role', 'replica', true)",
    "INSERT INTO ticket_status_events (ticket_id, to_status, at) VALUES (1, 'closed', now())",
    "UPDATE ticket_status_events SET at = now()",
    "DELETE FROM ticket_status_events",
    "UPDATE ticket_search SET document = ''",
    "DELETE FROM users",
    "TRUNCATE tickets CASCADE",
    "UPDATE change_sets SET user_id = 2",
    "UPDATE change_sets SET reason = 'Another.'",
    "UPDATE change_sets SET action = 'harmless', state = 'completed'",
    "UPDATE change_sets SET started_at = now()",
    "DELETE FROM change_sets",
    "UPDATE alembic_version SET version_num = '0'",
    "SELECT setval('ticket_number_seq', 1)",
    "CREATE TABLE mine (id integer)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "COPY tickets TO PROGRAM 'true'",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_applications_role_may_not(as_app: Database, statement: str) -> None:
    with pytest.raises(BackdeskError) as refused:
        async with as_app.transaction(Acting.system(), "test.forbidden") as change:
            await change.session.execute(text(statement))
    assert isinstance(refused.value.__cause__, DBAPIError)
    assert refused.value.__cause__.orig is not None
    assert refused.value.__cause__.orig.sqlstate == "42501"  # type: ignore[attr-defined]


@pytest.mark.parametrize("statement", ["SET ROLE {owner}", "SET SESSION AUTHORIZATION {owner}"])
async def test_the_applications_login_cannot_become_the_owner(as_app: Database, owner_url: URL, statement: str) -> None:
    with pytest.raises(BackdeskError):
        async with as_app.transaction(Acting.system(), "test.become") as change:
            await change.session.execute(text(statement.format(owner=owner_url.username)))


async def rename_tickets_after(database: Database, before: str) -> None:
    async with database.bookkeeping() as session:
        await session.execute(text(before))
        await session.execute(text("UPDATE tickets SET title = 'Nobody.'"))


@pytest.mark.parametrize("before", ["RESET ROLE", "SET ROLE NONE"])
async def test_leaving_the_applications_role_does_not_help_its_login(as_app: Database, before: str) -> None:
    with pytest.raises(NobodyActing):
        await rename_tickets_after(as_app, before)


@pytest.mark.parametrize(
    "before",
    [
        "CREATE TEMP TABLE audit_logs (LIKE public.audit_logs INCLUDING ALL)",
        "CREATE TEMP TABLE tickets (LIKE public.tickets INCLUDING ALL)",
        "CREATE FUNCTION pg_temp.acting_user_id() RETURNS bigint LANGUAGE sql AS 'SELECT 2::bigint'",
        "SET LOCAL search_path = pg_temp",
        "SET LOCAL search_path = nowhere",
    ],
)
async def test_things_of_ones_own_do_not_swallow_the_audit(as_app: Database, before: str) -> None:
    async with as_app.transaction(Acting(user_id=1), "test.temporary") as change:
        await change.session.execute(text(before))
        await change.session.execute(text("UPDATE public.tickets SET title = title || '!' WHERE id <= 3"))
        found = f"SELECT count(*), min(user_id) FROM public.audit_logs WHERE change_set_id = {change.id}"
        assert tuple((await change.session.execute(text(found))).one()) == (3, 1)
        await change.session.execute(text("SET LOCAL search_path = public"))
        await change.session.execute(text("DROP TABLE IF EXISTS pg_temp.audit_logs, pg_temp.tickets"))


async def test_things_of_ones_own_do_not_swallow_what_the_database_derives(as_app: Database) -> None:
    async with as_app.transaction(Acting(user_id=1), "test.temporary") as change:
        for table in ("tickets", "users", "ticket_search", "ticket_status_events"):
            await change.session.execute(text(f"CREATE TEMP TABLE {table} (LIKE public.{table})"))
        await change.session.execute(text("SET LOCAL search_path = pg_temp, public"))
        make = "INSERT INTO public.tickets (title, description, creator_id) VALUES ('a', 'b', 1) RETURNING id"
        number = await change.session.scalar(text(make))
        for table in ("ticket_search", "ticket_status_events"):
            found = text(f"SELECT count(*) FROM public.{table} WHERE ticket_id = {number}")
            assert await change.session.scalar(found) == 1, table
            await change.session.execute(text(f"DROP TABLE pg_temp.{table}"))
        await change.session.execute(text("DROP TABLE pg_temp.tickets, pg_temp.users"))


async def test_what_acts_as_the_owner_is_called_by_the_application_and_nobody_else(as_app: Database) -> None:
    """Where the list of who may is empty (null), everybody may; grantee 0 is everybody."""
    open_to_all = text(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef AND"
        " (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) AS one WHERE one.grantee = 0))"
    )
    async with as_app.read() as session:
        assert (await session.scalars(open_to_all)).all() == []
    async with as_app.transaction(Acting.system(), "test.statistics") as change:
        await change.session.execute(text("SELECT renew_statistics()"))


async def test_how_a_change_set_went_can_still_be_written(as_app: Database) -> None:
    async with as_app.transaction(Acting.system(), "test.close") as change:
        await change.session.execute(text(f"UPDATE change_sets SET state = 'running' WHERE id = {change.id}"))
    async with as_app.read() as session:
        assert (await session.get_one(ChangeSet, change.id)).state == "completed"


@pytest.mark.parametrize("who", ["the owner", "the application"])
async def test_primary_keys_cannot_be_changed(as_app: Database, owner_url: URL, who: str) -> None:
    statement = "UPDATE tickets SET id = id + 1000 WHERE id = 1"
    if who == "the owner":
        done = psql(owner_url, statement)
        assert "the primary key of tickets cannot be changed" in done.stderr
        assert psql(owner_url, "UPDATE tickets SET id = id WHERE id = 1").stderr == ""
        return
    with pytest.raises(BackdeskError, match="The id of a record cannot be changed"):
        async with as_app.transaction(Acting.system(), "test.key") as change:
            await change.session.execute(text(statement))


async def test_not_even_the_owner_empties_an_audited_table_unseen(owner_url: URL) -> None:
    done = psql(owner_url, "TRUNCATE comments CASCADE")
    assert "comments is audited and cannot be truncated; delete its rows instead" in done.stderr


async def test_an_audit_entry_outlives_what_it_tells_of(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    async with database.transaction(Acting.system(), "test.purge") as change:
        await change.session.execute(text(f"DELETE FROM tickets WHERE id = {ticket.id}"))
    async with database.read() as session:
        assert await session.get(Ticket, ticket.id) is None
        kept = select(func.count(AuditLog.id)).where(AuditLog.record_id == str(ticket.id))
        assert await session.scalar(kept.where(AuditLog.table_name == "tickets")) == 2
