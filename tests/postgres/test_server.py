"""A server that exists: attached to, shared, stopped, killed, and found in a bad state."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from admin_app.errors import LocalServerError, SettingsError
from admin_app.postgres import find, find_or_start, urls
from admin_app.settings import Settings
from tests.postgres.machine import (
    INSTALLED,
    START,
    WHEEL,
    WRITE,
    Someone,
    ask,
    connection_settings,
    needs_two,
    only_linux,
    processes_of,
    sleep_as_the_owner_of,
)


def test_attaching_uses_the_running_server_and_is_quick(desk: Path) -> None:
    server = find_or_start(desk)
    postmaster = (server.data / "postmaster.pid").read_text()
    began = time.monotonic()
    assert [find_or_start(desk) for _ in range(5)] == [server] * 5
    assert (time.monotonic() - began) / 5 < 0.15
    assert (server.data / "postmaster.pid").read_text() == postmaster


def test_five_processes_starting_at_once_share_one_server(folder: Path, bindir: Path) -> None:
    everybody = [Someone().begin(START, folder / "desk", bindir) for _ in range(5)]
    said = [Someone().end(process) for process in everybody]
    assert len({one["postmaster"] for one in said}) == 1
    assert len({tuple(one["urls"]) for one in said}) == 1


def test_stop_ends_the_server_and_keeps_the_data(desk: Path) -> None:
    server = find_or_start(desk)
    server.run("psql", "-c", "create table kept as select 42 as answer")
    assert server.stop() is True
    assert server.stop() is False
    with pytest.raises(LocalServerError, match="psql did not succeed"):
        server.run("psql", "-c", "select 1")
    assert find(desk) == server
    assert find_or_start(desk).run("psql", "-Atc", "select answer from kept") == "42\n"


def test_status_says_whether_it_runs_and_where_everything_is(desk: Path) -> None:
    server = find_or_start(desk)
    assert server.status().splitlines()[0] == f"The local PostgreSQL {server.version} is running."
    for place in (server.data, server.socket_dir, server.bindir, server.log):
        assert str(place) in server.status()
    server.stop()
    assert server.status().splitlines()[0] == f"The local PostgreSQL {server.version} is not running."


def test_urls_are_those_of_the_settings_else_of_the_local_server(desk: Path) -> None:
    owner, app = make_url("postgresql+asyncpg://owner@h/d"), make_url("postgresql+asyncpg://app@h/d")
    assert urls(Settings(database_url=app)) == (app, app)
    assert urls(Settings(database_url=app, database_owner_url=owner)) == (owner, app)
    with pytest.raises(SettingsError, match="set DATABASE_URL as well"):
        urls(Settings(database_owner_url=owner))
    server = find_or_start(desk)
    assert urls(Settings(data_dir=desk)) == (server.owner_url, server.app_url)


@only_linux
async def test_after_kill_9_of_everything_an_immediate_start_has_every_acknowledged_row(
    desk_of: Callable[[Path | None], Path], bindir: Path
) -> None:
    desk = desk_of(bindir)
    server = find_or_start(desk, bindir)
    writer = Someone().begin(WRITE, json.dumps(connection_settings(server.owner_url)))
    assert writer.stdout
    acknowledged = [int(writer.stdout.readline()) for _ in range(300)]
    for process in processes_of(server):
        os.kill(process, signal.SIGKILL)
    again = find_or_start(desk, bindir)
    rest, _ = writer.communicate(timeout=10)
    acknowledged += [int(line) for line in rest.splitlines()]
    row = await ask(again.owner_url, "select array_agg(id) as ids from acknowledged")
    assert set(acknowledged) <= set(row["ids"])


@only_linux
async def test_after_kill_9_of_the_postmaster_alone_a_start_waits_for_its_children(desk: Path) -> None:
    server = find_or_start(desk)
    os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert (await ask(find_or_start(desk).owner_url, "select 1"))[0] == 1


@only_linux
@pytest.mark.parametrize("moment", ["unfinished-*/data/PG_VERSION", "data/PG_VERSION", "data/postmaster.pid"])
async def test_a_starter_killed_at_any_moment_leaves_nothing_in_the_way(folder: Path, moment: str) -> None:
    starter = Someone().begin(START, folder)
    while not list((folder / "postgres").glob(moment)):
        assert starter.poll() is None, "the starter was too quick to be killed"
    starter.kill()
    starter.communicate()
    server = find_or_start(folder)
    assert (await ask(server.owner_url, "select 1"))[0] == 1
    assert (await ask(server.app_url, "select 1"))[0] == 1
    server.stop()
    find_or_start(folder)
    assert not list(server.home.glob("unfinished-*"))


@only_linux
async def test_an_innocent_process_whose_number_was_left_behind_survives(
    desk_of: Callable[[Path | None], Path], bindir: Path
) -> None:
    desk = desk_of(bindir)
    server = find_or_start(desk, bindir)
    left = {
        path: path.read_text() for path in (server.data / "postmaster.pid", server.socket_dir / ".s.PGSQL.5432.lock")
    }
    server.stop()
    innocent = sleep_as_the_owner_of(server.data)
    try:
        for path, text in left.items():
            path.write_text("\n".join([str(innocent.pid), *text.split("\n")[1:]]))
        assert server.stop() is False
        assert (await ask(find_or_start(desk, bindir).owner_url, "select 1"))[0] == 1
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


@only_linux
@needs_two
async def test_the_number_of_another_postgresql_does_not_confuse_and_that_one_survives(
    desk_of: Callable[[Path | None], Path],
) -> None:
    desk = desk_of(WHEEL)
    mine, other = find_or_start(desk), find_or_start(desk_of(INSTALLED))
    theirs = (other.data / "postmaster.pid").read_text()
    mine.stop()
    (mine.data / "postmaster.pid").write_text(theirs)
    assert mine.stop() is False
    assert (await ask(find_or_start(desk).owner_url, "select 1"))[0] == 1
    assert (other.data / "postmaster.pid").read_text() == theirs
    assert (await ask(other.owner_url, "select 1"))[0] == 1


def test_a_server_that_cannot_start_shows_the_end_of_its_log_and_what_to_do(doomed: Path) -> None:
    server = find_or_start(doomed)
    server.stop()
    with (server.data / "postgresql.auto.conf").open("a") as file:
        file.write("shared_buffer = '1GB'\n")
    with pytest.raises(LocalServerError) as caught:
        find_or_start(doomed)
    assert 'unrecognized configuration parameter "shared_buffer"' in caught.value.message
    assert f"Mend what the last lines name and try again; the whole log is in {server.log}." in caught.value.message


def test_a_data_folder_that_cannot_be_written_is_a_sentence(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(LocalServerError, match=r"cannot be used: .*Not a directory.*\n.*BACKDESK_DATA_DIR"):
        find_or_start(folder / "file" / "desk")
