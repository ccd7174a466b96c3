"""How templates are read: without the room that only their authors need, and with the icons that they name in place."""

import re
from collections.abc import Callable

from jinja2.ext import Extension

from admin_app.web.markup import icon, static

INDENTED = re.compile(r"\n[ \t]+")
NAMED = re.compile(r"""\{\{ (icon|static)\((["'])([\w/.-]+)\2\) \}\}""")
"""An icon or a file that is the same whenever a template is used."""


class Dense(Extension):
    """Leaves out the indentation of templates, which is a fifth of a page; what they show keeps its own.

    What a template names outright is looked up when it is read, and not each of the fifty times that a page shows it.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The source of a template without the room at the beginning of its lines, with icons and addresses in it."""
        return NAMED.sub(lambda found: KNOWN[found[1]](found[3]), INDENTED.sub("\n", source))


KNOWN: dict[str, Callable[[str], str]] = {"icon": icon, "static": static}
