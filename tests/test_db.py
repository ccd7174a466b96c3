"""Database: who acts, what is kept of it, and what a person is told when the database says no."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import URL, func, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from admin_app.db import Acting, Database
from admin_app.errors import (
    BackdeskError,
    BadInput,
    ChangedMeanwhile,
    Conflict,
    NobodyActing,
    TooSlow,
    Unavailable,
)
from admin_app.models import ActorKind, AuditLog, Base, ChangeSet, ChangeSetState, Door, Tag, Throttle, Ticket, User
from admin_app.postgres import find_or_start
from admin_app.settings import Settings
from admin_app.testing import Make

MARK = "xyzzy"
"""Put into every value that the database refuses, to see whether it comes back in the answer."""


async def count(database: Database, model: Any) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def add_tag(opened: AbstractAsyncContextManager[AsyncSession]) -> None:
    """Try to change an audited table in a session that is not for that."""
    async with opened as session:
        session.add(Tag(name="a"))
        await session.flush()


async def change(database: Database, *statements: Any, error: BaseException | None = None) -> None:
    """Run statements in a change set, and then meet an error."""
    async with database.transaction(Acting.system(), "test.change") as change:
        for statement in statements:
            await change.session.execute(statement)
        if error:
            raise error


@pytest_asyncio.fixture
async def lone(live_url: URL) -> AsyncIterator[Database]:
    """A database with one connection, so that whoever comes next gets the one that was used last."""
    database = Database.connect(live_url, Settings(pool_size=1))
    yield database
    await database.close()


async def test_a_session_for_reading_cannot_write(live_database: Database) -> None:
    with pytest.raises(NobodyActing, match="outside a change set"):
        async with live_database.read() as session:
            await session.execute(insert(Throttle).values(key="a", arrival=func.now()))
    with pytest.raises(NobodyActing):
        await add_tag(live_database.read())
    assert await count(live_database, Tag) == await count(live_database, Throttle) == 0


async def test_a_change_set_keeps_who_did_what_why_and_how_many_rows_it_touched(
    live_database: Database, make_live: Make
) -> None:
    ana = (await make_live.user()).id
    acting = Acting(
        user_id=ana,
        door=Door.API,
        reason="Because.",
        reference="CASE-1",
        request_id="r1",
        address="::1",
        user_agent="b" * 900,
    )
    at = datetime(2026, 1, 2, tzinfo=UTC)
    async with live_database.transaction(acting, "test.do", parameters={"at": at}, idempotency_key="k") as change:
        change.session.add(Tag(name="urgent"))
        change.counts.changed, change.counts.unchanged, change.counts.failed = 1, 2, 3
        change.counts.skipped = {"closed": 4}
    async with live_database.read() as session:
        kept = await session.get_one(ChangeSet, change.id)
        entry = (await session.scalars(select(AuditLog).where(AuditLog.change_set_id == change.id))).one()
    assert (kept.user_id, kept.actor_kind, kept.action, kept.door) == (ana, ActorKind.USER, "test.do", Door.API)
    assert (kept.reason, kept.reference, kept.request_id, kept.address) == ("Because.", "CASE-1", "r1", "::1")
    assert kept.user_agent == "b" * 400
    assert kept.parameters == {"at": str(at)}
    assert (kept.state, kept.changed, kept.unchanged, kept.failed) == (ChangeSetState.COMPLETED, 1, 2, 3)
    assert kept.skipped == {"closed": 4}
    assert kept.finished_at is not None
    assert kept.started_at < kept.finished_at
    assert (entry.user_id, entry.actor_kind, entry.request_id, entry.reason) == (ana, "user", "r1", "Because.")
    assert entry.database_user is None


@pytest.mark.parametrize("error", [RuntimeError("no"), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_an_error_undoes_the_whole_transaction_with_its_change_set(
    live_database: Database, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        await change(live_database, insert(Tag).values(name="a"), error=error)
    for model in (Tag, ChangeSet, AuditLog):
        assert await count(live_database, model) == 0


async def test_what_is_only_added_to_the_session_is_flushed_before_the_change_set_closes(
    live_database: Database,
) -> None:
    async with live_database.transaction(Acting.system(), "test.add") as change:
        change.session.add(Tag(name="a"))
    async with live_database.read() as session:
        assert await session.scalar(select(AuditLog.change_set_id)) == change.id


async def test_bookkeeping_writes_what_is_not_audited_and_nothing_else(live_database: Database) -> None:
    async with live_database.bookkeeping() as session:
        session.add(Throttle(key="sign-in", arrival=datetime.now(UTC)))
    assert await count(live_database, Throttle) == 1
    with pytest.raises(NobodyActing):
        await add_tag(live_database.bookkeeping())
    assert await count(live_database, Tag) == 0
    async with live_database.transaction(Acting.system(), "test.add") as change:
        change.session.add(Tag(name="a"))
    with pytest.raises(NobodyActing):
        async with live_database.bookkeeping() as session:
            await session.execute(update(Tag).values(name="b"))


async def test_who_acted_is_forgotten_before_the_connection_is_used_again(lone: Database) -> None:
    settings = ("change_set_id", "user_id", "actor_kind", "request_id", "reason")
    asked = select(*(func.coalesce(func.current_setting(f"app.{name}", True), "") for name in settings))
    async with lone.transaction(Acting.system(reason="a", request_id="r"), "test.first") as change:
        first = await change.session.scalar(select(func.pg_backend_pid()))
        during = (await change.session.execute(asked)).one()
    assert tuple(during) == (str(change.id), "", "system", "r", "a")
    with pytest.raises(RuntimeError):
        async with lone.transaction(Acting.system(reason="b"), "test.second"):
            raise RuntimeError
    async with lone.read() as session:
        assert await session.scalar(select(func.pg_backend_pid())) == first
        assert set((await session.execute(asked)).one()) == {""}
    with pytest.raises(NobodyActing):
        await add_tag(lone.bookkeeping())


async def test_after_a_change_set_nobody_acts_even_inside_one_outer_transaction(database: Database) -> None:
    async with database.transaction(Acting.system(), "test.change") as change:
        change.session.add(Tag(name=MARK))
    with pytest.raises(NobodyActing):
        await add_tag(database.bookkeeping())


async def test_sixty_at_once_are_never_mistaken_for_each_other(live_database: Database, make_live: Make) -> None:
    people = [(await make_live.user()).id for _ in range(60)]

    async def work(user_id: int) -> None:
        acting = Acting(user_id=user_id, reason=f"reason {user_id}", request_id=f"request {user_id}")
        async with live_database.transaction(acting, "test.at_once") as change:
            await change.session.execute(insert(Tag).values(name=f"by {user_id}"))
            await change.session.execute(update(Tag).where(Tag.name == f"by {user_id}").values(color="#000000"))

    await asyncio.gather(*(work(user_id) for user_id in people))
    async with live_database.read() as session:
        named = {tag.id: tag.name for tag in await session.scalars(select(Tag))}
        entries = (await session.scalars(select(AuditLog).where(AuditLog.table_name == "tags"))).all()
        owners = dict((await session.execute(select(ChangeSet.id, ChangeSet.user_id))).all())
    assert len(entries) == 120
    for entry in entries:
        assert named[int(entry.record_id)] == f"by {entry.user_id}"
        assert (entry.reason, entry.request_id) == (f"reason {entry.user_id}", f"request {entry.user_id}")
        assert owners[entry.change_set_id or 0] == entry.user_id


async def test_a_snapshot_does_not_see_what_is_committed_meanwhile(live_database: Database) -> None:
    async with live_database.read(snapshot=True) as snapshot, live_database.read() as reading:
        assert await snapshot.scalar(select(func.count(Tag.id))) == 0
        async with live_database.transaction(Acting.system(), "test.tag") as change:
            change.session.add(Tag(name="a"))
        assert await snapshot.scalar(select(func.count(Tag.id))) == 0
        assert await reading.scalar(select(func.count(Tag.id))) == 1


async def test_somebody_who_saves_an_outdated_copy_is_told_so(live_database: Database, make_live: Make) -> None:
    ticket = await make_live.ticket()
    async with live_database.read() as session:
        outdated = await session.get_one(Ticket, ticket.id)
    async with live_database.transaction(Acting.system(), "test.edit") as change:
        (await change.session.get_one(Ticket, ticket.id)).title = "First"
    outdated.title = "Second"
    with pytest.raises(ChangedMeanwhile, match="Somebody else saved this record"):
        async with live_database.transaction(Acting.system(), "test.edit") as edit:
            edit.session.add(outdated)
    async with live_database.read() as session:
        assert await session.scalar(select(Ticket.title)) == "First"


def person(**facts: Any) -> User:
    return User(**{"email": "a@example.com", "full_name": MARK, **facts})


REFUSED: dict[str, tuple[Any, type[BackdeskError], str]] = {
    "nul": (person(full_name=f"{MARK}\x00"), BadInput, "A text holds a character that cannot be stored."),
    "nul in json": (
        text(f"""INSERT INTO outbox (kind, payload) VALUES ('a', '"{MARK}\\u0000"')"""),
        BadInput,
        "A value has a form that cannot be stored.",
    ),
    "too long": (Tag(name=MARK * 100), BadInput, "A text is longer than there is room for."),
    "missing": (User(email="a@example.com"), BadInput, "A value that is needed is missing."),
    "foreign key": (
        Ticket(title=MARK, description="d", creator_id=999),
        Conflict,
        "This refers to a record that does not exist, or other records still refer to this one.",
    ),
    "unique, with a sentence of its own": (
        person(email="There@example.com"),
        Conflict,
        "Somebody with this e-mail address is already here.",
    ),
    "unique": (
        person(external_id="there"),
        Conflict,
        "Another record already has this value, and it must be unique.",
    ),
    "check, with a sentence of its own": (
        Tag(name=MARK, color="reddish"),
        BadInput,
        "A colour is written like #1f6feb.",
    ),
    "check": (Tag(name=f" {MARK}"), BadInput, "A value breaks a rule of the desk."),
    "overflow in the database": (
        text("INSERT INTO outbox (kind, attempts) VALUES ('xyzzy', 2::bigint ^ 40)"),
        BadInput,
        "A number is larger than there is room for.",
    ),
    "overflow in the driver": (
        Ticket(title=MARK, description="d", creator_id=2**63),
        BadInput,
        "A value has a form that cannot be stored.",
    ),
    "not a number": (text(f"SELECT '{MARK}'::int"), BadInput, "A value has a form that cannot be stored."),
    "primary key": (
        text("UPDATE users SET id = 77 WHERE external_id = 'there'"),
        BadInput,
        "The id of a record cannot be changed.",
    ),
    "no right": (text("DELETE FROM users"), BackdeskError, "Something went wrong that we did not foresee."),
    "no such table": (
        text(f"SELECT * FROM {MARK}"),
        Unavailable,
        "The database does not fit this version of Backdesk. Run `backdesk db upgrade`.",
    ),
    "time is up": (
        text("SELECT pg_sleep(20)"),
        TooSlow,
        "The database took too long for this. Narrow it down and try again.",
    ),
    "deadlock": (
        text(f"DO $$ BEGIN RAISE '{MARK}' USING ERRCODE = '40P01'; END $$"),
        Unavailable,
        "Somebody else was changing the same records at the same moment. Please try again.",
    ),
    "no free connection": (
        text(f"DO $$ BEGIN RAISE '{MARK}' USING ERRCODE = '53300'; END $$"),
        Unavailable,
        "The database has no free connection. Please try again.",
    ),
    "disk full": (
        text(f"DO $$ BEGIN RAISE '{MARK}' USING ERRCODE = '53100'; END $$"),
        Unavailable,
        "The database does not answer in time. Please try again.",
    ),
    "anything else": (
        text(f"DO $$ BEGIN RAISE '{MARK}'; END $$"),
        BackdeskError,
        "Something went wrong that we did not foresee.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_the_database_refuses_is_told_in_a_sentence_without_its_words(database: Database, name: str) -> None:
    deed, kind, sentence = REFUSED[name]
    async with database.transaction(Acting.system(), "test.there") as there:
        there.session.add(User(email="there@example.com", full_name="There", external_id="there"))
    with pytest.raises(BackdeskError) as refused:
        await attempt(database, deed)
    error = refused.value
    assert (type(error), error.message) == (kind, sentence)
    for secret in (MARK, "users", "tickets", "tags", "uq_", "ck_", "INSERT", "SELECT", "asyncpg", "sqlalchemy"):
        assert secret not in error.message


async def attempt(database: Database, deed: Any) -> None:
    async with database.transaction(Acting.system(), "test.refused") as attempted:
        await attempted.session.execute(text("SET LOCAL statement_timeout = '300ms'"))
        if isinstance(deed, Base):
            attempted.session.add(deed)
        else:
            await attempted.session.execute(deed)


async def test_whoever_waits_too_long_for_a_locked_row_is_asked_to_try_again(
    live_database: Database, make_live: Make
) -> None:
    ticket = await make_live.ticket()
    async with live_database.transaction(Acting.system(), "test.first") as first:
        await first.session.execute(update(Ticket).values(title="First"))
        with pytest.raises(Unavailable, match="at the same moment"):
            await change(live_database, text("SET LOCAL lock_timeout = '50ms'"), update(Ticket).values(title="Second"))
    async with live_database.read() as session:
        assert (await session.get_one(Ticket, ticket.id)).title == "First"


async def test_an_error_of_the_operating_system_in_the_work_itself_is_not_blamed_on_the_database(
    live_database: Database, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        async with live_database.transaction(Acting.system(), "test.file"):
            (tmp_path / "missing").read_bytes()


async def test_a_wrong_password_or_database_is_told_as_such(live_url: URL) -> None:
    database = Database.connect(live_url.set(database="nothing_of_this_name"))
    with pytest.raises(Unavailable, match=r"does not let Backdesk in\. Check DATABASE_URL"):
        async with database.read() as session:
            await session.execute(select(1))
    await database.close()


async def test_a_pool_that_is_used_up_is_told_as_such(live_url: URL) -> None:
    database = Database.connect(live_url, Settings(pool_size=1))
    assert isinstance(database.bind, AsyncEngine)
    database.bind.pool._timeout = 0.05  # type: ignore[attr-defined]
    async with database.read():
        with pytest.raises(Unavailable, match="every database connection is in use"):
            async with database.read():
                pass
    await database.close()


async def test_a_database_that_was_stopped_is_unavailable_and_comes_back() -> None:
    with tempfile.TemporaryDirectory(prefix="backdesk-stopped-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        await asyncio.to_thread(
            folder.chmod, 0o711
        )  # where root runs the tests, the server is another user's and must get in
        bindir = Settings.from_env().pg_bindir
        server = find_or_start(folder, bindir)
        database = Database.connect(server.app_url, Settings(pool_size=1))
        try:
            assert await answer(database) == 42
            server.stop()
            with pytest.raises(Unavailable, match="does not answer"):
                await answer(database)
            with pytest.raises(Unavailable, match="does not answer"):
                async with database.transaction(Acting.system(), "test.stopped"):
                    raise AssertionError("a transaction began without a database")
            find_or_start(folder, bindir)
            assert await answer(database) == 42
        finally:
            await database.close()
            server.stop()


async def answer(database: Database) -> int | None:
    async with database.read() as session:
        return await session.scalar(select(literal(42)))
