"""Where the value of a field comes from: a path into the row, a constant, or a template of several paths."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

from admin_app.importing.fields import Unusable

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Path:
    """A place in a row: `summary`, or `fields.author.name`; through a list it leads to each of its entries."""

    text: str

    def find(self, row: Row) -> Any:
        """What is there, or None."""
        if self.text in row:
            return row[self.text]
        found: Any = row
        for part in self.text.split("."):
            found = _step(found, part)
        return found


def _step(found: Any, part: str) -> Any:
    if isinstance(found, dict):
        return found.get(part)
    if isinstance(found, list):
        return [entry.get(part) for entry in found if isinstance(entry, dict)]
    return None


@dataclass(frozen=True)
class Template:
    """Text with paths in braces: `{category}: {symptom}`; `{caller:slug}` and `{caller:lower}` put in another form."""

    text: str
    pieces: tuple[tuple[str, Path | None, str], ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Raises ValueError with what is wrong in the template."""
        pieces = []
        for literal, name, spec, conversion in Formatter().parse(text):
            if conversion or (spec and spec not in FORMS):
                raise ValueError(f"after a path come only {' or '.join(':' + form for form in FORMS if form)}")
            if name == "":
                raise ValueError("there is no path between { and }")
            pieces.append((literal, Path(name) if name is not None else None, spec or ""))
        return cls(text, tuple(pieces))

    def fill(self, row: Row, absent: frozenset[str]) -> str | None:
        """The text with everything put in; None when it has paths and nothing is at any of them."""
        found: list[str | None] = []
        written = []
        for literal, path, form in self.pieces:
            written.append(literal)
            if path is not None:
                value = as_text(path.find(row), absent)
                found.append(value)
                written.append(FORMS[form](value or ""))
        return None if found and not any(found) else "".join(written)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


FORMS: dict[str, Callable[[str], str]] = {"": str, "slug": _slug, "lower": str.lower}


def as_text(value: Any, absent: frozenset[str]) -> str | None:
    """A value of JSON or CSV as text, None where it says that nothing is there; raises Unusable for no single value."""
    if isinstance(value, str):
        return None if value.strip() in absent else value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return as_text(str(value), absent)
    raise Unusable(f"is {'a list' if isinstance(value, list) else 'an object'} in the source, not a text")


@dataclass(frozen=True, kw_only=True)
class Source:
    """The source of one field.

    The first of `paths` at which something is; or `constant`; or the filled ones of `templates`, a line each. Then
    `map` translates the text; what it does not know becomes `otherwise`, and what is empty becomes `default`.
    """

    paths: tuple[Path, ...] = ()
    constant: str | None = None
    templates: tuple[Template, ...] = ()
    map: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    otherwise: str | None = None
    lower: bool = False
    split: str | None = None
    format: str | None = None
    zone: str = "UTC"

    def text(self, row: Row, absent: frozenset[str]) -> str | None:
        """The text for a field of one value; raises Unusable when a map does not know it."""
        text = self._raw(row, absent)
        if text is None:
            return self.default
        if self.lower:
            text = text.lower()
        return self._translated(text)

    def texts(self, row: Row, absent: frozenset[str]) -> list[str]:
        """All texts, for a field of many values: of every path, every entry of its lists, parted at `split`."""
        values: list[Any] = [self.constant, *(template.fill(row, absent) for template in self.templates)]
        for path in self.paths:
            found = path.find(row)
            values.extend(found if isinstance(found, list) else [found])
        texts = [text for value in values if (text := as_text(value, absent)) is not None]
        if self.split:
            texts = [part for text in texts for part in text.split(self.split) if part.strip()]
        return [self._translated(text.lower() if self.lower else text) for text in texts]

    def _raw(self, row: Row, absent: frozenset[str]) -> str | None:
        if self.templates:
            lines = [line for template in self.templates if (line := template.fill(row, absent)) is not None]
            return "\n".join(lines) or None
        for path in self.paths:
            if (text := as_text(path.find(row), absent)) is not None:
                return text
        return self.constant

    def _translated(self, text: str) -> str:
        if not self.map:
            return text
        found = self.map.get(text.strip(), self.otherwise)
        if found is None:
            raise Unusable(f"{shown(text)} is not in its map")
        return found

    def columns(self) -> Iterator[str]:
        """The first steps of every path, which a row has as columns or keys."""
        for path in (*self.paths, *(piece[1] for template in self.templates for piece in template.pieces)):
            if path is not None:
                yield path.text


def shown(text: str) -> str:
    """A text in quotation marks, cut where it is long."""
    return repr(text if len(text) <= 60 else text[:57] + "…")
