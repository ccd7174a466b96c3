"""What is shown around a record's own facts: a ticket's conversation and files, a person's tickets."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from admin_app.models import AuditLog, Ticket, User
from admin_app.queries import attachments, audit, comments, users
from admin_app.web import conversation, facts
from admin_app.web.context import actor_of, desk_of, path

THREAD = 200
"""Comments, and files, that a ticket's page shows, the newest; the lists have all of them."""

USERS_TICKETS = 10
"""Tickets of each kind that a person's page shows, the newest; the list has all of them."""


def beside(request: Request, model: type[Any]) -> Mapping[str, ColumnElement[Any]]:
    """What is read with a record beyond its details: a ticket's comments and files, as far as one may see them.

    Who may not see comments sees no internal file either.
    """
    may, found = actor_of(request).may, {}
    if model is Ticket and may("comment.view"):
        found["comments"] = comments.newest(THREAD)
    if model is Ticket and may("attachment.view"):
        found["attachments"] = attachments.newest(THREAD, internal=may("comment.view"))
    return found


async def related(request: Request, session: AsyncSession, record: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """What the page of a record shows besides its facts, as far as one may see.

    References, and what was read `beside` it, are `known` already.
    """
    around = AROUND.get(type(record))
    return await around(request, session, record, known) if around else {}


async def _conversation(
    request: Request, session: AsyncSession, ticket: Ticket, known: Mapping[str, Any]
) -> dict[str, Any]:
    """A ticket's comments and files, and what may be added to them."""
    may = actor_of(request).may
    shown: dict[str, Any] = {
        "requester": facts.link(request, known["creator"]),
        "may_comment": may("comment.create"),
        "may_answer": may("comment.public"),
        "may_attach": may("attachment.create"),
        "upload_limit": desk_of(request).settings.upload_limit_mb,
    }
    if "comments" in known:
        said = comments.said(known["comments"])
        shown["thread"] = conversation.thread(request, said)
        shown["earlier"] = path("comment", "list", ticket=ticket.id) if len(said) == THREAD else None
    if "attachments" in known:
        shown["files"] = [(file, facts.size(file.size_bytes)) for file in attachments.files(known["attachments"])]
    return shown


async def _their_tickets(
    request: Request, session: AsyncSession, user: User, known: Mapping[str, Any]
) -> dict[str, Any]:
    """A person's newest tickets as requester and as assignee."""
    if not actor_of(request).may("ticket.view"):
        return {}
    await users.with_tickets(session, user.id, limit=USERS_TICKETS)
    kinds = (
        ("Asked by them", "creator", user.tickets_created),
        ("Assigned to them", "assignee", user.tickets_assigned),
    )
    return {
        "their_tickets": [
            {"label": label, "rows": tickets, "url": path("ticket", "list", **{name: user.id})}
            for label, name, tickets in kinds
            if tickets or name == "creator" or user.is_staff
        ]
    }


async def _entry(request: Request, session: AsyncSession, row: AuditLog, known: Mapping[str, Any]) -> dict[str, Any]:
    """What an audit entry says, in words; the page is called by it."""
    said = await audit.entry(session, row.id)
    if said is None:
        return {}
    return {"entry": said, "title": f"{said.kind} {said.record} {said.verb}"}


AROUND: dict[type, Callable[[Request, AsyncSession, Any, Mapping[str, Any]], Awaitable[dict[str, Any]]]] = {
    Ticket: _conversation,
    User: _their_tickets,
    AuditLog: _entry,
}
