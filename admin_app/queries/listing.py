"""Lists as they are asked for: the parameters of an address become a ListQuery, whose conditions `rows` reads by."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol, Self, cast

from itsdangerous import URLSafeSerializer
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadRequest
from admin_app.models import SoftDelete
from admin_app.queries.columns import Density, choosable, columns_from, density_from
from admin_app.queries.filters import (
    ALIASES,
    BIGGEST,
    Filtered,
    Word,
    filtered,
    full_name,
    kind_of,
    known_as,
    yes_or_no,
)
from admin_app.queries.keyset import END, START, Key, Position, cursor, keys_of, value_from, values_from
from admin_app.queries.lexicon import look_up
from admin_app.queries.periods import DAY, SIGNER, Viewer, day_of
from admin_app.queries.saved_views import View
from admin_app.queries.search import Search
from admin_app.queries.touched import touched

SIZES = (25, 50, 100, 250)
SIZE = 50
OUTCOME_LENGTH = 300
SORTS = 3
"""Columns by which a list can be sorted at a time."""
DEEPEST = 10_000
"""Rows up to which a list is counted."""

SIDES: tuple[Literal["after", "before", "at"], ...] = ("after", "before", "at")
"""The parameters that say where a page begins."""
STAYING = frozenset({"size", "columns", "density"})
"""Parameters that may change without the page beginning anew."""
BEGINNING: dict[str, str | None] = dict.fromkeys(SIDES)
"""Given to `pairs`, the list from its beginning."""
APPEARANCE: dict[str, str | None] = BEGINNING | {"size": None, "columns": None, "density": None}
"""Parameters that say how a list looks and not which rows it has, to be left out of `pairs`."""


class Listed(Protocol):
    """What a list is made of: a model, and which of its attributes are shown, searched, filtered and sorted."""

    @property
    def model(self) -> type[Any]: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def details(self) -> tuple[str, ...]: ...
    @property
    def form(self) -> tuple[str, ...]: ...
    @property
    def search(self) -> tuple[str, ...]: ...
    @property
    def filters(self) -> tuple[str, ...]: ...
    @property
    def sort(self) -> tuple[str, ...]: ...
    @property
    def default_sort(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class ListQuery:
    """What a list is asked for.

    `sort` are the columns by which it is sorted, as `-priority_rank,created_at`, with a `-` where the greatest comes
    first; `position` is where its page begins, and `signer` signs where the next one does. `columns` are those that are
    shown, in their order, none where the list's own are, and `density` how close its rows stand. `change_set` is one
    that was about the rows, and `outcome` what became of them in it, which may be `audited` only. `visible` is not
    asked for but demanded: what a row must fulfil for this viewer. `among` is what rows must fulfil in place of what is
    asked for. `view` is the saved view within which it is asked. It is `known` once it is `understood`.
    """

    listed: Listed
    filters: tuple[Filtered, ...] = ()
    q: str = ""
    search: Search | None = None
    known: bool = False
    sort: str
    position: Position = START
    signer: URLSafeSerializer = SIGNER
    size: int = SIZE
    columns: tuple[str, ...] = ()
    density: Density = ""
    trash: bool = False
    overdue: bool | None = None
    change_set: int | None = None
    outcome: str = ""
    audited: bool = True
    visible: tuple[ColumnElement[bool], ...] = ()
    among: ColumnElement[bool] | None = None
    view: View | None = None

    @classmethod
    def parse(cls, listed: Listed, given: Iterable[tuple[str, str]], viewer: Viewer) -> Self:
        """What the parameters of an address ask for.

        Raises BadRequest naming every parameter that is unknown or cannot be understood, and what it takes.
        """
        problems: dict[str, str] = {}
        texts = canonical(listed, given, problems)
        found: list[Filtered] = []
        for parameter in (f"{name}{sign}" for name in listed.filters for sign in ("", "!") if f"{name}{sign}" in texts):
            name, negated = parameter.removesuffix("!"), parameter.endswith("!")
            try:
                found.append(filtered(listed.model, name, texts[parameter], viewer, negated=negated))
            except ValueError as error:
                problems[parameter] = str(error)
        options = _once(listed, texts, problems)
        search = _searched(listed, texts, viewer, problems)
        position = _position(listed, options["sort"], texts, viewer, problems)
        if problems:
            raise BadRequest(fields=problems)
        return cls(
            listed=listed, filters=tuple(found), search=search, position=position, signer=viewer.signer, **options
        )

    @property
    def keys(self) -> tuple[Key, ...]:
        """The columns that decide about the order of any two rows."""
        return keys_of(self.listed.model, self.sort, self.listed.default_sort)

    def cursor(self, values: Sequence[Any]) -> str:
        """The place of a row that has these values in its keys, for `after` and `before`."""
        return cursor(self.signer, self.listed.model, self.sort, values)

    @cached_property
    def narrowed(self) -> bool:
        """Whether anything but the trash is asked for, so that an empty list need not mean that there is nothing."""
        return bool(self.q or self.filters or self.overdue is not None or self.change_set)

    def pairs(self, **instead: str | None) -> list[tuple[str, str]]:
        """The parameters of this list in one order, with others `instead`; None leaves one out."""
        present: dict[str, str | None] = {"q": self.q or None}
        present |= {item.parameter: item.text for item in self.filters}
        present["overdue"] = None if self.overdue is None else "yes" if self.overdue else "no"
        if self.change_set:
            present |= {"change_set": str(self.change_set), "outcome": self.outcome or None}
        present["trash"] = "yes" if self.trash else None
        present["sort"] = self.sort if self.sort != self.listed.default_sort else None
        present["size"] = str(self.size) if self.size != SIZE else None
        present["columns"] = ",".join(self.columns) or None
        present["density"] = self.density or None
        if self.position.side and instead.keys() <= STAYING:
            present[self.position.side] = self.position.text
        found = [(name, value) for name, value in {**present, **instead}.items() if value is not None]
        return self.view.without(found) if self.view else found

    @property
    def alone(self) -> Self:
        """The same without its saved view, so that its parameters say all by themselves."""
        return replace(self, view=None)

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a row must fulfil; live rows only, or the trash only."""
        if self.among is not None or not (self.q and self.search):
            return self._narrowing()
        return [*self._narrowing(), self.search.condition]

    def branches(self) -> list[list[ColumnElement[bool]]]:
        """The same as alternatives of which a row must fulfil one, so that an index may answer each of them."""
        if self.among is not None or not (self.q and self.search):
            return [self._narrowing()]
        return [[*self._narrowing(), branch] for branch in self.search.branches]

    def _narrowing(self) -> list[ColumnElement[bool]]:
        """What a row must fulfil, but for the search."""
        model = self.listed.model
        if self.among is not None:
            return [*self.visible, self.among]
        found = [*self.visible, *(item.condition for item in self.filters)]
        if issubclass(model, SoftDelete):
            found.append(model.deleted_at.is_not(None) if self.trash else model.deleted_at.is_(None))
        if self.overdue is not None:
            overdue = cast(ColumnElement[bool], model.is_overdue)
            found.append(overdue if self.overdue else ~overdue)
        if self.change_set:
            found.append(touched(model, self.change_set, self.outcome, audited=self.audited))
        return found

    @property
    def guessed(self) -> Self | None:
        """The same for a rare word, to be read before anything is looked up; it has no rows where the word is not rare.

        None where more is asked for than the database needs to be told.
        """
        search = self.search.guessed if self.q and self.search else None
        if search is None or self.known or any(item.names for item in self.filters):
            return None
        return replace(self, search=search, known=True)

    async def understood(self, session: AsyncSession) -> Self:
        """The same with what the database knows of the names and words that are looked for: up to three statements.

        Raises BadRequest for a person whom it does not know, or of whom there are several.
        """
        if self.known:
            return self
        search = self.search if self.q else None
        named = [*self.filters, *(search.filters if search else ())]
        lexicon = await look_up(session, named, search.words if search else frozenset())
        found = tuple(known_as(self.listed.model, item, lexicon.ids) for item in self.filters)
        search = await search.understood(lexicon).weighed(session) if search else None
        return replace(self, filters=found, search=search, known=True)


