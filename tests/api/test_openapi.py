"""The document of the API: it is valid, it names every address and no other, and answers are what it says."""

from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from admin_app.api.openapi import describe
from admin_app.models import Attachment
from admin_app.testing import Make, Script
from tests.api.test_door import ROUTES
from tests.api.test_records import error
from tests.web.test_every_route import REGISTRY

DOCUMENT = describe(REGISTRY)


def schema_of(name: str) -> Any:
    return OAS31Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


def body_of(path: str, method: str) -> Any:
    """What may be sent to an address, as the document says."""
    content = DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    return OAS31Validator({**content, "components": DOCUMENT["components"]})


async def test_the_document_is_served_to_those_with_a_token_and_is_valid(api: Script) -> None:
    answer = await api.get("/api/openapi.json")
    assert answer.json() == DOCUMENT
    OpenAPIV31SpecValidator(answer.json()).validate()
    del api.headers["authorization"]
    error(await api.get("/api/openapi.json"), 401)


def test_every_address_of_the_document_exists_and_every_address_is_in_it() -> None:
    described = {(f"/api{path}", method.upper()) for path, one in DOCUMENT["paths"].items() for method in one}
    described -= {(path, "PARAMETERS") for path, _ in described}
    expected = set()
    for path, method in ROUTES:
        for resource in REGISTRY.resources.values():
            possible = {"POST": resource.can_create, "PATCH": resource.can_edit}.get(method, True)
            here = path.replace("{resource}", resource.name)
            if "{action}" in path:
                actions = REGISTRY.actions_for(resource.model)
                expected |= {(here.replace("{action}", action.permission), method) for action in actions}
            elif possible or "{resource}" not in path:
                expected.add((here, method))
    assert described == expected - {("/api/openapi.json", "GET")}


def test_every_operation_has_a_name_of_its_own() -> None:
    operations = [one[method] for one in DOCUMENT["paths"].values() for method in one if method != "parameters"]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))


async def test_lists_and_records_are_what_the_document_says(api: Script, make: Make) -> None:
    await api.act_as(await make.agent("developer"))
    ticket = await make.ticket(assignee_id=(await make.agent()).id)
    await make.comment(ticket, await make.agent())
    await make.tag("printer", ticket)
    facts = {"filename": "a.txt", "content_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64}
    await make.save(Attachment(ticket_id=ticket.id, storage_key="key-000000001", **facts))
    for name in REGISTRY.resources:
        [first, *_] = (await api.get(f"/api/{name}?size=25")).json()["items"]
        schema_of(f"{name}.listed").validate(first)
        schema_of(name).validate((await api.get(f"/api/{name}/{first['id']}")).json())


async def test_what_the_document_lets_one_send_is_taken(api: Script, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    sent: dict[str, Any] = {"title": "New", "description": "x", "creator": agent.id, "tags": [], "due_at": None}
    body_of("/ticket", "post").validate(sent)
    made = await api.post("/api/ticket", json=sent)
    assert made.status_code == 201
    schema_of("ticket").validate(made.json())
    sent = {"version": 1, "title": "Other", "assignee": {"id": agent.id, "label": "x"}, "reason": "Why not"}
    body_of("/ticket/{id}", "patch").validate(sent)
    schema_of("ticket").validate((await api.patch(f"/api/ticket/{made.json()['id']}", json=sent)).json())
    sent = {"ids": [ticket.id], "inputs": {"agent": agent.id}}
    url = "/ticket/actions/assign.assign"
    body_of(url, "post").validate(sent)
    schema_of("Preview").validate((await api.post(f"/api{url}?preview", json=sent)).json())
    done = (await api.post(f"/api{url}", json=sent)).json()
    schema_of("change_set").validate(done)
    schema_of("Outcomes").validate((await api.get(f"/api/change_set/{done['id']}/outcomes")).json())
    schema_of("Error").validate((await api.get("/api/nothing")).json())


@pytest.mark.parametrize(
    "sent",
    [
        {"ids": [1], "filter": "", "inputs": {"agent": 1}},
        {"inputs": {"agent": 1}},
        {"ids": [1]},
        {"ids": [1], "inputs": {}},
        {"ids": [1], "inputs": {"agent": 1, "x": 1}},
        {"ids": [1], "inputs": {"agent": None}},
        {"ids": ["1"], "inputs": {"agent": 1}},
        {"ids": [1], "inputs": {"agent": 1}, "x": 1},
    ],
)
async def test_what_the_document_refuses_is_refused(api: Script, sent: dict[str, Any]) -> None:
    url = "/ticket/actions/assign.assign"
    assert not body_of(url, "post").is_valid(sent)
    assert (await api.post(f"/api{url}", json=sent)).status_code in {400, 422}
