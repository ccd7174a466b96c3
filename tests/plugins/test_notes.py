"""An internal note to many tickets: in somebody's name, never seen by customers, never in the trash."""

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.errors import BadInput, Forbidden
from admin_app.models import Comment, Ticket
from admin_app.plugin import Outcome
from admin_app.queries import tickets
from admin_app.queries.tickets import TicketFilter
from admin_app.testing import Make, Statements
from tests.plugins.doing import NOWHERE, Somebody, closed_ticket, do, stored, trashed_ticket


async def notes(database: Database, ticket: Ticket) -> list[Comment]:
    async with database.read() as session:
        return list(await session.scalars(select(Comment).where(Comment.ticket_id == ticket.id).order_by(Comment.id)))


async def test_the_note_is_written_to_every_ticket_but_those_in_the_trash(database: Database, make: Make) -> None:
    agent = await make.agent()
    one, other = await make.ticket(), await make.ticket()
    closed, gone = await closed_ticket(make), await trashed_ticket(database, make)
    ids = [one.id, other.id, closed.id, gone.id, NOWHERE]
    text = "Zirkon is known.\n\nA fix comes on Monday."
    done = await do(database, "notes.add", ids, {"content": text}, by=agent)
    assert done.outcome == Outcome(changed=3, skipped={"in the trash": 1, "not found": 1})
    assert done.audited == {"comments": 3}
    for ticket in (one, other, closed):
        [note] = await notes(database, ticket)
        assert (note.content, note.author_id, note.is_internal) == (text, agent.id, True)
    assert await notes(database, gone) == []
    assert (await stored(database, one)).version == one.version


async def test_a_second_note_is_another_one(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    for _ in range(2):
        done = await do(database, "notes.add", [ticket.id], {"content": "Seen."}, by=agent)
        assert done.outcome == Outcome(changed=1)
    assert len(await notes(database, ticket)) == 2


async def test_it_is_internal_is_not_found_by_a_search_and_is_no_answer(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    await do(database, "notes.add", [ticket.id], {"content": "Zirkon."}, by=agent)
    [note] = await notes(database, ticket)
    assert note.is_internal
    async with database.read() as session:
        assert (await tickets.search(session, TicketFilter(text="zirkon"))).total == 0
    after = await stored(database, ticket)
    assert (after.first_response_at, after.last_staff_reply_at) == (None, None)


async def test_a_note_needs_an_author(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    with pytest.raises(BadInput, match=r"A note needs an author\. Say with --as who writes it\."):
        await do(database, "notes.add", [ticket.id], {"content": "Seen."})
    assert await notes(database, ticket) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("  \n", "Please fill this in."),
        ("a\x00", "holds a character that cannot be stored."),
        ("x" * 10_001, "has 10,001 characters; at most 10,000 fit."),
    ],
)
async def test_a_note_that_cannot_be_written_is_refused(
    database: Database, make: Make, content: str, sentence: str
) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    with pytest.raises(BadInput) as refused:
        await do(database, "notes.add", [ticket.id], {"content": content}, by=agent)
    assert refused.value.fields == {"content": sentence}


async def test_notes_need_their_permission(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    who = Somebody({"comment.create"})
    with pytest.raises(Forbidden, match=r"It needs the permission notes\.add"):
        await do(database, "notes.add", [ticket.id], {"content": "Seen."}, by=agent, authority=who)


async def test_thirty_notes_take_as_many_statements_as_one(
    database: Database, make: Make, statements: Statements
) -> None:
    agent, made = await make.agent(), [await make.ticket() for _ in range(31)]
    counted = []
    for part in (made[:1], made[1:]):
        with statements(database) as seen:
            await do(database, "notes.add", [ticket.id for ticket in part], {"content": "Seen."}, by=agent)
        counted.append(len(seen))
    assert counted[0] == counted[1]
