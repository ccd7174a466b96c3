"""The trash: rows go there with a reason and come back whole, whatever model they are of."""

import pytest
from sqlalchemy import select

from admin_app.db import Acting, Database
from admin_app.errors import BadInput
from admin_app.models import Attachment, AuditLog, Ticket
from admin_app.queries import trash
from admin_app.queries.changes import Chosen, Outcome
from admin_app.testing import Make


async def test_a_ticket_goes_into_the_trash_with_who_when_and_why_and_comes_back_as_it_was(
    database: Database, make: Make
) -> None:
    lead, agent = await make.lead(), await make.agent()
    ticket = await make.ticket(status="in_progress", assignee_id=agent.id)
    chosen = Chosen.of(Ticket, [ticket.id])
    async with database.transaction(Acting(user_id=lead.id), "trash.put") as change:
        assert await trash.put(change.session, chosen, lead.id, "Spam.") == Outcome(changed=1)
        gone = await change.session.get_one(Ticket, ticket.id)
        assert (gone.deleted_at is not None, gone.deleted_by_id, gone.delete_reason) == (True, lead.id, "Spam.")
    async with database.transaction(Acting(user_id=lead.id), "trash.restore") as change:
        assert await trash.restore(change.session, chosen) == Outcome(changed=1)
        back = await change.session.get_one(Ticket, ticket.id)
        entries = select(AuditLog.changes).where(AuditLog.change_set_id == change.id)
        (entry,) = (await change.session.scalars(entries)).all()
    assert (back.deleted_at, back.deleted_by_id, back.delete_reason) == (None, None, None)
    assert (back.ticket_number, back.status, back.assignee_id) == (ticket.ticket_number, "in_progress", agent.id)
    assert entry["old"].keys() == entry["new"].keys() == {"deleted_at", "deleted_by_id", "delete_reason"}


async def test_what_is_in_the_trash_already_keeps_its_first_reason(database: Database, make: Make) -> None:
    first, second, ticket = await make.lead(), await make.lead(), await make.ticket()
    chosen = Chosen.of(Ticket, [ticket.id])
    async with database.transaction(Acting(user_id=first.id), "trash.put") as change:
        await trash.put(change.session, chosen, first.id, "Spam.")
    async with database.transaction(Acting(user_id=second.id), "trash.put") as change:
        assert await trash.put(change.session, chosen, second.id, "Twice.") == Outcome(unchanged=1)
        kept = await change.session.get_one(Ticket, ticket.id)
        assert (kept.deleted_by_id, kept.delete_reason) == (first.id, "Spam.")


async def test_what_was_never_in_the_trash_is_restored_as_unchanged(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    async with database.transaction(Acting.system(), "trash.restore") as change:
        chosen = Chosen.of(Ticket, [ticket.id, 999_999_999])
        assert await trash.restore(change.session, chosen) == Outcome(unchanged=1, skipped={"not found": 1})
        assert (await change.session.get_one(Ticket, ticket.id)).version == ticket.version


@pytest.mark.parametrize("reason", [None, "", "  \n"])
async def test_nothing_goes_into_the_trash_without_a_reason(database: Database, make: Make, reason: str | None) -> None:
    ticket = await make.ticket()
    with pytest.raises(BadInput, match="Please say why"):
        async with database.transaction(Acting.system(), "trash.put") as change:
            await trash.put(change.session, Chosen.of(Ticket, [ticket.id]), None, reason)


async def test_any_model_with_the_trait_goes_there(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    file: Attachment = await make.save(
        Attachment(
            ticket_id=ticket.id,
            filename="a.txt",
            content_type="text/plain",
            size_bytes=1,
            sha256="0" * 64,
            storage_key="k",
        )
    )
    async with database.transaction(Acting.system(), "trash.put") as change:
        chosen = Chosen.of(Attachment, [file.id])
        assert await trash.put(change.session, chosen, None, "Wrong file.") == Outcome(changed=1)
        assert await trash.restore(change.session, chosen) == Outcome(changed=1)
