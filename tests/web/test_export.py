"""Exports: the whole of a filtered list as a file, safe for spreadsheets, recorded as a change set."""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import httpx
import pytest
from sqlalchemy import URL, AsyncAdaptedQueuePool, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from admin_app.app import create_app
from admin_app.db import Acting, Database
from admin_app.exports.workbook import Sheets
from admin_app.models import ChangeSet, Door, Export, ExportState, Ticket
from admin_app.settings import Settings
from admin_app.testing import Browser, Make, administration
from tests.web.forms import role

CSV = "/admin/ticket/export/csv"
XLSX = "/admin/ticket/export/xlsx"
CELLS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
JSONL = "/admin/ticket/export/jsonl"


def table(answer: httpx.Response) -> list[dict[str, str]]:
    """The rows of a CSV file by their columns' names."""
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def objects(answer: httpx.Response) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.decode().split("\n")[:-1]]


def sheets(answer: httpx.Response) -> list[list[list[tuple[str, str]]]]:
    """The cells of a workbook by sheet and row: the kind of each, "s" for a text, and what it holds."""
    assert answer.status_code == 200, answer.text
    found = []
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        assert book.testzip() is None
        names = sorted(name for name in book.namelist() if name.startswith("xl/worksheets/sheet"))
        for name in names:
            rows = ElementTree.fromstring(book.read(name)).iter(f"{CELLS}row")  # noqa: S314  we made it ourselves
            found.append([[(cell.get("t", ""), "".join(cell.itertext())) for cell in row] for row in rows])
    return found


async def test_an_export_holds_what_the_list_shows_on_all_its_pages(
    client: Browser, make: Make, database: Database
) -> None:
    customer = await make.customer()
    async with database.transaction(Acting.system(), "test.make") as change:
        change.session.add_all(Ticket(title=str(n), description="d", creator_id=customer.id) for n in range(450))
    await make.ticket(title="gone", deleted_at=datetime.now(UTC))
    found = table(await client.get(f"{CSV}?creator={customer.id}&sort=created_at&size=25&columns=title,id"))
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


async def test_a_workbook_holds_values_as_what_they_are(client: Browser, make: Make) -> None:
    moment = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    ticket = await make.ticket(title="Ünïcode, “quoted”\nand broken", created_at=moment)
    await make.tag("b", ticket)
    await make.tag("a, c", ticket)
    answer = await client.get(XLSX)
    assert answer.headers["content-type"].endswith("spreadsheetml.sheet")
    assert answer.headers["content-disposition"].endswith('.xlsx"')
    [[heads, row]] = sheets(answer)
    cells = dict(zip([text for _, text in heads], row, strict=False))
    assert cells["id"] == ("", str(ticket.id))
    assert cells["title"] == ("inlineStr", "Ünïcode, “quoted”\nand broken")
    assert cells["status"] == ("inlineStr", "open")
    assert [text for _, text in heads] == list(table(await client.get(CSV))[0])
    assert ("inlineStr", "a, c, b") in row
    days = (moment - datetime(1899, 12, 30, tzinfo=UTC)).total_seconds() / 86_400
    assert any(kind == "" and abs(float(text) - days) < 1e-6 for kind, text in row)


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(1)", "https://example.com", "007"])
async def test_no_text_of_a_workbook_is_calculated_or_followed(client: Browser, make: Make, title: str) -> None:
    await make.ticket(title=title)
    answer = await client.get(XLSX)
    [[_, row]] = sheets(answer)
    assert ("inlineStr", title) in row
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in sheet
    assert b"hyperlink" not in sheet


async def test_what_does_not_fit_into_a_cell_is_cut_and_numbers_stay_exact(tmp_path: Path) -> None:
    book = Sheets(["a"], tmp_path)
    book.write([["x" * 40_000], [2**60], [True], [None], [Decimal("1.5")], [datetime(1899, 1, 1, tzinfo=UTC)]])
    book.book.close()
    answer = httpx.Response(200, content=book.file.read_bytes())
    [[_, long, big, yes, half, early]] = [[row for row in rows if row] for rows in sheets(answer)]
    assert [len(text) for _, text in long] == [32_767]
    assert long[0][1].endswith("…")
    assert big == [("inlineStr", str(2**60))]
    assert yes == [("b", "1")]
    assert half == [("", "1.5")]
    assert early == [("inlineStr", "1899-01-01T00:00:00+00:00")]


async def test_rows_that_do_not_fit_on_a_sheet_go_on_on_the_next(tmp_path: Path) -> None:
    book = Sheets(["a"], tmp_path, most=4)
    book.write([[number] for number in range(7)])
    book.book.close()
    found = sheets(httpx.Response(200, content=book.file.read_bytes()))
    assert [[text for row in rows for _, text in row] for rows in found] == [
        ["a", "0", "1", "2"],
        ["a", "3", "4", "5"],
        ["a", "6"],
    ]


