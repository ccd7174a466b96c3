"""What the database knows of a search before it is run: whom and what names mean, and which words are none."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Select, Text, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Tag
from admin_app.queries.filters import Filtered, Known
from admin_app.queries.terms import Term, texts_of

ENGLISH = "english"
"""How the full text reads words: by their stems, without those that are everywhere."""


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """What the database knows of a search's words: the records that a name means, and the texts without a word.

    A text is `wordless` where the full text keeps nothing of it, as of “the” or “%”.
    """

    ids: Known = field(default_factory=dict)
    wordless: frozenset[str] = frozenset()

    def tags(self, text: str) -> tuple[int, ...]:
        """The ids of the tags of this name."""
        return self.ids.get((Tag, text), ())

    def is_wordless(self, term: Term) -> bool:
        """Whether the full text knows nothing in a term."""
        return all(text.text in self.wordless for text in texts_of(term))


async def look_up(session: AsyncSession, filters: Iterable[Filtered], words: frozenset[str]) -> Lexicon:
    """What the database knows of the names in filters and of the words of tickets: one statement, or none.

    The statements after it in the same transaction are planned for the very words that they look for.
    """
    names: dict[type[Any], set[str]] = {Tag: set(words)} if words else {}
    for item in filters:
        if item.target is not None and item.names:
            names.setdefault(item.target, set()).update(item.names)
    if not names:
        return Lexicon()
    asked = [_named(target, column, texts) for target, texts in names.items() for column in target.lookup]
    rows = (await session.execute(union_all(*asked, _wordless(words), PLANNED))).all()
    models = {target.__tablename__: target for target in names}
    ids: dict[tuple[type[Any], str], tuple[int, ...]] = {}
    for table, name, key in rows:
        if table in models:
            ids[models[table], name] = tuple(sorted({*ids.get((models[table], name), ()), key}))
    return Lexicon(ids=ids, wordless=frozenset(name for table, name, _ in rows if table == WORDLESS))


WORDLESS = ""
PLANNED = select(
    literal("planned"), func.set_config("plan_cache_mode", "force_custom_plan", True), literal(0, BigInteger)
)
"""So that PostgreSQL knows how rare a word is when it decides how to look for it."""


def _named(target: type[Any], column: str, texts: Iterable[str]) -> Select[str, str, int]:
    """The records of which a column is one of these texts, in any case."""
    name = _each(texts)
    found = func.lower(getattr(target, column)) == func.lower(name)
    return select(literal(target.__tablename__), name, target.id).where(found)


def _wordless(texts: Iterable[str]) -> Select[str, str, int]:
    """Those of which the full text keeps nothing."""
    text = _each(texts)
    return select(literal(WORDLESS), text, literal(0, BigInteger)).where(
        func.numnode(func.phraseto_tsquery(ENGLISH, text)) == 0
    )


def _each(texts: Iterable[str]) -> Any:
    return func.unnest(literal(sorted(texts), ARRAY(Text))).column_valued("text")
