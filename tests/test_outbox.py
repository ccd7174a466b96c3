"""The outbox: one digest to each member of staff whose tickets a change set was about, and sending what waits."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL, delete, select, text, update

from admin_app.cli import main
from admin_app.db import Acting, Database
from admin_app.errors import Conflict
from admin_app.models import ChangeSet, Comment, Outbox, Ticket, TicketPriority, TicketTag, User
from admin_app.queries import comments, outbox, tickets, trash
from admin_app.queries.changes import Chosen
from admin_app.queries.outbox import Message
from admin_app.testing import Make

Happened = dict[str, dict[str, Any]]


async def told(database: Database) -> dict[str, Happened]:
    """What everybody was told by digests, by their names, in the order of change sets; each person at most once."""
    async with database.read() as session:
        found = select(User.full_name, Outbox.payload).join(User, User.id == Outbox.recipient_id)
        rows = (await session.execute(found.where(Outbox.kind == "digest").order_by(Outbox.id))).all()
    assert len({row.full_name for row in rows}) == len(rows)
    return {row.full_name: row.payload["happened"] for row in rows}


def some(*ids: int) -> dict[str, Any]:
    """How a digest speaks of these tickets."""
    return {"tickets": len(ids), "first": sorted(ids)[:10]}


async def handed(make: Make, *owners: User | None) -> list[int]:
    """The ids of new tickets, one of each owner."""
    return [(await make.ticket(assignee_id=owner.id if owner else None)).id for owner in owners]


async def test_25_tickets_of_two_owners_given_to_a_third_make_three_digests(database: Database, make: Make) -> None:
    lead, ana, bo, cy = [await make.agent(full_name=name) for name in ("Lena", "Ana", "Bo", "Cy")]
    ids = await handed(make, *[ana, bo] * 11, ana, None, cy)
    async with database.transaction(Acting(user_id=lead.id, reason="Ana is ill"), "assign.assign") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, ids), cy)
    assert await told(database) == {
        "Ana": {"taken_from_you": some(*ids[0:23:2])},
        "Bo": {"taken_from_you": some(*ids[1:22:2])},
        "Cy": {"assigned_to_you": some(*ids[:24])},
    }
    async with database.read() as session:
        digests = (await session.scalars(select(Outbox).order_by(Outbox.recipient_id))).all()
    assert [digest.recipient_id for digest in digests] == [ana.id, bo.id, cy.id]
    assert {digest.change_set_id for digest in digests} == {change.id}
    assert [digest.payload["tickets"] for digest in digests] == [12, 11, 24]
    assert {(digest.payload["action"], digest.payload["reason"]) for digest in digests} == {
        ("assign.assign", "Ana is ill")
    }
    assert all(digest.sent_at is None for digest in digests)


async def test_a_ticket_counts_once_under_what_matters_most(database: Database, make: Make) -> None:
    lead, ana, bo = [await make.agent(full_name=name) for name in ("Lena", "Ana", "Bo")]
    tag = await make.tag("vip")
    given, changed, noted, tagged, binned, back, purged, begun = await handed(make, *[ana] * 8)
    async with database.transaction(Acting.system(), "test.begin") as change:
        await trash.put(change.session, Chosen.of(Ticket, [back]), lead.id, "Twice")
    note = await make.comment(await _ticket(database, begun), lead)
    async with database.transaction(Acting(user_id=lead.id), "test.all") as change:
        session = change.session
        everything = [given, changed, noted, tagged, binned, purged]
        await comments.note(session, Chosen.of(Ticket, [given, changed, noted, binned]), lead.id, "Look at this")
        await session.execute(update(Comment).where(Comment.id == note.id).values(content="Corrected"))
        session.add_all(TicketTag(ticket_id=ticket, tag_id=tag.id) for ticket in everything)
        await session.flush()
        await tickets.assign(session, Chosen.of(Ticket, [given]), bo)
        await session.execute(update(Ticket).where(Ticket.id.in_([given, changed, binned])).values(priority="high"))
        await trash.put(session, Chosen.of(Ticket, [binned]), lead.id, "Twice")
        await trash.restore(session, Chosen.of(Ticket, [back]))
        await session.execute(delete(Ticket).where(Ticket.id == purged))
    assert await told(database) == {
        "Ana": {
            "taken_from_you": some(given),
            "changed": some(changed),
            "commented": some(noted, begun),
            "tagged": some(tagged),
            "trashed": some(binned),
            "restored": some(back),
            "purged": some(purged),
        },
        "Bo": {"assigned_to_you": some(given)},
    }


async def _ticket(database: Database, ticket_id: int) -> Ticket:
    async with database.read() as session:
        return await session.get_one(Ticket, ticket_id)


async def test_of_several_moves_only_the_first_owner_and_the_last_are_told(database: Database, make: Make) -> None:
    lead, ana, bo, cy = [await make.agent(full_name=name) for name in ("Lena", "Ana", "Bo", "Cy")]
    moved, returned = await handed(make, ana, ana)
    async with database.transaction(Acting(user_id=lead.id), "test.moves") as change:
        for owner in (bo, cy):
            await tickets.assign(change.session, Chosen.of(Ticket, [moved]), owner)
        for owner in (bo, ana):
            await tickets.assign(change.session, Chosen.of(Ticket, [returned]), owner)
    assert await told(database) == {
        "Ana": {"taken_from_you": some(moved), "changed": some(returned)},
        "Cy": {"assigned_to_you": some(moved)},
    }


async def test_a_new_ticket_is_told_to_whom_it_is_given(database: Database, make: Make) -> None:
    lead, ana, customer = await make.lead(), await make.agent(full_name="Ana"), await make.customer()
    async with database.transaction(Acting(user_id=lead.id), "ticket.create") as change:
        made = [
            Ticket(title="It broke", description="All of it", creator_id=customer.id, assignee_id=owner)
            for owner in (ana.id, None)
        ]
        change.session.add_all(made)
        await change.session.flush()
    assert await told(database) == {"Ana": {"assigned_to_you": some(made[0].id)}}


async def test_an_edit_tells_the_assignee_unless_they_made_it(database: Database, make: Make) -> None:
    lead, ana = await make.lead(full_name="Lena"), await make.agent(full_name="Ana")
    [ticket] = await handed(make, ana)
    for actor, expected in ((ana, {}), (lead, {"Ana": {"changed": some(ticket)}})):
        async with database.transaction(Acting(user_id=actor.id), "ticket.edit") as change:
            priority = TicketPriority.HIGH if actor is ana else TicketPriority.LOW
            await change.session.execute(update(Ticket).where(Ticket.id == ticket).values(priority=priority))
        assert await told(database) == expected


async def test_customers_and_people_who_left_are_told_nothing(database: Database, make: Make) -> None:
    lead, gone = await make.lead(), await make.agent(full_name="Gone", is_active=False)
    customer, ana = await make.customer(full_name="Customer"), await make.agent(full_name="Ana")
    ids = await handed(make, gone, customer, ana)
    async with database.transaction(Acting(user_id=lead.id), "test.edit") as change:
        await change.session.execute(update(Ticket).where(Ticket.id.in_(ids)).values(priority="urgent"))
        await comments.add(change.session, ids[1], lead.id, "Solved!", is_internal=False)
    assert await told(database) == {"Ana": {"changed": some(ids[2])}}


@pytest.mark.parametrize(
    ("action", "by_a_person"), [("import.tickets", True), ("assign.assign", False), ("demo.build", False)]
)
async def test_imports_and_what_nobody_did_stay_silent(
    database: Database, make: Make, action: str, by_a_person: bool
) -> None:
    lead, ana = await make.lead(), await make.agent()
    ids = await handed(make, None, None)
    acting = Acting(user_id=lead.id) if by_a_person else Acting.system()
    async with database.transaction(acting, action) as change:
        await tickets.assign(change.session, Chosen.of(Ticket, ids), ana)
    assert await told(database) == {}


@pytest.mark.parametrize("state", ["completed", "cancelled", "failed"])
async def test_work_in_chunks_is_told_once_and_at_its_end(database: Database, make: Make, state: str) -> None:
    lead, ana = await make.lead(), await make.agent(full_name="Ana")
    ids = await handed(make, None, None, None)
    act = text("SELECT set_config('app.change_set_id', :id, true), set_config('app.actor_kind', 'user', true)")
    async with database.bookkeeping() as session:
        job = ChangeSet(action="assign.assign", actor_kind="user", door="web", user_id=lead.id, state="queued")
        session.add(job)
        await session.commit()
    for number, chunk in enumerate((ids[:2], ids[2:])):
        assert await told(database) == {}
        async with database.bookkeeping() as session:
            await session.execute(act, {"id": str(job.id)})
            await session.execute(update(Ticket).where(Ticket.id.in_(chunk)).values(assignee_id=ana.id))
            values = {"state": "running" if number == 0 else state, "changed": 3}
            await session.execute(update(ChangeSet).where(ChangeSet.id == job.id).values(**values))
            await session.commit()
    assert await told(database) == {"Ana": {"assigned_to_you": some(*ids)}}


async def test_ending_a_second_time_tells_nothing_again(database: Database, make: Make) -> None:
    lead, ana = await make.lead(), await make.agent(full_name="Ana")
    ids = await handed(make, None)
    async with database.transaction(Acting(user_id=lead.id), "assign.assign") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, ids), ana)
    for state in ("undone", "completed", "running", "completed"):
        async with database.bookkeeping() as session:
            await session.execute(update(ChangeSet).where(ChangeSet.id == change.id).values(state=state))
            await session.commit()
    assert await told(database) == {"Ana": {"assigned_to_you": some(*ids)}}


async def test_what_is_rolled_back_is_not_told(database: Database, make: Make) -> None:
    lead, ana = await make.lead(), await make.agent()
    ids = await handed(make, None)

    async def fail() -> None:
        async with database.transaction(Acting(user_id=lead.id), "assign.assign") as change:
            await tickets.assign(change.session, Chosen.of(Ticket, ids), ana)
            await change.session.execute(update(ChangeSet).values(state="completed"))
            raise Conflict

    with pytest.raises(Conflict):
        await fail()
    assert await told(database) == {}


# ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────────────

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(live_url: URL, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`backdesk outbox …` on the database of this test."""
    monkeypatch.setenv("DATABASE_URL", live_url.render_as_string(hide_password=False))

    async def invoke(*args: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["outbox", *args])

    return invoke


