"""What a search asks of the rows of a list: fields as the parameters of their names do, words of what is searched.

Tickets are searched by their full text (`documents`), other rows by the columns that their resource names.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol, Self
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    and_,
    false,
    func,
    not_,
    or_,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput
from admin_app.models import Ticket, storable
from admin_app.queries import documents
from admin_app.queries.filters import (
    ALIASES,
    NONE,
    Filtered,
    Word,
    filtered,
    full_name,
    kind_of,
    known_as,
    optional,
    relation_of,
    yes_or_no,
)
from admin_app.queries.lexicon import Entry, Lexicon, look_up
from admin_app.queries.periods import Viewer
from admin_app.queries.readable import humanized
from admin_app.queries.terms import (
    All,
    Either,
    Field,
    Not,
    Part,
    Term,
    Text,
    is_textual,
    parse,
    parts_of,
    texts_of,
)

LENGTH = 500
"""Characters of a search: more than anybody types, and enough for the groups of a saved view."""

BRANCHES = 8
"""Alternatives of which each is looked up by itself; where there are more, they are looked for together."""

IS = "is"
OVERDUE = "overdue"
UNASSIGNED = "unassigned"


class Searched(Protocol):
    """What is searched: a model, the columns whose words count, and the filters that a field may name."""

    @property
    def model(self) -> type[Any]: ...
    @property
    def search(self) -> tuple[str, ...]: ...
    @property
    def filters(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search that was understood: its tree, and what each `field:value` in it asks for, by field and whether not.

    `lexicon` is what the database knows of its words. Before it was `understood`, tickets cannot be searched by it.
    """

    listed: Searched
    viewer: Viewer
    tree: Term
    fields: Mapping[tuple[Field, bool], Filtered]
    lexicon: Lexicon = field(default_factory=Lexicon)

    @classmethod
    def of(cls, listed: Searched, text: str, viewer: Viewer) -> Self | None:
        """The search that somebody typed; None for one that looks for nothing.

        Raises ValueError with what is wrong, where it stands, and the name that may have been meant.
        """
        if len(text) > LENGTH:
            raise ValueError(f"has more than {LENGTH} characters.")
        if not storable(text):
            raise ValueError("holds a character that cannot be stored.")
        if (tree := parse(text)) is None:
            return None
        for word in texts_of(tree):
            _check_word(listed, word)
        fields = {(leaf, negated): _asked(listed, leaf, viewer, negated) for leaf, negated in _fields_of(tree)}
        return cls(listed=listed, viewer=viewer, tree=tree, fields=fields)

    @property
    def filters(self) -> tuple[Filtered, ...]:
        """What the fields ask for."""
        return tuple(self.fields.values())

    @property
    def parts(self) -> list[Part]:
        """What must all be true, for a label each; with the search without it."""
        return parts_of(self.tree)

    def filter_of(self, term: Term) -> Filtered | None:
        """The filter that a term is, if it is no more than that."""
        leaf = term.term if isinstance(term, Not) else term
        return self.fields.get((leaf, isinstance(term, Not))) if isinstance(leaf, Field) else None

    @property
    def condition(self) -> ColumnElement[bool]:
        """What a row must fulfil."""
        return or_(*self.branches)

    @cached_property
    def branches(self) -> tuple[ColumnElement[bool], ...]:
        """Conditions of which a row must fulfil one, each of which an index may answer."""
        found = self._branches(self.tree)
        return tuple(found) if len(found) <= BRANCHES else (or_(*found),)

    def _branches(self, term: Term) -> list[ColumnElement[bool]]:
        match term:
            case Either(terms):
                plain, rest = self._split(terms)
                texts = self._words([Either(tuple(plain))] if len(plain) > 1 else plain) if plain else []  # type: ignore[arg-type]
                return texts + [branch for one in rest for branch in self._branches(one)]
            case All(terms):
                plain, rest = self._split(terms)
                several = ([self._words(plain)] if plain else []) + [self._branches(one) for one in rest]
                several.sort(key=len)
                fixed = [or_(*found) for found in several[:-1]]
                return [and_(branch, *fixed) for branch in several[-1]]
            case Field():
                return [self.fields[term, False].condition]
            case Not(Field() as inner):
                return [self.fields[inner, True].condition]
            case Not(inner) if not is_textual(term):
                return [not_(func.coalesce(or_(*self._branches(inner)), false()))]
            case _:
                return self._words([term])

    def _split(self, terms: Sequence[Term]) -> tuple[list[Term], list[Term]]:
        """The terms that are words, and the others."""
        return [term for term in terms if is_textual(term)], [term for term in terms if not is_textual(term)]

    def _words(self, terms: Sequence[Term]) -> list[ColumnElement[bool]]:
        """Alternatives of which a row must fulfil one, to have all these words."""
        if self.listed.model is Ticket:
            return documents.branches(terms, self.lexicon)
        return [and_(*(self._written(term) for term in terms))]

    def _written(self, term: Term) -> ColumnElement[bool]:
        """Words that stand in one of the columns that are searched, whatever is before and behind them."""
        match term:
            case Text(text):
                columns = [getattr(self.listed.model, name) for name in _columns(self.listed)]
                return func.coalesce(
                    or_(false(), *(column.icontains(text, autoescape=True) for column in columns)), false()
                )
            case Not(inner):
                return not_(self._written(inner))
            case All(terms):
                return and_(*map(self._written, terms))
            case Either(terms):
                return or_(*map(self._written, terms))
            case Field():
                raise TypeError("a field is no text")

    # What the database knows

    @cached_property
    def words(self) -> frozenset[str]:
        """Words and phrases that the full text is asked for, and what they may be the name of together."""
        if self.listed.model is not Ticket:
            return frozenset()
        together = [
            documents.name_of([term for term in group.terms if is_textual(term)]) for group in _groups(self.tree)
        ]
        return frozenset([text.text for text in texts_of(self.tree)] + [name for name in together if name])

    @property
    def guessed(self) -> Self | None:
        """The same for a word that is taken for rare before anybody asked; None where more is looked for."""
        if self.listed.model is not Ticket or not isinstance(self.tree, Text) or documents.is_literal(self.tree):
            return None
        text = self.tree.text
        return replace(self, lexicon=Lexicon(entries={text: Entry(text, text, 0)}, guessed=True))

    def understood(self, lexicon: Lexicon) -> Self:
        """The same with what the database knows; raises BadRequest for a person whom it does not know."""
        fields = {key: known_as(self.listed.model, item, lexicon.ids) for key, item in self.fields.items()}
        return replace(self, fields=fields, lexicon=lexicon)

    async def weighed(self, session: AsyncSession) -> Self:
        """The same, knowing of words that are common whether they are so together; at most one statement."""
        terms = self.tree.terms if isinstance(self.tree, All) else (self.tree,)
        plain, _ = self._split(terms)
        whole = documents.together(plain, self.lexicon) if self.listed.model is Ticket and plain else None
        if whole is None or await documents.is_common(session, whole, self.lexicon):
            return self
        return replace(self, lexicon=replace(self.lexicon, scarce=frozenset([whole])))

    @property
    def said(self) -> str:
        """What was searched for the words, as a sentence; empty where there are no words."""
        words = " ".join(str(part) for part in self.parts if is_textual(part.term))
        if not words:
            return ""
        where = (
            ("number", "title", "description", "public comments", "tags")
            if self.listed.model is Ticket
            else tuple(_label(self.listed.model, name) for name in _columns(self.listed))
        )
        places = f"{', '.join(where[:-1])} and {where[-1]}" if len(where) > 1 else where[0]
        return f"Searched {places} for “{words}”.{self._said_of_letters()}"

    def _said_of_letters(self) -> str:
        texts = [text for text in texts_of(self.tree) if self.listed.model is Ticket]
        literal_ones = [text.text for text in texts if documents.is_literal(text)]
        if texts and all(map(self.lexicon.is_wordless, texts)):
            literal_ones = [text.text for text in texts]
        if not literal_ones:
            return ""
        return f" Looked for {', '.join(f'“{text}”' for text in literal_ones)} letter by letter, which takes longer."


