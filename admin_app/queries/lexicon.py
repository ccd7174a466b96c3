"""What the database knows of a search before it is run: whom and what names mean, and what each word is to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Select, bindparam, column, func, literal, select, text, union_all
from sqlalchemy import Text as TextType
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Tag
from admin_app.queries.filters import Filtered, Known
from admin_app.queries.terms import All, Either, Term, Text, texts_of

RARE = 2_000
"""Of a million tickets, how many have a word that is found faster by an index of words than among the newest."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the full text makes of a word or phrase: queries for its stems, and for it as it is, both empty for nothing.

    `share` is, of a million tickets, how many have the rarest word of it, 0 where that is too rare to be counted; it is
    None where nothing is counted.
    """

    stems: str
    exact: str
    share: int | None


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """What the database knows of a search's words: the records that a name means, and an entry for each text.

    Words in `scarce` are common by themselves, and hardly ever together. What is `guessed` was not looked up: the one
    word of a search is taken for rare and for no tag's name, and whether it is, is asked where its tickets are.
    """

    ids: Known = field(default_factory=dict)
    entries: Mapping[str, Entry] = field(default_factory=dict)
    scarce: frozenset[Term] = frozenset()
    guessed: bool = False

    def tags(self, text: str) -> tuple[int, ...]:
        """The ids of the tags of this name."""
        return self.ids.get((Tag, text), ())

    def is_wordless(self, term: Term) -> bool:
        """Whether the full text keeps nothing of a term, as of “the” or “%”."""
        return not any(self.entries[text.text].stems for text in texts_of(term))

    @property
    def counts(self) -> bool:
        """Whether it is known how common words are."""
        return any(entry.share is not None for entry in self.entries.values())

    def is_rare(self, term: Term) -> bool:
        """Whether so few tickets have this that reading them all is faster than looking at the newest first."""
        if term in self.scarce:
            return True
        match term:
            case Text(text):
                share = self.entries[text].share
                return share is not None and share < RARE
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
    entries: dict[str, Entry] = {}
    for name, tag, *entry in (await session.execute(WORDS, {"texts": sorted(words)})).all():
        entries[name] = Entry(*entry)
        if tag is not None:
            ids[Tag, name] = (tag,)
    return Lexicon(ids=ids, entries=entries)


COUNTED = """
  SELECT word, frequency FROM pg_stats, unnest(most_common_elems::text::text[],
    most_common_elem_freqs[1:cardinality(most_common_elems::text::text[])]) AS common (word, frequency)
  WHERE schemaname = 'public' AND tablename = 'ticket_search' AND attname = 'document'"""
"""The words that PostgreSQL has counted for its own plans, and of how many of all tickets each is one."""

SHARE = """cast(min(coalesce(frequency, 0)) * 1000000 AS bigint)
   FROM unnest(tsvector_to_array(to_tsvector('english', {text}))) AS stem LEFT JOIN counted ON word = stem
   WHERE EXISTS (SELECT FROM counted)"""
"""How common the rarest word of a text is; words that were not counted are rare, and nothing is where none were."""

RARE_WORD = text(
    f"""
WITH counted AS MATERIALIZED ({COUNTED})
SELECT ticket_id FROM ticket_search
WHERE document @@ tsquery_or(phraseto_tsquery('english', :word), phraseto_tsquery('simple', :word))
  AND (SELECT {SHARE.format(text=":word")}) < {RARE}
  AND NOT EXISTS (SELECT FROM tags WHERE lower(name) = lower(:word))"""
).columns(column("ticket_id", BigInteger))
"""The tickets that have a word in their full text, if it is rare and no tag's name; else none, without a look."""

WORDS = (
    text(
        f"""
WITH counted AS MATERIALIZED ({COUNTED})
SELECT text, (SELECT id FROM tags WHERE lower(name) = lower(text)),
  phraseto_tsquery('english', text)::text, phraseto_tsquery('simple', text)::text,
  (SELECT {SHARE.format(text="text")})
FROM unnest(cast(:texts AS text[])) AS text"""
    )
    .bindparams(bindparam("texts", type_=ARRAY(TextType)))
    .columns(
        column("text", TextType),
        column("tag", BigInteger),
        column("stems", TextType),
        column("exact", TextType),
        column("share", BigInteger),
    )
)
"""For each text the tag of this name, its queries of the full text, and how common its rarest word is."""


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