async def selected(browser: Browser, kind: str, **fields: str) -> httpx.Response:
    """The file of what was ticked in the list of tickets."""
    answer = await browser.submit(f"/admin/ticket/selected/{kind}", fields)
    assert answer.status_code == 303, answer.text
    return await browser.get(answer.headers["location"])


async def test_what_was_selected_is_exported_and_nothing_that_came_later(client: Browser, make: Make) -> None:
    made = [await make.ticket(title=f"Fan {number}") for number in range(6)]
    await make.ticket(title="Another")
    answer = await client.submit(
        "/admin/ticket/selected/csv", {"all": "1", "filter": "q=fan&sort=created_at", "without": str(made[2].id)}
    )
    await make.ticket(title="Fan too late")
    gone = made[4]
    await client.submit("/admin/ticket/do/trash.put", {"ids": gone.id, "confirmed": "1", "reason": "spam"})
    titles = [f"Fan {number}" for number in (0, 1, 3, 4, 5)]
    assert [row["title"] for row in table(await client.get(answer.headers["location"]))] == titles
    ticked = await selected(client, "jsonl", ids=f"{made[5].id},{made[0].id}")
    assert {row["title"] for row in objects(ticked)} == {"Fan 0", "Fan 5"}
    [[_, row]] = sheets(await selected(client, "xlsx", ids=str(made[1].id)))
    assert ("inlineStr", "Fan 1") in row
    async with client.desk.database.read() as session:
        done = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "ticket.export"))).all()
    assert [(one.parameters["rows"], one.parameters["format"]) for one in done] == [
        (5, "csv"),
        (2, "jsonl"),
        (1, "xlsx"),
    ]
    assert all(isinstance(one.parameters["selection"], int) for one in done)


async def test_a_selection_is_exported_by_whoever_made_it_and_may_export(browser: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await browser.sign_in(await make.agent())
    assert (await browser.submit("/admin/ticket/selected/csv", {"ids": ticket.id})).status_code == 403
    assert "/selected/" not in (await browser.get("/admin/ticket/list")).text
    await browser.sign_in(await make.lead())
    assert "/selected/xlsx" in (await browser.get("/admin/ticket/list")).text
    address = (await browser.submit("/admin/ticket/selected/csv", {"ids": ticket.id})).headers["location"]
    assert len(table(await browser.get(address))) == 1
    await browser.sign_in(await make.lead())
    assert (await browser.get(address)).status_code == 404
    assert (await browser.get(f"{CSV}?selection=x")).status_code == 400
    assert (await browser.submit("/admin/ticket/selected/ods", {"ids": ticket.id})).status_code == 404
    nothing = await browser.submit("/admin/ticket/selected/csv", {"filter": "status=open"})
    assert nothing.headers["location"] == "/admin/ticket/list?status=open"
    assert "Nothing is selected" in (await browser.get(nothing.headers["location"])).text


async def test_no_secret_leaves(client: Browser, make: Make) -> None:
    await make.agent(password_hash="a secret hash")
    for kind in ("csv", "jsonl"):
        answer = await client.get(f"/admin/user/export/{kind}")
        assert answer.status_code == 200
        assert "secret" not in answer.text
        assert "password" not in answer.text


async def test_every_export_is_recorded_with_its_question_and_its_size(client: Browser, make: Make) -> None:
    await make.ticket(title="paper")
    await client.get(f"{CSV}?q=paper&status=open&size=25")
    assert (await client.get(f"{CSV}?status=foo")).status_code == 400
    async with client.desk.database.read() as session:
        [made] = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "ticket.export"))).all()
    assert client.actor is not None
    assert (made.user_id, made.door, made.state) == (client.actor.id, Door.WEB, "completed")
    assert made.parameters["query"] == {"q": "paper", "status": "open"}
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


async def test_columns_headings_and_the_mark_are_chosen(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="=1+1", description="long")
    answer = await client.get(f"{CSV}?columns=title,description,creator&labels=yes&bom=no&formulas=yes")
    assert answer.text.splitlines()[0] == "Title,Description,Requester"
    assert answer.text.splitlines()[1].startswith("=1+1,long,person")
    [row] = objects(await client.get(f"{JSONL}?columns=id&columns=resolved_by&labels=yes"))
    assert row == {"ID": ticket.id, "Resolved by": None}


