"""Signing in and out, through the door."""

import pytest
from sqlalchemy import select, update

from admin_app.db import Acting
from admin_app.models import AuditLog, User, UserSession
from admin_app.queries import users
from admin_app.testing import Browser, Make
from admin_app.web.auth import hash_password
from admin_app.web.context import TOKEN_FIELD

PASSWORD = "river canyon 4821"


@pytest.fixture
async def lena(make: Make) -> User:
    return await make.lead(email="Lena@Example.com", full_name="Lena Lead", password_hash=hash_password(PASSWORD))


async def sign_in(browser: Browser, email: str, password: str, target: str = "") -> tuple[int, str]:
    page = await browser.get("/admin/login", params={"next": target} if target else {})
    token = page.text.split(f'name="{TOKEN_FIELD}" value="')[1].split('"')[0]
    fields = {"email": email, "password": password, TOKEN_FIELD: token, "next": target}
    answer = await browser.post("/admin/login", data=fields)
    return answer.status_code, answer.headers.get("location") or answer.text


async def test_signing_in_with_the_address_in_any_case_leads_to_where_one_wanted_to_go(
    browser: Browser, lena: User
) -> None:
    asked = await browser.get("/admin/ticket/list?status=open")
    assert asked.headers["location"] == "/admin/login?next=%2Fadmin%2Fticket%2Flist%3Fstatus%3Dopen"
    assert await sign_in(browser, " lena@example.COM", PASSWORD, "/admin/ticket/list?status=open") == (
        303,
        "/admin/ticket/list?status=open",
    )
    assert (await browser.get("/admin/ticket/list?status=open")).status_code == 200


@pytest.mark.parametrize(("email", "password"), [("lena@example.com", "wrong"), ("nobody@example.com", PASSWORD)])
async def test_a_wrong_sign_in_says_the_same_whoever_it_was_for(
    browser: Browser, lena: User, email: str, password: str
) -> None:
    status, text = await sign_in(browser, email, password)
    assert status == 401
    assert "The e-mail address or the password is not right" in text


@pytest.mark.parametrize("facts", [{"is_active": False}, {"is_staff": False}])
async def test_whoever_is_inactive_or_a_customer_cannot_sign_in(
    browser: Browser, lena: User, facts: dict[str, bool]
) -> None:
    async with browser.desk.database.transaction(Acting.system(), "test.change") as change:
        await change.session.execute(update(User).where(User.id == lena.id).values(**facts))
    assert (await sign_in(browser, lena.email, PASSWORD))[0] == 401


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/admin/\\evil", "/elsewhere", "javascript:1"]
)
async def test_signing_in_never_leads_to_another_site(browser: Browser, lena: User, target: str) -> None:
    assert await sign_in(browser, lena.email, PASSWORD, target) == (303, "/admin/")


async def test_a_sign_in_that_was_ended_is_worth_nothing_even_with_its_cookie(browser: Browser, lena: User) -> None:
    await sign_in(browser, lena.email, PASSWORD)
    cookie = browser.cookies[browser.desk.session_cookie]
    left = await browser.submit("/admin/logout")
    assert left.headers["location"] == "/admin/login"
    browser.cookies.set(browser.desk.session_cookie, cookie, domain="localhost.local")
    assert (await browser.get("/admin/")).status_code == 303


async def test_a_new_password_and_deactivation_end_every_sign_in(browser: Browser, lena: User) -> None:
    await browser.sign_in(lena)
    async with browser.desk.database.transaction(Acting.system(), "user.password") as change:
        await users.set_password(change.session, lena.id, hash_password("another one 99"))
    assert (await browser.get("/admin/")).status_code == 303


async def test_after_ten_wrong_tries_one_has_to_wait(browser: Browser, lena: User) -> None:
    statuses = [(await sign_in(browser, lena.email, "wrong"))[0] for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert (await sign_in(browser, lena.email, PASSWORD))[0] == 429


async def test_only_hashes_of_passwords_and_tokens_are_stored_and_none_is_audited(browser: Browser, lena: User) -> None:
    await sign_in(browser, lena.email, PASSWORD)
    cookie = browser.cookies[browser.desk.session_cookie]
    async with browser.desk.database.read() as session:
        stored = (await session.scalars(select(UserSession).where(UserSession.user_id == lena.id))).one()
        audited = " ".join(str(row.changes) for row in await session.scalars(select(AuditLog)))
    assert stored.token_sha256 != cookie.encode()
    assert lena.password_hash is not None
    assert lena.password_hash.startswith("$argon2id$")
    assert "argon2" not in audited
    assert stored.token_sha256.hex() not in audited


async def test_the_cookie_of_a_sign_in_cannot_be_read_by_scripts_nor_sent_by_other_sites(
    browser: Browser, lena: User
) -> None:
    page = await browser.get("/admin/login")
    token = page.text.split(f'name="{TOKEN_FIELD}" value="')[1].split('"')[0]
    answer = await browser.post("/admin/login", data={"email": lena.email, "password": PASSWORD, TOKEN_FIELD: token})
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("backdesk_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
