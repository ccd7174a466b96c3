"""How migrations run: under timeouts, inside the caller's transaction and lock, or on a connection of their own."""

import asyncio

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from admin_app.branches import CORE
from admin_app.migrations import LOCK, comparison, plugins_known
from admin_app.models import Base
from admin_app.postgres import urls
from admin_app.settings import Settings
from alembic import context

branch = context.config.attributes.get("branch", CORE)
branches = context.config.attributes.get("branches", [CORE])


def migrate(connection: Connection) -> None:
    """Run the migrations that the command asks for; a lock that is not free in time gives up instead of queueing."""
    connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    connection.execute(text("SET LOCAL statement_timeout = '30min'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    options = comparison(branch, plugins_known(connection, branches))
    context.configure(connection=connection, target_metadata=Base.metadata, **options)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_alone() -> None:
    """Connect as the owner that the settings name, for the `alembic` command."""
    owner, _ = urls(Settings.from_env())
    engine = create_async_engine(owner, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


if context.is_offline_mode():
    options = comparison(branch, [])
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()
elif "connection" in context.config.attributes:
    migrate(context.config.attributes["connection"])
else:
    asyncio.run(migrate_alone())
