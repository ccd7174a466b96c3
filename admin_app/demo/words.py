"""The words of the made-up desk, read from `texts/`: what people ask and answer, by topic, and how they are called."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

TEXTS = files(__package__) / "texts"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that goes wrong, told from the question to the answer; whatever is picked of it fits together.

    `solves[n]` for n in `direct` can be said without asking first. `kinds` are the kinds of shop it happens to; all
    where there are none.
    """

    titles: tuple[str, ...]
    opens: tuple[str, ...]
    details: tuple[str, ...]
    ask: str
    reply: str
    note: str
    solves: tuple[str, ...]
    again: str
    direct: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A subject of the desk: how often it comes up, how urgent it is, and the working hours that a solution takes.

    `context` names phrases that fit its descriptions, or none; with `further` staff may ask a second time.
    """

    name: str
    tags: tuple[str, ...]
    weight: float
    hours: float
    software: bool
    context: str
    further: bool
    products: tuple[str, ...]
    priorities: Mapping[str, float]
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Words:
    """All there is to say: topics by name, phrases that fit any topic, and the facts about people and shops."""

    topics: Mapping[str, Topic]
    phrases: Mapping[str, tuple[str, ...]]
    people: Mapping[str, Any]


@cache
def words() -> Words:
    """Read the texts, once."""
    folder = sorted((TEXTS / "topics").iterdir(), key=lambda file: file.name)
    topics = [_topic(file) for file in folder if file.name.endswith(".toml")]
    phrases = {name: tuple(texts) for name, texts in _read(TEXTS / "common.toml").items()}
    return Words({topic.name: topic for topic in topics}, phrases, _read(TEXTS / "people.toml"))


def _read(file: Traversable) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _topic(file: Traversable) -> Topic:
    facts = _read(file)
    cases = tuple(Case(**_frozen(case)) for case in facts.pop("cases"))
    return Topic(name=file.name.removesuffix(".toml"), cases=cases, **_frozen(facts))


def _frozen(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
