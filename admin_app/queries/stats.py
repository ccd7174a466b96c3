"""Statistics of the desk: seven statements that count the figures which `queries.figures` defines.

Run them in a snapshot (`Database.read(snapshot=True)`), so that every number is of one instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Double,
    Row,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from admin_app.models import DONE, Comment, Ticket, TicketPriority, TicketSource, TicketStatus, TicketStatusEvent, User
from admin_app.queries.figures import (
    AGES,
    UNRESOLVED,
    AgeBand,
    Backlog,
    Day,
    LeftOut,
    Period,
    Person,
    Spread,
    TicketStatistics,
)

LIVE = Ticket.deleted_at.is_(None)


async def ticket_statistics(session: AsyncSession, period: Period, *, imports: bool = False) -> TicketStatistics:
    """Every number of the desk over a period; `imports` counts imported tickets too."""
    instants = period.instants
    by_status = await _by_status(session)
    backlog = await _backlog(session)
    created = await _created(session, instants, imports)
    moves = await _moves(session, instants, imports)
    responses = await _first_responses(session, instants, imports)
    resolutions, resolved_left_out = await _resolutions(session, instants, imports)
    return TicketStatistics(
        period=period,
        by_status=by_status,
        backlog=backlog,
        days=tuple(
            Day(day, created.by_day.get(number, 0), moves.by_day.get(number, 0))
            for number, day in enumerate(period.days, start=1)
        ),
        created=sum(created.by_day.values()),
        unanswered=created.unanswered,
        resolved=moves.resolved,
        reopened=moves.reopened,
        first_response=responses.overall,
        first_resolution=resolutions.get("first", Spread()),
        full_resolution=resolutions.get("full", Spread()),
        people=await _people(session, backlog, moves, responses),
        left_out=LeftOut(created.left_out, resolved_left_out),
    )


async def _by_status(session: AsyncSession) -> dict[TicketStatus, int]:
    counted = select(Ticket.status, func.count()).where(LIVE).group_by(Ticket.status)
    found = dict((await session.execute(counted)).all())
    return {status: found.get(status, 0) for status in TicketStatus}


BY_PRIORITY, BY_ASSIGNEE, BY_BAND, OVER_ALL = 0b011, 0b101, 0b110, 0b111
"""What PostgreSQL's `grouping()` of three columns says when rows are grouped by the first, second, third, or none."""


async def _backlog(session: AsyncSession) -> Backlog:
    days_old = func.extract("epoch", func.now() - Ticket.created_at) / 86_400
    tickets = (
        select(
            Ticket.priority,
            Ticket.assignee_id,
            func.width_bucket(cast(days_old, Double), literal(list(AGES), ARRAY(Double))).label("band"),
            Ticket.is_overdue.label("is_overdue"),
        )
        .where(LIVE, Ticket.status.in_(UNRESOLVED))
        .subquery()
        .c
    )
    keys = (tickets.priority, tickets.assignee_id, tickets.band)
    counted = select(
        *keys,
        func.grouping(*keys).label("level"),
        func.count().label("tickets"),
        func.count().filter(tickets.is_overdue).label("overdue"),
        func.now().label("at"),
    ).group_by(func.grouping_sets(*map(tuple_, keys), tuple_()))
    rows = (await session.execute(counted)).all()
    found = {tuple(row)[:4]: row.tickets for row in rows}
    whole = next(row for row in rows if row.level == OVER_ALL)
    return Backlog(
        at=whole.at,
        total=whole.tickets,
        overdue=whole.overdue,
        by_age=tuple(
            AgeBand(at_least, below, found.get((None, None, band, BY_BAND), 0))
            for band, (at_least, below) in enumerate(zip((0, *AGES), (*AGES, None), strict=True))
        ),
        by_priority={priority: found.get((priority, None, None, BY_PRIORITY), 0) for priority in TicketPriority},
        by_assignee={None: 0} | {row.assignee_id: row.tickets for row in rows if row.level == BY_ASSIGNEE},
    )


