"""Paging: whoever reads on, or back, sees each row that stays as it is exactly once, whatever else comes and goes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer
from sqlalchemy import delete, null, select, update

from admin_app import resources
from admin_app.db import Acting, Database
from admin_app.errors import BadRequest
from admin_app.models import (
    ActorKind,
    Attachment,
    AuditLog,
    ChangeSet,
    Comment,
    Door,
    SoftDelete,
    Tag,
    Ticket,
    TicketPriority,
    TicketStatus,
    User,
)
from admin_app.plugin import Resource
from admin_app.queries import rows
from admin_app.queries.keyset import ordered
from admin_app.queries.listing import SORTS, ListQuery
from admin_app.queries.periods import Viewer
from admin_app.testing import Make

RESOURCES: dict[str, Resource] = {resource.name: resource for resource in resources.plugin.resources}
VIEWER = Viewer(1, ZoneInfo("UTC"), datetime(2026, 11, 21, tzinfo=UTC))
TIMES = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(4)]
"""So few that many rows tie."""
FRESH = count(1)
STIRS = 4
"""How often something is done by others while a list is read; who reads more slowly than that never ends."""


def chance(seed: int) -> Random:
    """Chance that can be had again."""
    return Random(seed)  # noqa: S311  nothing secret is made with it


def asked(listed: Resource, query: str, viewer: Viewer = VIEWER) -> ListQuery:
    return ListQuery.parse(listed, parse_qsl(query), viewer)


def maybe(random: Random) -> datetime | None:
    return random.choice([None, *TIMES])


def ticket(random: Random, desk: "Desk") -> Ticket:
    status = random.choice(list(TicketStatus))
    done = {TicketStatus.RESOLVED: {"resolved_at"}, TicketStatus.CLOSED: {"resolved_at", "closed_at"}}
    times = {name: TIMES[-1] + timedelta(hours=random.randrange(3)) for name in done.get(status, ())}
    return Ticket(
        title=f"Ticket {next(FRESH)}",
        description="d",
        creator_id=desk.person,
        created_at=random.choice(TIMES),
        priority=random.choice(list(TicketPriority)),
        due_at=maybe(random) or null(),
        status=status,
        **times,
    )


def comment(random: Random, desk: "Desk") -> Comment:
    return Comment(ticket_id=desk.ticket, author_id=desk.person, content="c", created_at=random.choice(TIMES))


def attachment(random: Random, desk: "Desk") -> Attachment:
    number = next(FRESH)
    return Attachment(
        ticket_id=desk.ticket,
        filename=f"{number}.txt",
        content_type="text/plain",
        size_bytes=random.randrange(3),
        sha256="0" * 64,
        storage_key=f"key {number}",
        created_at=random.choice(TIMES),
    )


def tag(random: Random, desk: "Desk") -> Tag:
    return Tag(name=f"{random.choice('aAzZ')} {next(FRESH)}", created_at=random.choice(TIMES))


def person(random: Random, desk: "Desk") -> User:
    return User(
        full_name=random.choice(["ana", "Ana", "Zoe", "émile"]),
        email=f"{random.choice('aAzZ')}{next(FRESH)}@example.com",
        created_at=random.choice(TIMES),
        last_login=maybe(random),
    )


def change_set(random: Random, desk: "Desk") -> ChangeSet:
    return ChangeSet(action="test.make", actor_kind=ActorKind.SYSTEM, door=Door.CODE, started_at=random.choice(TIMES))


MADE: dict[type[Any], Callable[[Random, "Desk"], Any]] = {
    Ticket: ticket,
    Comment: comment,
    Attachment: attachment,
    Tag: tag,
    User: person,
    ChangeSet: change_set,
    AuditLog: tag,
}
"""How a row of each list is made; of an audit entry, by something that is audited."""


@dataclass
class Desk:
    """Rows of one list in a database, of which the `moving` ones come, change and go."""

    database: Database
    resource: Resource
    random: Random
    person: int = 0
    ticket: int = 0
    moving: list[int] = field(default_factory=list)

    @property
    def model(self) -> type[Any]:
        return self.resource.model

    async def add(self, number: int) -> list[int]:
        """Make rows; their ids."""
        async with self.database.transaction(Acting.system(), "test.make") as change:
            made = [MADE[self.model](self.random, self) for _ in range(number)]
            change.session.add_all(made)
            await change.session.flush()
            return [row.id for row in made]

    async def stir(self) -> None:
        """Something that others do meanwhile: new rows, and older ones that change, go to the trash, or are gone."""
        self.moving += await self.add(self.random.randrange(3))
        if self.model is AuditLog or not self.moving:
            return
        key = self.random.choice(self.moving)
        like = MADE[self.model](self.random, self)
        names = {key.name.removesuffix("_rank") for key in asked(self.resource, "").keys} - {"id"}
        values = {name: getattr(like, name) for name in names & set(like.__dict__)}
        async with self.database.transaction(Acting.system(), "test.stir") as change:
            row = self.model.id == key
            if self.random.random() < 0.5 and self.model in {Comment, Tag}:
                await change.session.execute(delete(self.model).where(row))
            elif self.random.random() < 0.5 and issubclass(self.model, SoftDelete):
                await change.session.execute(update(self.model).where(row).values(deleted_at=TIMES[0]))
            elif values and self.model is not ChangeSet:
                await change.session.execute(update(self.model).where(row).values(**values))

    async def page(self, query: ListQuery) -> rows.Page[rows.Row]:
        async with self.database.read() as session:
            return await rows.page_of(session, query, self.resource.columns[:3])

    async def order(self, query: ListQuery) -> list[int]:
        """The ids of all rows in the order of a list, as PostgreSQL sorts them."""
        keys = ordered([key.column for key in query.keys], query.keys)
        async with self.database.read() as session:
            found = await session.scalars(select(self.model.id).where(*query.conditions()).order_by(*keys))
            return list(found)


def sorts_of(resource: Resource, random: Random) -> list[str]:
    """Every declared sort both ways, and some of several columns."""
    single = [f"{sign}{name}" for name in resource.sort for sign in ("", "-")]
    several = [
        ",".join(random.choice(["", "-"]) + name for name in random.sample(resource.sort, size))
        for size in range(2, min(SORTS, len(resource.sort)) + 1)
        for _ in range(2)
    ]
    return single + several


async def walk(desk: Desk, query: ListQuery, *, backward: bool) -> list[int]:
    """The ids that one sees who reads all pages, while others stir."""
    seen: list[int] = []
    stirred = 0
    side = "before" if backward else "after"
    place: str | None = "end" if backward else ""
    while place is not None:
        page = await desk.page(beginning(query, side, place))
        ids = [row.id for row in page.rows]
        seen = [*ids, *seen] if backward else [*seen, *ids]
        assert len(ids) <= query.size
        place = page.previous if backward else page.next
        if (stirred := stirred + 1) <= STIRS:
            await desk.stir()
    return seen


def beginning(query: ListQuery, side: str, place: str) -> ListQuery:
    """The same list from this place on."""
    again = ListQuery.parse(query.listed, [("sort", query.sort), (side, place)], VIEWER)
    return replace(query, position=again.position)


@pytest.mark.parametrize("name", RESOURCES)
@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), size=st.integers(4, 9))
async def test_each_row_that_stays_is_seen_once_in_every_order_forwards_and_backwards(
    database: Database, make: Make, name: str, seed: int, size: int
) -> None:
    desk, random = Desk(database, RESOURCES[name], chance(seed)), chance(seed)
    desk.person = (await make.customer(email=f"p{next(FRESH)}@example.com")).id
    desk.ticket = (await make.ticket(creator_id=desk.person)).id
    first = max(await desk.order(asked(desk.resource, "")), default=0)
    await desk.add(12)
    stable = [key for key in await desk.order(asked(desk.resource, "")) if key > first]
    desk.moving += await desk.add(3)
    for sort in sorts_of(desk.resource, random):
        query = replace(asked(desk.resource, f"sort={sort}"), size=size, visible=(desk.model.id > first,))
        wanted = [key for key in await desk.order(query) if key in stable]
        for backward in (False, True):
            seen = await walk(desk, query, backward=backward)
            assert [key for key in seen if key in stable] == wanted, (sort, backward)


@pytest.mark.parametrize("name", RESOURCES)
async def test_a_page_forwards_and_back_is_the_same_page(database: Database, make: Make, name: str) -> None:
    desk = Desk(database, RESOURCES[name], chance(len(name)))
    desk.person = (await make.customer()).id
    desk.ticket = (await make.ticket(creator_id=desk.person)).id
    await desk.add(20)
    for sort in sorts_of(desk.resource, desk.random):
        query = replace(asked(desk.resource, f"sort={sort}"), size=6)
        first = await desk.page(query)
        assert first.previous is None
        assert first.next is not None
        second = await desk.page(beginning(query, "after", first.next))
        assert second.previous is not None
        assert (await desk.page(beginning(query, "before", second.previous))).rows == first.rows
        last = await desk.page(beginning(query, "before", "end"))
        assert last.next is None
        assert [row.id for row in last.rows] == (await desk.order(query))[-6:]
        assert await records(desk, beginning(query, "before", "end")) == [row.id for row in last.rows]


async def records(desk: Desk, query: ListQuery) -> Sequence[int]:
    async with desk.database.read() as session:
        return [row.record.id for row in (await rows.records_of(session, query, desk.resource.columns[:3])).rows]


async def test_reading_goes_on_while_somebody_else_writes_all_the_time(
    live_database: Database, make_live: Make
) -> None:
    desk = Desk(live_database, RESOURCES["ticket"], chance(4))
    desk.person = (await make_live.customer()).id
    stable = await desk.add(60)
    reading = True

    async def write() -> int:
        times = 0
        while reading and times < 300:
            await desk.stir()
            times += 1
        return times

    writing = asyncio.create_task(write())
    still = Desk(live_database, desk.resource, chance(5))
    for sort in ("-created_at", "-due_at", "-priority_rank,due_at"):
        query = replace(asked(desk.resource, f"sort={sort}"), size=4)
        for side in ("after", "before"):
            seen: list[int] = []
            place: str | None = "end" if side == "before" else ""
            while place is not None:
                page = await still.page(beginning(query, side, place))
                seen += [row.id for row in page.rows if row.id in stable]
                place = page.previous if side == "before" else page.next
            assert sorted(seen) == sorted(stable), (sort, side)
    reading = False
    assert await writing > 0


async def test_a_page_can_begin_at_a_value(database: Database, make: Make) -> None:
    desk = Desk(database, RESOURCES["ticket"], chance(6))
    desk.person = (await make.customer()).id
    for day in (1, 2, 2, 3):
        due = datetime(2026, 1, day, 12, tzinfo=UTC)
        await make.ticket(title=f"{day}", creator_id=desk.person, created_at=due, due_at=due if day < 3 else null())

    async def titles(query: str) -> list[str]:
        return [row.values["title"] for row in (await desk.page(asked(desk.resource, query))).rows]

    assert await titles("sort=created_at&at=2026-01-02") == ["2", "2", "3"]
    assert await titles("at=2026-01-02") == ["2", "2", "1"]
    assert await titles("sort=created_at&at=2026-01-02T12:00:01") == ["3"]
    assert await titles("sort=due_at&at=2026-01-02") == ["2", "2", "3"]
    assert await titles("sort=-due_at&at=2026-01-01") == ["1", "3"]
    assert await titles("sort=id&at=999999999999") == []
    assert len(await titles("sort=priority&at=2")) == 4
    assert await titles("sort=priority&at=3") == []
    assert len(await titles("sort=status&at=in_progress")) == 4
    people = Desk(database, RESOURCES["user"], chance(7))
    await make.customer(full_name="ÀNA")
    page = await people.page(asked(people.resource, "sort=full_name&at=PERSON"))
    assert page.rows[0].values["full_name"] == "Person 1"


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_place_that_was_changed_or_is_of_another_list_or_order_is_refused(data: st.DataObject) -> None:
    query = asked(RESOURCES["ticket"], "sort=-due_at")
    place = query.cursor([TIMES[0], 7])
    assert asked(RESOURCES["ticket"], f"sort=-due_at&after={place}").position.values == (TIMES[0], 7)
    at = data.draw(st.integers(0, len(place) - 1))
    other = data.draw(st.characters(exclude_characters=[place[at], *"&=+%;#"], codec="ascii"))
    side = data.draw(st.sampled_from(["after", "before"]))
    wrong = [
        (RESOURCES["ticket"], "-due_at", place[:at] + other + place[at + 1 :]),
        (RESOURCES["ticket"], "-due_at", place[:at]),
        (RESOURCES["ticket"], "due_at", place),
        (RESOURCES["ticket"], "-due_at,id", place),
        (RESOURCES["attachment"], "-created_at", place),
        (RESOURCES["ticket"], "-due_at", URLSafeSerializer("another key").dumps([None, 7])),
        (RESOURCES["ticket"], "-due_at", data.draw(st.text(max_size=30))),
    ]
    for listed, sort, text in wrong:
        if not text.strip() or text.strip() in {place, "end"}:
            continue
        with pytest.raises(BadRequest) as refusal:
            ListQuery.parse(listed, [("sort", sort), (side, text)], VIEWER)
        assert refusal.value.fields.keys() == {side}


def test_a_place_survives_a_change_of_size_and_columns_but_of_nothing_else() -> None:
    query = asked(RESOURCES["ticket"], "status=open")
    place = query.cursor([TIMES[0], 7])
    query = asked(RESOURCES["ticket"], f"status=open&after={place}")
    assert ("after", place) in query.pairs()
    assert ("after", place) in query.pairs(size="25", columns="title")
    assert "after" not in dict(query.pairs(status=None))
    assert "after" not in dict(query.pairs(sort="id"))