@dataclass(frozen=True)
class Words:
    """Tickets, searched by words and phrases only."""

    model: type[Any] = Ticket
    search: tuple[str, ...] = ("title",)
    filters: tuple[str, ...] = ()


async def matching_words(session: AsyncSession, text: str) -> ColumnElement[bool]:
    """Whether a ticket has the words and phrases that somebody typed; raises BadInput for what cannot be understood."""
    try:
        found = Search.of(Words(), text, Viewer(0, ZoneInfo("UTC"), datetime.now(UTC)))
    except ValueError as error:
        raise BadInput(f"The search {error}") from error
    return found.understood(await look_up(session, (), found.words)).condition if found else true()


# ---- Fields


def _fields_of(term: Term, negated: bool = False) -> Iterator[tuple[Field, bool]]:
    """Every field, and whether it is what must not be by itself."""
    match term:
        case Field():
            yield term, negated
        case Not(Field() as inner):
            yield inner, True
        case Not(inner):
            yield from _fields_of(inner)
        case All(terms) | Either(terms):
            for one in terms:
                yield from _fields_of(one)


def _groups(term: Term) -> Iterator[All]:
    match term:
        case Not(inner):
            yield from _groups(inner)
        case All(terms) | Either(terms):
            if isinstance(term, All):
                yield term
            for one in terms:
                yield from _groups(one)


