"""What is shown around a record's own facts: a ticket's conversation and files, a person's tickets."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from admin_app.models import AuditLog, Ticket, User
from admin_app.queries import attachments, audit, comments, users
from admin_app.web import facts
from admin_app.web.context import actor_of, desk_of, path

THREAD = 200
"""Comments that a ticket's page shows, the newest; the list has all of them."""

USERS_TICKETS = 10
"""Tickets of each kind that a person's page shows, the newest; the list has all of them."""


async def related(request: Request, session: AsyncSession, record: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """What the page of a record shows besides its facts and the references that are `known`, as far as one may see."""
    around = AROUND.get(type(record))
    return await around(request, session, record, known) if around else {}


async def _conversation(
    request: Request, session: AsyncSession, ticket: Ticket, known: Mapping[str, Any]
) -> dict[str, Any]:
    """A ticket's comments and files. Who may not see comments sees no internal file either."""
    may = actor_of(request).may
    shown: dict[str, Any] = {
        "requester": facts.link(request, known["creator"]),
        "may_comment": may("comment.create"),
        "may_answer": may("comment.public"),
        "may_attach": may("attachment.create"),
        "upload_limit": desk_of(request).settings.upload_limit_mb,
    }
    if may("comment.view"):
        thread = await comments.thread(session, ticket.id, internal=True, limit=THREAD)
        earlier = path("comment", "list", ticket=ticket.id) if len(thread) == THREAD else None
        authors = {comment.author.id: comment.author for comment in thread}
        links = {key: facts.link(request, author) for key, author in authors.items()}
        shown["thread"] = [(comment, links[comment.author.id]) for comment in thread]
        shown["earlier"] = earlier
    if may("attachment.view"):
        files = await attachments.of_ticket(session, ticket.id, internal=may("comment.view"))
        shown["files"] = [(file, facts.size(file.size_bytes)) for file in files]
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
