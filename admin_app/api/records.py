"""Records for scripts: lists with the filters of the pages, one record, making one, and changing one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from admin_app.api.answers import JsonConflict, answer
from admin_app.api.bodies import Body, body_of, check_query, idempotency_key
from admin_app.api.values import UTC_ZONE, json_of, shown_alone, shown_in_list, texts_from
from admin_app.choosing import expanded
from admin_app.db import Acting
from admin_app.editing import (
    Editor,
    Filled,
    differences,
    inputs_for,
    insert,
    key_of,
    made_before,
    same,
    seen,
    texts_of,
    update,
    version_of,
)
from admin_app.errors import BadRequest, ChangedMeanwhile, Conflict, Forbidden, TooSlow
from admin_app.models import Door, SoftDelete, Versioned
from admin_app.plugin import Resource
from admin_app.queries import rows, rules
from admin_app.queries.listing import BEGINNING, DEEPEST, ListQuery
from admin_app.queries.periods import Viewer
from admin_app.web import slow
from admin_app.web.cells import TRASH_COLUMNS
from admin_app.web.context import acting, actor_of, desk_of, zone_of

BASE = "/api"
OWN = ("version", "reason", "reference")
"""Members of a body beside the record's own fields."""


def resource_of(request: Request, deed: str) -> Resource:
    """The resource that an address names, where its sender may do this to it; raises NotFound or Forbidden."""
    resource = desk_of(request).registry.resource(request.path_params["resource"])
    require(request, f"{resource.name}.{deed}")
    return resource


def require(request: Request, permission: str) -> None:
    """Raise Forbidden where the sender does not have a permission."""
    if not actor_of(request).may(permission):
        raise Forbidden(f"You may not do this. It needs the permission {permission}.")


def knows(request: Request) -> Callable[[type[Any]], bool]:
    """Whether the sender may know how a model's records are called."""
    return lambda model: desk_of(request).registry.may_know(actor_of(request), model)


def name_of(request: Request, record: Any) -> str | None:
    """How a related record is called, where the sender may know."""
    return str(record.label) if knows(request)(type(record)) else None


def as_json(request: Request, record: Any, names: Sequence[str], value: Any = None) -> dict[str, Any]:
    """A record's columns as JSON; `value(name)` gives what one holds, where the record itself does not."""
    read = value or (lambda name: getattr(record, name))
    return {name: json_of(read(name), lambda row: name_of(request, row)) for name in names}


# Lists


async def listed(request: Request) -> Response:
    """`GET /api/{resource}`: a page of a list; `next` is the address of the next one, or null at the end."""
    resource = resource_of(request, "view")
    query = await _query(request, resource)
    names = shown_in_list(resource)
    if query.trash and issubclass(resource.model, SoftDelete):
        names = tuple(dict.fromkeys((*names, *TRASH_COLUMNS)))
    try:
        async with desk_of(request).database.glance() as session:
            query = await query.understood(session)
            found = await rows.records_of(session, query, names, whole=True)
            count = await rows.count_of(session, query)
    except TooSlow as error:
        raise slow.told(resource, query, desk_of(request).settings.list_timeout) from error
    items = [as_json(request, row.record, names, row.value) for row in found.rows]
    around = {
        "next": _page(resource, query, "after", found.next),
        "previous": _page(resource, query, "before", found.previous),
    }
    whole = {"items": items, **around, "count": min(count, DEEPEST), "count_is_exact": count <= DEEPEST}
    return answer(whole)


async def _query(request: Request, resource: Resource) -> ListQuery:
    """What a list is asked for, of the rows that the sender may see; a saved view stands for its parameters."""
    desk, actor = desk_of(request), actor_of(request)
    viewer = Viewer(actor.user_id, zone_of(request), datetime.now(UTC), desk.list_signer)
    pairs = await expanded(desk.database, resource, request.query_params.multi_items(), actor)
    query = ListQuery.parse(resource, pairs, viewer)
    return replace(query, visible=rules.visible(actor, resource.model))


def _page(resource: Resource, query: ListQuery, side: str, place: str | None) -> str | None:
    """The address of the page after or before this one; None where there is none."""
    if place is None:
        return None
    pairs = query.pairs(**BEGINNING | {side: place})
    return f"{BASE}/{resource.name}?{urlencode(pairs, safe=',:', quote_via=quote)}"


# One record


async def single(request: Request) -> Response:
    """`GET /api/{resource}/{id}`: everything that one may know of a record."""
    resource = resource_of(request, "view")
    check_query(request)
    return await _record(request, resource, key_of(request.path_params["id"]))


