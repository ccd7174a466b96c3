"""Tags of many tickets: added, removed and replaced, each by an action of its own, and nothing else touched."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, Forbidden
from admin_app.models import Tag, Ticket, TicketTag
from admin_app.plugin import Chosen, Outcome
from admin_app.queries import tags
from admin_app.testing import Make, Statements
from tests.locks import until_somebody_waits
from tests.plugins.doing import NOWHERE, Somebody, closed_ticket, do, trashed_ticket

ACTIONS = ["tagging.add", "tagging.remove", "tagging.replace"]


async def names(database: Database, ticket: Ticket) -> set[str]:
    """The tags that a ticket has."""
    async with database.read() as session:
        found = select(Tag.name).join(TicketTag).where(TicketTag.ticket_id == ticket.id)
        return set(await session.scalars(found))


async def many_tags(database: Database, number: int, *tickets: Ticket) -> list[int]:
    """So many new tags, which these tickets have."""
    async with database.transaction(Acting.system(), "test.make") as change:
        rows = [{"name": f"many {place:02}"} for place in range(number)]
        ids = list(await change.session.scalars(insert(Tag).values(rows).returning(Tag.id)))
        pairs = [{"ticket_id": ticket.id, "tag_id": tag_id} for ticket in tickets for tag_id in ids]
        if pairs:
            await change.session.execute(insert(TicketTag), pairs)
    return ids


async def test_tags_are_added_to_what_tickets_have_and_every_row_is_accounted_for(
    database: Database, make: Make
) -> None:
    bare, half, both = [await make.ticket() for _ in range(3)]
    closed, gone = await closed_ticket(make), await trashed_ticket(database, make)
    vip, late = await make.tag("vip", half, both), await make.tag("late", both)
    await make.tag("old", half)
    ids = [bare.id, half.id, both.id, closed.id, gone.id, NOWHERE]
    done = await do(database, "tagging.add", ids, {"tags": [str(vip.id), "LATE"]})
    assert done.outcome == Outcome(changed=3, unchanged=1, skipped={"in the trash": 1, "not found": 1})
    assert done.rows == {
        bare.id: "changed",
        half.id: "changed",
        closed.id: "changed",
        both.id: "unchanged",
        gone.id: "in the trash",
        NOWHERE: "not found",
    }
    assert done.audited == {"ticket_tags": 5}
    assert [await names(database, ticket) for ticket in (bare, half, both, closed, gone)] == [
        {"vip", "late"},
        {"vip", "late", "old"},
        {"vip", "late"},
        {"vip", "late"},
        set(),
    ]
    again = await do(database, "tagging.add", ids, {"tags": [str(vip.id), str(late.id)]})
    assert again.outcome == Outcome(unchanged=4, skipped={"in the trash": 1, "not found": 1})
    assert again.audited == {}


async def test_tags_are_removed_and_all_others_stay(database: Database, make: Make) -> None:
    bare, one, both = [await make.ticket() for _ in range(3)]
    closed, gone = await closed_ticket(make), await trashed_ticket(database, make)
    vip, late = await make.tag("vip", one, both, gone), await make.tag("late", both, closed, is_active=False)
    await make.tag("kept", one, both, bare)
    ids = [bare.id, one.id, both.id, closed.id, gone.id, NOWHERE]
    done = await do(database, "tagging.remove", ids, {"tags": [vip.id, late.id]})
    assert done.outcome == Outcome(changed=3, unchanged=1, skipped={"in the trash": 1, "not found": 1})
    assert done.rows[bare.id] == "unchanged"
    assert done.audited == {"ticket_tags": 4}
    assert [await names(database, ticket) for ticket in (bare, one, both, closed, gone)] == [
        {"kept"},
        {"kept"},
        {"kept"},
        set(),
        {"vip"},
    ]
    again = await do(database, "tagging.remove", ids, {"tags": [vip.id, late.id]})
    assert again.outcome == Outcome(unchanged=4, skipped={"in the trash": 1, "not found": 1})


async def test_tags_are_replaced_by_exactly_these(database: Database, make: Make) -> None:
    bare, exact, more, other = [await make.ticket() for _ in range(4)]
    gone = await trashed_ticket(database, make)
    vip, late = await make.tag("vip", exact, more), await make.tag("late", exact, more)
    await make.tag("old", more, other, gone, is_active=False)
    ids = [bare.id, exact.id, more.id, other.id, gone.id, NOWHERE]
    done = await do(database, "tagging.replace", ids, {"tags": [vip.id, late.id]})
    assert done.outcome == Outcome(changed=3, unchanged=1, skipped={"in the trash": 1, "not found": 1})
    assert done.rows[exact.id] == "unchanged"
    assert done.audited == {"ticket_tags": 2 + 1 + 3}
    for ticket in (bare, exact, more, other):
        assert await names(database, ticket) == {"vip", "late"}
    assert await names(database, gone) == {"old"}
    again = await do(database, "tagging.replace", ids, {"tags": [vip.id, late.id]})
    assert again.outcome == Outcome(unchanged=4, skipped={"in the trash": 1, "not found": 1})


async def test_a_ticket_has_at_most_fifty_tags(database: Database, make: Make) -> None:
    full, nearly = await make.ticket(), await make.ticket()
    fifty = await many_tags(database, 49, full, nearly)
    last, more = await make.tag("last", full), await make.tag("more")
    done = await do(database, "tagging.add", [full.id, nearly.id], {"tags": [last.id, more.id]})
    assert done.outcome == Outcome(skipped={"would have more than 50 tags": 2})
    done = await do(database, "tagging.add", [full.id, nearly.id], {"tags": [last.id, fifty[0]]})
    assert done.outcome == Outcome(changed=1, unchanged=1)
    assert len(await names(database, nearly)) == 50


async def test_a_ticket_that_was_given_more_elsewhere_still_says_that_it_has_a_tag(
    database: Database, make: Make
) -> None:
    ticket = await make.ticket()
    [first, *_] = await many_tags(database, 55, ticket)
    done = await do(database, "tagging.add", [ticket.id], {"tags": [first]})
    assert done.outcome == Outcome(unchanged=1)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Please pick at least one."),
        ({"tags": [""]}, "Please pick at least one."),
        ({"tags": ["ghost"]}, "“ghost” was not found, or cannot be chosen here."),
        ({"tags": ["a\x00"]}, "holds a character that cannot be stored."),
    ],
)
async def test_tags_that_cannot_be_used_are_refused_with_a_sentence(
    database: Database, make: Make, action: str, given: dict[str, Any], sentence: str
) -> None:
    ticket = await make.ticket()
    with pytest.raises(BadInput) as refused:
        await do(database, action, [ticket.id], given)
    assert refused.value.fields == {"tags": sentence}


@pytest.mark.parametrize("action", ["tagging.add", "tagging.replace"])
async def test_a_tag_that_is_no_longer_used_cannot_be_given(database: Database, make: Make, action: str) -> None:
    ticket, old = await make.ticket(), await make.tag("old", is_active=False)
    with pytest.raises(BadInput, match="“old” was not found, or cannot be chosen here"):
        await do(database, action, [ticket.id], {"tags": ["old"]})
    function = {"tagging.add": tags.add, "tagging.replace": tags.replace}[action]
    with pytest.raises(BadInput, match=r"old: no longer used\. Activate the tag first\."):
        async with database.transaction(Acting.system(), action) as change:
            await function(change.session, Chosen.of(Ticket, [ticket.id]), [old])


async def test_more_than_fifty_tags_cannot_be_given(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    many = await many_tags(database, 51)
    for action in ("tagging.add", "tagging.replace"):
        with pytest.raises(BadInput, match="has 51 choices; a ticket has at most 50 tags"):
            await do(database, action, [ticket.id], {"tags": many})


@pytest.mark.parametrize("action", ACTIONS)
async def test_tagging_needs_its_permission(database: Database, make: Make, action: str) -> None:
    ticket, tag = await make.ticket(), await make.tag("vip")
    others = Somebody({*ACTIONS} - {action} | {"tag.edit", "ticket.edit"})
    with pytest.raises(Forbidden, match=f"It needs the permission {action}"):
        await do(database, action, [ticket.id], {"tags": [tag.id]}, authority=others)
    assert await names(database, ticket) == set()


@pytest.mark.parametrize("action", ACTIONS)
async def test_tagging_takes_as_many_statements_for_thirty_tickets_as_for_one(
    database: Database, make: Make, statements: Statements, action: str
) -> None:
    made = [await make.ticket() for _ in range(31)]
    tag, old = await make.tag("vip", *made[::2]), await make.tag("old", *made[1::2])
    counted = []
    for part in (made[:1], made[1:]):
        with statements(database) as seen:
            await do(database, action, [ticket.id for ticket in part], {"tags": [tag.id, old.id]})
        counted.append(len(seen))
    assert counted[0] == counted[1]


async def test_what_somebody_tags_meanwhile_is_seen_once_it_is_our_turn(
    live_database: Database, make_live: Make
) -> None:
    ticket, tag = await make_live.ticket(), await make_live.tag("vip")
    async with live_database.transaction(Acting.system(), "tagging.add") as change:
        await tags.add(change.session, Chosen.of(Ticket, [ticket.id]), [tag])
        second = asyncio.create_task(do(live_database, "tagging.add", [ticket.id], {"tags": [tag.id]}))
        await until_somebody_waits(live_database)
    assert (await second).outcome == Outcome(unchanged=1)


async def test_what_would_become_of_tickets_is_told_without_changing_them(database: Database, make: Make) -> None:
    bare, has = await make.ticket(), await make.ticket()
    tag = await make.tag("vip", has)
    chosen = Chosen(Ticket, (bare.id, has.id), requested=2, classify=True)
    async with database.read() as session:
        assert await tags.add(session, chosen, [tag]) == Outcome(changed=1, unchanged=1)
        assert await tags.remove(session, chosen, [tag]) == Outcome(changed=1, unchanged=1)
        assert await tags.replace(session, chosen, [tag]) == Outcome(changed=1, unchanged=1)
    assert (await names(database, bare), await names(database, has)) == (set(), {"vip"})
