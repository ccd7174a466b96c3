"""The filters of a list as a person sees them: controls to choose with, and chips for what is in force."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request

from admin_app.inputs import label_of
from admin_app.models import User
from admin_app.plugin import Resource
from admin_app.queries.filters import ME, NONE, Filtered, Kind, Word, choices_of, kind_of, optional, relation_of, takes
from admin_app.queries.listing import ListQuery
from admin_app.queries.periods import DAY, day_of
from admin_app.queries.readable import humanized
from admin_app.web.context import actor_of, desk_of, path, record_path
from admin_app.web.lookups import may_know

Named = dict[type[Any], list[Any]]
PERIODS = ("today", "last-7-days", "last-30-days", "this-month", "last-month")
COMING = ("today", "tomorrow", "this-week", "next-7-days")


@dataclass(frozen=True, kw_only=True)
class Control:
    """One filter as a control: its present value, its choices as (value, label, chosen), and where more are found.

    Of a time, `first` and `last` are the days between which it is, and `kept` what days cannot say.
    """

    name: str
    label: str
    kind: Kind
    value: str = ""
    choices: tuple[tuple[str, str, bool], ...] = ()
    lookup: str = ""
    first: str = ""
    last: str = ""
    kept: str = ""
    periods: tuple[tuple[str, str, bool], ...] = ()
    help: str = ""


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
        return str(record.label) if may_know(self.request, type(record)) else f"No. {record.id}"

    def href_of(self, record: Any) -> str:
        """The page of a record; empty where there is none for the viewer."""
        shown = desk_of(self.request).registry.resource_of(type(record))
        may = shown is not None and actor_of(self.request).may(f"{shown.name}.view")
        return record_path(shown, record) if shown is not None and may else ""


def encoded(pairs: Sequence[tuple[str, str]]) -> str:
    """Parameters as they stand behind the ? of an address."""
    return urlencode(pairs, safe=",:", quote_via=quote)


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
    present = {item.name: item for item in query.filters}
    made = [_control(resource, name, present.get(name), named, name_of, address) for name in resource.filters]
    if hasattr(resource.model, "is_overdue"):
        chosen = {None: "", True: "yes", False: "no"}[query.overdue]
        made.append(Control(name="overdue", label="Overdue", kind="switch", value=chosen))
    return made


def _control(
    resource: Resource,
    name: str,
    item: Filtered | None,
    named: Named,
    name_of: Callable[[Any], str],
    address: Callable[..., str],
) -> Control:
    model, kind = resource.model, kind_of(resource.model, name)
    facts: dict[str, Any] = {"name": name, "label": label_of(model, name), "kind": kind}
    facts["value"] = item.text if item else ""
    words = item.words if item else ()
    if kind == "choice":
        chosen = {word.text for word in words}
        values = choices_of(model, name) + [NONE] * optional(model, name)
        facts["choices"] = tuple((value, humanized(value), value in chosen) for value in values)
    elif kind in {"record", "records"}:
        facts["choices"] = _people(model, name, item) + tuple(
            (str(word), said(item, word, named, name_of), True)
            for word in words
            if item and (word.quoted or word.text not in {ME, NONE})
        )
        facts["lookup"] = path(resource.name, "lookup", name, every="yes")
        facts["help"] = takes(model, name)
    elif kind == "time":
        days = days_of(facts["value"])
        facts["first"], facts["last"] = days or ("", "")
        facts["kept"] = "" if days else facts["value"]
        offered = COMING if name.startswith("due") else PERIODS
        facts["periods"] = tuple(
            (address(**{name: period}), humanized(period.replace("-", " ")), period == facts["value"])
            for period in offered
        )
    else:
        facts["help"] = takes(model, name)
    return Control(**facts)


def _people(model: type[Any], name: str, item: Filtered | None) -> tuple[tuple[str, str, bool], ...]:
    """The choices that are no record: the viewer, and nobody."""
    chosen = {word.text for word in item.words if not word.quoted} if item else set()
    relation = relation_of(model, name)
    person = relation is not None and relation.mapper.class_ is User
    offered = [(ME, "Me")] * person + [(NONE, "Nobody" if person else "None")] * optional(model, name)
    return tuple((value, label, value in chosen) for value, label in offered)


def chips(
    resource: Resource, query: ListQuery, named: Named, name_of: Callable[[Any], str], address: Callable[..., str]
) -> list[Chip]:
    """What is in force, in words, each with the address of the list without it."""
    made = [Chip("Search", query.q, address(q=None))] if query.q else []
    for item in query.filters:
        value = ", ".join(said(item, word, named, name_of) for word in item.words)
        made.append(Chip(label_of(resource.model, item.name), value, address(**{item.name: None})))
    if query.overdue is not None:
        made.append(Chip("Overdue", "Yes" if query.overdue else "No", address(overdue=None)))
    if query.change_set:
        made.append(Chip("Change set", str(query.change_set), address(change_set=None, outcome=None)))
    if query.outcome:
        made.append(Chip("Outcome", humanized(query.outcome), address(outcome=None)))
    return made


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
    days = days_of(text)
    if days is None:
        first, dots, after = text.partition("..")
        return f"{first or '…'} – {after or '…'}" if dots else humanized(text.replace("-", " "))
    first, last = (f"{date.fromisoformat(day):%-d %b %Y}" if day else "" for day in days)
    if not (first and last):
        return f"from {first}" if first else f"until {last}"
    return first if first == last else f"{first} – {last}"