@dataclass(frozen=True)
class _Created:
    by_day: dict[int, int]
    unanswered: int
    left_out: int


async def _created(session: AsyncSession, instants: Sequence[datetime], imports: bool) -> _Created:
    counts = _counts(imports).label("counts")
    unanswered = Ticket.first_response_at.is_(None).label("unanswered")
    tickets = (
        select(_day(Ticket.created_at, instants).label("day"), counts, unanswered)
        .where(LIVE, _within(Ticket.created_at, instants))
        .subquery()
        .c
    )
    counted = select(
        tickets.day,
        func.count().filter(tickets.counts).label("created"),
        func.count().filter(tickets.counts, tickets.unanswered).label("unanswered"),
        func.count().filter(~tickets.counts).label("left_out"),
    ).group_by(tickets.day)
    rows = (await session.execute(counted)).all()
    return _Created(
        by_day={row.day: row.created for row in rows},
        unanswered=sum(row.unanswered for row in rows),
        left_out=sum(row.left_out for row in rows),
    )


@dataclass(frozen=True)
class _Moves:
    by_day: dict[int, int]
    by_actor: dict[int | None, tuple[int, int]]
    resolved: int
    reopened: int


async def _moves(session: AsyncSession, instants: Sequence[datetime], imports: bool) -> _Moves:
    """Entries into a done status, and ways out of it, by day and by who made them."""
    event, later = TicketStatusEvent, aliased(TicketStatusEvent)
    undone = select(later.id).where(
        later.ticket_id == event.ticket_id, tuple_(later.at, later.id) > tuple_(event.at, event.id), _leaves(later)
    )
    moves = (
        select(
            event.ticket_id,
            event.actor_id,
            _day(event.at, instants).label("day"),
            _enters(event).label("enters"),
            case((_enters(event), undone.exists()), else_=False).label("undone"),
        )
        .join(Ticket, Ticket.id == event.ticket_id)
        .where(LIVE, _counts(imports), _within(event.at, instants), or_(_enters(event), _leaves(event)))
        .subquery()
        .c
    )
    keys, tickets = (moves.day, moves.actor_id), func.count(moves.ticket_id.distinct())
    counted = select(
        *keys,
        func.grouping(*keys).label("level"),
        tickets.filter(moves.enters).label("resolved"),
        tickets.filter(moves.undone).label("undone"),
        tickets.filter(~moves.enters).label("reopened"),
    ).group_by(func.grouping_sets(*map(tuple_, keys), tuple_()))
    rows = (await session.execute(counted)).all()
    by_day, by_actor, over_all = ([row for row in rows if row.level == level] for level in (0b01, 0b10, 0b11))
    return _Moves(
        by_day={row.day: row.resolved for row in by_day},
        by_actor={row.actor_id: (row.resolved, row.undone) for row in by_actor if row.resolved},
        resolved=over_all[0].resolved,
        reopened=over_all[0].reopened,
    )


@dataclass(frozen=True)
class _Responses:
    overall: Spread
    by_author: dict[int | None, Spread]


async def _first_responses(session: AsyncSession, instants: Sequence[datetime], imports: bool) -> _Responses:
    """First answers given in the period, over all and by who gave them; None where that comment is gone."""
    author_id = (
        select(Comment.author_id)
        .join(User, User.id == Comment.author_id)
        .where(
            Comment.ticket_id == Ticket.id,
            Comment.created_at == Ticket.first_response_at,
            Comment.is_internal.is_(False),
            User.is_staff,
            Comment.author_id != Ticket.creator_id,
        )
        .order_by(Comment.id)
        .limit(1)
        .scalar_subquery()
    )
    answers = (
        select(_seconds(Ticket.first_response_at).label("seconds"), author_id.label("author_id"))
        .where(LIVE, _counts(imports), _within(Ticket.first_response_at, instants))
        .subquery()
        .c
    )
    counted = select(
        answers.author_id, func.grouping(answers.author_id).label("level"), *_measures(answers.seconds)
    ).group_by(func.grouping_sets(tuple_(answers.author_id), tuple_()))
    rows = (await session.execute(counted)).all()
    return _Responses(
        overall=next(_spread(row) for row in rows if row.level),
        by_author={row.author_id: _spread(row) for row in rows if not row.level},
    )


