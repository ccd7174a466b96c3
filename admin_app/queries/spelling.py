"""What somebody may have meant who found nothing: words of the desk that are spelled nearly like those of a search.

Words come from titles, descriptions and public comments, never from internal notes or the trash. They are counted
ticket by ticket in the background and not again when a ticket is edited: their numbers are estimates.
"""

from collections.abc import Iterable
from difflib import SequenceMatcher

from sqlalchemy import String, Text, column, text
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Ticket
from admin_app.queries.documents import is_literal
from admin_app.queries.search import Search
from admin_app.queries.terms import respelled, texts_of

BATCH = 2_000
"""Tickets whose words are counted in one transaction."""
LIKENESS = 0.7
"""How like a word must be to be suggested, where 1 is the same."""
NEAREST = 30
"""Words that are compared letter by letter."""
SHORTEST = 4
"""Letters of a word for which another is suggested."""

COUNT = text(
    """
WITH present AS (SELECT ticket_id FROM search_position FOR UPDATE),
batch AS (
  SELECT t.id, t.title, t.description, t.deleted_at FROM tickets t, present
  WHERE t.id > present.ticket_id ORDER BY t.id LIMIT :batch
),
said AS (
  SELECT b.id, b.title || ' ' || left(b.description, 20000) || ' ' || coalesce((
    SELECT left(string_agg(left(content, 20000), ' '), 60000) FROM comments WHERE ticket_id = b.id AND NOT is_internal
  ), '') AS words
  FROM batch b WHERE b.deleted_at IS NULL
),
counted AS (
  INSERT INTO search_words (word, tickets)
  SELECT lexeme, count(*) FROM said, unnest(to_tsvector('simple', words)) WHERE lexeme ~ '^[[:alpha:]]{3,40}$'
  GROUP BY lexeme ORDER BY lexeme
  ON CONFLICT (word) DO UPDATE SET tickets = search_words.tickets + excluded.tickets
),
moved AS (
  UPDATE search_position SET ticket_id = (SELECT max(id) FROM batch) WHERE EXISTS (SELECT FROM batch)
)
SELECT count(*) FROM batch"""
)
"""Of the next tickets, in how many each word is."""

POSSIBLE = text("SELECT to_regprocedure('similarity(text, text)') IS NOT NULL")

SIMILAR = text(
    """
SELECT asked, word FROM unnest(cast(:words AS text[])) AS asked
CROSS JOIN LATERAL (
  SELECT word, tickets FROM search_words WHERE word % asked AND tickets > 1
  ORDER BY similarity(word, asked) DESC, tickets DESC, word LIMIT :nearest
) AS nearest
WHERE NOT EXISTS (SELECT FROM search_words WHERE word = asked)
ORDER BY asked, tickets DESC, word"""
).columns(column("asked", Text), column("word", String))
"""Words that have letters in common with those that nobody has written, the more frequent first."""


async def count_words(session: AsyncSession, batch: int = BATCH) -> bool:
    """Count the words of the next tickets; whether there may be more of them. One transaction at a time does it."""
    counted: int = await session.scalar(COUNT, {"batch": batch}) or 0
    return counted == batch


async def suggestions(session: AsyncSession, words: Iterable[str]) -> dict[str, str]:
    """For words that no ticket has, the word of the desk that is most like each; those without one are left out.

    Nothing where the database has no extension pg_trgm.
    """
    asked = sorted({word.lower() for word in words})
    if not asked or not await session.scalar(POSSIBLE):
        return {}
    found: dict[str, list[str]] = {}
    for word, similar in (await session.execute(SIMILAR, {"words": asked, "nearest": NEAREST})).all():
        found.setdefault(word, []).append(similar)
    best = {word: max(similar, key=lambda one: _likeness(word, one)) for word, similar in found.items()}
    return {word: one for word, one in best.items() if _likeness(word, one) >= LIKENESS}


async def corrected(session: AsyncSession, search: Search | None) -> str | None:
    """A search of tickets with other words in place of those that nobody has written; None where none is like them."""
    if search is None or search.listed.model is not Ticket:
        return None
    spelled = [word for one in texts_of(search.tree) if not is_literal(one) for word in one.text.split()]
    better = await suggestions(session, [word for word in spelled if word.isalpha() and len(word) >= SHORTEST])
    return str(respelled(search.tree, better)) if better else None


def _likeness(word: str, other: str) -> float:
    return SequenceMatcher(None, word, other).ratio()
