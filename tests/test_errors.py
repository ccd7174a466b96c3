"""The errors: each has a status and a sentence, and stands where the drawing in its module says."""

import inspect
import re

import pytest

from admin_app import errors
from admin_app.errors import BackdeskError, BadInput

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BackdeskError)]


def drawn() -> dict[str, tuple[int, str | None]]:
    """Name, status and parent of every error in the drawing at the head of the module."""
    found: dict[str, tuple[int, str | None]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^ {4}([│├└─ ]*)(\w+) (\d{3})\b", line):
            depth = len(match[1]) // 4
            above = [*above[:depth], match[2]]
            found[match[2]] = (int(match[3]), above[depth - 1] if depth else None)
    return found


def test_the_drawing_is_the_tree() -> None:
    tree = {
        kind.__name__: (kind.status, kind.__bases__[0].__name__ if kind is not BackdeskError else None)
        for kind in KINDS
    }
    assert tree == drawn()


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_without_a_message_says_what_its_class_says(kind: type[BackdeskError]) -> None:
    assert kind().message == str(kind()) == (kind.__doc__ or "").strip()
    assert kind().message.endswith(".")
    assert kind("Another sentence.").message == "Another sentence."


def test_bad_input_names_its_fields() -> None:
    error = BadInput(fields={"title": "is needed.", "due": "is past."})
    assert error.message == "title: is needed. due: is past."
    assert BadInput("All wrong.", fields={"title": "is needed."}).message == "All wrong."
    assert BadInput().fields == {}
