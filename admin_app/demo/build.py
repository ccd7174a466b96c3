"""Writes the made-up desk into an empty database, all of it or nothing."""

from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any

from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.db import Acting, Database
from admin_app.demo import past, today
from admin_app.demo.desk import Desk, imagine
from admin_app.demo.people import Person
from admin_app.demo.rows import insert_rows, update_rows
from admin_app.demo.story import Story
from admin_app.demo.words import words
from admin_app.errors import Conflict
from admin_app.models import Comment, Role, Tag, Ticket, TicketTag, User, UserRole

REASON = "A made-up desk: whatever is older than this was invented, its history included"


async def is_empty(session: AsyncSession) -> bool:
    """Whether the desk has neither people nor tickets."""
    return not await session.scalar(select(select(User.id).exists() | select(Ticket.id).exists()))


async def build(
    database: Database, *, now: datetime | None = None, seed: int = 7, owner_url: URL | None = None
) -> None:
    """Fill an empty desk with people and the tickets of the year before `now`; the same for the same `now` and `seed`.

    The application can write tickets and comments of the past, but neither audit rows nor status events: those are
    the database's, and say when it was really done. So without `owner_url` every ticket arrives as it stands today,
    and agents then do some of today's work for the audit log to show. With `owner_url`, the owner of the tables, the
    tickets live through their year step by step, and the owner sets that history back to when it is said to have
    happened: nobody else could, and only a made-up desk may. Everything is then one transaction on a connection of
    the owner. Raises Conflict where the desk is not empty, ValueError for a `now` without a time zone.
    """
    now = now or datetime.now(UTC)
    if now.tzinfo is None:
        raise ValueError(f"{now!r} has no time zone; give an aware datetime")
    desk = imagine(now.astimezone(UTC), seed)
    if owner_url is None:
        await _fill(database, desk, seed, grown=True)
        await today.work(database, desk)
        return
    async with past.as_owner(owner_url) as connection:
        change_set_id = await _fill(Database(connection), desk, seed, grown=False)
        await past.set_back(connection, desk, change_set_id)


async def _fill(database: Database, desk: Desk, seed: int, *, grown: bool) -> int:
    """Write everything in one change set and return its id; tickets as they stand now, or as they grew."""
    parameters = {"now": desk.now, "seed": seed}
    async with database.transaction(Acting.system(reason=REASON), "demo.build", parameters=parameters) as change:
        if not await is_empty(change.session):
            raise Conflict("This desk has people or tickets already. A made-up desk can only be built in an empty one.")
        written = await _people(change.session, desk)
        written += await _tickets(change.session, desk, grown=grown)
        written += await _comments(change.session, desk)
        if not grown:
            await _grow(change.session, desk.stories)
        change.counts.changed = written
    return change.id


async def _people(session: AsyncSession, desk: Desk) -> int:
    people = desk.staff + desk.customers
    for person, person_id in zip(people, await insert_rows(session, User, [_user(one) for one in people]), strict=True):
        person.id = person_id
    role_ids = {role.name: role.id for role in await session.scalars(select(Role))}
    roles = [{"user_id": one, "role_id": role_ids[one.role]} for one in desk.staff if one.role]
    await insert_rows(session, UserRole, roles)
    return len(people) + len(roles)


def _user(person: Person) -> dict[str, Any]:
    return {
        "email": person.email,
        "full_name": person.name,
        "is_active": person.active,
        "is_staff": person.role is not None,
        "last_login": person.last_login,
        "created_at": person.created_at,
        "updated_at": person.created_at,
        "version": 1,
    }


async def _tickets(session: AsyncSession, desk: Desk, *, grown: bool) -> int:
    await _tags(session, desk)
    rows = [story.grown() if grown else story.born() for story in desk.stories]
    for story, ticket_id in zip(desk.stories, await insert_rows(session, Ticket, rows), strict=True):
        story.id = ticket_id
    tagged = [
        {"ticket_id": story.id, "tag_id": desk.tag_ids[name], "created_at": act.at, "created_by_id": act.by}
        for story in desk.stories
        for name, act in story.tags.items()
    ]
    await insert_rows(session, TicketTag, tagged)
    return len(desk.tag_ids) + len(rows) + len(tagged)


async def _tags(session: AsyncSession, desk: Desk) -> None:
    at = desk.now - timedelta(days=400)
    facts = {"created_at": at, "updated_at": at, "version": 1, "is_active": True}
    rows = [{**tag, **facts} for tag in words().people["tags"]]
    desk.tag_ids.update(zip((row["name"] for row in rows), await insert_rows(session, Tag, rows), strict=True))


async def _comments(session: AsyncSession, desk: Desk) -> int:
    said = [(story, one) for story in desk.stories for one in story.said]
    said.sort(key=lambda pair: pair[1].act.at)
    rows = [
        {
            "ticket_id": story.id,
            "author_id": one.author,
            "content": one.content,
            "is_internal": one.internal,
            "created_at": one.act.at,
            "updated_at": one.act.at,
            "version": 1,
        }
        for story, one in said
    ]
    for (_, one), comment_id in zip(said, await insert_rows(session, Comment, rows), strict=True):
        one.id = comment_id
    return len(rows)


async def _grow(session: AsyncSession, stories: list[Story]) -> None:
    """Let every ticket take its first step, then every one its second, and so on: one statement a round."""
    for steps in zip_longest(*(story.growth() for story in stories)):
        await update_rows(session, Ticket, [row for row in steps if row])
