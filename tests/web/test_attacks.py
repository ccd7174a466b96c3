"""What somebody who means harm would send, through the door: each test fails where its hole is open again."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import process_time
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import select, text, update

from admin_app.cli_serve import hide_values
from admin_app.db import Acting
from admin_app.errors import BackdeskError
from admin_app.models import Attachment, Tag, Ticket, User
from admin_app.testing import Browser, Make
from admin_app.web.auth import hash_password
from admin_app.web.context import NOTICE_COOKIE, TOKEN_FIELD, VISITOR_COOKIE
from tests.web.forms import HOSTILE, edit, problem, role, stored

UNASSIGN = "/admin/ticket/do/assign.unassign"
PASSWORD = "river canyon 4821"
HALF = b"+2AA-"
"""Half a character, as UTF-7 writes it; UTF-8 cannot write one at all."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What stands here may compute only so long, because all others wait meanwhile; a busy machine does not count."""
    begin = process_time()
    yield
    assert process_time() - begin < seconds


def multipart(fields: dict[str, bytes], charset: str = "") -> dict[str, Any]:
    """Content and headers of a form in another alphabet."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + fields[name] for name in fields]
    kind = f"multipart/form-data; boundary=x{f'; charset={charset}' if charset else ''}"
    return {"content": b"\r\n".join([*parts, b"--x--", b""]), "headers": {"content-type": kind}}


async def upload(browser: Browser, ticket: Ticket, name: str, content: bytes, **fields: str) -> httpx.Response:
    form = {TOKEN_FIELD: browser.token, **fields}
    return await browser.post(f"/admin/ticket/upload/{ticket.id}", data=form, files=[("files", (name, content))])


# ── taking the desk's time ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_file_of_many_comments_is_judged_at_once(client: Browser, make: Make) -> None:
    with within(1):
        answer = await upload(client, await make.ticket(), "notes.txt", b"<!---->" * 26 + b"the end")
    assert answer.status_code == 303
    page = await upload(client, await make.ticket(), "page.txt", b"<!-- a --><!-- b --> <html>")
    assert "holds a web page" in problem(page, "upload")


async def test_tags_without_end_are_refused_at_once(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    mine, before = ("\n".join(f"{sign}{number}" for number in range(30_000)) for sign in "ab")
    fields = {"version": "0", "title": ticket.title, "tags_lines": mine, "original_tags_lines": before}
    with within(1):
        page = await client.submit(f"/admin/ticket/edit/{ticket.id}", fields)
    assert (page.status_code, "30,000 entries" in page.text) == (422, True)


async def test_a_form_is_measured_before_it_is_read(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    slow = f"{TOKEN_FIELD}={client.token}&description={'%41' * 1_200_000}".encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    with within(0.2):
        assert (await client.post(f"/admin/ticket/edit/{ticket.id}", content=slow, headers=kind)).status_code == 429
    client.cookies.clear()
    for content in (slow[:70_000], b"x" * 70_000):
        assert (await client.post("/admin/login", content=content, headers=kind)).status_code == 429


async def test_an_imported_text_of_any_length_can_still_stay_as_it_is(client: Browser, make: Make) -> None:
    ticket = await make.ticket(description="Line of a log: 100 %\n" * 100_000)
    page = await client.get(f"/admin/ticket/edit/{ticket.id}")
    assert 'enctype="multipart/form-data"' in page.text
    text = ticket.description.encode().replace(b"\n", b"\r\n")
    fields = {"description": text, "original_description": text, "title": b"Known", "version": b"1"}
    answer = await client.post(
        f"/admin/ticket/edit/{ticket.id}", **multipart({TOKEN_FIELD: client.token.encode(), **fields})
    )
    assert answer.status_code == 303
    after = await stored(client, Ticket, ticket.id)
    assert (after.title, after.description) == ("Known", ticket.description)


@pytest.mark.parametrize("name", ["assignee", "tags", "tag", "creator"])
async def test_a_filter_takes_no_more_values_than_a_person_picks(client: Browser, name: str) -> None:
    with within(1):
        answer = await client.get("/admin/ticket/list", params={name: ",".join(map(str, range(1, 9_000)))})
    assert answer.status_code == 400
    assert "at most 200 fit" in answer.text


# ── what nobody's browser sends ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "punycode", "undefined", "utf-16", "x" * 500])
async def test_a_form_in_another_alphabet_is_refused_before_it_is_read(
    client: Browser, make: Make, charset: str
) -> None:
    ticket, token = await make.ticket(), client.token.encode()
    form = multipart({TOKEN_FIELD: token, "content": HALF, "key": HALF}, charset)
    answer = await client.post(f"/admin/ticket/comments/{ticket.id}", **form)
    assert (answer.status_code, "UTF-8" in answer.text) == (400, True)
    client.cookies.clear()
    sign_in = multipart({TOKEN_FIELD: b"x", "email": HALF, "password": HALF, "next": b"/admin/" + HALF}, charset)
    assert (await client.post("/admin/login", **sign_in)).status_code == 400


@pytest.mark.parametrize("origin", ["http://[", "//[", "null", "x", "http://localhost@evil.example", "http://"])
async def test_an_origin_that_is_none_is_another_site(client: Browser, make: Make, origin: str) -> None:
    fields = {"ids": (await make.ticket()).id, "confirmed": "1"}
    assert (await client.submit(UNASSIGN, fields, headers={"origin": origin})).status_code == 403


@pytest.mark.parametrize(
    "host", ["localhost:80@evil.example", "localhost:evil", "localhost:", "[localhost]", "", "a b"]
)
async def test_a_host_that_only_begins_like_ours_is_refused(client: Browser, host: str) -> None:
    for url in ("/admin", "/admin/ticket/list", "/"):
        answer = await client.get(url, headers={"host": host})
        assert answer.status_code == 400
        assert "evil" not in str(answer.headers)


@pytest.mark.parametrize("name", ["x-forwarded-host", "x-original-url", "x-rewrite-url", "forwarded", "x-host"])
async def test_headers_of_proxies_lead_nowhere(browser: Browser, name: str) -> None:
    for url in ("/admin", "/admin/ticket/list", "/static"):
        answer = await browser.get(url, headers={name: "evil.example"})
        assert answer.status_code in {303, 307}
        assert "evil.example" not in str(answer.headers) + answer.text


@pytest.mark.parametrize(
    "back", ["//[", "http://[", "//evil.example/admin/", "/admin/\\evil", "/admin/\n//evil", "/adminevil", "\t/admin/"]
)
async def test_an_address_to_go_back_to_is_ours_or_the_list(client: Browser, make: Make, back: str) -> None:
    ids = (await make.ticket()).id
    page = await client.get(UNASSIGN, params={"ids": ids, "back": back})
    assert 'name="back" value="/admin/ticket/list"' in page.text
    answer = await client.submit(UNASSIGN, {"ids": ids, "confirmed": "1", "back": back})
    assert answer.headers["location"] == "/admin/ticket/list"


@pytest.mark.parametrize("due", ["0001-01-01T00:00", "9999-12-31T23:59", "1899-12-31T23:59", "2200-01-01T00:00Z"])
async def test_no_time_is_stored_that_breaks_the_pages_of_others(client: Browser, make: Make, due: str) -> None:
    ticket = await make.ticket()
    page = await edit(client, f"/admin/ticket/edit/{ticket.id}", due_at=due)
    assert "is too far away" in problem(page, "field-due_at")


async def test_a_form_without_a_key_is_not_taken_for_an_earlier_one(client: Browser, make: Make) -> None:
    agent = await make.agent()
    for ticket in [await make.ticket(assignee_id=agent.id) for _ in range(2)]:
        await client.submit(UNASSIGN, {"ids": ticket.id, "confirmed": "1", "key": ""})
        assert (await stored(client, Ticket, ticket.id)).assignee_id is None


# ── acting in somebody else's name ────────────────────────────────────────────────────────────────────────────────────


def bodies(ids: int) -> Iterator[dict[str, Any]]:
    """An action as another site could send it: in every kind that needs no consent, and some that do."""
    fields = {"ids": str(ids), "confirmed": "1"}
    plain = "&".join(f"{name}={value}" for name, value in fields.items())
    yield {"data": fields}
    yield {"files": {name: (None, value) for name, value in fields.items()}}
    yield {"content": plain, "headers": {"content-type": "text/plain"}}
    yield {"json": fields}
    yield {"content": plain}
    yield {"params": fields, "headers": {"x-http-method-override": "POST"}}
    yield {"data": {**fields, TOKEN_FIELD: "null"}, "headers": {"sec-fetch-site": "none"}}
    yield {"data": fields, "headers": {"x-csrf-token": "x", "origin": "http://localhost"}}


async def test_nothing_is_done_without_a_token_whatever_kind_the_form_is(client: Browser, make: Make) -> None:
    agent = await make.agent()
    ticket = await make.ticket(assignee_id=agent.id)
    for body in bodies(ticket.id):
        assert (await client.post(UNASSIGN, **body)).status_code == 403, body
    query: dict[str, str | int] = {"ids": ticket.id, "confirmed": "1", "_method": "POST", TOKEN_FIELD: client.token}
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = await client.request(method, UNASSIGN, params=query, headers={"x-http-method-override": "POST"})
        assert answer.status_code in {200, 405}
    assert (await stored(client, Ticket, ticket.id)).assignee_id == agent.id


async def test_a_token_from_before_signing_in_is_worth_nothing_afterwards(client: Browser, make: Make) -> None:
    cookies = dict(client.cookies)
    client.cookies.clear()
    page = await client.get("/admin/login")
    before = page.text.split(f'name="{TOKEN_FIELD}" value="')[1].split('"')[0]
    for name, value in cookies.items():
        client.cookies.set(name, value, domain="localhost.local")
    fields = {"ids": (await make.ticket()).id, "confirmed": "1", TOKEN_FIELD: before}
    assert (await client.post(UNASSIGN, data=fields)).status_code == 403


async def test_cookies_that_we_did_not_make_are_nobody_s_and_break_nothing(client: Browser) -> None:
    signed = client.desk.form_signer.dumps({"text": "Click here", "level": "success", "href": "https://evil.example"})
    for value in ("x", signed, "a.b.c", "%00", '"', "x" * 3000):
        client.cookies.set(NOTICE_COOKIE, value, domain="localhost.local")
        page = await client.get("/admin/")
        assert page.status_code == 200
        assert "evil.example" not in page.text
    client.cookies.clear()
    for value in ("x", "' OR 1=1 --", "x" * 3000, "%00"):
        client.cookies.set(client.desk.session_cookie, value, domain="localhost.local")
        client.cookies.set(VISITOR_COOKIE, value, domain="localhost.local")
        assert (await client.get("/admin/")).status_code == 303
        assert (await client.get("/admin/login")).status_code == 200


async def sign_in(browser: Browser, email: str, password: str) -> httpx.Response:
    page = await browser.get("/admin/login")
    token = page.text.split(f'name="{TOKEN_FIELD}" value="')[1].split('"')[0]
    return await browser.post("/admin/login", data={"email": email, "password": password, TOKEN_FIELD: token})


async def test_a_sign_in_that_somebody_else_chose_is_replaced(browser: Browser, make: Make) -> None:
    person = await make.lead(password_hash=hash_password(PASSWORD))
    browser.cookies.set(browser.desk.session_cookie, "chosen-by-somebody-else", domain="localhost.local")
    answer = await sign_in(browser, person.email, PASSWORD)
    made = next(value for value in answer.headers.get_list("set-cookie") if browser.desk.session_cookie in value)
    assert "chosen-by-somebody-else" not in made
    assert len(made.partition("=")[2].partition(";")[0]) >= 43


async def test_an_office_can_sign_in_and_an_address_cannot_be_blocked_as_an_e_mail(
    browser: Browser, make: Make
) -> None:
    people = [await make.agent(password_hash=hash_password(PASSWORD)) for _ in range(12)]
    statuses = [(await sign_in(browser, "127.0.0.1", "wrong")).status_code for _ in range(11)]
    assert statuses[-1] == 429
    for person in people:
        browser.cookies.clear()
        assert (await sign_in(browser, person.email, PASSWORD)).status_code == 303


async def test_one_cannot_hear_from_the_time_it_takes_who_is_known(browser: Browser, make: Make) -> None:
    known = await make.agent(password_hash=hash_password(PASSWORD))

    async def fastest(email: str) -> float:
        times = []
        for _ in range(4):
            begin = process_time()
            await sign_in(browser, email, "wrong")
            times.append(process_time() - begin)
        return min(times)

    assert await fastest("nobody@example.com") > 0.6 * await fastest(known.email)


async def test_the_log_has_no_password_no_token_and_no_question(browser: Browser, make: Make) -> None:
    person = await make.lead(email="private@example.com", password_hash=hash_password(PASSWORD))
    with structlog.testing.capture_logs() as log:
        await sign_in(browser, person.email, "wrong horse 9921")
        await sign_in(browser, person.email, PASSWORD)
        await browser.get("/admin/user/list", params={"q": "private"})
        await browser.get("/admin/ticket/list", params={"q": "\x00private"})
        await browser.post("/admin/user/create", data={"email": person.email})
    assert {entry["status"] for entry in log if "status" in entry} == {200, 303, 400, 401, 403}
    session = browser.cookies[browser.desk.session_cookie]
    for secret in ("private", "9921", PASSWORD, session, browser.desk.secret, "argon2"):
        assert secret not in str(log)


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("SELECT CAST(:a AS integer)", {"a": "private"}),
        ("UPDATE users SET email = :a, external_id = :b", {"a": "private@example.com", "b": "two\nlines of private"}),
    ],
)
async def test_an_error_of_the_database_is_logged_without_what_was_entered(
    client: Browser, make: Make, statement: str, values: dict[str, str]
) -> None:
    await make.customer()
    with pytest.raises(BackdeskError) as raised:
        async with client.desk.database.transaction(Acting.system(), "test.fail") as change:
            await change.session.execute(text(statement), values)
    facts: dict[str, Any] = {"exc_info": raised.value}
    line = hide_values(None, "", structlog.processors.format_exc_info(None, "", facts))["exception"]
    assert "(hidden)" in line
    assert statement.partition(":")[0] in line
    assert "private" not in line


async def test_a_line_of_the_log_cannot_be_forged(browser: Browser) -> None:
    renderer = structlog.processors.LogfmtRenderer()
    with structlog.testing.capture_logs() as log:
        await browser.get("/admin/%0alevel=error%20event=forged/list")
    lines = [renderer(None, "", dict(entry)) for entry in log]
    assert lines
    assert not any("\n" in line for line in lines)


# ── becoming more than one is ─────────────────────────────────────────────────────────────────────────────────────────


async def names_of_roles(browser: Browser, user: User) -> list[str]:
    async with browser.desk.database.read() as session:
        found = await session.scalar(select(User).where(User.id == user.id).execution_options(populate_existing=True))
        assert found is not None
        await session.refresh(found, ["roles"])
        return [one.name for one in found.roles]


@pytest.mark.parametrize("who", ["agent", "auditor", "lead"])
async def test_nobody_gives_themselves_roles_nor_takes_over_a_developer(browser: Browser, make: Make, who: str) -> None:
    developer = await make.agent("developer", email="dev@example.com", password_hash="x")
    attacker = await make.agent(who)
    await browser.sign_in(attacker)
    takeover = [{"email": "evil@example.com"}, {"is_active": "0"}, {"is_staff": "0"}]
    for user, forged in [(developer, one) for one in takeover] + [(attacker, {"roles": ["1", "2", "3", "4"]})]:
        fields = {"full_name": user.full_name, "version": str((await stored(browser, User, user.id)).version), **forged}
        await browser.submit(f"/admin/user/edit/{user.id}", fields)
        await browser.submit(f"/admin/user/edit/{user.id}", {**fields, "password_hash": "forged", "id": "1"})
    new = {"email": "new@example.com", "full_name": "New", "is_staff": "1", "roles": ["1"], "password_hash": "forged"}
    made = await browser.submit("/admin/user/create", new)
    assert made.status_code == (303 if who == "lead" else 403)
    after = await stored(browser, User, developer.id)
    assert (after.email, after.is_active, after.is_staff, after.password_hash) == ("dev@example.com", True, True, "x")
    assert await names_of_roles(browser, attacker) == [who]
    async with browser.desk.database.read() as session:
        for user in await session.scalars(select(User).where(User.email == "new@example.com")):
            assert (user.password_hash, await names_of_roles(browser, user)) == (None, [])


async def test_what_is_internal_is_hidden_on_every_page_from_who_reads_no_notes(browser: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await browser.sign_in(await make.lead())
    await upload(browser, ticket, "secret-plan.txt", b"internal")
    await upload(browser, ticket, "for-you.txt", b"shared", shared="1")
    async with browser.desk.database.read() as session:
        keys = (await session.scalars(select(Attachment.id).order_by(Attachment.id))).all()
    may = ("ticket.view", "attachment.view", "attachment.edit", "attachment.export", "trash.put")
    await browser.sign_in(await make.agent(await role(make, *may)))
    pages = [f"/admin/attachment/{page}/{key}" for page in ("details", "edit", "file") for key in keys]
    assert [(await browser.get(url)).status_code for url in pages] == [404, 200] * 3
    for url in ("attachment/list", "attachment/export/csv", f"ticket/details/{ticket.id}"):
        page = await browser.get(f"/admin/{url}")
        assert ("for-you" in page.text, "secret-plan" in page.text) == (True, False), url
    fields = {"filename": "x.txt", "version": "1"}
    assert (await browser.submit(f"/admin/attachment/edit/{keys[0]}", fields)).status_code == 404
    asked = await browser.get("/admin/attachment/do/trash.put", params={"ids": keys[0]})
    assert (asked.status_code, "secret-plan" in asked.text) == (200, False)
    sent = {"ids": f"{keys[0]},{keys[1]}", "confirmed": "2", "reason": "tidy"}
    done = await browser.get((await browser.submit("/admin/attachment/do/trash.put", sent)).headers["location"])
    assert "1 attachment changed, 1 skipped (1 not found)" in done.text


# ── writing what others read ──────────────────────────────────────────────────────────────────────────────────────────


async def test_no_text_that_anybody_can_write_runs_on_any_page(client: Browser, make: Make) -> None:
    customer = await make.customer(full_name=HOSTILE, email="a<script>@example.com", external_id=HOSTILE)
    ticket = await make.ticket(title=HOSTILE, description=HOSTILE, creator_id=customer.id, external_id=HOSTILE)
    tag = await make.tag(HOSTILE, ticket, description=HOSTILE)
    note = await make.comment(ticket, customer, HOSTILE, external_id=HOSTILE)
    await upload(client, ticket, f"{HOSTILE.replace('/', '')}.txt", b"text")
    async with client.desk.database.transaction(
        Acting.system(reason=HOSTILE, reference=HOSTILE[:100], user_agent=HOSTILE, request_id=HOSTILE[:64]),
        f"test.{HOSTILE}",
        parameters={HOSTILE: HOSTILE},
    ) as change:
        for record in (customer, ticket, tag, note):
            await change.session.execute(
                update(type(record)).where(type(record).id == record.id).values(external_id=f"2{HOSTILE}")
                if hasattr(record, "external_id")
                else update(Tag).where(Tag.id == tag.id).values(description=f"2{HOSTILE}")
            )
    await client.submit("/admin/ticket/do/trash.put", {"ids": ticket.id, "confirmed": "1", "reason": HOSTILE})
    urls = [f"/admin/{name}/list" for name in ("comment", "attachment", "tag", "user", "change_set", "audit_log")]
    urls += ["/admin/", "/admin/ticket/list?trash=yes", "/admin/page/audit_viewer/audit_log"]
    records = {"ticket": ticket.id, "user": customer.id, "tag": tag.id, "comment": note.id, "change_set": change.id}
    urls += [f"/admin/{name}/details/{key}" for name, key in records.items()]
    urls += [f"/admin/{name}/edit/{key}" for name, key in records.items() if name not in {"change_set", "ticket"}]
    for url in urls:
        page = await client.get(url)
        assert page.status_code == 200, url
        assert not re.search(r"<script>|<img|javascript:", page.text), url


async def test_tags_have_no_colour_that_is_markup(client: Browser, make: Make) -> None:
    for colour in ('"/><script>', "red", "#12345", "#1234567", "url(x)", "#12345\n", "＃123456"):
        page = await client.submit("/admin/tag/create", {"name": f"tag {colour}", "color": colour})
        assert re.search(r"like #1f6feb|at most 7 fit", problem(page, "field-color")), colour
    async with client.desk.database.read() as session:
        assert not (await session.scalars(select(Tag))).all()
