"""Servers to try things on: fresh ones, ones that were made before, ones to break."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from admin_app.postgres import find_or_start
from tests.postgres.machine import (
    INSTALLED,
    ROOT,
    START,
    WHEEL,
    Someone,
    folder_for_servers,
    home_of,
    needs_installed,
    needs_wheel,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of this test's own."""
    with folder_for_servers() as folder:
        yield folder


@pytest.fixture(scope="package")
def desk_of() -> Iterator[Callable[[Path | None], Path]]:
    """Data folders with a cluster that these programs made, running or not, for tests that leave it whole."""
    with folder_for_servers() as folder:

        @cache
        def make(bindir: Path | None) -> Path:
            data_dir = folder / str(hash(bindir))
            find_or_start(data_dir, bindir).stop()
            return data_dir

        yield make


@pytest.fixture(scope="package")
def desk(desk_of: Callable[[Path | None], Path]) -> Path:
    """A data folder with a cluster of the wheel, if there is one, for tests that leave it whole."""
    return desk_of(WHEEL)


@pytest.fixture
def doomed(desk: Path, folder: Path) -> Path:
    """A data folder with a stopped cluster of this test's own, to do with as it likes."""
    find_or_start(desk).stop()
    subprocess.run(["cp", "-a", desk, folder / "my desk"], check=True)
    return folder / "my desk"


@pytest.fixture(
    scope="package",
    params=[
        pytest.param(WHEEL, marks=needs_wheel, id="wheel"),
        pytest.param(INSTALLED, marks=needs_installed, id="installed"),
    ],
)
def bindir(request: pytest.FixtureRequest) -> Path:
    """The programs of each PostgreSQL that this machine has."""
    return Path(request.param)


@pytest.fixture(scope="package")
def ordinary() -> Iterator[Someone]:
    """An ordinary user: ourselves, or one that is made for these tests when root runs them."""
    if not ROOT:
        yield Someone()
        return
    name = f"backdesk-test-{os.getpid()}"
    subprocess.run(["useradd", "--system", "--no-create-home", name], check=True)
    try:
        yield _anybody_who_can_run_python(pwd.getpwnam(name))
    finally:
        subprocess.run(["userdel", name], check=True)


def _anybody_who_can_run_python(user: pwd.struct_passwd) -> Someone:
    for interpreter in (sys.executable, shutil.which("python3", path=os.defpath)):
        if interpreter:
            someone = Someone(interpreter, user)
            try:
                someone.run("import admin_app.postgres; print(1)")
            except (OSError, AssertionError):
                continue
            return someone
    pytest.skip("an ordinary user can run no Python here that finds this project and its packages")


@pytest.fixture(scope="package", params=["root", "ordinary"])
def someone(request: pytest.FixtureRequest) -> Someone:
    """Root, and an ordinary user."""
    if request.param == "ordinary":
        found: Someone = request.getfixturevalue("ordinary")
        return found
    if not ROOT:
        pytest.skip("the tests run as an ordinary user")
    return Someone()


@pytest.fixture(scope="package")
def fresh(someone: Someone, bindir: Path) -> Iterator[dict[str, Any]]:
    """What a first start said, in a home that is closed to everybody else where that is possible."""
    with folder_for_servers() as folder:
        yield someone.run(START, home_of(someone, folder) / "project" / ".backdesk", bindir)
