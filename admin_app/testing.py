"""Fixtures for our tests and for every plugin author's: put `pytest_plugins = ["admin_app.testing"]` into conftest.py.

`database` is a real PostgreSQL database, built by the migrations, in which all that a test does is rolled back.
`live_database` is a clone of its own, for what needs real commits. `make` makes people and tickets.
"""

import hashlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import URL, event, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from starlette.applications import Starlette

from admin_app import migrations, resources
from admin_app.api.tokens import new_token
from admin_app.app import create_app
from admin_app.db import Acting, Database
from admin_app.models import Comment, Role, Tag, Ticket, TicketTag, User, UserRole
from admin_app.postgres import find_or_start
from admin_app.queries import api_tokens, users
from admin_app.registry import Registry, declare_permissions, load
from admin_app.settings import Settings
from admin_app.web.auth import token_hash
from admin_app.web.context import TOKEN_FIELD, Desk

SERVER_VARIABLE = "BACKDESK_TEST_DATABASE_URL"
"""Names a PostgreSQL server to test on, as its owner; unset, a local one is started for the run."""

UNHURRIED = ("fsync", "full_page_writes", "synchronous_commit")
"""What a server does so that nothing is lost when the machine stops; one that is thrown away can leave it."""

RELOAD = "--command=SELECT pg_reload_conf()"


