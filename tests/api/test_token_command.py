"""Tokens from the command line: made and shown once, listed, revoked; and two requests with one key at one moment."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL, func, select

from admin_app.api.tokens import SENT
from admin_app.app import create_app
from admin_app.cli import main
from admin_app.db import Database
from admin_app.models import AuditLog, ChangeSet, Door
from admin_app.registry import Registry, declare_permissions
from admin_app.settings import Settings
from admin_app.testing import Make, Script

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(live_url: URL, live_database: Database, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`backdesk user token …` on the database of this test."""
    monkeypatch.setenv("DATABASE_URL", live_url.render_as_string(hide_password=False))

    async def invoke(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["user", "token", *words])

    return invoke


async def test_a_token_is_shown_once_listed_without_itself_and_revoked(
    run: Run, live_database: Database, make_live: Make
) -> None:
    await make_live.lead(email="lena@example.com")
    await make_live.lead(email="other@example.com")
    made = await run("create", "LENA@example.com", "--name", "nightly", "--days", "7")
    assert made.exit_code == 0, made.output
    assert SENT.fullmatch(f"Bearer {made.stdout.strip()}")
    number = (re.search(r"Token (\d+) of", made.stderr) or [""])[1]
    for who in ([], ["lena@example.com"]):
        listed = (await run("list", *who)).stdout
        assert re.search(rf"^{number} +lena@example.com +nightly +holds until .*, never used$", listed, re.MULTILINE)
        assert made.stdout.strip() not in listed
    assert (await run("list", "other@example.com")).stdout == ""
    assert (await run("revoke", number)).exit_code == 0
    assert (await run("list")).stdout == ""
    async with live_database.read() as session:
        doings = (await session.execute(select(ChangeSet.action, ChangeSet.door).order_by(ChangeSet.id.desc()))).all()
        told = await session.scalars(select(AuditLog.action).where(AuditLog.table_name == "api_tokens"))
        assert sorted(told) == ["CREATE", "UPDATE"]
    assert [tuple(row) for row in doings[:2]] == [("api_token.revoke", Door.CLI), ("api_token.create", Door.CLI)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["create", "nobody@example.com", "--name", "x"], "There is no active person"),
        (["create", "carla@example.com", "--name", "x"], "Only an active member of staff"),
        (["create", "lena@example.com", "--name", "x", "--days", "367"], "A token holds for 1 to 366 days."),
        (["create", "lena@example.com", "--name", "x", "--days", "999999999999"], "A token holds for 1 to 366 days."),
        (["create", "lena@example.com", "--name", "x", "--days", "-1"], "A token holds for 1 to 366 days."),
        (["create", "lena@example.com", "--name", " "], "A token needs a name"),
        (["revoke", "999"], "There is no token 999."),
        (["revoke", "99999999999999999999"], "There is no token"),
        (["list", "nobody@example.com"], "There is no active person"),
    ],
)
async def test_what_cannot_be_is_said_in_a_sentence(run: Run, make_live: Make, words: list[str], sentence: str) -> None:
    await make_live.lead(email="lena@example.com")
    await make_live.customer(email="carla@example.com")
    done = await run(*words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert sentence in done.stderr


async def test_two_requests_with_one_key_at_one_moment_are_done_once(
    live_database: Database, make_live: Make, registry: Registry
) -> None:
    await declare_permissions(live_database, registry)
    settings = replace(Settings.from_env(), secret_key="a secret for tests only, of 32+ characters")
    app = create_app(settings, live_database, registry)
    lead, agent = await make_live.lead(), await make_live.agent()
    ids = [(await make_live.ticket()).id for _ in range(20)]
    async with Script(app, app.state.desk) as script:
        await script.act_as(lead)
        body = {"ids": ids, "inputs": {"agent": agent.id}}
        sent = [
            script.post("/api/ticket/actions/assign.assign", json=body, headers={"idempotency-key": "k"})
            for _ in range(6)
        ]
        made = [script.post("/api/tag", json={"name": "printer"}, headers={"idempotency-key": "tag"}) for _ in range(4)]
        answers, tags = await asyncio.gather(*sent), await asyncio.gather(*made)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in tags) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in tags}) == 1
    async with live_database.read() as session:
        done = select(func.count()).select_from(ChangeSet).where(ChangeSet.action == "assign.assign")
        assert await session.scalar(done) == 1
