"""The API's own description, an OpenAPI 3.1 document, made of what the loaded plugins offer."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from sqlalchemy import Integer
from starlette.requests import Request
from starlette.responses import Response

from admin_app.api.answers import answer
from admin_app.api.bodies import check_query
from admin_app.api.change_sets import MORE
from admin_app.api.values import shown_alone, shown_in_list
from admin_app.exports.layout import MEDIA
from admin_app.inputs import Input, columns_of, inputs_of
from admin_app.models import SoftDelete, Versioned
from admin_app.plugin import Action, Resource
from admin_app.queries.filters import choices_of, kind_of, optional, takes
from admin_app.queries.listing import SIZES, SORTS
from admin_app.registry import Registry
from admin_app.web.cells import TRASH_COLUMNS
from admin_app.web.context import desk_of

Schema = dict[str, Any]

ID = {"type": "integer", "minimum": 1}
RECORD = {"$ref": "#/components/schemas/Record"}
NULL = {"type": "null"}
REASON = {"type": "string", "maxLength": 2_000, "description": "Why; kept in the audit log."}
REFERENCE = {"type": "string", "maxLength": 100, "description": "What it belongs to, such as TICKET-123."}
INFO = """For scripts: the lists, forms and actions of the desk, with the same permissions, rules and audit log.
Every request carries a token that `backdesk user token create` made. Bodies are JSON; times are UTC."""


async def document(request: Request) -> Response:
    """`GET /api/openapi.json`: this document."""
    check_query(request)
    return answer(describe(desk_of(request).registry))


def describe(registry: Registry) -> Schema:
    """The whole document."""
    paths: Schema = {}
    schemas: Schema = {
        "Error": ERROR,
        "Record": RECORD_SCHEMA,
        "Preview": PREVIEW,
        "Outcomes": OUTCOMES,
        "Views": VIEWS,
    }
    for resource in registry.resources.values():
        schemas |= _schemas(resource)
        paths |= _record_paths(resource)
        for action in registry.actions_for(resource.model):
            paths[f"/{resource.name}/actions/{action.permission}"] = {"post": _action(resource, action)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Backdesk", "version": version("backdesk"), "description": INFO},
        "servers": [{"url": "/api"}],
        "security": [{"token": []}],
        "paths": {**paths, **_work_paths(), "/views": {"get": _views()}},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "bd_ and 43 characters"}},
        },
    }


# Records


def _schemas(resource: Resource) -> Schema:
    """How a resource's records are given in a list, alone, and in what a script sends."""
    model, name = resource.model, resource.name
    listed, alone = shown_in_list(resource), shown_alone(resource)
    maybe = TRASH_COLUMNS if issubclass(model, SoftDelete) else ()
    if name == "change_set":
        alone = tuple(dict.fromkeys((*alone, *MORE)))
    found = {
        f"{name}.listed": _object({key: _column(model, key) for key in (*listed, *maybe)}, listed),
        name: _object(_also(resource) | {key: _column(model, key) for key in alone}, alone),
    }
    said = {"reason": REASON, "reference": REFERENCE}
    if resource.can_create:
        inputs = columns_of(model, resource.create_form, new=True)
        fields = {item.name: _input(item) for item in inputs}
        found[f"{name}.create"] = _sent(fields | said, [item.name for item in inputs if item.required])
    if resource.can_edit:
        fields = {item.name: _input(item) for item in columns_of(model, resource.form)}
        versioned = {"version": {**ID, "description": "The one that was read; or If-Match."}}
        found[f"{name}.change"] = _sent(fields | (versioned if issubclass(model, Versioned) else {}) | said)
    return found


def _also(resource: Resource) -> Schema:
    """What an answer holds besides columns: of a change set how far it is, of what was just saved its change set."""
    if resource.name == "change_set":
        return {"done": {"type": "integer"}, "sentence": {"type": "string"}}
    if not (resource.can_create or resource.can_edit):
        return {}
    return {"change_set": {"type": ["integer", "null"], "description": "What saved it, after a POST or PATCH."}}


