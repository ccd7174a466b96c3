"""Undoing everything: forms, imports, tags, notes, the trash, undoing itself; and what stays, with the reason why."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from admin_app.db import Change, Database
from admin_app.errors import Conflict
from admin_app.models import ChangeSet, Comment, Role, RolePermission, Tag, Ticket, TicketTag, User, UserSession
from admin_app.plugin import Chosen
from admin_app.queries import tickets
from admin_app.registry import Registry
from admin_app.testing import Browser, Make
from tests.engine.desk import CHUNKED, WHOLE, Desk, Done, of_the_whole
from tests.importing.conftest import ANA, comment, ticket
from tests.importing.conftest import Desk as Harbour
from tests.web.forms import change_sets, edit

SIZES = pytest.mark.parametrize("limits", [WHOLE, CHUNKED], ids=["at once", "in chunks"])


@pytest.fixture
async def desk(database: Database, registry: Registry, make: Make) -> Desk:
    return Desk(database, registry, (await make.lead()).id)


def became(done: Done) -> Counter[str]:
    """How many entries became what."""
    return Counter(done.noted.values()) + Counter(done.failed.values())


async def changed(desk: Desk, *statements: Any) -> int:
    """Do something as one change set, which it returns."""
    async with desk.database.transaction(desk.acting, "ticket.edit") as change:
        for statement in statements:
            await change.session.execute(statement)
        change.counts.changed = len(statements)
    return change.id


@SIZES
async def test_an_edit_by_form_goes_back_with_its_status_assignee_and_tags(
    client: Browser, make: Make, database: Database, registry: Registry, limits: Any
) -> None:
    agent, one = await make.agent(email="ana@example.com"), await make.ticket()
    kept, gone = await make.tag("kept", one), await make.tag("gone", one)
    await make.tag("new")
    desk = Desk(database, registry, client.actor.id if client.actor else None)
    before = await desk.rows("tickets", "ticket_tags")
    url = f"/admin/ticket/edit/{one.id}"
    filled = {"title": "Another", "status": "resolved", "assignee": agent.email, "tags": ["kept", "new"]}
    assert (await edit(client, url, **filled)).status_code == 303
    [saved] = await change_sets(client, "ticket.edit")
    assert len((await desk.done(saved.id)).entries) == 5
    undone = await desk.undo(saved.id, limits)
    assert became(undone) == {"changed": 5}
    after = await desk.rows("tickets", "ticket_tags")
    assert after["ticket_tags"] == before["ticket_tags"]
    assert set(after["ticket_tags"]) == {f"{one.id},{kept.id}", f"{one.id},{gone.id}"}
    now, then = after["tickets"][str(one.id)], before["tickets"][str(one.id)]
    assert {name for name in now if now[name] != then[name]} <= {"version", "updated_at"}


@SIZES
async def test_an_import_goes_to_the_trash_but_people_stay_and_so_does_what_customers_read(
    database: Database, registry: Registry, make: Make, tmp_path: Path, limits: Any
) -> None:
    harbour, desk = Harbour(database, tmp_path), Desk(database, registry, (await make.lead()).id)
    people = await harbour.bring("users", [ANA])
    arrived = await harbour.bring("tickets", [ticket(f"T-{n}", labels="one,two") for n in range(1, 6)])
    said = await harbour.bring("comments", [comment("C-1", private="yes"), comment("C-2", private="no")])
    assert became(await desk.undo(said.change_set_id or 0, limits)) == {"changed": 1, "sent to the customer": 1}
    touched = (await harbour.ids("tickets"))[0]
    await changed(desk, update(Ticket).where(Ticket.id == touched).values(title="Somebody works on it"))
    undone = await desk.undo(arrived.change_set_id or 0, limits)
    of_the_whole(undone, 5 + 2 + 10)
    assert became(undone) == {"changed": 4 + 2 + 10, "changed since": 1}
    assert await harbour.value("SELECT count(*) FROM tickets WHERE deleted_at IS NULL") == 1
    assert await harbour.value("SELECT count(*) FROM tags") == 0
    assert became(await desk.undo(people.change_set_id or 0, limits)) == {"people are never deleted": 1}
    again = await desk.undo(undone.id, limits)
    assert became(again) == {"changed": 4 + 2 + 10}
    assert await harbour.value("SELECT count(*) FROM ticket_tags") == 10


async def test_what_was_undone_and_done_again_can_be_undone_again(desk: Desk, make: Make) -> None:
    one = await make.ticket()
    made = await changed(
        desk,
        insert(Comment).values(ticket_id=one.id, author_id=one.creator_id, content="A note.", is_internal=True),
        insert(Ticket).values(title="New", description="d", creator_id=one.creator_id),
    )
    states = []
    target = made
    for _ in range(2):
        undone = await desk.undo(made)
        assert became(undone) == {"changed": 2}
        assert became(await desk.undo(undone.id, CHUNKED)) == {"changed": 2}
        states.append((await desk.done(target)).kept.state)
    assert states == ["completed", "completed"]
    assert became(await desk.undo(made, CHUNKED)) == {"changed": 2}
    with pytest.raises(Conflict, match="is undone already"):
        await desk.undo(made)


@SIZES
async def test_what_one_change_set_made_and_then_changed_goes_away_whole(desk: Desk, make: Make, limits: Any) -> None:
    creator, agent = await make.customer(), await make.agent()
    async with desk.database.transaction(desk.acting, "ticket.edit") as change:
        one = Ticket(title="New", description="d", creator_id=creator.id)
        change.session.add(one)
        await change.session.flush()
        await tickets.assign(change.session, Chosen.of(Ticket, [one.id]), agent)
        change.session.add(TicketTag(ticket_id=one.id, tag_id=await _tag(change)))
    shown = await desk.preview(await desk.undoing(change.id), limits)
    undone = await desk.undo(change.id, limits)
    assert became(undone) == {"changed": 4}
    assert (shown.exact, shown.outcome) == (True, undone.outcome) if limits is WHOLE else not shown.exact
    gone = (await desk.rows("tickets"))["tickets"][str(one.id)]
    assert gone["deleted_at"]
    assert gone["assignee_id"] is None


async def _tag(change: Change) -> int:
    tag = Tag(name="fresh")
    change.session.add(tag)
    await change.session.flush()
    return tag.id


async def test_notes_go_but_those_that_somebody_edited_or_that_customers_read_stay(desk: Desk, make: Make) -> None:
    made = [(await make.ticket()).id for _ in range(4)]
    done = await desk.do(desk.order("notes.add", Chosen.of(Ticket, made), {"content": "Called."}))
    note = update(Comment)
    await changed(desk, note.where(Comment.ticket_id == made[0]).values(content="Called twice."))
    shown = await changed(desk, note.where(Comment.ticket_id == made[1]).values(is_internal=False))
    assert became(await desk.undo(shown)) == {"sent to the customer": 1}
    assert became(await desk.undo(done.id)) == {"changed": 2, "changed since": 2}
    comments = (await desk.rows("comments"))["comments"]
    assert sorted(row["ticket_id"] for row in comments.values()) == made[:2]


@SIZES
async def test_what_people_may_do_is_never_undone(desk: Desk, make: Make, limits: Any) -> None:
    agent = await make.agent()
    async with desk.database.transaction(desk.acting, "user.edit") as change:
        role = (await change.session.scalars(select(Role.id).where(Role.name == "agent"))).one()
        taken = delete(RolePermission).where(RolePermission.role_id == role, RolePermission.permission == "ticket.view")
        await change.session.execute(taken)
        await change.session.execute(insert(RolePermission).values(role_id=role, permission="test.some"))
        await change.session.execute(update(User).where(User.id == agent.id).values(full_name="Another"))
        secret = UserSession(user_id=agent.id, token_sha256=b"0" * 32, expires_at=agent.created_at)
        change.session.add(secret)
    before = await desk.rows("role_permissions", "user_sessions")
    undone = await desk.undo(change.id, limits)
    assert became(undone) == {"changed": 1, "what people may do is not undone": 3}
    assert await desk.rows("role_permissions", "user_sessions") == before


@SIZES
async def test_a_row_whose_other_record_is_gone_fails_with_the_reason_and_the_rest_goes_back(
    desk: Desk, make: Make, limits: Any
) -> None:
    one, two = await make.ticket(), await make.ticket()
    tag, kept = await make.tag("gone", one, two), await make.tag("kept", one, two)
    first, second = (update(Ticket).where(Ticket.id == one.id).values(title=title) for title in ("Second", "Third"))
    untagged = await changed(desk, first, delete(TicketTag).where(TicketTag.ticket_id.in_([one.id, two.id])), second)
    await changed(desk, delete(Tag).where(Tag.id == tag.id))
    undone = await desk.undo(untagged, limits)
    of_the_whole(undone, 6)
    assert Counter(undone.noted.values()) == {"changed": 4}
    assert set(undone.failed.values()) == {
        "This refers to a record that does not exist, or other records still refer to this one."
    }
    rows = await desk.rows("tickets", "ticket_tags")
    assert rows["tickets"][str(one.id)]["title"] == one.title
    assert set(rows["ticket_tags"]) == {f"{one.id},{kept.id}", f"{two.id},{kept.id}"}


@SIZES
@pytest.mark.parametrize("action", ["trash.put", "tagging.replace", "priority.change", "status.change"])
async def test_bulk_actions_go_back_and_forth(desk: Desk, make: Make, action: str, limits: Any) -> None:
    made = [(await make.ticket()).id for _ in range(7)]
    await make.tag("old", *[await _found(desk, one) for one in made[:3]])
    new = await make.tag("new")
    values: dict[str, dict[str, Any]] = {
        "tagging.replace": {"tags": [str(new.id)]},
        "priority.change": {"priority": "urgent"},
        "status.change": {"status": "closed"},
    }
    before = await desk.rows("tickets", "ticket_tags")
    done = await desk.do(desk.order(action, await desk.frozen(Ticket, made), values.get(action)), limits)
    between = await desk.rows("tickets", "ticket_tags")
    undone = await desk.undo(done.id, limits)
    assert plain(await desk.rows("tickets", "ticket_tags")) == plain(before)
    again = await desk.undo(undone.id, limits)
    assert plain(await desk.rows("tickets", "ticket_tags")) == plain(between)
    assert len(done.entries) == undone.outcome.changed == again.outcome.changed
    async with desk.database.read() as session:
        states = [(await session.get_one(ChangeSet, one)).state.value for one in (done.id, undone.id, again.id)]
    assert states == ["completed", "undone", "completed"]


plain: Callable[[Any], Any] = lambda state: {  # noqa: E731
    table: {key: {n: v for n, v in row.items() if n not in {"version", "updated_at"}} for key, row in rows.items()}
    for table, rows in state.items()
}


async def _found(desk: Desk, ticket_id: int) -> Ticket:
    async with desk.database.read() as session:
        return await session.get_one(Ticket, ticket_id)
