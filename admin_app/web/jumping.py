"""Going to a day or a value of a long list: a small form, which needs no script."""

from dataclasses import dataclass

from admin_app.inputs import label_of
from admin_app.plugin import Resource
from admin_app.queries.filters import choices_of, kind_of, relation_of
from admin_app.queries.listing import BEGINNING, ListQuery

TYPES = {"time": "date", "number": "number", "text": "search"}
"""Kinds of columns that one can go to a value of, and how it is typed."""


@dataclass(frozen=True)
class Jump:
    """A field for a value of the column by which a list is sorted first, and all else of the list's address."""

    label: str
    type: str
    value: str
    choices: list[str]
    pairs: list[tuple[str, str]]


def jump_of(resource: Resource, query: ListQuery) -> Jump | None:
    """How one goes to a value of this list; None where its order has none that one could name."""
    name = query.keys[0].name
    kind = kind_of(resource.model, name)
    if relation_of(resource.model, name) or not (kind in TYPES or kind == "choice") or name.endswith("_rank"):
        return None
    value = query.position.text if query.position.side == "at" else ""
    choices = choices_of(resource.model, name) if kind == "choice" else []
    pairs = query.pairs(**BEGINNING)
    return Jump(label_of(resource.model, name), TYPES.get(kind, ""), value, choices, pairs)
