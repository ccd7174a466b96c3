"""The words of tickets: what a search's words and phrases ask of number, title, description, public comments and tags.

Words that must all be there become one query of the full text, made of those that the lexicon has for each, so that
PostgreSQL knows how many tickets it finds: of rare words it reads the index, of common ones the newest tickets until a
page is full. Internal notes are never read.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    String,
    and_,
    bindparam,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Comment, Ticket, TicketSearch, TicketTag
from admin_app.queries.filters import among
from admin_app.queries.lexicon import RARE_WORD, Lexicon
from admin_app.queries.terms import All, Either, Field, Not, Term, Text, texts_of

SAMPLE, ENOUGH = 5_000, 20
"""Of so many newest tickets so many must have some words, to be looked through until a page is full."""


def is_literal(text: Text) -> bool:
    """Whether a text is looked for letter by letter too: it has a sign that words do not have, or nothing else."""
    return any(sign in text.text for sign in "%_") or not any(letter.isalnum() for letter in text.text)


def name_of(terms: Sequence[Term]) -> str:
    """Words as the name that they may be; empty where there is more than words."""
    return " ".join(term.text for term in terms if isinstance(term, Text)) if all(map(_is_text, terms)) else ""


def branches(terms: Sequence[Term], lexicon: Lexicon) -> list[ColumnElement[bool]]:
    """Conditions of which a ticket must fulfil one to have all of these words; an index can answer each of them."""
    if lexicon.guessed:
        rare = RARE_WORD.bindparams(bindparam("word", name_of(terms), String))
        return [Ticket.id == func.any(func.array(rare.scalar_subquery()))]
    if not (ids := lexicon.tags(name_of(terms))):
        return [_every(terms, lexicon)]
    tagged = select(literal(1)).where(TicketTag.ticket_id == Ticket.id, among(TicketTag.tag_id, ids, BigInteger))
    without_it = lexicon if len(terms) > 1 else replace(lexicon, ids={})
    return [_every(terms, without_it), tagged.correlate(Ticket).exists()]


def together(terms: Sequence[Term], lexicon: Lexicon) -> Term | None:
    """What the full text is asked for at once, where it is several words each of which is common."""
    indexed = _indexed(_kept(terms, lexicon), lexicon)
    words = [word for term in indexed if isinstance(term, Text) for word in term.text.split()]
    if len(words) < 2 or not lexicon.counts or lexicon.is_rare(whole := _whole(indexed)):
        return None
    return whole


async def is_common(session: AsyncSession, term: Term, lexicon: Lexicon) -> bool:
    """Whether enough of the newest tickets have this to look for it among them; one statement."""
    newest = select(Ticket.id).where(Ticket.deleted_at.is_(None)).order_by(Ticket.created_at.desc(), Ticket.id.desc())
    sample = newest.limit(_inline(SAMPLE, Integer)).subquery()
    found = select(literal(1)).select_from(sample).where(_probe(term, lexicon, sample.c.id))
    few = found.limit(_inline(ENOUGH, Integer)).subquery()
    return await session.scalar(select(func.count()).select_from(few)) == ENOUGH


def _every(terms: Sequence[Term], lexicon: Lexicon) -> ColumnElement[bool]:
    """All of these."""
    kept = _kept(terms, lexicon)
    indexed = _indexed(kept, lexicon)
    rest = [term for term in kept if term not in indexed or (isinstance(term, Text) and is_literal(term))]
    return and_(*([_document(indexed, lexicon)] if indexed else []), *(_apart(term, lexicon) for term in rest))


def _kept(terms: Sequence[Term], lexicon: Lexicon) -> list[Term]:
    """Beside words, what the full text knows nothing of is left out, such as “the”."""
    kept = [term for term in terms if not lexicon.is_wordless(term) or any(map(is_literal, texts_of(term)))]
    return kept or list(terms)


def _indexed(terms: Sequence[Term], lexicon: Lexicon) -> list[Term]:
    return [term for term in terms if _is_indexed(term, lexicon)]


def _whole(terms: Sequence[Term]) -> Term:
    return terms[0] if len(terms) == 1 else All(tuple(terms))  # type: ignore[arg-type]


def _is_text(term: Term) -> bool:
    return isinstance(term, Text)


def _is_indexed(term: Term, lexicon: Lexicon) -> bool:
    """Whether a term can be part of a query of the full text that stands for several."""
    texts = list(texts_of(term))
    if lexicon.is_wordless(term) or any(lexicon.tags(text.text) for text in texts):
        return False
    return isinstance(term, Text) or not any(map(is_literal, texts))


def _apart(term: Term, lexicon: Lexicon) -> ColumnElement[bool]:
    """What cannot be part of it: names of tags, what is looked for by letters, and whatever has these in it."""
    match term:
        case Text(text) if ids := lexicon.tags(text):
            return or_(_letters(text) if lexicon.is_wordless(term) else _probe(term, lexicon), _is_tagged(ids))
        case Text(text):
            return _letters(text)
        case Not(inner):
            return not_(_every([inner], lexicon))
        case All(terms):
            return _every(terms, lexicon)
        case Either(terms):
            return or_(*(_every([one], lexicon) for one in terms))
        case Field():
            raise TypeError("a field is no text")


def _document(terms: Sequence[Term], lexicon: Lexicon) -> ColumnElement[bool]:
    """The full text has these. One alone may also be a number, of ours or of another system, which is kept as it is.

    Of rare words the tickets are read first, whatever PostgreSQL expects of words that it has not counted.
    """
    whole = _whole(terms)
    query = _query(whole, lexicon)
    if isinstance(whole, Text):
        query = f"{query} | ({lexicon.entries[whole.text].exact})"
    found = select(TicketSearch.ticket_id).where(_matches(TicketSearch.document, query))
    if lexicon.is_rare(whole):
        return Ticket.id == func.any(func.array(found.scalar_subquery()))
    return Ticket.id.in_(found)


def _probe(term: Term, lexicon: Lexicon, key: Any = Ticket.id) -> ColumnElement[bool]:
    """The same, looked up ticket by ticket, where reading an index of words would find far too many first."""
    document = select(TicketSearch.document).where(TicketSearch.ticket_id == key)
    return _matches(document.correlate(key.table).scalar_subquery(), _query(term, lexicon))


def _is_tagged(ids: Sequence[int]) -> ColumnElement[bool]:
    tagged = select(literal(1)).where(TicketTag.ticket_id == Ticket.id, among(TicketTag.tag_id, ids, BigInteger))
    return tagged.limit(1).correlate(Ticket).scalar_subquery().is_not(None)


def _matches(document: Any, query: str) -> ColumnElement[bool]:
    """A query of the full text, written into the statement: so it is planned for these words, not for any that come."""
    found: ColumnElement[bool] = document.bool_op("@@")(cast(_inline(query, String), TSQUERY))
    return found


def _query(term: Term, lexicon: Lexicon) -> str:
    """A term as a query of the full text, as the database writes it; empty where it keeps nothing of it."""
    match term:
        case Text(text):
            query = lexicon.entries[text].stems
            return f"({query})" if query else ""
        case Not(inner):
            query = _query(inner, lexicon)
            return f"!{query}" if query else ""
        case All(terms) | Either(terms):
            queries = [query for one in terms if (query := _query(one, lexicon))]
            sign = " & " if isinstance(term, All) else " | "
            return f"({sign.join(queries)})" if queries else ""
        case Field():
            raise TypeError("a field is no text")


def _inline(value: Any, kind: Any) -> Any:
    return bindparam(None, value, kind, unique=True, literal_execute=True)


def _letters(text: str) -> ColumnElement[bool]:
    """A text that stands there letter by letter, in any case, or is the number in another system."""
    spoken = Comment.content.icontains(text, autoescape=True) & Comment.is_internal.is_(False)
    written = [column.icontains(text, autoescape=True) for column in (Ticket.title, Ticket.description)]
    return or_(*written, func.coalesce(Ticket.external_id == text, false()), Ticket.comments.any(spoken))
