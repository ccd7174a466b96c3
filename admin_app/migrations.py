"""Bringing a database to the state of the code: migrations of core and plugins, triggers, and the two roles."""

from collections.abc import Iterable, Sequence

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Connection, Table, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_app import queue, triggers
from admin_app.branches import CORE, ENVIRONMENT, Branch, missing, owner, pending
from admin_app.models import AuditLog, Base, ChangeSet, Instant, TicketSearch, TicketStatusEvent, User
from admin_app.settings import APP_ROLE
from alembic import command

LOCK = 7_223_155_001
"""The advisory lock under which upgrades run one after another, whoever starts them."""

READ_ONLY = {AuditLog.__tablename__, TicketStatusEvent.__tablename__, TicketSearch.__tablename__}
"""Tables that the application may only read; the database itself writes them."""

CLOSING_COLUMNS = "state, changed, unchanged, failed, skipped, problem, progressed_at, finished_at"
"""What the application may change of a change set once it is written: how it went."""


async def upgrade(owner_url: URL, app_url: URL | None = None, plugins: Sequence[Branch] = ()) -> list[str]:
    """Run every pending migration, renew triggers, and set up the roles; returns what was done, as lines.

    `app_url` names the login of the application: it becomes a member of the application's role.
    """
    branches = [CORE, *plugins]
    async with owner(owner_url) as connection, connection.begin():
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        await _create_role(connection, app_url)
        lines = [await connection.run_sync(_upgrade, branch, branches) for branch in branches]
        await triggers.install(connection)
        lines += await _install_trigrams(connection)
        await queue.install(connection)
        await _grant(connection)
        return lines


async def check(owner_url: URL, plugins: Sequence[Branch] = ()) -> list[str]:
    """What differs between the database and the code, as sentences; empty when nothing does."""
    branches = [CORE, *plugins]
    async with owner(owner_url) as connection:
        if problems := await pending(connection, branches):
            return problems
        problems = [line for branch in branches for line in await connection.run_sync(_differences, branch, branches)]
        return problems or await missing(connection)


TRIGRAMS = "ix_search_words_trigrams"
"""An index that no model tells of, because not every server can have it."""


async def _install_trigrams(connection: AsyncConnection) -> list[str]:
    """What finds words that are spelled alike; a sentence where the owner may not have it, and search goes without."""
    try:
        async with connection.begin_nested():
            await connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public"))
            index = f"CREATE INDEX IF NOT EXISTS {TRIGRAMS} ON search_words USING gin (word gin_trgm_ops)"
            await connection.execute(text(index))
    except DBAPIError:
        what = "search: misspelled words are not corrected, because the extension pg_trgm is missing here."
        return [f"{what} Let an administrator run CREATE EXTENSION pg_trgm, then `backdesk db upgrade`."]
    return []


def configured(branch: Branch, connection: Connection, branches: Sequence[Branch]) -> Config:
    """Alembic's settings: the core's environment, and a branch's own revisions."""
    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT).replace("%", "%%"))
    config.set_main_option("version_locations", str(branch.location).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, branch=branch, branches=branches)
    return config


def _upgrade(connection: Connection, branch: Branch, branches: Sequence[Branch]) -> str:
    before = _revision(connection, branch)
    command.upgrade(configured(branch, connection, branches), "head")
    after = _revision(connection, branch)
    name = branch.name or "core"
    return f"{name}: {before or 'nothing'} → {after}" if before != after else f"{name}: up to date at {after}"


def _differences(connection: Connection, branch: Branch, branches: Sequence[Branch]) -> list[str]:
    name, options = branch.name or "core", comparison(branch, plugins_known(connection, branches))
    context = MigrationContext.configure(connection, opts=options)
    return [f"{name}: models and migrations differ: {change}" for change in compare_metadata(context, Base.metadata)]


def plugins_known(connection: Connection, branches: Sequence[Branch]) -> set[str]:
    """The plugins that have tables: those that are loaded, and those that were once and left their tables behind."""
    beginning = f"{CORE.version_table}_"
    tables = inspect(connection).get_table_names()
    left = {table.removeprefix(beginning) for table in tables if table.startswith(beginning)}
    return left | {branch.name for branch in branches if branch.name}


def comparison(branch: Branch, plugins: Iterable[str]) -> dict[str, object]:
    """Options with which Alembic compares one branch's tables, and only those, with the models."""

    def include(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or (branch.owns(name or "", plugins) and not (name or "").startswith("alembic_version"))

    def render(kind: str, item: object, context: object) -> str | bool:
        return "sa.DateTime(timezone=True)" if isinstance(item, Instant) else False

    def include_object(item: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
        return name != TRIGRAMS and (not isinstance(item, Table) or branch.owns(item.name, plugins))

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


_MAKE_ROLE = f"""
DO $$ BEGIN
  CREATE ROLE {APP_ROLE} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END $$"""
"""Roles belong to the whole server, on which another database may be upgraded at the same moment."""


async def _create_role(connection: AsyncConnection, app_url: URL | None) -> None:
    """Make the application's role where it is missing, and let the application's login act as it."""
    exists = await connection.scalar(text("SELECT true FROM pg_roles WHERE rolname = :role"), {"role": APP_ROLE})
    if not exists:
        await connection.execute(text(_MAKE_ROLE))
    login = app_url.username if app_url else None
    member = text("SELECT pg_has_role(rolname, :role, 'MEMBER') FROM pg_roles WHERE rolname = :login")
    if login and not await connection.scalar(member, {"role": APP_ROLE, "login": login}):
        quoted = connection.dialect.identifier_preparer.quote(login)
        await connection.execute(text(f"GRANT {APP_ROLE} TO {quoted}"))


async def _grant(connection: AsyncConnection) -> None:
    """Give the application's role exactly what it needs: no DDL, no change of the audit log, no deletion of people.

    What acts as the owner may be called by nobody else.
    """
    tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
    await connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}"))
    await connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {APP_ROLE}"))
    await connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE}"))
    for table in tables:
        await connection.execute(text(f'GRANT {_rights(table)} ON "{table}" TO {APP_ROLE}'))
    await connection.execute(text(f"GRANT USAGE ON SCHEMA {queue.SCHEMA} TO {APP_ROLE}"))
    work = f"SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {queue.SCHEMA}"
    await connection.execute(text(f"GRANT {work} TO {APP_ROLE}"))
    await connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {queue.SCHEMA} TO {APP_ROLE}"))
    for function in (function for function in triggers.functions() if function.definer):
        await connection.execute(text(f"REVOKE ALL ON FUNCTION {function.signature} FROM PUBLIC"))
        await connection.execute(text(f"GRANT EXECUTE ON FUNCTION {function.signature} TO {APP_ROLE}"))


def _rights(table: str) -> str:
    if table in READ_ONLY or table.startswith("alembic_version"):
        return "SELECT"
    if table == ChangeSet.__tablename__:
        return f"SELECT, INSERT, UPDATE ({CLOSING_COLUMNS})"
    if table == User.__tablename__:
        return "SELECT, INSERT, UPDATE"
    return "SELECT, INSERT, UPDATE, DELETE"
