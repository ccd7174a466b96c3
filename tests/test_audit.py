"""The audit log: whoever writes what in whichever way, the database keeps one entry for each changed row."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import URL, Text, cast, func, inspect, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from admin_app import triggers
from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError
from admin_app.models import AuditLog, Base, Comment, Tag, Ticket, TicketTag, User
from admin_app.testing import Make, scratch_database
from tests.audited import SAMPLES, WAYS, Sample, Values, as_sql, images, people_and_things, psql

TABLES = sorted(SAMPLES)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def open_url(server_url: URL, template_url: URL) -> AsyncIterator[URL]:
    """A database for this module, in which transactions commit, so that psql sees what they did."""
    async with scratch_database(server_url, template_url.database) as url:
        database = Database.connect(url)
        async with database.transaction(Acting.system(), "test.begin") as change:
            await people_and_things(change.session)
        yield url
        await database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def open_database(open_url: URL) -> AsyncIterator[Database]:
    database = Database.connect(open_url)
    yield database
    await database.close()


async def entries(session: AsyncSession, after: int = 0, table: str | None = None) -> Sequence[AuditLog]:
    found = select(AuditLog).where(AuditLog.id > after).order_by(AuditLog.id)
    return (await session.scalars(found.where(AuditLog.table_name == table) if table else found)).all()


async def newest(session: AsyncSession) -> int:
    return await session.scalar(select(func.max(AuditLog.id))) or 0


def kind_of(table: str, column: str) -> str:
    return str(Base.metadata.tables[table].c[column].info.get("audit", "plain"))


def created(table: str, image: Values) -> Values:
    """What a new row's entry has to hold."""
    new: Values = {}
    for name, value in image.items():
        if value is None or kind_of(table, name) in {"secret", "derived"}:
            continue
        digest = {"length": len(str(value)), "sha256": hashlib.sha256(str(value).encode()).hexdigest()}
        new[name] = digest if kind_of(table, name) == "long" else value
    return {"new": new}


def updated(table: str, before: Values, after: Values) -> Values:
    """What a changed row's entry has to hold."""
    differs = [name for name in before if before[name] != after[name] and kind_of(table, name) != "derived"]
    secret = {name: "(secret)" for name in differs if kind_of(table, name) == "secret"}
    return {side: {n: image[n] for n in differs} | secret for side, image in (("old", before), ("new", after))}


def deleted(table: str, image: Values) -> Values:
    """What a deleted row's entry has to hold."""
    shown = {n: v for n, v in image.items() if v is not None and kind_of(table, n) not in {"secret", "derived"}}
    return {"old": shown}


def test_every_audited_table_has_a_sample() -> None:
    assert [table.name for table in triggers.audited_tables()] == TABLES


FIRST = {"orm": 0, "statement": 3, "raw sql": 6, "psql": 9}
"""The numbers of the rows that are written in each way."""


@pytest.mark.parametrize("way", FIRST)
@pytest.mark.parametrize("table", TABLES)
async def test_every_way_of_writing_leaves_exactly_one_entry_for_each_changed_row(
    open_database: Database, open_url: URL, table: str, way: str
) -> None:
    sample, number = SAMPLES[table], FIRST[way]
    rows = [sample.row(number + more) for more in range(3)]

    async def written(verb: str, rows: list[Values]) -> tuple[dict[str, Any], dict[str, Values], dict[str, Values]]:
        """What the log says afterwards by record, and every row before and after."""
        async with open_database.read() as session:
            last, before = await newest(session), await images(session, table)
        actor = await write(open_database, open_url, way, sample, verb, rows)
        async with open_database.read() as session:
            found, after = await entries(session, last, table), await images(session, table)
        assert len(found) == len({entry.record_id for entry in found})
        assert all(who(entry) == actor for entry in found)
        return {entry.record_id: (entry.action, entry.changes) for entry in found}, before, after

    found, before, after = await written("insert", rows)
    new = sorted(after.keys() - before.keys(), key=lambda key: [int(n) if n.isdecimal() else 0 for n in key.split(",")])
    assert found == {key: ("CREATE", created(table, after[key])) for key in new}
    assert len(new) == 3
    keys = [column.name for column in inspect(sample.model).primary_key]
    rows = [{**row, **{name: after[key][name] for name in keys}} for row, key in zip(rows, new, strict=True)]
    if sample.change:
        found, before, after = await written("update", rows[:2])
        assert found == {key: ("UPDATE", updated(table, before[key], after[key])) for key in new[:2]}
        assert sample.change.keys() == found[new[0]][1]["new"].keys()
        found, before, after = await written("update", rows)
        assert found == {new[2]: ("UPDATE", updated(table, before[new[2]], after[new[2]]))}
    if table == "users" and way != "psql":
        with pytest.raises(BackdeskError):  # the application's role may not
            await written("delete", rows)
        return
    found, before, after = await written("delete", rows[1:])
    assert found == {key: ("DELETE", deleted(table, before[key])) for key in new[1:]}


