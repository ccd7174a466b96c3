"""The language of a search: words, "phrases", -not, OR, parentheses and `field:value`, read into a small tree.

    printer jam                     both words, in any order
    "paper jam" -toner              the phrase, without the word
    status:open (assignee:me OR priority:urgent)

Terms that stand side by side must all be true; OR binds less than that, and AND may be written. This module knows the
form only: what a field or a word asks of a row is `search`'s. An ordinary text is never an error for its colons, signs
or inch marks; a quotation mark or parenthesis that is opened at the beginning of a word must be closed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

DEEPEST = 20
"""Parentheses within each other."""
MOST = 60
"""Words, phrases and fields of one search."""


@dataclass(frozen=True)
class Text:
    """A word, or with `quoted` a phrase that was in quotation marks; `at` is where it stands, counted from 1."""

    text: str
    quoted: bool = False
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f'"{self.text}"' if self.quoted else self.text


@dataclass(frozen=True)
class Field:
    """`name:value`; the value is written as the parameter of that name takes it, quotation marks and all."""

    name: str
    value: str
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.name}:{self.value}"


@dataclass(frozen=True)
class Not:
    """What must not be true."""

    term: "Text | Field | All | Either"

    def __str__(self) -> str:
        return f"-{_inside(self.term)}"


@dataclass(frozen=True)
class All:
    """Two or more terms that must all be true."""

    terms: "tuple[Text | Field | Not | Either, ...]"

    def __str__(self) -> str:
        return " ".join(f"({term})" if isinstance(term, Either) else str(term) for term in self.terms)


@dataclass(frozen=True)
class Either:
    """Two or more terms of which one must be true."""

    terms: "tuple[Text | Field | Not | All, ...]"

    def __str__(self) -> str:
        return " OR ".join(map(str, self.terms))


Term = Text | Field | Not | All | Either
Leaf = TypeVar("Leaf", bound=Text | Field)


@dataclass(frozen=True)
class Part:
    """One of the terms that must all be true, adjacent words taken as one; and the search without it."""

    term: Term
    without: str

    def __str__(self) -> str:
        return str(self.term)


def parse(text: str) -> Term | None:
    """The tree of a search, whose `str` reads as the same tree again; None where nothing is looked for.

    Raises ValueError with a sentence that says what is wrong at which character.
    """
    return _Reader(text).either()


def texts_of(term: Term) -> Iterator[Text]:
    """Every word and phrase of a tree."""
    for leaf in leaves_of(term):
        if isinstance(leaf, Text):
            yield leaf


def leaves_of(term: Term) -> Iterator[Text | Field]:
    """Every word, phrase and field of a tree, in the order in which they were written."""
    match term:
        case Not(inner):
            yield from leaves_of(inner)
        case All(terms) | Either(terms):
            for one in terms:
                yield from leaves_of(one)
        case _:
            yield term


def is_textual(term: Term) -> bool:
    """Whether a tree consists of words and phrases only."""
    return all(isinstance(leaf, Text) for leaf in leaves_of(term))


def parts_of(term: Term) -> list[Part]:
    """The terms that must all be true, each with the search without it; words side by side are one."""
    runs: list[list[Term]] = []
    for one in term.terms if isinstance(term, All) else (term,):
        if runs and _is_word(one) and _is_word(runs[-1][-1]):
            runs[-1].append(one)
        else:
            runs.append([one])
    others = [[one for other in runs if other is not run for one in other] for run in runs]
    return [Part(joined(run) or term, str(joined(rest) or "")) for run, rest in zip(runs, others, strict=True)]


def joined(terms: "list[Term]") -> Term | None:
    """Terms that must all be true as one; None for no term at all."""
    flat = [one for term in terms for one in (term.terms if isinstance(term, All) else (term,))]
    if len(flat) > 1:
        return All(tuple(flat))
    return flat[0] if flat else None


def respelled(term: Term, words: Mapping[str, str]) -> Term:
    """The same with other words in place of these, which are in lower case."""
    match term:
        case Text(text):
            return replace(term, text=" ".join(words.get(word.lower(), word) for word in text.split()))
        case Not(inner):
            return Not(respelled(inner, words))  # type: ignore[arg-type]
        case All(terms):
            return All(tuple(respelled(one, words) for one in terms))  # type: ignore[misc]
        case Either(terms):
            return Either(tuple(respelled(one, words) for one in terms))  # type: ignore[misc]
        case Field():
            return term


def _is_word(term: Term) -> bool:
    return isinstance(term.term if isinstance(term, Not) else term, Text)


def _inside(term: Term) -> str:
    """A term as it is written where one is expected."""
    return f"({term})" if isinstance(term, All | Either) else str(term)


SPACE = re.compile(r"\s*")
OPERATOR = re.compile(r"OR|or|Or|AND|NOT")
NAME = re.compile(r"([A-Za-z][A-Za-z0-9_]*):(?=[^\s:/\\])")
"""A field's name: a colon that a space, a slash or another colon follows belongs to an ordinary text."""
DASHES = re.compile(r"-+")


