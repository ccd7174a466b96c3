"""Making the views that resources bring along, from whichever door comes first."""

from admin_app.db import Acting, Database
from admin_app.models import Door, SavedView
from admin_app.queries import saved_views
from admin_app.registry.offers import Registry


async def ship_views(database: Database, registry: Registry) -> None:
    """Make views that are seen for the first time; those that somebody changed or deleted stay as they are."""
    offered = {
        f"{resource.name}.{view.name}": SavedView(
            resource=resource.name, name=view.name, query=view.query, icon=view.icon
        )
        for resource in registry.resources.values()
        for view in resource.views
    }
    async with database.read() as session:
        new = await saved_views.unshipped(session, offered)
    if not new:
        return
    async with database.transaction(Acting.system(Door.CODE), "saved_view.ship") as change:
        change.counts.changed = await saved_views.ship(change.session, {name: offered[name] for name in new})
