"""Migrations: the database equals the code, up and down and up again, also for two at once, or without a plugin."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from admin_app.branches import CORE, Branch
from admin_app.db import Acting, Database
from admin_app.errors import Unavailable
from admin_app.migrations import check, configured, upgrade
from admin_app.settings import APP_ROLE
from admin_app.testing import Make, scratch_database
from alembic import command

NEWEST = "0010"
"""The newest migration of the core."""

FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "shelf_0001", None, None, None
def upgrade():
    op.create_table("shelf_items", sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
                    sa.Column("ticket_id", sa.BigInteger, sa.ForeignKey("tickets.id"), index=True))
def downgrade():
    op.drop_table("shelf_items")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "shelf_0002", "shelf_0001", None, None
def upgrade():
    op.add_column("shelf_items", sa.Column("note", sa.Text))
def downgrade():
    op.drop_column("shelf_items", "note")
"""


@pytest_asyncio.fixture
async def empty_url(server_url: URL) -> AsyncIterator[URL]:
    """The owner's URL of a database in which there is nothing yet."""
    async with scratch_database(server_url) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def worn_url(server_url: URL, template_url: URL) -> AsyncIterator[URL]:
    """A database that tests damage and an upgrade mends."""
    async with scratch_database(server_url, template_url.database) as url:
        yield url


@pytest.fixture
def shelf(tmp_path: Path) -> Branch:
    """The migrations of a plugin with a table of its own."""
    (tmp_path / "0001_items.py").write_text(FIRST)
    return Branch("shelf", tmp_path)


async def as_owner(url: URL, *statements: str) -> list[Any]:
    """Run statements as the owner; the rows of the last one."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        for statement in statements:
            result = await connection.execute(text(statement))
        rows = list(result.all()) if result.returns_rows else []
    await engine.dispose()
    return rows


async def run(url: URL, work: Callable[[Connection], None]) -> None:
    """Give a connection of the owner to a command of Alembic."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(work)
    await engine.dispose()


async def test_the_migrations_make_exactly_the_tables_of_the_models(template_url: URL) -> None:
    assert await check(template_url) == []


async def test_an_upgrade_says_what_it_did_and_does_nothing_the_second_time(empty_url: URL) -> None:
    assert await check(empty_url) == [
        f"core: the database is at nothing, the code at {NEWEST}. Run `backdesk db upgrade`."
    ]
    assert await upgrade(empty_url) == [f"core: nothing → {NEWEST}"]
    everything = "SELECT oid, relname FROM pg_class UNION ALL SELECT oid, tgname FROM pg_trigger ORDER BY 1"
    before = await as_owner(empty_url, everything)
    assert await upgrade(empty_url) == [f"core: up to date at {NEWEST}"]
    assert [oid for oid, _ in await as_owner(empty_url, everything)] == [oid for oid, _ in before]
    assert await check(empty_url) == []


async def test_an_upgrade_with_nothing_to_do_waits_for_nobody_who_writes(
    live_url: URL, live_database: Database, make_live: Make
) -> None:
    ticket = await make_live.ticket()
    async with live_database.transaction(Acting.system(), "test.busy") as change:
        await change.session.execute(text(f"UPDATE tickets SET title = 'Busy' WHERE id = {ticket.id}"))
        async with asyncio.timeout(8):
            assert await upgrade(live_url) == [f"core: up to date at {NEWEST}"]


async def test_down_and_up_again_works_on_a_desk_that_is_in_use(
    live_url: URL, live_database: Database, make_live: Make
) -> None:
    agent, ticket = await make_live.agent(), await make_live.ticket()
    await make_live.comment(ticket, agent, is_internal=False)
    await make_live.tag("vip", ticket)
    await live_database.close()
    await run(live_url, lambda connection: command.downgrade(configured(CORE, connection, [CORE]), "base"))
    left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')"
    assert await as_owner(live_url, left) == [(1,)]  # Alembic's own table
    assert await upgrade(live_url) == [f"core: nothing → {NEWEST}"]
    assert await check(live_url) == []
    again = await make_live.ticket()
    assert again.ticket_number == "SUP-000001"