async def tell(database: Database, make: Make, *names: str) -> list[int]:
    """Make people of these names who are told, each of one ticket; gives the tickets' ids."""
    lead = await make.lead()
    people = [await make.agent(full_name=name, email=f"{name.lower()}@example.com") for name in names]
    ids = await handed(make, *people)
    async with database.transaction(Acting(user_id=lead.id, reason="Größer"), "ticket.edit") as change:
        await change.session.execute(update(Ticket).where(Ticket.id.in_(ids)).values(priority="high"))
    return ids


async def test_what_waits_is_listed_written_to_a_file_once_and_appended_to_later(
    run: Run, live_database: Database, make_live: Make, tmp_path: Path
) -> None:
    file = tmp_path / "mail.jsonl"
    assert (await run("list")).output == "Nothing is waiting.\n"
    first, second = await tell(live_database, make_live, "Ana", "Bo")
    listed = (await run("list", "--limit", "1")).output
    assert "ana@example.com" in listed
    assert "bo@example.com" not in listed
    assert listed.endswith("2 waiting.\n")
    assert (await run("send", "--to", str(file))).output == f"Wrote 2 messages to {file}.\n"
    assert (await run("send", "--to", str(file))).output == f"Wrote 0 messages to {file}.\n"
    await tell(live_database, make_live, "Cy")
    assert (await run("send", "--to", str(file))).output == f"Wrote 1 message to {file}.\n"
    assert (await run("list")).output == "Nothing is waiting.\n"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["to"], line["name"], line["kind"]) for line in lines] == [
        (f"{name.lower()}@example.com", name, "digest") for name in ("Ana", "Bo", "Cy")
    ]
    expected = {"action": "ticket.edit", "reason": "Größer", "tickets": 1}
    assert [line["payload"] for line in lines[:2]] == [
        {**expected, "happened": {"changed": some(ticket)}} for ticket in (first, second)
    ]
    async with live_database.read() as session:
        rows = (await session.scalars(select(Outbox).order_by(Outbox.id))).all()
    assert [(row.id, row.attempts) for row in rows] == [(line["id"], 1) for line in lines]
    assert all(row.sent_at for row in rows)


