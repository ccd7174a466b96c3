"""What the database knows of a search before it is run: whom and what names mean, and which words are none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Select, bindparam, column, func, literal, select, text, union_all
from sqlalchemy import Text as TextType
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Tag
from admin_app.queries.filters import Filtered, Known
from admin_app.queries.terms import All, Either, Term, Text, texts_of

ENGLISH = "english"
"""How the full text reads words: by their stems, without those that are everywhere."""
RARE = 2_000
"""Of a million tickets, how many have a word that is found faster by an index of words than among the newest."""


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """What the database knows of a search's words: the records that a name means, and how common each text is.

    A text is `wordless` where the full text keeps nothing of it, as of “the” or “%”. `shares` is, of a million tickets,
    how many have the rarest word of a text, 0 where it is too rare to be counted; it is empty where nothing is counted.
    Words in `scarce` are common by themselves, and hardly ever together.
    """

    ids: Known = field(default_factory=dict)
    wordless: frozenset[str] = frozenset()
    shares: Mapping[str, int] = field(default_factory=dict)
    scarce: frozenset[Term] = frozenset()

    def tags(self, text: str) -> tuple[int, ...]:
        """The ids of the tags of this name."""
        return self.ids.get((Tag, text), ())

    def is_wordless(self, term: Term) -> bool:
        """Whether the full text knows nothing in a term."""
        return all(text.text in self.wordless for text in texts_of(term))

    def is_rare(self, term: Term) -> bool:
        """Whether so few tickets have this that reading them all is faster than looking at the newest first."""
        if term in self.scarce:
            return True
        match term:
            case Text(text):
                return self.shares.get(text, RARE) < RARE
            case All(terms):
                return any(map(self.is_rare, terms))
            case Either(terms):
                return all(map(self.is_rare, terms))
            case _:
                return False


async def look_up(session: AsyncSession, filters: Iterable[Filtered], words: frozenset[str]) -> Lexicon:
    """What the database knows of the names in filters and of the words of tickets: one statement, or none."""
    names: dict[type[Any], set[str]] = {Tag: set(words)} if words else {}
    for item in filters:
        if item.target is not None and item.names:
            names.setdefault(item.target, set()).update(item.names)
    if not names:
        return Lexicon()
    asked = [_named(target, column, texts) for target, texts in names.items() for column in target.lookup]
    if words:
        asked += [_wordless(words), _shares(words)]
    found: dict[str, dict[str, list[int]]] = {}
    for what, name, number in (await session.execute(union_all(*asked))).all():
        found.setdefault(what, {}).setdefault(name, []).append(number)
    ids = {
        (target, name): tuple(sorted(set(numbers)))
        for target in names
        for name, numbers in found.get(target.__tablename__, {}).items()
    }
    shares = {name: numbers[0] for name, numbers in found.get(SHARE, {}).items()}
    return Lexicon(ids=ids, wordless=frozenset(found.get(WORDLESS, ())), shares=shares)


WORDLESS, SHARE = "wordless", "share"

SHARES = text(
    """
WITH counted AS (
  SELECT word, frequency FROM pg_stats, unnest(most_common_elems::text::text[],
    most_common_elem_freqs[1:cardinality(most_common_elems::text::text[])]) AS common (word, frequency)
  WHERE schemaname = 'public' AND tablename = 'ticket_search' AND attname = 'document'
)
SELECT text, cast(min(coalesce(frequency, 0)) * 1000000 AS bigint) AS share
FROM unnest(cast(:texts AS text[])) AS text
CROSS JOIN LATERAL unnest(tsvector_to_array(to_tsvector('english', text))) AS stem
LEFT JOIN counted ON word = stem
WHERE EXISTS (SELECT FROM counted) GROUP BY text"""
).columns(column("text", TextType), column("share", BigInteger))
"""How common words are, as PostgreSQL has counted them for its own plans; those that it did not count are rare."""


def _named(target: type[Any], name: str, texts: Iterable[str]) -> Select[str, str, int]:
    """The records of which a column is one of these texts, in any case."""
    each = _each(texts)
    found = func.lower(getattr(target, name)) == func.lower(each)
    return select(literal(target.__tablename__), each, target.id).where(found)


def _wordless(texts: Iterable[str]) -> Select[str, str, int]:
    """Those of which the full text keeps nothing."""
    each = _each(texts)
    nothing = func.numnode(func.phraseto_tsquery(ENGLISH, each)) == 0
    return select(literal(WORDLESS), each, literal(0, BigInteger)).where(nothing)


def _shares(texts: Iterable[str]) -> Select[str, str, int]:
    """Of a million tickets, how many have the rarest word of each; nothing where nothing is counted."""
    shares = SHARES.bindparams(bindparam("texts", sorted(texts), ARRAY(TextType))).subquery("shares")
    return select(literal(SHARE), shares.c.text, shares.c.share)


def _each(texts: Iterable[str]) -> Any:
    return func.unnest(literal(sorted(texts), ARRAY(TextType))).column_valued("text")