class _Reader:
    """Reads a text from left to right; `position` is the next character, `start` where the last operator stood.

    `groups` counts the parentheses that are open, and `negations` the signs before a term that is being read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = self.start = 0
        self.groups = self.negations = self.count = 0

    def either(self) -> Term | None:
        """Terms with OR between them."""
        found = [self._every()]
        while self._operator("OR"):
            found.append(self._every())
        if len(found) > 1 and None in found:
            raise ValueError(f"has an OR at character {self.start + 1} with nothing on one of its sides.")
        terms = [one for term in found if term for one in (term.terms if isinstance(term, Either) else (term,))]
        if len(terms) > 1:
            return Either(tuple(terms))
        return terms[0] if terms else None

    def _every(self) -> Term | None:
        """Terms side by side, up to an OR or the end."""
        found: list[Term] = []
        while not self._ended():
            if self._peek("OR"):
                break
            if self._operator("AND"):
                self._expect_between(bool(found))
                continue
            if (term := self._one()) is not None:
                found.append(term)
        return joined(found)

    def _expect_between(self, before: bool) -> None:
        if not before or self._ended() or self._peek("OR") or self._peek("AND"):
            raise ValueError(f"has an AND at character {self.start + 1} with nothing on one of its sides.")

    def _one(self) -> Term | None:
        """One term: negated, in parentheses, or a leaf."""
        at = self.position
        if (match := DASHES.match(self.text, at)) and self._ends_word(match.end()):
            self.position = match.end()
            return self._counted(Text(match[0], quoted=True, at=at + 1))
        if self._operator("NOT") or self._sign("-"):
            return self._negated(at)
        if self._sign("("):
            return self._group(at)
        if self._sign('"'):
            return self._phrase(at)
        return self._counted(self._leaf(at))

    def _negated(self, at: int) -> Term | None:
        if self._ended():
            raise ValueError(f"has a NOT at character {at + 1} with nothing behind it.")
        self._check_depth(at)
        self.negations += 1
        found = self._one()
        self.negations -= 1
        if found is None:
            return None
        return found.term if isinstance(found, Not) else Not(found)

    def _group(self, at: int) -> Term:
        self._check_depth(at)
        self.groups += 1
        found = self.either()
        if not self._sign(")"):
            raise ValueError(f"has a ( at character {at + 1} that is not closed.")
        self.groups -= 1
        if found is None:
            raise ValueError(f"has nothing between the parentheses at character {at + 1}.")
        return found

    def _check_depth(self, at: int) -> None:
        if self.groups + self.negations == DEEPEST:
            raise ValueError(f"is nested more than {DEEPEST} times at character {at + 1}.")

    def _phrase(self, at: int) -> Text | None:
        end = self.text.find('"', self.position)
        if end < 0:
            raise ValueError(f"has a double quote at character {at + 1} without its other one.")
        text, self.position = self.text[self.position : end].strip(), end + 1
        return self._counted(Text(text, quoted=True, at=at + 1)) if text else None

    def _leaf(self, at: int) -> Text | Field:
        if (match := NAME.match(self.text, at)) and not self._ends_word(match.end()):
            self.position = match.end()
            return Field(match[1].lower(), self._run(values=True), at=at + 1)
        word = self._run(values=False)
        return Text(word, quoted=OPERATOR.fullmatch(word) is not None, at=at + 1)

    def _run(self, *, values: bool) -> str:
        """Characters up to a space, or to the parenthesis that closes a group; of a value, phrases are taken whole."""
        start, inner = self.position, 0
        while self.position < len(self.text):
            if (not inner and self._ends_word(self.position)) or (sign := self.text[self.position]).isspace():
                break
            if values and sign == '"':
                self._pass_phrase()
                continue
            inner = inner + 1 if sign == "(" else max(inner - 1, 0) if sign == ")" else inner
            self.position += 1
        return self.text[start : self.position]

    def _pass_phrase(self) -> None:
        end = self.text.find('"', self.position + 1)
        if end < 0:
            raise ValueError(f"has a double quote at character {self.position + 1} without its other one.")
        self.position = end + 1

    def _counted(self, leaf: Leaf) -> Leaf:
        self.count += 1
        if self.count > MOST:
            raise ValueError(f"has more than {MOST} words and fields.")
        return leaf

    def _ended(self) -> bool:
        """Whether nothing follows but spaces, or the end of the present group."""
        self.position = SPACE.match(self.text, self.position).end()  # type: ignore[union-attr]
        return self._ends_word(self.position)

    def _ends_word(self, position: int) -> bool:
        """Whether no word goes on here: the end, a space, or the parenthesis that closes a group."""
        following = self.text[position : position + 1]
        return not following or following.isspace() or (following == ")" and self.groups > 0)

    def _sign(self, sign: str) -> bool:
        """Take a sign, if it is the next character."""
        found = self.text.startswith(sign, self.position)
        self.position += found
        return found

    def _peek(self, name: str) -> bool:
        match = OPERATOR.match(self.text, self.position)
        return match is not None and match[0].upper() == name and self._ends_word(match.end())

    def _operator(self, name: str) -> bool:
        """Take an operator, if it is the next word, and note where it stood."""
        if not self._peek(name):
            return False
        self.start, self.position = self.position, self.position + len(name)
        self._ended()
        return True
