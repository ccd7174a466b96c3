"""What a new cluster is like, whoever starts it, from whichever programs."""

import stat
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from admin_app.errors import LocalServerError
from admin_app.postgres import find_or_start, programs
from admin_app.postgres.server import MADE_WITH
from admin_app.settings import APP_ROLE
from tests.postgres.machine import (
    ROOT,
    START,
    Someone,
    ask,
    only_linux,
    only_root,
)


async def test_first_start_makes_a_server_for_both_roles(fresh: dict[str, Any], bindir: Path) -> None:
    owner, app = map(make_url, fresh["urls"])
    row = await ask(owner, "select current_user, pg_get_userbyid(datdba) as owner, version() "
                           "from pg_database where datname = current_database()")  # fmt: skip
    assert (row["current_user"], row["owner"], owner.database) == ("backdesk", "backdesk", "backdesk")
    assert f"PostgreSQL {programs.major(bindir / 'postgres')}." in row["version"]
    assert (await ask(app, "select current_user"))["current_user"] == APP_ROLE == "backdesk_app"


async def test_a_new_cluster_is_safe_and_local(fresh: dict[str, Any]) -> None:
    url = make_url(fresh["urls"][0])
    wanted = {
        "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on",
        "wal_level": "replica", "listen_addresses": "", "server_encoding": "UTF8", "max_wal_size": "8GB",
        "checkpoint_timeout": "15min", "wal_buffers": "64MB", "max_connections": "100",
        "idle_in_transaction_session_timeout": "1min",
        "password_encryption": "scram-sha-256", "shared_preload_libraries": "pg_stat_statements",
    }  # fmt: skip
    assert {name: (await ask(url, f"show {name}"))[0] for name in wanted} == wanted
    row = await ask(url, "select pg_size_bytes(current_setting('shared_buffers')) >> 20 as megabytes")
    assert f"{row['megabytes']}MB" == MADE_WITH["shared_buffers"]
    assert 128 <= row["megabytes"] <= 4096
    row = await ask(url, "select array_agg(distinct auth_method) as methods from pg_hba_file_rules")
    assert row["methods"] == ["scram-sha-256"]


async def test_a_new_cluster_sorts_by_code_point_and_knows_letters(fresh: dict[str, Any], bindir: Path) -> None:
    url = make_url(fresh["urls"][0])
    row = await ask(url, "select string_agg(t, '' order by t) as sorted, lower('ÄÉЖ') as low "
                         "from unnest(array['b', 'a', 'B', 'ä', 'Z']) t")  # fmt: skip
    assert (row["sorted"], row["low"]) == ("BZabä", "äéж")
    row = await ask(url, "select datlocprovider::text as provider from pg_database where datname = 'backdesk'")
    assert row["provider"] == ("b" if programs.major(bindir / "postgres") >= 17 else "c")


def test_the_server_is_not_root_and_its_files_are_closed_to_others(fresh: dict[str, Any]) -> None:
    home = Path(fresh["home"])
    assert (home / "data").stat().st_uid != 0
    for place in ("data", "socket"):
        assert stat.S_IMODE((home / place).stat().st_mode) == 0o700
    for place in ("passwords", "programs", "log", "lock"):
        assert stat.S_IMODE((home / place).stat().st_mode) == 0o600
    assert not stat.S_IMODE(home.stat().st_mode) & 0o066


def test_no_folder_above_the_cluster_is_opened(fresh: dict[str, Any], someone: Someone) -> None:
    home = Path(fresh["home"]).parents[2]
    assert (home.name, Path(fresh["home"]).name) == ("home", "postgres")
    assert stat.S_IMODE(home.stat().st_mode) == (0o700 if someone.user or not ROOT else 0o711)


@only_root
def test_root_is_told_whose_database_it_is(fresh: dict[str, Any], someone: Someone) -> None:
    data_dir = Path(fresh["home"]).parent
    if someone.user is None:
        assert find_or_start(data_dir).home == Path(fresh["home"])
        return
    with pytest.raises(LocalServerError, match=f"belongs to {someone.user.pw_name}. Run backdesk as"):
        find_or_start(data_dir)


async def test_the_application_is_no_superuser_and_each_role_needs_its_own_password(desk: Path) -> None:
    server = find_or_start(desk)
    row = await ask(
        server.owner_url,
        f"select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication "
        f"from pg_roles where rolname = '{APP_ROLE}'",
    )
    assert row[0] is False
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(server.app_url, "select rolpassword from pg_authid")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(server.owner_url.set(password=server.app_url.password), "select 1")


def test_the_environment_of_other_servers_does_not_lead_astray(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "1", "PGHOST": "nowhere", "PGDATA": "/nowhere", "PGUSER": "nobody"}.items():
        monkeypatch.setenv(name, value)
    server = find_or_start(folder)
    assert server.run("psql", "-Atc", "select current_user") == "backdesk\n"
    assert server.owner_url.query["port"] == "5432"


@only_linux
def test_passwords_are_in_one_closed_file_and_on_no_command_line(folder: Path) -> None:
    code = START + "    server.run('psql', '-c', 'select pg_sleep(0.3)')\n"
    process = Someone().begin(code, folder)
    seen = set()
    while process.poll() is None:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(entry.read_bytes())
            except OSError:
                continue
    started = Someone().end(process)
    passwords = [str(make_url(url).password).encode() for url in started["urls"]]
    for name in (b"initdb", b"--single", b"pg_ctl", b"pg_sleep"):
        assert any(name in line for line in seen), f"{name!r} was not seen, so this test saw too little"
    assert not [line for line in seen for password in passwords if password in line]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path.name for path in files if any(secret in path.read_bytes() for secret in passwords)] == ["passwords"]
    assert all(len(password) >= 32 for password in passwords)
