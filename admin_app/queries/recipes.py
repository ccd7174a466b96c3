"""Recipes: an action with its inputs and the filter of a list, under a name, to be run again on what matches then."""

import difflib
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from admin_app.errors import BadInput, ChangedMeanwhile, NotFound
from admin_app.models import Recipe, storable

MOST = 200
"""Recipes that a desk may have: more than anybody finds again."""

NAME_LENGTH = 100

COUNTED = 10_000
"""Rows up to which it is counted what a recipe would match."""


async def every(session: AsyncSession) -> Sequence[Recipe]:
    """All recipes by name, with who made them."""
    found = select(Recipe).options(joinedload(Recipe.created_by)).order_by(func.lower(Recipe.name))
    return (await session.scalars(found)).all()


async def named(session: AsyncSession, name: str) -> Recipe:
    """The recipe of a name, in any case; raises NotFound with the nearest name."""
    if storable(name) and (found := await session.scalar(select(Recipe).where(_is(name)))):
        return found
    names = (await session.scalars(select(Recipe.name))).all()
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean “{nearest[0]}”?" if nearest else ""
    raise NotFound(f"There is no recipe “{name[:60]}”.{hint}")


async def one(session: AsyncSession, recipe_id: int, version: int | None = None) -> Recipe:
    """A recipe by its id; raises NotFound, or ChangedMeanwhile where it is not at this version any more."""
    if not 0 < recipe_id < 2**63 or (found := await session.get(Recipe, recipe_id)) is None:
        raise NotFound
    if version is not None and found.version != version:
        raise ChangedMeanwhile
    return found


async def add(session: AsyncSession, recipe: Recipe) -> Recipe:
    """Keep a new recipe; raises BadInput for a name that is taken, in any case, and where there are too many."""
    recipe.name = await free_name(session, recipe.name)
    if (await session.scalar(select(func.count(Recipe.id))) or 0) >= MOST:
        raise BadInput(f"There are {MOST} recipes, and that is the most there can be. Delete one that nobody uses.")
    session.add(recipe)
    await session.flush()
    return recipe


async def rename(session: AsyncSession, recipe: Recipe, name: str, reason: str | None) -> None:
    """Give a recipe another name and reason; raises BadInput for a name that is taken."""
    recipe.name = await free_name(session, name, but=recipe.id)
    recipe.reason = reason
    await session.flush()


async def free_name(session: AsyncSession, name: str, *, but: int | None = None) -> str:
    """The name as it is stored; raises BadInput where it cannot be, or where another recipe has it."""
    name = " ".join(name.split())
    if not name or not storable(name):
        raise BadInput(fields={"name": "Please give it a name, by which it is found again."})
    if len(name) > NAME_LENGTH:
        raise BadInput(fields={"name": f"has {len(name):,} characters; at most {NAME_LENGTH} fit."})
    taken = await session.scalar(select(Recipe.name).where(_is(name), Recipe.id != (but or 0)))
    if taken is not None:
        raise BadInput(fields={"name": f"“{taken}” is the name of another recipe."})
    return name


async def counts(session: AsyncSession, keys: Sequence[Select[int]]) -> list[int]:
    """How many rows each of several queries finds, counted up to one more than COUNTED; one statement."""
    if not keys:
        return []
    each = [select(func.count()).select_from(key.limit(COUNTED + 1).subquery()).scalar_subquery() for key in keys]
    return list((await session.execute(select(*each))).one())


def _is(name: str) -> ColumnElement[bool]:
    return func.lower(Recipe.name) == func.lower(" ".join(name.split()))
