"""The registry: plugins are found, every mistake is reported at once with its remedy, and then nothing can be added."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from admin_app import resources
from admin_app.branches import Branch
from admin_app.db import Acting, Database
from admin_app.errors import NotFound, PluginsRefused
from admin_app.models import AuditLog, Comment, Tag, Ticket
from admin_app.plugin import Plugin
from admin_app.queries.changes import Chosen, Outcome
from admin_app.registry import Registry, available, inspect_plugins, load
from admin_app.settings import Settings
from admin_app.testing import Make

BEGIN = """\
from typing import Any
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship
from admin_app.models import Base, Numbered, Tag, Ticket, User, UserSession
from admin_app.plugin import Chosen, Hint, Outcome, Plugin, Visit
from admin_app.queries import tickets
plugin = Plugin(__name__)
"""
ACTION = """\
@plugin.action(Ticket, label="Do")
async def act(session: AsyncSession, chosen: Chosen[Ticket]) -> Outcome:
    return Outcome()
"""
FIRST = BEGIN.count("\n") + 1
"""The line after BEGIN."""


@dataclass(frozen=True)
class Hostile:
    """A plugin file with one mistake, and what is to be said about it: rule, line, and the end of the sentence."""

    file: str
    source: str
    id: str
    line: int
    what: str
    fix: str


HOSTILE = [
    Hostile("p001_syntax", "plugin = = 1\n", "P001", 1, "SyntaxError", "Correct the plugin"),
    Hostile("p001_attribute", BEGIN + "@plugin.acton\ndef f(): ...\n", "P001", FIRST, "'acton'", "mean 'action'?"),
    Hostile(
        "p001_option",
        BEGIN + ACTION.replace("label", "lable"),
        "P001",
        FIRST,
        "unexpected keyword argument 'lable'",
        "Did you mean 'label'?",
    ),
    Hostile(
        "p001_option_of_another_class",
        BEGIN + 'Hint(halp="Say so")\n',
        "P001",
        FIRST,
        "unexpected keyword argument 'halp'",
        "Did you mean 'help'?",
    ),
    Hostile(
        "p001_import_of_name",
        "from admin_app.queries import tikets\n",
        "P001",
        1,
        "cannot import name 'tikets'",
        "Did you mean 'tickets'?",
    ),
    Hostile(
        "p001_import_of_module",
        "\nimport admin_app.plugn\n",
        "P001",
        2,
        "No module named 'admin_app.plugn'",
        "Did you mean 'admin_app.plugin'?",
    ),
    Hostile(
        "p001_name",
        BEGIN.replace("from sqlalchemy.ext.asyncio import AsyncSession", "") + ACTION,
        "P001",
        FIRST + 1,
        "name 'AsyncSession' is not defined",
        "Import or define 'AsyncSession' in the plugin.",
    ),
    Hostile(
        "p001_inside_a_library",
        "import json\n\n\ndef read():\n    return json.loads('{')\n\n\nread()\n",
        "P001",
        5,
        "JSONDecodeError",
        "Correct the plugin, or leave it out of BACKDESK_PLUGINS.",
    ),
    Hostile("P003-name", BEGIN, "P003", 1, "cannot be a plugin's name.", "Use lower case letters and `_`."),
    Hostile("audit", BEGIN, "P003", 1, "its tables would look like audit_logs.", "Choose another name."),
    Hostile(
        "p004",
        BEGIN + ACTION + ACTION,
        "P004",
        FIRST + 3,
        f"'p004.act' is declared 2 times, also in {{path}}:{FIRST}.",
        "Give each a name of its own.",
    ),
    Hostile(
        "p005",
        BEGIN.replace("__name__", "__name__, requires=['knowledge']"),
        "P005",
        1,
        "It requires 'knowledge', which is not loaded.",
        "Add it to BACKDESK_PLUGINS.",
    ),
    Hostile(
        "p010",
        BEGIN + "plugin.resource(UserSession, columns=('id', 'expired_at'))\n",
        "P010",
        FIRST,
        "columns: UserSession has no 'expired_at'.",
        "Did you mean 'expires_at'?",
    ),
    Hostile(
        "p015",
        BEGIN + ACTION.replace("async def", "def"),
        "P015",
        FIRST,
        "act() is not async.",
        "Write `async def act(…)`.",
    ),
    Hostile(
        "p016_type",
        BEGIN + ACTION.replace(")", ", ratio: float)", 2).replace(", ratio: float)\nasync", ")\nasync"),
        "P016",
        FIRST,
        "act(): parameter 'ratio' has the type float, which nobody can fill in.",
        "Use str, int, bool, date, datetime, a StrEnum, a model or a list of one; `| None` if it may be left out.",
    ),
    Hostile(
        "p016_taken",
        BEGIN + ACTION.replace("[Ticket])", "[Ticket], reason: str)"),
        "P016",
        FIRST,
        "act(): the name 'reason' is taken by every form.",
        "Take `acting: Acting` and read acting.reason.",
    ),
    Hostile(
        "p016_form",
        "from admin_app.models import Outbox\n"
        + BEGIN
        + "plugin.resource(Outbox, columns=('id',), form=('kind', 'payload'))\n",
        "P016",
        FIRST + 1,
        "form: Outbox.payload has a type that nobody can fill in.",
        "Leave 'payload' out of the form.",
    ),
    Hostile(
        "p038_query",
        "from admin_app.models import Role\nfrom admin_app.plugin import View\n"
        + BEGIN
        + "plugin.resource(Role, columns=('id',), views=[View('Old ones', 'stale=yes')])\n",
        "P038",
        FIRST + 2,
        "views: 'Old ones' asks for 'stale', which is not a parameter of this list.",
        "Write it as it stands in the address of the list.",
    ),
    Hostile(
        "p038_name",
        "from admin_app.models import ApiToken\nfrom admin_app.plugin import View\n"
        + BEGIN
        + "plugin.resource(ApiToken, columns=('id',), views=[View(' ', '')])\n",
        "P038",
        FIRST + 2,
        "views: ' ' cannot be a view's name.",
        "Give each a name of its own, of 100 characters at most.",
    ),
    Hostile(
        "p016_unknown",
        "from __future__ import annotations\n" + BEGIN + ACTION.replace("[Ticket])", "[Ticket], agent: Agent)"),
        "P016",
        FIRST + 1,
        "act(): the type 'Agent' is not known.",
        "Import 'Agent' in the plugin.",
    ),
    Hostile(
        "p018",
        BEGIN + "\nclass Stray(Numbered, Base):\n    __tablename__ = 'strays'\n",
        "P018",
        FIRST + 1,
        "The table 'strays' of Stray could collide with another plugin's.",
        "Call it 'p018_strays'.",
    ),
    Hostile(
        "p020",
        BEGIN + "\nclass Lone(Numbered, Base):\n    __tablename__ = 'p020_lone'\n",
        "P020",
        FIRST + 1,
        "Lone has a table that no migration makes.",
        "Make the plugin a folder with the migration in p020/migrations/.",
    ),
    Hostile(
        "p025",
        BEGIN
        + '@plugin.page(label="P", template="p025/p.html")\n'
        + "async def p(session: AsyncSession, visit: Visit) -> dict[str, Any]:\n    return {}\n",
        "P025",
        FIRST,
        "There is no template 'p025/p.html'.",
        "Make the plugin a folder, and put the file into p025/templates/p025/.",
    ),
    Hostile(
        "p026_misspelt",
        BEGIN + ACTION.replace("chosen", "choosen").replace("choosen: Chosen[Ticket]", "choosen: int"),
        "P026",
        FIRST,
        "act() has no parameter 'chosen'.",
        "Rename 'choosen' to 'chosen'.",
    ),
    Hostile(
        "p026_too_much",
        BEGIN + '@plugin.stat(label="S", href="/", permission="ticket.view")\nasync def s(session, visit, zone): ...\n',
        "P026",
        FIRST,
        "s() has a parameter 'zone' that nobody gives.",
        "Write s(session, visit).",
    ),
    Hostile(
        "p031",
        "plugins = 'none'\n",
        "P031",
        1,
        "The module has no value `plugin`, a Plugin; it has NoneType.",
        "Write `plugin = Plugin(__name__)` in it.",
    ),
    Hostile(
        "p032",
        BEGIN + ACTION.replace("(Ticket,", "(UserRole,").replace("@", "from admin_app.models import UserRole\n@"),
        "P032",
        FIRST + 1,
        "No resource shows UserRole, so nobody could choose rows for act().",
        "Attach it to a model or trait of a resource.",
    ),
    Hostile(
        "p032_no_class",
        BEGIN + ACTION.replace("(Ticket,", "('Ticket',"),
        "P032",
        FIRST,
        "No resource shows 'Ticket', so nobody could choose rows for act().",
        "Attach it to a model or trait of a resource.",
    ),
    Hostile(
        "p034",
        BEGIN + ACTION.replace("def act(", "def view("),
        "P034",
        FIRST,
        "view() would be open to whoever may see everything",
        "Call it after what it changes.",
    ),
    Hostile(
        "p035_no_letter",
        BEGIN + ACTION.replace("(Ticket,", "(Ticket, key='j',"),
        "P035",
        FIRST,
        "act(): 'j' cannot be a key.",
        "Choose one letter from a to z, but none of e, g, j, k, o, u, x.",
    ),
    Hostile(
        "p035_taken",
        BEGIN + ACTION.replace("(Ticket,", "(Ticket, key='a',"),
        "P035",
        FIRST,
        "act(): the key 'a' is also that of assign.assign.",
        "Choose another letter, or none.",
    ),
    Hostile(
        "p036_not_shown",
        "from admin_app.models import Selection\n"
        + BEGIN
        + "plugin.resource(Selection, columns=('id',), form=('expires_at',), inline=('expires_at',))\n",
        "P036",
        FIRST + 1,
        "inline: 'expires_at' is not in columns.",
        "Add it to columns, or leave it out of inline.",
    ),
    Hostile(
        "p036_long",
        BEGIN
        + "from admin_app.models import Recipe\n"
        + "plugin.resource(Recipe, columns=('filter',), form=('filter',), inline=('filter',))\n",
        "P036",
        FIRST + 1,
        "inline: Recipe.filter cannot be edited in a list.",
        "Name short texts, choices, times, numbers or relationships.",
    ),
    Hostile(
        "p040",
        BEGIN
        + "\nclass Views(Numbered, Base):\n    __tablename__ = 'p040_views'\n\n\n"
        + "plugin.resource(Views, columns=('id',))\n",
        "P040",
        FIRST + 5,
        "Views would have the addresses of 'views', which is a part of Backdesk.",
        "Give the model another name.",
    ),
]


def check(folder: Path, plugins: str = "assign") -> subprocess.CompletedProcess[str]:
    """`backdesk check` of the plugins in a folder, in a process of its own: a bad model stays in the process."""
    environment = {**os.environ, "BACKDESK_PLUGIN_DIR": str(folder), "BACKDESK_PLUGINS": plugins}
    command = [sys.executable, "-m", "admin_app.cli", "check", "--no-database"]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """All the hostile plugins in one folder, and what `backdesk check` says about them."""
    folder = tmp_path_factory.mktemp("hostile")
    for hostile in HOSTILE:
        (folder / f"{hostile.file}.py").write_text(hostile.source)
    return folder, check(folder, "assgin,assign")


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.file)
def test_a_mistake_is_reported_with_its_rule_its_line_and_its_remedy(
    hostile: Hostile, reported: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    folder, done = reported
    path = folder / f"{hostile.file}.py"
    beginning = f"{hostile.id} {path}:{hostile.line} ["
    lines = [line for line in done.stderr.splitlines() if line.startswith(beginning)]
    assert len(lines) == 1, done.stderr
    assert hostile.what.format(path=path) in lines[0]
    assert lines[0].endswith(hostile.fix) or hostile.fix == "Correct the plugin"


def test_all_mistakes_are_reported_at_once_and_nothing_else_is(
    reported: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = reported
    ids = [line.split()[0] for line in done.stderr.splitlines()]
    expected = [hostile.id for hostile in HOSTILE] + [
        "P002",
        "P020",
        "P020",
    ]  # the tables of p018 and p040 have no migration
    assert sorted(ids) == ids
    assert sorted(expected) == ids, done.stderr
    assert done.returncode == 1
    assert done.stdout == ""


def test_a_plugin_that_does_not_exist_is_refused_with_the_nearest_name(
    reported: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    line = next(line for line in reported[1].stderr.splitlines() if line.startswith("P002"))
    assert line.startswith("P002 BACKDESK_PLUGINS [assgin] There is no plugin 'assgin'. Known are absence, assign, ")
    assert line.endswith("Did you mean 'assign'?")


def test_a_relationship_to_a_model_that_does_not_exist_is_reported_with_the_line_of_the_class(tmp_path: Path) -> None:
    columns = "    __tablename__ = 'notes_lines'\n    author: Mapped['Usr'] = relationship()\n"
    source = BEGIN + "\nclass Note(Numbered, Base):\n" + columns
    (tmp_path / "notes.py").write_text(source)
    done = check(tmp_path)
    assert done.stderr.startswith(
        f"P033 {tmp_path}/notes.py:{FIRST + 1} [backdesk_plugin_files.notes] The models cannot"
    )
    assert "'Usr' failed to locate a name" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_backdesk_refuses_to_start_and_lists_every_problem(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "second.py").write_text("plugin = None\n")
    with pytest.raises(PluginsRefused) as refused:
        load(Settings(plugins=(), plugin_dir=tmp_path), core=[resources.plugin])
    assert refused.value.message.startswith("2 mistake(s) in plugins:\n  P001 ")
    assert "Install 'nothing_of_this_name', or correct the name." in refused.value.message
    assert "P031" in refused.value.message


def test_a_package_in_the_plugin_folder_brings_templates_and_migrations_and_is_told_where_they_belong(
    tmp_path: Path,
) -> None:
    package = tmp_path / "boards"
    page = "async def {0}(session: AsyncSession, visit: Visit) -> dict[str, Any]:\n    return {{}}\n"
    for folder in ("templates/boards", "templates/strangers", "migrations"):
        (package / folder).mkdir(parents=True)
    (package / "templates" / "boards" / "there.html").write_text("")
    (package / "templates" / "strangers" / "there.html").write_text("")
    (package / "words.py").write_text('LABEL = "A board"\n')
    (package / "__init__.py").write_text(
        f"from .words import LABEL\n{BEGIN}"
        '@plugin.page(label="A", template="boards/missing.html")\n'
        + page.format("a")
        + '@plugin.page(label="B", template="strangers/there.html")\n'
        + page.format("b")
        + '@plugin.page(label=LABEL, template="boards/there.html")\n'
        + page.format("c")
    )
    registry, problems = inspect_plugins(Settings(plugins=(), plugin_dir=tmp_path), core=[resources.plugin])
    assert [(problem.id, problem.fix) for problem in problems] == [
        ("P025", "Call it 'boards/there.html'."),
        ("P025", f"Put it into {package}/templates/boards/missing.html."),
    ]
    assert registry.pages["boards.c"].label == "A board"
    assert registry.branches() == [Branch("boards", package / "migrations")]


SIXTEEN = '''"""Give many tickets to one agent."""
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Ticket, User
from admin_app.plugin import Chosen, Outcome, Plugin
from admin_app.queries import tickets

plugin = Plugin(__name__)


@plugin.action(Ticket, label="Assign to agent", icon="user-check")
async def hand_over(session: AsyncSession, chosen: Chosen[Ticket], agent: User) -> Outcome:
    """Every chosen ticket goes to one agent, whoever had it before."""
    return await tickets.assign(session, chosen, agent)
'''


def test_one_file_in_the_plugin_folder_is_a_plugin(tmp_path: Path) -> None:
    (tmp_path / "handover.py").write_text(SIXTEEN)
    (tmp_path / "_notes.py").write_text("not python at all")
    before = available()
    registry, problems = inspect_plugins(Settings(plugins=(), plugin_dir=tmp_path), core=[resources.plugin])
    assert problems == []
    action = registry.action("handover.hand_over")
    assert (action.label, action.help) == (
        "Assign to agent",
        "Every chosen ticket goes to one agent, whoever had it before.",
    )
    assert registry.actions_for(Ticket) == [action]
    assert registry.actions_for(Tag) == []
    assert "handover.hand_over" in {permission.name for permission in registry.permissions()}
    assert available() == before


def test_importing_a_plugin_changes_nothing_global(tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text(SIXTEEN)
    everything = load(Settings(plugins=("assign",)), core=[resources.plugin])
    names = set(everything.actions)
    load(Settings(plugins=(), plugin_dir=tmp_path), core=[resources.plugin])
    assert set(everything.actions) == names
    assert set(load(Settings(plugins=("assign",)), core=[resources.plugin]).actions) == names


def test_a_file_is_imported_once_however_often_plugins_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "once.py").write_text(SIXTEEN)
    settings = Settings(plugins=(), plugin_dir=tmp_path)
    first, second = (load(settings, core=[resources.plugin]) for _ in range(2))
    assert first.plugins[1] is second.plugins[1]


async def test_the_function_of_a_plugin_stays_a_function_that_a_test_can_call(
    tmp_path: Path, database: Database, make: Make
) -> None:
    (tmp_path / "callable_one.py").write_text(SIXTEEN)
    registry = load(Settings(plugins=(), plugin_dir=tmp_path), core=[resources.plugin])
    hand_over: Callable[..., Any] = registry.action("callable_one.hand_over").function
    agent, ticket = await make.agent(), await make.ticket()
    async with database.transaction(Acting.system(), "callable_one.hand_over") as change:
        outcome = await hand_over(change.session, Chosen.of(Ticket, [ticket.id]), agent)
    assert outcome == Outcome(changed=1)


def test_nothing_can_be_added_to_a_plugin_that_is_loaded() -> None:
    plugin = Plugin("late")
    registry = Registry((plugin,))
    with pytest.raises(PluginsRefused, match=r"already loaded when 'handler' was declared .*test_registry\.py"):

        @plugin.action(Ticket, label="Late")
        async def handler(session: Any, chosen: Any) -> Outcome:
            return Outcome()

    assert registry.actions == {}
    with pytest.raises(AttributeError):
        registry.plugins = ()  # type: ignore[misc]


def test_a_trait_gives_an_action_to_every_model_that_has_it() -> None:
    registry = load(Settings(plugins=("trash",)), core=[resources.plugin])
    offered = {action.permission for action in registry.actions_for(Ticket)}
    assert offered == {"trash.put", "trash.restore", "trash.purge"}
    assert registry.actions_for(Comment) == []
    assert registry.actions_for(AuditLog) == []


def test_a_plugin_named_twice_is_loaded_once() -> None:
    settings = Settings(plugins=("assign", "plugins.assign", "assign"))
    registry, problems = inspect_plugins(settings, core=[resources.plugin])
    assert problems == []
    assert [plugin.name for plugin in registry.plugins] == ["resources", "assign"]


def test_an_unknown_action_is_answered_with_the_nearest_one() -> None:
    registry = load(Settings(plugins=("assign",)), core=[resources.plugin])
    with pytest.raises(NotFound, match=r"There is no action 'asign\.assign'\. Did you mean 'assign\.assign'\?"):
        registry.action("asign.assign")
    with pytest.raises(NotFound):
        registry.resource("tickets")


def test_the_installed_plugins_are_found_by_their_entry_points_and_loaded_only_when_named() -> None:
    installed = available()
    assert installed["assign"] == "plugins.assign"
    assert installed["trash"] == "plugins.trash"
    registry = load(replace(Settings(), plugins=()), core=[resources.plugin])
    assert registry.actions == {}
