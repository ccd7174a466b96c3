"""Filters of lists: what stands in a query parameter becomes a condition, or a sentence that says what it takes.

Which filter a name has follows from the model's attribute: an enumeration, yes or no, a time, a number, a text, one
related record or many. A parameter whose name ends in `!` asks for none of its values. Nothing is ignored: whatever
cannot be understood raises BadRequest with the parameter's name.
"""

import enum
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, NamedTuple, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Enum,
    Float,
    Integer,
    Numeric,
    Text,
    bindparam,
    false,
    func,
    inspect,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapper, RelationshipProperty

from admin_app.errors import BadRequest
from admin_app.models import Instant, User
from admin_app.queries.periods import Viewer
from admin_app.queries.ranges import in_numbers, in_period

Kind = Literal["choice", "switch", "time", "number", "text", "json", "record", "records"]

NONE = "none"
"""How "nobody" or "nothing" is written."""
ME = "me"
"""How the viewer writes "I" where a person is meant."""
BIGGEST = 2**63 - 1
VALUES = 200
"""Values that one filter takes: more than anybody picks, and few enough to name each of them on the page."""
ALIASES = {"tag": "tags", "created": "created_at", "resolved": "resolved_at", "updated": "updated_at"}
"""Short names of filters; `tag` takes names only."""

Known = Mapping[tuple[type[Any], str], tuple[int, ...]]
"""The ids of the records that a name means, by model and name; a name that was looked for in vain has none."""


class Word(NamedTuple):
    """One value of a comma-separated list; one in double quotes is taken literally, commas and all."""

    text: str
    quoted: bool = False

    def __str__(self) -> str:
        return f'"{self.text}"' if self.quoted else self.text


@dataclass(frozen=True)
class Filtered:
    """A filter in force: its name and kind, the values as they are written in an address, and what they ask of a row.

    `ids` and `names` are the related records that are asked for, by id or by name. One that is `negated` asks for rows
    that have none of the values.
    """

    name: str
    kind: Kind
    words: tuple[Word, ...]
    condition: ColumnElement[bool]
    target: type[Any] | None = None
    ids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    negated: bool = False

    @property
    def parameter(self) -> str:
        """Its name in the address."""
        return f"{self.name}!" if self.negated else self.name

    @property
    def text(self) -> str:
        """What stands in the address."""
        return ",".join(str(word) for word in self.words)


TOKEN = re.compile(r'"([^"]*)"|([^,"]+)|,|(")')


def words_of(texts: Sequence[str]) -> tuple[Word, ...]:
    """The distinct values of a repeated or comma-separated parameter; raises ValueError for a quote left open."""
    found: dict[Word, None] = {}
    for text in texts:
        for quoted, plain, rest in (match.groups() for match in TOKEN.finditer(text)):
            if rest:
                raise ValueError("has a double quote without its other one.")
            if quoted is not None:
                found[Word(quoted, quoted=True)] = None
            elif plain is not None and plain.strip():
                found[Word(plain.strip())] = None
    return tuple(found)


def full_name(names: Collection[str], name: str, value: str) -> tuple[str, str]:
    """The full name of a filter among `names`, and its value: `tag=2026` is the tag of that name, not of that id."""
    full = ALIASES.get(name)
    if full is None or name in names or full not in names:
        return name, value
    if name == "tag" and '"' not in value:
        return full, ",".join(str(word if _empty(word) else Word(word.text, quoted=True)) for word in words_of([value]))
    return full, value


def relation_of(model: Any, name: str) -> RelationshipProperty[Any] | None:
    """The relationship of that name, if the name is one."""
    return _relation_of(model, name)


@cache
def _relation_of(model: Any, name: str) -> RelationshipProperty[Any] | None:
    return cast(Mapper[Any], inspect(model)).relationships.get(name)


def kind_of(model: Any, name: str) -> Kind:
    """What kind of value a model's attribute has."""
    return _kind_of(model, name)


@cache
def _kind_of(model: Any, name: str) -> Kind:
    if relation := relation_of(model, name):
        return "records" if relation.uselist else "record"
    match getattr(getattr(model, name, None), "type", None):
        case Enum():
            return "choice"
        case Boolean():
            return "switch"
        case Instant():
            return "time"
        case Integer() | Numeric() | Float():
            return "number"
        case JSON():
            return "json"
        case _:
            return "text"


def choices_of(model: type[Any], name: str) -> list[str]:
    """The values of an enumeration."""
    members = cast(type[enum.StrEnum], getattr(model, name).type.enum_class)
    return [member.value for member in members]


def optional(model: Any, name: str) -> bool:
    """Whether the attribute may be empty."""
    return _optional(model, name)


@cache
def _optional(model: Any, name: str) -> bool:
    if relation := relation_of(model, name):
        return relation.uselist or all(bool(getattr(column, "nullable", True)) for column in relation.local_columns)
    return bool(getattr(getattr(model, name).expression, "nullable", False))


