"""Tags of tickets: giving and taking many of them at once, in one statement each."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Delete, Insert, Subquery, and_, func, insert, literal, select
from sqlalchemy import delete as delete_from
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.errors import BadInput
from admin_app.models import Tag, Ticket, TicketTag
from admin_app.queries.changes import Chosen, Outcome, Writes, write
from admin_app.queries.locks import hold
from admin_app.queries.tickets import IN_TRASH

MOST = 50
"""Tags that one ticket may have; more are no help to anybody who looks for it."""

TOO_MANY = f"would have more than {MOST} tags"


async def add(session: AsyncSession, chosen: Chosen[Ticket], tags: Sequence[Tag]) -> Outcome:
    """Give every chosen ticket these tags, beside those it has; one that has them all stays `unchanged`.

    Skipped are tickets in the trash, and those that would have more than 50 tags. Raises BadInput for a tag that is
    not used any more.
    """
    _check(tags)
    wanted = _ids(tags)
    full = and_(_number(TicketTag.tag_id != func.all(wanted)) + len(tags) > MOST, ~_has_all(tags))

    def given(changed: Subquery) -> Writes:
        return [_missing(changed, tags)]

    skip = {IN_TRASH: Ticket.deleted_at.is_not(None), TOO_MANY: full}
    await hold(session, chosen)
    return await write(session, chosen, unchanged=_has_all(tags), skip=skip, writes=given)


async def remove(session: AsyncSession, chosen: Chosen[Ticket], tags: Sequence[Tag]) -> Outcome:
    """Take these tags from every chosen ticket, and leave the others; one that has none of them stays `unchanged`."""
    gone = TicketTag.tag_id == func.any(_ids(tags))

    def taken(changed: Subquery) -> Writes:
        return [_taken(changed, gone)]

    skip = {IN_TRASH: Ticket.deleted_at.is_not(None)}
    await hold(session, chosen)
    return await write(session, chosen, unchanged=_number(gone) == 0, skip=skip, writes=taken)


async def replace(session: AsyncSession, chosen: Chosen[Ticket], tags: Sequence[Tag]) -> Outcome:
    """Give every chosen ticket exactly these tags: those it lacks are added, all others are taken away.

    Raises BadInput without a tag, for more than 50, and for one that is not used any more.
    """
    _check(tags)
    others = TicketTag.tag_id != func.all(_ids(tags))

    def exchanged(changed: Subquery) -> Writes:
        return [_taken(changed, others), _missing(changed, tags)]

    skip = {IN_TRASH: Ticket.deleted_at.is_not(None)}
    await hold(session, chosen)
    same = and_(_has_all(tags), _number(others) == 0)
    return await write(session, chosen, unchanged=same, skip=skip, writes=exchanged)


def _check(tags: Sequence[Tag]) -> None:
    if not tags:
        raise BadInput(fields={"tags": "Please pick at least one."})
    if len(tags) > MOST:
        raise BadInput(fields={"tags": f"has {len(tags)} choices; a ticket has at most {MOST} tags."})
    if unused := [tag.name for tag in tags if not tag.is_active]:
        raise BadInput(fields={"tags": f"{', '.join(unused)}: no longer used. Activate the tag first."})


def _ids(tags: Sequence[Tag]) -> ColumnElement[Any]:
    return literal(sorted(tag.id for tag in tags), ARRAY(BigInteger))


def _number(which: ColumnElement[bool]) -> ColumnElement[int]:
    """How many tags of a kind a ticket has."""
    return select(func.count()).where(TicketTag.ticket_id == Ticket.id, which).correlate(Ticket).scalar_subquery()


def _has_all(tags: Sequence[Tag]) -> ColumnElement[bool]:
    return _number(TicketTag.tag_id == func.any(_ids(tags))) == len(tags)


def _taken(changed: Subquery, which: ColumnElement[bool]) -> Delete:
    return delete_from(TicketTag).where(TicketTag.ticket_id.in_(select(changed.c.id)), which)


def _missing(changed: Subquery, tags: Sequence[Tag]) -> Insert:
    """Giving tickets those of the tags that they lack."""
    has = select(TicketTag.tag_id).where(TicketTag.ticket_id == changed.c.id, TicketTag.tag_id == Tag.id)
    wanted = select(changed.c.id, Tag.id).join_from(changed, Tag, Tag.id == func.any(_ids(tags)))
    lacking = wanted.where(~has.correlate(changed, Tag).exists()).order_by(changed.c.id, Tag.id)
    return insert(TicketTag).from_select(["ticket_id", "tag_id"], lacking)
