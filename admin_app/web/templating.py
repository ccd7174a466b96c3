"""How templates are read: without the room that only their authors need."""

import re

from jinja2.ext import Extension

INDENTED = re.compile(r"\n[ \t]+")


class Dense(Extension):
    """Leaves out the indentation of templates, which is a fifth of a page; what they show keeps its own."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The source of a template without the room at the beginning of its lines."""
        return INDENTED.sub("\n", source)
