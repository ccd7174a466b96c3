"""Every route of the desk, found from the application itself, under whatever anybody may send there."""

import re
from collections.abc import Iterable, Iterator
from time import perf_counter
from urllib.parse import quote, urlencode

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from admin_app import resources
from admin_app.api import application as api
from admin_app.app import create_app
from admin_app.db import Database
from admin_app.models import Ticket
from admin_app.registry import load
from admin_app.registry.checks import PLACES
from admin_app.settings import Settings
from admin_app.testing import Browser, Make
from admin_app.web.context import TOKEN_FIELD

SECONDS = 2.0
"""Within which everything is answered; one request that computes keeps all others waiting."""

REGISTRY = load(Settings.from_env(), core=[resources.plugin])
OPEN = {"/healthz", "/readyz", "/admin/login"}
"""What answers whoever asks."""

HERE = "HERE"
"""Stands for the id of a record that is there; each test puts in its own."""
HARD = [
    *(HERE,) * 9,
    *("", " ", "0", "-1", "1", "2", "3", "1.5", "1e400", "٣", "²", "9" * 19, "9" * 400, str(2**31), str(2**63)),
    *("none", "me", "yes", "null", "NaN", "true", "..", "../..", "1..", "2026-01-01", "9999-12-31", "0001-01-01..x"),
    *("\x00", "a\x00b", "\x1b[31m", "\r\nset-cookie: a=b", "%", "%00", "%2e%2e%2f", "_", "\\", "'", '"', '""', "`;--"),
    *("{{7*7}}", "{0.__class__}", "${x}", "<script>", "[", "]", "(" * 50, ",", ",,", "a,b", "\u202e", "😀", "\ufeff"),
    *(
        "-id",
        "-",
        "id",
        "title",
        "nothing",
        "//evil.example",
        "//[",
        "http://[",
        "javascript:1",
        "x" * 3_000,
        "1," * 500,
    ),
]
LEAKS = re.compile(r"asyncpg|sqlalchemy|traceback|psycopg|\bSELECT\b|\bINSERT\b|constraint|\.py\b")


