"""The promises of the project's own files: lock, Makefile, CI, image, compose file, import contracts, decisions."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from admin_app.postgres.server import MADE_WITH
from admin_app.settings import APP_ROLE, Settings

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))

TARGETS = {"help", "install", "demo", "test", "test-18", "test-15", "lint", "bench", "lock"}
SECRETS = {"BACKDESK_SECRET_KEY": "k" * 32, "BACKDESK_OWNER_PASSWORD": "owner1", "BACKDESK_APP_PASSWORD": "web1"}


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command as a person's shell would: without the variables that an outer make leaves behind."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def interpolated(value: Any, given: dict[str, str]) -> str:
    """A value of the compose file with `${NAME:-default}` and `${NAME:?message}` filled in; raises on a missing one."""

    def fill(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if name in given:
            return given[name]
        if operator == ":?":
            raise LookupError(rest)
        return rest

    return re.sub(r"\$\{(\w+)(:[?-])([^}]*)\}", fill, str(value))


# ── the lock ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def locked() -> dict[str, list[str]]:
    """Every requirement of the lock with its hashes, by normalised name."""
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    names = [re.match(r"([a-z0-9.-]+)==\S+", block) for block in blocks]
    assert all(names), "every line of the lock that is not indented pins one package to one version"
    return {name[1]: re.findall(r"--hash=(\S+)", block) for name, block in zip(names, blocks, strict=True) if name}


def test_lock_pins_every_package_with_sha256_hashes() -> None:
    for name, hashes in locked().items():
        assert hashes, f"{name} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), name


def test_lock_holds_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--\w*index\w*|--find-links|--trusted-host)\b", text, re.MULTILINE)


def test_lock_names_everything_that_the_project_asks_for() -> None:
    asked = [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["local"],
        *PROJECT["dependency-groups"]["dev"],
        *PROJECT["build-system"]["requires"],
    ]
    names = {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in asked}
    assert names <= set(locked()), "run `make lock`"


def test_installed_packages_satisfy_each_other() -> None:
    checked = run(sys.executable, "-m", "pip", "check", "--disable-pip-version-check")
    assert checked.returncode == 0, checked.stdout


# ── make and CI ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_make_target_is_documented_and_listed() -> None:
    named = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named == TARGETS
    listed = re.findall(r"^  make ([a-z0-9-]+) +(\S.*)$", run("make").stdout, re.MULTILINE)
    assert {target for target, _ in listed} == TARGETS


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_make_knows_how_to_reach_every_target(target: str) -> None:
    planned = run("make", "--dry-run", target)
    assert planned.returncode == 0, planned.stderr


def test_make_without_a_usable_python_says_what_to_install(tmp_path: Path) -> None:
    refused = run("make", "install", f"VENV={tmp_path}/venv", "PYTHONS=python-that-nobody-has")
    assert refused.returncode != 0
    assert "Python 3.11 or newer" in refused.stderr
    assert "apt install python3-venv" in refused.stderr
    assert not (tmp_path / "venv").exists()


def test_ci_is_a_script_that_requires_the_browser_and_ends_in_make_test() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert run("bash", "-n", script).returncode == 0
    assert script.read_text().rstrip().endswith("BACKDESK_REQUIRE_BROWSER=1 make test </dev/null")


# ── who may import whom ───────────────────────────────────────────────────────────────────────────────────────────────

PLANTED = {
    "a query that opens a session": ("floors", {"admin_app/queries/__init__.py": "import admin_app.db"}),
    "a model that reads settings": ("floors", {"admin_app/models/planted.py": "import admin_app.settings"}),
    "a plugin contract that knows the web": ("floors", {"admin_app/plugin.py": "import admin_app.web"}),
    "a module without a floor": ("floors", {"admin_app/attic.py": ""}),
    "two models in a circle": (
        "circles",
        {
            "admin_app/models/planted.py": "import admin_app.models.planted_too",
            "admin_app/models/planted_too.py": "import admin_app.models.planted",
        },
    ),
    "a core that knows a plugin": ("core", {"admin_app/app.py": "import plugins.planted", "plugins/planted.py": ""}),
    "a plugin that opens a session": ("plugins", {"plugins/planted.py": "import admin_app.db"}),
    "a plugin that reaches into the web": ("plugins", {"plugins/planted.py": "from admin_app.web import lists"}),
    "a plugin that uses another": (
        "strangers",
        {"plugins/planted.py": "import plugins.planted_too", "plugins/planted_too.py": ""},
    ),
    "a plugin that knows SQLAdmin": ("sqladmin", {"plugins/planted.py": "from sqladmin import ModelView"}),
    "a core module that knows SQLAdmin": ("sqladmin", {"admin_app/app.py": "import sqladmin"}),
}
ALLOWED = {
    "plugins/planted.py": "from admin_app import errors, models, plugin, queries\nimport sqlalchemy",
    "admin_app/web/planted.py": "import sqladmin",
}
ROOMS = ["admin_app/db.py", "admin_app/plugin.py", "admin_app/queries/__init__.py", "admin_app/web/lists.py"]


def lint_with(planted: dict[str, str], house: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on a copy of the source to which lines were added."""
    shutil.copy(ROOT / "pyproject.toml", house)
    for package in ("admin_app", "plugins"):
        shutil.copytree(ROOT / package, house / package, ignore=shutil.ignore_patterns("static", "templates"))
    (house / "admin_app/web/__init__.py").touch()
    for room, lines in {**dict.fromkeys(ROOMS, ""), **planted}.items():
        with (house / room).open("a") as file:
            file.write(f"\n{lines}\n")
    return run(BIN / "lint-imports", "--no-logo", "--no-cache", cwd=house)


