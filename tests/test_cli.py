"""The command line: quick help, sentences instead of tracebacks, and exit codes that scripts can trust."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from click.testing import CliRunner, Result
from sqlalchemy import URL, select

from admin_app.cli import COMMANDS, main
from admin_app.db import Acting, Database
from admin_app.models import ChangeSet, Door, Ticket, User
from admin_app.queries import trash, users
from admin_app.queries.changes import Chosen
from admin_app.testing import Make, scratch_database

Run = Callable[..., Awaitable[Result]]

PLUGIN = '''
"""Do things with tags."""
import datetime, enum
from sqlalchemy.ext.asyncio import AsyncSession
from admin_app.models import SoftDelete, Tag, Ticket
from admin_app.plugin import Chosen, Outcome, Plugin
plugin = Plugin(__name__)

class Shade(enum.StrEnum):
    DARK = "dark"

@plugin.action(Tag, label="Paint", roles=())
async def paint(session: AsyncSession, chosen: Chosen[Tag], shade: Shade, due_at: datetime.date | None = None):
    """Give tags a shade.

    More about it."""
    return Outcome(changed=chosen.requested)

@plugin.action(SoftDelete, label="Break")
async def snap(session: AsyncSession, chosen: Chosen) -> Outcome:
    raise RuntimeError("a bug")
'''


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk_url(server_url: URL, template_url: URL) -> AsyncIterator[URL]:
    """The owner's URL of the database of this module."""
    async with scratch_database(server_url, template_url.database) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(desk_url: URL) -> AsyncIterator[Database]:
    """The database of this module, in which commands really commit."""
    database = Database.connect(desk_url)
    yield database
    await database.close()


@pytest.fixture(scope="module")
def make_there(desk: Database) -> Make:
    """Makes people and tickets in the database of this module."""
    return Make(desk)


