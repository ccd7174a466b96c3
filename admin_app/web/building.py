"""The builder of a search: rows of field, operator and value in groups, of which one must be true; works by links."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqladmin.templating import Jinja2Templates
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from admin_app.errors import BadRequest
from admin_app.models import User
from admin_app.plugin import Resource
from admin_app.queries import facets
from admin_app.queries.filters import ME, NONE, choices_of, relation_of, takes, words_of
from admin_app.queries.listing import BEGINNING, ListQuery
from admin_app.queries.readable import humanized
from admin_app.web import conditions, panel, selecting
from admin_app.web.conditions import TEXT, UNFILLED, Condition, Group
from admin_app.web.context import desk_of, path, render

FIELD = re.compile(r"(field|operator|value)-([0-9]{1,3})-([0-9]{1,3})")
DEED = re.compile(r"(add|remove)-([0-9]{1,3})(?:-([0-9]{1,3}))?")
GROUPS = 10
ROWS = 12
"""Groups, and conditions in each, that one search can be made of here."""


@dataclass(frozen=True)
class Row:
    """A condition as it is filled in: `key` tells its controls from those of other rows."""

    key: str
    condition: Condition
    kind: str
    operators: Sequence[tuple[str, str]]
    choices: Sequence[tuple[str, str, bool]] = ()
    lookup: str = ""
    help: str = ""

    @property
    def takes_value(self) -> bool:
        return self.condition.operator not in UNFILLED

    @property
    def value(self) -> str:
        """The values as one text."""
        return ",".join(self.condition.values)


async def page(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """Conditions in groups: as the list has them now, or as they are filled in; in the end they are its search."""
    given = request.query_params.multi_items()
    own = [(name, value) for name, value in given if name == "do" or FIELD.fullmatch(name)]
    query = selecting.asked(request, resource, [pair for pair in given if pair not in own]).alone
    groups, problem = _filled_in(resource, own), ""
    if not own:
        query, groups = _taken_over(resource, query)
    deed = next((value for name, value in own if name == "do"), "")
    if deed == "show":
        try:
            return _leave(request, resource, query, groups)
        except (BadRequest, ValueError) as error:
            problem = error.fields.get("q", error.message) if isinstance(error, BadRequest) else str(error)
            problem = f"This search {problem}"
    groups = _changed(groups, deed, conditions.blank(resource))
    address = panel.addresses(path(resource.name, "list"), query)
    async with desk_of(request).database.read() as session:
        query = await query.understood(session)
        named = await _names(request, session, resource, groups)
        chips = await selecting.chips(request, session, resource, query)
    context = {
        "title": f"Conditions on {resource.label_plural.lower()}",
        "resource": resource,
        "url": path(resource.name, "build"),
        "list_url": address(),
        "kept": query.pairs(),
        "chips": chips,
        "fields": conditions.fields_of(resource),
        "groups": [
            [_row(resource, f"{number}-{place}", condition, named) for place, condition in enumerate(group, 1)]
            for number, group in enumerate(groups, 1)
        ],
        "periods": (*panel.PERIODS, *panel.COMING),
        "full": len(groups) >= GROUPS,
        "rows": ROWS,
        "problem": problem,
    }
    return await render(request, templates, "backdesk/build.html", context, status=422 if problem else 200)


def source(resource: Resource, query: ListQuery) -> str:
    """Where the conditions of a list are built."""
    return panel.with_query(path(resource.name, "build"), query.alone.pairs(**BEGINNING))


def _taken_over(resource: Resource, query: ListQuery) -> tuple[ListQuery, list[Group]]:
    """The conditions of a list: those of its search and, unless it has several groups, those of its filters."""
    groups = conditions.read(resource, query.q)
    query = replace(query, q="", search=None)
    if len(groups) > 1:
        return query, groups
    found = [(item, conditions.of_filter(resource, item)) for item in query.filters]
    rows = [condition for _, condition in found if condition]
    if query.overdue is not None:
        rows.append(Condition("overdue", "any", ("yes" if query.overdue else "no",)))
    rest = replace(query, filters=tuple(item for item, condition in found if not condition), overdue=None)
    return rest, [(*rows, *(groups[0] if groups else ()))]


def _filled_in(resource: Resource, own: Iterable[tuple[str, str]]) -> list[Group]:
    """The groups of a form, as far as they are on fields that there are."""
    found: dict[tuple[int, int], dict[str, list[str]]] = {}
    for name, value in own:
        if match := FIELD.fullmatch(name):
            found.setdefault((int(match[2]), int(match[3])), {}).setdefault(match[1], []).append(value)
    known = {name for name, _ in conditions.fields_of(resource)}
    groups: dict[int, list[Condition]] = {}
    for (group, _), parts in sorted(found.items()):
        field = parts.get("field", [""])[-1]
        if field in known:
            groups.setdefault(group, []).append(_condition(resource, field, parts))
    return [tuple(rows[:ROWS]) for rows in groups.values()][:GROUPS]


def _condition(resource: Resource, field: str, parts: dict[str, list[str]]) -> Condition:
    """A condition as it was filled in; an operator of another field, and values of another kind, are left behind."""
    operators = conditions.operators_of(resource, field)
    operator = parts.get("operator", [""])[-1]
    operator = operator if operator in operators else next(iter(operators))
    values = [value for value in parts.get("value", []) if "\x00" not in value]
    kind = conditions.kind_of_field(resource, field)
    if operator == "..":
        values = [*values, "", ""][:2]
    elif kind == "choice":
        values = [value for value in values if value in choices_of(resource.model, field)]
    elif kind == "switch":
        values = [value for value in values if value in {"yes", "no"}]
    elif kind in {"record", "records"} or (kind == "text" and field != TEXT):
        values = [
            str(word)
            for word in words_of([value.replace('"', "") if value.count('"') % 2 else value for value in values])
        ]
    return Condition(field, operator, tuple(values))


def _changed(groups: list[Group], deed: str, blank: Condition) -> list[Group]:
    """The groups after a condition or a group was added or taken away; there is always one to fill in."""
    match = DEED.fullmatch(deed)
    if deed == "group" and len(groups) < GROUPS:
        groups = [*groups, (blank,)]
    elif match and match[1] == "add" and match[3] is None:
        groups = [
            (*group, blank) if number == int(match[2]) and len(group) < ROWS else group
            for number, group in enumerate(groups, 1)
        ]
    elif match and match[1] == "remove" and match[3] is not None:
        gone = (int(match[2]), int(match[3]))
        groups = [
            tuple(row for place, row in enumerate(group, 1) if (number, place) != gone)
            for number, group in enumerate(groups, 1)
        ]
    return [group for group in groups if group] or [(blank,)]


def _leave(request: Request, resource: Resource, query: ListQuery, groups: Sequence[Group]) -> Response:
    """To the list that these conditions ask for; raises BadRequest or ValueError for what cannot be understood."""
    text = conditions.written(resource, groups)
    asked = selecting.asked(request, resource, query.pairs(q=text or None))
    return RedirectResponse(panel.with_query(path(resource.name, "list"), asked.pairs()), status_code=302)


# ---- Rows


def _row(resource: Resource, key: str, condition: Condition, named: dict[tuple[type[Any], str], str]) -> Row:
    name, model = condition.field, resource.model
    kind = conditions.kind_of_field(resource, name) if name != TEXT else "search"
    operators = list(conditions.operators_of(resource, name).items())
    if kind == "choice":
        choices = [(value, humanized(value), value in condition.values) for value in choices_of(model, name)]
        return Row(key, condition, kind, operators, choices)
    if kind in {"record", "records"}:
        relation = relation_of(model, name)
        target = relation.mapper.class_ if relation else None
        offered = [(ME, "Me", ME in condition.values)] * (target is User)
        offered += [(value, _called(target, value, named), True) for value in condition.values if value != ME]
        lookup = path(resource.name, "lookup", name, every="yes")
        return Row(key, condition, kind, operators, offered, lookup, takes(model, name))
    return Row(key, condition, kind, operators)


def _called(target: type[Any] | None, value: str, named: dict[tuple[type[Any], str], str]) -> str:
    if value == NONE:
        return "Nobody" if target is User else "None"
    known = named.get((target, value)) if target else None
    return known or (f"No. {value}" if value.isdecimal() else value.strip('"'))


async def _names(
    request: Request, session: AsyncSession, resource: Resource, groups: Iterable[Group]
) -> dict[tuple[type[Any], str], str]:
    """How the records are called that conditions name by id; one statement a model."""
    wanted: dict[type[Any], set[int]] = {}
    for condition in (condition for group in groups for condition in group):
        if (
            condition.field
            and condition.field != "overdue"
            and (relation := relation_of(resource.model, condition.field))
        ):
            ids = {
                int(value) for value in condition.values if value.isascii() and value.isdecimal() and len(value) < 19
            }
            wanted.setdefault(relation.mapper.class_, set()).update(ids)
    reader = panel.Reader(request)
    return {
        (model, str(row.id)): reader.name_of(row)
        for model, ids in wanted.items()
        if ids
        for row in await facets.records_of(session, model, ids)
    }
