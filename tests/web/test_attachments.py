"""Attachments through the web door: what is taken, how it is stored, and how it is given out."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

import httpx
import pytest
from sqlalchemy import select

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, NotFound
from admin_app.files import CHUNK, Files, accepted
from admin_app.models import Attachment, AuditLog, ChangeSet, ScanStatus, Ticket
from admin_app.queries import trash
from admin_app.queries.attachments import cleaned
from admin_app.queries.changes import Chosen
from admin_app.testing import Browser, Make
from admin_app.web.context import TOKEN_FIELD
from tests.web.forms import edit, problem, role

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 200


@pytest.fixture
def store(client: Browser) -> Iterator[Path]:
    """The folder in which the desk keeps attachments, empty before each test."""
    folder = Path(client.desk.settings.data_dir) / "attachments"
    for file in files_in(folder):
        file.unlink()
    yield folder
    assert not [file for file in files_in(folder) if file.name.startswith(".")], "a draft was left behind"


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


async def attach(browser: Browser, ticket: Ticket, *files: tuple[str, bytes], **fields: str) -> httpx.Response:
    """Send files from a ticket's page."""
    return await browser.post(
        f"/admin/ticket/upload/{ticket.id}",
        data={TOKEN_FIELD: browser.token, **fields},
        files=[("files", (name, content, "text/html")) for name, content in files],
    )


async def attachments(browser: Browser) -> list[Attachment]:
    async with browser.desk.database.read() as session:
        return list(await session.scalars(select(Attachment).order_by(Attachment.id)))


async def fetch(browser: Browser, attachment: Attachment) -> httpx.Response:
    return await browser.get(f"/admin/attachment/file/{attachment.id}")


async def test_files_are_stored_whole_with_their_rows_in_one_change_set(
    client: Browser, make: Make, store: Path
) -> None:
    ticket, large = await make.ticket(), b"%PDF-1.7\n" + bytes(range(256)) * 4096
    answer = await attach(client, ticket, ("scan.pdf", large), ("note.txt", "Grüße".encode()))
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/admin/ticket/details/{ticket.id}#files"
    pdf, note = await attachments(client)
    assert client.actor is not None
    assert (pdf.filename, pdf.content_type, pdf.size_bytes) == ("scan.pdf", "application/pdf", len(large))
    assert (pdf.ticket_id, pdf.uploaded_by_id, pdf.is_internal) == (ticket.id, client.actor.id, True)
    assert pdf.sha256 == hashlib.sha256(large).hexdigest()
    assert note.content_type == "text/plain"
    assert {file.name for file in files_in(store)} == {pdf.storage_key, note.storage_key}
    assert (store / pdf.storage_key[:2] / pdf.storage_key).read_bytes() == large
    async with client.desk.database.read() as session:
        made = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "attachment.upload"))).one()
        rows = (await session.scalars(select(AuditLog).where(AuditLog.change_set_id == made.id))).all()
    assert (made.changed, made.user_id, made.parameters) == (2, client.actor.id, {"ticket": ticket.id, "files": 2})
    assert [(row.action, row.table_name) for row in rows] == [("CREATE", "attachments")] * 2
    page = await client.get(f"/admin/ticket/details/{ticket.id}")
    assert "2 files are attached." in page.text
    assert f'href="/admin/attachment/file/{pdf.id}"' in page.text
    assert "1.0 MB" in page.text


