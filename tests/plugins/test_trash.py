"""The trash through its actions: out of the lists and back, or deleted for good by the very few who may."""

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.errors import BadInput, Forbidden
from admin_app.models import (
    Attachment,
    AuditLog,
    Comment,
    RolePermission,
    Ticket,
    TicketSearch,
    TicketStatusEvent,
    TicketTag,
)
from admin_app.plugin import Outcome
from admin_app.testing import Make, Statements
from tests.plugins.doing import NOWHERE, REGISTRY, Somebody, do, stored, trashed_ticket

FILE = {"filename": "a.txt", "content_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64}
BELOW = (Comment, Attachment, TicketTag, TicketSearch, TicketStatusEvent)


async def full_ticket(database: Database, make: Make) -> Ticket:
    """A ticket in the trash that has some of everything."""
    agent, ticket = await make.agent(), await trashed_ticket(database, make)
    await make.tag(f"tag of {ticket.id}", ticket)
    answer = await make.comment(ticket, agent, "Please start it again.", is_internal=False)
    await make.comment(ticket, agent, "I think it is the fuser.")
    for number, comment in enumerate((answer.id, None)):
        key = f"key-{ticket.id:09}-{number}"
        await make.save(Attachment(ticket_id=ticket.id, comment_id=comment, storage_key=key, **FILE))
    return ticket


async def counts(database: Database, ticket: Ticket) -> list[int]:
    """How many rows of each kind hang on a ticket."""
    async with database.read() as session:
        return [
            await session.scalar(select(func.count()).select_from(model).where(model.ticket_id == ticket.id)) or 0
            for model in BELOW
        ]


async def test_a_purged_ticket_is_gone_with_all_that_hung_on_it_and_no_other_is(database: Database, make: Make) -> None:
    ticket, other = await full_ticket(database, make), await full_ticket(database, make)
    live = await make.ticket()
    assert await counts(database, ticket) == [2, 2, 1, 1, 1]
    done = await do(database, "trash.purge", [ticket.id, live.id, NOWHERE])
    assert done.outcome == Outcome(changed=1, skipped={"not in the trash": 1, "not found": 1})
    assert done.rows == {ticket.id: "changed", live.id: "not in the trash", NOWHERE: "not found"}
    assert await counts(database, ticket) == [0, 0, 0, 0, 0]
    assert await counts(database, other) == [2, 2, 1, 1, 1]
    assert (await stored(database, live)).deleted_at is None
    again = await do(database, "trash.purge", [ticket.id, live.id, NOWHERE])
    assert (again.outcome, again.audited) == (Outcome(skipped={"not in the trash": 1, "not found": 2}), {})


async def test_the_audit_log_has_an_entry_for_everything_that_was_purged(database: Database, make: Make) -> None:
    ticket = await full_ticket(database, make)
    done = await do(database, "trash.purge", [ticket.id], reason="Their lawyer asked.")
    assert done.audited == {"tickets": 1, "comments": 2, "attachments": 2, "ticket_tags": 1}
    async with database.read() as session:
        found = select(AuditLog).where(AuditLog.table_name == "tickets", AuditLog.record_id == str(ticket.id))
        entry = (await session.scalars(found.order_by(AuditLog.id.desc()).limit(1))).one()
    assert (entry.action, entry.reason) == ("DELETE", "Their lawyer asked.")


async def test_a_file_is_purged_without_its_ticket(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    file = await make.save(Attachment(ticket_id=ticket.id, storage_key="key-alone", **FILE))
    assert (await do(database, "trash.put", [file.id], model=Attachment)).outcome == Outcome(changed=1)
    assert (await do(database, "trash.purge", [file.id], model=Attachment)).outcome == Outcome(changed=1)
    assert await counts(database, ticket) == [0, 0, 0, 1, 1]


async def test_purging_needs_a_reason_and_a_permission_that_no_role_has_at_first(
    database: Database, make: Make
) -> None:
    ticket = await trashed_ticket(database, make)
    with pytest.raises(BadInput) as refused:
        await do(database, "trash.purge", [ticket.id], reason=" ")
    assert refused.value.fields == {"reason": "Please say why; it is kept in the audit log."}
    who = Somebody({"trash.put", "trash.restore", "ticket.edit"})
    with pytest.raises(Forbidden, match=r"It needs the permission trash\.purge"):
        await do(database, "trash.purge", [ticket.id], authority=who)
    async with database.read() as session:
        granted = select(func.count()).where(RolePermission.permission == "trash.purge")
        assert await session.scalar(granted) == 0


def test_purging_says_beforehand_that_it_is_final_and_stands_in_the_trash_alone() -> None:
    purge = REGISTRY.action("trash.purge")
    assert (purge.final, purge.where, purge.danger) == ("Purged records are gone for good.", ("trash",), True)
    assert REGISTRY.action("trash.put").final == ""


async def test_thirty_tickets_take_as_many_statements_as_one(
    database: Database, make: Make, statements: Statements
) -> None:
    made, counted = [await trashed_ticket(database, make) for _ in range(31)], []
    for part in (made[:1], made[1:]):
        with statements(database) as seen:
            done = await do(database, "trash.purge", [ticket.id for ticket in part])
        assert done.outcome == Outcome(changed=len(part))
        counted.append(len(seen))
    assert counted[0] == counted[1]
