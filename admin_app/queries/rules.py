"""What the desk demands of a change to one record, beyond what columns say: who may, and what follows from it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, select

from admin_app.errors import BadInput, IllegalTransition
from admin_app.models import (
    TRANSITIONS,
    Attachment,
    Base,
    Comment,
    Role,
    RolePermission,
    SoftDelete,
    Tag,
    Ticket,
    TicketStatus,
    User,
    UserRole,
)
from admin_app.models.comment import EDIT_MINUTES
from admin_app.queries import comments, tickets, users
from admin_app.queries.attachments import cleaned
from admin_app.queries.changes import Chosen, Outcome
from admin_app.queries.records import Draft, write
from admin_app.queries.users import Actor, allows
from admin_app.settings import time_zone

COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

Problems = dict[str, str]


async def problems(draft: Draft) -> Problems:
    """By field, what the desk has against a draft; empty when it may be written."""
    if draft.record is not None and (why := closed(draft.actor, draft.record)):
        return {"": why}
    check = CHECKS.get(draft.model)
    return await check(draft) if check else {}


def closed(actor: Actor, record: Any) -> str | None:
    """Why this person cannot edit a record at all, whatever they would enter; None where they can."""
    if isinstance(record, SoftDelete) and record.deleted_at is not None:
        return "This is in the trash. Restore it first."
    if isinstance(record, Comment) and not record.is_internal:
        if record.author_id != actor.user_id:
            return "Only its author may change an answer that the customer reads."
        if datetime.now(UTC) - record.created_at > timedelta(minutes=EDIT_MINUTES):
            return f"The customer has read this: an answer can be changed for {EDIT_MINUTES} minutes. Write another."
    return None


async def save(draft: Draft) -> Any:
    """Write a draft with all that follows from it, and give back the record; raises BadInput by field."""
    return await WRITERS.get(draft.model, write)(draft)


def withheld(actor: Actor, model: type[Base]) -> frozenset[str]:
    """Fields of a model that this person's forms do not have."""
    if model is User and not actor.may("user.roles"):
        return frozenset({"roles"})
    if model in {Comment, Attachment} and not actor.may("comment.public"):
        return frozenset({"is_internal"})
    return frozenset()


def visible(actor: Actor, model: type[Base]) -> tuple[ColumnElement[bool], ...]:
    """What a row must fulfil beyond the permission to see its model: internal files are for those who read notes."""
    if model is Attachment and not actor.may("comment.view"):
        return (Attachment.is_internal.is_(False),)
    return ()


def following(actor: Actor, ticket: Ticket) -> tuple[TicketStatus, ...]:
    """The present status of a ticket and those that this person may bring it to, in their usual order."""
    possible = {ticket.status, *TRANSITIONS[ticket.status]}
    if not actor.may("ticket.close"):
        possible -= {TicketStatus.CLOSED} - {ticket.status}
    if ticket.status is TicketStatus.CLOSED and not actor.may("ticket.reopen_closed"):
        possible = {ticket.status}
    return tuple(status for status in TicketStatus if status in possible)


# Tickets


async def _check_ticket(draft: Draft) -> Problems:
    present = draft.record.status if draft.record else TicketStatus.OPEN
    wanted = draft.becomes("status") or present
    found: Problems = {}
    try:
        tickets.check_transition(present, wanted)
    except IllegalTransition as error:
        return {"status": error.message}
    if wanted is not present:
        found |= _check_status(draft, present, wanted)
    if "assignee" in draft.values and present is wanted is TicketStatus.CLOSED:
        found["assignee"] = "A closed ticket keeps its assignee. Reopen it first."
    return found


def _check_status(draft: Draft, present: TicketStatus, wanted: TicketStatus) -> Problems:
    if wanted is TicketStatus.CLOSED and not draft.actor.may("ticket.close"):
        return {"status": "You may not close tickets. It needs the permission ticket.close."}
    if present is TicketStatus.CLOSED and not draft.actor.may("ticket.reopen_closed"):
        return {"status": "You may not reopen closed tickets. It needs the permission ticket.reopen_closed."}
    if present is TicketStatus.CLOSED and not draft.reason:
        return {"reason": "Please say why the ticket is reopened; it is kept in the audit log."}
    return {}


async def _write_ticket(draft: Draft) -> Ticket:
    """Plain columns first; status and assignee by the same statements that bulk changes use."""
    if draft.record is None:
        made: Ticket = await write(draft)
        return made
    values = dict(draft.values)
    status, given = values.pop("status", None), "assignee" in values
    agent = values.pop("assignee", None)
    ticket: Ticket = await write(replace(draft, values=values))
    chosen = Chosen.of(Ticket, [ticket.id])
    # a ticket that is being reopened takes its assignee only once it is open; any other should have one before
    for step in ("status", "assignee") if ticket.status is TicketStatus.CLOSED else ("assignee", "status"):
        if step == "status" and status is not None:
            may_reopen = draft.actor.may("ticket.reopen_closed")
            outcome = await tickets.set_status(
                draft.session, chosen, status, draft.actor.user_id, may_reopen=may_reopen
            )
            _insist("status", outcome)
        elif step == "assignee" and given:
            _insist("assignee", await tickets.assign(draft.session, chosen, agent))
    return ticket


