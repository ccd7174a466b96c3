"""Attachments of tickets: giving out their bytes, and taking in new ones."""

from pathlib import Path
from typing import Any

from sqladmin.templating import Jinja2Templates
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from admin_app.editing import key_of
from admin_app.errors import BadInput, Conflict, Forbidden, NotFound
from admin_app.files import TYPES, Files
from admin_app.logs import structlog
from admin_app.models import Attachment, ScanStatus, Ticket
from admin_app.plugin import Resource
from admin_app.queries import attachments, records
from admin_app.queries.attachments import cleaned
from admin_app.web.context import Notice, acting, actor_of, desk_of, form_of, path, redirect, request_id
from admin_app.web.records import show

FILES_AT_ONCE = 20
GUARDED = {
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-store",
}
"""Whatever a file holds, a browser saves it and runs nothing of it."""

logger = structlog.get_logger("backdesk.attachments")


def files_of(request: Request) -> Files:
    """The store of the desk's attachments."""
    settings = desk_of(request).settings
    return Files(Path(settings.data_dir) / "attachments", settings.upload_limit_mb)


async def download(request: Request, resource: Resource) -> Response:
    """The bytes of an attachment, to be saved and never shown; who fetched it is in the log.

    Internal files need the permission to see comments. Raises NotFound for what is in the trash, and Forbidden for
    what a scanner found infected.
    """
    key, actor = key_of(request.path_params["id"]), actor_of(request)
    if resource.model is not Attachment:
        raise NotFound
    _require(request, "attachment.view")
    async with desk_of(request).database.read() as session:
        attachment = await records.one(session, Attachment, key, ("ticket",))
    if attachment is None or attachment.deleted_at is not None or attachment.ticket.deleted_at is not None:
        raise NotFound
    if attachment.is_internal and not actor.may("comment.view"):
        raise NotFound
    if attachment.scan_status is ScanStatus.INFECTED:
        raise Forbidden("A virus was found in this file, so it is not given out.")
    file = await files_of(request).find(attachment.storage_key)
    logger.info("attachment downloaded", attachment=key, user=actor.user_id, request_id=request_id(request))
    known = attachment.content_type if attachment.content_type in TYPES.values() else "application/octet-stream"
    return FileResponse(file, media_type=known, filename=cleaned(attachment.filename), headers=GUARDED)


async def upload(request: Request, resource: Resource, templates: Jinja2Templates) -> Response:
    """Attach one or more files to a ticket, internal unless they are shared with the customer on purpose."""
    key = key_of(request.path_params["id"])
    if resource.model is not Ticket:
        raise NotFound
    form = await form_of(request, files=True)
    shared = form.get("shared") == "1"
    try:
        for permission in ("ticket.view", "attachment.create", *(("comment.public",) if shared else ())):
            _require(request, permission)
        sent = _sent(form)
        await _attach(request, key, sent, is_internal=not shared)
    except (BadInput, Conflict) as error:
        problems = {"upload": error.message}
        return await show(request, resource, key, templates, problems=problems, status=error.status)
    finally:
        await form.close()
    said = f"“{cleaned(sent[0].filename or '')}” is attached." if len(sent) == 1 else f"{len(sent)} files are attached."
    return redirect(request, f"{path(resource.name, 'details', key)}#files", Notice(said))


def _require(request: Request, permission: str) -> None:
    if not actor_of(request).may(permission):
        raise Forbidden(f"You may not do this. It needs the permission {permission}.")


def _sent(form: FormData) -> list[UploadFile]:
    """The files of a form; a field that was left empty sends one without a name."""
    files = [value for value in form.getlist("files") if isinstance(value, UploadFile) and value.filename]
    if not files:
        raise BadInput("Please choose a file first.")
    if len(files) > FILES_AT_ONCE:
        raise BadInput(f"{FILES_AT_ONCE} files can be attached at once; these are {len(files)}.")
    return files


async def _attach(request: Request, ticket_id: int, sent: list[UploadFile], *, is_internal: bool) -> None:
    """Store the files, then their rows in one change set; whatever fails, no file stays without its row."""
    store, actor = files_of(request), actor_of(request)
    made: list[Attachment] = []
    try:
        for file in sent:
            stored = await _stored(store, file, uploaded_by_id=actor.user_id, is_internal=is_internal)
            made.append(stored)
        async with desk_of(request).database.transaction(
            acting(request), "attachment.upload", parameters={"ticket": ticket_id, "files": len(made)}
        ) as change:
            await attachments.add(change.session, ticket_id, made)
            change.counts.changed = len(made)
    except BaseException:
        for attachment in made:
            await store.remove(attachment.storage_key)
        raise


async def _stored(store: Files, file: UploadFile, **facts: Any) -> Attachment:
    name = cleaned(file.filename or "")
    stored = await store.put(name, file.read)
    return Attachment(
        filename=name,
        content_type=stored.content_type,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        storage_key=stored.key,
        **facts,
    )
