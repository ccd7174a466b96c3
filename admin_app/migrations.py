"""Bringing a database to the state of the code: migrations of core and plugins, triggers, and the two roles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Table, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from admin_app import triggers
from admin_app.models import AuditLog, Base, ChangeSet, Instant, TicketSearch, TicketStatusEvent, User
from admin_app.settings import APP_ROLE
from alembic import command

LOCK = 7_223_155_001
"""The advisory lock under which upgrades run one after another, whoever starts them."""

READ_ONLY = {AuditLog.__tablename__, TicketStatusEvent.__tablename__, TicketSearch.__tablename__}
"""Tables that the application may only read; the database itself writes them."""

CLOSING_COLUMNS = "state, changed, unchanged, failed, skipped, finished_at"
"""What the application may change of a change set once it is written: how it went."""


@dataclass(frozen=True)
class Branch:
    """A line of migrations with its own version table: the core's, or a plugin's under the plugin's name."""

    name: str | None
    location: Path

    @property
    def version_table(self) -> str:
        return f"alembic_version_{self.name}" if self.name else "alembic_version"

    def owns(self, table: str, others: Sequence[str]) -> bool:
        """Whether a table belongs to this branch; plugins' tables begin with the plugin's name."""
        if self.name:
            return table.startswith(f"{self.name}_")
        return not any(table.startswith(f"{name}_") for name in others)

    def config(self, connection: Connection, branches: Sequence["Branch"]) -> Config:
        config = Config()
        config.set_main_option("script_location", str(self.location).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes.update(connection=connection, branch=self, others=[b.name for b in branches if b.name])
        return config


def _core_location() -> Path:
    package = Path(__file__).parent
    packaged = package / "_alembic"
    return packaged if packaged.is_dir() else package.parent / "alembic"


CORE = Branch(None, _core_location())


async def upgrade(owner_url: URL, app_url: URL | None = None, plugins: Sequence[Branch] = ()) -> list[str]:
    """Run every pending migration, renew triggers, and set up the roles; returns what was done, as lines.

    `app_url` names the login of the application: it becomes a member of the application's role.
    """
    engine = create_async_engine(owner_url, poolclass=NullPool)
    branches = [CORE, *plugins]
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            await _create_role(connection, app_url)
            lines = [await connection.run_sync(_upgrade, branch, branches) for branch in branches]
            await triggers.install(connection)
            await _grant(connection)
            return lines
    finally:
        await engine.dispose()


async def check(owner_url: URL, plugins: Sequence[Branch] = ()) -> list[str]:
    """What differs between the database and the code, as sentences; empty when nothing does."""
    engine = create_async_engine(owner_url, poolclass=NullPool)
    branches = [CORE, *plugins]
    try:
        async with engine.connect() as connection:
            problems = [line for branch in branches for line in await connection.run_sync(_check, branch, branches)]
            return problems or await triggers.missing(connection)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, branch: Branch, branches: Sequence[Branch]) -> str:
    before = _revision(connection, branch)
    command.upgrade(branch.config(connection, branches), "head")
    after = _revision(connection, branch)
    name = branch.name or "core"
    return f"{name}: {before or 'nothing'} → {after}" if before != after else f"{name}: up to date at {after}"


def _check(connection: Connection, branch: Branch, branches: Sequence[Branch]) -> list[str]:
    name, current = branch.name or "core", _revision(connection, branch)
    head = ScriptDirectory.from_config(branch.config(connection, branches)).get_current_head()
    if current != head:
        return [f"{name}: the database is at {current or 'nothing'}, the code at {head}. Run `backdesk db upgrade`."]
    context = MigrationContext.configure(connection, opts=comparison(branch, [b.name for b in branches if b.name]))
    return [f"{name}: models and migrations differ: {change}" for change in compare_metadata(context, Base.metadata)]


def comparison(branch: Branch, others: Sequence[str]) -> dict[str, object]:
    """Options with which Alembic compares one branch's tables, and only those, with the models."""

    def include(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or (branch.owns(name or "", others) and not (name or "").startswith("alembic_version"))

    def render(kind: str, item: object, context: object) -> str | bool:
        return "sa.DateTime(timezone=True)" if isinstance(item, Instant) else False

    def include_object(item: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
        return not isinstance(item, Table) or branch.owns(item.name, others)

    return {
        "version_table": branch.version_table,
        "compare_type": True,
        "compare_server_default": True,
        "include_name": include,
        "include_object": include_object,
        "render_item": render,
    }


def _revision(connection: Connection, branch: Branch) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": branch.version_table}).get_current_revision()


async def _create_role(connection: AsyncConnection, app_url: URL | None) -> None:
    """Make the application's role where it is missing, and let the application's login act as it."""
    exists = await connection.scalar(text("SELECT true FROM pg_roles WHERE rolname = :role"), {"role": APP_ROLE})
    if not exists:
        await connection.execute(text(f"CREATE ROLE {APP_ROLE} NOLOGIN"))
    login = app_url.username if app_url else None
    if login and login != APP_ROLE:
        quoted = connection.dialect.identifier_preparer.quote(login)
        await connection.execute(text(f"GRANT {APP_ROLE} TO {quoted}"))


async def _grant(connection: AsyncConnection) -> None:
    """Give the application's role exactly what it needs: no DDL, no change of the audit log, no deletion of people."""
    tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
    await connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}"))
    await connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {APP_ROLE}"))
    await connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE}"))
    for table in tables:
        await connection.execute(text(f'GRANT {_rights(table)} ON "{table}" TO {APP_ROLE}'))


def _rights(table: str) -> str:
    if table in READ_ONLY or table.startswith("alembic_version"):
        return "SELECT"
    if table == ChangeSet.__tablename__:
        return f"SELECT, INSERT, UPDATE ({CLOSING_COLUMNS})"
    if table == User.__tablename__:
        return "SELECT, INSERT, UPDATE"
    return "SELECT, INSERT, UPDATE, DELETE"
