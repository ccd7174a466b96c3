"""The outermost layer: who is answered, what may change something, and what every answer carries."""

import re
from dataclasses import replace

import pytest
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette

from admin_app.db import Database
from admin_app.models import Ticket
from admin_app.testing import Browser, Make
from admin_app.web.admin import Backoffice


async def test_every_page_carries_a_strict_content_security_policy_and_is_not_stored(client: Browser) -> None:
    answer = await client.get("/admin/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert re.fullmatch(r"[\w-]{8,64}", answer.headers["x-request-id"])


async def test_no_page_has_an_inline_script_style_or_handler(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    for url in ("/admin/", "/admin/ticket/list", f"/admin/ticket/details/{ticket.id}", "/admin/ticket/create"):
        text = (await client.get(url)).text
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text), url
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text), url


async def test_a_foreign_host_name_is_refused_and_never_repeated_in_a_redirect(client: Browser) -> None:
    answer = await client.get("/admin/ticket/list", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert "evil.example" not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
async def test_a_form_from_another_site_is_refused_even_with_a_valid_token(
    client: Browser, make: Make, headers: dict[str, str]
) -> None:
    ticket = await make.ticket()
    fields = {"ids": ticket.id, "confirmed": "1"}
    refused = await client.submit("/admin/ticket/do/assign.unassign", fields, headers=headers)
    ours = await client.submit("/admin/ticket/do/assign.unassign", fields, headers={"sec-fetch-site": "same-origin"})
    assert refused.status_code == 403
    assert ours.status_code == 303


@pytest.mark.parametrize("token", ["", "x", "WyJhIl0.aaaa.bbbb"])
async def test_a_form_without_a_valid_token_is_refused(client: Browser, make: Make, token: str) -> None:
    ticket = await make.ticket()
    answer = await client.post(
        "/admin/ticket/do/assign.unassign", data={"ids": ticket.id, "confirmed": "1", "_token": token}
    )
    assert answer.status_code == 403
    assert "did not come from Backdesk" in answer.text


async def test_a_token_of_another_sign_in_is_worth_nothing(client: Browser, make: Make) -> None:
    ticket, stolen = await make.ticket(), client.token
    await client.sign_in(await make.lead())
    fields = {"ids": ticket.id, "confirmed": "1", "_token": stolen}
    assert (await client.post("/admin/ticket/do/assign.unassign", data=fields)).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/ticket/{id}/title/download/"),
        ("GET", "/admin/ticket/{id}/title/preview/"),
        ("DELETE", "/admin/ticket/delete?pks={id}"),
        ("POST", "/admin/ticket/import"),
        ("GET", "/admin/ticket/ajax/lookup?name=creator&term=a"),
        ("GET", "/admin/ticket/action/anything?pks={id}"),
        ("GET", "/admin/statics/js/main.js"),
    ],
)
async def test_the_routes_of_sqladmin_that_we_do_without_do_not_exist(
    client: Browser, make: Make, method: str, path: str
) -> None:
    ticket = await make.ticket(title="pyproject.toml")
    answer = await client.request(method, path.format(id=ticket.id), headers={"x-csrf-token": client.token})
    assert answer.status_code in {404, 405}
    assert "backdesk.plugins" not in answer.text


async def test_a_session_of_sqladmins_own_can_only_read(
    live_database: Database, make_live: Make, shared_app: Starlette
) -> None:
    ticket = await make_live.ticket()
    desk = replace(shared_app.state.desk, database=live_database)
    async with Backoffice(Starlette(), desk).session_maker() as session:
        found = await session.get_one(Ticket, ticket.id)
        found.title = "Changed past every rule"
        with pytest.raises(DBAPIError, match="read-only transaction"):
            await session.commit()


async def test_signing_out_by_a_link_changes_nothing(client: Browser) -> None:
    assert (await client.get("/admin/logout")).status_code == 405
    assert (await client.get("/admin/")).status_code == 200


@pytest.mark.parametrize(
    "value", ["abc", "0", "-1", "1.5", "99999999999999999999", "%00", "1%2C2", "../../etc", "%F0%9F"]
)
@pytest.mark.parametrize("page", ["details", "edit"])
async def test_garbage_in_an_address_is_a_page_that_is_not_found(client: Browser, page: str, value: str) -> None:
    answer = await client.get(f"/admin/ticket/{page}/{value}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


async def test_an_error_of_ours_shows_a_reference_and_no_word_of_the_database(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    answer = await client.submit(
        "/admin/ticket/do/trash.put", {"ids": ticket.id, "confirmed": "1", "reason": "bad \x00 byte"}
    )
    assert answer.status_code == 422
    assert not re.search(r"asyncpg|sqlalchemy|tickets\.|INSERT|UPDATE|constraint", answer.text, re.IGNORECASE)


async def test_an_upload_beyond_the_limit_is_refused_before_it_is_read(client: Browser) -> None:
    answer = await client.post("/admin/ticket/create", headers={"content-length": str(10**10)}, content=b"")
    assert answer.status_code == 429


async def test_what_one_may_not_see_is_refused_and_absent_from_the_menu(browser: Browser, make: Make) -> None:
    await browser.sign_in(await make.agent())
    menu = (await browser.get("/admin/")).text
    assert "/admin/ticket/list" in menu
    assert "/admin/audit_log/list" not in menu
    assert (await browser.get("/admin/audit_log/list")).status_code == 403


async def test_a_deed_without_its_permission_is_refused_and_changes_nothing(browser: Browser, make: Make) -> None:
    ticket = await make.ticket()
    await browser.sign_in(await make.agent("auditor"))
    answer = await browser.submit(
        "/admin/ticket/do/trash.put", {"ids": ticket.id, "confirmed": "1", "reason": "because"}
    )
    assert answer.status_code == 403
    async with browser.desk.database.read() as session:
        assert (await session.get_one(Ticket, ticket.id, populate_existing=True)).deleted_at is None
