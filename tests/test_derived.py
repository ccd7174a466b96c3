"""What the database derives from tickets and comments: status events, times of answers, the words that search reads."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.db import Acting, Database
from admin_app.models import Comment, Ticket, TicketSearch, TicketStatus, TicketStatusEvent, User
from admin_app.queries import tickets
from admin_app.queries.changes import Chosen
from admin_app.testing import Make
from tests.locks import until_somebody_waits

CREATED = datetime(2026, 1, 5, 9, tzinfo=UTC)
QUIET: dict[str, Any] = {"synchronize_session": False}


def after(hours: int) -> datetime:
    return CREATED + timedelta(hours=hours)


async def events(session: AsyncSession, ticket: Ticket) -> list[tuple[str | None, str, datetime]]:
    found = select(TicketStatusEvent).where(TicketStatusEvent.ticket_id == ticket.id)
    rows = await session.scalars(found.order_by(TicketStatusEvent.at, TicketStatusEvent.id))
    return [(row.from_status, row.to_status, row.at) for row in rows]


async def answers(session: AsyncSession, ticket: Ticket) -> tuple[datetime | None, datetime | None, datetime | None]:
    """First response, last reply of staff, last reply of the customer."""
    columns = (Ticket.first_response_at, Ticket.last_staff_reply_at, Ticket.last_customer_reply_at)
    return tuple((await session.execute(select(*columns).where(Ticket.id == ticket.id))).one())  # type: ignore[return-value]


async def finds(session: AsyncSession, words: str) -> list[int]:
    """The tickets whose document has these words."""
    found = select(TicketSearch.ticket_id).where(
        TicketSearch.document.op("@@")(func.websearch_to_tsquery("english", words))
    )
    return sorted(await session.scalars(found))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, [(None, "open", 0)]),
        ({"status": "in_progress"}, [(None, "open", 0), ("open", "in_progress", 0)]),
        ({"status": "waiting_on_customer"}, [(None, "open", 0), ("open", "waiting_on_customer", 0)]),
        ({"status": "resolved", "resolved_at": after(5)}, [(None, "open", 0), ("open", "resolved", 5)]),
        (
            {"status": "closed", "resolved_at": after(5), "closed_at": after(9)},
            [(None, "open", 0), ("open", "resolved", 5), ("resolved", "closed", 9)],
        ),
    ],
)
async def test_a_ticket_that_is_made_in_any_status_has_its_history_at_its_own_times(
    database: Database, make: Make, facts: dict[str, Any], expected: list[tuple[str | None, str, int]]
) -> None:
    ticket = await make.ticket(created_at=CREATED, **facts)
    async with database.read() as session:
        assert await events(session, ticket) == [(before, to, after(hours)) for before, to, hours in expected]


async def test_many_tickets_change_quickly_on_a_connection_that_has_changed_single_ones(
    live_database: Database, make_live: Make
) -> None:
    """PostgreSQL keeps the plan that a trigger was first run with; made for one row, it could be a loop in a loop."""
    customer, first = await make_live.customer(), await make_live.ticket()
    for number in range(7):
        async with live_database.transaction(Acting(user_id=customer.id), "test.edit") as change:
            status = "waiting_on_customer" if number % 2 else "in_progress"
            await change.session.execute(update(Ticket).where(Ticket.id == first.id).values(status=status))
    many = (
        "INSERT INTO tickets (title, description, creator_id) SELECT 'Many', 'Words', :id FROM generate_series(1, 8000)"
    )
    async with live_database.transaction(Acting.system(), "test.many") as change:
        await change.session.execute(text(many), {"id": customer.id})
        await change.session.execute(text("SET LOCAL statement_timeout = '10s'"))
        await change.session.execute(
            update(Ticket).values(status="in_progress", priority="low"), execution_options=QUIET
        )
        changed = await change.session.scalar(select(func.count()).where(TicketStatusEvent.change_set_id == change.id))
    assert changed == 8000 + 8000


async def test_each_change_of_status_is_one_event_with_who_made_it(database: Database, make: Make) -> None:
    lead, ticket, other = await make.lead(), await make.ticket(), await make.ticket()
    async with database.transaction(Acting(user_id=lead.id), "test.status") as change:
        statement = update(Ticket).values(status="waiting_on_customer", title="Renamed")
        await change.session.execute(statement, execution_options=QUIET)
        await change.session.execute(statement.values(title="Again"), execution_options=QUIET)
        found = (
            await change.session.scalars(
                select(TicketStatusEvent).where(TicketStatusEvent.from_status.is_not(None)).order_by("ticket_id")
            )
        ).all()
    assert [event.ticket_id for event in found] == [ticket.id, other.id]
    assert {(event.actor_id, event.change_set_id) for event in found} == {(lead.id, change.id)}


async def test_events_lie_in_the_order_in_which_they_happened_even_in_one_transaction(
    database: Database, make: Make
) -> None:
    agent = await make.agent()
    ticket = await make.ticket(assignee_id=agent.id)
    path = ["in_progress", "resolved", "in_progress", "waiting_on_customer", "resolved", "closed"]
    async with database.transaction(Acting.system(), "test.path") as change:
        for status in path:
            await tickets.set_status(change.session, Chosen.of(Ticket, [ticket.id]), TicketStatus(status), agent.id)
        found = await events(change.session, ticket)
    assert [to for _, to, _ in found] == ["open", *path]
    assert [before for before, _, _ in found] == [None, "open", *path[:-1]]


async def test_who_waited_for_another_writes_the_later_event(live_database: Database, make_live: Make) -> None:
    agent = await make_live.agent()
    ticket = await make_live.ticket(assignee_id=agent.id)
    chosen = Chosen.of(Ticket, [ticket.id])

    async def resolve(begun: asyncio.Event, go: asyncio.Event) -> None:
        async with live_database.transaction(Acting(user_id=agent.id), "test.second") as change:
            await change.session.scalar(select(func.now()))
            begun.set()
            await go.wait()
            await tickets.set_status(change.session, chosen, TicketStatus.RESOLVED, agent.id)

    begun, go = asyncio.Event(), asyncio.Event()
    later = asyncio.create_task(resolve(begun, go))
    await begun.wait()
    async with live_database.transaction(Acting(user_id=agent.id), "test.first") as change:
        await tickets.set_status(change.session, chosen, TicketStatus.IN_PROGRESS, agent.id)
    go.set()
    await later
    async with live_database.read() as session:
        assert [to for _, to, _ in await events(session, ticket)] == ["open", "in_progress", "resolved"]


async def test_a_first_response_is_the_first_public_answer_of_staff_who_did_not_ask(
    database: Database, make: Make
) -> None:
    customer, agent, asking_agent = await make.customer(), await make.agent(), await make.agent()
    ticket = await make.ticket(creator_id=customer.id, created_at=CREATED)
    asked = await make.ticket(creator_id=asking_agent.id, created_at=CREATED)
    steps: list[tuple[Ticket, User, int, bool, tuple[int | None, int | None, int | None]]] = [
        (ticket, agent, 1, True, (None, None, None)),
        (ticket, customer, 2, False, (None, None, 2)),
        (ticket, agent, 4, False, (4, 4, 2)),
        (ticket, agent, 6, False, (4, 6, 2)),
        (ticket, customer, 8, False, (4, 6, 8)),
        (ticket, agent, 3, False, (3, 6, 8)),
        (ticket, customer, 5, False, (3, 6, 8)),
        (ticket, agent, -9, False, (3, 6, 8)),
        (asked, asking_agent, 1, False, (None, None, 1)),
        (asked, agent, 2, False, (2, 2, 1)),
    ]
    for about, author, hours, internal, expected in steps:
        await make.comment(about, author, created_at=after(hours), is_internal=internal)
        async with database.read() as session:
            assert await answers(session, about) == tuple(None if h is None else after(h) for h in expected)


async def test_many_comments_at_once_derive_the_same_as_one_by_one(database: Database, make: Make) -> None:
    agent, first, second = await make.agent(), *[await make.ticket(created_at=CREATED) for _ in range(2)]
    async with database.transaction(Acting.system(), "test.many") as change:
        change.session.add_all(
            Comment(ticket_id=about.id, author_id=who, content="c", is_internal=internal, created_at=after(hours))
            for about, who, hours, internal in (
                (first, agent.id, 7, False),
                (first, agent.id, 3, False),
                (first, agent.id, 1, True),
                (first, first.creator_id, 9, False),
                (second, agent.id, 2, True),
            )
        )
        await change.session.flush()
        assert await answers(change.session, first) == (after(3), after(7), after(9))
        assert await answers(change.session, second) == (None, None, None)


async def test_a_note_that_is_made_public_is_an_answer_from_then_on(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket(created_at=CREATED)
    note = await make.comment(ticket, agent, created_at=after(1))
    async with database.transaction(Acting.system(), "test.publish") as change:
        (await change.session.get_one(Comment, note.id)).is_internal = False
        await change.session.flush()
        now = await change.session.scalar(select(func.now()))
        assert await answers(change.session, ticket) == (now, now, None)


async def test_an_answer_that_is_deleted_or_hidden_was_sent_all_the_same(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket(created_at=CREATED)
    hidden = await make.comment(ticket, agent, created_at=after(1), is_internal=False)
    async with database.transaction(Acting.system(), "test.hide") as change:
        (await change.session.get_one(Comment, hidden.id)).is_internal = True
        await change.session.flush()
        await change.session.execute(delete(Comment).where(Comment.id == hidden.id))
        assert await answers(change.session, ticket) == (after(1), after(1), None)


async def test_search_follows_titles_descriptions_and_public_comments_whatever_changes_them(
    database: Database, make: Make
) -> None:
    agent, ticket = await make.agent(), await make.ticket(title="Printer jams", description="Paper everywhere")
    public = await make.comment(ticket, agent, "Replace the fuser", is_internal=False)
    note = await make.comment(ticket, agent, "Customer is grumpy")
    async with database.transaction(Acting.system(), "test.search") as change:
        session = change.session

        async def edit(model: Any, key: int, **values: Any) -> None:
            await session.execute(update(model).where(model.id == key).values(**values), execution_options=QUIET)

        for words in ("printer", "papers", "fuser", ticket.ticket_number):
            assert await finds(session, words) == [ticket.id], words
        assert await finds(session, "grumpy") == []
        await edit(Ticket, ticket.id, title="Scanner beeps", external_id="OLD-77")
        assert (await finds(session, "printer"), await finds(session, "scanner OLD-77")) == ([], [ticket.id])
        await edit(Ticket, ticket.id, description="Noise")
        assert (await finds(session, "paper"), await finds(session, "noise")) == ([], [ticket.id])
        await edit(Comment, public.id, content="Replace the toner")
        assert (await finds(session, "fuser"), await finds(session, "toner")) == ([], [ticket.id])
        await edit(Comment, note.id, is_internal=False)
        assert await finds(session, "grumpy") == [ticket.id]
        await edit(Comment, note.id, is_internal=True)
        assert await finds(session, "grumpy") == []
        await session.execute(delete(Comment).where(Comment.id == public.id))
        assert await finds(session, "toner") == []


async def test_a_comment_that_moves_takes_its_words_along(database: Database, make: Make) -> None:
    agent, old, new = await make.agent(), await make.ticket(), await make.ticket()
    comment = await make.comment(old, agent, "Zeppelin", is_internal=False)
    async with database.transaction(Acting.system(), "test.move") as change:
        moved = update(Comment).where(Comment.id == comment.id).values(ticket_id=new.id)
        await change.session.execute(moved, execution_options=QUIET)
        assert await finds(change.session, "zeppelin") == [new.id]


async def test_two_who_edit_comments_of_one_ticket_at_once_are_both_found(
    live_database: Database, make_live: Make
) -> None:
    agent, ticket = await make_live.agent(), await make_live.ticket()
    first, second = [await make_live.comment(ticket, agent, "Blank.", is_internal=False) for _ in range(2)]

    async def edit(comment: Comment, content: str) -> None:
        async with live_database.transaction(Acting.system(), "test.edit") as change:
            await change.session.execute(update(Comment).where(Comment.id == comment.id).values(content=content))

    async with live_database.transaction(Acting.system(), "test.edit") as change:
        await change.session.execute(update(Comment).where(Comment.id == first.id).values(content="Alpaca"))
        waiting = asyncio.create_task(edit(second, "Buffalo"))
        await until_somebody_waits(live_database)
    await waiting
    async with live_database.read() as session:
        assert await finds(session, "alpaca buffalo") == [ticket.id]


async def test_texts_of_any_length_are_stored_whole_and_found_by_their_beginning(
    database: Database, make: Make
) -> None:
    def worst(first: int) -> str:
        """A million characters of compound words, each of new letters of four bytes: the largest document there is."""
        letters = [chr(first + number) for number in range(5000)]
        pairs = [letters[number % 5000] + letters[number // 5000] for number in range(100_000)]
        return " ".join("-".join(pairs[at : at + 3]) for at in range(0, 100_000, 3)) * 4

    agent = await make.agent()
    ticket = await make.ticket(title="Beginning", description=f"Opening {worst(0x20000)}")
    comment = await make.comment(ticket, agent, f"Remark {worst(0x22000)}", is_internal=False)
    async with database.read() as session:
        assert len(comment.content) > 1_000_000
        assert await session.scalar(select(Ticket.description).where(Ticket.id == ticket.id)) == ticket.description
        assert await finds(session, "beginning opening remark") == [ticket.id]