async def _resolutions(
    session: AsyncSession, instants: Sequence[datetime], imports: bool
) -> tuple[dict[str, Spread], int]:
    """First and full resolution, and how many imported tickets the latter leaves out."""
    counts = _counts(imports).label("counts")
    tickets = union_all(
        select(literal("full").label("measure"), _seconds(Ticket.resolved_at).label("seconds"), counts).where(
            LIVE, _within(Ticket.resolved_at, instants)
        ),
        select(literal("first"), _seconds(Ticket.first_resolved_at), counts).where(
            LIVE, _within(Ticket.first_resolved_at, instants)
        ),
    ).subquery()
    counted = select(tickets.c.measure, tickets.c.counts, *_measures(tickets.c.seconds)).group_by(
        tickets.c.measure, tickets.c.counts
    )
    rows = (await session.execute(counted)).all()
    left_out = sum(row.n for row in rows if row.measure == "full" and not row.counts)
    return {row.measure: _spread(row) for row in rows if row.counts}, left_out


async def _people(session: AsyncSession, backlog: Backlog, moves: _Moves, responses: _Responses) -> tuple[Person, ...]:
    """A row for everybody who has, resolved or answered something, by what they resolved; nobody comes last."""
    known = backlog.by_assignee.keys() | moves.by_actor.keys() | responses.by_author.keys()
    ids = sorted(user_id for user_id in known if user_id is not None)
    named = select(User.id, User.full_name).where(User.id == func.any(literal(ids, ARRAY(BigInteger))))
    names = dict((await session.execute(named)).all())
    people = []
    for user_id in (*ids, None):
        resolved, reopened = moves.by_actor.get(user_id, (0, 0))
        people.append(
            Person(
                user_id=user_id,
                name=names.get(user_id) if user_id else None,
                unresolved=backlog.by_assignee.get(user_id, 0),
                resolved=resolved,
                reopened=reopened,
                first_response=responses.by_author.get(user_id, Spread()),
            )
        )
    return tuple(sorted(people, key=lambda row: (row.user_id is None, -row.resolved, -row.unresolved, row.name or "")))


def _counts(imports: bool) -> ColumnElement[bool]:
    return or_(literal(imports), Ticket.source != TicketSource.IMPORT)


def _enters(event: Any) -> ColumnElement[bool]:
    return and_(event.to_status.in_(DONE), or_(event.from_status.is_(None), event.from_status.not_in(DONE)))


def _leaves(event: Any) -> ColumnElement[bool]:
    return and_(event.from_status.in_(DONE), event.to_status.not_in(DONE))


def _within(instant: InstrumentedAttribute[Any], instants: Sequence[datetime]) -> ColumnElement[bool]:
    return and_(instant >= instants[0], instant < instants[-1])


def _day(instant: InstrumentedAttribute[Any], instants: Sequence[datetime]) -> ColumnElement[int]:
    """The number of the day, from 1. Days come from Python's time zones alone, so that all pages agree on them."""
    return func.width_bucket(instant, literal(list(instants), ARRAY(DateTime(timezone=True))))


def _seconds(until: InstrumentedAttribute[Any]) -> ColumnElement[float]:
    """From a ticket's creation; a clock that went backwards counts as no time at all."""
    return func.greatest(cast(func.extract("epoch", until - Ticket.created_at), Double), 0.0)


def _measures(seconds: ColumnElement[float]) -> list[ColumnElement[Any]]:
    return [
        func.count().label("n"),
        func.percentile_cont(0.5).within_group(seconds).label("median"),
        func.percentile_cont(0.9).within_group(seconds).label("p90"),
        func.avg(seconds).label("mean"),
    ]


def _spread(row: Row[Any]) -> Spread:
    return Spread(row.n, row.median, row.p90, row.mean)