def _insist(field: str, outcome: Outcome) -> None:
    """Raise what a bulk change would have skipped."""
    for reason in outcome.skipped:
        raise BadInput(fields={field: f"This ticket is {reason}, so this cannot be done."})


# Comments and attachments


async def _check_comment(draft: Draft) -> Problems:
    """What becomes public does so by somebody who may answer customers, and in their own name."""
    if draft.values.get("is_internal") is not False:
        return {}
    if draft.record is not None and draft.record.author_id != draft.actor.user_id:
        return {"is_internal": "Only its author may make a note public."}
    return {} if draft.actor.may("comment.public") else {"is_internal": NO_ANSWERS}


NO_ANSWERS = "You may not answer customers. It needs the permission comment.public."


async def _write_comment(draft: Draft) -> Comment:
    if draft.record is not None:
        changed: Comment = await write(draft)
        return changed
    given = draft.values
    hidden = given.get("is_internal") is not False
    return await comments.add(
        draft.session, given["ticket"].id, draft.actor.user_id, given["content"], is_internal=hidden
    )


async def _check_attachment(draft: Draft) -> Problems:
    if name := draft.values.get("filename"):
        draft.values["filename"] = cleaned(name)
        ending = PurePosixPath(draft.record.filename).suffix
        if PurePosixPath(draft.values["filename"]).suffix.lower() != ending.lower():
            return {"filename": f"A file keeps its ending, {ending or 'none'}: it says what the file is."}
    if draft.values.get("is_internal") is False and not draft.actor.may("comment.public"):
        return {"is_internal": NO_ANSWERS}
    return {}


async def _check_tag(draft: Draft) -> Problems:
    colour = draft.values.get("color")
    return {} if colour is None or COLOUR.fullmatch(colour) else {"color": "A colour is written like #1f6feb."}


# People


async def _check_user(draft: Draft) -> Problems:
    found: Problems = {}
    if email := draft.values.get("email"):
        draft.values["email"] = email.lower()
        if not EMAIL.fullmatch(email):
            found["email"] = "An e-mail address has an @ and no spaces."
    if zone := draft.values.get("time_zone"):
        try:
            time_zone(zone)
        except ValueError as error:
            found["time_zone"] = f"{error}."
    if draft.record is not None:
        found |= await _check_standing(draft)
    if "roles" in draft.values:
        found |= await _check_roles(draft)
    return found


async def _check_standing(draft: Draft) -> Problems:
    """Nobody locks themselves out, nor touches the sign-in of somebody who may do more than they may."""
    leaves = [name for name in ("is_active", "is_staff") if draft.values.get(name) is False]
    if leaves and draft.record.id == draft.actor.user_id:
        return {leaves[0]: "You cannot do this to yourself. Ask a colleague."}
    touched = [name for name in ("email", "is_active", "is_staff") if name in draft.values]
    if touched and draft.record.id != draft.actor.user_id:
        held = select(UserRole.role_id).where(UserRole.user_id == draft.record.id)
        if await _beyond(draft, Role.id.in_(held)):
            return {touched[0]: "This person may do more than you may. Ask somebody who may do as much."}
    return {}


async def _check_roles(draft: Draft) -> Problems:
    """A role is given or taken only by somebody who holds everything that it allows."""
    if not draft.actor.may("user.roles"):
        return {"roles": "You may not give roles. It needs the permission user.roles."}
    before = {role.id for role in draft.record.roles} if draft.record else set()
    moved = before ^ {role.id for role in draft.values["roles"]}
    if names := await _beyond(draft, Role.id.in_(moved)):
        return {"roles": f"You may give and take only roles that allow no more than you may; not {', '.join(names)}."}
    return {}


async def _beyond(draft: Draft, which: Any) -> list[str]:
    """The names of the roles, among some, that allow something which the acting person may not do."""
    granted = select(Role.name, RolePermission.permission).join(RolePermission).where(which)
    rows = (await draft.session.execute(granted)).all()
    return sorted({row.name for row in rows if not allows(draft.actor.permissions, row.permission)})


async def _write_user(draft: Draft) -> User:
    user: User = await write(draft)
    if draft.record is not None and False in (draft.values.get("is_active"), draft.values.get("is_staff")):
        await users.end_access(draft.session, user.id)
    return user


CHECKS: dict[type[Base], Callable[[Draft], Awaitable[Problems]]] = {
    Ticket: _check_ticket,
    Comment: _check_comment,
    Attachment: _check_attachment,
    Tag: _check_tag,
    User: _check_user,
}
WRITERS: dict[type[Base], Callable[[Draft], Awaitable[Any]]] = {
    Ticket: _write_ticket,
    Comment: _write_comment,
    User: _write_user,
}