def _object(properties: Schema, required: Iterable[str] = ()) -> Schema:
    return {"type": "object", "properties": properties, "required": sorted(set(required))}


def _sent(properties: Schema, required: Iterable[str] = ()) -> Schema:
    return {**_object(properties, required), "additionalProperties": False}


def _column(model: type[Any], name: str) -> Schema:
    """What a column holds as JSON."""
    attribute = getattr(model, name)
    if not hasattr(attribute, "type") and kind_of(model, name) == "text":
        return {}
    schema: Schema
    match kind_of(model, name):
        case "record":
            schema = RECORD
        case "records":
            return {"type": "array", "items": RECORD}
        case "choice":
            schema = {"type": "string", "enum": choices_of(model, name)}
        case "switch":
            schema = {"type": "boolean"}
        case "time":
            schema = {"type": "string", "format": "date-time"}
        case "number":
            schema = {"type": "integer" if isinstance(attribute.type, Integer) else "number"}
        case "json":
            return {}
        case _:
            schema = {"type": "string"}
    return {"anyOf": [schema, NULL]} if optional(model, name) else schema


REFERRED = {"anyOf": [ID, {"type": "string", "minLength": 1}, RECORD]}


def _input(item: Input) -> Schema:
    """What is sent for an input."""
    schema: Schema
    match item.kind:
        case "number":
            schema = {"type": "integer"}
        case "switch":
            schema = {"type": "boolean"}
        case "date":
            schema = {"type": "string", "format": "date"}
        case "instant":
            schema = {"type": "string", "format": "date-time"}
        case "choice":
            schema = {"type": "string", "enum": [value for value, _ in item.choices]}
        case "record":
            schema = REFERRED
        case "records":
            schema = {"type": "array", "items": REFERRED}
        case _:
            schema = {"type": "string", "maxLength": item.max_length}
    schema = {"anyOf": [schema, NULL]} if item.optional else dict(schema)
    return {**schema, "title": item.label, **({"description": item.help} if item.help else {})}


def _record_paths(resource: Resource) -> Schema:
    name, label, many = resource.name, resource.label.lower(), resource.label_plural.lower()
    items = {"type": "array", "items": _ref(f"{name}.listed")}
    page = _object(
        {
            "items": items,
            "next": {"type": ["string", "null"], "description": "The address of what follows."},
            "previous": {"type": ["string", "null"], "description": "The address of what comes before."},
            "count": {"type": "integer"},
            "count_is_exact": {"type": "boolean"},
        },
        ("items", "next", "previous", "count", "count_is_exact"),
    )
    whole = {"get": _operation(f"list_{name}", f"List {many}", {"200": _json(page)}, parameters=_parameters(resource))}
    single = {"get": _operation(f"get_{name}", f"One {label}", {"200": _json(_ref(name))}), "parameters": [PATH_ID]}
    if resource.can_create:
        made = {"201": _json(_ref(name)), "200": _json(_ref(name), "Made before, with the same key.")}
        whole["post"] = _operation(f"create_{name}", f"Make a {label}", made, _ref(f"{name}.create"), [KEY])
    if resource.can_edit:
        changed = {"200": _json(_ref(name))}
        single["patch"] = _operation(f"change_{name}", f"Change a {label}", changed, _ref(f"{name}.change"), [MATCH])
    exported = _operation(f"export_{name}", f"All {many} as a file", {"200": EXPORTED}, parameters=_export(resource))
    return {f"/{name}": whole, f"/{name}/export": {"get": exported}, f"/{name}/{{id}}": single}


def _export(resource: Resource) -> list[Schema]:
    """What an export can be asked for: its format and columns, and what its list can be, but for the page."""
    switch = {"type": "string", "enum": ["yes", "no"]}
    return [
        _query("format", "Of the file.", {"type": "string", "enum": [*MEDIA], "default": "csv"}),
        _query("columns", "Their names with commas between, in order; all of them otherwise."),
        _query("labels", "Head the columns as pages do.", switch),
        _query("bom", "Begin CSV with a byte order mark.", switch),
        _query("formulas", "Leave texts that a spreadsheet would calculate as they are.", switch),
        *(one for one in _parameters(resource) if one["name"] not in {"size", "after", "before", "at"}),
    ]


