"""Exports: the whole of a filtered list as a file, safe for spreadsheets, recorded as a change set."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from admin_app.app import create_app
from admin_app.db import Acting, Database
from admin_app.models import ChangeSet, Door, Ticket
from admin_app.queries.rows import BATCH
from admin_app.settings import Settings
from admin_app.testing import Browser, Make
from tests.web.forms import role

CSV = "/admin/ticket/export/csv"
JSONL = "/admin/ticket/export/jsonl"


def table(answer: httpx.Response) -> list[dict[str, str]]:
    """The rows of a CSV file by their columns' names."""
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def objects(answer: httpx.Response) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_an_export_holds_what_the_list_shows_on_all_its_pages(
    client: Browser, make: Make, database: Database
) -> None:
    customer = await make.customer()
    async with database.transaction(Acting.system(), "test.make") as change:
        change.session.add_all(Ticket(title=str(n), description="d", creator_id=customer.id) for n in range(450))
    await make.ticket(title="gone", deleted_at=datetime.now(UTC))
    found = table(await client.get(f"{CSV}?creator={customer.id}&sort=created_at&size=25&page=2"))
    assert [row["title"] for row in found] == [str(n) for n in range(450)]
    assert [row["title"] for row in table(await client.get(f"{CSV}?trash=yes"))] == ["gone"]
    assert len(objects(await client.get(f"{JSONL}?creator={customer.id}&q=7"))) == 1


async def test_columns_are_the_list_s_and_the_record_page_s_and_values_can_be_read_back(
    client: Browser, make: Make
) -> None:
    agent = await make.agent(email="ana@example.com")
    moment = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    ticket = await make.ticket(title="Ünïcode, “quoted”\nand broken", assignee_id=agent.id, created_at=moment)
    await make.tag("b", ticket)
    await make.tag("a, c", ticket)
    bare = await make.ticket(created_at=datetime(2026, 1, 4, tzinfo=UTC))
    first, second = table(await client.get(CSV))
    assert first["id"] == str(ticket.id)
    assert first["title"] == "Ünïcode, “quoted”\nand broken"
    assert (first["assignee"], first["tags"]) == ("ana@example.com", "a, c, b")
    assert first["created_at"] == "2026-01-05T09:30:00+00:00"
    assert (second["ticket_number"], second["assignee"], second["tags"]) == (bare.ticket_number, "", "")
    assert {"status", "priority", "creator", "reopen_count", "delete_reason"} <= set(first)
    one, two = objects(await client.get(JSONL))
    assert (one["tags"], one["status"], one["reopen_count"]) == (["a, c", "b"], "open", 0)
    assert one["created_at"] == "2026-01-05T09:30:00+00:00"
    assert two["assignee"] is None


async def test_a_file_is_named_and_typed(client: Browser) -> None:
    answer = await client.get(CSV)
    day = datetime.now(UTC).date()
    assert answer.headers["content-disposition"] == f'attachment; filename="ticket-{day}.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbfid,ticket_number,title")
    assert table(answer) == []
    assert (await client.get(JSONL)).headers["content-type"].startswith("application/x-ndjson")
    assert (await client.get("/admin/ticket/export/ods")).status_code == 404


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
async def test_what_a_spreadsheet_would_calculate_is_made_text(client: Browser, make: Make, title: str) -> None:
    await make.ticket(title=title)
    assert [row["title"] for row in table(await client.get(CSV))] == [f"'{title}"]
    assert [row["title"] for row in objects(await client.get(JSONL))] == [title]


async def test_no_secret_leaves(client: Browser, make: Make) -> None:
    await make.agent(password_hash="a secret hash")
    for kind in ("csv", "jsonl"):
        answer = await client.get(f"/admin/user/export/{kind}")
        assert answer.status_code == 200
        assert "secret" not in answer.text
        assert "password" not in answer.text


async def test_every_export_is_recorded_with_its_question_and_its_size(client: Browser, make: Make) -> None:
    await make.ticket(title="paper")
    await client.get(f"{CSV}?q=paper&status=open&page=2")
    assert (await client.get(f"{CSV}?status=foo")).status_code == 400
    async with client.desk.database.read() as session:
        [made] = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "ticket.export"))).all()
    assert client.actor is not None
    assert (made.user_id, made.door, made.state) == (client.actor.id, Door.WEB, "completed")
    assert made.parameters["query"] == {"q": "paper", "status": "open", "page": "2"}
    assert (made.parameters["rows"], made.parameters["format"]) == (1, "csv")
    assert "title" in made.parameters["columns"]


async def test_an_export_needs_its_permission(browser: Browser, make: Make) -> None:
    assert (await browser.get(CSV)).status_code == 303
    agent = await browser.sign_in(await make.agent())
    assert (await agent.get(CSV)).status_code == 403
    auditor = await browser.sign_in(await make.agent("auditor"))
    assert (await auditor.get(CSV)).status_code == 403


async def test_people_one_may_not_see_are_exported_by_id(browser: Browser, make: Make) -> None:
    agent = await make.agent(email="ana@example.com")
    await make.ticket(assignee_id=agent.id)
    viewer = await browser.sign_in(await make.agent(await role(make, "ticket.view", "ticket.export")))
    answer = await viewer.get(CSV)
    assert [row["assignee"] for row in table(answer)] == [str(agent.id)]
    assert "example.com" not in answer.text


async def test_more_rows_than_the_limit_are_refused_with_the_number(database: Database, make: Make) -> None:
    settings = replace(Settings.from_env(), bulk_limit=2, secret_key="x" * 32)
    app = create_app(settings, database)
    for _ in range(3):
        await make.ticket(title="one of three")
    async with Browser(app, app.state.desk) as small:
        await small.sign_in(await make.lead())
        answer = await small.get(CSV)
        assert answer.status_code == 400
        assert "more than 2 rows" in answer.text
        assert len(table(await small.get(f"{CSV}?created_at=yesterday"))) == 0


async def test_rows_leave_in_batches(live_database: Database, make_live: Make) -> None:
    customer = await make_live.customer()
    async with live_database.transaction(Acting.system(), "test.make") as change:
        change.session.add_all(Ticket(title=str(n), description="d", creator_id=customer.id) for n in range(1_000))
    app = create_app(replace(Settings.from_env(), secret_key="x" * 32), live_database)
    lines = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            lines.append(message.get("body", b"").count(b"\n"))
            await send(message)

        await app(scope, receive, note)

    async with Browser(cast(Starlette, watched), app.state.desk) as browser:
        await browser.sign_in(await make_live.lead())
        answer = await browser.get(JSONL)
    assert len({row["id"] for row in objects(answer)}) == 1_000
    assert sum(lines) == 1_000
    assert max(lines) == BATCH
