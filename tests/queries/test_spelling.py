"""What may have been meant by a search that finds nothing."""

from sqlalchemy import URL, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from admin_app import migrations
from admin_app.db import Acting, Database
from admin_app.models import SearchWord, Tag, Ticket
from admin_app.queries import spelling, trash
from admin_app.queries.changes import Chosen
from admin_app.testing import Make
from tests.queries.test_listing import RESOURCES, asked


async def counted(database: Database, batch: int = spelling.BATCH) -> int:
    """Count the words of all tickets; in how many batches."""
    async with database.bookkeeping() as session:
        batches = 1
        while await spelling.count_words(session, batch):
            batches += 1
    return batches


async def meant(database: Database, words: list[str]) -> dict[str, str]:
    async with database.read() as session:
        return await spelling.suggestions(session, words)


async def test_a_misspelled_word_is_corrected_to_the_one_that_is_most_like_it(database: Database, make: Make) -> None:
    for title in ("Invoice lost", "An invoice again", "Printer jam", "Printer stands still"):
        await make.ticket(title=title)
    assert await counted(database) == 1
    assert await meant(database, ["invioce", "Pritner", "invoice", "elephant"]) == {
        "invioce": "invoice",
        "pritner": "printer",
    }


async def test_words_are_counted_once_a_ticket_and_each_ticket_once(database: Database, make: Make) -> None:
    for number in range(5):
        await make.ticket(title=f"Toner toner number {number}", description="Toner")
    assert await counted(database, batch=2) == 3
    assert await counted(database) == 1
    await make.ticket(title="Toner")
    await counted(database)
    async with database.read() as session:
        tickets = await session.scalar(select(SearchWord.tickets).where(SearchWord.word == "toner"))
    assert tickets == 6


async def test_nothing_is_suggested_from_notes_the_trash_or_one_ticket_alone(database: Database, make: Make) -> None:
    agent, gone = await make.agent(), [await make.ticket(title="Zirconium") for _ in range(2)]
    for ticket in [await make.ticket() for _ in range(2)]:
        await make.comment(ticket, agent, "Palladium")
        await make.comment(ticket, agent, "Molybdenum", is_internal=False)
    await make.ticket(title="Ruthenium")
    async with database.transaction(Acting.system(), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [ticket.id for ticket in gone]), None, "Spam.")
    await counted(database)
    words = ["zirconiun", "palladiun", "rutheniun", "molybdenun"]
    assert await meant(database, words) == {"molybdenun": "molybdenum"}


async def test_a_whole_search_is_corrected_and_keeps_its_fields(database: Database, make: Make) -> None:
    for _ in range(2):
        await make.ticket(title="A paper jam in the printer")
    await counted(database)
    async with database.read() as session:
        for text, better in {
            "q=pritner status:open -jam": "printer status:open -jam",
            'q="papr jam" OR 50%25': '"paper jam" OR 50%',
            'q="paper jam" OR printr': '"paper jam" OR printer',
            "q=elephant": None,
            "q=status:open": None,
        }.items():
            search = asked(text).search
            assert search is not None
            assert await spelling.corrected(session, search) == better, text
        tags = asked("q=pritner", RESOURCES[Tag]).search
        assert tags is not None
        assert await spelling.corrected(session, tags) is None


async def test_without_the_extension_nothing_is_suggested_and_an_upgrade_makes_it_again(
    live_url: URL, live_database: Database, make_live: Make
) -> None:
    for _ in range(2):
        await make_live.ticket(title="An invoice")
    await counted(live_database)
    assert await meant(live_database, ["invioce"]) == {"invioce": "invoice"}
    engine = create_async_engine(live_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("DROP EXTENSION pg_trgm CASCADE"))
    await engine.dispose()
    assert await meant(live_database, ["invioce"]) == {}
    assert await migrations.check(live_url) == []
    await migrations.upgrade(live_url)
    assert await meant(live_database, ["invioce"]) == {"invioce": "invoice"}