# ---- Reading the address


def within(listed: Listed, view: View, given: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters of a list within a view: the view's, in place of which comes what else is given, even if empty."""
    also = [(name, value) for name, value in given if name != "view"]
    full = {name: known for name, known in ALIASES.items() if name not in listed.filters and known in listed.filters}
    full |= {f"{name}_{end}": name for name in _periods(listed) for end in ("from", "to")}
    said = {full.get(name, name) for name, _ in also}
    return [*(pair for pair in view.pairs if pair[0] not in said), *also]


def canonical(
    listed: Listed, given: Iterable[tuple[str, str]], problems: dict[str, str] | None = None
) -> dict[str, list[str]]:
    """The given parameters under their full names, without empty ones; a form's two days become one period.

    Unknown names are noted in `problems`.
    """
    problems = {} if problems is None else problems
    known = parameters(listed)
    found: dict[str, list[str]] = {}
    for given_name, value in given:
        plain, value = full_name(listed.filters, given_name.removesuffix("!"), value)
        name = f"{plain}!" if given_name.endswith("!") else plain
        if name not in known and not (name.endswith("!") and plain in listed.filters):
            nearest = difflib.get_close_matches(given_name, known, n=1)
            hint = f"Did you mean {nearest[0]}?" if nearest else f"Known are {', '.join(known)}."
            problems[given_name[:60]] = f"is not a parameter of this list. {hint}"
        elif "\x00" in value:
            problems[name] = "holds a character that cannot be stored."
        elif value.strip():
            found.setdefault(name, []).append(value)
    for name in _periods(listed):
        _join_days(name, found, problems)
    return found


def parameters(listed: Listed) -> list[str]:
    """The names of all parameters that a list takes."""
    model: Any = listed.model
    return list(_parameters(model, tuple(listed.filters), bool(listed.search or listed.filters)))


@lru_cache(maxsize=1_000)
def _parameters(model: Any, filters: tuple[str, ...], searched: bool) -> tuple[str, ...]:
    names = ["q"] * searched + [*filters, "sort", *SIDES, "size", "columns", "density"]
    names += ["trash"] * issubclass(model, SoftDelete) + ["overdue"] * hasattr(model, "is_overdue")
    names += ["change_set", "outcome"] * ("change_set" not in filters)
    times = [name for name in filters if kind_of(model, name) == "time"]
    return (*names, *(f"{name}_{end}" for name in times for end in ("from", "to")))


def _periods(listed: Listed) -> list[str]:
    return [name for name in listed.filters if kind_of(listed.model, name) == "time"]


def _join_days(name: str, found: dict[str, list[str]], problems: dict[str, str]) -> None:
    """`created_at_from` and `created_at_to`, both days included, as `created_at`; they take its place."""
    first, last = (found.pop(f"{name}_{end}", None) for end in ("from", "to"))
    if not first and not last:
        return
    try:
        after = str(day_of(last[-1]) + DAY) if last else ""
        found[name] = [f"{day_of(first[-1]) if first else ''}..{after}"]
    except (ValueError, OverflowError):
        problems[name] = "its first and last day are written like 2026-01-31."


def _once(listed: Listed, texts: dict[str, list[str]], problems: dict[str, str]) -> dict[str, Any]:
    """What the parameters that may stand once say, as fields of ListQuery; mistakes are noted in `problems`."""
    found: dict[str, Any] = {"sort": listed.default_sort}
    for name, read in ONCE.items():
        values = {text.strip() for text in texts.get(name, [])} if name not in listed.filters else set()
        try:
            if len(values) > 1:
                raise ValueError("can be given once only.")
            if values:
                found[name] = read(listed, values.pop())
        except ValueError as error:
            problems[name] = str(error)
    if "outcome" in found and "change_set" not in found:
        problems["outcome"] = "needs a change_set, in which this became of the rows."
    return found


def _position(
    listed: Listed, sort: str, texts: dict[str, list[str]], viewer: Viewer, problems: dict[str, str]
) -> Position:
    """Where the page begins; mistakes are noted in `problems`."""
    given = [side for side in SIDES if side in texts]
    if not given or "sort" in problems:
        return START
    side, values = given[0], {text.strip() for text in texts[given[0]]}
    try:
        if len(given) > 1:
            raise ValueError(f"does not go with {given[1]}: a page begins at one place.")
        if len(values) > 1:
            raise ValueError("can be given once only.")
        text, keys = values.pop(), keys_of(listed.model, sort, listed.default_sort)
        if side == "at":
            return Position(side, text, (value_from(keys[0], text, viewer),))
        if side == "before" and text == END:
            return Position(side, text)
        return Position(side, text, values_from(viewer.signer, listed.model, sort, keys, text))
    except (ValueError, OverflowError) as error:
        problems[side] = str(error) if isinstance(error, ValueError) else "is too far away."
        return START


def _searched(listed: Listed, texts: dict[str, list[str]], viewer: Viewer, problems: dict[str, str]) -> Search | None:
    """What `q` looks for; mistakes are noted in `problems`."""
    try:
        return Search.of(listed, texts["q"][0].strip(), viewer) if "q" in texts and "q" not in problems else None
    except ValueError as error:
        problems["q"] = str(error)
        return None


def _sort(listed: Listed, text: str) -> str:
    takes = f"takes {', '.join(listed.sort)}, or up to {SORTS} of them; with a - in front, the greatest first."
    found: list[str] = []
    for part in text.split(","):
        name = sort_name(listed, part.strip().removeprefix("-"))
        if name is None:
            raise ValueError(takes)
        found.append(f"-{name}" if part.strip().startswith("-") else name)
    if len({name.removeprefix("-") for name in found}) < len(found) or len(found) > SORTS:
        raise ValueError(f"names a column twice, or too many. It {takes}")
    return ",".join(found)


def _size(listed: Listed, text: str) -> int:
    if text not in map(str, SIZES):
        raise ValueError(f"takes one of {', '.join(map(str, SIZES))}.")
    return int(text)


def _switch(listed: Listed, text: str) -> bool:
    return yes_or_no(Word(text))


def _change_set(listed: Listed, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 0 < int(text) <= BIGGEST):
        raise ValueError("takes the number of a change set.")
    return int(text)


def _outcome(listed: Listed, text: str) -> str:
    if len(text) > OUTCOME_LENGTH:
        raise ValueError("takes changed, unchanged, skipped, failed, or the reason why rows were skipped or failed.")
    return text


def choosable_columns(listed: Listed) -> tuple[str, ...]:
    """The columns that one can choose for a list, those first that it has of itself."""
    model: Any = listed.model
    return choosable(model, tuple(listed.columns), (*listed.details, *listed.filters, *listed.form))


def _columns(listed: Listed, text: str) -> tuple[str, ...]:
    return columns_from(text, choosable_columns(listed))


def _density(listed: Listed, text: str) -> Density:
    return density_from(text)


ONCE: dict[str, Callable[[Listed, str], Any]] = {
    "q": lambda listed, text: text,
    "sort": _sort,
    "size": _size,
    "columns": _columns,
    "density": _density,
    "trash": _switch,
    "overdue": _switch,
    "change_set": _change_set,
    "outcome": _outcome,
}
"""Parameters that may stand once, and how each is read."""


def sort_name(listed: Listed, name: str) -> str | None:
    """The name by which a column can be sorted, if it can: `priority` is sorted by its rank."""
    name = ALIASES.get(name, name)
    return next((known for known in (f"{name}_rank", name) if known in listed.sort), None)