async def test_a_file_is_given_out_to_be_saved_and_never_to_be_run(client: Browser, make: Make, store: Path) -> None:
    name = "Übersicht <img src=x onerror=alert(2)>; x='y'.txt"
    await attach(client, await make.ticket(), (name, b"just text"))
    [file] = await attachments(client)
    answer = await fetch(client, file)
    assert answer.content == b"just text"
    assert answer.headers["content-length"] == "9"
    assert answer.headers["content-type"].startswith("text/plain")
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; filename*=utf-8''")
    assert "%C3%9Cbersicht" in disposition
    assert not set(disposition.partition("''")[2]) & set('"<>; ')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "no-store" in answer.headers["cache-control"]
    page = await client.get(f"/admin/ticket/details/{file.ticket_id}")
    assert "<img" not in page.text
    assert "Übersicht &lt;img src=x" in page.text


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("program.exe", b"MZ\x90", "cannot be attached"),
        ("page.html", b"<html>", "cannot be attached"),
        ("picture.svg", b"<svg onload=alert(1)>", "cannot be attached"),
        ("none", b"text", "cannot be attached"),
        ("invoice.pdf.exe", b"%PDF-", "cannot be attached"),
        ("invoice.pdf", b"MZ\x90\x00", "is a program"),
        ("readme.txt", b"\x7fELF\x02", "is a program"),
        ("script.txt", b"#!/bin/sh\nrm -rf /", "is a program"),
        ("page.txt", b"\xef\xbb\xbf \n<!-- x --> <!DOCTYPE html><script>", "holds a web page"),
        ("picture.md", b'<?xml version="1.0"?>\n<!DOCTYPE svg><svg onload=alert(1)>', "holds a web page"),
        ("photo.png", b"GIF89a", "is not what its ending says"),
        ("table.csv", b"a\x00b", "is not what its ending says"),
        ("film.mp4", b"RIFFxxxxWEBP", "is not what its ending says"),
        ("empty.txt", b"", "is empty"),
    ],
)
async def test_what_is_dangerous_or_not_what_it_seems_is_refused(
    client: Browser, make: Make, store: Path, name: str, content: bytes, words: str
) -> None:
    page = await attach(client, await make.ticket(), ("good.png", PNG), (name, content))
    assert page.status_code == 422
    assert words in problem(page, "upload")
    assert await attachments(client) == []
    assert files_in(store) == []


async def test_a_file_above_the_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    files, rest = Files(tmp_path, limit_mb=1), [b"%PDF-" + b"x" * CHUNK] * 5

    async def read(size: int) -> bytes:
        return rest.pop() if rest else b""

    with pytest.raises(BadInput, match="larger than 1 MB"):
        await files.put("scan.pdf", read)
    assert files_in(tmp_path) == []


async def test_an_upload_without_a_file_or_to_a_ticket_in_the_trash_is_refused(
    client: Browser, make: Make, store: Path
) -> None:
    ticket = await make.ticket()
    assert problem(await attach(client, ticket, ("", b"")), "upload") == "Please choose a file first."
    await to_trash(client.desk.database, Ticket, ticket.id)
    late = await attach(client, ticket, ("photo.png", PNG))
    assert late.status_code == 409
    assert await attachments(client) == []
    assert files_in(store) == []
    missing = Ticket(id=999_999_999)
    assert (await attach(client, missing, ("photo.png", PNG))).status_code == 404
    assert files_in(store) == []


async def to_trash(database: Database, model: type[Any], id: int) -> None:  # noqa: A002
    async with database.transaction(Acting.system(), "test.trash") as change:
        await trash.put(change.session, Chosen.of(model, [id]), None, "by mistake")


async def test_a_file_in_the_trash_infected_or_lost_is_not_given_out(client: Browser, make: Make, store: Path) -> None:
    ticket = await make.ticket()
    await attach(client, ticket, ("one.png", PNG), ("two.png", PNG), ("three.png", PNG), ("four.png", PNG))
    trashed, infected, lost, fine = await attachments(client)
    await to_trash(client.desk.database, Attachment, trashed.id)
    async with client.desk.database.transaction(Acting.system(), "test.scan") as change:
        (await change.session.get_one(Attachment, infected.id)).scan_status = ScanStatus.INFECTED
    (store / lost.storage_key[:2] / lost.storage_key).unlink()
    assert (await fetch(client, trashed)).status_code == 404
    assert (await fetch(client, infected)).status_code == 403
    gone = await fetch(client, lost)
    assert gone.status_code == 404
    assert "not in the store any more" in gone.text
    assert (await fetch(client, fine)).status_code == 200
    await to_trash(client.desk.database, Ticket, ticket.id)
    assert (await fetch(client, fine)).status_code == 404
    for key in ("0", "x", "99999999999999999999", "999999999"):
        assert (await client.get(f"/admin/attachment/file/{key}")).status_code == 404
    assert (await client.get(f"/admin/ticket/file/{fine.id}")).status_code == 404


