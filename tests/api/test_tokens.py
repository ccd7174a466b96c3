"""Who a script is: tokens that hold, tokens that do not, and what no token opens."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from admin_app.api import tokens
from admin_app.db import Acting, Database
from admin_app.errors import BadInput, NobodyActing
from admin_app.models import ApiToken, AuditLog, ChangeSet, Throttle
from admin_app.queries import api_tokens, users
from admin_app.testing import Browser, Make, Script, Statements

LIST = "/api/ticket"


async def token_row(api: Script) -> ApiToken:
    """The token of this script, as it is in the database now."""
    assert api.actor is not None
    async with api.desk.database.read() as session:
        found = select(ApiToken).where(ApiToken.user_id == api.actor.id).execution_options(populate_existing=True)
        return (await session.scalars(found)).one()


async def set_token(api: Script, **values: Any) -> None:
    async with api.desk.database.transaction(Acting.system(), "test.token") as change:
        await change.session.execute(update(ApiToken).values(**values))


async def test_a_token_opens_the_api_and_only_its_hash_is_kept(api: Script) -> None:
    assert (await api.get(LIST)).status_code == 200
    secret = api.headers["authorization"].removeprefix("Bearer ")
    row = await token_row(api)
    assert len(row.token_sha256) == 32
    async with api.desk.database.read() as session:
        entries = (await session.scalars(select(AuditLog).where(AuditLog.table_name == "api_tokens"))).all()
    assert [entry.action for entry in entries] == ["CREATE"]
    assert secret not in str([entry.changes for entry in entries])
    assert "token_sha256" not in entries[0].changes["new"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer bd_",
        "Bearer bd_" + "x" * 43,
        "Bearer bd_" + "x" * 5_000,
        "Basic bGVhZDpsZWFk",
        "bd_" + "x" * 43,
        "Bearer bd_" + "x" * 43 + ", Bearer bd_" + "y" * 43,
    ],
)
async def test_whatever_is_no_token_is_answered_alike(api: Script, header: str | None) -> None:
    del api.headers["authorization"]
    answer = await api.get(LIST, headers={} if header is None else {"authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="Backdesk"'
    assert answer.json()["error"] == {
        "status": 401,
        "message": tokens.WRONG,
        "fields": {},
        "request_id": answer.headers["x-request-id"],
    }


async def end_by_time(api: Script) -> None:
    await set_token(api, expires_at=func.now() - timedelta(seconds=1))


async def end_by_revoking(api: Script) -> None:
    number = (await token_row(api)).id
    async with api.desk.database.transaction(Acting.system(), "api_token.revoke") as change:
        await api_tokens.revoke(change.session, number)


async def end_by_deactivation(api: Script) -> None:
    assert api.actor is not None
    async with api.desk.database.transaction(Acting.system(), "user.deactivate") as change:
        await users.deactivate(change.session, api.actor.id)


@pytest.mark.parametrize("end", [end_by_time, end_by_revoking, end_by_deactivation])
async def test_a_token_that_has_ended_is_answered_like_one_that_never_was(api: Script, end: Any) -> None:
    assert (await api.get(LIST)).status_code == 200
    await end(api)
    ended = await api.get(LIST)
    unknown = await api.get(LIST, headers={"authorization": f"Bearer {tokens.new_token()}"})
    for answer in (ended, unknown):
        assert answer.status_code == 401
        assert answer.json()["error"]["message"] == tokens.WRONG


@pytest.mark.parametrize("field", ["is_active", "is_staff"])
async def test_a_token_dies_when_its_owner_leaves_by_a_form_and_does_not_come_back(
    api: Script, client: Browser, make: Make, field: str
) -> None:
    person = await make.agent()
    await api.act_as(person)
    await client.sign_in(await make.agent("developer"))
    url = f"/admin/user/edit/{person.id}"
    left = {"version": person.version, "original_" + field: "1", field: "0"}
    assert (await client.submit(url, left)).status_code == 303
    assert (await token_row(api)).revoked_at is not None
    back = {"version": person.version + 1, "original_" + field: "0", field: "1"}
    assert (await client.submit(url, back)).status_code == 303
    assert (await api.get(LIST)).status_code == 401


async def test_a_cookie_opens_nothing_under_api_and_a_token_nothing_under_admin(client: Browser, api: Script) -> None:
    assert (await client.get("/admin/ticket/list")).status_code == 200
    assert (await client.get(LIST)).status_code == 401
    assert (await client.post(LIST, json={})).status_code == 401
    answer = await api.get("/admin/ticket/list")
    assert answer.status_code in {302, 303}
    assert answer.headers["location"].startswith("/admin/login")


async def test_the_last_use_is_noted_once_a_minute_and_is_no_change(api: Script, statements: Statements) -> None:
    assert (await token_row(api)).last_used_at is None
    async with api.desk.database.read() as session:
        before = await session.scalar(select(func.count()).select_from(ChangeSet))
    await api.get(LIST)
    first = (await token_row(api)).last_used_at
    assert first is not None
    with statements(api.desk.database) as seen:
        await api.get(LIST)
    assert not [statement for statement in seen if "UPDATE" in statement]
    assert (await token_row(api)).last_used_at == first
    await set_token(api, last_used_at=func.now() - timedelta(seconds=61))
    await api.get(LIST)
    assert ((await token_row(api)).last_used_at or first) >= first
    async with api.desk.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(ChangeSet)) == (before or 0) + 1


@pytest.mark.parametrize(
    "values", [{"expires_at": func.now() + timedelta(days=900)}, {"name": "x"}, {"revoked_at": None, "name": "y"}]
)
async def test_nothing_else_of_a_token_changes_without_somebody_who_answers_for_it(
    api: Script, database: Database, values: dict[str, Any]
) -> None:
    with pytest.raises(NobodyActing):
        async with database.bookkeeping() as session:
            await session.execute(update(ApiToken).values(**values, last_used_at=func.now()))


async def test_wrong_tokens_are_counted_by_address_and_right_ones_still_go_through(api: Script) -> None:
    key = "token address 127.0.0.1"
    async with api.desk.database.bookkeeping() as session:
        session.add(Throttle(key=key, arrival=func.now() + timedelta(seconds=295)))
    wrong = {"authorization": f"Bearer {tokens.new_token()}"}
    answers = [(await api.get(LIST, headers=wrong)).status_code for _ in range(3)]
    assert answers == [401, 429, 429]
    assert (await api.get(LIST)).status_code == 200


@pytest.mark.parametrize(("days", "name", "field"), [(0, "x", "days"), (367, "x", "days"), (1, " ", "name")])
async def test_a_token_that_would_hold_too_long_or_has_no_name_is_refused(
    api: Script, days: int, name: str, field: str
) -> None:
    assert api.actor is not None
    with pytest.raises(BadInput) as refused:
        async with api.desk.database.transaction(Acting.system(), "api_token.create") as change:
            await api_tokens.create(change.session, api.actor.id, b"x" * 32, name, timedelta(days=days))
    assert refused.value.fields.keys() == {field}


async def test_a_customer_or_somebody_who_left_gets_no_token(api: Script, make: Make) -> None:
    for person in (await make.customer(), await make.agent(is_active=False)):
        with pytest.raises(BadInput, match="active member of staff"):
            await api.act_as(person)
