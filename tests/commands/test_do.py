"""`backdesk do`: rows by the filter of a list, a true preview, a typed number, long work, and exit codes."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import URL, func, select

from admin_app.db import Database
from admin_app.models import AuditLog, ChangeSet, ChangeSetState, Door, RowOutcome, Ticket, TicketStatus
from admin_app.testing import Make
from tests.commands.conftest import Run, change_set, number_in, said, told


async def mine(make: Make, number: int, **facts: object) -> tuple[int, list[int]]:
    """So many tickets of one agent, by whom a filter finds exactly these: the agent's id and theirs."""
    agent, customer = await make.agent(), await make.customer()
    made = [await make.ticket(assignee_id=agent.id, creator_id=customer.id, **facts) for _ in range(number)]
    return agent.id, [ticket.id for ticket in made]


async def closed(make: Make, agent: int) -> None:
    """A closed ticket of an agent."""
    now = datetime.now(UTC)
    times = {"created_at": now, "resolved_at": now, "closed_at": now}
    await make.ticket(assignee_id=agent, status=TicketStatus.CLOSED, **times)


async def test_rows_are_chosen_by_the_filter_of_the_list(backdesk: Run, desk: Database, make_there: Make) -> None:
    agent, tickets = await mine(make_there, 4)
    other, lead = await make_there.agent(), await make_there.lead()
    where = ["--where", f"?assignee={agent}&status=open", "--without", tickets[0], f"{tickets[1]},"]
    why = ["--reason", "Holiday.", "--reference", "TICKET-7", "--as", lead.email]
    text = said(await backdesk("do", "assign.assign", *where, "--agent", other.id, *why), 0)
    assert text.startswith("2 tickets match.\nAssign to agent: 2 tickets changed. Change set ")
    made = await change_set(desk, number_in(text))
    facts = (made.user_id, made.door, made.reason, made.reference, made.changed)
    assert facts == (lead.id, Door.CLI, "Holiday.", "TICKET-7", 2)
    async with desk.read() as session:
        left = (await session.scalars(select(Ticket.id).where(Ticket.assignee_id == agent).order_by(Ticket.id))).all()
    assert left == tickets[:2]


async def test_me_and_my_clock_are_those_of_whoever_acts(backdesk: Run, make_there: Make) -> None:
    lead = await make_there.lead(time_zone="Pacific/Auckland")
    ticket = await make_there.ticket(assignee_id=lead.id)
    args = ["do", "priority.change", "--where", "assignee=me&created=today", "--priority", "low"]
    assert said(await backdesk(*args, "--as", lead.email), 0).startswith("1 ticket matches.\nSet priority: 1 ticket ")
    assert said(await backdesk(*args), 1) == "Error: “me” is nobody here: say with --as who acts.\n"
    assert ticket.id


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("colour=red", "Error: colour: is not a parameter of this list."),
        ("stats=open", "Error: stats: is not a parameter of this list. Did you mean status?"),
        ("status=opened", "Error: status: “opened” is not known."),
        ("created=whenever", "Error: created_at: “whenever” is not a day."),
        ("status=open&assignee=", "Error: assignee: is empty. Leave it out, or write none where none is meant."),
        ("", "Error: This filter leaves nothing out."),
        ("sort=-id&size=25", "Error: This filter leaves nothing out."),
        ("q=statsu:open", "Error: q: has “statsu” at character 1, which is no field of tickets. Did you mean status?"),
        ("q=assignee:me", "Error: “me” is nobody here"),
        ("status!=", "Error: status!: is empty. Leave it out, or write none where none is meant."),
        ("assignee!=who@example.com", "Error: assignee!: “who@example.com” is nobody here."),
        ("q=\x00", "Error: q: holds a character that cannot be stored."),
    ],
)
async def test_a_filter_that_cannot_be_used_is_said_in_a_sentence(backdesk: Run, where: str, sentence: str) -> None:
    assert said(await backdesk("do", "assign.unassign", "--where", where), 1).startswith(sentence)


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        ("--ids 1 --where status=open", 2, "not allowed with argument --ids"),
        ("--where status=open --without one", 1, "Error: 'one' is no id; ids are whole numbers."),
        ("--where status=open --without 9999999999999999999", 1, "Error: An id is a positive whole number."),
        ("--ids 1 --yes many", 2, "invalid _number value: 'many'"),
        (f"--ids 1 --reference {'x' * 101}", 1, "Error: reference: has 101 characters; at most 100 fit."),
        ("--ids 1 --prev", 2, "unrecognized arguments: --prev"),
    ],
)
async def test_options_that_cannot_be_used_are_refused(backdesk: Run, args: str, code: int, sentence: str) -> None:
    assert sentence in said(await backdesk("do", "assign.unassign", *args.split()), code)