def _asked(listed: Searched, asked: Field, viewer: Viewer, negated: bool) -> Filtered:
    """The filter that a field is; raises ValueError that names it and its place."""
    try:
        if asked.name == IS:
            return _being(listed, asked.value, viewer, negated)
        if asked.name == OVERDUE and hasattr(listed.model, "is_overdue"):
            return _overdue(listed.model, yes_or_no(Word(asked.value)) is not negated, asked.value)
        name, value = full_name(listed.filters, asked.name, asked.value)
        if name in listed.filters:
            return filtered(listed.model, name, [value], viewer, negated=negated)
    except ValueError as error:
        raise ValueError(f"has {asked.name} at character {asked.at}: {error}") from error
    raise ValueError(_unknown(listed, asked))


def _being(listed: Searched, value: str, viewer: Viewer, negated: bool) -> Filtered:
    """`is:overdue`, `is:unassigned`, and yes of every column that is called so."""
    states = _states(listed)
    if value not in states:
        nearest = difflib.get_close_matches(value, states, n=1)
        hint = f"Did you mean {nearest[0]}?" if nearest else f"It takes {', '.join(states) or 'nothing here'}."
        raise ValueError(f"“{value[:60]}” is not known. {hint}")
    if (name := states[value]) == OVERDUE:
        return _overdue(listed.model, not negated, "yes")
    return filtered(listed.model, name, [NONE if value == UNASSIGNED else "yes"], viewer, negated=negated)


def _states(listed: Searched) -> dict[str, str]:
    """What a row can be, with the filter that tells."""
    found = {OVERDUE: OVERDUE} if hasattr(listed.model, "is_overdue") else {}
    if "assignee" in listed.filters and optional(listed.model, "assignee"):
        found[UNASSIGNED] = "assignee"
    switches = [name for name in listed.filters if kind_of(listed.model, name) == "switch"]
    return found | {name.removeprefix("is_"): name for name in switches}


def _overdue(model: type[Any], wanted: bool, text: str) -> Filtered:
    overdue = model.is_overdue
    return Filtered(OVERDUE, "switch", (Word(text),), overdue if wanted else not_(overdue), negated=False)


def _unknown(listed: Searched, asked: Field) -> str:
    known = fields_of(listed)
    what = f"has “{asked.name[:60]}” at character {asked.at}, which is no field of {listed.model.__tablename__}."
    nearest = difflib.get_close_matches(asked.name, known, n=1)
    hint = f"Did you mean {nearest[0]}?" if nearest else f"Fields are {', '.join(known)}."
    return f"{what} {hint} To look for it as a text, put it into double quotes."


def fields_of(listed: Searched) -> list[str]:
    """The names that may stand before a colon."""
    short = [name for name, full in ALIASES.items() if full in listed.filters and name not in listed.filters]
    more = [OVERDUE] * hasattr(listed.model, "is_overdue") + [IS] * bool(_states(listed))
    return [*listed.filters, *short, *more]


def _check_word(listed: Searched, word: Text) -> None:
    """Refuse a field with a space behind its colon, and words where there is nothing to search them in."""
    if not word.quoted and word.text.endswith(":") and word.text[:-1].lower() in fields_of(listed):
        raise ValueError(f"has {word.text} at character {word.at} without its value, which follows without a space.")
    if not _columns(listed):
        known = ", ".join(fields_of(listed))
        raise ValueError(
            f"has a word at character {word.at}, but this list has no texts to search. Fields are {known}."
        )


def _columns(listed: Searched) -> list[str]:
    return [
        name for name in listed.search if kind_of(listed.model, name) == "text" and not relation_of(listed.model, name)
    ]


def _label(model: type[Any], name: str) -> str:
    label = getattr(getattr(model, name), "info", {}).get("label") or humanized(name)
    return str(label)[:1].lower() + str(label)[1:]