def filtered(model: type[Any], name: str, texts: Sequence[str], viewer: Viewer, *, negated: bool = False) -> Filtered:
    """The filter that a parameter asks for; raises ValueError with what it takes when it cannot be understood."""
    try:
        if not (words := words_of(texts)):
            raise ValueError("holds no value.")
        if len(words) > VALUES:
            raise ValueError(f"holds {len(words):,} values; at most {VALUES} fit.")
        found = _understood(model, name, words, viewer)
    except (ValueError, OverflowError) as error:
        reason = str(error) if isinstance(error, ValueError) else "is too far away."
        raise ValueError(f"{reason} {takes(model, name)}".strip()) from error
    return replace(found, negated=True, condition=_none_of(model, found)) if negated else found


def _understood(model: type[Any], name: str, words: tuple[Word, ...], viewer: Viewer) -> Filtered:
    kind = kind_of(model, name)
    if kind not in {"choice", "text"} and any(map(_empty, words)) and not optional(model, name):
        raise ValueError(f"“{NONE}” cannot be, because every record has one.")
    match kind:
        case "record" | "records":
            return _related(model, name, kind, words, viewer)
        case "time" | "number":
            return Filtered(name, kind, words, _measured(getattr(model, name), words, viewer))
        case "switch":
            return Filtered(name, kind, words, getattr(model, name).is_(yes_or_no(_only(words))))
        case "choice" | "text":
            return Filtered(name, kind, words, _one_of(model, name, kind, words))
        case _:
            raise ValueError("is no filter.")


def _none_of(model: type[Any], found: Filtered) -> ColumnElement[bool]:
    """The opposite of a filter, which a row without a value fulfils, unless that is what it must not be."""
    relation = relation_of(model, found.name)
    if not optional(model, found.name) or any(map(_empty, found.words)) or (relation and relation.uselist):
        return not_(found.condition)
    column = _local(relation) if relation else getattr(model, found.name)
    return or_(column.is_(None), not_(found.condition))


def takes(model: type[Any], name: str) -> str:
    """What a filter takes, as a sentence for a person."""
    nothing = f", or {NONE}" if optional(model, name) else ""
    match kind_of(model, name):
        case "choice":
            return f"It takes one or more of {', '.join(choices_of(model, name))}{nothing}."
        case "switch":
            return "It takes yes or no."
        case "time":
            return (
                "It takes a day such as 2026-01-31, a period such as 2026-01-01..2026-02-01 whose end is left out, "
                "or today, yesterday, tomorrow, this-week, this-month, last-month, last-7-days, next-7-days, "
                f"each also behind >, >=, < or <={nothing}."
            )
        case "number":
            return f"It takes a number such as 5, a range such as 5..10, or a bound such as >=5{nothing}."
        case "record" if _is_person(model, name):
            named = "people also by e-mail address, or by name in double quotes"
            return f"It takes ids, {ME}{nothing}, separated by commas; {named}."
        case "record":
            return f"It takes ids{nothing}, separated by commas."
        case "records":
            return f'It takes names or ids, separated by commas{nothing}; a name in digits is written "2026".'
        case _:
            return f"It takes one or more texts, separated by commas{nothing}."


def yes_or_no(word: Word) -> bool:
    """What `yes` and `no` mean; raises ValueError for anything else."""
    if word.text not in {"yes", "no"}:
        raise ValueError(f"“{word.text[:60]}” is neither yes nor no.")
    return word.text == "yes"


def _only(words: Sequence[Word]) -> Word:
    if len(words) != 1:
        raise ValueError("takes one value.")
    return words[0]


def _empty(word: Word) -> bool:
    return word.text == NONE and not word.quoted


def among(column: Any, values: Sequence[Any], kind: Any) -> ColumnElement[bool]:
    """The condition that a column has one of many values, which travel as one parameter."""
    return cast(ColumnElement[bool], column == func.any(literal(list(values), ARRAY(kind))))


def _measured(column: Any, words: Sequence[Word], viewer: Viewer) -> ColumnElement[bool]:
    """What one time or number asks of a column."""
    if _empty(word := _only(words)):
        return cast(ColumnElement[bool], column.is_(None))
    return in_period(column, word.text, viewer) if isinstance(column.type, Instant) else in_numbers(column, word.text)


def _one_of(model: type[Any], name: str, kind: Kind, words: Sequence[Word]) -> ColumnElement[bool]:
    column = getattr(model, name)
    empty = optional(model, name) and any(_empty(word) for word in words)
    values = [word.text for word in words if not (_empty(word) and empty)]
    if kind == "choice" and (wrong := [value for value in values if value not in choices_of(model, name)]):
        raise ValueError(f"“{wrong[0][:60]}” is not known.")
    present = _chosen(column, values) if kind == "choice" else among(column, values, Text)
    return or_(present, column.is_(None)) if empty else present


