"""Actions for scripts: choosing rows, a preview, and doing it, as one change set, whoever sends it twice."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from admin_app import jobs, telling
from admin_app.actions import UNDO, Order, perform, preview, undo_order
from admin_app.api.answers import answer
from admin_app.api.bodies import Body, body_of, check_query, idempotency_key, switched
from admin_app.api.change_sets import as_answer, seen
from admin_app.api.records import acting_of, knows, require, resource_of
from admin_app.api.values import UTC_ZONE, texts_from
from admin_app.choosing import by_filter
from admin_app.editing import key_of
from admin_app.errors import BadInput, BadRequest, Conflict, NotFound
from admin_app.inputs import NOBODY, inputs_of
from admin_app.models import ChangeSet, Door
from admin_app.plugin import Action, Chosen, Resource
from admin_app.queries import change_sets, rules, selections
from admin_app.web.context import acting, actor_of, desk_of, zone_of

CHOICES = ("ids", "filter", "selection")
"""By which rows are chosen: exactly one of them stands in a body."""
PAGING = ("page", "size", "after")
"""Parameters of a list that tell which part of it is shown."""


async def do(request: Request) -> Response:
    """`POST /api/{resource}/actions/{action}`: do it, or with `?preview` say what it would do."""
    resource = resource_of(request, "view")
    action = _action(request, resource)
    check_query(request, ("preview",))
    body = await body_of(request)
    body.only(*CHOICES, "expect", "inputs", "reason", "reference")
    inputs = body.values.get("inputs", {})
    if not isinstance(inputs, dict):
        raise BadRequest(fields={"inputs": "takes an object with the action's inputs."})
    given = texts_from(inputs_of(action.function), inputs, knows(request), null=NOBODY)

    async def order() -> Order:
        chosen = await _chosen(request, resource, body)
        if not switched(request, "preview"):
            _check_number(action, chosen, body)
        return Order(
            authority=actor_of(request),
            acting=acting_of(request, body),
            action=action,
            chosen=chosen.seen(rules.visible(actor_of(request), resource.model)),
            given=given,
            zone=UTC_ZONE,
        )

    return await _ordered(request, action, order)


def _check_number(action: Action, chosen: Chosen[Any], body: Body) -> None:
    """Raise BadInput unless the number of rows is the one that the sender expects.

    It has to be said before what is dangerous or final, but for rows that are named one by one.
    """
    expected, number = body.values.get("expect"), chosen.requested
    if expected is None and (chosen.ids or not (action.danger or action.final)):
        return
    if isinstance(expected, bool) or not isinstance(expected, int | None):
        raise BadRequest(fields={"expect": "takes the number of rows that will be touched."})
    if expected is None:
        raise BadInput(fields={"expect": f"Say how many rows you expect: {number:,} would be touched. {action.final}"})
    if expected != number:
        raise BadInput(fields={"expect": f"is not their number: {number:,} would be touched. Nothing was changed."})


def _action(request: Request, resource: Resource) -> Action:
    action = desk_of(request).registry.actions.get(request.path_params["action"])
    if action is None or not issubclass(resource.model, action.model):
        raise NotFound(f"There is no such action for a {resource.label.lower()}.")
    require(request, action.permission)
    return action


async def _ordered(request: Request, action: Action, order: Callable[[], Awaitable[Order]]) -> Response:
    """Carry an order out, and answer with its change set; 200 where it is done, 202 where it is being worked on.

    With `?preview`, only say what it would do. An Idempotency-Key that was sent before is answered with the change set
    that it made then; nothing is even chosen, since by now other rows would be.
    """
    desk, key = desk_of(request), idempotency_key(request)
    if switched(request, "preview"):
        wanted = await order()
        told = await preview(desk.database, wanted, desk.settings.limits)
        return answer({"selection": wanted.chosen.selection_id, **telling.of_preview(told)})
    if earlier := await _before(request, action, key):
        return await as_answer(request, earlier.id)
    try:
        done = await perform(desk.database, await order(), desk.settings.limits, idempotency_key=key)
    except Conflict:
        if (earlier := await _before(request, action, key)) is None:
            raise
        return await as_answer(request, earlier.id)
    return await as_answer(request, done.change_set_id, sentence=done.sentence)


async def _before(request: Request, action: Action, key: str | None) -> ChangeSet | None:
    """What was done with this key before; raises Conflict where that was something else."""
    if key is None:
        return None
    async with desk_of(request).database.glance() as session:
        found = await change_sets.with_key(session, actor_of(request).user_id, key)
    if found is not None and found.action != action.permission:
        raise Conflict(f"This key was sent before, for {found.action}: send another with every new request.")
    return found


# What was done before: undoing it, trying again what failed, stopping what is under way


async def undo(request: Request) -> Response:
    """`POST /api/change_set/{id}/undo`: take back what nobody changed since, or with `?preview` say what that is."""
    check_query(request, ("preview",))
    body = await _said(request)
    desk, number = desk_of(request), (await seen(request, key_of(request.path_params["id"]))).id

    async def order() -> Order:
        return await undo_order(
            desk.database,
            actor_of(request),
            acting_of(request, body),
            number,
            desk.registry.finals,
            zone=UTC_ZONE,
        )

    return await _ordered(request, UNDO, order)


async def retry(request: Request) -> Response:
    """`POST /api/change_set/{id}/retry`: do it again to the rows on which it failed, as a change set of its own."""
    check_query(request, ("preview",))
    body = await _said(request)
    desk, actor = desk_of(request), actor_of(request)
    found = await seen(request, key_of(request.path_params["id"]))
    if (action := desk.registry.actions.get(found.action)) is None:
        raise Conflict("Nothing failed here that could be tried again.")
    require(request, action.permission)

    async def order() -> Order:
        limits = desk.settings.limits
        return await jobs.retry(desk.database, desk.registry, actor, acting_of(request, body), found.id, limits)

    return await _ordered(request, action, order)


async def cancel(request: Request) -> Response:
    """`POST /api/change_set/{id}/cancel`: stop it; what is done stays done."""
    check_query(request)
    (await body_of(request, needed=False)).only()
    actor, number = actor_of(request), (await seen(request, key_of(request.path_params["id"]))).id
    acts = acting(request, door=Door.API)
    await jobs.cancel(desk_of(request).database, actor, acts, number, actor.full_name)
    return await as_answer(request, number, status=200)


async def _said(request: Request) -> Body:
    """The reason and the reference that came along, if any did."""
    body = await body_of(request, needed=False)
    body.only("reason", "reference")
    return body


# Which rows


async def _chosen(request: Request, resource: Resource, body: Body) -> Chosen[Any]:
    """The rows that a body chooses; raises BadRequest unless it does so in exactly one way."""
    ways = [name for name in CHOICES if body.values.get(name) is not None]
    if len(ways) != 1:
        raise BadRequest("Choose the rows by exactly one of ids, filter and selection.")
    given = body.values[ways[0]]
    if ways == ["ids"]:
        return _by_ids(resource, given)
    if ways == ["filter"] and not isinstance(given, str):
        raise BadRequest(fields={"filter": "takes what stands behind the ? of a list's address, such as status=open."})
    if ways == ["filter"]:
        return await _by_filter(request, resource, given)
    return await _by_selection(request, resource, given)


def _by_ids(resource: Resource, given: Any) -> Chosen[Any]:
    if not isinstance(given, list) or any(isinstance(one, bool) or not isinstance(one, int) for one in given):
        raise BadRequest(fields={"ids": "takes a list of whole numbers."})
    try:
        return Chosen.of(resource.model, given)
    except BadInput as error:
        raise BadRequest(fields={"ids": error.message}) from error


async def _by_filter(request: Request, resource: Resource, text: str) -> Chosen[Any]:
    """The rows of a list as it is now, kept on the server; raises BadRequest for a filter that is none."""
    desk = desk_of(request)
    if any(name in PAGING for name, _ in parse_qsl(text, keep_blank_values=True)):
        raise BadRequest(fields={"filter": f"takes the parameters of a list, without {', '.join(PAGING)}."})
    return await by_filter(desk.database, desk.settings, resource, text, actor_of(request), zone_of(request))


async def _by_selection(request: Request, resource: Resource, given: Any) -> Chosen[Any]:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 < given < 2**63:
        raise BadRequest(fields={"selection": "takes the number of a selection."})
    async with desk_of(request).database.read() as session:
        kept = await selections.find(session, given, actor_of(request).user_id)
    if kept.resource != resource.name:
        raise BadRequest(fields={"selection": f"holds rows of {kept.resource}, not of {resource.name}."})
    return Chosen.frozen(resource.model, kept.id, kept.row_count)
