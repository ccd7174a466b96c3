"""Mapping files: which part of a source feeds which field, in TOML; every mistake is found before a row is read."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path as File
from typing import Any, get_args

from admin_app.errors import BadInput
from admin_app.importing.fields import FIELDS, Field, Kind, Unusable
from admin_app.importing.sources import Path, Source, Template
from admin_app.importing.values import Customs, value
from admin_app.queries.imports import TARGETS, Duplicates, Nobody
from admin_app.settings import zone_names

SECTIONS = ("into", "duplicates", "nothing", "delimiter", "time", "words", "each", "nobody", "fields")
OPTIONS = ("path", "value", "template", "map", "default", "otherwise", "lower", "split", "format", "zone")
ONLY_FOR = {"split": Kind.TAGS, "format": Kind.INSTANT, "zone": Kind.INSTANT}


@dataclass(frozen=True, kw_only=True)
class MappingFile:
    """A mapping file without mistakes.

    `each_column` names columns of which every one that has a value makes a record; `each_list` leads to a list of
    which every entry makes one. Inside such a record the path `each` leads to the value or entry.
    """

    name: str
    into: str
    sources: Mapping[str, Source]
    duplicates: Duplicates = "reject"
    customs: Customs
    delimiter: str = ","
    each_column: tuple[str, ...] = ()
    each_list: Path | None = None
    nobody: Nobody | None = None

    @property
    def paths(self) -> dict[str, str]:
        """Every path that a row is read at, and for the sake of which field."""
        found = {path: name for name, source in self.sources.items() for path in source.columns()}
        found |= dict.fromkeys(self.each_column, "each") | ({self.each_list.text: "each"} if self.each_list else {})
        return {path: name for path, name in found.items() if path.split(".")[0] != "each"}


def load(file: File, into: str) -> MappingFile:
    """Read a mapping file for importing into a table; raises BadInput with every mistake and how to mend it."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"The mapping {file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The mapping {file} is not TOML: {error}.") from error
    loader = _Loader(content, into)
    mapping = loader.mapping(file.name)
    if loader.problems:
        raise BadInput("\n".join(f"{file}: {problem}" for problem in loader.problems))
    return mapping


def nearest(word: str, known: Iterable[str]) -> str:
    """ "Did you mean …?" for a word that is close to a known one, else which are known."""
    known = list(known)
    close = get_close_matches(word, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."


class _Loader:
    """Reads one mapping file's content and collects every problem."""

    def __init__(self, content: dict[str, Any], into: str) -> None:
        self.content = content
        self.into = into
        self.problems: list[str] = []
        self._known(content, SECTIONS, "")
        self.customs = self._customs()
        self.time = self._table("time", ("format", "zone"))

    def mapping(self, name: str) -> MappingFile:
        content = self.content
        if content.get("into") != self.into:
            self._say(f'`into` is {content.get("into")!r}; for this command it has to be "{self.into}".')
        duplicates = content.get("duplicates", "reject")
        if duplicates not in get_args(Duplicates):
            self._say(f"`duplicates` is {duplicates!r}; it can be {', '.join(get_args(Duplicates))}.")
        delimiter = content.get("delimiter", ",")
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            self._say("`delimiter` has to be one character.")
        each = self._table("each", ("list", "columns"))
        if len(each) > 1:
            self._say("[each] has either `list` or `columns`.")
        return MappingFile(
            name=name,
            into=self.into,
            customs=self.customs,
            sources=self._sources(),
            duplicates=duplicates,
            delimiter=delimiter,
            each_column=tuple(self._texts(each, "columns", "[each]")),
            each_list=Path(each["list"]) if isinstance(each.get("list"), str) else None,
            nobody=self._nobody(),
        )

    def _say(self, problem: str) -> None:
        self.problems.append(problem)

    def _known(self, table: dict[str, Any], known: Iterable[str], where: str) -> None:
        for key in table:
            if key not in known:
                self._say(f"{where}{key} means nothing here. {nearest(key, known)}")

    def _table(self, name: str, known: Iterable[str]) -> dict[str, Any]:
        found = self.content.get(name, {})
        if not isinstance(found, dict):
            self._say(f"`{name}` has to be a table: [{name}].")
            return {}
        self._known(found, known, f"{name}.")
        return found

    def _texts(self, table: dict[str, Any], key: str, where: str = "") -> list[str]:
        found = table.get(key, [])
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            self._say(f"{where} `{key}` has to be a list of texts.".strip())
            return []
        return found

    def _customs(self) -> Customs:
        words = self._table("words", ("true", "false"))
        given = {
            key: frozenset({key, *(text.lower() for text in self._texts(words, key, "[words]"))})
            for key in ("true", "false")
            if key in words
        }
        absent = frozenset({"", *(text.strip() for text in self._texts(self.content, "nothing"))})
        return Customs(absent=absent, **given)

    def _nobody(self) -> Nobody | None:
        found = self._table("nobody", ("email", "full_name"))
        if not found:
            return None
        email, name = found.get("email"), found.get("full_name")
        if not (isinstance(email, str) and email.strip().find("@") > 0 and isinstance(name, str) and name.strip()):
            self._say("[nobody] needs an `email` and a `full_name`.")
            return None
        if TARGETS[self.into].stand_in is None:
            self._say(f"[nobody] means nothing for {self.into}.")
        return Nobody(email.strip(), name.strip())

    def _sources(self) -> dict[str, Source]:
        known = FIELDS[self.into]
        table = self._table("fields", known)
        self._time(self.time, "time")
        for name, facts in known.items():
            if facts.required and name not in table:
                self._say(f"[fields] lacks {name}, which every import of {self.into} needs.")
        for name in ("resolved_at", "closed_at"):
            if name in table and not {"status", "created_at"} <= table.keys():
                self._say(f"[fields] has {name}, which needs status and created_at beside it.")
        return {name: self._source(name, known[name], table[name]) for name in table if name in known}

    def _source(self, name: str, facts: Field, given: Any) -> Source:
        where = f"fields.{name}"
        spec = {"path": given} if isinstance(given, str | list) else given
        if not isinstance(spec, dict):
            self._say(f'{where} has to be a path such as "summary", or a table such as {{ path = "summary" }}.')
            return Source()
        self._known(spec, OPTIONS, f"{where}.")
        if len(spec.keys() & {"path", "value", "template"}) != 1:
            self._say(f"{where} needs exactly one of path, value, template.")
        if not isinstance(spec.get("lower", False), bool):
            self._say(f"{where}.lower is either true or false.")
        for option, kind in ONLY_FOR.items():
            if option in spec and facts.kind is not kind:
                self._say(f"{where}.{option} is only for fields that hold a {kind}.")
        if facts.kind is Kind.INSTANT:
            self._time(spec, where)
            spec = {**self.time, **spec}
        source = Source(
            paths=tuple(Path(text) for text in self._one_or_more(spec, "path", where)),
            constant=self._text(spec, "value", where),
            templates=tuple(self._templates(spec, where)),
            map=self._map(spec, where),
            default=self._text(spec, "default", where),
            otherwise=self._text(spec, "otherwise", where),
            lower=spec.get("lower") is True,
            split=self._text(spec, "split", where) or None,
            format=self._text(spec, "format", where),
            zone=self._text(spec, "zone", where) or "UTC",
        )
        self._results(name, facts, source, where)
        return source

    def _results(self, name: str, facts: Field, source: Source, where: str) -> None:
        """Everything that the mapping itself says must be a value that the field can have."""
        texts = {"default": source.default, "otherwise": source.otherwise}
        texts |= {"value": source.constant} if not source.map else {}
        texts |= {f"map.{key}": text for key, text in source.map.items()}
        for option, text in texts.items():
            if text is None:
                continue
            try:
                value(name, facts, Source(constant=text, format=source.format, zone=source.zone), {}, self.customs, [])
            except Unusable as problem:
                self._say(f"{where}.{option}: {problem}.")

    def _time(self, table: dict[str, Any], where: str) -> None:
        zone, pattern = table.get("zone"), table.get("format")
        if zone is not None and zone not in zone_names():
            self._say(f"{where}.zone: {zone!r} is no time zone; use an IANA name such as Europe/Lisbon.")
        if pattern is not None and (not isinstance(pattern, str) or "%" not in pattern):
            self._say(f"{where}.format: {pattern!r} has no parts such as %d/%m/%Y %H:%M; leave it out for ISO 8601.")

    def _text(self, spec: dict[str, Any], option: str, where: str) -> str | None:
        found = spec.get(option)
        if isinstance(found, bool):
            return "true" if found else "false"
        if found is not None and not isinstance(found, str):
            self._say(f"{where}.{option} has to be a text in quotation marks.")
            return None
        return found

    def _one_or_more(self, spec: dict[str, Any], option: str, where: str) -> list[str]:
        found = spec.get(option, [])
        texts = [found] if isinstance(found, str) else found
        if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
            self._say(f"{where}.{option} has to be a text or a list of texts.")
            return []
        return texts

    def _templates(self, spec: dict[str, Any], where: str) -> Iterator[Template]:
        for text in self._one_or_more(spec, "template", where):
            try:
                yield Template.parse(text)
            except ValueError as error:
                self._say(f"{where}.template {text!r}: {error}.")

    def _map(self, spec: dict[str, Any], where: str) -> dict[str, str]:
        found = spec.get("map", {})
        if not isinstance(found, dict):
            self._say(f"{where}.map has to be a table.")
            return {}
        return {key: text for key in found if (text := self._text(found, key, f"{where}.map")) is not None}