def test_import_contracts_hold() -> None:
    checked = run(BIN / "lint-imports", "--no-logo", "--no-cache")
    assert checked.returncode == 0, checked.stdout


def test_import_contracts_let_a_plugin_use_what_it_may(tmp_path: Path) -> None:
    checked = lint_with(ALLOWED, tmp_path)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("violation", PLANTED)
def test_import_contracts_catch(violation: str, tmp_path: Path) -> None:
    contract, planted = PLANTED[violation]
    names = {each["id"]: each["name"] for each in PROJECT["tool"]["importlinter"]["contracts"]}
    checked = lint_with(planted, tmp_path)
    assert checked.returncode == 1, checked.stdout
    assert f"{names[contract]} BROKEN" in " ".join(checked.stdout.split())


# ── image and compose file ────────────────────────────────────────────────────────────────────────────────────────────


def backdesk_answers(command: list[str]) -> bool:
    """Whether the command line knows a command of an image or a service."""
    program, *words = command
    assert program == "backdesk"
    return run(BIN / program, *words, "--help").returncode == 0


def test_image_copies_files_that_exist_and_are_sent_to_the_builder() -> None:
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copies for source in line.split()}
    assert sources == set(sent)
    assert all((ROOT / source).exists() for source in sources)


def test_image_installs_by_hash_runs_without_rights_and_is_asked_how_it_is() -> None:
    image = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in image
    assert "--no-index" in image
    assert re.search(r"^USER \d{4,}$", image, re.MULTILINE)
    assert "/healthz" in image
    command = re.search(r"^CMD (\[.*\])$", image, re.MULTILINE)
    assert command
    assert backdesk_answers(yaml.safe_load(command[1]))


def test_every_service_names_services_volumes_and_settings_that_exist() -> None:
    known = (ROOT / "admin_app/settings.py").read_text()
    for name, service in COMPOSE["services"].items():
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"]), name
        assert {each.split(":")[0] for each in service.get("volumes", [])} <= set(COMPOSE["volumes"]), name
        assert {each["source"] for each in service.get("configs", [])} <= set(COMPOSE["configs"]), name
        if service["image"] == "backdesk":
            assert all(f'"{variable}"' in known for variable in service["environment"]), name


