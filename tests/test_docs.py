"""The documentation: its samples run, its tables are complete, and its commands print what it says they print."""

import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import URL

from admin_app import plugin as contract
from admin_app.db import Database
from admin_app.inputs import KINDS
from admin_app.plugin import Plugin
from admin_app.testing import SERVER_VARIABLE, Make, scratch_database

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/plugins.md").read_text()
README = (ROOT / "README.md").read_text()
FENCE = re.compile(
    r"^(?:<!-- file: (?P<file>.+?) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def commands(page: str) -> Iterator[tuple[str, list[str]]]:
    """Every command of the console blocks of a page, and the lines that it is said to print."""
    for block in (found["text"] for found in FENCE.finditer(page) if found["kind"] == "console"):
        for command in block.split("$ ")[1:]:
            first, *output = command.strip().splitlines()
            yield first, output


FILES = {found["file"]: found["text"] for found in FENCE.finditer(PAGE) if found["file"]}
TAKE = next(found["text"] for found in FENCE.finditer(README) if found["kind"] == "python")
COMMANDS = list(commands(PAGE))


def test_every_sample_of_code_says_which_file_it_is() -> None:
    unnamed = [found["text"] for found in FENCE.finditer(PAGE) if not found["file"] and found["kind"] != "console"]
    assert unnamed == []
    assert len(FILES) >= 8
    assert len(COMMANDS) >= 6


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project like ours in which somebody followed the page and README."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "plugins", root / "plugins")
    for name in ("pyproject.toml", "tests/__init__.py", "tests/conftest.py", "tests/plugins/__init__.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name, text in {**FILES, "plugins/take.py": TAKE}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def python(checkout: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in the checkout, whose plugins come before ours."""
    kept = {name: value for name, value in os.environ.items() if name not in {"BACKDESK_PLUGINS", "DATABASE_URL"}}
    inherited = {**kept, "PYTHONPATH": str(checkout), **environment}
    command = [sys.executable, "-m", *args]
    return subprocess.run(command, cwd=checkout, env=inherited, capture_output=True, text=True)


def test_the_samples_are_written_in_the_style_of_the_project(checkout: Path) -> None:
    samples = [name for name in FILES if name.endswith(".py") and not name.startswith("mistakes/")]
    ours = 'lint.isort.known-first-party = ["admin_app", "alembic", "plugins"]'
    for order in (["check", "--config", ours], ["format", "--check", "--diff"]):
        done = python(checkout, "ruff", *order, *samples, "plugins/take.py")
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_samples_have_the_types_that_they_say(checkout: Path) -> None:
    options = ["--strict", "--explicit-package-bases", "--namespace-packages", "--follow-imports=silent"]
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    done = python(checkout, "mypy", *options, *cache, "plugins/answers/queries.py", "plugins/handover.py")
    assert done.returncode == 0, done.stdout


def test_the_tests_of_the_sample_pass(checkout: Path, server_url: URL) -> None:
    server = {SERVER_VARIABLE: server_url.render_as_string(hide_password=False)}
    done = python(checkout, "pytest", "-q", "-p", "no:cacheprovider", "tests/plugins/test_answers.py", **server)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk_url(server_url: URL, template_url: URL) -> AsyncIterator[URL]:
    """A database with the people and tickets that the pages speak of."""
    async with scratch_database(server_url, template_url.database) as url:
        database = Database.connect(url)
        make = Make(database)
        for name, email in (("Ana", "ana@example.com"), ("Lena", "lead@example.com")):
            await make.lead(full_name=name, email=email)
        for name, email in (("Bo", "bo@example.com"), ("Anton", "agent@example.com")):
            await make.agent(full_name=name, email=email)
        for _ in range(3):
            await make.ticket()
        await database.close()
        yield url


def run(checkout: Path, url: URL, line: str) -> list[str]:
    """What a command that begins with `backdesk`, or with settings before it, prints."""
    words = shlex.split(line.replace(".venv/bin/backdesk", "backdesk"))
    settings = dict(word.split("=", 1) for word in words[: words.index("backdesk")])
    arguments = words[words.index("backdesk") + 1 :]
    place = {"DATABASE_URL": url.render_as_string(hide_password=False)}
    done = python(checkout, "admin_app.cli", *arguments, **place, **settings)
    return (done.stdout + done.stderr).splitlines()


def test_the_commands_print_what_the_page_says(checkout: Path, desk_url: URL) -> None:
    for line, expected in COMMANDS:
        printed = run(checkout, desk_url, line)
        for words in expected:
            pattern = re.compile(re.escape(words).replace("…", ".*"))
            assert any(pattern.fullmatch(said) for said in printed), (line, words, printed)


def test_the_commands_of_the_readme_work(checkout: Path, desk_url: URL) -> None:
    lines = [line for line, _ in commands(README)]
    doing = [line for line in lines if " do " in line]
    assert run(checkout, desk_url, doing[0])[-1].startswith("Assign to agent: 3 tickets changed")
    for line in lines:
        if line.startswith("make "):
            assert f"\n{line.split()[1]}:" in (ROOT / "Makefile").read_text()
        for path in re.findall(r"examples/\S+", line):
            assert (ROOT / path).is_file()


def test_the_plugin_of_the_readme_works_and_is_not_long(checkout: Path, desk_url: URL) -> None:
    assert len([line for line in TAKE.splitlines() if line.strip()]) <= 16
    name = re.search(r"async def (\w+)", TAKE)
    assert name is not None
    line = f"backdesk do take.{name[1]} --ids 1 --colleague lead@example.com --as ana@example.com"
    assert run(checkout, desk_url, line)[-1].startswith("Hand over: 1 ticket changed")


def test_every_rule_of_the_checks_is_in_the_table_and_no_other() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "admin_app/registry").glob("*.py"))
    listed = re.findall(r"^\| (P\d{3}) \|", PAGE, re.MULTILINE)
    assert listed == sorted(set(re.findall(r'"(P\d{3})"', sources)))


@pytest.mark.parametrize("offer", ["action", "page", "panel", "stat", "resource"])
def test_every_option_of_the_contract_is_on_the_page(offer: str) -> None:
    options = [name for name in inspect.signature(getattr(Plugin, offer)).parameters if name not in {"self", "model"}]
    assert f"plugin.{offer}" in PAGE
    for name in options:
        assert f"`{name}`" in PAGE, name


def test_every_name_of_the_contract_and_every_fixture_is_on_the_page() -> None:
    shown = {"Action", "Page", "Panel", "Resource", "Stat"}  # what the decorators make; nobody writes them
    for name in set(contract.__all__) - shown:
        assert re.search(rf"\b{name}\b", PAGE), name
    for kind in KINDS:
        assert f"`{kind.__name__}`" in PAGE
    source = (ROOT / "admin_app/testing.py").read_text()
    own = {"server_url", "template_url", "live_url", "shared_database", "shared_app"}  # those that others stand on
    for name in set(re.findall(r"@pytest(?:_asyncio)?\.fixture.*\n(?:async )?def (\w+)", source)) - own:
        assert f"`{name}`" in PAGE, name
