"""The log is structlog's. It is imported from here, without the library that it loads for tracebacks in colour.

That is 4 MB of every server, wherever the library is installed, and ours are lines of names and values.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

__all__ = ["structlog"]


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Have a module not found meanwhile by whoever can do without."""
    loaded: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    kept = loaded.get(name)
    loaded[name] = None
    try:
        yield
    finally:
        del loaded[name]
        if kept is not None:
            loaded[name] = kept


with _without("rich"):
    import structlog