@pytest.mark.parametrize("name", ["migrate", "web", "worker"])
def test_service_gets_settings_that_backdesk_accepts(name: str) -> None:
    environment = COMPOSE["services"][name]["environment"]
    settings = Settings.from_env({each: interpolated(value, SECRETS) for each, value in environment.items()})
    assert settings.database_url is not None
    assert (settings.database_url.host, settings.database_url.username) == ("database", APP_ROLE)
    assert (settings.database_owner_url is not None) == (name == "migrate"), "only migrations sign in as the owner"
    assert "127.0.0.1" in settings.allowed_hosts, "the health check asks under this name"


@pytest.mark.parametrize("missing", SECRETS)
def test_compose_refuses_to_start_without_a_secret_and_names_it(missing: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}
    with pytest.raises(LookupError, match=f"Set {missing} to"):
        interpolated((ROOT / "docker-compose.yml").read_text(), given)


def test_database_keeps_its_data_where_the_image_of_18_puts_it() -> None:
    database = COMPOSE["services"]["database"]
    assert database["image"] == "postgres:18"
    assert database["volumes"] == ["database:/var/lib/postgresql"]
    assert database["healthcheck"]["test"][1] == "pg_isready"


def test_database_is_run_with_what_a_local_server_is_made_with_for_large_changes() -> None:
    program, *options = COMPOSE["services"]["database"]["command"]
    given = dict(option.split("=") for option in options[1::2])
    assert (program, set(options[::2])) == ("postgres", {"-c"})
    assert given == {name: MADE_WITH[name] for name in ("max_wal_size", "checkpoint_timeout", "wal_buffers")}


def test_migrations_are_done_before_the_web_starts() -> None:
    services = COMPOSE["services"]
    assert services["web"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert backdesk_answers(services["migrate"]["command"])


def test_jobs_are_worked_on_by_the_worker_service_and_not_by_the_web_service() -> None:
    web, worker = (COMPOSE["services"][name] for name in ("web", "worker"))
    assert backdesk_answers(worker["command"])
    assert (web["environment"]["BACKDESK_WORKER"], "profiles" in worker) == ("0", False)


# ── what is written down ──────────────────────────────────────────────────────────────────────────────────────────────


def test_changelog_begins_with_the_version_of_the_project() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == PROJECT["project"]["version"]


def test_decisions_are_numbered_without_gaps_and_listed_under_their_titles() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    listed = re.findall(r"\[(.+?)\]\((\d{4}-.+?\.md)\)", (ROOT / "docs/decisions/README.md").read_text())
    titles = [(page.read_text().splitlines()[0].removeprefix(f"# {page.name[:4]} · "), page.name) for page in DECISIONS]
    assert listed == titles


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_decision_says_why_what_follows_and_what_else_there_was(page: Path) -> None:
    template = re.findall(r"^## .+$", (ROOT / "docs/decisions/template.md").read_text(), re.MULTILINE)
    assert re.findall(r"^## .+$", page.read_text(), re.MULTILINE) == template
    assert len(page.read_text().split()) < 700, "one page"


def test_nothing_tracked_names_a_machine_or_a_registry() -> None:
    # Written in pieces, so that this file does not find itself.
    places = r"(?<![\w.])/(wo" + r"rk|fa" + r"rm|ro" + r"ot)/"
    registries = r"python" + r"hosted\.|py" + r"pi\.org|npm" + r"js\."
    private = re.compile(f"{places}|{registries}")
    found = []
    for name in run("git", "ls-files", "-z").stdout.rstrip("\0").split("\0"):
        path = ROOT / name
        text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        found += [f"{name}:{number}" for number, line in enumerate(text.splitlines(), 1) if private.search(line)]
    assert found == []
    assert "uv.lock" not in run("git", "ls-files").stdout.split(), "it carries a registry's addresses"