@pytest.mark.parametrize("asked", ["columns=password_hash", "columns=nonsense", "labels=perhaps", "bom=no&bom=yes"])
async def test_an_option_that_cannot_be_understood_is_refused_by_its_name(client: Browser, asked: str) -> None:
    answer = await client.get(f"/admin/user/export/csv?{asked}")
    assert answer.status_code == 400
    assert asked.partition("=")[0] in answer.text


HOSTILE = (
    '=HYPERLINK("http://evil")',
    "＝1+1",
    'a "quoted" text, with commas; and\ttabs',
    "two\r\nlines\nand\\backslashes\\n \\. \\N",
    "\\.",
    "%s %(x)s $1 $2 :name __[POSTCOMPILE_x] {} {0}",
    "'; DROP TABLE tickets; --",
    "‮gnirts esrever‬ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧 ﷽",
    "\x01\x02\x1f\x7f\u2028",
    "x" * 500,
)


async def test_hostile_texts_arrive_as_they_were_written(client: Browser, make: Make) -> None:
    customer = await make.customer(email="=cmd|calc@example.com")
    made = [await make.ticket(title=text, description=text * 200, creator_id=customer.id) for text in HOSTILE]
    await make.tag('+tag, with "quotes"', *made)
    address = f"creator={customer.id}&sort=id&columns=title,description,creator,tags"
    rows = table(await client.get(f"{CSV}?{address}"))
    plain = table(await client.get(f"{CSV}?{address}&formulas=yes"))
    assert [(row["title"], row["description"]) for row in plain] == [(text, text * 200) for text in HOSTILE]
    assert {(row["creator"], row["tags"]) for row in plain} == {("=cmd|calc@example.com", '+tag, with "quotes"')}
    assert {(row["creator"], row["tags"]) for row in rows} == {("'=cmd|calc@example.com", '\'+tag, with "quotes"')}
    assert [row["title"] for row in rows] == [f"'{text}" if text[0] in "=＝" else text for text in HOSTILE]
    found = objects(await client.get(f"{JSONL}?{address}"))
    assert [(row["title"], row["description"]) for row in found] == [(text, text * 200) for text in HOSTILE]
    assert {(row["creator"], *row["tags"]) for row in found} == {("=cmd|calc@example.com", '+tag, with "quotes"')}


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_hostile_filter_finds_what_the_list_finds(client: Browser, make: Make, text: str) -> None:
    customer = await make.customer(full_name=text.strip()[:200])
    pairs = {"q": text.strip()[:200], "columns": "id,full_name"}
    listed = await client.get("/admin/user/list", params={"q": pairs["q"]})
    answer = await client.get("/admin/user/export/jsonl", params=pairs)
    assert listed.status_code == answer.status_code
    if answer.status_code == 200:
        assert [row["id"] for row in objects(answer)] == [customer.id]


@pytest.fixture
def small(database: Database, tmp_path: Path) -> Browser:
    """A browser at a desk where two rows are already many."""
    settings = replace(Settings.from_env(), export_inline=2, secret_key="x" * 32, data_dir=tmp_path)
    app = create_app(settings, database)
    return Browser(app, app.state.desk)


async def test_what_is_too_large_to_wait_for_is_ordered_once_that_is_confirmed(
    small: Browser, database: Database, make: Make
) -> None:
    for _ in range(3):
        await make.ticket(title="one of three")
    await small.sign_in(lead := await make.lead())
    answer = await small.get(f"{CSV}?q=three&labels=yes")
    assert answer.status_code == 200
    assert "more than <b>2</b> tickets" in answer.text
    assert 'action="/admin/ticket/order/csv"' in answer.text
    ordered = await small.submit("/admin/ticket/order/csv", {"address": "q=three&labels=yes"})
    assert (ordered.status_code, ordered.headers["location"]) == (303, "/admin/exports")
    async with database.read() as session:
        [made] = (await session.scalars(select(Export))).all()
        change_set = await session.get_one(ChangeSet, made.change_set_id)
    assert (made.user_id, made.resource, made.filter, made.expected) == (lead.id, "ticket", "q=three", 3)
    assert (made.state, made.layout["kind"], made.layout["labels"]) == (ExportState.QUEUED, "csv", True)
    assert change_set.parameters["background"] is True
    assert (change_set.parameters["rows"], change_set.parameters["query"]) == (3, {"q": "three"})
    page = await small.get("/admin/exports")
    assert "0 of 3" in page.text
    assert len(table(await small.get(f"{CSV}?created_at=yesterday"))) == 0


