"""Conditions of a search as rows that one fills in: read from the text of a search, and written as one again.

    (status:open assignee:me) OR priority:urgent

is two groups, of which one must be true: the first with two conditions that must both be true, the second with one.
What is no condition on a field stays a text, so that every search can be shown and nothing of it is lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from admin_app.inputs import label_of
from admin_app.plugin import Resource
from admin_app.queries.filters import NONE, Filtered, Kind, Word, full_name, kind_of, optional, words_of
from admin_app.queries.search import IS, OVERDUE
from admin_app.queries.terms import All, Either, Field, Not, Term, joined, parse, parts_of

TEXT = ""
"""The field of a condition that is a text to look for."""

Operators = dict[str, str]
LISTED: Operators = {"any": "is any of", "not": "is none of"}
SWITCHED: Operators = {"any": "is"}
MEASURED: Operators = {
    "any": "is",
    "not": "is not",
    ">": "is more than",
    ">=": "is at least",
    "<": "is less than",
    "<=": "is at most",
    "..": "is between",
}
TIMED: Operators = {
    "any": "is in",
    "not": "is not in",
    ">": "is after",
    ">=": "is in or after",
    "<": "is before",
    "<=": "is in or before",
    "..": "is between",
}
WRITTEN: Operators = {"any": "has", "not": "does not have"}
EMPTY: Operators = {"empty": "is empty", "filled": "is not empty"}
BOUNDS = (">=", "<=", ">", "<")
UNFILLED = frozenset(EMPTY)
"""Operators that take no value."""


@dataclass(frozen=True)
class Condition:
    """One row: a field, what is asked of it, and the values; between two values there are two."""

    field: str = TEXT
    operator: str = "any"
    values: tuple[str, ...] = ()

    @property
    def filled(self) -> bool:
        """Whether it asks for anything."""
        return self.operator in UNFILLED or any(value.strip() for value in self.values)


Group = tuple[Condition, ...]


def fields_of(resource: Resource) -> list[tuple[str, str]]:
    """The fields that a condition can be on, with their labels."""
    named = [(name, label_of(resource.model, name)) for name in resource.filters]
    named += [(OVERDUE, "Overdue")] * hasattr(resource.model, "is_overdue")
    return [*named, (TEXT, "Text")]


def blank(resource: Resource) -> Condition:
    """A condition that asks for nothing yet."""
    name = fields_of(resource)[0][0]
    return Condition(name, next(iter(operators_of(resource, name))))


def kind_of_field(resource: Resource, name: str) -> Kind:
    """What kind of value a field has."""
    if name == OVERDUE:
        return "switch"
    return kind_of(resource.model, name) if name else "text"


def operators_of(resource: Resource, name: str) -> Operators:
    """What can be asked of a field, by the name under which a form sends it."""
    if name == TEXT:
        return WRITTEN
    kind = kind_of_field(resource, name)
    if kind == "switch":
        return SWITCHED
    empty = EMPTY if optional(resource.model, name) else {}
    return {"time": TIMED, "number": MEASURED}.get(kind, LISTED) | empty


# ---- Reading


def read(resource: Resource, text: str) -> list[Group]:
    """The groups of a search; raises ValueError for what is none."""
    tree = parse(text)
    if tree is None:
        return []
    groups = tree.terms if isinstance(tree, Either) else (tree,)
    return [tuple(_conditions(resource, group)) for group in groups]


def _conditions(resource: Resource, group: Term) -> Iterable[Condition]:
    for part in parts_of(group):
        yield _condition(resource, part.term)


def _condition(resource: Resource, term: Term) -> Condition:
    negated = isinstance(term, Not)
    leaf = term.term if isinstance(term, Not) else term
    if isinstance(leaf, Field) and (found := _of_field(resource, leaf, negated)):
        return found
    if negated and not isinstance(leaf, Field):
        return Condition(TEXT, "not", (str(leaf),))
    return Condition(TEXT, "any", (str(term),))


def _of_field(resource: Resource, leaf: Field, negated: bool) -> Condition | None:
    """A condition on a field; None where no row can say it."""
    if leaf.name == IS:
        return _of_state(resource, leaf.value, negated)
    name, value = full_name(resource.filters, leaf.name, leaf.value)
    if name == OVERDUE or (name in resource.filters and kind_of(resource.model, name) == "switch"):
        return Condition(name, "any", ({"yes": "no", "no": "yes"}[value] if negated else value,))
    if name not in resource.filters:
        return None
    if value == NONE:
        return Condition(name, "filled" if negated else "empty")
    kind = kind_of(resource.model, name)
    if kind not in {"time", "number"}:
        return Condition(name, "not" if negated else "any", tuple(map(str, words_of([value]))))
    if negated:
        return Condition(name, "not", (value,))
    if bound := next((sign for sign in BOUNDS if value.startswith(sign)), ""):
        return Condition(name, bound, (value.removeprefix(bound),))
    first, dots, last = value.partition("..")
    if not dots:
        return Condition(name, "any", (value,))
    return Condition(name, "..", (first, last))


def _of_state(resource: Resource, value: str, negated: bool) -> Condition | None:
    """`is:overdue` and its likes."""
    if value == "unassigned":
        return Condition("assignee", "filled" if negated else "empty")
    name = next((name for name in (*resource.filters, OVERDUE) if name.removeprefix("is_") == value), None)
    return Condition(name, "any", ("no" if negated else "yes",)) if name else None


def of_filter(resource: Resource, item: Filtered) -> Condition | None:
    """The condition that a parameter of the list asks for; None where no row can say it."""
    return _of_field(resource, Field(item.name, item.text), item.negated)


# ---- Writing


def written(resource: Resource, groups: Sequence[Group]) -> str:
    """The search that asks for one of these groups; empty conditions and groups are left out.

    Raises ValueError for a text that is no search.
    """
    found = [term for group in groups if (term := joined(_terms(resource, group)))]
    return " OR ".join(map(in_parentheses if len(found) > 1 else str, found))


def in_parentheses(term: Term) -> str:
    """One of several alternatives, as it is easily read."""
    return f"({term})" if isinstance(term, All | Either) else str(term)


def _terms(resource: Resource, group: Group) -> list[Term]:
    return [term for condition in group if condition.filled and (term := _term(resource, condition)) is not None]


def _term(resource: Resource, condition: Condition) -> Term | None:
    name, operator, values = condition.field, condition.operator, condition.values
    if name == TEXT:
        found = parse(" ".join(values))
        return Not(found) if found and operator == "not" else found  # type: ignore[arg-type]
    if operator in UNFILLED:
        return Not(Field(name, NONE)) if operator == "filled" else Field(name, NONE)
    kind = kind_of_field(resource, name)
    if kind in {"time", "number", "switch"}:
        text = _measured(operator, [value.strip() for value in values])
    else:
        text = ",".join(_quoted(value) for value in values if value.strip())
    return Not(Field(name, text)) if operator == "not" else Field(name, text)


def _measured(operator: str, values: Sequence[str]) -> str:
    if operator == "..":
        return f"{values[0]}..{values[1] if len(values) > 1 else ''}"
    sign = operator if operator in BOUNDS else ""
    return f"{sign}{next(filter(None, values), '')}"


def _quoted(value: str) -> str:
    """A value as it stands in a search: in quotation marks where it would end there otherwise."""
    text = value.strip()
    plain = not any(sign.isspace() or sign in '()"' for sign in text)
    return text if plain or text.startswith('"') else str(Word(text.replace('"', ""), quoted=True))