async def write(
    database: Database, url: URL, way: str, sample: Sample, verb: str, rows: list[Values]
) -> tuple[Any, ...]:
    """Write rows in one of the ways, and tell who the log has to name."""
    if way == "psql":
        assert psql(url, as_sql(sample, verb, rows)).stderr == ""
        return None, "database", url.username, None, None
    async with database.transaction(Acting(user_id=3, reason="Why."), "test.write") as change:
        await WAYS[way](change.session, sample, verb, rows)
    return 3, "user", None, change.id, "Why."


def who(entry: AuditLog) -> tuple[Any, ...]:
    return entry.user_id, entry.actor_kind, entry.database_user, entry.change_set_id, entry.reason


@pytest.mark.parametrize("table", TABLES)
async def test_at_psql_the_applications_role_is_refused_when_nobody_acts(
    open_database: Database, open_url: URL, table: str
) -> None:
    sample = SAMPLES[table]
    rows = [sample.row(15)]
    async with open_database.read() as session:
        last = await newest(session)
    refused = psql(open_url, "SET ROLE backdesk_app", as_sql(sample, "insert", rows))
    assert "nobody is acting" in refused.stderr
    assert refused.returncode != 0
    async with open_database.read() as session:
        assert await entries(session, last) == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_write_that_is_rolled_back_leaves_nothing(open_database: Database, way: str) -> None:
    sample = SAMPLES["tags"]
    async with open_database.read() as session:
        last = await newest(session)
    with pytest.raises(RuntimeError):
        await fail_after(open_database, way, sample)
    async with open_database.transaction(Acting.system(), "test.savepoint") as change:
        nested = await change.session.begin_nested()
        await WAYS[way](change.session, sample, "insert", [sample.row(90)])
        await nested.rollback()
    async with open_database.read() as session:
        assert await entries(session, last) == []


async def fail_after(database: Database, way: str, sample: Sample) -> None:
    async with database.transaction(Acting.system(), "test.fail") as change:
        await WAYS[way](change.session, sample, "insert", [sample.row(80)])
        raise RuntimeError


async def test_an_upsert_is_recorded_as_what_it_did_to_each_row(database: Database, make: Make) -> None:
    there, _ = await make.tag("there", description="old"), await make.tag("same", description="new")
    async with database.transaction(Acting.system(), "test.upsert") as change:
        last = await newest(change.session)
        rows = [{"name": name, "description": "new"} for name in ("THERE", "Same", "fresh")]
        added = upsert(Tag).values(rows)
        known = added.on_conflict_do_update(
            index_elements=[func.lower(text("name"))], set_={"description": added.excluded.description}
        )
        await change.session.execute(known)
        found = await entries(change.session, last)
        fresh = await change.session.scalar(select(Tag.id).where(Tag.name == "fresh"))
    assert {(entry.action, entry.record_id) for entry in found} == {("UPDATE", str(there.id)), ("CREATE", str(fresh))}
    changed = next(entry for entry in found if entry.action == "UPDATE")
    assert changed.changes == {"old": {"description": "old"}, "new": {"description": "new"}}


async def test_when_rows_change_in_different_columns_each_entry_has_its_own(database: Database, make: Make) -> None:
    agent = await make.agent()
    first = await make.ticket(title="A", priority="low")
    second = await make.ticket(title="B", priority="high", assignee_id=agent.id)
    third = await make.ticket(title="B", priority="high", due_at=None)
    async with database.transaction(Acting.system(), "test.mixed") as change:
        last = await newest(change.session)
        await change.session.execute(
            update(Ticket)
            .where(Ticket.id.in_([first.id, second.id, third.id]))
            .values(title="B", priority="high", assignee_id=None, delete_reason=None)
            .execution_options(synchronize_session=False)
        )
        found = {int(entry.record_id): entry.changes for entry in await entries(change.session, last)}
    assert found == {
        first.id: {"old": {"title": "A", "priority": "low"}, "new": {"title": "B", "priority": "high"}},
        second.id: {"old": {"assignee_id": agent.id}, "new": {"assignee_id": None}},
    }