async def test_an_export_is_its_makers_alone(small: Browser, database: Database, make: Make) -> None:
    for _ in range(3):
        await make.ticket()
    await small.sign_in(await make.lead())
    await small.submit("/admin/ticket/order/jsonl", {"address": ""})
    async with database.read() as session:
        made = (await session.scalars(select(Export))).one()
    await small.sign_in(await make.lead())
    assert f'data-id="{made.id}"' not in (await small.get("/admin/exports")).text
    assert (await small.get(f"/admin/exports/{made.id}/file")).status_code == 404
    assert (await small.submit(f"/admin/exports/{made.id}/cancel")).status_code == 404
    auditor = await small.sign_in(await make.agent("auditor"))
    assert (await auditor.submit("/admin/ticket/order/csv", {"address": ""})).status_code == 403


async def test_an_export_that_waits_can_be_cancelled_once(small: Browser, database: Database, make: Make) -> None:
    for _ in range(3):
        await make.ticket()
    await small.sign_in(await make.lead())
    await small.submit("/admin/ticket/order/csv", {"address": ""})
    async with database.read() as session:
        made = (await session.scalars(select(Export))).one()
    assert (await small.submit(f"/admin/exports/{made.id}/cancel")).status_code == 303
    assert "Cancelled" in (await small.get("/admin/exports")).text
    assert (await small.submit(f"/admin/exports/{made.id}/cancel")).status_code == 409


async def many(database: Database, make: Make, number: int) -> None:
    """So many tickets of 20 kB each."""
    customer = await make.customer()
    async with database.transaction(Acting.system(), "test.make") as change:
        change.session.add_all(
            Ticket(title=str(n), description="d" * 20_000, creator_id=customer.id) for n in range(number)
        )


def watched(app: Starlette, note: Callable[[Message], Awaitable[None]]) -> Starlette:
    """An application whose every message is noted before it goes out."""

    async def watching(scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            await note(message)
            await send(message)

        await app(scope, receive, noting)

    return cast(Starlette, watching)


@pytest.fixture
def live_app(live_database: Database, tmp_path: Path) -> Starlette:
    """An application on a database of its own."""
    return create_app(replace(Settings.from_env(), secret_key="x" * 32, data_dir=tmp_path), live_database)


WIDE = f"{JSONL}?columns=id,description"


async def test_rows_leave_in_pieces(live_app: Starlette, live_database: Database, make_live: Make) -> None:
    await many(live_database, make_live, 200)
    sizes: list[int] = []

    async def note(message: Message) -> None:
        sizes.append(len(message.get("body", b"")))

    async with Browser(watched(live_app, note), live_app.state.desk) as browser:
        await browser.sign_in(await make_live.lead())
        answer = await browser.get(WIDE)
    assert len({row["id"] for row in objects(answer)}) == 200
    assert max(sizes) < 512 * 1024 < sum(sizes)


BUSY = text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND state <> 'idle'")


async def test_an_export_that_fails_midway_does_not_look_complete(
    live_app: Starlette, live_database: Database, live_url: URL, make_live: Make
) -> None:
    await many(live_database, make_live, 1_000)
    ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'")
    messages: list[Message] = []

    async def note(message: Message) -> None:
        messages.append(message)
        if len(messages) == 2:
            async with administration(live_url) as connection:
                await connection.execute(ended)

    async with Browser(watched(live_app, note), live_app.state.desk) as browser:
        await browser.sign_in(await make_live.lead())
        messages.clear()
        with suppress(AssertionError):  # httpx finds that the answer has no end
            await browser.get(WIDE)
    assert messages[0]["status"] == 200
    assert messages[-1]["more_body"] is True, "an end was sent, so that the half looks like the whole"


async def test_a_reader_who_leaves_ends_the_copy(
    live_app: Starlette, live_database: Database, live_url: URL, make_live: Make
) -> None:
    await many(live_database, make_live, 1_000)
    left = asyncio.Event()

    async def leaving(scope: Scope, receive: Receive, send: Send) -> None:
        async def receiving() -> Message:
            await left.wait()
            return {"type": "http.disconnect"}

        async def sending(message: Message) -> None:
            await send(message)
            if message.get("body"):
                left.set()
                await asyncio.Event().wait()

        await live_app(scope, receiving if "/export/" in scope["path"] else receive, sending)

    async with Browser(cast(Starlette, leaving), live_app.state.desk) as browser:
        await browser.sign_in(await make_live.lead())
        with suppress(AssertionError):  # httpx finds that the answer has no end
            await asyncio.wait_for(browser.get(WIDE), 30)
    assert left.is_set()
    async with administration(live_url) as connection:
        assert await connection.scalar(BUSY, {"name": live_url.database}) == 0
    pool = cast(AsyncEngine, live_database.bind).pool
    assert cast(AsyncAdaptedQueuePool, pool).checkedout() == 0
