"""`backdesk jobs`: what is under way and how far, stopping it, trying again what failed."""

import pytest
from sqlalchemy import URL, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from admin_app.db import Database
from admin_app.models import ChangeSet, ChangeSetState
from admin_app.testing import Make
from tests.commands.conftest import Run, change_set, number_in, said, told


async def detached(backdesk: Run, make: Make, *options: str, number: int = 21) -> int:
    """Work for so many tickets that is left to the workers: the number of its change set."""
    agent, customer = await make.agent(), await make.customer()
    for _ in range(number):
        await make.ticket(assignee_id=agent.id, creator_id=customer.id)
    args = ["do", "assign.unassign", "--where", f"assignee={agent.id}", "--detach", *options]
    return number_in(said(await backdesk(*args), 0))


async def test_a_desk_without_long_work_says_so(backdesk: Run, desk: Database) -> None:
    assert said(await backdesk("jobs"), 0).startswith("There is no long work. ")
    assert told(await backdesk("jobs", "--json")) == []


async def test_work_is_listed_with_its_progress_the_unfinished_first(backdesk: Run, make_there: Make) -> None:
    lead = await make_there.lead(full_name="Lena Lead")
    facts = ("--as", lead.email, "--reason", "Holiday.", "--reference", "T-1")
    first = await detached(backdesk, make_there, *facts)
    second = await detached(backdesk, make_there)
    said(await backdesk("jobs", "cancel", second), 0)
    lines = said(await backdesk("jobs"), 0).splitlines()
    assert [line.split()[:3] for line in lines] == [
        [str(first), "queued", "assign.unassign"],
        [str(second), "cancelled", "assign.unassign"],
    ]
    assert "0 of 21 (0 %)" in lines[0]
    assert lines[0].endswith("Lena Lead")
    values = told(await backdesk("jobs", "--json"))
    assert [(one["id"], one["done"], one["requested"]) for one in values] == [(first, 0, 21), (second, 0, 21)]
    shown = said(await backdesk("jobs", "show", first), 0)
    assert shown.splitlines() == [
        f"Change set {first}: assign.unassign by Lena Lead, queued.",
        "Reason: Holiday.",
        "Reference: T-1",
        "Done: 0 of 21 (0 %)",
        "          0  changed",
        f"Stop it with `backdesk jobs cancel {first}`.",
    ]
    said(await backdesk("jobs", "cancel", first), 0)


async def test_work_is_cancelled_by_whoever_ordered_it_or_may_cancel_others(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    number, agent = await detached(backdesk, make_there), await make_there.agent()
    text = said(await backdesk("jobs", "cancel", number, "--as", agent.email), 1)
    assert text == "Error: You may cancel only your own work. Others' needs the permission change_set.cancel.\n"
    lead = await make_there.lead(full_name="Lena Lead")
    text = said(await backdesk("jobs", "cancel", number, "--as", lead.email), 0)
    assert text.startswith("Cancelled: 0 of 21 (0 %) is done, and stays so.")
    made = await change_set(desk, number)
    assert (made.state, made.problem) == (ChangeSetState.CANCELLED, "Cancelled by Lena Lead.")
    assert said(await backdesk("jobs", "cancel", number), 1) == (
        "Error: This has ended already, so there is nothing to cancel.\n"
    )
    assert "Problem: Cancelled by Lena Lead.\n" in said(await backdesk("jobs", "show", number), 0)


async def test_what_failed_is_tried_again_once_the_cause_is_gone(
    backdesk: Run, desk: Database, desk_url: URL, failing: list[int]
) -> None:
    ids = ",".join(map(str, failing))
    number = number_in(said(await backdesk("do", "priority.change", "--ids", ids, "--priority", "urgent"), 3))
    shown = said(await backdesk("jobs", "show", number), 0)
    assert f"          2  changed\n          1  failed\n  {failing[1]}: " in shown
    assert f"Try what failed again with `backdesk jobs retry {number}`." in shown
    assert "Set priority: 0 tickets changed, 1 failed. Change set " in said(await backdesk("jobs", "retry", number), 3)
    engine = create_async_engine(desk_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE tickets DROP CONSTRAINT never"))
        await connection.execute(text("ALTER TABLE tickets ADD CONSTRAINT never CHECK (id > 0)"))
    await engine.dispose()
    preview = told(await backdesk("jobs", "retry", number, "--preview", "--json"))
    assert (preview["requested"], preview["outcome"]["changed"]) == (1, 1)
    done = said(await backdesk("jobs", "retry", number, "--reason", "The rule is gone."), 0)
    assert done.startswith("Set priority: 1 ticket changed. Change set ")
    async with desk.read() as session:
        made = await session.scalar(select(ChangeSet).where(ChangeSet.id == number_in(done)))
    assert made is not None
    assert made.reason == "The rule is gone."


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        ("show 999999", 1, "Error: There is no change set 999999.\n"),
        ("cancel 999999", 1, "Error: There is no change set 999999.\n"),
        (f"retry {10**30}", 1, f"Error: There is no change set {10**30}.\n"),
        ("show one", 2, "'one' is not a valid integer."),
        ("retry 1", 1, "Error: Nothing failed here that could be tried again.\n"),
    ],
)
async def test_work_that_is_not_there_is_said_in_a_sentence(
    backdesk: Run, desk: Database, args: str, code: int, sentence: str
) -> None:
    assert sentence in said(await backdesk("jobs", *args.split()), code)
