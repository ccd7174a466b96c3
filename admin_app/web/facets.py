"""What a list could be narrowed down to, for its filters: each value with its number, as a link that asks for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from sqladmin.templating import Jinja2Templates
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import TooSlow
from admin_app.inputs import label_of
from admin_app.models import User
from admin_app.plugin import Resource
from admin_app.queries import facets
from admin_app.queries.facets import CAPPED, MANY, OVERDUE, Facet, Span
from admin_app.queries.filters import NONE, Filtered, Word, choices_of, kind_of, optional, relation_of
from admin_app.queries.listing import APPEARANCE, ListQuery
from admin_app.queries.periods import Viewer
from admin_app.queries.readable import humanized
from admin_app.web import panel, selecting
from admin_app.web.context import desk_of, path, render

DATES_MS = 1_000
"""Milliseconds that numbers of years, months and days may take; they are shown without them after that."""


@dataclass(frozen=True)
class Link:
    """A value of a filter with its number, and the list that asks for it as well, or no longer where it is `chosen`."""

    value: str
    label: str
    number: str
    href: str
    chosen: bool = False


@dataclass(frozen=True)
class Group:
    """A filter with its values; `above` leads from days to their month and from months to all years."""

    name: str
    label: str
    links: Sequence[Link]
    above: Sequence[tuple[str, str]] = ()


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """The values of a list's filters with their numbers, for its filters to pick out, or as a page of its own."""
    query = selecting.asked(request, resource, request.query_params.multi_items())
    address = panel.addresses(path(resource.name, "list"), query)
    groups: list[Group] = []
    more = late = False
    try:
        async with desk_of(request).database.glance() as session:
            query = await query.understood(session)
            groups, more = await _values(request, session, resource, query, address)
            name, viewer = facets.main_time(resource), selecting.viewer_of(request)
            spans = await facets.spans_of(session, query, name, viewer) if name else []
        if name and (links := await _dated(request, query, name, spans, viewer, address)):
            above = _above(name, spans, address) if facets.period_of(query, name, viewer) != (None, None) else []
            groups.append(Group(name, label_of(resource.model, name), links, above))
    except TooSlow:
        late = True
    context = {
        "title": f"What these {resource.label_plural.lower()} are",
        "resource": resource,
        "groups": groups,
        "more": f"{CAPPED:,}" if more else "",
        "late": late,
        "list_url": address(),
    }
    return await render(request, templates, "backdesk/facets.html", context)


def source(resource: Resource, query: ListQuery) -> str:
    """Where the values are found."""
    return panel.with_query(path(resource.name, "facets"), query.pairs(**APPEARANCE, sort=query.sort))


@lru_cache(maxsize=1_000)
def slots(resource: Resource) -> list[str]:
    """The ids of the elements on a list's page that have their likes among the values."""
    model = resource.model
    found = []
    for name in facets.facetable(resource):
        if name != OVERDUE and kind_of(model, name) == "choice":
            values = choices_of(model, name) + [NONE] * optional(model, name)
            found += [f"facet-{name}-{value}" for value in values]
        else:
            found.append(f"facet-{name}")
    time = facets.main_time(resource)
    return found + [f"facet-{time}"] * bool(time)


# ---- Values


async def _values(
    request: Request, session: AsyncSession, resource: Resource, query: ListQuery, address: Callable[..., str]
) -> tuple[list[Group], bool]:
    found = await facets.values_of(session, query)
    named = await _names(request, session, resource, found)
    present = {item.name: item for item in query.filters if not item.negated}
    groups = [_group(resource, query, one, present.get(one.name), named, address) for one in found]
    return [group for group in groups if group.links], any(one.more for one in found)


async def _names(
    request: Request, session: AsyncSession, resource: Resource, found: Iterable[Facet]
) -> dict[tuple[type[Any], str], str]:
    """How the records among the values are called, by model and id; one statement a model."""
    wanted: dict[type[Any], set[int]] = {}
    for one in found:
        if one.name != OVERDUE and (relation := relation_of(resource.model, one.name)):
            ids = {int(value) for value, _ in one.counts if value is not None}
            wanted.setdefault(relation.mapper.class_, set()).update(ids)
    reader = panel.Reader(request)
    return {
        (model, str(row.id)): reader.name_of(row)
        for model, ids in wanted.items()
        if ids
        for row in await facets.records_of(session, model, ids)
    }


