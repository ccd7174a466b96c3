"""The page on operations: its commands print what it says they print."""

import re
import shlex
from pathlib import Path

import pytest

from admin_app.testing import Make
from tests.commands.conftest import Run, said

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()


def commands(heading: str) -> list[tuple[list[str], list[str]]]:
    """The commands of a section, each with the lines that it is said to print."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    blocks = "".join(re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
    told = (command.strip().splitlines() for command in blocks.split("$ ")[1:])
    return [(shlex.split(first)[1:], lines) for first, *lines in told]


async def test_the_commands_of_the_page_print_what_it_says(
    backdesk: Run, make_there: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await make_there.agent(full_name="Bo", email="bo@example.com")
    for _ in range(4):
        await make_there.ticket()
    samples = commands("The command line") + commands("Recipes")
    assert len(samples) == 7
    for words, expected in samples:
        printed = said(await backdesk(*words), 0).splitlines()
        for line in expected:
            pattern = re.compile(re.escape(line).replace("…", ".*"))
            assert any(pattern.fullmatch(found) for found in printed), (words, line, printed)


def test_every_option_of_the_page_exists_and_none_is_missing() -> None:
    source = (Path(__file__).parents[2] / "admin_app/cli_do.py").read_text()
    offered = set(re.findall(r'"(--\w+)"', source)) - {"--on"}
    section = PAGE.split("## The command line\n")[1].split("\n## ")[0]
    assert offered <= set(re.findall(r"--\w+", section))
