"""What the file of an export is to be: its format, its columns, and how these are headed and written."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from admin_app.errors import BadRequest, NotFound
from admin_app.inputs import label_of
from admin_app.plugin import Authority, Resource
from admin_app.queries.columns import columns_from
from admin_app.queries.export import Extract
from admin_app.queries.filters import Word, relation_of, yes_or_no
from admin_app.queries.listing import ListQuery, choosable_columns

MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/x-ndjson; charset=utf-8",
}
"""The formats by the end of a file's name, with their media types."""

SWITCHES = ("labels", "bom", "formulas")
OPTIONS = ("columns", *SWITCHES)
"""The parameters of an export beside those of its list."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A file's format and columns; headed by the `labels` that people read, or by names.

    CSV begins with a byte order mark, without which Excel misreads it, unless `bom` is off. A text that would be a
    formula gets a ' in front, unless `formulas` are let be.
    """

    kind: str
    columns: tuple[str, ...]
    labels: bool = False
    bom: bool = True
    formulas: bool = False

    @classmethod
    def parse(
        cls, resource: Resource, kind: str, given: Iterable[tuple[str, str]], *, bom: bool = True
    ) -> tuple[Self, list[tuple[str, str]]]:
        """The layout that the parameters of an address ask for, and those parameters that are the list's.

        Raises NotFound for a format that there is not, and BadRequest by parameter for what cannot be understood.
        """
        if kind not in MEDIA:
            raise NotFound(f"There is no export as {kind[:20]}; there are {', '.join(MEDIA)}.")
        rest, own = [], dict[str, list[str]]()
        for name, value in given:
            if name not in OPTIONS:
                rest.append((name, value))
            elif value.strip():
                own.setdefault(name, []).append(value.strip())
        problems: dict[str, str] = {}
        columns = _columns(resource, own.pop("columns", []), problems)
        switched = {"bom": bom, **_switches(own, problems)}
        if problems:
            raise BadRequest(fields=problems)
        return cls(kind=kind, columns=columns, **switched), rest

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """The layout that `stored` was made of."""
        return cls(**{**stored, "columns": tuple(stored["columns"])})

    @property
    def stored(self) -> dict[str, Any]:
        """The same as JSON."""
        return {**asdict(self), "columns": list(self.columns)}

    def headings(self, resource: Resource) -> tuple[str, ...]:
        """What stands over the columns; a label that two of them have says which is meant."""
        if not self.labels:
            return self.columns
        labels = [label_of(resource.model, name) for name in self.columns]
        often = Counter(labels)
        pairs = zip(labels, self.columns, strict=True)
        return tuple(f"{label} ({name})" if often[label] > 1 else label for label, name in pairs)

    def extract(self, resource: Resource, query: ListQuery, unnamed: frozenset[str]) -> Extract:
        """What is read for the file; records in the columns `unnamed` by id only."""
        return Extract(query, self.columns, self.headings(resource), unnamed)


def offered(resource: Resource) -> tuple[str, ...]:
    """The columns that an export may have; no secret is among them."""
    return tuple(dict.fromkeys(("id", *choosable_columns(resource))))


def usual(resource: Resource) -> tuple[str, ...]:
    """The columns that it has unless others are asked for: the list's and the record page's."""
    known = offered(resource)
    return tuple(name for name in dict.fromkeys(("id", *resource.columns, *resource.details)) if name in known)


def _columns(resource: Resource, texts: list[str], problems: dict[str, str]) -> tuple[str, ...]:
    if not texts:
        return usual(resource)
    try:
        return columns_from(",".join(texts), offered(resource))
    except ValueError as error:
        problems["columns"] = str(error)
        return ()


def _switches(own: Mapping[str, list[str]], problems: dict[str, str]) -> dict[str, bool]:
    found = {}
    for name, texts in own.items():
        try:
            if len(set(texts)) > 1:
                raise ValueError("can be given once only.")
            found[name] = yes_or_no(Word(texts[0]))
        except ValueError as error:
            problems[name] = str(error)
    return found


def unnamed(resources: Iterable[Resource], authority: Authority, resource: Resource) -> frozenset[str]:
    """The columns of related records that somebody may not see, and therefore knows by id only."""
    shown = {one.model: one for one in resources}
    relations = {name: relation for name in offered(resource) if (relation := relation_of(resource.model, name))}
    targets = {name: shown.get(relation.mapper.class_) for name, relation in relations.items()}
    return frozenset(name for name, one in targets.items() if one and not authority.may(f"{one.name}.view"))