@pytest.fixture(scope="session")
def server_url() -> Iterator[URL]:
    """The owner's URL of a PostgreSQL server on which databases can be made."""
    settings = Settings.from_env()
    if given := os.environ.get(SERVER_VARIABLE):
        yield make_url(given).set(drivername="postgresql+asyncpg")
        return
    with tempfile.TemporaryDirectory(prefix="backdesk-tests-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # where root runs the tests, the server is another user's and must get in
        server = find_or_start(Path(folder), settings.pg_bindir)
        server.run("psql", *(f"--command=ALTER SYSTEM SET {name} = off" for name in UNHURRIED), RELOAD)
        yield server.owner_url
        server.stop()


@asynccontextmanager
async def administration(url: URL) -> AsyncIterator[AsyncConnection]:
    """A connection outside transactions, for making and dropping databases."""
    engine = create_async_engine(url.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


@asynccontextmanager
async def scratch_database(server: URL, template: str | None = None) -> AsyncIterator[URL]:
    """A database of its own, dropped afterwards: empty, or a clone of another that nobody is connected to."""
    name = f"test_{uuid4().hex[:12]}"
    source = f"TEMPLATE {template} STRATEGY wal_log" if template else ""
    async with administration(server) as connection:
        await connection.execute(text(f"CREATE DATABASE {name} {source}"))
        try:
            yield server.set(database=name)
        finally:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The plugins that the settings name, and the desk's own resources."""
    return load(Settings.from_env(), core=[resources.plugin])


@pytest_asyncio.fixture(scope="session")
async def template_url(server_url: URL, registry: Registry) -> AsyncIterator[URL]:
    """A database built by the migrations of core and plugins, from which others are cloned; nobody works in it."""
    async with scratch_database(server_url) as url:
        await migrations.upgrade(url, plugins=registry.branches())
        yield url


@pytest_asyncio.fixture
async def live_url(server_url: URL, template_url: URL) -> AsyncIterator[URL]:
    """The owner's URL of a database of this test's own, with the schema in place."""
    async with scratch_database(server_url, template_url.database) as url:
        yield url


@pytest_asyncio.fixture
async def live_database(live_url: URL) -> AsyncIterator[Database]:
    """A database of this test's own, in which transactions really commit; used in the application's role."""
    database = Database.connect(live_url)
    yield database
    await database.close()


@pytest_asyncio.fixture(scope="session")
async def shared_database(server_url: URL, template_url: URL, registry: Registry) -> AsyncIterator[Database]:
    """The database that tests share; use `database`, which puts each test inside a transaction."""
    async with scratch_database(server_url, template_url.database) as url:
        database = Database.connect(url)
        await declare_permissions(database, registry)
        yield database
        await database.close()


@pytest_asyncio.fixture
async def database(shared_database: Database) -> AsyncIterator[Database]:
    """A database in which everything, the application's own commits included, is rolled back after the test.

    A connection's plans go with the test: those that were made when a table was empty would read every row that other
    tests have left dead in it since, once for each new row that refers to it.
    """
    engine = shared_database.bind
    assert isinstance(engine, AsyncEngine)
    async with engine.connect() as connection:
        transaction = await connection.begin()
        await connection.execute(text("DISCARD PLANS"))
        shared_database.bind = connection
        yield shared_database
        shared_database.bind = engine
        await transaction.rollback()


@dataclass
class Make:
    """Makes people, tickets, comments and tags for a test, each in a change set of its own."""

    database: Database
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    async def save(self, record: Any) -> Any:
        """Store any new record and give it back with its id."""
        async with self.database.transaction(Acting.system(), "test.make") as change:
            change.session.add(record)
            await change.session.flush()
            await change.session.refresh(record)
        return record

    async def user(self, *roles: str, **facts: Any) -> User:
        """A person, with roles by their names."""
        number = next(self.numbers)
        defaults = {"email": f"person{number}@example.com", "full_name": f"Person {number}"}
        user: User = await self.save(User(**{**defaults, **facts}))
        async with self.database.transaction(Acting.system(), "test.make") as change:
            ids = (await change.session.scalars(select(Role.id).where(Role.name.in_(roles)))).all()
            change.session.add_all(UserRole(user_id=user.id, role_id=role_id) for role_id in ids)
        return user

    async def agent(self, *roles: str, **facts: Any) -> User:
        """A member of staff, with the role agent unless others are named."""
        return await self.user(*(roles or ("agent",)), is_staff=True, **facts)

    async def lead(self, **facts: Any) -> User:
        """A member of staff who leads the desk."""
        return await self.agent("lead", **facts)

    async def customer(self, **facts: Any) -> User:
        """A person who asks."""
        return await self.user(**facts)

    async def ticket(self, **facts: Any) -> Ticket:
        """A ticket, of a new customer unless `creator_id` is given."""
        if "creator_id" not in facts:
            facts["creator_id"] = (await self.customer()).id
        defaults = {"title": f"Ticket {next(self.numbers)}", "description": "Something does not work."}
        ticket: Ticket = await self.save(Ticket(**{**defaults, **facts}))
        return ticket

    async def comment(self, ticket: Ticket, author: User, content: str = "A comment.", **facts: Any) -> Comment:
        """A comment on a ticket; internal unless `is_internal=False`."""
        comment: Comment = await self.save(Comment(ticket_id=ticket.id, author_id=author.id, content=content, **facts))
        return comment

    async def tag(self, name: str, *tickets: Ticket, **facts: Any) -> Tag:
        """A tag, given to tickets."""
        tag: Tag = await self.save(Tag(name=name, **facts))
        for ticket in tickets:
            await self.save(TicketTag(ticket_id=ticket.id, tag_id=tag.id))
        return tag


@pytest.fixture
def make(database: Database) -> Make:
    """Makes people and tickets in `database`."""
    return Make(database)


@pytest.fixture
def make_live(live_database: Database) -> Make:
    """Makes people and tickets in `live_database`."""
    return Make(live_database)


class Browser(httpx.AsyncClient):
    """A browser without a screen, at the desk's door; `post` carries the token of the form as a page of ours would."""

    def __init__(self, app: Starlette, desk: Desk) -> None:
        super().__init__(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://localhost")
        self.desk = desk
        self.actor: User | None = None

    async def sign_in(self, user: User) -> Self:
        """Sign somebody in, without the password."""
        secret = secrets.token_urlsafe(32)
        until = datetime.now(UTC) + timedelta(hours=1)
        async with self.desk.database.transaction(Acting(user_id=user.id), "session.sign_in") as change:
            await users.open_session(change.session, user.id, token_hash(secret), until)
        self.cookies.set(self.desk.session_cookie, secret, domain="localhost.local")
        self.actor = user
        return self

    @property
    def token(self) -> str:
        """The form token of whoever is signed in."""
        cookie = next((c.value for c in self.cookies.jar if c.name == self.desk.session_cookie), "") or ""
        return self.desk.form_signer.dumps(hashlib.sha256(cookie.encode()).hexdigest()[:24])

    async def submit(self, url: str, data: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
        """Post a form of ours."""
        return await self.post(url, data={TOKEN_FIELD: self.token, **(data or {})}, **options)


@pytest.fixture(scope="session")
def shared_app(shared_database: Database, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Starlette:
    """The whole application on the database that tests share."""
    folder = tmp_path_factory.mktemp("data")
    settings = replace(Settings.from_env(), data_dir=folder, secret_key="a secret for tests only, of 32+ characters")
    return create_app(settings, shared_database, registry)


@pytest_asyncio.fixture
async def browser(shared_app: Starlette, database: Database) -> AsyncIterator[Browser]:
    """A browser in which nobody is signed in."""
    async with Browser(shared_app, shared_app.state.desk) as made:
        yield made


@pytest_asyncio.fixture
async def client(browser: Browser, make: Make) -> Browser:
    """A browser in which a lead is signed in."""
    return await browser.sign_in(await make.lead(full_name="Lena Lead"))


class Script(httpx.AsyncClient):
    """A script at the API's door, which sends its token with every request and knows no cookie."""

    def __init__(self, app: Starlette, desk: Desk) -> None:
        super().__init__(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://localhost")
        self.desk = desk
        self.actor: User | None = None

    async def act_as(self, user: User, *, days: float = 90) -> Self:
        """Send a new token of this person from now on."""
        secret = new_token()
        async with self.desk.database.transaction(Acting.system(), "api_token.create") as change:
            await api_tokens.create(change.session, user.id, token_hash(secret), "test", timedelta(days=days))
        self.headers["authorization"] = f"Bearer {secret}"
        self.actor = user
        return self


@pytest_asyncio.fixture
async def api(shared_app: Starlette, database: Database, make: Make) -> AsyncIterator[Script]:
    """A script that acts as a lead."""
    async with Script(shared_app, shared_app.state.desk) as made:
        yield await made.act_as(await make.lead(full_name="Lena Lead"))


Statements = Callable[[Database], AbstractContextManager[list[str]]]


@pytest.fixture
def statements() -> Statements:
    """`with statements(database) as seen:` collects every SQL statement sent meanwhile, a test's savepoints aside."""

    @contextmanager
    def collect(database: Database) -> Iterator[list[str]]:
        seen: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
                seen.append(statement)

        binds: list[Any] = [engine.sync_engine for engine in database.engines]
        if isinstance(database.bind, AsyncConnection):
            binds = [database.bind.sync_connection]
        for bind in binds:
            event.listen(bind, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            for bind in binds:
                event.remove(bind, "before_cursor_execute", note)

    return collect
