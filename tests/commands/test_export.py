"""`backdesk export`: the whole of a list as a file, recorded, with the permissions of whoever it is done as."""

import csv
import io
import json
from pathlib import Path

from sqlalchemy import select

from admin_app.db import Database
from admin_app.models import ActorKind, ChangeSet, Door
from admin_app.testing import Make
from tests.commands.conftest import Run, said


def files_in(folder: Path) -> list[Path]:
    """Everything in a folder."""
    return list(folder.iterdir())


async def test_a_list_is_written_to_a_file(backdesk: Run, desk: Database, make_there: Make, tmp_path: Path) -> None:
    made = [await make_there.ticket(title=f"=Paper {number}") for number in range(3)]
    file = tmp_path / "paper.csv"
    result = await backdesk("export", "ticket", "--where", "q=paper&sort=id", "--columns", "id,title", "-o", file)
    assert "3 tickets written to" in said(result, 0)
    rows = list(csv.reader(io.StringIO(file.read_text())))
    assert rows == [["id", "title"], *([str(one.id), f"'{one.title}"] for one in made)]
    assert files_in(tmp_path) == [file]
    async with desk.read() as session:
        done = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "ticket.export"))).one()
    assert (done.door, done.actor_kind, done.parameters["rows"]) == (Door.CLI, ActorKind.SYSTEM, 3)
    assert done.parameters["query"] == {"q": "paper", "sort": "id"}


async def test_the_format_follows_the_name_and_the_output_can_be_a_pipe(
    backdesk: Run, make_there: Make, tmp_path: Path
) -> None:
    ticket = await make_there.ticket(title="Piped")
    result = await backdesk("export", "ticket", "--where", "q=piped", "--format", "jsonl", "--columns", "title,id")
    said(result, 0)
    assert json.loads(result.stdout) == {"title": "Piped", "id": ticket.id}
    said(await backdesk("export", "ticket", "--where", "q=piped", "-o", tmp_path / "a.xlsx"), 0)
    assert (tmp_path / "a.xlsx").read_bytes().startswith(b"PK")


async def test_what_cannot_be_done_is_said(backdesk: Run, make_there: Make, tmp_path: Path) -> None:
    agent = await make_there.agent(email="agent@example.com")
    assert "status" in said(await backdesk("export", "ticket", "--where", "status=foo"), 1)
    assert "columns" in said(await backdesk("export", "user", "--columns", "password_hash"), 1)
    assert "--as" in said(await backdesk("export", "ticket", "--where", "assignee=me"), 1)
    assert "may not export" in said(await backdesk("export", "ticket", "--as", agent.email), 1)
    missing = tmp_path / "nowhere" / "file.csv"
    assert "cannot be written" in said(await backdesk("export", "ticket", "-o", missing), 1)
