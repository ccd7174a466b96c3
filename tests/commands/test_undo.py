"""`backdesk undo`: one change set or all of a reference, what was changed since told with both values."""

from typing import Any

import pytest
from sqlalchemy import func, select, text

from admin_app.db import Acting, Database
from admin_app.models import ChangeSet, ChangeSetState, Ticket
from admin_app.queries import tickets as changing
from admin_app.queries.changes import Chosen
from admin_app.testing import Make
from tests.commands.conftest import Run, change_set, number_in, said, told

CHECKSUM = """SELECT md5(string_agg(concat_ws('|', id, status, priority, assignee_id, deleted_at), ',' ORDER BY id))
FROM tickets WHERE id = any(:ids)"""


async def checksum(desk: Database, ids: list[int]) -> Any:
    """A digest of what undo is to bring back."""
    async with desk.read() as session:
        return await session.scalar(text(CHECKSUM), {"ids": ids})


async def some(make: Make, number: int = 3) -> tuple[int, list[int], str]:
    """Tickets of one agent: the agent's id, theirs, and the ids as an option takes them."""
    agent, customer = await make.agent(full_name="Ana Agent"), await make.customer()
    made = [await make.ticket(assignee_id=agent.id, creator_id=customer.id) for _ in range(number)]
    ids = [ticket.id for ticket in made]
    return agent.id, ids, ",".join(map(str, ids))


async def test_a_change_set_is_previewed_undone_and_done_again(backdesk: Run, desk: Database, make_there: Make) -> None:
    _, ids, listed = await some(make_there)
    before = await checksum(desk, ids)
    done = number_in(said(await backdesk("do", "assign.unassign", "--ids", listed), 0))
    after = await checksum(desk, ids)
    preview = said(await backdesk("undo", done, "--preview"), 0)
    assert preview.startswith("Preview of “Undo” for 3 changes. Nothing is changed.\n          3  would be undone\n")
    assert "  Assignee: empty → Ana Agent × 3\n" in preview
    assert await checksum(desk, ids) == after
    undone = said(await backdesk("undo", done, "--reason", "A mistake."), 0)
    assert undone.startswith("Undo: 3 changes undone. Change set ")
    assert (await checksum(desk, ids), (await change_set(desk, done)).state) == (before, ChangeSetState.UNDONE)
    assert (await change_set(desk, number_in(undone))).reason == "A mistake."
    assert said(await backdesk("undo", done), 1).startswith(
        f"Error: Change set {done} is undone already, by change set"
    )
    assert said(await backdesk("undo", number_in(undone)), 0).startswith("Undo: 3 changes undone.")
    assert (await checksum(desk, ids), (await change_set(desk, done)).state) == (after, ChangeSetState.COMPLETED)