async def _record(
    request: Request, resource: Resource, key: int, status: int = 200, more: Mapping[str, Any] | None = None
) -> Response:
    names = shown_alone(resource)
    async with desk_of(request).database.read() as session:
        record = await seen(session, actor_of(request), resource.model, key, names)
    headers = {"etag": f'"{version_of(record)}"'} if isinstance(record, Versioned) else {}
    if status == 201:
        headers["location"] = f"{BASE}/{resource.name}/{key}"
    return answer({**as_json(request, record, names), **(more or {})}, status, headers)


async def create(request: Request) -> Response:
    """`POST /api/{resource}`: make a record; 201, or 200 with the record that the same Idempotency-Key made before."""
    resource = resource_of(request, "create")
    if not resource.can_create:
        raise Forbidden(f"{resource.label_plural} are not made by hand.")
    check_query(request)
    key, body = idempotency_key(request), await body_of(request)
    editor = editor_of(request, body)
    inputs = inputs_for(resource, editor.actor)
    given = {name: value for name, value in body.values.items() if name not in OWN[1:]}
    texts = texts_from(inputs, given, knows(request))
    try:
        saved = await insert(editor, resource, Filled(texts, {}, reason=body.reason or "", key=key or ""))
    except Conflict:
        if (earlier := await made_before(editor, resource.model, key or "")) is None:
            raise
        return await _answer_saved(request, resource, earlier, 200, None)
    return await _answer_saved(request, resource, saved.record.id, 201, saved.change_set_id)


async def change(request: Request) -> Response:
    """`PATCH /api/{resource}/{id}`: change the fields that are sent, on top of the version that was read."""
    resource = resource_of(request, "edit")
    if not resource.can_edit:
        raise Forbidden(f"{resource.label_plural} are not changed by hand.")
    check_query(request)
    key, body = key_of(request.path_params["id"]), await body_of(request)
    editor = editor_of(request, body)
    async with editor.database.read() as session:
        record = await seen(session, editor.actor, resource.model, key, resource.form)
    inputs = inputs_for(resource, editor.actor, record)
    given = {name: value for name, value in body.values.items() if name not in OWN}
    texts = texts_from(inputs, given, knows(request))
    version = _version(request, body) if isinstance(record, Versioned) else ""
    sent = Filled(texts, {}, version, body.reason or "", unseen=True)
    try:
        saved = await update(editor, resource, key, sent)
    except ChangedMeanwhile as error:
        raise await _conflict(request, editor, resource, key, sent, body) from error
    return await _answer_saved(request, resource, key, 200, saved.change_set_id)


def editor_of(request: Request, body: Body) -> Editor:
    """The sender as who edits; what they write of times is in UTC."""
    return Editor(desk_of(request).database, actor_of(request), acting_of(request, body), UTC_ZONE)


def acting_of(request: Request, body: Body) -> Acting:
    """The sender as who makes a change, with the reason and the reference that came along."""
    return acting(request, body.reason, door=Door.API, reference=body.reference)


def _version(request: Request, body: Body) -> str:
    """The version that was read, from the body or from If-Match; raises BadRequest where neither, or both, say it."""
    header, member = request.headers.get("if-match"), body.values.get("version")
    if member is not None and (isinstance(member, bool) or not isinstance(member, int)):
        raise BadRequest(fields={"version": "takes the number that the record came with."})
    told = [text for text in (header.strip().strip('"') if header else None, str(member or "") or None) if text]
    if not told:
        raise BadRequest(fields={"version": "Send the version that you read, here or as If-Match."})
    if len(set(told)) > 1 or not (told[0].isascii() and told[0].isdecimal() and len(told[0]) < 19):
        raise BadRequest(fields={"version": "takes one number, the one that the record came with."})
    return told[0]


async def _answer_saved(
    request: Request, resource: Resource, key: int, status: int, change_set_id: int | None
) -> Response:
    """The record after it was saved, for those who may see it, else only its id; and the change set that did it."""
    more = {"change_set": change_set_id}
    if actor_of(request).may(f"{resource.name}.view"):
        return await _record(request, resource, key, status, more)
    return answer({"id": key, **more}, status)


async def _conflict(
    request: Request, editor: Editor, resource: Resource, key: int, sent: Filled, body: Body
) -> JsonConflict:
    """What both wanted, field by field, and the version to send next."""
    async with editor.database.read(snapshot=True) as session:
        record = await seen(session, editor.actor, resource.model, key, resource.form)
    inputs = inputs_for(resource, editor.actor, record)
    found = differences(inputs, sent, texts_of(record, inputs, editor.zone))
    present = as_json(request, record, [one.item.name for one in found if not same(one.mine, one.theirs)])
    both = {name: {"present": value, "yours": body.values[name]} for name, value in present.items()}
    return JsonConflict(both, record.version)