async def test_frozen_selections_keep_their_rows_from_one_way_of_storing_them_to_the_other(
    live_url: URL, live_database: Database
) -> None:
    await live_database.close()
    kept = "SELECT selection_id, first_id, last_id, ids FROM selection_parts ORDER BY selection_id, first_id"
    parts = [(7, 2, 2000, list(range(2, 2001, 2))), (7, 2002, 2600, list(range(2002, 2601, 2))), (8, 1, 1, [1])]
    values = ", ".join(f"({key}, {first}, {last}, ARRAY{ids})" for key, first, last, ids in parts)
    await as_owner(live_url, f"INSERT INTO selection_parts VALUES {values}")
    await run(live_url, lambda connection: command.downgrade(configured(CORE, connection, [CORE]), "0009"))
    assert await as_owner(live_url, "SELECT count(*), max(record_id) FROM selection_items") == [(1_301, 2_600)]
    assert await upgrade(live_url) == [f"core: 0009 → {NEWEST}"]
    assert await as_owner(live_url, kept) == parts


async def test_two_upgrades_at_once_take_turns(empty_url: URL) -> None:
    done = await asyncio.gather(*(upgrade(empty_url) for _ in range(3)))
    assert sorted(line for lines in done for line in lines) == [
        f"core: nothing → {NEWEST}",
        *[f"core: up to date at {NEWEST}"] * 2,
    ]
    assert await check(empty_url) == []


