"""What people make of their own menus: which views they hide, and in which order they have the others."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import MenuView


async def hide(session: AsyncSession, user_id: int, view_id: int, *, hidden: bool) -> None:
    """Take a view out of somebody's menu, or bring it back to where it was."""
    await _put(session, [{"user_id": user_id, "view_id": view_id, "hidden": hidden}], "hidden")


async def order(session: AsyncSession, user_id: int, view_ids: Sequence[int]) -> None:
    """Put somebody's menu into this order; views that are shared later come last."""
    places = [
        {"user_id": user_id, "view_id": view_id, "position": position} for position, view_id in enumerate(view_ids, 1)
    ]
    await _put(session, places, "position")


async def reset(session: AsyncSession, user_id: int) -> None:
    """Let somebody's menu be what those who share views make of it."""
    await session.execute(delete(MenuView).where(MenuView.user_id == user_id))


async def _put(session: AsyncSession, rows: Sequence[Mapping[str, int]], column: str) -> None:
    new = insert(MenuView).values(rows)
    await session.execute(
        new.on_conflict_do_update(index_elements=["user_id", "view_id"], set_={column: new.excluded[column]})
    )