async def test_internal_files_are_for_those_who_read_notes_and_sharing_is_a_permission(
    client: Browser, make: Make, store: Path, shared_app: Any
) -> None:
    ticket = await make.ticket()
    await attach(client, ticket, ("internal.png", PNG))
    await attach(client, ticket, ("shared.png", PNG), shared="1")
    internal, shared = await attachments(client)
    assert (internal.is_internal, shared.is_internal) == (True, False)
    reader = await make.agent(await role(make, "ticket.view", "attachment.view", "attachment.create"))
    async with Browser(shared_app, client.desk) as browser:
        await browser.sign_in(reader)
        page = await browser.get(f"/admin/ticket/details/{ticket.id}")
        assert "shared.png" in page.text
        assert "internal.png" not in page.text
        assert (await fetch(browser, shared)).status_code == 200
        assert (await fetch(browser, internal)).status_code == 404
        assert (await attach(browser, ticket, ("x.png", PNG), shared="1")).status_code == 403
        assert (await attach(browser, ticket, ("x.png", PNG))).status_code == 303
        await browser.sign_in(await make.agent(await role(make, "ticket.view", "comment.view")))
        assert (await fetch(browser, shared)).status_code == 403
        assert (await attach(browser, ticket, ("y.png", PNG))).status_code == 403
    async with Browser(shared_app, client.desk) as stranger:
        assert (await fetch(stranger, shared)).status_code == 303
    assert len(await attachments(client)) == 3


async def test_an_upload_that_does_not_say_how_long_it_is_is_not_read(client: Browser, make: Make) -> None:
    read = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            read.append(1)
            yield b"x" * 65_536

    answer = await client.post(f"/admin/ticket/upload/{(await make.ticket()).id}", content=endless())
    assert answer.status_code == 400
    assert len(read) <= 1


async def test_an_upload_that_is_not_ours_is_refused(client: Browser, make: Make, store: Path) -> None:
    ticket = await make.ticket()
    answer = await client.post(f"/admin/ticket/upload/{ticket.id}", files=[("files", ("photo.png", PNG))])
    assert answer.status_code == 403
    assert files_in(store) == []


async def test_only_the_name_and_who_may_have_it_can_be_edited(client: Browser, make: Make, store: Path) -> None:
    await attach(client, await make.ticket(), ("photo.png", PNG))
    [file] = await attachments(client)
    forged = {"storage_key": "x" * 32, "sha256": "0" * 64, "content_type": "text/html", "scan_status": "clean"}
    assert (await client.get("/admin/attachment/create")).status_code == 403
    answer = await edit(client, f"/admin/attachment/edit/{file.id}", filename="../../etc/passwd\x7f.png", **forged)
    assert answer.status_code == 303
    [after] = await attachments(client)
    assert after.filename == "passwd.png"
    assert (after.storage_key, after.sha256, after.content_type, after.scan_status) == (
        file.storage_key,
        file.sha256,
        "image/png",
        ScanStatus.PENDING,
    )
    assert (await fetch(client, after)).status_code == 200
    renamed = await edit(client, f"/admin/attachment/edit/{file.id}", filename="photo.exe")
    assert "keeps its ending, .png" in problem(renamed, "field-filename")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("photo.png", "photo.png"),
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\me\\photo.png", "photo.png"),
        ("invoice\u202egnp.exe.txt", "invoicegnp.exe.txt"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt"),
        (normalize("NFD", "Übersicht.txt"), "Übersicht.txt"),
        (" . ", "file"),
        ("", "file"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("x." + "y" * 300, "x." + "y" * 233 + "." + "y" * 19),
    ],
)
def test_a_name_keeps_what_a_person_reads_and_nothing_that_deceives(given: str, kept: str) -> None:
    assert cleaned(given) == kept
    assert len(cleaned(given)) <= 255


def test_a_log_that_quotes_a_web_page_is_still_a_log() -> None:
    assert accepted("server.log", b"GET / 200\n<html><script>") == "text/plain"
    assert accepted("export.txt", "Grüße".encode("utf-16")) == "text/plain"


@pytest.mark.parametrize("key", ["../../etc/passwd", "..", "", "a/b/c/d/e/f/g", "x" * 101, ".draft123"])
async def test_a_key_never_leads_out_of_the_store(tmp_path: Path, key: str) -> None:
    with pytest.raises(NotFound):
        await Files(tmp_path, 1).find(key)
