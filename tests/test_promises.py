"""What the project promises about itself: what is offered is written down and tested, what is written down exists."""

import re
from pathlib import Path

import click
import pytest

from admin_app import resources
from admin_app.cli import main
from admin_app.models import Attachment
from admin_app.plugin import Action, Page
from admin_app.registry import load
from admin_app.settings import Settings
from admin_app.testing import Browser, Make, Statements

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
REGISTRY = load(Settings.from_env({}), core=[resources.plugin])
OPERATIONS = (ROOT / "docs/operations.md").read_text()


def text_of_tests(folder: str) -> str:
    """The text of all tests in a folder."""
    return "\n".join(file.read_text() for file in sorted((ROOT / "tests" / folder).rglob("test_*.py")))


# ── what is offered is written down ───────────────────────────────────────────────────────────────────────────────────

OFFERS: list[Action | Page] = [*REGISTRY.actions.values(), *REGISTRY.pages.values()]


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.permission)
def test_every_action_and_page_is_in_the_table_with_those_who_may_use_it(offer: Action | Page) -> None:
    assert f"| `{offer.permission}` | {offer.label} | {', '.join(offer.roles)} |" in OPERATIONS


def test_the_table_has_nothing_that_is_not_offered() -> None:
    listed = set(re.findall(r"^\| `(\w+\.\w+)` \|", OPERATIONS, re.MULTILINE))
    assert listed == {offer.permission for offer in OFFERS}


@pytest.mark.parametrize(
    "label", sorted({box.label for box in REGISTRY.panels} | {stat.label for stat in REGISTRY.stats})
)
def test_every_panel_and_number_of_the_start_page_is_named(label: str) -> None:
    assert f"**{label}**" in OPERATIONS


# ── and tested ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("permission", REGISTRY.actions)
def test_every_action_is_tested_through_the_door(permission: str) -> None:
    assert f"/do/{permission}" in text_of_tests("web")


@pytest.mark.parametrize("page", REGISTRY.pages.values(), ids=lambda page: page.permission)
def test_every_page_is_tested_through_the_door(page: Page) -> None:
    assert f"/admin/page/{page.plugin}/{page.name}" in text_of_tests("plugins")


LIST_STATEMENTS = {
    "ticket": 2,
    "comment": 2,
    "attachment": 2,
    "tag": 2,
    "user": 2,
    "change_set": 2,
    "audit_log": 3,
}
"""SQL statements of each list, the one that finds out who asks included. More are a reason to look, not to raise it."""


@pytest.mark.parametrize("name", REGISTRY.resources)
@pytest.mark.parametrize("rows", [1, 3])
async def test_a_list_takes_as_many_statements_as_it_always_has(
    client: Browser, make: Make, statements: Statements, name: str, rows: int
) -> None:
    for number in range(rows):
        ticket = await make.ticket(assignee_id=(await make.agent()).id)
        await make.comment(ticket, await make.agent())
        await make.tag(f"tag {number}", ticket)
        facts = {"filename": "a.txt", "content_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64}
        await make.save(Attachment(ticket_id=ticket.id, storage_key=f"key-{number:09}", **facts))
    with statements(client.desk.database) as seen:
        assert (await client.get(f"/admin/{name}/list")).status_code == 200
    assert len(seen) == LIST_STATEMENTS[name], "\n\n".join(seen)


# ── what is written down exists ───────────────────────────────────────────────────────────────────────────────────────


def anchors(page: Path) -> set[str]:
    """The headings of a page as they stand in an address."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_written_down_exists(page: Path) -> None:
    code = re.findall(r"```console\n(.*?)```|`([^`\n]+)`", page.read_text(), re.DOTALL)
    for text in ("".join(pair) for pair in code):
        for words in re.findall(r"(?:^|[/ ])backdesk ((?:[a-z]+ ?)+)", text, re.MULTILINE):
            command: click.Command | None = main
            for word in words.split():
                if not isinstance(command, click.Group):
                    break
                command = command.get_command(click.Context(command), word)
            assert command is not None, words


def test_every_variable_that_is_written_down_is_read() -> None:
    known = (ROOT / "admin_app/settings.py").read_text() + (ROOT / "admin_app/testing.py").read_text()
    named = {name for page in PAGES for name in re.findall(r"\b(?:BACKDESK|DATABASE)_[A-Z_]+\b", page.read_text())}
    assert {name for name in named if f'"{name}"' not in known} <= {"BACKDESK_REQUIRE_BROWSER"}