def _chosen(column: Any, values: Sequence[str]) -> ColumnElement[bool]:
    """The condition that a column has one of its few values, which stand in the statement: its plan can be kept."""
    choices = [column.type.enum_class(value) for value in values]
    kept = bindparam(None, choices, column.type, expanding=True, unique=True, literal_execute=True)
    present: ColumnElement[bool] = column.in_(kept)
    return present


# ---- Related records


def _is_person(model: type[Any], name: str) -> bool:
    relation = relation_of(model, name)
    return relation is not None and relation.mapper.class_ is User


def _related(model: type[Any], name: str, kind: Kind, words: Sequence[Word], viewer: Viewer) -> Filtered:
    relation = relation_of(model, name)
    assert relation is not None  # noqa: S101  the caller has seen that it is one
    target = relation.mapper.class_
    ids, names = [], []
    for word in words:
        if not word.quoted and word.text.isascii() and word.text.isdecimal():
            ids.append(_id(word.text))
        elif word == Word(ME) and target is User:
            ids.append(viewer.user_id)
        elif not _empty(word) and _is_name(kind, target, word):
            names.append(word.text)
        elif not _empty(word):
            raise ValueError(f"“{word.text[:60]}” is not known.")
    condition = _refers(model, relation, words, ids, names)
    return Filtered(name, kind, tuple(words), condition, target, tuple(ids), tuple(names))


def _refers(
    model: type[Any],
    relation: RelationshipProperty[Any],
    words: Sequence[Word],
    ids: Sequence[int],
    names: Sequence[str],
) -> ColumnElement[bool]:
    asked = [_has(model, relation, ids, names)] if ids or names else []
    if any(map(_empty, words)):
        asked.append(_has_none(model, relation))
    return or_(false(), *asked)


def known_as(model: type[Any], item: Filtered, known: Known) -> Filtered:
    """The same filter, looking for the ids that its names have; raises BadRequest for a person who is not known."""
    if item.target is None or not item.names or (relation := relation_of(model, item.name)) is None:
        return item
    ids = [*item.ids, *_ids_of(item, known)]
    found = replace(item, condition=_refers(model, relation, item.words, ids, ()))
    return replace(found, condition=_none_of(model, found)) if item.negated else found


def _is_name(kind: Kind, target: type[Any], word: Word) -> bool:
    """Whether a value is the name of a record: of many, any; of a person, an e-mail address or what is in quotes."""
    if kind == "records":
        return bool(target.lookup)
    return target is User and (word.quoted or "@" in word.text)


def _ids_of(item: Filtered, known: Known) -> list[int]:
    """The ids that names have; raises BadRequest for a person whom nobody knows, or of whom there are several."""
    found = [(name, known.get((item.target or object, name), ())) for name in item.names]
    for name, ids in found if item.kind == "record" else ():
        if not ids:
            raise BadRequest(fields={item.parameter: f"“{name[:60]}” is nobody here."})
        if len(ids) > 1:
            several = f"“{name[:60]}” is the name of {len(ids)} people. Please write an e-mail address."
            raise BadRequest(fields={item.parameter: several})
    return [key for _, ids in found for key in ids]


def _id(text: str) -> int:
    if not 0 < len(text) <= 19 or not 0 < int(text) <= BIGGEST:
        raise ValueError(f"“{text[:30]}” is no id.")
    return int(text)


def _has(
    model: type[Any], relation: RelationshipProperty[Any], ids: Sequence[int], names: Sequence[str]
) -> ColumnElement[bool]:
    target = relation.mapper.class_
    if not relation.uselist:
        column, asked = _local(relation), []
        if ids:
            asked.append(among(column, ids, BigInteger))
        if names:
            asked.append(
                column == func.any(func.array(select(target.id).where(named(target, (), names)).scalar_subquery()))
            )
        return or_(false(), *asked)
    if relation.secondary is not None and relation.secondary_synchronize_pairs and not names:
        (own, mine), (_, other) = relation.synchronize_pairs[0], relation.secondary_synchronize_pairs[0]
        between = select(literal(1)).select_from(relation.secondary).where(mine == own, among(other, ids, BigInteger))
        return between.correlate(model).exists()
    return cast(ColumnElement[bool], getattr(model, relation.key).any(named(target, ids, names)))


def named(target: type[Any], ids: Sequence[int], names: Sequence[str]) -> ColumnElement[bool]:
    """The condition that a record has one of these ids, or one of these names in any case."""
    conditions = [among(target.id, ids, BigInteger)] if ids or not names else []
    if names:
        lowered = select(func.lower(func.unnest(literal(list(names), ARRAY(Text)))))
        conditions += [func.lower(getattr(target, column)).in_(lowered) for column in target.lookup]
    return or_(*conditions)


def _has_none(model: type[Any], relation: RelationshipProperty[Any]) -> ColumnElement[bool]:
    if relation.uselist:
        return ~cast(ColumnElement[bool], getattr(model, relation.key).any())
    return cast(ColumnElement[bool], _local(relation).is_(None))


def _local(relation: RelationshipProperty[Any]) -> Any:
    return relation.local_remote_pairs[0][0] if relation.local_remote_pairs else None
