"""How PostgreSQL answers searches: of common words by the list's own index, of rare ones by that of the words."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from sqlalchemy import URL, event, text

from admin_app.db import Acting, Database
from admin_app.queries import rows
from admin_app.testing import Make, scratch_database
from tests.queries.test_listing import asked

MANY = """
INSERT INTO tickets (title, description, creator_id, created_at)
SELECT CASE n % 10 WHEN 0 THEN 'An invoice is lost' WHEN 1 THEN 'The password is lost' ELSE 'A matter' END,
  'Somebody wrote this about word' || n || CASE WHEN n % 2000 = 0 THEN ' and a zebra' ELSE '' END,
  :creator, now() - n * interval '1 minute'
FROM generate_series(1, 12000) AS n"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def large(server_url: URL, template_url: URL) -> AsyncIterator[Database]:
    """A desk of 12,000 tickets, of which PostgreSQL has counted the words."""
    async with scratch_database(server_url, template_url.database) as url:
        database = Database.connect(url)
        make = Make(database)
        tagged = await make.ticket(title="Tagged")
        await make.tag("matter", tagged)
        await make.tag("zephyr", tagged)
        await make.ticket(title="Zephyr")
        async with database.transaction(Acting.system(), "test.make") as change:
            await change.session.execute(text(MANY), {"creator": tagged.creator_id})
            await change.session.execute(text("SELECT renew_statistics()"))
        yield database
        await database.close()


async def plans(database: Database, search: str, how: str = "COSTS OFF") -> tuple[int, list[str]]:
    """How many tickets a search finds, and how PostgreSQL goes about each statement of its page."""
    seen: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((statement, parameters))

    query = asked(urlencode({"q": search}))
    event.listen(database.engines[0].sync_engine, "before_cursor_execute", note)
    async with database.read() as session:
        page = await rows.page_of(session, query, ("title",))
    event.remove(database.engines[0].sync_engine, "before_cursor_execute", note)
    async with database.read() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))  # so small a table is read whole gladly
        raw = await (await session.connection()).get_raw_connection()
        connection: Any = raw.driver_connection
        found = [
            "\n".join(line[0] for line in await connection.fetch(f"EXPLAIN ({how}) {statement}", *parameters))
            for statement, parameters in seen
        ]
    return len(page.rows), found


GIN, WALK, PROBE = "ix_ticket_search_document", "ix_tickets_live_created", "pk_ticket_search"


@pytest.mark.parametrize("search", ["invoice -password", "lost", "invoice OR password"])
async def test_common_words_are_looked_for_in_the_newest_tickets_first(large: Database, search: str) -> None:
    number, found = await plans(large, search)
    assert number == 50
    assert WALK in found[-1]
    assert PROBE in found[-1]
    assert GIN not in found[-1]
    assert "Seq Scan on tickets" not in found[-1]


@pytest.mark.parametrize(
    ("search", "number", "statements"),
    [
        ("zebra", 6, 1),
        ("word77", 1, 1),
        ("sup-000077", 1, 1),
        ('"about word78"', 1, 1),
        ("zebra invoice", 6, 2),
        ("elephant", 0, 3),
    ],
)
async def test_rare_words_and_numbers_are_looked_for_in_the_index_of_words(
    large: Database, search: str, number: int, statements: int
) -> None:
    count, found = await plans(large, search)
    assert (count, len(found)) == (number, statements)
    assert GIN in found[-1]
    assert "pk_tickets" in found[-1]
    assert "Seq Scan on ticket" not in found[-1]


@pytest.mark.parametrize("search", ["lost", "matter"])
async def test_what_is_not_rare_is_not_read_before_that_is_known(large: Database, search: str) -> None:
    guess, *_ = (await plans(large, search, "ANALYZE, COSTS OFF"))[1]
    assert "One-Time Filter" in guess
    assert all("(never executed)" in line for line in guess.splitlines() if "ticket_search" in line and "Scan" in line)


async def test_a_rare_word_that_is_the_name_of_a_tag_finds_what_has_the_tag_too(large: Database) -> None:
    number, found = await plans(large, "zephyr")
    assert (number, len(found)) == (2, 3)


async def test_words_that_are_common_but_never_together_are_looked_for_in_the_index(large: Database) -> None:
    number, found = await plans(large, "invoice password")
    assert number == 0
    assert len(found) == 3
    assert GIN not in found[1]
    assert GIN in found[2]
    _, together = await plans(large, "password lost")
    assert GIN not in together[-1]


async def test_a_word_that_names_a_tag_finds_the_first_rows_of_both_and_sorts_no_table(large: Database) -> None:
    number, found = await plans(large, "matter")
    assert number == 50
    assert WALK in found[-1]
    assert "Seq Scan on tickets" not in found[-1]
    assert GIN not in found[-1]
