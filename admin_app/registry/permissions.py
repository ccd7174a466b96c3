"""Making known what can be permitted, from whichever door comes first."""

from admin_app.db import Acting, Database
from admin_app.models import Door
from admin_app.queries import users
from admin_app.registry.offers import Registry


async def declare_permissions(database: Database, registry: Registry) -> None:
    """Make permissions that are seen for the first time known, and grant them to their default roles."""
    async with database.read() as session:
        new = await users.undeclared(session, registry.permissions())
    if not new:
        return
    async with database.transaction(Acting.system(Door.CODE), "permission.declare") as change:
        change.counts.changed = await users.declare_permissions(change.session, new)
