"""The page about the API: everything that it says one can type is done, and answers what it says."""

import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import URL

from admin_app.app import create_app
from admin_app.cli import main
from admin_app.db import Database
from admin_app.registry import Registry, declare_permissions
from admin_app.settings import Settings
from admin_app.testing import Make
from tests.test_docs import commands

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
SERVER = "http://127.0.0.1:8000"


async def curl(client: httpx.AsyncClient, line: str) -> str:
    """What the server answers to a command line of curl, as JSON on one line."""
    words = iter(shlex.split(line)[1:])
    method, url, body, headers = "", "", None, {}
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "--json":
                body, headers["content-type"] = next(words), "application/json"
            case _:
                assert word.startswith(SERVER), word
                url = word
    answer = await client.request(method or ("GET" if body is None else "POST"), url, content=body, headers=headers)
    return json.dumps(answer.json(), ensure_ascii=False)


def fits(said: str, printed: str) -> bool:
    """Whether a line is what the page says, in which … stands for anything."""
    return re.fullmatch(re.escape(said).replace("…", ".*"), printed) is not None


async def test_everything_on_the_page_works_as_it_says(
    live_database: Database, live_url: URL, make_live: Make, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await declare_permissions(live_database, registry)
    await make_live.lead(email="lead@example.com")
    await make_live.agent(email="ana@example.com", full_name="Ana")
    customer = await make_live.customer(email="carla@example.com")
    await make_live.tag("printer")
    for title in ("The printer burns", "The screen is dark", "No coffee"):
        await make_live.ticket(title=title, creator_id=customer.id)
    monkeypatch.setenv("DATABASE_URL", live_url.render_as_string(hide_password=False))
    settings: Any = Settings.from_env({"BACKDESK_SECRET_KEY": "a secret for tests only, of 32+ characters"})
    transport = httpx.ASGITransport(create_app(settings, live_database, registry))
    token, done = "", 0
    async with httpx.AsyncClient(transport=transport, base_url=SERVER) as client:
        for line, said in commands(PAGE):
            if line.startswith("curl "):
                printed = [await curl(client, line.replace("$TOKEN", token))]
            else:
                words = shlex.split(line)[1:]
                result = await asyncio.to_thread(CliRunner().invoke, main, words)
                assert result.exit_code == 0, result.output
                printed = result.output.splitlines()
                token = token or printed[-1]
            assert len(printed) == len(said)
            for words_said, words_printed in zip(said, printed, strict=True):
                assert fits(words_said, words_printed), (line, words_said, words_printed)
            done += 1
    assert done >= 10
