"""A mistake in a plugin, said so that its author can mend it."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """A mistake in a plugin: which rule it breaks, where, what is wrong, and how to mend it."""

    id: str
    plugin: str
    origin: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.id} {self.origin} [{self.plugin}] {self.what} {self.fix}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """ " Did you mean …?" with the nearest known name; empty where none is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
