"""Every example in the page about finding records is understood, and finds what the page says it is for."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest

from admin_app.db import Database
from admin_app.queries import rows
from admin_app.queries.listing import ListQuery
from admin_app.queries.search import LENGTH
from admin_app.queries.terms import DEEPEST, MOST
from admin_app.testing import Make
from tests.queries.test_listing import TICKET, VIEWER

PAGE = (Path(__file__).parent.parent / "docs/lists.md").read_text()


def examples(heading: str) -> list[str]:
    """What the first column of the table under a heading holds."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE)


SEARCHES = [urlencode({"q": text}) for text in examples("In the search box")]
PARAMETERS = examples("As parameters") + re.findall(r"--where '(.+?)'", PAGE)


def test_there_are_examples() -> None:
    assert len(SEARCHES) >= 25
    assert len(PARAMETERS) >= 20
    assert f"at most {LENGTH} characters, {MOST} words and fields, and parentheses {DEEPEST} deep" in PAGE


@pytest.mark.parametrize("query", SEARCHES + PARAMETERS)
async def test_every_example_runs(database: Database, make: Make, query: str) -> None:
    await make.agent(full_name="Ana Ruiz", email="ana@example.com")
    await make.ticket()
    asked = ListQuery.parse(TICKET, parse_qsl(query), VIEWER)
    assert asked.narrowed or asked.trash
    async with database.read() as session:
        page = await rows.page_of(session, asked, TICKET.columns)
        assert await rows.count_of(session, asked) == len(page.rows)


@pytest.mark.parametrize("text", ["error: timeout", "https://example.com/a", '19" screen', "12:30", "100%", "user_id"])
def test_what_is_called_an_ordinary_text_is_one(text: str) -> None:
    assert f"`{text}`" in PAGE
    search = ListQuery.parse(TICKET, [("q", text)], VIEWER).search
    assert search is not None
    assert not search.filters
