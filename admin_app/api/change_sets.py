"""Change sets for scripts: how far one is, what became of each row, and cancelling, retrying and undoing it."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from admin_app import telling
from admin_app.api.answers import answer
from admin_app.api.bodies import check_query
from admin_app.api.records import BASE, as_json
from admin_app.api.values import shown_alone
from admin_app.editing import key_of
from admin_app.errors import BadRequest, NotFound
from admin_app.models import ChangeSet, ChangeSetState
from admin_app.queries import change_sets, records
from admin_app.web.context import actor_of, desk_of

UNFINISHED = {ChangeSetState.QUEUED, ChangeSetState.RUNNING}
PAGE = 1_000
"""Outcomes that one answer holds."""
MORE = ("requested", "problem", "progressed_at", "undo_of_id", "selection_id")
"""What is told of a change set besides what its page shows."""


async def single(request: Request) -> Response:
    """`GET /api/change_set/{id}`: what was done, or how far it is."""
    check_query(request)
    return await as_answer(request, key_of(request.path_params["id"]), status=200)


async def as_answer(request: Request, key: int, *, status: int | None = None, sentence: str | None = None) -> Response:
    """A change set as JSON; unless a status is given, 202 while it is being worked on."""
    found = await seen(request, key, shown_alone(desk_of(request).registry.resources["change_set"]))
    names = dict.fromkeys((*shown_alone(desk_of(request).registry.resources["change_set"]), *MORE))
    value: dict[str, Any] = as_json(request, found, list(names))
    value["done"] = telling.outcome_of(found).total
    if sentence is not None:
        value["sentence"] = sentence
    working = found.state in UNFINISHED
    headers = {"location": f"{BASE}/change_set/{key}"} if status is None else None
    return answer(value, status or (202 if working else 200), headers)


async def seen(request: Request, key: int, names: tuple[str, ...] = ()) -> ChangeSet:
    """A change set of the sender's own, or of anybody's for those who may see them; raises NotFound."""
    actor = actor_of(request)
    async with desk_of(request).database.glance() as session:
        found = await records.one(session, ChangeSet, key, names)
    if found is None or not (found.user_id == actor.user_id or actor.may("change_set.view")):
        raise NotFound
    return found


async def outcomes(request: Request) -> Response:
    """`GET /api/change_set/{id}/outcomes`: what became of each row, in the order of the ids; `?outcome=closed`."""
    check_query(request, ("after", "outcome"))
    key, text = key_of(request.path_params["id"]), request.query_params.get("after", "0")
    wanted = request.query_params.get("outcome")
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest(fields={"after": "takes an id."})
    await seen(request, key)
    async with desk_of(request).database.read() as session:
        rows = await change_sets.outcomes(session, key, after=int(text), limit=PAGE + 1, outcome=wanted)
    items = [{"id": row.record_id, "outcome": row.outcome, "failed": row.failed} for row in rows[:PAGE]]
    more = f"&{urlencode({'outcome': wanted})}" if wanted is not None else ""
    address = f"{BASE}/change_set/{key}/outcomes?after={items[-1]['id']}{more}" if len(rows) > PAGE else None
    return answer({"items": items, "next": address})
