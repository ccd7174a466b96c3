"""Comments: a thread in its order, and adding to it."""

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, NotFound
from admin_app.models import Ticket
from admin_app.queries import comments, trash
from admin_app.queries.changes import Chosen
from admin_app.testing import Make


async def thread(session: AsyncSession, ticket: Ticket, limit: int = 200) -> list[comments.Said]:
    """The comments that the page of a ticket shows."""
    return comments.said(await session.scalar(select(comments.newest(limit)).where(Ticket.id == ticket.id)) or ())


async def test_a_thread_is_read_oldest_first_with_authors_and_cut_to_the_newest(database: Database, make: Make) -> None:
    agent, ticket, other = await make.agent(full_name="Ana"), await make.ticket(), await make.ticket()
    for text in ("one", "two", "three"):
        await make.comment(ticket, agent, text, is_internal=text == "two")
    await make.comment(other, agent, "elsewhere")
    async with database.read() as session:
        everything = await thread(session, ticket)
        newest = await thread(session, ticket, limit=2)
    assert [(comment.content, comment.author.label) for comment in everything] == [
        ("one", "Ana"),
        ("two", "Ana"),
        ("three", "Ana"),
    ]
    assert [comment.is_internal for comment in everything] == [False, True, False]
    assert [comment.content for comment in newest] == ["two", "three"]


async def test_comments_of_the_same_instant_keep_their_order(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    async with database.transaction(Acting(user_id=agent.id), "comment.add") as change:
        for number in range(5):
            await comments.add(change.session, ticket.id, agent.id, f"{number}")
        found = await thread(change.session, ticket)
    assert len({comment.created_at for comment in found}) == 1
    assert [comment.content for comment in found] == ["0", "1", "2", "3", "4"]


async def test_a_comment_is_a_note_unless_made_public_on_purpose(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    async with database.transaction(Acting(user_id=agent.id), "comment.add") as change:
        note = await comments.add(change.session, ticket.id, agent.id, "Careful.")
        answer = await comments.add(change.session, ticket.id, agent.id, "Hello.", is_internal=False)
    assert (note.is_internal, answer.is_internal) == (True, False)


@pytest.mark.parametrize("content", ["", " \n\t ", "a\x00b", "a\ud800b"])
async def test_a_comment_that_cannot_be_is_refused(database: Database, make: Make, content: str) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    with pytest.raises(BadInput) as refused:
        async with database.transaction(Acting(user_id=agent.id), "comment.add") as change:
            await comments.add(change.session, ticket.id, agent.id, content)
    assert refused.value.fields.keys() == {"content"}


async def test_nothing_is_added_to_a_ticket_that_is_gone_or_in_the_trash(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    async with database.transaction(Acting.system(), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [ticket.id]), None, "Spam.")
    for number in (ticket.id, 999_999_999):
        with pytest.raises(NotFound, match="does not exist, or is in the trash"):
            async with database.transaction(Acting(user_id=agent.id), "comment.add") as change:
                await comments.add(change.session, number, agent.id, "Hello?")