def _parameters(resource: Resource) -> list[Schema]:
    """What a list can be asked for."""
    found = [_query(name, takes(resource.model, name)) for name in resource.filters]
    found += [_query(f"{name}!", f"None of these. {takes(resource.model, name)}") for name in resource.filters]
    if resource.search:
        found.append(_query("q", "Words, phrases, -not, OR, groups and field:value, as the search box takes them."))
    orders = [order for name in resource.sort for order in (name, f"-{name}")]
    ordered = f"One, or up to {SORTS} with commas between; with a - in front, the greatest first."
    found.append(_query("sort", ordered, {"type": "string", "examples": orders}))
    found.append(_query("size", "Rows of a page.", {"type": "integer", "enum": [*SIZES]}))
    found.append(_query("after", "Reads on behind a row: what an address in `next` holds."))
    found.append(_query("before", "Reads what is before a row, as `previous` holds it; with `end`, the last page."))
    found.append(_query("at", "Begins at this value of the first column of the order, such as 2026-01-31."))
    if issubclass(resource.model, SoftDelete):
        found.append(_query("trash", "The trash in place of what is live.", {"type": "string", "enum": ["yes", "no"]}))
    found.append(_query("view", "A saved view by its number: its parameters, but for those that are given here."))
    if hasattr(resource.model, "is_overdue"):
        found.append(_query("overdue", "", {"type": "string", "enum": ["yes", "no"]}))
    return found


# Actions and change sets


def _action(resource: Resource, action: Action) -> Schema:
    """An action, on the rows of one resource."""
    inputs = inputs_of(action.function)
    given = _sent({item.name: _input(item) for item in inputs}, [item.name for item in inputs if item.required])
    ways = {
        "ids": {"type": "array", "items": ID},
        "filter": {"type": "string", "description": "A list's parameters, such as status=open&assignee=none."},
        "selection": {**ID, "description": "The rows that a preview was about."},
    }
    needed = (["inputs"] if given["required"] else []) + (["reason"] if action.reason == "required" else [])
    number = {"type": "integer", "description": "How many rows that is; nothing is done to another number of rows."}
    body = _sent({**ways, "expect": number, "inputs": given, "reason": REASON, "reference": REFERENCE}, needed)
    body["oneOf"] = [{"required": [way]} for way in ways]
    name = f"{action.permission.replace('.', '_')}_{resource.name}"
    return _operation(name, action.label, DONE, body, [PREVIEWED, KEY], " ".join((action.help, action.final)).strip())


def _work_paths() -> Schema:
    said = _sent({"reason": REASON, "reference": REFERENCE})
    changed = {"200": _json(_ref("change_set"))}
    after = [_query("after", "Reads on behind this id.", {"type": "integer"}), _query("outcome", "Only these.")]
    rows = {"200": _json(_ref("Outcomes"))}
    deeds = {
        "outcomes": {"get": _operation("outcomes", "What became of each row", rows, None, after)},
        "undo": {"post": _operation("undo", "Take back what nobody changed since", DONE, said, [PREVIEWED, KEY])},
        "retry": {"post": _operation("retry", "Try again what failed", DONE, said, [PREVIEWED, KEY])},
        "cancel": {"post": _operation("cancel", "Stop long work; what is done stays done", changed, _sent({}))},
    }
    return {f"/change_set/{{id}}/{name}": {**deed, "parameters": [PATH_ID]} for name, deed in deeds.items()}


def _views() -> Schema:
    return _operation("views", "The saved views that the sender sees", {"200": _json(_ref("Views"))})


# Pieces


