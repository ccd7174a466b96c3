"""Which columns of a list can be shown, and those that somebody asks for, in their order."""

from functools import lru_cache
from typing import Any, Literal, cast

from sqlalchemy import inspect
from sqlalchemy.orm import ColumnProperty, Mapper, RelationshipProperty

Density = Literal["", "compact", "comfortable"]
DENSITIES: tuple[Density, ...] = ("comfortable", "compact")


@lru_cache(maxsize=1_000)
def choosable(model: Any, declared: tuple[str, ...], mentioned: tuple[str, ...]) -> tuple[str, ...]:
    """The attributes of a model that a list may show: what it has declared as columns, then others it mentions.

    Never a secret, and nothing that would take a query for each row or could bring any number of rows along.
    """
    always = tuple(dict.fromkeys(declared))
    names = [name for name in always if _showable(model, name, always)]
    names += [name for name in mentioned if name not in always and _showable(model, name, always)]
    return tuple(dict.fromkeys(names))


def _showable(model: type[Any], name: str, declared: tuple[str, ...]) -> bool:
    attribute = cast(Mapper[Any], inspect(model)).attrs.get(name)
    match attribute:
        case ColumnProperty():
            return not any(getattr(column, "info", {}).get("audit") == "secret" for column in attribute.columns)
        case RelationshipProperty():
            return not attribute.uselist or attribute.secondary is not None or name in declared
        case _:
            return False


def columns_from(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that `title,status` names; raises ValueError with what can be named."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"“{unknown[0][:60]}” is no column of this list. It takes some of {', '.join(known)}.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"names {twice[0]} twice.")
    if not names:
        raise ValueError(f"names no column. It takes some of {', '.join(known)}.")
    return tuple(names)


def density_from(text: str) -> Density:
    """How close the rows stand; raises ValueError."""
    for density in DENSITIES:
        if text == density:
            return density
    raise ValueError(f"takes {' or '.join(DENSITIES)}.")