async def test_a_filter_that_finds_nothing_is_no_mistake(backdesk: Run) -> None:
    args = ["do", "assign.unassign", "--where", "q=zyzzyva"]
    assert said(await backdesk(*args), 0) == "0 tickets match, so there is nothing to do.\n"
    outcome = {"changed": 0, "unchanged": 0, "skipped": {}, "failed": 0}
    assert told(await backdesk(*args, "--json")) == {"requested": 0, **outcome}
    assert told(await backdesk(*args, "--json", "--preview")) == {"requested": 0, "outcome": outcome}


async def test_more_rows_than_one_action_may_touch_are_refused_with_their_number(
    backdesk: Run, make_there: Make
) -> None:
    agent, _ = await mine(make_there, 61)
    text = said(await backdesk("do", "assign.unassign", "--where", f"assignee={agent}"), 1)
    assert text == "Error: 61 rows match; one action may touch 60 at most. Please narrow the list.\n"


async def test_whoever_may_not_see_the_rows_learns_nothing_about_them(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    customer = await make_there.customer()
    text = said(await backdesk("do", "assign.unassign", "--where", "status=open", "--as", customer.email), 1)
    assert text == "Error: You may not see tickets. It needs the permission ticket.view.\n"


PREVIEW = """{number} tickets match.
Preview of “Set status” for {number} tickets. Nothing is changed.
          2  would change
          1  already so
          1  skipped: {skipped}
Effects:
  Status: Open → In progress × 2
For example:
"""


async def test_a_preview_says_what_would_happen_and_changes_nothing(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    agent, tickets = await mine(make_there, 2)
    await make_there.ticket(assignee_id=agent, status=TicketStatus.IN_PROGRESS)
    await closed(make_there, agent)
    args = ["do", "status.change", "--where", f"assignee={agent}", "--status", "in_progress"]
    newest = select(select(func.max(AuditLog.id)).scalar_subquery(), select(func.max(ChangeSet.id)).scalar_subquery())
    async with desk.read() as session:
        before = (await session.execute(newest)).one()
    text = said(await backdesk(*args, "--preview"), 0)
    as_told = told(await backdesk(*args, "--preview", "--json"))
    async with desk.read() as session:
        assert (await session.execute(newest)).one() == before
        titles = list((await session.scalars(select(Ticket.ticket_number).where(Ticket.id.in_(tickets)))).all())
    (reason, skipped), *others = as_told["outcome"]["skipped"].items()
    assert (skipped, others) == (1, [])
    assert text.startswith(PREVIEW.format(number=4, skipped=reason))
    assert all(title in text for title in titles)
    done = told(await backdesk(*args, "--json"))
    parity = ("changed", "unchanged", "skipped", "failed")
    assert {name: done[name] for name in parity} == as_told["outcome"]
    assert (done["requested"], done["state"], done["done"]) == (4, "completed", 4)


async def test_the_preview_of_long_work_counts_as_its_run_does(backdesk: Run, make_there: Make) -> None:
    agent, tickets = await mine(make_there, 24)
    await closed(make_there, agent)
    other = await make_there.agent()
    args = ["do", "assign.assign", "--where", f"assignee={agent}", "--agent", other.id]
    text = said(await backdesk(*args, "--preview"), 0)
    assert "The first 20 were tried; the numbers by outcome are those of all.\n         24  would change\n" in text
    wanted = told(await backdesk(*args, "--preview", "--json"))
    done = told(await backdesk(*args, "--json"))
    assert (done["changed"], done["skipped"]) == (wanted["outcome"]["changed"], wanted["outcome"]["skipped"])
    assert (wanted["requested"], wanted["tried"], wanted["exact"], done["done"]) == (25, 20, True, 25)
    assert len(tickets) == 24


# ── a typed number ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_dangerous_asks_for_the_number_to_be_typed(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    agent, tickets = await mine(make_there, 3)
    args = ["do", "trash.put", "--on", "ticket", "--where", f"assignee={agent}", "--reason", "Spam."]
    for typed in ("2\n", "yes\n", "²\n"):
        text = said(await backdesk(*args, typed=typed), 1)
        assert "3 tickets would be touched. Nothing was changed." in text
    assert "Type the number when asked, or give it: --yes 3" in said(await backdesk(*args), 1)
    assert "2 is not their number: 3 tickets would be touched." in said(await backdesk(*args, "--yes", "2"), 1)
    async with desk.read() as session:
        assert (
            await session.scalar(select(func.count()).where(Ticket.id.in_(tickets), Ticket.deleted_at.is_(None))) == 3
        )
    assert "Move to trash: 3 tickets changed." in said(await backdesk(*args, typed="3\n"), 0)
    again = ["do", "trash.restore", "--on", "ticket", "--where", f"assignee={agent}&trash=yes", "--yes", "3"]
    assert "Restore from trash: 3 tickets changed." in said(await backdesk(*again), 0)


async def test_a_number_that_is_given_guards_any_action(backdesk: Run, make_there: Make) -> None:
    agent, _ = await mine(make_there, 2)
    args = ["do", "assign.unassign", "--where", f"assignee={agent}", "--yes"]
    assert "3 is not their number: 2 tickets would be touched." in said(await backdesk(*args, "3"), 1)
    refused = said(await backdesk(*args[:-1], "--at-most", "1"), 1)
    assert refused.endswith("2 tickets would be touched, and --at-most allows 1. Nothing was changed.\n")
    assert "2 tickets changed" in said(await backdesk(*args, "2"), 0)


# ── long work ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_long_work_is_driven_here_to_its_end_in_chunks(backdesk: Run, desk: Database, make_there: Make) -> None:
    agent, tickets = await mine(make_there, 25)
    done = await backdesk("do", "assign.unassign", "--where", f"assignee={agent}")
    text = said(done, 0)
    assert done.stderr.startswith("Assign to nobody: 25 tickets are being worked on. Change set ")
    assert "Assign to nobody: 25 tickets changed. Change set " in done.stdout
    number = number_in(text)
    async with desk.read() as session:
        entries = select(AuditLog.record_id).where(AuditLog.change_set_id == number, AuditLog.table_name == "tickets")
        outcomes = select(RowOutcome.record_id).where(RowOutcome.change_set_id == number)
        assert sorted(map(int, await session.scalars(entries))) == tickets
        assert sorted(await session.scalars(outcomes)) == tickets


async def test_detached_work_is_left_to_the_workers(backdesk: Run, desk: Database, make_there: Make) -> None:
    agent, _ = await mine(make_there, 21)
    text = said(await backdesk("do", "assign.unassign", "--where", f"assignee={agent}", "--detach"), 0)
    number = number_in(text)
    assert f"left to the workers, 0 of 21 (0 %). Change set {number}. Look with `backdesk jobs show {number}`." in text
    assert (await change_set(desk, number)).state is ChangeSetState.QUEUED
    other, _ = await mine(make_there, 22)
    done = said(await backdesk("do", "assign.unassign", "--where", f"assignee={other}"), 0)
    assert "22 tickets changed" in done, "earlier work of the same person is done first, not waited for"
    assert (await change_set(desk, number)).state is ChangeSetState.COMPLETED


BROKEN = """
from sqlalchemy.ext.asyncio import AsyncSession
from admin_app.models import Ticket
from admin_app.plugin import Chosen, Outcome, Plugin
plugin = Plugin(__name__)

@plugin.action(Ticket, label="Break")
async def snap(session: AsyncSession, chosen: Chosen[Ticket]) -> Outcome:
    raise RuntimeError("a bug")
"""


async def test_long_work_that_a_plugin_fails_in_ends_with_its_place_apart_from_the_answer(
    backdesk: Run, make_there: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    monkeypatch.setenv("BACKDESK_PLUGIN_DIR", str(tmp_path))
    agent, _ = await mine(make_there, 21)
    done = await backdesk("do", "broken.snap", "--where", f"assignee={agent}", "--json")
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert (answer["state"], answer["problem"], answer["changed"]) == ("failed", "A plugin failed (RuntimeError).", 0)
    assert "RuntimeError: a bug" in done.stderr


async def test_rows_that_failed_are_told_and_end_with_a_code_of_their_own(
    backdesk: Run, desk: Database, make_there: Make, failing: list[int]
) -> None:
    ids = ",".join(map(str, failing))
    done = await backdesk("do", "priority.change", "--ids", ids, "--priority", "urgent")
    text = said(done, 3)
    assert "Set priority: 2 tickets changed, 1 failed. Change set " in text
    assert f"Failed:\n  {failing[1]}: " in text
    assert f"Try these again with `backdesk jobs retry {number_in(text)}`." in text
    as_told = told(await backdesk("do", "priority.change", "--ids", ids, "--priority", "urgent", "--json"), 3)
    assert (as_told["failed"], as_told["unchanged"]) == (1, 2)


async def test_who_reads_no_further_is_told_nothing_wrong_about_what_was_done(
    desk_url: URL, desk: Database, make_there: Make
) -> None:
    agent, ticket = await make_there.agent(), await make_there.ticket()
    reading, writing = os.pipe()
    os.close(reading)
    words = ["do", "assign.assign", "--ids", str(ticket.id), "--agent", agent.email]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "admin_app.cli", *words),
        env={**os.environ, "DATABASE_URL": desk_url.render_as_string(hide_password=False)},
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    _, complaint = await process.communicate()
    assert b"nothing was changed" not in complaint
    async with desk.read() as session:
        assert await session.scalar(select(Ticket.assignee_id).where(Ticket.id == ticket.id)) == agent.id
