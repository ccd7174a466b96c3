"""Whatever stands in the address of a list: it gives the list or says what is wrong, and soon."""

import os
import re
import secrets
import time
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from random import Random

import pytest
from starlette.applications import Starlette
from starlette.types import Message, Scope

from admin_app.app import create_app
from admin_app.db import Acting, Database
from admin_app.models import Comment, Ticket, TicketPriority, TicketTag
from admin_app.registry import Registry
from admin_app.settings import Settings
from admin_app.testing import Browser, Make
from tests.web.fuzzing import Fuzz

SLOWEST = 2.0
"""Seconds that an answer may take."""


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    location: str
    page: str
    seconds: float


async def ask(app: Starlette, path: str, query: bytes, cookies: str) -> Answer:
    """Ask the application for an address, byte by byte as it is given."""
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "headers": [(b"host", b"localhost"), (b"cookie", cookies.encode())],
    }
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        told.append(message)

    begun = time.perf_counter()
    await app(scope, receive, send)
    seconds = time.perf_counter() - begun
    location = dict(told[0]["headers"]).get(b"location", b"").decode()
    body = b"".join(message.get("body", b"") for message in told[1:])
    return Answer(told[0]["status"], location, body.decode(), seconds)


async def check(app: Starlette, cookies: str, fuzz: Fuzz, name: str) -> str:
    """Ask a list for something strange; what is wrong with the answer, or nothing."""
    path, query = f"/admin/{name}/list", fuzz.query(app.state.desk.registry.resources[name])
    for _ in range(3):
        answer = await ask(app, path, query, cookies)
        if answer.status != 302 or not answer.location.startswith(path):
            break
        query = answer.location.partition("?")[2].encode()
    fuzz.learn(answer.page)
    if answer.status not in {200, 400} and not (answer.status == 404 and b"view=" in query):
        return f"{answer.status} {answer.location} {path}?{query[:1000]!r}"
    if answer.status == 400 and not re.search(r"[\w!]+: .{10}", unescape(answer.page)):
        return f"a 400 that says nothing: {path}?{query[:1000]!r}"
    if answer.seconds > SLOWEST and (await ask(app, path, query, cookies)).seconds > SLOWEST:
        return f"{answer.seconds:.1f} s {path}?{query[:1000]!r}"
    return ""


async def fill(database: Database, make: Make) -> None:
    """Some hundred tickets with comments and tags, so that every list has pages."""
    people = [await make.agent() for _ in range(5)]
    tags = [await make.tag(name) for name in ("billing", "login", "2026", "50% off")]
    async with database.transaction(Acting.system(), "test.make") as change:
        ranks = list(TicketPriority)
        tickets = [
            Ticket(
                title=f"Invoice {number} of the app",
                description="It crashes at 100%.",
                creator_id=people[number % 5].id,
                assignee_id=people[number % 4].id if number % 3 else None,
                priority=ranks[number % 4],
            )
            for number in range(150)
        ]
        change.session.add_all(tickets)
        await change.session.flush()
        for ticket in tickets:
            said = {"author_id": people[0].id, "content": f"Answer to {ticket.title}", "is_internal": False}
            change.session.add(Comment(ticket_id=ticket.id, **said))
            change.session.add(TicketTag(ticket_id=ticket.id, tag_id=tags[ticket.id % 4].id))


@pytest.mark.parametrize("questions", [300, pytest.param(20_000, marks=pytest.mark.slow)])
async def test_no_address_of_a_list_fails_or_takes_long(
    live_database: Database, make_live: Make, registry: Registry, tmp_path: Path, questions: int
) -> None:
    await fill(live_database, make_live)
    settings = replace(Settings.from_env(), data_dir=tmp_path, secret_key="a secret for tests only, of 32+ characters")
    app = create_app(settings, live_database, registry)
    async with Browser(app, app.state.desk) as browser:
        await browser.sign_in(await make_live.agent("developer"))
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
    seed = os.environ.get("BACKDESK_FUZZ_SEED", "300" if questions == 300 else secrets.token_hex(4))
    fuzz, names = Fuzz(Random(seed)), list(registry.resources)  # noqa: S311  questions, not secrets
    wrong = [
        found for number in range(questions) if (found := await check(app, cookies, fuzz, names[number % len(names)]))
    ]
    assert not wrong, "\n".join([f"BACKDESK_FUZZ_SEED={seed}: {len(wrong)} of {questions}", *wrong[:20]])