async def test_a_secret_is_known_to_have_changed_and_never_shown(database: Database, make: Make) -> None:
    user = await make.agent(password_hash="$argon2id$topsecret")
    async with database.transaction(Acting.system(), "test.password") as change:
        for value in ("$argon2id$othersecret", None, "$argon2id$thirdsecret"):
            statement = update(User).where(User.id == user.id).values(password_hash=value, full_name="Ana")
            await change.session.execute(statement.execution_options(synchronize_session=False))
        found = [e.changes for e in await entries(change.session, table="users") if e.record_id == str(user.id)]
        everything = await change.session.scalar(select(func.string_agg(cast(AuditLog.changes, Text), "")))
    made, *changed = found
    assert "password_hash" not in made["new"]
    assert changed[0] == {
        "old": {"password_hash": "(secret)", "full_name": user.full_name},
        "new": {"password_hash": "(secret)", "full_name": "Ana"},
    }
    only = {"old": {"password_hash": "(secret)"}, "new": {"password_hash": "(secret)"}}
    assert changed[1:] == [only, only]
    assert "argon2id" not in str(everything)


async def test_derived_columns_alone_are_no_change(database: Database, make: Make) -> None:
    ticket, agent = await make.ticket(), await make.agent()
    async with database.transaction(Acting.system(), "test.derived") as change:
        last = await newest(change.session)
        for statement in (
            update(Ticket)
            .where(Ticket.id == ticket.id)
            .values(version=Ticket.version + 1, first_response_at=func.now()),
            update(User).where(User.id == agent.id).values(last_login=func.now()),
        ):
            await change.session.execute(statement.execution_options(synchronize_session=False))
        assert await entries(change.session, last) == []


async def test_a_long_text_is_recorded_by_its_hash_when_made_and_in_full_when_changed(
    database: Database, make: Make
) -> None:
    long = "Grüße 🙂 " * 1000
    ticket = await make.ticket(description=long)
    async with database.transaction(Acting.system(), "test.long") as change:
        await change.session.execute(update(Ticket).where(Ticket.id == ticket.id).values(description="Short."))
        made, changed = await entries(change.session, table="tickets")
    digest = {"length": len(long), "sha256": hashlib.sha256(long.encode()).hexdigest()}
    assert made.changes["new"]["description"] == digest
    assert changed.changes == {"old": {"description": long}, "new": {"description": "Short."}}


async def test_entries_of_one_transaction_have_their_own_times_in_their_order(database: Database, make: Make) -> None:
    author, ticket = await make.agent(), await make.ticket()
    async with database.transaction(Acting.system(), "test.times") as change:
        last = await newest(change.session)
        for number in range(5):
            change.session.add(Comment(ticket_id=ticket.id, author_id=author.id, content=f"{number}"))
            await change.session.flush()
        times = [entry.created_at for entry in await entries(change.session, last)]
        begin = await change.session.scalar(select(func.now()))
    assert len(times) == 5
    assert begin is not None
    assert begin < times[0]
    assert all(earlier < later for earlier, later in pairwise(times))


async def test_tags_of_a_ticket_are_recorded_with_both_ids(database: Database, make: Make) -> None:
    ticket, lead = await make.ticket(), await make.lead()
    old, new = await make.tag("old", ticket), await make.tag("new")
    async with database.transaction(Acting(user_id=lead.id), "test.tags") as change:
        last = await newest(change.session)
        loaded = await change.session.get_one(Ticket, ticket.id, options=[selectinload(Ticket.tags)])
        loaded.tags = [await change.session.get_one(Tag, new.id)]
        await change.session.flush()
        found = {entry.action: entry for entry in await entries(change.session, last)}
        given_by = await change.session.scalar(select(TicketTag.created_by_id).where(TicketTag.tag_id == new.id))
    assert found.keys() == {"CREATE", "DELETE"}
    assert found["CREATE"].record_id == f"{ticket.id},{new.id}"
    assert found["DELETE"].record_id == f"{ticket.id},{old.id}"
    assert found["CREATE"].changes["new"]["created_by_id"] == lead.id == given_by


async def test_what_a_deletion_takes_with_it_is_recorded_too(database: Database, make: Make) -> None:
    ticket, agent = await make.ticket(), await make.agent()
    await make.comment(ticket, agent, is_internal=False)
    await make.tag("gone", ticket)
    async with database.transaction(Acting.system(), "test.purge") as change:
        last = await newest(change.session)
        await change.session.execute(text(f"DELETE FROM tickets WHERE id = {ticket.id}"))
        found = [(entry.table_name, entry.action) for entry in await entries(change.session, last)]
    assert sorted(found) == [("comments", "DELETE"), ("ticket_tags", "DELETE"), ("tickets", "DELETE")]
