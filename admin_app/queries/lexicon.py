"""What the database knows of a search before it is run: whom and what names mean, and which words are none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, Select, bindparam, func, literal, select, text, union_all
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
    """What the database knows of the names in filters, and of the words of tickets: a statement for each, or none."""
    ids = await _named(session, filters)
    if not words:
        return Lexicon(ids=ids)
    shares: dict[str, int] = {}
    wordless = set()
    for what, name, number in (await session.execute(WORDS, {"texts": sorted(words)})).all():
        if what == "share":
            shares[name] = number
        elif what == "tag":
            ids[Tag, name] = (number,)
        else:
            wordless.add(name)
    return Lexicon(ids=ids, wordless=frozenset(wordless), shares=shares)


WORDS = text(
    """
WITH each AS MATERIALIZED (SELECT text FROM unnest(cast(:texts AS text[])) AS text),
counted AS MATERIALIZED (
  SELECT word, frequency FROM pg_stats, unnest(most_common_elems::text::text[],
    most_common_elem_freqs[1:cardinality(most_common_elems::text::text[])]) AS common (word, frequency)
  WHERE schemaname = 'public' AND tablename = 'ticket_search' AND attname = 'document'
)
SELECT 'tag', text, tags.id FROM each JOIN tags ON lower(tags.name) = lower(text)
UNION ALL SELECT 'wordless', text, 0 FROM each WHERE numnode(phraseto_tsquery('english', text)) = 0
UNION ALL SELECT 'share', text, cast(min(coalesce(frequency, 0)) * 1000000 AS bigint)
FROM each CROSS JOIN LATERAL unnest(tsvector_to_array(to_tsvector('english', text))) AS stem
LEFT JOIN counted ON word = stem
WHERE EXISTS (SELECT FROM counted) GROUP BY text"""
).bindparams(bindparam("texts", type_=ARRAY(TextType)))
"""Which texts are names of tags; of which the full text keeps nothing; and how common the rarest word of each is.

That PostgreSQL has counted for its own plans. Words that it did not count are rare; where it counted nothing, none is.
"""


async def _named(session: AsyncSession, filters: Iterable[Filtered]) -> dict[tuple[type[Any], str], tuple[int, ...]]:
    """The ids of the records that filters name, in any case."""
    names: dict[type[Any], set[str]] = {}
    for item in filters:
        if item.target is not None and item.names:
            names.setdefault(item.target, set()).update(item.names)
    if not names:
        return {}
    asked = [_by_name(target, column, texts) for target, texts in names.items() for column in target.lookup]
    tables = {target.__tablename__: target for target in names}
    found: dict[tuple[type[Any], str], set[int]] = {}
    for table, name, key in (await session.execute(union_all(*asked))).all():
        found.setdefault((tables[table], name), set()).add(key)
    return {key: tuple(sorted(ids)) for key, ids in found.items()}


def _by_name(target: type[Any], name: str, texts: Iterable[str]) -> Select[str, str, int]:
    """The records of which a column is one of these texts."""
    each = func.unnest(literal(sorted(texts), ARRAY(TextType))).column_valued("text")
    found = func.lower(getattr(target, name)) == func.lower(each)
    return select(literal(target.__tablename__), each, target.id).where(found)
