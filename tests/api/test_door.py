"""The door of the API: who may do what, what is taken, and how everything that goes wrong is answered."""

import json
import re
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import BaseRoute, Mount, Route

from admin_app.api import application
from admin_app.api.tokens import WRONG
from admin_app.db import Acting
from admin_app.models import ChangeSet, Ticket
from admin_app.queries import tickets
from admin_app.queries.changes import Chosen
from admin_app.testing import Make, Script
from tests.api.test_actions import number_of
from tests.api.test_records import error
from tests.web.test_every_route import HARD, HERE, LEAKS, REGISTRY, SECONDS, addresses

JSON = {"content-type": "application/json"}


# Who may do what

ROLES: dict[str, set[str]] = {
    "agent": {"list", "get", "create", "edit", "assign", "undo"},
    "lead": {"list", "get", "create", "edit", "assign", "trash", "undo", "history", "tag"},
    "auditor": {"list", "get", "history"},
    "developer": {"list", "get", "create", "edit", "assign", "trash", "undo", "history", "tag"},
    "nobody": set(),
}
"""By role, what it may do through the API; everything else is refused."""


@pytest.mark.parametrize("name", ROLES)
async def test_a_role_may_do_this_and_nothing_else(api: Script, make: Make, name: str) -> None:
    customer, agent, ticket = await make.customer(), await make.agent(), await make.ticket()
    person = await make.user(*({name} - {"nobody"}), is_staff=True)
    await api.act_as(person)
    other = await make.ticket()
    async with api.desk.database.transaction(Acting(user_id=person.id), "assign.assign") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, [other.id]), agent)
    deeds: dict[str, tuple[str, str, Any]] = {
        "list": ("GET", "/api/ticket", None),
        "get": ("GET", f"/api/ticket/{ticket.id}", None),
        "create": ("POST", "/api/ticket", {"title": "New", "description": "Text", "creator": customer.id}),
        "edit": ("PATCH", f"/api/ticket/{ticket.id}", {"version": 1, "title": "Other"}),
        "assign": ("POST", "/api/ticket/actions/assign.assign", {"ids": [ticket.id], "inputs": {"agent": agent.id}}),
        "trash": ("POST", "/api/ticket/actions/trash.put", {"ids": [ticket.id], "reason": "Spam."}),
        "undo": ("POST", f"/api/change_set/{change.id}/undo", None),
        "history": ("GET", "/api/audit_log", None),
        "tag": ("POST", "/api/tag", {"name": "printer"}),
    }
    allowed = set()
    for deed, (method, url, body) in deeds.items():
        answer = await api.request(method, url, json=body) if body is not None else await api.request(method, url)
        if answer.status_code == 403:
            assert "permission" in error(answer, 403)["message"]
        else:
            assert answer.status_code in {200, 201}, (deed, answer.text)
            allowed.add(deed)
    assert allowed == ROLES[name]


# What is taken


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"content-type": "application/json; charset=utf-7"}, 415),
        ({"content-type": "application/json; charset=utf-16"}, 415),
        ({"content-type": "application/jsonx"}, 415),
        ({"content-type": "application/json; charset=UTF-8"}, 201),
        ({"content-type": "Application/JSON"}, 201),
    ],
)
async def test_a_body_is_json_and_nothing_else(api: Script, headers: dict[str, str], status: int) -> None:
    answer = await api.post("/api/tag", content=b'{"name": "printer"}', headers=headers)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"name"',
        b"5",
        b'{"name": "a"} x',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b"{'name': 'a'}",
        b'{"name": "a", "name": "b"}',
        b'{"name": "a", "description": {"x": 1, "x": 2}}',
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"na\\u0000me": "a"}',
        b'{"name": "a", "description": [["\\ud800"]]}',
        b'{"name": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b'{"name": ' + b"[" * 100_000,
        b'{"name": ' + b'{"a":' * 100_000,
        b'{"name": ' + b"9" * 5_000 + b"}",
        b'{"name": 1e400}',
        b'{"name": -0}',
    ],
)
async def test_what_is_no_sound_json_object_is_refused(api: Script, body: bytes) -> None:
    begin = perf_counter()
    error(await api.post("/api/tag", content=body, headers=JSON), 400)
    assert perf_counter() - begin < SECONDS


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(api: Script) -> None:
    large = json.dumps({"name": "x" * 3 * 1024 * 1024})
    assert "larger" in error(await api.post("/api/tag", content=large, headers=JSON), 413)["message"]


async def test_a_body_without_a_length_is_refused(api: Script) -> None:
    async def parts() -> Any:
        yield b'{"name": "x"}'

    answer = await api.post("/api/tag", content=parts(), headers=JSON)
    assert "how long it is" in error(answer, 400)["message"]


# How what goes wrong is answered


@pytest.mark.parametrize(
    "url", ["/api/", "/api/nothing", "/api/ticket/1/2", "/api/ticket/", "/api/login", "/api//ticket", "/api/TICKET"]
)
async def test_an_address_that_is_none_is_answered_in_json(api: Script, url: str) -> None:
    error(await api.get(url), 404)