def leaves(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The path and one method of every route, however deep it is mounted; those of the API have tests of their own."""
    for route in routes:
        if isinstance(route, Route):
            yield from ((prefix + route.path, method) for method in sorted(route.methods or ()) if method != "HEAD")
        elif isinstance(route, Mount) and route.path != "/api":
            yield from leaves(route.routes, prefix + route.path)


def all_routes() -> list[tuple[str, str]]:
    """Those of an application that is never started, so that tests can be named after them."""
    database = Database.connect(Settings.from_env({"DATABASE_URL": "postgresql://nobody@localhost:1/x"}).database_url)  # type: ignore[arg-type]
    return sorted(leaves(create_app(Settings(secret_key="x" * 32), database, REGISTRY).routes))


ROUTES = all_routes()
FILLED_IN = {
    "resource": [*REGISTRY.resources, "Ticket"],
    "identity": [*REGISTRY.resources, "sqladmin", "Ticket"],
    "action": list(REGISTRY.actions),
    "field": ["assignee", "creator", "tags", "ticket", "assign.assign:agent", "assign.assign:chosen", "trash.put:x"],
    "plugin": ["stats", "audit_viewer"],
    "column": ["status", "priority", "assignee", "color", "description", "title"],
    "name": ["statistics", "audit_log"],
    "export_type": ["csv", "jsonl", "xlsx"],
}


def addresses(route: str, known: dict[str, list[str]] = FILLED_IN) -> st.SearchStrategy[str]:
    """Addresses of a route: its parameters filled in with what exists, or with anything."""
    parts = re.split(r"\{(\w+)(?::path)?\}", route)
    texts = [
        st.one_of(st.sampled_from(known.get(part, [HERE])), st.sampled_from(HARD), st.text(max_size=8))
        if number % 2
        else st.just(part)
        for number, part in enumerate(parts)
    ]
    return st.tuples(*texts).map(
        lambda made: "".join(quote(text, safe="") if n % 2 else text for n, text in enumerate(made))
    )


FORMS = {name: [*one.form, *one.create_form] for name, one in REGISTRY.resources.items()}
NAMES: dict[str, list[str]] = {
    "recipes": ["recipe_name", "reason", "version", "filter", "selection", "back", "priority", "agents_lines", "tags"],
    "views": ["name", "icon", "audience", "query", "version", "reason", "view"],
    "list": [
        "view",
        "q",
        "sort",
        "page",
        "size",
        "trash",
        "overdue",
        "tag",
        "created_at_from",
        "change_set",
        "outcome",
        "unknown",
    ],
    "export": ["q", "sort", "trash", "tag", "created", "selection", "columns", "labels", "bom", "formulas"],
    "selected": ["ids", "all", "filter", "without", "back", "export_columns", "export_labels", "export_bom"],
    "order": ["address"],
    "columns": ["filter", "do", "order", "column", "density", "columns"],
    "count": ["exact", "q", "overdue", "columns", "after"],
    "facets": ["q", "overdue", "trash", "sort", "created_at_from"],
    "filters": ["q", "overdue", "trash", "sort", "created_at_to"],
    "build": ["do", "field-1-1", "operator-1-1", "value-1-1", "field-2-1", "value-2-1", "field-0-999", "q", "overdue"],
    "do": [
        "ids",
        "back",
        "agent",
        "confirmed",
        "reason",
        "reference",
        "key",
        "preview",
        "selection",
        "all",
        "filter",
        "without",
    ],
    "edit": ["version", "reason", "again", "tags_lines", "original_tags", "original_tags_lines", "original_title"],
    "create": ["key", "tags_lines"],
    "comments": ["content", "send", "key"],
    "upload": ["shared", "files"],
    "lookup": ["q", "every"],
    "login": ["email", "password", "next"],
    "rows": ["outcome", "after"],
    "rows.csv": ["outcome", "after"],
    "undo": ["reason", "reference", "key"],
    "retry": ["reason", "reference", "key", "confirmed"],
    "reference": ["reference", "reason", "key"],
    "page": ["from", "to", "zone", "period", "imports", "record", "type", "person", "change_set", "before", "after"],
}
"""By a word of the address, the fields that its page reads."""


def names(route: str, resource: str) -> list[str]:
    """The fields that a page of a resource reads, and the token, without which no form is read at all."""
    read = next((NAMES[word] for word in route.split("/") if word in NAMES), ["q"])
    filters = (
        REGISTRY.resources[resource].filters
        if {"list", "export", "facets", "filters", "build"} & {*route.split("/")}
        else ()
    )
    return [*read, *filters, *FORMS[resource], TOKEN_FIELD]


def pairs(route: str) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Some of these fields with anything in them."""
    read = names(route, next((word for word in route.split("/") if word in FORMS), "ticket"))
    return st.lists(st.tuples(st.sampled_from(read), st.sampled_from(HARD) | st.text(max_size=8)), max_size=3)


BEGUN: list[dict[str, str]] = [
    {},
    {"ids": HERE, "confirmed": "1", "reason": "because"},
    {"title": "t", "description": "d", "creator": "me@example.com", "full_name": "n", "email": "a@b", "name": "n"},
    {"version": "1", "content": "c", "ticket": HERE},
]
"""Forms that would be taken as they are, so that what is added is looked at."""


@pytest_asyncio.fixture
async def ticket(make: Make) -> Ticket:
    """A ticket with something of everything."""
    made = await make.ticket(creator_id=(await make.customer(email="me@example.com")).id)
    await make.comment(made, await make.agent())
    await make.tag("printer", made)
    return made


@pytest_asyncio.fixture
async def developer(browser: Browser, make: Make) -> Browser:
    """Somebody who may do everything."""
    return await browser.sign_in(await make.agent("developer"))


def sound(answer: httpx.Response, seconds: float) -> None:
    """What every answer has to be, whatever was asked."""
    assert answer.status_code < 500, answer.text
    assert seconds < SECONDS
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "evil" not in answer.headers.get("location", "").partition("?")[0]
    assert set(answer.headers).isdisjoint({"server", "x-powered-by"})
    if answer.status_code >= 400:
        assert not LEAKS.search(re.sub(r"“[^”]*”", "", answer.text)), answer.text


EVERYTHING = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize("route", [path for path, method in ROUTES if method == "GET"])
@EVERYTHING
@given(data=st.data())
async def test_no_address_breaks_a_page(developer: Browser, ticket: Ticket, route: str, data: st.DataObject) -> None:
    url, query = data.draw(addresses(route)), urlencode(data.draw(pairs(route)))
    begin = perf_counter()
    answer = await developer.get(f"{url}?{query}".replace(HERE, str(ticket.id)))
    sound(answer, perf_counter() - begin)


@pytest.mark.parametrize("route", [path for path, method in ROUTES if method == "POST" and path != "/admin/logout"])
@EVERYTHING
@given(data=st.data())
async def test_no_form_breaks_a_page(developer: Browser, ticket: Ticket, route: str, data: st.DataObject) -> None:
    url, fields = data.draw(addresses(route)), dict(data.draw(st.sampled_from(BEGUN)))
    fields |= {TOKEN_FIELD: developer.token, **dict(data.draw(pairs(route)))}
    here = {name: text.replace(HERE, str(ticket.id)) for name, text in fields.items()}
    files = data.draw(st.none() | st.tuples(st.sampled_from(HARD), st.binary(max_size=20)))
    begin = perf_counter()
    answer = await developer.post(
        url.replace(HERE, str(ticket.id)), data=here, files={"files": files} if files else None
    )
    sound(answer, perf_counter() - begin)


@pytest.mark.parametrize(("route", "method"), ROUTES)
async def test_whoever_is_not_signed_in_learns_and_changes_nothing(browser: Browser, route: str, method: str) -> None:
    url = re.sub(r"\{(\w+)(:path)?\}", lambda match: FILLED_IN.get(match[1], ["1"])[0], route)
    answer = await browser.request(method, url, headers={"x-csrf-token": browser.token})
    if url in OPEN and method == "GET":
        assert answer.status_code == 200
    elif url == "/":
        assert answer.headers["location"] == "/admin/"
    elif url == "/admin/login":
        assert answer.status_code == 403
    else:
        assert (answer.status_code, answer.text) == (303, "")
        assert answer.headers["location"].startswith("/admin/login")


def test_a_name_in_an_address_that_is_of_no_resource_can_be_none_of_a_plugin() -> None:
    addresses = [route for route, _ in ROUTES] + [
        f"/api{route.path}" for route in api().routes if isinstance(route, Route)
    ]
    named = {part for address in addresses if (part := next(iter(address.split("/")[2:]), "")).isidentifier()}
    assert named - set(REGISTRY.resources) == PLACES


async def test_every_route_takes_the_methods_it_names_and_no_other(developer: Browser, shared_app: Starlette) -> None:
    taken = set(leaves(shared_app.routes))
    assert taken == set(ROUTES)
    for route in {path for path, _ in taken}:
        url = re.sub(r"\{(\w+)(:path)?\}", lambda match: FILLED_IN.get(match[1], ["1"])[0], route)
        named = {method for path, method in taken if path == route}
        for method in {"POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - named:
            answer = await developer.request(method, url, headers={"x-csrf-token": developer.token})
            assert answer.status_code == 405, (method, url)