async def test_a_file_that_cannot_be_written_is_said_and_nothing_counts_as_sent(
    run: Run, live_database: Database, make_live: Make, tmp_path: Path
) -> None:
    await tell(live_database, make_live, "Ana")
    refused = await run("send", "--to", str(tmp_path / "nowhere" / "mail.jsonl"))
    assert refused.exit_code == 1
    assert "cannot be written: No such file or directory. No message was marked as sent." in refused.output
    assert (await run("list")).output.endswith("1 waiting.\n")


async def test_two_who_send_at_once_never_send_the_same(live_database: Database, make_live: Make) -> None:
    await tell(live_database, make_live, "Ana", "Bo", "Cy")
    sent: list[str] = []

    def deliver(batch: Sequence[Message]) -> None:
        sent.extend(message.name for message in batch)

    async with live_database.bookkeeping() as one, live_database.bookkeeping() as other:
        assert await outbox.send(one, deliver, limit=2) == 2
        assert await outbox.send(other, deliver, limit=2) == 1
        await other.commit()
        assert await outbox.send(other, deliver) == 0
    assert sent == ["Ana", "Bo", "Cy"]


async def test_whoever_left_meanwhile_and_what_is_for_later_is_not_sent(database: Database, make: Make) -> None:
    await tell(database, make, "Ana", "Bo", "Cy")
    async with database.bookkeeping() as session:
        await session.execute(
            text(
                "UPDATE outbox SET available_at = now() + interval '1 hour' FROM users u"
                " WHERE u.id = recipient_id AND full_name = 'Bo'"
            )
        )
        await session.commit()
    async with database.transaction(Acting.system(), "test.leave") as change:
        await change.session.execute(update(User).where(User.full_name == "Cy").values(is_active=False))
    async with database.read() as session:
        assert [message.name for message in await outbox.waiting(session)] == ["Ana"]
        assert await outbox.count(session) == 1
