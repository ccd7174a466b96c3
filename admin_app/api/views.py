"""Saved views for scripts: which there are, what they ask for, and how many rows were last counted in each."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from admin_app.api.answers import answer
from admin_app.api.bodies import check_query
from admin_app.queries import saved_views
from admin_app.queries.saved_views import COUNTED, SHARE, View
from admin_app.web.context import actor_of, desk_of
from admin_app.web.selecting import viewer_of


async def listed(request: Request) -> Response:
    """`GET /api/views`: the views that the sender sees, each to be used as `GET /api/ticket?view=5`."""
    check_query(request)
    desk, actor = desk_of(request), actor_of(request)
    async with desk.database.glance() as session:
        stored = await saved_views.of_person(session, actor.user_id, others=actor.may(SHARE))
        views = [saved_views.light(view) for view in stored]
    seen = [view for view in views if view.resource in desk.registry.resources and actor.may(f"{view.resource}.view")]
    counts = desk.queue_counts.known(actor, seen, viewer_of(request))
    return answer({"items": [_told(view, counts.get(view.id)) for view in seen]})


def _told(view: View, count: int | None) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "resource": view.resource,
        "filter": dict(view.pairs),
        "mine": view.mine,
        "role": view.role,
        "count": None if count is None else min(count, COUNTED),
        "count_is_exact": None if count is None else count <= COUNTED,
    }