AUDIT = "audit_tickets() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp"
OTHER = "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
DAMAGES = {
    "a dropped trigger": (
        ["DROP TRIGGER t10_audit_update ON tickets"],
        "Table tickets has no active trigger t10_audit_update of this version, so changes would go unnoticed.",
    ),
    "a disabled trigger": (
        ["ALTER TABLE comments DISABLE TRIGGER t10_audit_delete"],
        "Table comments has no active trigger t10_audit_delete of this version, so changes would go unnoticed.",
    ),
    "a trigger for replicas only": (
        ["ALTER TABLE users ENABLE REPLICA TRIGGER t10_audit_insert"],
        "Table users has no active trigger t10_audit_insert of this version, so changes would go unnoticed.",
    ),
    "another trigger of the same name": (
        ["DROP TRIGGER t00_key ON tags", f"CREATE TRIGGER t00_key BEFORE UPDATE ON tags {OTHER}"],
        "Table tags has no active trigger t00_key of this version, so changes would go unnoticed.",
    ),
    "a trigger of an older version": (
        ["CREATE TRIGGER t11_audit AFTER INSERT ON tags FOR EACH STATEMENT EXECUTE FUNCTION search_tickets()"],
        "Table tags has a trigger t11_audit that this version does not know.",
    ),
    "a function that does nothing": (
        [f"CREATE OR REPLACE FUNCTION {AUDIT} AS 'BEGIN RETURN NULL; END'"],
        "The database's function audit_tickets() is missing or outdated.",
    ),
    "a function that looks for tables elsewhere": (
        ["ALTER FUNCTION audit_tickets() RESET search_path"],
        "The database's function audit_tickets() is missing or outdated.",
    ),
    "a function with the caller's rights": (
        ["ALTER FUNCTION comments_changed() SECURITY INVOKER"],
        "The database's function comments_changed() is missing or outdated.",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_what_keeps_the_audit_from_working_is_named_and_an_upgrade_mends_it(worn_url: URL, name: str) -> None:
    damage, sentence = DAMAGES[name]
    await as_owner(worn_url, *damage)
    assert await check(worn_url) == [f"{sentence} Run `backdesk db upgrade`."]
    await upgrade(worn_url)
    assert await check(worn_url) == []


async def test_a_table_that_differs_from_its_model_is_named(live_url: URL) -> None:
    await as_owner(
        live_url, "ALTER TABLE tags ADD COLUMN shade text", "ALTER TABLE tags DROP COLUMN description CASCADE"
    )
    problems = await check(live_url)
    assert len(problems) == 2
    assert all(problem.startswith("core: models and migrations differ: ") for problem in problems)
    assert "'shade'" in "".join(problems)
    assert "'description'" in "".join(problems)


async def test_a_plugins_migrations_are_counted_by_themselves(live_url: URL, shelf: Branch) -> None:
    assert await check(live_url, [shelf]) == [
        "shelf: the database is at nothing, the code at shelf_0001. Run `backdesk db upgrade`."
    ]
    assert await upgrade(live_url, plugins=[shelf]) == [f"core: up to date at {NEWEST}", "shelf: nothing → shelf_0001"]
    (shelf.location / "0002_note.py").write_text(SECOND)
    assert await upgrade(live_url, plugins=[shelf]) == [
        f"core: up to date at {NEWEST}",
        "shelf: shelf_0001 → shelf_0002",
    ]
    assert await as_owner(live_url, "SELECT version_num FROM alembic_version_shelf") == [("shelf_0002",)]
    assert await as_owner(live_url, "SELECT version_num FROM alembic_version") == [(NEWEST,)]
    right = f"SELECT has_table_privilege('{APP_ROLE}', 'shelf_items', 'SELECT, INSERT, UPDATE, DELETE')"
    assert await as_owner(live_url, right) == [(True,)]
    await run(live_url, lambda connection: command.downgrade(configured(shelf, connection, [CORE, shelf]), "base"))
    assert await as_owner(live_url, "SELECT to_regclass('shelf_items')") == [(None,)]


async def test_a_plugin_that_is_gone_stops_neither_the_upgrade_nor_the_check_of_the_core(
    live_url: URL, shelf: Branch
) -> None:
    await upgrade(live_url, plugins=[shelf])
    await as_owner(live_url, "INSERT INTO shelf_items DEFAULT VALUES")
    for migration in shelf.location.glob("*.py"):
        migration.unlink()
    assert await upgrade(live_url) == [f"core: up to date at {NEWEST}"]
    assert await check(live_url) == []
    assert await as_owner(live_url, "SELECT count(*) FROM shelf_items") == [(1,)]


@pytest.mark.parametrize(
    ("table", "owner"),
    [("tickets", None), ("shelf_items", "shelf"), ("shelf_life_days", "shelf_life"), ("shelfish", None)],
)
def test_a_table_belongs_to_the_plugin_with_the_longest_name_it_begins_with(table: str, owner: str | None) -> None:
    names = ["shelf", "shelf_life"]
    branches = [CORE, *(Branch(name, Path()) for name in names)]
    assert [branch.name for branch in branches if branch.owns(table, names)] == [owner]


EVERYTHING = {"SELECT", "INSERT", "UPDATE", "DELETE"}
RIGHTS = {
    "tickets": EVERYTHING,
    "role_permissions": EVERYTHING,
    "throttles": EVERYTHING,
    "users": EVERYTHING - {"DELETE"},
    "change_sets": {"SELECT", "INSERT"},
    "audit_logs": {"SELECT"},
    "ticket_status_events": {"SELECT"},
    "ticket_search": {"SELECT"},
    "alembic_version": {"SELECT"},
}


@pytest.mark.parametrize("table", RIGHTS)
async def test_the_applications_role_has_the_rights_it_needs_and_no_other(template_url: URL, table: str) -> None:
    asked = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
    columns = ", ".join(f"has_table_privilege('{APP_ROLE}', '{table}', '{right}')" for right in asked)
    (row,) = await as_owner(template_url, f"SELECT {columns}")
    assert {right for right, granted in zip(asked, row, strict=True) if granted} == RIGHTS[table]


async def test_a_right_that_somebody_gave_is_taken_back(worn_url: URL) -> None:
    await as_owner(worn_url, f"GRANT ALL ON audit_logs TO {APP_ROLE}")
    await upgrade(worn_url)
    right = f"SELECT has_table_privilege('{APP_ROLE}', 'audit_logs', 'UPDATE')"
    assert await as_owner(worn_url, right) == [(False,)]


async def test_a_server_that_does_not_answer_is_named_without_its_password(template_url: URL) -> None:
    nowhere = template_url.set(host="127.0.0.1", port=9, password="secret")
    for command_of_ours in (upgrade, check):
        with pytest.raises(Unavailable, match=r"^The database at \S+ does not answer") as refused:
            await command_of_ours(nowhere)
        assert "secret" not in refused.value.message