async def test_what_was_changed_since_is_left_alone_and_told_with_both_values(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    _, ids, listed = await some(make_there)
    bo, cleo = await make_there.agent(full_name="Bo"), await make_there.agent(full_name="Cleo")
    done = number_in(said(await backdesk("do", "assign.assign", "--ids", listed, "--agent", bo.id), 0))
    async with desk.transaction(Acting(user_id=bo.id), "assign.assign") as change:
        await changing.assign(change.session, Chosen.of(Ticket, ids[:1]), cleo)
    async with desk.read() as session:
        number = await session.scalar(select(Ticket.ticket_number).where(Ticket.id == ids[0]))
    line = f"Changed since, and left alone:\n  {number}: Assignee was set to Bo, is now Cleo\n"
    assert said(await backdesk("undo", done, "--preview"), 0).endswith(line)
    text = said(await backdesk("undo", done), 0)
    assert "Undo: 2 changes undone, 1 skipped (1 changed since)." in text
    assert text.endswith(line)


async def test_long_undoing_is_driven_here_as_well(backdesk: Run, desk: Database, make_there: Make) -> None:
    agent, ids, _ = await some(make_there, 24)
    before = await checksum(desk, ids)
    done = number_in(said(await backdesk("do", "assign.unassign", "--where", f"assignee={agent}"), 0))
    values = told(await backdesk("undo", done, "--json"))
    assert (values["changed"], values["undo_of_id"], values["state"], values["left"]) == (24, done, "completed", [])
    assert await checksum(desk, ids) == before


# ── all of a reference ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_everything_under_a_reference_is_undone_the_newest_first(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    _, ids, listed = await some(make_there)
    before = await checksum(desk, ids)
    bo = await make_there.agent()
    steps = [
        ("assign.assign", "--agent", bo.id),
        ("status.change", "--status", "in_progress"),
        ("status.change", "--status", "waiting_on_customer"),
        ("trash.put", "--on", "ticket", "--reason", "Spam.", "--yes", "3"),
    ]
    done = [
        number_in(said(await backdesk("do", action, "--ids", listed, "--reference", "TICKET-1", *given), 0))
        for action, *given in steps
    ]
    preview = told(await backdesk("undo", "--reference", "TICKET-1", "--preview", "--json"))
    report = said(await backdesk("undo", "--reference", "TICKET-1", "--reason", "All wrong."), 0)
    assert await checksum(desk, ids) == before
    lines = report.splitlines()
    assert [line for line in lines if line.startswith("Change set ")] == [f"Change set {one}:" for one in done[::-1]]
    changes = preview["outcome"]["changed"]
    assert lines[-1] == f"Under TICKET-1: 4 of 4 undone, {changes:,} changes."
    assert preview["outcome"]["skipped"] == {}
    async with desk.read() as session:
        undone = select(func.sum(ChangeSet.changed)).where(ChangeSet.undo_of_id.in_(done))
        assert await session.scalar(undone) == changes == preview["requested"]
    again = said(await backdesk("undo", "--reference", "TICKET-1"), 1)
    assert again == "Error: Nothing that could be undone was done under TICKET-1.\n"


async def test_nothing_of_a_reference_is_undone_by_somebody_who_may_not_undo_all(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    _, ids, listed = await some(make_there)
    agent = await make_there.agent()
    own = ["do", "assign.unassign", "--ids", listed, "--reference", "T-2", "--as", agent.email]
    said(await backdesk("do", "priority.change", "--ids", listed, "--reference", "T-2", "--priority", "low"), 0)
    said(await backdesk(*own), 0)
    before = await checksum(desk, ids)
    text = said(await backdesk("undo", "--reference", "T-2", "--as", agent.email), 1)
    assert text == "Error: You may undo only what you did yourself. Others' changes need change_set.undo.\n"
    assert await checksum(desk, ids) == before


async def test_nothing_of_a_reference_is_undone_while_some_of_it_is_still_being_done(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    agent, _, _ = await some(make_there, 21)
    args = ["do", "assign.unassign", "--where", f"assignee={agent}", "--reference", "T-3", "--detach"]
    number = number_in(said(await backdesk(*args), 0))
    text = said(await backdesk("undo", "--reference", "T-3"), 1)
    assert text == f"Error: Change set {number} is still being done. Cancel it first, or wait for its end.\n"
    said(await backdesk("jobs", "cancel", number), 0)
    assert "Nothing that could be undone" in said(await backdesk("undo", "--reference", "T-3"), 1)


async def test_what_cannot_be_undone_under_a_reference_is_told_and_the_rest_is_undone(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    _, ids, listed = await some(make_there)
    under = ["--on", "ticket", "--reference", "T-4", "--reason", "Spam."]
    said(await backdesk("do", "trash.put", "--ids", listed, "--yes", 3, *under), 0)
    purge = await backdesk("do", "trash.purge", "--ids", ids[0], *under, typed="1\n")
    assert "Purge: 1 ticket. Purged records are gone for good.\nType their number to go on: " in purge.stderr
    gone = number_in(said(purge, 0))
    why = f"Change set {gone} (trash.purge): This cannot be undone. Purged records are gone for good.\n"
    assert said(await backdesk("undo", gone), 1) == "Error: This cannot be undone. Purged records are gone for good.\n"
    report = said(await backdesk("undo", "--reference", "T-4"), 3)
    assert report.startswith(why)
    assert "Undo: 2 changes undone, 1 skipped (" in report
    assert report.endswith("Under T-4: 1 of 2 undone, 2 changes.\n")
    async with desk.read() as session:
        live = select(Ticket.id).where(Ticket.id.in_(ids), Ticket.deleted_at.is_(None)).order_by(Ticket.id)
        assert list((await session.scalars(live)).all()) == ids[1:]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("", "Error: Say what to undo: the number of a change set, or --reference."),
        ("1 --reference X", "Error: Say what to undo: the number of a change set, or --reference."),
        ("--reference X --detach", "Error: --detach goes with the number of one change set"),
        ("--reference nothing", "Error: Nothing that could be undone was done under nothing."),
        ("999999", "Error: There is nothing here, or you may not see it."),
        ("1 --as ghost@example.com", "Error: There is no active person with the e-mail address ghost@example.com."),
    ],
)
async def test_what_cannot_be_undone_is_said_in_a_sentence(backdesk: Run, args: str, sentence: str) -> None:
    assert said(await backdesk("undo", *args.split()), 1).startswith(sentence)
