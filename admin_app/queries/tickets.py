"""Tickets: finding them, reading one with all it needs, and changing many in one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, and_, case, func, insert, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from admin_app.errors import BadInput, IllegalTransition
from admin_app.models import (
    ACTIVE,
    DONE,
    TRANSITIONS,
    Tag,
    Ticket,
    TicketPriority,
    TicketSource,
    TicketStatus,
    User,
    storable,
)
from admin_app.models.ticket import REOPEN_DAYS
from admin_app.queries.changes import Chosen, Outcome, apply
from admin_app.queries.search import matching_words

IN_TRASH = "in the trash"
CLOSED = "closed"
PAGE_LIMIT = 500
"""Rows that one page of results may hold at most."""


async def assign(
    session: AsyncSession, chosen: Chosen[Ticket], agent: User | None, *, start_work: bool = False
) -> Outcome:
    """Give every chosen ticket to one agent, or to nobody; closed tickets and those in the trash stay as they are.

    With `start_work` those that are open are then in progress. Raises BadInput when the agent is inactive or no member
    of staff.
    """
    if agent is not None:
        check_agent("agent", agent)
    return await apply(
        session,
        chosen,
        set={Ticket.assignee_id: agent.id if agent else None, **(started() if start_work else {})},
        skip={IN_TRASH: Ticket.deleted_at.is_not(None), CLOSED: Ticket.status == TicketStatus.CLOSED},
    )


def check_agent(field: str, person: User) -> None:
    """Raise BadInput for somebody to whom no ticket can be given."""
    if not (person.is_active and person.is_staff):
        raise BadInput(fields={field: f"{person.full_name} is not an active member of staff."})


def started() -> dict[Any, Any]:
    """Work on a ticket begins: it is in progress if it was open, and stays as it is in any other status."""
    working = literal(TicketStatus.IN_PROGRESS, Ticket.status.type)
    return {Ticket.status: case((Ticket.status == TicketStatus.OPEN, working), else_=Ticket.status)}


async def set_status(
    session: AsyncSession, chosen: Chosen[Ticket], status: TicketStatus, by: int | None, *, may_reopen: bool = False
) -> Outcome:
    """Bring every chosen ticket to a status, along the transition table, with all that belongs to it.

    Entering resolved or closed sets the times and the resolver; leaving them clears them and counts a reopening.
    Skipped are tickets in the trash, those whose status does not lead there, open ones without an assignee that
    would be resolved, and closed ones unless `may_reopen` and closed at most 30 days ago. `by` is the acting user's id.
    """
    allowed_from = [known for known, following in TRANSITIONS.items() if status in following] + [status]
    skip: dict[str, ColumnElement[bool]] = {IN_TRASH: Ticket.deleted_at.is_not(None)}
    if status is TicketStatus.OPEN:
        skip |= _closed_for_good(may_reopen)
    skip[f"cannot become {status.value.replace('_', ' ')}"] = Ticket.status.not_in(allowed_from)
    if status is TicketStatus.RESOLVED:
        skip["without an assignee"] = and_(Ticket.status == TicketStatus.OPEN, Ticket.assignee_id.is_(None))
    return await apply(session, chosen, set={Ticket.status: status}, also=_side_effects(status, by), skip=skip)


async def reopen(session: AsyncSession, chosen: Chosen[Ticket], by: int | None, *, may_reopen: bool) -> Outcome:
    """Open every chosen ticket that is resolved or closed again; those that are open stay `unchanged`.

    Skipped are tickets in the trash, those that are being worked on or wait for the customer, and closed ones unless
    `may_reopen` and closed at most 30 days ago. `by` is the acting user's id.
    """
    skip = {
        IN_TRASH: Ticket.deleted_at.is_not(None),
        **_closed_for_good(may_reopen),
        "neither resolved nor closed": Ticket.status.in_((TicketStatus.IN_PROGRESS, TicketStatus.WAITING_ON_CUSTOMER)),
    }
    effects = _side_effects(TicketStatus.OPEN, by)
    return await apply(session, chosen, set={Ticket.status: TicketStatus.OPEN}, also=effects, skip=skip)


def _closed_for_good(may_reopen: bool) -> dict[str, ColumnElement[bool]]:
    """Why a closed ticket stays closed."""
    too_old = Ticket.closed_at < func.now() - func.make_interval(0, 0, 0, REOPEN_DAYS)
    skip = {f"closed more than {REOPEN_DAYS} days ago": too_old}
    return skip if may_reopen else {**skip, CLOSED: Ticket.status == TicketStatus.CLOSED}


async def set_priority(session: AsyncSession, chosen: Chosen[Ticket], priority: TicketPriority) -> Outcome:
    """Give every chosen ticket a priority; closed tickets and those in the trash stay as they are."""
    skip = {IN_TRASH: Ticket.deleted_at.is_not(None), CLOSED: Ticket.status == TicketStatus.CLOSED}
    return await apply(session, chosen, set={Ticket.priority: priority}, skip=skip)


def _side_effects(status: TicketStatus, by: int | None) -> dict[Any, Any]:
    """What a status brings with it (domain rules of the status machine).

    The time is that of the row's turn, not of the transaction's begin: by then somebody else may have changed the row.
    """
    now = func.greatest(func.clock_timestamp(), Ticket.created_at)
    if status in DONE:
        effects: dict[Any, Any] = {
            Ticket.resolved_at: func.coalesce(Ticket.resolved_at, now),
            Ticket.first_resolved_at: func.coalesce(Ticket.first_resolved_at, now),
            Ticket.resolved_by_id: func.coalesce(Ticket.resolved_by_id, by),
        }
        if status is TicketStatus.CLOSED:
            effects[Ticket.closed_at] = now
        return effects
    was_done = Ticket.status.in_(DONE)
    return {
        Ticket.resolved_at: None,
        Ticket.resolved_by_id: None,
        Ticket.closed_at: None,
        Ticket.reopen_count: Ticket.reopen_count + case((was_done, 1), else_=0),
        Ticket.last_reopened_at: case((was_done, now), else_=Ticket.last_reopened_at),
    }


def check_transition(present: TicketStatus, wanted: TicketStatus) -> None:
    """Raise IllegalTransition, with the statuses that may follow, when one cannot become the other."""
    if wanted != present and wanted not in TRANSITIONS[present]:
        names = ", ".join(status.value.replace("_", " ") for status in TRANSITIONS[present])
        raise IllegalTransition(f"A ticket that is {present.value.replace('_', ' ')} can become: {names}.")


@dataclass(frozen=True, kw_only=True)
class TicketFilter:
    """What to look for. None means "whatever"; `assignees` may hold None for tickets that nobody has.

    Ranges are half-open: from an instant, until before another. Tags are names in any case.
    """

    text: str | None = None
    statuses: Sequence[TicketStatus] | None = None
    priorities: Sequence[TicketPriority] | None = None
    assignees: Sequence[int | None] | None = None
    creators: Sequence[int] | None = None
    any_tags: Sequence[str] = ()
    all_tags: Sequence[str] = ()
    no_tags: Sequence[str] = ()
    created_from: datetime | None = None
    created_before: datetime | None = None
    updated_from: datetime | None = None
    updated_before: datetime | None = None
    resolved_from: datetime | None = None
    resolved_before: datetime | None = None
    overdue: bool | None = None
    trash: bool = False


@dataclass(frozen=True)
class Page:
    """Rows of one page, in order, and how many match in all."""

    rows: Sequence[Ticket]
    total: int


async def search(session: AsyncSession, wanted: TicketFilter, *, limit: int = 50, offset: int = 0) -> Page:
    """Tickets that match, newest first, with requester, assignee and tags loaded, and the exact total.

    A ticket number or external id finds its ticket whatever else its text holds. Raises BadInput for a page that is
    larger than 500 rows or starts before the first, and for a text that cannot be searched for.
    """
    if not 1 <= limit <= PAGE_LIMIT or offset < 0:
        raise BadInput(f"A page has 1 to {PAGE_LIMIT} rows and starts at 0 or later.")
    found = (
        select(Ticket)
        .where(*await conditions(session, wanted))
        .order_by(Ticket.created_at.desc(), Ticket.id.desc())
        .limit(limit)
        .offset(offset)
        .options(joinedload(Ticket.creator), joinedload(Ticket.assignee), selectinload(Ticket.tags))
    )
    return Page((await session.scalars(found)).all(), await count(session, wanted))


async def count(session: AsyncSession, wanted: TicketFilter) -> int:
    """How many tickets match."""
    matching = await conditions(session, wanted)
    return await session.scalar(select(func.count()).select_from(Ticket).where(*matching)) or 0


async def conditions(session: AsyncSession, wanted: TicketFilter) -> list[ColumnElement[bool]]:
    """The filter as conditions on `Ticket`; the trash is left out unless asked for, and then nothing else is shown."""
    found: list[ColumnElement[bool]] = [Ticket.deleted_at.is_not(None) if wanted.trash else Ticket.deleted_at.is_(None)]
    if wanted.text and (text := wanted.text.strip()):
        found.append(await matching_words(session, text))
    if wanted.statuses is not None:
        found.append(Ticket.status.in_(wanted.statuses))
    if wanted.priorities is not None:
        found.append(Ticket.priority.in_(wanted.priorities))
    if wanted.assignees is not None:
        people = [agent for agent in wanted.assignees if agent is not None]
        nobody = Ticket.assignee_id.is_(None) if None in wanted.assignees else literal(False)
        found.append(or_(Ticket.assignee_id.in_(people), nobody))
    if wanted.creators is not None:
        found.append(Ticket.creator_id.in_(wanted.creators))
    if wanted.overdue is not None:
        overdue = cast(ColumnElement[bool], Ticket.is_overdue)
        found.append(overdue if wanted.overdue else ~overdue)
    return found + _tag_conditions(wanted) + _time_conditions(wanted)


def _tag_conditions(wanted: TicketFilter) -> list[ColumnElement[bool]]:
    def tagged(names: Sequence[str]) -> ColumnElement[bool]:
        return Ticket.tags.any(func.lower(Tag.name).in_([name.lower() for name in names]))

    found = [tagged([name]) for name in wanted.all_tags]
    if wanted.any_tags:
        found.append(tagged(wanted.any_tags))
    if wanted.no_tags:
        found.append(~tagged(wanted.no_tags))
    return found


def _time_conditions(wanted: TicketFilter) -> list[ColumnElement[bool]]:
    ranges: Mapping[Any, tuple[datetime | None, datetime | None]] = {
        Ticket.created_at: (wanted.created_from, wanted.created_before),
        Ticket.updated_at: (wanted.updated_from, wanted.updated_before),
        Ticket.resolved_at: (wanted.resolved_from, wanted.resolved_before),
    }
    found = [column >= start for column, (start, _) in ranges.items() if start]
    return found + [column < end for column, (_, end) in ranges.items() if end]


async def with_details(session: AsyncSession, ticket_id: int) -> Ticket | None:
    """One ticket with requester, author, assignee, resolver, tags and attachments; comments are read by the page."""
    found = (
        select(Ticket)
        .where(Ticket.id == ticket_id)
        .options(
            joinedload(Ticket.creator),
            joinedload(Ticket.created_by),
            joinedload(Ticket.assignee),
            joinedload(Ticket.resolved_by),
            joinedload(Ticket.deleted_by),
            selectinload(Ticket.tags),
            selectinload(Ticket.attachments),
        )
    )
    return await session.scalar(found)


async def bulk_create(session: AsyncSession, drafts: Sequence[Mapping[str, Any]], by: int | None) -> list[Ticket]:
    """Make many tickets from drafts, in their order; those that name the same fields in one statement.

    A draft has `title`, `description`, `creator_id`, and optionally `priority`, `assignee_id`, `due_at`,
    `external_id`; raises BadInput naming the position and the field of everything else.
    """
    problems = {
        f"{position}.{name}": reason for position, draft in enumerate(drafts) for name, reason in _faults(draft)
    }
    if problems:
        raise BadInput(fields=problems)
    if not drafts:
        return []
    known = DRAFT_FIELDS & {name for draft in drafts for name in draft}
    rows = [{**dict.fromkeys(known & NULLABLE), **draft, "created_by_id": by} for draft in drafts]
    made = insert(Ticket).returning(Ticket, sort_by_parameter_order=True)
    return list((await session.scalars(made, rows, execution_options={"render_nulls": True})).all())


NEEDED = frozenset({"title", "description", "creator_id"})
NULLABLE = frozenset({"assignee_id", "external_id"})
DRAFT_FIELDS = NEEDED | NULLABLE | {"priority", "due_at", "source"}


def _faults(draft: Mapping[str, Any]) -> list[tuple[str, str]]:
    faults = [(name, "cannot be given when a ticket is made.") for name in draft if name not in DRAFT_FIELDS]
    faults += [(name, "is needed.") for name in sorted(NEEDED) if not str(draft.get(name) or "").strip()]
    title, due_at = str(draft.get("title") or ""), draft.get("due_at")
    if len(title) > 500:
        faults.append(("title", f"has {len(title)} characters; at most 500 fit."))
    texts = [(name, str(draft.get(name) or "")) for name in ("title", "description", "external_id")]
    faults += [(name, "holds a character that cannot be stored.") for name, text in texts if not storable(text)]
    people = [(name, draft.get(name)) for name in ("creator_id", "assignee_id")]
    faults += [(name, "is no id.") for name, value in people if value is not None and not _is_id(value)]
    if due_at is not None and not (isinstance(due_at, datetime) and due_at.tzinfo):
        faults.append(("due_at", "is no time with a time zone."))
    for name, kind in (("priority", TicketPriority), ("source", TicketSource)):
        if name in draft and draft[name] not in set(kind):
            faults.append((name, f"is none of {', '.join(kind)}."))
    return faults


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and 0 < value < 2**63


def live() -> Select[Ticket]:
    """Tickets outside the trash."""
    return select(Ticket).where(Ticket.deleted_at.is_(None))


def active() -> ColumnElement[bool]:
    """The condition that the desk has to act on a ticket."""
    return and_(Ticket.deleted_at.is_(None), Ticket.status.in_(ACTIVE))