@pytest.fixture
def run(desk_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`backdesk …` on the database of this module, with a plugin file beside the shipped assign and trash."""
    (tmp_path / "tinker.py").write_text(PLUGIN)
    monkeypatch.setenv("DATABASE_URL", desk_url.render_as_string(hide_password=False))
    monkeypatch.setenv("BACKDESK_PLUGINS", "assign,trash")
    monkeypatch.setenv("BACKDESK_PLUGIN_DIR", str(tmp_path))

    async def invoke(*args: str, typed: str | None = None) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, args, input=typed)

    return invoke


def said(result: Result, code: int) -> str:
    """What was said, where nothing but an exit with this code happened."""
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["--version"], [], ["nonsense"]])
def test_help_is_shown_without_loading_what_it_is_about(args: list[str]) -> None:
    heavy = "('sqlalchemy', 'sqladmin', 'starlette', 'alembic', 'asyncpg', 'argon2', 'uvicorn', 'structlog')"
    code = f"import sys\nfrom admin_app.cli import main\nsys.argv[1:] = {args}\ntry: main()\nexcept SystemExit: pass\n"
    loaded = python(f"{code}print('loaded', *(m for m in {heavy} if m in sys.modules))").splitlines()[-1]
    assert loaded == "loaded"


def test_a_server_does_not_load_what_only_other_commands_need() -> None:
    heavy = "('alembic', 'mako', 'xlsxwriter', 'rich', 'pygments', 'admin_app.migrations', 'admin_app.demo')"
    code = f"import sys\nimport admin_app.cli_serve\nprint('loaded', *(m for m in {heavy} if m in sys.modules))"
    assert python(code).split() == ["loaded"]


async def test_help_names_every_command_and_every_command_exists(run: Run) -> None:
    text = said(await run("--help"), 0)
    for name in COMMANDS:
        assert f"\n  {name} " in text
        if name != "do":
            assert said(await run(name, "--help"), 0).startswith(f"Usage: main {name}")


async def test_check_finds_nothing_wrong_with_a_desk_that_is_in_order(run: Run) -> None:
    assert said(await run("check"), 0) == ("Checked settings, plugins and database: 3 plugins, no problem found.\n")


async def test_check_lists_problems_of_plugins_and_database_together(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("plugin = None\n")
    text = said(await run("check", "--no-database"), 1)
    assert text.startswith(f"P031 {tmp_path}/broken.py:1 [broken] ")
    text = said(await run("do", "assign.assign", "--ids", "1", "--agent", "1"), 1)
    assert text.startswith("Error: 1 mistake(s) in plugins:\n  P031 ")


async def test_plugins_are_listed_with_what_they_offer(run: Run) -> None:
    lines = said(await run("plugin", "list"), 0).splitlines()
    assert "assign           loaded      assign.assign, assign.unassign, assign.distribute" in lines
    assert "tinker           loaded      tinker.paint, tinker.snap" in lines
    assert any(line.startswith("stats            not loaded  add it to BACKDESK_PLUGINS") for line in lines)


async def test_actions_are_listed_with_their_first_sentence(run: Run) -> None:
    lines = said(await run("do", "--help"), 0).splitlines()
    assert "tinker.paint         Paint: Give tags a shade." in lines


async def test_an_actions_help_names_its_options(run: Run) -> None:
    text = said(await run("do", "tinker.paint", "--help"), 0)
    for option in ("--ids", "--as", "--reason", "--shade", "--due-at", "More about it."):
        assert option in text


async def test_an_action_is_done_by_the_operator_or_in_somebodys_name(
    run: Run, desk: Database, make_there: Make
) -> None:
    agent, lead, ticket = await make_there.agent(), await make_there.lead(), await make_there.ticket()
    ids = ["--ids", f"{ticket.id},999999", "1000000"]
    first = said(await run("do", "assign.assign", *ids, "--agent", agent.email), 0)
    assert first.startswith("Assign to agent: 1 ticket changed, 2 skipped (2 not found). Change set ")
    second = said(await run("do", "assign.unassign", *ids, "--as", lead.email.upper(), "--reason", "Holiday."), 0)
    assert second.startswith("Assign to nobody: 1 ticket changed, 2 skipped")
    async with desk.read() as session:
        numbers = [int(text.rpartition(" ")[2].rstrip(".\n")) for text in (first, second)]
        done = await session.scalars(select(ChangeSet).where(ChangeSet.id.in_(numbers)).order_by(ChangeSet.id))
        sets = [(made.user_id, made.actor_kind, made.reason, made.action, made.door) for made in done]
    assert sets == [
        (None, "system", None, "assign.assign", Door.CLI),
        (lead.id, "user", "Holiday.", "assign.unassign", Door.CLI),
    ]


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        ("asign.assign --ids 1", 1, "Error: There is no action 'asign.assign'. Did you mean 'assign.assign'?"),
        ("assign.assign --agent 1", 2, "one of the arguments --ids --where --all is required"),
        ("assign.assign --ids 1", 2, "the following arguments are required: --agent"),
        ("assign.assign --ids one --agent 1", 1, "Error: 'one' is no id; ids are whole numbers."),
        (f"assign.assign --ids {'9' * 5000} --agent 1", 1, f"Error: '{'9' * 40}' is no id; ids are whole numbers."),
        ("assign.assign --ids 9223372036854775808 --agent 1", 1, "Error: An id is a positive whole number."),
        ("assign.assign --ids , --agent 1", 1, "Error: Nothing is selected."),
        ("assign.assign --ids 1 --agent ghost", 1, "Error: agent: “ghost” was not found, or cannot be chosen here."),
        ("assign.assign --ids 1 --agent 1 --as ghost@example.com", 1, "Error: There is no active person with the"),
        ("assign.assign --ids 1 --agent 1 --colour red", 2, "unrecognized arguments: --colour red"),
        ("tinker.paint --ids 1 --shade pink", 1, "Error: shade: “pink” is none of dark."),
        ("tinker.paint --ids 1 --shade dark --due-at soon", 1, "Error: due_at: “soon” is not a date"),
        ("tinker.snap --ids 1", 1, "Error: Say with --on which kind of record is meant."),
        ("trash.put --ids 1 --on ticket", 2, "the following arguments are required: --reason"),
        ("trash.put --ids 1 --on nonsense --reason x", 2, "invalid choice: 'nonsense'"),
        ("", 2, "Missing argument 'ACTION'."),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(run: Run, args: str, code: int, sentence: str) -> None:
    assert sentence in said(await run("do", *args.split()), code)


async def test_somebody_may_only_do_what_their_role_allows(run: Run, make_there: Make) -> None:
    auditor, ticket = await make_there.agent("auditor"), await make_there.ticket()
    args = ["do", "trash.put", "--on", "ticket", "--ids", str(ticket.id), "--reason", "Spam.", "--as", auditor.email]
    assert said(await run(*args), 1) == ("Error: You may not do “Move to trash”. It needs the permission trash.put.\n")


async def test_a_bug_in_a_plugin_is_told_without_a_traceback_and_changes_nothing(
    run: Run, tmp_path: Path, desk: Database, make_there: Make
) -> None:
    ticket = await make_there.ticket()
    text = said(await run("do", "tinker.snap", "--on", "ticket", "--ids", str(ticket.id)), 1)
    assert (
        text == f"Error: tinker.snap failed, and nothing was changed: RuntimeError: a bug ({tmp_path}/tinker.py:21).\n"
    )
    async with desk.read() as session:
        assert await session.scalar(select(ChangeSet.id).where(ChangeSet.action == "tinker.snap")) is None


async def test_several_people_are_named_one_after_the_other(run: Run, desk: Database, make_there: Make) -> None:
    ana, bo = await make_there.agent(email="ana.several@example.com"), await make_there.agent(full_name="Bo Several")
    made = [await make_there.ticket() for _ in range(4)]
    ids = ["--ids", *(str(ticket.id) for ticket in made)]
    people = ["--agents", "ana.several@example.com", "bo several", "--way", "round_robin"]
    text = said(await run("do", "assign.distribute", *ids, *people), 0)
    assert text.startswith("Distribute: 4 tickets changed.")
    async with desk.read() as session:
        mine = select(Ticket.assignee_id).where(Ticket.id.in_([ticket.id for ticket in made])).order_by(Ticket.id)
        assert list(await session.scalars(mine)) == [ana.id, bo.id] * 2
    text = said(await run("do", "assign.distribute", *ids, "--agents", "ghost", str(bo.id)), 1)
    assert text == "Error: agents: “ghost” was not found, or cannot be chosen here.\n"


async def test_a_reason_in_bytes_that_are_no_text_is_refused(run: Run, make_there: Make) -> None:
    ticket = await make_there.ticket()
    args = ["do", "assign.unassign", "--ids", str(ticket.id), "--reason", "\udcff"]
    assert said(await run(*args), 1) == "Error: reason: holds a character that cannot be stored.\n"


PASSWORD = "a good password\na good password\n"


async def find(database: Database, email: str) -> User | None:
    async with database.read() as session:
        return await session.scalar(select(User).where(User.email == email))


async def test_a_member_of_staff_is_made_with_a_password_and_can_sign_in(run: Run, desk: Database) -> None:
    command = ["user", "create", "ana@example.com", "--name", "Ana", "--role", "lead", "--role", "agent"]
    text = said(await run(*command, typed=PASSWORD), 0)
    assert text.endswith("Ana can sign in as ana@example.com.\n")
    assert "good password" not in text
    async with desk.read() as session:
        found = await users.actor_by_email(session, "ana@example.com")
        signing_in = await users.credentials(session, "ana@example.com")
        kept = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "user.create"))).one()
    assert found is not None
    assert signing_in is not None
    assert found.role_names == ("agent", "lead")
    assert signing_in.password_hash.startswith("$argon2id$")
    assert (kept.door, kept.actor_kind, kept.changed, kept.parameters) == (Door.CLI, "system", 1, {})


async def test_a_customer_is_made_without_a_password(run: Run, desk: Database) -> None:
    text = said(await run("user", "create", "c@example.com", "--name", "C", "--customer"), 0)
    assert text == "C is known as c@example.com.\n"
    found = await find(desk, "c@example.com")
    assert found is not None
    assert (found.is_staff, found.password_hash) == (False, None)


@pytest.mark.parametrize(
    ("args", "typed", "code", "sentence"),
    [
        ("create there@example.com --name T", PASSWORD, 1, "Somebody with this e-mail address is already here."),
        ("create new@example.com --name N --role boss", PASSWORD, 1, "boss is no role; there are agent, auditor"),
        ("create new@example.com --name N", "short\nshort\n", 1, "A password has at least 10 characters."),
        ("create new@example.com --name N", "", 1, "Aborted!"),
        ("create new@example.com", PASSWORD, 2, "Missing option '--name'."),
        ("create nonsense --name N", PASSWORD, 1, "An e-mail address needs an @"),
        ("create new@example.com --name N --customer --role lead", None, 1, "A customer has no role."),
        ("password ghost@example.com", PASSWORD, 1, "There is no active person with the e-mail address ghost@"),
        ("deactivate ghost@example.com", None, 1, "There is no active person with the e-mail address ghost@"),
    ],
)
async def test_people_who_cannot_be_made_or_changed_are_told_why(
    run: Run, desk: Database, make_there: Make, args: str, typed: str | None, code: int, sentence: str
) -> None:
    if await find(desk, "there@example.com") is None:
        await make_there.agent(email="there@example.com")
    assert sentence in said(await run("user", *args.split(), typed=typed), code)


async def test_a_new_password_and_leaving_end_what_was_before(run: Run, desk: Database, make_there: Make) -> None:
    await make_there.agent(email="bea@example.com", password_hash="old")
    text = said(await run("user", "password", "BEA@example.com", typed=PASSWORD), 0)
    assert text.endswith("BEA@example.com has a new password and is signed out everywhere.\n")
    changed = await find(desk, "bea@example.com")
    assert changed is not None
    assert changed.password_hash not in {None, "old"}
    bye = said(await run("user", "deactivate", "bea@example.com"), 0)
    assert bye.endswith(
        f"can no longer sign in. Their tickets are in the list with the filter assignee={changed.id}.\n"
    )
    left = await find(desk, "bea@example.com")
    assert left is not None
    assert not left.is_active


UNREACHABLE = "postgresql://backdesk:topsecret@127.0.0.1:9/desk"


@pytest.mark.parametrize(
    "args",
    ["check", "do assign.unassign --ids 1", "user deactivate a@example.com", "db upgrade", "db check", "serve"],
)
async def test_a_database_that_does_not_answer_is_told_in_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, args: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    text = said(await run(*args.split()), 1)
    assert "does not answer" in text
    assert "topsecret" not in text


@pytest.mark.parametrize("args", ["do assign.unassign --ids 1", "user deactivate a@example.com"])
async def test_a_database_without_tables_is_told_in_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, desk_url: URL, args: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", desk_url.set(database="postgres").render_as_string(hide_password=False))
    assert "Run `backdesk db upgrade`." in said(await run(*args.split()), 1)


@pytest.mark.parametrize("args", ["check", "plugin list", "do x.y --ids 1", "user deactivate a@b", "serve", "demo"])
async def test_settings_that_cannot_be_used_are_told_in_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, args: str
) -> None:
    monkeypatch.setenv("BACKDESK_PORT", "everywhere")
    text = said(await run(*args.split()), 1)
    assert text == "Error: BACKDESK_PORT: 'everywhere' is not a whole number from 1 to 65,535\n"


async def test_serve_refuses_a_database_of_another_version(
    run: Run, monkeypatch: pytest.MonkeyPatch, desk_url: URL
) -> None:
    monkeypatch.setenv("DATABASE_URL", desk_url.set(database="postgres").render_as_string(hide_password=False))
    text = said(await run("serve"), 1)
    assert "the database is at nothing" in text


async def test_the_trash_works_from_the_command_line_for_any_model_that_has_the_trait(
    run: Run, desk: Database, make_there: Make
) -> None:
    ticket = await make_there.ticket()
    async with desk.transaction(Acting.system(), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [ticket.id]), None, "Spam.")
    text = said(await run("do", "trash.restore", "--on", "ticket", "--ids", str(ticket.id)), 0)
    assert text.startswith("Restore from trash: 1 ticket changed. Change set ")
