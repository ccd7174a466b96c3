"""Exports in the background: asked for in one transaction, made by a worker that may be killed, fetched by who asked.

A worker that dies leaves an export that another begins again; which of two is to be believed is decided by the number
of the attempt. The file has its name only once it is whole, and the export its file only after that.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import parse_qsl

from sqlalchemy.ext.asyncio import AsyncSession

from admin_app import queue
from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError, BadRequest, Conflict, Forbidden, Unavailable
from admin_app.exports import store
from admin_app.exports.layout import Layout, unnamed
from admin_app.exports.writing import write
from admin_app.logs import structlog
from admin_app.models import Export, ExportState
from admin_app.plugin import Chosen, Resource
from admin_app.queries import export_jobs, rules, selections, touched, users
from admin_app.queries.export import Extract, unhurried
from admin_app.queries.listing import ListQuery
from admin_app.queries.periods import Viewer
from admin_app.queries.users import Actor
from admin_app.registry import Registry
from admin_app.settings import Settings, time_zone

logger = structlog.get_logger("backdesk.exports")

ATTEMPTS = 5
"""How often an export is begun before it is given up: as often as workers may die of it."""
PAUSE = 1.0
"""Seconds between two notes of how far an export is."""
REMEMBERED = timedelta(days=30)
"""How long it can be seen that there was an export."""


class Overtaken(Exception):
    """The export was cancelled, or another worker has begun it."""


class Stopped(Exception):
    """The worker is to stop; another begins the export again."""


@dataclass(frozen=True)
class Asked:
    """An export as it is asked for: of which list or selection, as what file, and about how many rows it will have."""

    resource: Resource
    layout: Layout
    filter: str
    expected: int
    zone: str
    selection_id: int | None = None


async def order(database: Database, acting: Acting, asked: Asked) -> Export:
    """Have an export made in the background, which is written into a change set of its own."""
    if acting.user_id is None:
        raise BadRequest("An export that is made in the background belongs to a person. Say who asks for it.")
    parameters = parameters_of(asked) | {"background": True}
    async with database.transaction(acting, f"{asked.resource.name}.export", parameters=parameters) as change:
        made = Export(
            user_id=acting.user_id,
            change_set_id=change.id,
            resource=asked.resource.name,
            filter=asked.filter,
            selection_id=asked.selection_id,
            layout=asked.layout.stored,
            zone=asked.zone,
            expected=asked.expected,
        )
        change.session.add(made)
        await change.session.flush()
        await queue.put(change.session, made.id, queue.EXPORT)
    return made


def parameters_of(asked: Asked) -> dict[str, object]:
    """What is kept of an export for good."""
    query = dict(parse_qsl(asked.filter, keep_blank_values=True))
    written = {"format": asked.layout.kind, "columns": list(asked.layout.columns), "formulas": asked.layout.formulas}
    selection = {"selection": asked.selection_id} if asked.selection_id else {}
    return {**written, "query": query, "rows": asked.expected, **selection}


@dataclass
class Maker:
    """Makes exports; once `stopping` is set it leaves the one at hand to another worker."""

    database: Database
    registry: Registry
    settings: Settings
    stopping: asyncio.Event

    async def make(self, export_id: int) -> None:
        """Make an export, if it is still to be made; a mistake ends it as failed.

        Raises Unavailable where it may work another time, and Stopped.
        """
        async with self.database.bookkeeping() as session:
            export = await export_jobs.begin(session, export_id)
        if export is None:
            return
        try:
            if export.attempt > ATTEMPTS:
                raise Conflict(f"It was begun {ATTEMPTS} times, and no worker lived to see its end.")
            await self._make(export)
        except Overtaken:
            logger.info("export left", export=export_id)
        except Stopped:
            await self.note(export, state=ExportState.QUEUED, attempt=export.attempt - 1)
            raise
        except Unavailable:
            await self.note(export, state=ExportState.QUEUED)
            raise
        except BackdeskError as error:
            await self.note(export, state=ExportState.FAILED, problem=error.message)
        except Exception as error:
            logger.exception("export failed", export=export_id)
            await self.note(export, state=ExportState.FAILED, problem=f"A mistake ({type(error).__name__}) ended it.")

    async def note(self, export: Export, **facts: object) -> bool:
        """Write down how far an export is; whether this attempt is still the one that counts."""
        async with self.database.bookkeeping() as session:
            return await export_jobs.note(session, export, **facts)

    async def _make(self, export: Export) -> None:
        key, files = secrets.token_hex(16), store.files_of(self.settings)
        async with self.database.read() as session, store.drafted(files, key) as draft:
            progress = _Progress(self, export, draft)
            await unhurried(session, self.settings.export_minutes)
            extract, layout = await self._extract(session, export)
            rows = await write(session, extract, layout, draft.write, progress.note)
        keep = timedelta(hours=self.settings.export_hours)
        async with self.database.bookkeeping() as session:
            ours = await export_jobs.complete(session, export, key, rows, draft.size, keep)
        if not ours:
            await files.remove(key)
            raise Overtaken

    async def _extract(self, session: AsyncSession, export: Export) -> tuple[Extract, Layout]:
        """What is to be read, by what whoever asked may see now; `today` is the day on which they asked."""
        actor = await users.actor_by_id(session, export.user_id)
        resource = self.registry.resource(export.resource)
        if actor is None or not all(actor.may(f"{resource.name}.{deed}") for deed in ("view", "export")):
            raise Forbidden("Whoever asked for this may not export these records any more.")
        viewer = Viewer(actor.user_id, time_zone(export.zone), export.created_at)
        query = await listed(session, resource, export.filter, viewer, actor, export.selection_id)
        layout = Layout.of(export.layout)
        hidden = unnamed(self.registry.resources.values(), actor, resource)
        return layout.extract(resource, query, hidden), layout


@dataclass
class _Progress:
    """Notes every now and then how far an export is, and ends it where it is not to go on."""

    maker: Maker
    export: Export
    draft: store.Draft
    noted: float = 0.0

    async def note(self, rows: int) -> None:
        if self.maker.stopping.is_set():
            raise Stopped
        if (now := time.monotonic()) - self.noted < PAUSE:
            return
        self.noted = now
        if not await self.maker.note(self.export, rows=rows, size_bytes=self.draft.size):
            raise Overtaken


async def adopt(database: Database) -> None:
    """Put exports that lost their place in the queue into it again."""
    async with database.bookkeeping() as session:
        for export_id in await export_jobs.unfinished(session):
            await queue.put(session, export_id, queue.EXPORT)


async def sweep(database: Database, settings: Settings) -> None:
    """Remove the files of exports that have expired, and what workers that died have left."""
    files = store.files_of(settings)
    async with database.bookkeeping() as session:
        gone = await export_jobs.expire(session)
        await export_jobs.forget(session, REMEMBERED)
        known = await export_jobs.known_keys(session)
    for key in gone:
        await files.remove(key)
    await store.clear(files, known)


async def listed(
    session: AsyncSession, resource: Resource, text: str, viewer: Viewer, actor: Actor, selection_id: int | None = None
) -> ListQuery:
    """What a list's query string finds for somebody; or the rows of their selection, in the order of its list."""
    kept = await selections.find(session, selection_id, actor.user_id) if selection_id else None
    asked = ListQuery.parse(resource, parse_qsl(kept.filter if kept else text, keep_blank_values=True), viewer)
    query = replace(asked, visible=rules.visible(actor, resource.model))
    if kept is not None:
        chosen = Chosen.frozen(resource.model, kept.id, kept.row_count)
        return replace(query, among=chosen.where(resource.model.id))  # type: ignore[attr-defined]
    query = await query.understood(session)
    noted = query.change_set is not None and await touched.is_noted(session, query.change_set)
    return replace(query, audited=not noted)
