"""What pickers offer: records of another table by what somebody has typed, of those that may be picked and known."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement
from starlette.requests import Request
from starlette.responses import JSONResponse

from admin_app.errors import BadRequest, Forbidden, NotFound
from admin_app.inputs import inputs_of
from admin_app.models import Base, User
from admin_app.plugin import Resource
from admin_app.queries import lookup
from admin_app.queries.filters import ME, NONE, optional, relation_of
from admin_app.web.context import actor_of, desk_of

PICKED = frozenset({"record", "records"})
"""Kinds of inputs that a picker fills in."""

LONGEST = 200
"""Characters of what is typed that are looked at."""


@dataclass(frozen=True)
class Picker:
    """What one picker offers: a model's rows, or `only` some of them, some `first`, and values that are no row."""

    model: type[Base]
    only: ColumnElement[bool] | None = None
    first: ColumnElement[bool] | None = None
    besides: tuple[tuple[str, str], ...] = ()


async def answer(request: Request, resource: Resource) -> JSONResponse:
    """`{"results": [{"id", "label", "detail"}]}` for `?q=`; at most 20, those that begin with the text first.

    The field is a relationship of the resource, or `plugin.action:input`. With `every=yes` a filter is asked for, which
    offers also what can no longer be picked, "Me" and "Nobody". Raises NotFound for other fields, Forbidden where the
    viewer may neither fill in the field nor know its records.
    """
    field, text = request.path_params["field"], request.query_params.get("q", "").strip()
    picker = _of_action(request, resource, field) if ":" in field else _of_relation(request, resource, field)
    if not may_know(request, picker.model):
        raise Forbidden
    if "\x00" in text or len(text) > LONGEST:
        raise BadRequest(f"q: takes at most {LONGEST} characters, and no NUL.")
    async with desk_of(request).database.read() as session:
        rows = await lookup.rows(session, picker.model, text, only=picker.only, first=picker.first)
    besides = [{"id": value, "label": label, "detail": ""} for value, label in picker.besides if not text]
    found = [{"id": row.id, "label": row.label, "detail": _detail(request, row)} for row in rows]
    return JSONResponse({"results": besides + found})


def may_know(request: Request, model: type[Any]) -> bool:
    """Whether the viewer may learn how a model's records are called; people are known to everybody at the desk."""
    return desk_of(request).registry.may_know(actor_of(request), model)


def _of_action(request: Request, resource: Resource, field: str) -> Picker:
    permission, _, name = field.partition(":")
    action = desk_of(request).registry.actions.get(permission)
    if action is None or not issubclass(resource.model, action.model):
        raise NotFound
    item = next((item for item in inputs_of(action.function) if item.name == name and item.kind in PICKED), None)
    if item is None:
        raise NotFound
    if not actor_of(request).may(permission):
        raise Forbidden
    return Picker(item.type, item.only)


def _of_relation(request: Request, resource: Resource, field: str) -> Picker:
    relation = relation_of(resource.model, field)
    actor, name = actor_of(request), resource.name
    if relation is None or field not in {*resource.form, *resource.create_form, *resource.filters}:
        raise NotFound
    target = relation.mapper.class_
    if request.query_params.get("every") == "yes" and field in resource.filters:
        if not actor.may(f"{name}.view"):
            raise Forbidden
        people = ((ME, "Me"),) if target is User else ()
        nothing = ((NONE, "Nobody" if people else "None"),) if optional(resource.model, field) else ()
        return Picker(target, None, relation.info.get("only"), people + nothing)
    fills_in = (field in resource.form and resource.can_edit and actor.may(f"{name}.edit")) or (
        field in resource.create_form and resource.can_create and actor.may(f"{name}.create")
    )
    if not fills_in:
        raise Forbidden
    return Picker(target, relation.info.get("only"))


def _detail(request: Request, row: Any) -> str:
    """What tells a record from its namesakes: a person's e-mail address, to those who may see people."""
    if not isinstance(row, User):
        return ""
    email = row.email if actor_of(request).may("user.view") else ""
    return email if row.is_active else f"{email} (inactive)".strip()
