"""Exports that are made in the background: who works on which, how far they are, and what can be fetched."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import NotFound
from admin_app.models import Export, ExportState

UNFINISHED = (ExportState.QUEUED, ExportState.RUNNING)


async def of_person(session: AsyncSession, user_id: int, *, limit: int = 50) -> Sequence[Export]:
    """Somebody's own exports, the newest first."""
    mine = select(Export).where(Export.user_id == user_id)
    return (await session.scalars(mine.order_by(Export.id.desc()).limit(limit))).all()


async def one(session: AsyncSession, export_id: int, user_id: int) -> Export:
    """Somebody's own export; raises NotFound for every other."""
    mine = select(Export).where(Export.id == export_id, Export.user_id == user_id)
    if (found := await session.scalar(mine)) is None:
        raise NotFound("There is no such export, or it is somebody else's.")
    return found


async def file_of(session: AsyncSession, export_id: int, user_id: int) -> Export:
    """Somebody's own export whose file can be fetched; raises NotFound for every other."""
    there = (Export.file_key.is_not(None), Export.expires_at > func.now())
    mine = select(Export).where(Export.id == export_id, Export.user_id == user_id, *there)
    if (found := await session.scalar(mine)) is None:
        raise NotFound("This file is not there any more, or it is somebody else's. Please export the list again.")
    return found


async def unfinished(session: AsyncSession) -> Sequence[int]:
    """The ids of exports that wait or are being made, in the order in which they were asked for."""
    return (await session.scalars(select(Export.id).where(Export.state.in_(UNFINISHED)).order_by(Export.id))).all()


async def begin(session: AsyncSession, export_id: int) -> Export | None:
    """Take up an export, as one more attempt, whoever had begun before; None where there is nothing left to do."""
    waiting = update(Export).where(Export.id == export_id, Export.state.in_(UNFINISHED))
    begun = waiting.values(
        state=ExportState.RUNNING, attempt=Export.attempt + 1, rows=0, size_bytes=0, progressed_at=func.now()
    )
    return await session.scalar(begun.returning(Export))


async def note(session: AsyncSession, export: Export, **facts: Any) -> bool:
    """Write down how far an attempt is, or how it ended; whether it is still the one that counts."""
    ours = (Export.id == export.id, Export.attempt == export.attempt, Export.state == ExportState.RUNNING)
    ended = {"finished_at": func.now()} if facts.get("state") in {ExportState.COMPLETED, ExportState.FAILED} else {}
    noted = update(Export).where(*ours).values(progressed_at=func.now(), **ended, **facts).returning(Export.id)
    return await session.scalar(noted) is not None


async def complete(session: AsyncSession, export: Export, key: str, rows: int, size: int, keep: timedelta) -> bool:
    """Give an export its file, to be fetched for so long; whether the attempt is still the one that counts."""
    facts = {"file_key": key, "rows": rows, "size_bytes": size, "expires_at": func.now() + keep}
    return await note(session, export, state=ExportState.COMPLETED, **facts)


async def cancel(session: AsyncSession, export_id: int, user_id: int) -> bool:
    """End somebody's own export that is not finished; whether there was one."""
    open_ = (Export.id == export_id, Export.user_id == user_id, Export.state.in_(UNFINISHED))
    ended = update(Export).where(*open_).values(state=ExportState.CANCELLED, finished_at=func.now())
    return await session.scalar(ended.returning(Export.id)) is not None


async def expire(session: AsyncSession) -> list[str]:
    """Take the files from exports that have expired; returns their keys, for the caller to remove them."""
    old = select(Export.id, Export.file_key).where(Export.file_key.is_not(None), Export.expires_at < func.now())
    found = (await session.execute(old.with_for_update())).all()
    gone = update(Export).where(Export.id.in_([row.id for row in found]))
    await session.execute(gone.values(state=ExportState.EXPIRED, file_key=None))
    return [row.file_key for row in found]


async def forget(session: AsyncSession, age: timedelta) -> None:
    """Forget exports that ended longer ago and have no file."""
    old = delete(Export).where(Export.file_key.is_(None), Export.finished_at < func.now() - age)
    await session.execute(old)


async def known_keys(session: AsyncSession) -> set[str]:
    """The keys of all files that can be fetched."""
    return set((await session.scalars(select(Export.file_key).where(Export.file_key.is_not(None)))).all())  # type: ignore[arg-type]
