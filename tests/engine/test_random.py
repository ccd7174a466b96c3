"""Random tables, actions and edits by others: what the change engine promises holds for all of them."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_app.actions import Order, Preview
from admin_app.db import Acting, Database
from admin_app.errors import BadInput, Conflict
from admin_app.models import DONE, Comment, Tag, Ticket, TicketPriority, TicketStatus, TicketTag
from admin_app.plugin import Chosen
from admin_app.queries import selections
from admin_app.queries.listing import ListQuery
from admin_app.queries.periods import Viewer
from admin_app.queries.previews import effects
from admin_app.registry import Registry
from admin_app.testing import Make
from tests.engine import authors
from tests.engine.desk import CHUNKED, NOWHERE, UTC_ZONE, Desk, Done, Rows, of_the_whole
from tests.engine.states import foretold, plain, timeless, timeless_effects, timeless_entries

TABLES = ("tickets", "ticket_tags", "comments")
PEOPLE = st.sampled_from([None, 0, 1])
TAGS = st.sets(st.integers(0, 2))
TICKETS = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(TicketStatus),
            "assignee": PEOPLE,
            "priority": st.sampled_from(TicketPriority),
            "trashed": st.sampled_from([False, False, True]),
            "dated": st.booleans(),
            "title": st.sampled_from(["a", "ab", "abc é", "abcd"]),
            "tags": TAGS,
        }
    ),
    min_size=1,
    max_size=9,
)
SOME_TAGS = TAGS.filter(bool).map(lambda places: {"tags": places})
ACTIONS = st.one_of(
    st.tuples(
        st.just("assign.assign"),
        st.fixed_dictionaries({"agent": st.integers(0, 1), "start_work": st.sampled_from(["yes", "no"])}),
    ),
    st.tuples(st.sampled_from(["assign.unassign", "trash.put", "trash.restore", "status.reopen"]), st.just({})),
    st.tuples(st.just("status.change"), st.fixed_dictionaries({"status": st.sampled_from(TicketStatus)})),
    st.tuples(st.just("priority.change"), st.fixed_dictionaries({"priority": st.sampled_from(TicketPriority)})),
    st.tuples(st.sampled_from(["tagging.add", "tagging.remove", "tagging.replace"]), SOME_TAGS),
    st.tuples(st.just("notes.add"), st.just({"content": "Called them. ☎"})),
    st.tuples(st.just("authors.postpone"), st.fixed_dictionaries({"days": st.integers(-1, 1)})),
    st.tuples(st.just("authors.shorten"), st.fixed_dictionaries({"letters": st.integers(0, 3)})),
)
FILTERS = ["", "status=open", "priority=high&priority=low", "trash=yes", "assignee=none", "q=ab"]
WHICH = st.one_of(
    st.sampled_from(FILTERS),
    st.sets(st.one_of(st.integers(0, 8), st.just(NOWHERE)), min_size=1),
)
EDITS = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.sampled_from(["priority", "assignee", "title", "date", "trash", "untag", "tag", "note", "purge", "status"]),
    ),
    max_size=4,
)


@dataclass
class Table:
    """A small desk: its tickets, people and tags, by their places."""

    desk: Desk
    tickets: list[int]
    people: list[int]
    tags: list[int]

    def order(self, action: tuple[str, Mapping[str, Any]], chosen: Chosen[Any]) -> Order:
        """An order in which agents and tags are named by their places."""
        name, given = action
        values = dict(given)
        if "agent" in given:
            values["agent"] = str(self.people[given["agent"]])
        if "tags" in given:
            values["tags"] = [str(self.tags[place]) for place in sorted(given["tags"])]
        return self.desk.order(name, chosen, {key: str(v) if key != "tags" else v for key, v in values.items()})

    async def chosen(self, which: str | set[int]) -> Chosen[Any] | None:
        """What a filter finds, or tickets by their places; None where that is nothing."""
        if not isinstance(which, str):
            return Chosen.of(Ticket, [self.ticket(place) for place in which])
        viewer = Viewer(self.people[0], UTC_ZONE, datetime.now(UTC))
        asked = ListQuery.parse(self.desk.registry.resource("ticket"), parse_qsl(which), viewer)
        async with self.desk.database.read() as session:
            asked = await asked.understood(session)
        try:
            return await self.desk.frozen(Ticket, selections.keys_of(asked))
        except BadInput:
            return None

    def ticket(self, place: int) -> int:
        return self.tickets[place % len(self.tickets)] if place != NOWHERE else NOWHERE

    async def state(self) -> dict[str, Rows]:
        return await self.desk.rows(*TABLES)

    async def edited(self, edits: Sequence[tuple[int, str]]) -> None:
        """Somebody else works on tickets too."""
        for place, what in edits:
            ticket = self.ticket(place)
            async with self.desk.database.transaction(Acting(user_id=self.people[1]), "test.edit") as change:
                for statement in self._edit(ticket, what):
                    await change.session.execute(statement)

    def _edit(self, ticket: int, what: str) -> list[Any]:
        row = update(Ticket).where(Ticket.id == ticket)
        columns: dict[str, dict[str, Any]] = {
            "priority": {"priority": "urgent"},
            "assignee": {"assignee_id": self.people[1]},
            "title": {"title": "edited"},
            "date": {"due_at": datetime(2030, 1, 1, tzinfo=UTC)},
            "trash": {"deleted_at": datetime(2026, 1, 1, tzinfo=UTC)},
            "status": {"status": "in_progress", "resolved_at": None, "closed_at": None, "resolved_by_id": None},
        }
        if what in columns:
            return [row.values(**columns[what], version=Ticket.version + 1)]
        if what == "tag":
            gone = delete(TicketTag).where(TicketTag.ticket_id == ticket, TicketTag.tag_id == self.tags[0])
            there = select(Ticket.id, literal(self.tags[0])).where(Ticket.id == ticket)
            return [gone, insert(TicketTag).from_select(["ticket_id", "tag_id"], there)]
        other: dict[str, list[Any]] = {
            "untag": [delete(TicketTag).where(TicketTag.ticket_id == ticket)],
            "note": [update(Comment).where(Comment.ticket_id == ticket).values(content="edited")],
            "purge": [delete(Ticket).where(Ticket.id == ticket)],
        }
        return other[what]


@asynccontextmanager
async def apart(database: Database) -> AsyncIterator[None]:
    """Whatever happens inside is taken back."""
    assert isinstance(database.bind, AsyncConnection)
    savepoint = await database.bind.begin_nested()
    try:
        yield
    finally:
        await savepoint.rollback()


class Ground:
    """What a desk is laid on: a database, the shipped plugins and those of authors, two agents."""

    def __init__(self, database: Database, registry: Registry, people: list[int]) -> None:
        self.database, self.registry, self.people = database, registry, people


@pytest.fixture
async def ground(database: Database, registry: Registry, make: Make) -> Ground:
    people = [(await make.agent("developer")).id for _ in range(2)]
    return Ground(database, Registry((*registry.plugins, authors.plugin)), people)


async def lay(ground: Ground, facts: Sequence[Any]) -> Table:
    """A desk with these tickets."""
    now = datetime.now(UTC)
    ids = ground.people
    rows = [
        {
            "title": fact["title"],
            "description": "d",
            "creator_id": ids[0],
            "status": fact["status"],
            "priority": fact["priority"],
            "assignee_id": None if fact["assignee"] is None else ids[fact["assignee"]],
            "due_at": now if fact["dated"] else None,
            "deleted_at": now if fact["trashed"] else None,
            "created_at": now - timedelta(days=1),
            "resolved_at": now if fact["status"] in DONE else None,
            "closed_at": now if fact["status"] is TicketStatus.CLOSED else None,
        }
        for fact in facts
    ]
    async with ground.database.transaction(Acting.system(), "test.make") as change:
        made = insert(Ticket).returning(Ticket.id, sort_by_parameter_order=True)
        tickets = list(await change.session.scalars(made, rows, execution_options={"render_nulls": True}))
        names = [{"name": name} for name in ("one", "two", "three")]
        tags = list(await change.session.scalars(insert(Tag).returning(Tag.id, sort_by_parameter_order=True), names))
        links = [
            {"ticket_id": ticket, "tag_id": tags[place]}
            for ticket, fact in zip(tickets, facts, strict=True)
            for place in sorted(fact["tags"])
        ]
        if links:
            await change.session.execute(insert(TicketTag), links)
    return Table(Desk(ground.database, ground.registry, ids[0]), tickets, ids, tags)


async def touched(database: Database, done: Done) -> set[tuple[str, str]]:
    """What others changed after a change set."""
    last = max(entry.id for entry in done.entries)
    async with database.read() as session:
        found = text("SELECT table_name, record_id FROM audit_logs WHERE id > :last")
        return {(table, key) for table, key in await session.execute(found, {"last": last})}


async def ran_as_previewed(table: Table, order: Order, edits: Sequence[Any]) -> Done:
    """Preview, edit, run: as a job taken back, and at once; they agree, and the preview does where nobody edited."""
    before = await table.desk.checksums()
    whole: Preview = await table.desk.preview(order)
    part = await table.desk.preview(order, CHUNKED)
    assert await table.desk.checksums() == before
    await table.edited(edits)
    async with apart(table.desk.database):
        chunked = await table.desk.do(order, CHUNKED)
        of_the_whole(chunked, order.chosen.requested)
        as_job = timeless(await table.state())
    done = await table.desk.do(order)
    of_the_whole(done, order.chosen.requested)
    assert (chunked.outcome, chunked.noted, chunked.failed) == (done.outcome, done.noted, done.failed)
    assert as_job == timeless(await table.state())
    assert timeless_entries(chunked.entries) == timeless_entries(done.entries)
    if not edits:
        assert whole.outcome == done.outcome
        async with table.desk.database.read() as session:
            summed_up = await effects(session, done.id)
        assert timeless_effects(whole.effects) == timeless_effects(summed_up)
        assert whole.tried == whole.requested == done.kept.requested
        if not done.failed:
            assert part.exact
            assert part.outcome == done.outcome
    return done


def audited_as_counted(done: Done) -> None:
    """Fail unless the audit log has entries of exactly the rows that changed."""
    changed = {str(row) for row, became in done.noted.items() if became == "changed"}
    about = {
        str(entry.changes.get("new", entry.changes.get("old", {})).get("ticket_id"))
        if entry.table_name != "tickets"
        else entry.record_id
        for entry in done.entries
    }
    assert about == changed
    if {entry.table_name for entry in done.entries} <= {"tickets"}:
        assert len(done.entries) == done.outcome.changed


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=TICKETS, action=ACTIONS, which=WHICH, first=EDITS, second=EDITS)
async def test_what_was_previewed_is_done_whatever_its_size_and_undone_but_for_what_others_did(
    ground: Ground,
    facts: list[Any],
    action: tuple[str, Mapping[str, Any]],
    which: Any,
    first: list[Any],
    second: list[Any],
) -> None:
    async with apart(ground.database):
        table = await lay(ground, facts)
        if (chosen := await table.chosen(which)) is None:
            return
        done = await ran_as_previewed(table, table.order(action, chosen), first)
        audited_as_counted(done)
        if not done.entries:
            with pytest.raises(Conflict, match="changed nothing"):
                await table.desk.undoing(done.id)
            return
        await table.edited(second)
        await undone_and_redone(table, done)


async def undone_and_redone(table: Table, done: Done) -> None:
    """Undo restores what nobody touched since and nothing else, and lists the rest; undoing that does it again."""
    present = await table.state()
    after, became = foretold(present, done, await touched(table.desk.database, done))
    shown = await table.desk.preview(await table.desk.undoing(done.id))
    undone = await table.desk.undo(done.id)
    of_the_whole(undone, len(done.entries))
    counts = {"changed": undone.outcome.changed, "unchanged": undone.outcome.unchanged, "failed": undone.outcome.failed}
    assert Counter(counts) + Counter(undone.outcome.skipped) == became
    assert shown.outcome == undone.outcome
    assert len(shown.left) == became["changed since"]
    assert plain(await table.state()) == plain(after)
    if not undone.entries:
        return
    redone = await table.desk.undo(undone.id, CHUNKED)
    assert (redone.outcome.changed, redone.outcome.total) == (undone.outcome.changed, undone.outcome.changed)
    assert plain(await table.state()) == plain(present)