@pytest.mark.parametrize(
    ("method", "url", "allowed"),
    [
        ("DELETE", "/api/ticket", {"GET", "HEAD", "POST"}),
        ("PUT", "/api/ticket/1", {"GET", "HEAD", "PATCH"}),
        ("DELETE", "/api/ticket/1", {"GET", "HEAD", "PATCH"}),
        ("POST", "/api/ticket/1", {"GET", "HEAD", "PATCH"}),
        ("DELETE", "/api/change_set/1/outcomes", {"GET", "HEAD"}),
        ("GET", "/api/change_set/1/undo", {"POST"}),
        ("OPTIONS", "/api/ticket", {"GET", "HEAD", "POST"}),
    ],
)
async def test_a_method_that_is_not_taken_is_answered_with_those_that_are(
    api: Script, method: str, url: str, allowed: set[str]
) -> None:
    answer = await api.request(method, url)
    error(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == allowed


async def test_a_foreign_host_is_refused_in_json_and_every_answer_is_guarded(api: Script) -> None:
    refused = await api.get("/api/ticket", headers={"host": "evil.example"})
    assert "BACKDESK_ALLOWED_HOSTS" in error(refused, 400)["message"]
    for answer in (refused, await api.get("/api/ticket")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
        assert "set-cookie" not in answer.headers


async def test_a_page_elsewhere_cannot_use_the_api_even_with_a_token(api: Script) -> None:
    answer = await api.post("/api/tag", json={"name": "x"}, headers={"origin": "https://evil.example"})
    error(answer, 403)


async def test_head_is_get_without_change(api: Script, make: Make) -> None:
    await make.ticket()
    answer = await api.head("/api/ticket")
    assert answer.status_code == 200


async def test_what_nobody_foresaw_is_answered_with_a_reference_and_nothing_more(
    api: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError("the password of the database is 123")

    monkeypatch.setattr("admin_app.queries.rows.records_of", broken)
    found = error(await api.get("/api/ticket"), 500)
    assert "123" not in json.dumps(found)


# Anything that anybody may send


def leaves(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The path and each method of every route of the API."""
    for route in routes:
        if isinstance(route, Mount) and route.path == "/api":
            yield from leaves(route.routes, route.path)
        elif isinstance(route, Route) and prefix:
            yield from ((prefix + route.path, method) for method in sorted(route.methods or ()) if method != "HEAD")


ROUTES = sorted(leaves(application().routes, "/api"))
FILLED_IN = {"resource": list(REGISTRY.resources), "action": list(REGISTRY.actions)}
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(HARD) | st.text(max_size=8)
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
MEMBERS = sorted(
    {name for one in REGISTRY.resources.values() for name in (*one.form, *one.create_form)}
    | {"version", "reason", "reference", "ids", "filter", "selection", "inputs", "unknown", "id"}
)
INPUTS = ("agent", "status", "priority", "tags", "content", "unknown")
BODIES = st.one_of(
    st.dictionaries(st.sampled_from(MEMBERS), ANYTHING, max_size=4),
    st.fixed_dictionaries(
        {"ids": st.just([HERE]), "reason": st.just("r"), "inputs": st.dictionaries(st.sampled_from(INPUTS), ANYTHING)}
    ),
    st.fixed_dictionaries({"version": st.just(1)}, optional=dict.fromkeys(("title", "tags", "status"), ANYTHING)),
    st.fixed_dictionaries({"filter": st.sampled_from(HARD) | st.text(max_size=8)}),
    ANYTHING,
)
EVERYTHING = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest_asyncio.fixture
async def ticket(make: Make) -> Ticket:
    """A ticket with something of everything."""
    made = await make.ticket()
    await make.comment(made, await make.agent())
    await make.tag("printer", made)
    return made


@pytest_asyncio.fixture
async def developer(api: Script, make: Make) -> Script:
    """A script that may do everything."""
    return await api.act_as(await make.agent("developer"))


@pytest.mark.parametrize(("route", "method"), ROUTES)
@EVERYTHING
@given(data=st.data())
async def test_nothing_that_anybody_sends_breaks_the_api(
    developer: Script, ticket: Ticket, route: str, method: str, data: st.DataObject
) -> None:
    url = data.draw(addresses(route, FILLED_IN)).replace(HERE, str(ticket.id))
    names = st.sampled_from(["preview", "page", "sort", "after", "q", "status", "outcome", "x"])
    query = data.draw(st.lists(st.tuples(names, st.sampled_from(HARD) | st.text(max_size=8)), max_size=2))
    headers = data.draw(
        st.fixed_dictionaries({}, optional={"idempotency-key": st.sampled_from(["k", "", "k" * 99, "a b"])})
    )
    body = json.dumps(data.draw(BODIES)).replace(f'"{HERE}"', str(ticket.id)) if method != "GET" else ""
    begin = perf_counter()
    address = f"{url}?{urlencode(query)}" if query else url
    answer = await developer.request(method, address, content=body, headers={**JSON, **headers})
    assert perf_counter() - begin < SECONDS
    assert answer.status_code < 500, answer.text
    if not answer.url.path.startswith("/api/"):  # the address had .. in it, which no client sends as such
        return
    exported = answer.status_code == 200 and answer.url.path.endswith("/export")
    assert exported or answer.headers["content-type"] == "application/json"
    if answer.status_code >= 400:
        told = error(answer, answer.status_code)
        assert not LEAKS.search(re.sub(r"“[^”]*”", "", told["message"])), told


@pytest.mark.parametrize(("route", "method"), ROUTES)
async def test_without_a_token_nothing_is_learnt_and_nothing_changed(
    api: Script, make: Make, route: str, method: str
) -> None:
    await make.ticket()
    del api.headers["authorization"]
    before = await number_of(api.desk.database, ChangeSet)
    url = re.sub(r"\{(\w+)\}", lambda match: FILLED_IN.get(match[1], ["1"])[0], route)
    found = error(await api.request(method, url, json={"version": 1}), 401)
    assert found["message"] == WRONG
    assert await number_of(api.desk.database, ChangeSet) == before
