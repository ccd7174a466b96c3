"""The filters of a list as a person sees them: controls to choose with, and chips for what is in force."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request

from admin_app.inputs import label_of
from admin_app.models import User
from admin_app.plugin import Resource
from admin_app.queries.filters import ME, NONE, Filtered, Kind, Word, choices_of, kind_of, optional, relation_of, takes
from admin_app.queries.listing import BEGINNING, ListQuery
from admin_app.queries.periods import DAY, day_of
from admin_app.queries.readable import humanized
from admin_app.queries.rows import Reference
from admin_app.queries.terms import Either, Term
from admin_app.web.conditions import in_parentheses
from admin_app.web.context import actor_of, desk_of, path, record_path
from admin_app.web.lookups import may_know

Named = dict[type[Any], list[Any]]
Choices = tuple[tuple[str, str, bool], ...]
PERIODS = ("today", "last-7-days", "last-30-days", "this-month", "last-month")
COMPARED = {">=": "from", "<=": "until", ">": "after", "<": "before"}
COMING = ("today", "tomorrow", "this-week", "next-7-days")


@dataclass(frozen=True, kw_only=True)
class Control:
    """One filter as a control: its present value, its choices as (value, label, chosen), and where more are found.

    `unwanted` are the same choices for what must not be, and `without` is what else must not be. Of a time, `first` and
    `last` are the days between which it is, and `kept` what days cannot say.
    """

    name: str
    label: str
    kind: Kind
    value: str = ""
    choices: Choices = ()
    unwanted: Choices = ()
    without: str = ""
    lookup: str = ""
    first: str = ""
    last: str = ""
    kept: str = ""
    periods: Choices = ()
    help: str = ""

    @property
    def excludes(self) -> bool:
        """Whether there are values that must not be."""
        return bool(self.without) or any(chosen for _, _, chosen in self.unwanted)


@dataclass(frozen=True)
class Chip:
    """A filter in force in words, and the list without it."""

    label: str
    value: str
    without: str


@dataclass(frozen=True)
class Reader:
    """What the viewer is shown of other records: how each is called, and its page where they may open it."""

    request: Request

    def name_of(self, record: Any) -> str:
        """How a record is called, or only its number where the viewer may not know more."""
        return str(record.label) if may_know(self.request, _model_of(record)) else f"No. {record.id}"

    def href_of(self, record: Any) -> str:
        """The page of a record; empty where there is none for the viewer."""
        shown = desk_of(self.request).registry.resource_of(_model_of(record))
        may = shown is not None and actor_of(self.request).may(f"{shown.name}.view")
        return record_path(shown, record) if shown is not None and may else ""


def _model_of(record: Any) -> type[Any]:
    return record.model if isinstance(record, Reference) else type(record)


def encoded(pairs: Sequence[tuple[str, str]]) -> str:
    """Parameters as they stand behind the ? of an address."""
    return urlencode(pairs, safe=",:!", quote_via=quote)


def with_query(base: str, pairs: Sequence[tuple[str, str]]) -> str:
    """An address with parameters."""
    return f"{base}?{encoded(pairs)}" if pairs else base


def addresses(base: str, query: ListQuery) -> Callable[..., str]:
    """Makes the addresses of a list: as it is asked for, with other parameters instead."""
    return lambda **instead: with_query(base, query.pairs(**instead))


def controls(
    resource: Resource, query: ListQuery, named: Named, name_of: Callable[[Any], str], address: Callable[..., str]
) -> list[Control]:
    """A control for every filter of a resource, holding what is in force."""
    present = {item.parameter: item for item in query.filters}
    made = [_control(resource, name, present, named, name_of, address) for name in resource.filters]
    if hasattr(resource.model, "is_overdue"):
        chosen = {None: "", True: "yes", False: "no"}[query.overdue]
        made.append(Control(name="overdue", label="Overdue", kind="switch", value=chosen))
    return made


def _control(
    resource: Resource,
    name: str,
    present: Mapping[str, Filtered],
    named: Named,
    name_of: Callable[[Any], str],
    address: Callable[..., str],
) -> Control:
    bare, empty = _bare(resource, name)
    item, without = present.get(name), present.get(f"{name}!")
    model, value, excluded = resource.model, item.text if item else "", without.text if without else ""
    if bare.kind == "time":
        return _time(replace(bare, value=value, without=excluded), empty, address)
    if item is None and without is None:
        return bare
    if bare.kind == "choice":
        return replace(bare, choices=_choices(model, name, item), unwanted=_choices(model, name, without), value=value)
    if bare.lookup:
        choices, unwanted = (_records(model, name, one, named, name_of) for one in (item, without))
        return replace(bare, choices=choices, unwanted=unwanted, value=value)
    return replace(bare, value=value, without=excluded)


@lru_cache(maxsize=1_000)
def _bare(resource: Resource, name: str) -> tuple[Control, bool]:
    """The control of a filter that asks for nothing, and whether it could ask for what is empty."""
    model, kind = resource.model, kind_of(resource.model, name)
    made = Control(name=name, label=label_of(model, name), kind=kind, help=takes(model, name))
    if kind == "choice":
        choices = _choices(model, name, None)
        made = replace(made, choices=choices, unwanted=choices)
    if kind in {"record", "records"}:
        people = _people(model, name, None)
        lookup = path(resource.name, "lookup", name, every="yes")
        made = replace(made, choices=people, unwanted=people, lookup=lookup)
    return made, optional(model, name)


def _choices(model: type[Any], name: str, item: Filtered | None) -> Choices:
    chosen = {word.text for word in item.words} if item else set()
    values = choices_of(model, name) + [NONE] * optional(model, name)
    return tuple((value, humanized(value), value in chosen) for value in values)


def _records(
    model: type[Any], name: str, item: Filtered | None, named: Named, name_of: Callable[[Any], str]
) -> Choices:
    return _people(model, name, item) + tuple(
        (str(word), said(item, word, named, name_of), True)
        for word in (item.words if item else ())
        if item and (word.quoted or word.text not in {ME, NONE})
    )


def _time(made: Control, empty: bool, address: Callable[..., str]) -> Control:
    """A time, with the periods that one wants most often, and whether there is any."""
    name, days = made.name, days_of(made.value)
    offered = COMING if name.startswith("due") else PERIODS
    periods = [(address(**{name: it}), humanized(it.replace("-", " ")), it == made.value) for it in offered]
    if empty:
        periods.append((address(**{name: NONE, f"{name}!": None}), "Empty", made.value == NONE))
        periods.append((address(**{name: None, f"{name}!": NONE}), "Not empty", made.without == NONE))
    first, last = days or ("", "")
    return replace(made, first=first, last=last, kept="" if days else made.value, periods=tuple(periods))


def _people(model: type[Any], name: str, item: Filtered | None) -> tuple[tuple[str, str, bool], ...]:
    """The choices that are no record: the viewer, and nobody."""
    chosen = {word.text for word in item.words if not word.quoted} if item else set()
    relation = relation_of(model, name)
    person = relation is not None and relation.mapper.class_ is User
    offered = [(ME, "Me")] * person + [(NONE, "Nobody" if person else "None")] * optional(model, name)
    return tuple((value, label, value in chosen) for value, label in offered)


def kept(query: ListQuery) -> list[tuple[str, str]]:
    """The parameters of a list that a form of its search and filters has no controls for."""
    shown = {"q": None, "overdue": None} | dict.fromkeys(query.listed.filters)
    shown |= {item.parameter: None for item in query.filters}
    return query.alone.pairs(**shown, **BEGINNING)


def chips(
    resource: Resource, query: ListQuery, named: Named, name_of: Callable[[Any], str], address: Callable[..., str]
) -> list[Chip]:
    """What is in force, in words, each with the address of the list without it."""
    made = _searched(resource, query, named, name_of, address)
    for item in query.filters:
        label, value = _in_words(resource, item, named, name_of)
        made.append(Chip(label, value, address(**{item.parameter: None})))
    if query.overdue is not None:
        made.append(Chip("Overdue", "Yes" if query.overdue else "No", address(overdue=None)))
    if query.change_set:
        made.append(Chip("Change set", str(query.change_set), address(change_set=None, outcome=None)))
    if query.outcome:
        made.append(Chip("Outcome", humanized(query.outcome), address(outcome=None)))
    return made


def _searched(
    resource: Resource, query: ListQuery, named: Named, name_of: Callable[[Any], str], address: Callable[..., str]
) -> list[Chip]:
    """What a search asks for, each thing by itself: its words, its fields, and its groups."""
    if not (query.q and query.search):
        return []
    made = []
    for part in query.search.parts:
        item = query.search.filter_of(part.term)
        label, value = _in_words(resource, item, named, name_of) if item else ("Search", _grouped(part.term))
        made.append(Chip(label, value, address(q=part.without or None)))
    return made


def _grouped(term: Term) -> str:
    """A part of a search as one reads it, each of its groups in parentheses."""
    return " OR ".join(map(in_parentheses, term.terms)) if isinstance(term, Either) else str(term)


def _in_words(resource: Resource, item: Filtered, named: Named, name_of: Callable[[Any], str]) -> tuple[str, str]:
    """A filter as a label and its values."""
    value = ", ".join(said(item, word, named, name_of) for word in item.words)
    return label_of(resource.model, item.name), f"not {value}" if item.negated else value


def said(item: Filtered, word: Word, named: Named, name_of: Callable[[Any], str]) -> str:
    """One value of a filter in words."""
    plain = word.text if not word.quoted else ""
    if item.target is not None:
        return _recordly(item.target, word, named.get(item.target, []), name_of)
    if plain == NONE:
        return "None"
    if item.kind == "time":
        return _periodically(plain)
    return humanized(plain) if item.kind in {"choice", "switch"} else word.text


def _recordly(target: type[Any], word: Word, found: list[Any], name_of: Callable[[Any], str]) -> str:
    if not word.quoted and word.text == NONE:
        return "Nobody" if target is User else "None"
    if not word.quoted and word.text == ME and target is User:
        return "Me"
    if not word.quoted and word.text.isdecimal():
        return next((name_of(row) for row in found if row.id == int(word.text)), f"No. {word.text} (not found)")
    wanted, column = word.text.lower(), target.lookup[0]
    return next((name_of(row) for row in found if getattr(row, column).lower() == wanted), f"“{word.text}” (not found)")


def days_of(text: str) -> tuple[str, str] | None:
    """The first and the last day of a period of whole days, where either may be open; None for other periods."""
    first, dots, after = text.partition("..")
    try:
        if not dots:
            return (str(day_of(first)), str(day_of(first))) if first else ("", "")
        return (str(day_of(first)) if first else "", str(day_of(after) - DAY) if after else "")
    except (ValueError, OverflowError):
        return None


def _periodically(text: str) -> str:
    if sign := next((sign for sign in COMPARED if text.startswith(sign)), ""):
        return f"{COMPARED[sign]} {_periodically(text.removeprefix(sign))}"
    days = days_of(text)
    if days is None:
        first, dots, after = text.partition("..")
        return f"{first or '…'} – {after or '…'}" if dots else humanized(text.replace("-", " "))
    first, last = (f"{date.fromisoformat(day):%-d %b %Y}" if day else "" for day in days)
    if not (first and last):
        return f"from {first}" if first else f"until {last}"
    return first if first == last else f"{first} – {last}"