def _operation(
    name: str,
    summary: str,
    answers: Schema,
    body: Schema | None = None,
    parameters: Iterable[Schema] = (),
    description: str = "",
) -> Schema:
    made: Schema = {"operationId": name, "summary": summary, "parameters": list(parameters)}
    if description:
        made["description"] = description
    if body is not None:
        needed = bool(body.get("required")) or "$ref" in body
        made["requestBody"] = {"required": needed, "content": {"application/json": {"schema": body}}}
    return {**made, "responses": {**answers, "default": _json(_ref("Error"), "What went wrong.")}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema, description: str = "As asked for.") -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _query(name: str, description: str, schema: Schema | None = None) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema or {"type": "string"}}


EXPORTED = {
    "description": "The file, which is sent while it is written; without an end, it is not whole.",
    "content": {media.partition(";")[0]: {"schema": {"type": "string"}} for media in MEDIA.values()},
}
PATH_ID = {"name": "id", "in": "path", "required": True, "schema": ID}
PREVIEWED = {
    "name": "preview",
    "in": "query",
    "allowEmptyValue": True,
    "description": "Say what it would do, and do nothing.",
    "schema": {"type": "string", "enum": ["", "yes"]},
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Sent again, it does nothing and is answered with what was done the first time.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
MATCH = {"name": "If-Match", "in": "header", "description": "The version that was read.", "schema": {"type": "string"}}
DONE = {
    "200": _json({"anyOf": [_ref("change_set"), _ref("Preview")]}, "It is done, or with ?preview what it would do."),
    "202": _json(_ref("change_set"), "It is being worked on."),
}
ERROR = _object(
    {
        "error": _object(
            {
                "status": {"type": "integer"},
                "message": {"type": "string"},
                "fields": {"type": "object", "additionalProperties": {"type": "string"}},
                "request_id": {"type": "string"},
                "conflict": {"type": "object", "description": "With 409: both values of each field."},
                "version": {"type": "integer", "description": "With 409: the version to send next."},
            },
            ("status", "message", "fields", "request_id"),
        )
    },
    ("error",),
)
RECORD_SCHEMA = _object(
    {"id": ID, "label": {"type": ["string", "null"], "description": "Null where one may not know."}}, ("id",)
)
COUNTS = _object(
    {
        "changed": {"type": "integer"},
        "unchanged": {"type": "integer"},
        "skipped": {"type": "object", "additionalProperties": {"type": "integer"}},
        "failed": {"type": "integer"},
    },
    ("changed", "unchanged", "skipped", "failed"),
)
PREVIEW = _object(
    {
        "selection": {"type": ["integer", "null"], "description": "To be sent in place of the filter: the same rows."},
        "requested": {"type": "integer"},
        "tried": {"type": "integer", "description": "Of how many rows the effects and samples tell."},
        "exact": {"type": "boolean"},
        "outcome": COUNTS,
        "effects": {"type": "array", "items": {"type": "object"}},
        "samples": {"type": "array", "items": {"type": "object"}},
        "left": {"type": "array", "items": {"type": "object"}},
        "warnings": {"type": "array", "items": {"type": "string"}},
    },
    ("selection", "requested", "tried", "exact", "outcome", "effects", "samples", "left", "warnings"),
)
OUTCOME = _object({"id": ID, "outcome": {"type": "string"}, "failed": {"type": "boolean"}}, ("id", "outcome", "failed"))
OUTCOMES = _object(
    {"items": {"type": "array", "items": OUTCOME}, "next": {"type": ["string", "null"]}}, ("items", "next")
)
VIEW = _object(
    {
        "id": {**ID, "description": "To be sent as `view` to the list of its resource."},
        "name": {"type": "string"},
        "resource": {"type": "string"},
        "filter": {"type": "object", "additionalProperties": {"type": "string"}},
        "mine": {"type": "boolean"},
        "role": {
            "type": ["string", "null"],
            "description": "Whose it is, where it is neither one's own nor everybody's.",
        },
        "count": {
            "type": ["integer", "null"],
            "description": "As last counted for the menu; null where that is long ago.",
        },
        "count_is_exact": {"type": ["boolean", "null"]},
    },
    ("id", "name", "resource", "filter", "mine", "role", "count", "count_is_exact"),
)
VIEWS = _object({"items": {"type": "array", "items": VIEW}}, ("items",))