def _group(
    resource: Resource,
    query: ListQuery,
    facet: Facet,
    item: Filtered | None,
    named: dict[tuple[type[Any], str], str],
    address: Callable[..., str],
) -> Group:
    name, model = facet.name, resource.model
    if name == OVERDUE:
        asked = {None: "", True: "yes", False: "no"}[query.overdue]
        return Group(name, "Overdue", _switches(name, facet, asked, address))
    label = label_of(model, name)
    match kind_of(model, name):
        case "switch":
            return Group(name, label, _switches(name, facet, item.text if item else "", address))
        case "choice":
            counts = {value or NONE: number for value, number in facet.counts}
            values = choices_of(model, name) + [NONE] * optional(model, name)
            links = [
                _toggle(name, item, value, humanized(value), counts.get(value, 0), facet, address) for value in values
            ]
            return Group(name, label, links)
        case _:
            return Group(name, label, _records(model, facet, item, named, address))


def _switches(name: str, facet: Facet, asked: str, address: Callable[..., str]) -> list[Link]:
    counts = {"yes" if value == "true" else "no": number for value, number in facet.counts}
    return [
        Link(value, humanized(value), _number(counts.get(value, 0), facet), address(**{name: other}), value == asked)
        for value in ("yes", "no")
        for other in [None if value == asked else value]
    ]


def _records(
    model: type[Any],
    facet: Facet,
    item: Filtered | None,
    named: dict[tuple[type[Any], str], str],
    address: Callable[..., str],
) -> list[Link]:
    relation = relation_of(model, facet.name)
    target = relation.mapper.class_ if relation else None
    nobody = "Nobody" if target is User else "None"
    labels = {value: nobody if value is None else named.get((target, value), "") for value, _ in facet.counts if target}
    return [
        _toggle(facet.name, item, value or NONE, labels[value], number, facet, address)
        for value, number in facet.counts
        if labels.get(value)
    ]


def _toggle(
    name: str,
    item: Filtered | None,
    value: str,
    label: str,
    number: int,
    facet: Facet,
    address: Callable[..., str],
) -> Link:
    """A link that adds a value to those that a filter asks for, or takes it away."""
    words = item.words if item else ()
    same = {Word(value)} | {word for word in words if _means(item, word, value, label)}
    chosen = bool(same & set(words))
    kept = [word for word in words if word not in same] if chosen else [*words, Word(value)]
    return Link(value, label, _number(number, facet), address(**{name: ",".join(map(str, kept)) or None}), chosen)


def _means(item: Filtered | None, word: Word, value: str, label: str) -> bool:
    """Whether a word of a filter names the record with this id: by its name, or `me` where the viewer is asked for."""
    if item is None or item.target is None or value == NONE:
        return False
    named = word.text.lower() == label.lower()
    return named or (word == Word("me") and item.target is User and int(value) in item.ids)


def _number(number: int, facet: Facet) -> str:
    """How many there are, at least so many where the list goes on; nothing where none of the first rows has it."""
    if facet.more:
        return f"{min(number, CAPPED):,}+" if number else ""
    return f"{number:,}"


# ---- Dates


async def _dated(
    request: Request, query: ListQuery, name: str, spans: Sequence[Span], viewer: Viewer, address: Callable[..., str]
) -> list[Link]:
    """Years, months or days with their numbers; all of them without any where counting takes too long."""
    try:
        async with desk_of(request).database.read() as session:
            await facets.hurry(session, DATES_MS)
            spans = await facets.counted(session, query, name, spans, viewer)
            spans = await facets.counted(session, query, name, facets.inside(spans), viewer) or spans
    except TooSlow:
        pass
    chosen = facets.period_of(query, name, viewer)
    return [_span(name, span, chosen == (span.first, span.after), address) for span in spans]


def _span(name: str, span: Span, chosen: bool, address: Callable[..., str]) -> Link:
    number = "" if span.count is None else f"{MANY:,}+" if span.count > MANY else f"{span.count:,}"
    text = _period(span.first, span.after)
    return Link(text, _called(span), number, address(**{name: None if chosen else text}), chosen)


def _period(first: date, after: date) -> str:
    return str(first) if (after - first).days == 1 else f"{first}..{after}"


def _called(span: Span) -> str:
    days = (span.after - span.first).days
    return f"{span.first:%-d %b}" if days == 1 else f"{span.first:%b %Y}" if days < 32 else f"{span.first:%Y}"


def _above(name: str, spans: Sequence[Span], address: Callable[..., str]) -> list[tuple[str, str]]:
    """From months to all years, from days to the months of their year as well."""
    if not spans or (days := (spans[0].after - spans[0].first).days) > 31:
        return []
    year = spans[0].first.year
    found = [(address(**{name: None}), "All years")]
    if days == 1:
        found.append((address(**{name: f"{year}-01-01..{year + 1}-01-01"}), str(year)))
    return found
