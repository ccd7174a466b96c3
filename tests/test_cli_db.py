"""`backdesk db` from the command line, on real servers."""

import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy.engine import URL

from admin_app.cli import main
from admin_app.models import AuditLog
from admin_app.postgres import LocalServer, find_or_start
from admin_app.settings import APP_ROLE
from tests.postgres.machine import INSTALLED, folder_for_servers, needs_two

Backdesk = Callable[..., Result]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A running local server, on which each test that writes makes databases of its own."""
    with folder_for_servers() as folder:
        yield find_or_start(folder / "my desk")


@pytest.fixture
def backdesk(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Backdesk:
    """Runs `backdesk db …` on the local server."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "BACKDESK_PG_BINDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BACKDESK_DATA_DIR", str(server.home.parent))
    return lambda *args: CliRunner().invoke(main, ["db", *map(str, args)])


@pytest.fixture
def external(server: LocalServer, monkeypatch: pytest.MonkeyPatch, backdesk: Backdesk) -> Iterator[URL]:
    """An empty database that DATABASE_URL names, as its owner."""
    yield from _external(server, monkeypatch)


def _external(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[URL]:
    server.run("psql", "-d", "postgres", "-c", "create database external")
    url = server.owner_url.set(database="external")
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    yield url
    server.run("psql", "-d", "postgres", "-c", "drop database external with (force)")


def ask(server: LocalServer, sql: str, database: str = "external") -> str:
    return server.run("psql", "-d", database, "-XAtqc", sql).strip()


def fill(server: LocalServer) -> None:
    """Two tables with a trigger, a sequence, an extension and a right, as a desk has them."""
    ask(
        server,
        f"""
        create extension pg_trgm;
        create table people (id bigint generated always as identity primary key, name text not null);
        create table tickets (id bigint primary key, requester bigint references people, subject text);
        create index on tickets using gin (subject gin_trgm_ops);
        insert into people (name) select 'person ' || n from generate_series(1, 500) n;
        insert into tickets select n, n, repeat(md5(n::text), 20) from generate_series(1, 500) n;
        create function forbid() returns trigger language plpgsql as $$ begin raise 'never'; end $$;
        create trigger forbid before delete on people execute function forbid();
        grant select on tickets to {APP_ROLE};
        """,
    )


# The local server


def test_start_status_and_stop_say_what_is_so(backdesk: Backdesk, server: LocalServer) -> None:
    try:
        assert backdesk("status").output == server.status() + "\n"
        assert backdesk("stop").output == "The local PostgreSQL was stopped.\n"
        assert backdesk("stop").output == "The local PostgreSQL was not running.\n"
        assert f"The local PostgreSQL {server.version} is not running.\n" in backdesk("status").output
    finally:
        started = backdesk("start")
    assert started.output == server.status() + "\n"
    assert f"The local PostgreSQL {server.version} is running.\n" in started.output


def test_status_and_stop_make_no_server(backdesk: Backdesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKDESK_DATA_DIR", str(tmp_path / "none"))
    expected = "There is no local PostgreSQL yet; `backdesk db start` makes and starts one.\n"
    assert backdesk("status").output == expected
    assert backdesk("stop").output == "The local PostgreSQL was not running.\n"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("option", "role"), [((), APP_ROLE), (("--owner",), "backdesk")])
async def test_url_is_one_that_psql_and_asyncpg_take(
    backdesk: Backdesk, server: LocalServer, option: tuple[str, ...], role: str
) -> None:
    url = backdesk("url", *option).output.strip()
    assert url.startswith(f"postgresql://{role}:")
    assert "%20" in url
    assert server.run("psql", "-Atc", "select current_user", url) == f"{role}\n"
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("select current_user") == role
    await connection.close()


def test_psql_opens_as_the_owner_and_passes_arguments_and_exit_code(backdesk: Backdesk) -> None:
    command = [sys.executable, "-m", "admin_app.cli", "db", "psql", "-XAt", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run([*command, "-c", "select current_user, 1 + 1"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "backdesk|2\n")
    assert subprocess.run([*command, "-c", "select nothing"], capture_output=True).returncode == 1


def test_what_backdesk_refuses_is_a_sentence(backdesk: Backdesk, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_for_servers() as folder:
        monkeypatch.setenv("BACKDESK_DATA_DIR", str(folder / "desk"))
        monkeypatch.setenv("BACKDESK_PG_BINDIR", str(folder))
        refused = backdesk("start")
        assert refused.exit_code == 1
        assert refused.output.startswith(f"Error: BACKDESK_PG_BINDIR: {folder} has no PostgreSQL 15 or later")
        monkeypatch.setenv("BACKDESK_PORT", "many")
        assert backdesk("status").output == "Error: BACKDESK_PORT: 'many' is not a whole number from 1 to 65,535\n"


# An external one


@pytest.mark.parametrize("command", ["start", "stop", "status"])
def test_an_external_database_is_left_alone(
    backdesk: Backdesk, server: LocalServer, external: URL, command: str
) -> None:
    said = backdesk(command)
    assert said.exit_code == 0
    assert said.output.startswith(
        "DATABASE_URL is set: the database is an external one, postgresql+asyncpg://backdesk:***@"
    )
    assert said.output.endswith("Backdesk neither starts nor stops it.\n")
    assert ask(server, "select 1") == "1"


def test_a_database_that_does_not_answer_is_a_sentence(
    backdesk: Backdesk, external: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", external.set(database="nowhere").render_as_string(hide_password=False))
    refused = backdesk("dump", "never.dump")
    assert refused.exit_code == 1
    assert "Error: The database does not answer: " in refused.output
    assert 'database "nowhere" does not exist' in refused.output


# Copies


def test_a_dump_restored_elsewhere_is_the_same_database(
    backdesk: Backdesk, server: LocalServer, external: URL, tmp_path: Path
) -> None:
    fill(server)
    file = tmp_path / "desk.dump"
    assert backdesk("dump", file).output == f"Wrote 2 tables into {file}, {file.stat().st_size:,} bytes.\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["desk.dump"]
    ask(server, "drop database external with (force)", "postgres")
    ask(server, "create database external", "postgres")
    assert backdesk("restore", file).output == f"Restored 2 tables from {file}.\n"
    assert ask(server, "select count(*), sum(id), max(subject) = repeat(md5('9'), 20) from tickets") == "500|125250|f"
    assert ask(server, f"select has_table_privilege('{APP_ROLE}', 'tickets', 'select')") == "t"
    assert ask(server, "insert into people (name) values ('one more') returning id") == "501"
    assert ask(server, "select count(*) from pg_trigger where tgname = 'forbid'") == "1"


def test_dump_replaces_a_file_only_when_told_and_only_by_a_whole_one(
    backdesk: Backdesk, server: LocalServer, external: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server)
    file = tmp_path / "desk.dump"
    file.write_text("precious")
    refused = backdesk("dump", file)
    assert (refused.exit_code, refused.output) == (
        1,
        f"Error: {file} exists. Choose another name, or add --force to replace it.\n",
    )
    without_rights = server.app_url.set(database="external").render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", without_rights)
    assert (
        backdesk("dump", file, "--force").output
        == f"Error: The database could not be copied; {file} was not written.\n"
    )
    assert file.read_text() == "precious"
    monkeypatch.setenv("DATABASE_OWNER_URL", external.render_as_string(hide_password=False))
    assert backdesk("dump", file, "--force").exit_code == 0
    assert file.read_bytes().startswith(b"PGDMP")
    assert [path.name for path in tmp_path.iterdir()] == ["desk.dump"]
    assert "Error: " in backdesk("dump", tmp_path / "no folder" / "desk.dump").output


def test_restore_replaces_everything_only_when_told(
    backdesk: Backdesk, server: LocalServer, external: URL, tmp_path: Path
) -> None:
    fill(server)
    file = tmp_path / "desk.dump"
    backdesk("dump", file)
    ask(
        server,
        "create schema jobs; create table jobs.queue (ticket bigint references tickets); update people set name = ''",
    )
    refused = backdesk("restore", file)
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: The database holds 3 tables, so nothing was changed. Add --force to ")
    done = backdesk("restore", file, "--force")
    assert done.output == f"Restored 2 tables from {file}; the 3 tables that were there before are gone.\n"
    assert ask(server, "select count(*) from people where name = ''") == "0"
    assert (
        ask(server, "select to_regclass('jobs.queue') is null, has_schema_privilege('public', 'public', 'usage')")
        == "t|t"
    )


@pytest.mark.parametrize("damage", ["cut in the middle", "no archive at all"])
def test_restoring_a_damaged_archive_changes_nothing(
    backdesk: Backdesk, server: LocalServer, external: URL, tmp_path: Path, damage: str
) -> None:
    fill(server)
    file = tmp_path / "desk.dump"
    backdesk("dump", file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3] if damage == "cut in the middle" else b"a letter to my aunt")
    before = ask(server, "select count(*), min(xmin::text), max(id) from people")
    refused = backdesk("restore", file, "--force")
    assert refused.exit_code == 1
    assert refused.output.startswith(f"Error: {file} could not be restored, so nothing was changed.")
    assert ask(server, "select count(*), min(xmin::text), max(id) from people") == before


@needs_two
def test_copies_work_on_a_server_older_than_the_wheel(
    backdesk: Backdesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder_for_servers() as folder:
        older = find_or_start(folder, INSTALLED)
        for _ in _external(older, monkeypatch):
            fill(older)
            assert backdesk("dump", tmp_path / "desk.dump").exit_code == 0
            done = backdesk("restore", tmp_path / "desk.dump", "--force")
            assert "Restored 2 tables" in done.output


# Up to date


def test_check_finds_an_old_database_and_upgrade_mends_it(
    backdesk: Backdesk, server: LocalServer, external: URL
) -> None:
    old = backdesk("check")
    assert old.exit_code == 1
    assert "Run `backdesk db upgrade`." in old.output
    upgraded = backdesk("upgrade")
    assert upgraded.exit_code == 0
    assert upgraded.output.startswith("core: nothing → ")
    checked = backdesk("check")
    assert (checked.exit_code, checked.output) == (0, "The database fits the code.\n")
    assert ask(server, f"select has_table_privilege('{APP_ROLE}', 'tickets', 'update')") == "t"
    assert (
        ask(server, f"select has_table_privilege('{APP_ROLE}', '{AuditLog.__tablename__}', 'insert,update,delete')")
        == "f"
    )
    ask(server, "alter table tickets add column nickname text")
    changed = backdesk("check")
    assert changed.exit_code == 1
    assert "nickname" in changed.output


def test_a_dump_of_the_desk_itself_can_be_restored(
    backdesk: Backdesk, server: LocalServer, external: URL, tmp_path: Path
) -> None:
    backdesk("upgrade")
    assert backdesk("dump", tmp_path / "desk.dump").exit_code == 0
    assert backdesk("restore", tmp_path / "desk.dump", "--force").exit_code == 0
    assert backdesk("check").output == "The database fits the code.\n"
