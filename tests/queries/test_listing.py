"""What a list is asked for: every kind of filter, sorting, paging, counting, and what is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import null
from sqlalchemy.orm import registry

from admin_app import resources
from admin_app.db import Acting, Database
from admin_app.errors import BadRequest
from admin_app.models import AuditLog, ChangeSet, Comment, Tag, Ticket, TicketPriority, TicketStatus, User
from admin_app.plugin import Resource
from admin_app.queries import rows
from admin_app.queries.lexicon import Entry, Lexicon
from admin_app.queries.listing import ListQuery, parameters
from admin_app.queries.periods import Viewer, period
from admin_app.queries.shortened import SHORT, SHORT_ITEM
from admin_app.testing import Make, Statements

RESOURCES: dict[type[Any], Resource] = {resource.model: resource for resource in resources.plugin.resources}
TICKET = RESOURCES[Ticket]
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
VIEWER = Viewer(1, BERLIN, NOON)
"""A Saturday noon in Berlin."""


def asked(query: str, listed: Resource = TICKET, viewer: Viewer = VIEWER) -> ListQuery:
    return ListQuery.parse(listed, parse_qsl(query, keep_blank_values=True), viewer)


def conditions(query: ListQuery) -> list[tuple[str, dict[str, Any]]]:
    """What rows must fulfil, with its values, where the full text keeps every word as it is."""
    if query.search:
        entries = {text: Entry(f"'{text}'", f"'{text}'", None) for text in query.search.words}
        query = replace(query, search=replace(query.search, lexicon=Lexicon(entries=entries)))
    compiled = [condition.compile() for condition in query.conditions()]
    return [(str(one), one.params) for one in compiled]


async def found(database: Database, query: ListQuery) -> list[Any]:
    async with database.read() as session:
        page = await rows.records_of(session, query, query.listed.columns)
        light = await rows.page_of(session, query, query.listed.columns)
        assert [row.id for row in light.rows] == [row.record.id for row in page.rows]
        assert await rows.count_of(session, query) == len(page.rows)
    return [row.record for row in page.rows]


async def titles(database: Database, query: str, **how: Any) -> list[str]:
    return sorted(row.title for row in await found(database, asked(query, **how)))


async def test_an_enumeration_takes_several_values(database: Database, make: Make) -> None:
    await make.ticket(title="a")
    await make.ticket(title="b", status=TicketStatus.IN_PROGRESS)
    await make.ticket(title="c", status=TicketStatus.WAITING_ON_CUSTOMER)
    assert await titles(database, "status=open,in_progress") == ["a", "b"]
    assert await titles(database, "status=open&status=in_progress") == ["a", "b"]
    assert await titles(database, "status=&priority=urgent") == []
    assert await titles(database, "") == ["a", "b", "c"]


async def test_a_person_is_an_id_me_or_nobody(database: Database, make: Make) -> None:
    ana, bo = await make.agent(), await make.agent()
    await make.ticket(title="ana's", assignee_id=ana.id)
    await make.ticket(title="bo's", assignee_id=bo.id)
    await make.ticket(title="nobody's")
    viewer = Viewer(bo.id, BERLIN, NOON)
    assert await titles(database, f"assignee={ana.id}") == ["ana's"]
    assert await titles(database, "assignee=me", viewer=viewer) == ["bo's"]
    assert await titles(database, "assignee=none") == ["nobody's"]
    assert await titles(database, "assignee=none,me", viewer=viewer) == ["bo's", "nobody's"]
    assert await titles(database, "assignee=999999") == []


async def test_tags_are_named_in_any_case_or_by_id(database: Database, make: Make) -> None:
    one, two = await make.ticket(title="one"), await make.ticket(title="two")
    await make.ticket(title="bare")
    printer = await make.tag("Printer", one)
    number = await make.tag("2026", two)
    await make.tag("a, b", two)
    assert await titles(database, "tags=PRINTER") == ["one"]
    assert await titles(database, f"tags={printer.id},{number.id}") == ["one", "two"]
    assert await titles(database, 'tags="2026"') == ["two"]
    assert await titles(database, "tag=2026") == ["two"]
    assert await titles(database, 'tags="a, b",printer') == ["one", "two"]
    assert await titles(database, "tags=none") == ["bare"]
    assert await titles(database, "tag=none") == ["bare"]


async def test_a_day_is_the_viewers_day(database: Database, make: Make) -> None:
    for hour in (22, 23):
        await make.ticket(title=f"{hour} UTC", created_at=datetime(2026, 1, 15, hour, 30, tzinfo=UTC))
    assert await titles(database, "created_at=2026-01-15") == ["22 UTC"]
    assert await titles(database, "created_at=2026-01-16") == ["23 UTC"]
    assert await titles(database, "created=2026-01-15..2026-01-16") == ["22 UTC"]
    assert await titles(database, "created_at=2026-01-16..") == ["23 UTC"]
    assert await titles(database, "created_at=..2026-01-16") == ["22 UTC"]
    assert await titles(database, "created_at=2026-01-15T22:30:00Z..2026-01-15T23:30:00Z") == ["22 UTC"]
    assert await titles(database, "created_at_from=2026-01-15&created_at_to=2026-01-15") == ["22 UTC"]
    assert await titles(database, "created_at_to=2026-01-16") == ["22 UTC", "23 UTC"]
    assert await titles(database, "resolved=none") == ["22 UTC", "23 UTC"]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("today", "2026-11-21 00:00", "2026-11-22 00:00"),
        ("yesterday", "2026-11-20 00:00", "2026-11-21 00:00"),
        ("tomorrow", "2026-11-22 00:00", "2026-11-23 00:00"),
        ("this-week", "2026-11-16 00:00", "2026-11-23 00:00"),
        ("last-week", "2026-11-09 00:00", "2026-11-16 00:00"),
        ("this-month", "2026-11-01 00:00", "2026-12-01 00:00"),
        ("last-month", "2026-10-01 00:00", "2026-11-01 00:00"),
        ("this-year", "2026-01-01 00:00", "2027-01-01 00:00"),
        ("last-7-days", "2026-11-15 00:00", "2026-11-22 00:00"),
        ("next-7-days", "2026-11-21 00:00", "2026-11-28 00:00"),
        ("last-3-hours", "2026-11-21 09:00", "2026-11-21 12:00"),
        ("2026-03-29", "2026-03-29 00:00", "2026-03-30 00:00"),
    ],
)
def test_relative_periods_are_whole_days_of_the_viewer(text: str, start: str, end: str) -> None:
    expected = tuple(datetime.fromisoformat(side).replace(tzinfo=BERLIN).astimezone(UTC) for side in (start, end))
    assert period(text, VIEWER) == expected


async def test_texts_switches_and_records_of_other_lists(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    note = await make.comment(ticket, agent, "A note.")
    answer = await make.comment(ticket, agent, "An answer.", is_internal=False)
    comments = RESOURCES[Comment]
    assert [row.id for row in await found(database, asked("is_internal=yes", comments))] == [note.id]
    assert [row.id for row in await found(database, asked("is_internal=no", comments))] == [answer.id]
    assert [row.id for row in await found(database, asked(f"author={agent.id}&q=NOTE", comments))] == [note.id]
    entries = await found(database, asked("table_name=comments,nothing&action=CREATE", RESOURCES[AuditLog]))
    assert {entry.record_id for entry in entries} == {str(note.id), str(answer.id)}
    sets = await found(database, asked("user=none&door=code", RESOURCES[ChangeSet]))
    assert {change.action for change in sets} >= {"test.make"}
    linked = await found(database, asked(f"change_set={entries[0].change_set_id}", RESOURCES[AuditLog]))
    assert entries[0].id in {entry.id for entry in linked}


async def test_numbers_take_one_or_a_range(database: Database, make: Make) -> None:
    listed = replace(TICKET, filters=("priority_rank",))
    for priority in TicketPriority:
        await make.ticket(title=priority.value, priority=priority)
    assert await titles(database, "priority_rank=4", listed=listed) == ["urgent"]
    assert await titles(database, "priority_rank=2..3", listed=listed) == ["high", "medium"]
    assert await titles(database, "priority_rank=..1", listed=listed) == ["low"]
    for wrong in ("x", "1.5", "40000", "-99999999999999999999", "3..2", ".."):
        with pytest.raises(BadRequest, match="priority_rank"):
            asked(f"priority_rank={wrong}", listed)


async def test_overdue_and_trash(database: Database, make: Make) -> None:
    late = datetime.now(UTC) - timedelta(days=1)
    await make.ticket(title="late", due_at=late)
    await make.ticket(title="waiting", due_at=late, status=TicketStatus.WAITING_ON_CUSTOMER)
    await make.ticket(title="never due", due_at=null())
    await make.ticket(title="gone", deleted_at=late, due_at=late)
    assert await titles(database, "overdue=yes") == ["late"]
    assert await titles(database, "overdue=no") == ["never due", "waiting"]
    assert await titles(database, "trash=yes") == ["gone"]
    assert await titles(database, "trash=no&due_at=none") == ["never due"]
    for query in ("trash=yes", "overdue=yes"):
        with pytest.raises(BadRequest, match="is not a parameter"):
            asked(query, RESOURCES[Comment])


async def test_searching_other_lists_takes_signs_literally(database: Database, make: Make) -> None:
    await make.customer(full_name="100% Percy", email="percy@example.com")
    await make.customer(full_name="Under_score", email="under@example.com")
    people = RESOURCES[User]
    assert [row.full_name for row in await found(database, asked("q=%25", people))] == ["100% Percy"]
    assert [row.full_name for row in await found(database, asked("q=R_S", people))] == ["Under_score"]
    assert await found(database, asked("q=\\", people)) == []


async def test_sorting_by_priority_goes_by_its_rank(database: Database, make: Make) -> None:
    for priority in ("high", "low", "urgent", "medium"):
        await make.ticket(priority=TicketPriority(priority))
    for query in ("sort=-priority", "sort=-priority_rank"):
        ranked = [row.priority.value for row in await found(database, asked(query))]
        assert ranked == ["urgent", "high", "medium", "low"]


async def test_sorting_hides_no_row_and_puts_empty_values_last(database: Database, make: Make) -> None:
    listed = replace(TICKET, sort=("assignee", "resolved_at"))
    ana, zoe = await make.agent(full_name="ana"), await make.agent(full_name="Zoe")
    for title, agent in (("z", zoe), ("nobody", None), ("a", ana)):
        await make.ticket(title=title, assignee_id=agent.id if agent else None)
    assert [row.title for row in await found(database, asked("sort=assignee", listed))] == ["a", "z", "nobody"]
    assert [row.title for row in await found(database, asked("sort=-assignee", listed))] == ["z", "a", "nobody"]
    assert len(await found(database, asked("sort=-resolved_at", listed))) == 3


async def test_pages_do_not_overlap_where_rows_tie(database: Database, make: Make) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    customer = await make.customer()
    async with database.transaction(Acting.system(), "test.make") as change:
        change.session.add_all(
            Ticket(title=str(n), description="d", creator_id=customer.id, created_at=moment) for n in range(60)
        )
    seen: list[str] = []
    place: str | None = ""
    async with database.read() as session:
        while place is not None:
            page = await rows.page_of(session, asked(f"size=25&after={place}"), TICKET.columns)
            seen += [row.values["title"] for row in page.rows]
            place = page.next
    assert sorted(seen, key=int) == [str(n) for n in range(60)]


class Called:
    """A tag whose name only Python knows, as a plugin's model may have it."""

    lookup = ("name",)
    name: str

    @property
    def label(self) -> str:
        return f"called {self.name}"

    @property
    def loud(self) -> str:
        return self.name.upper()


registry().map_imperatively(Called, Tag.__table__)


async def test_what_only_python_knows_of_a_record_is_read_in_one_more_statement(
    database: Database, make: Make, statements: Statements
) -> None:
    for name in ("a", "b", "c"):
        await make.tag(name)
    model: Any = Called
    listed = replace(RESOURCES[Tag], model=model)
    query = asked("sort=-name", listed)
    with statements(database) as seen:
        async with database.read() as session:
            page = await rows.page_of(session, query, ("name", "loud"))
    assert [(row.label, row.values) for row in page.rows] == [
        (f"called {name}", {"name": name, "loud": name.upper()}) for name in "cba"
    ]
    assert len(seen) == 2


async def test_counting_stops_at_its_limit(database: Database, make: Make) -> None:
    for _ in range(4):
        await make.ticket()
    async with database.read() as session:
        assert await rows.count_of(session, asked(""), limit=2) == 3
        assert await rows.count_of(session, asked("")) == 4


async def test_long_values_come_short_and_secrets_not_at_all(
    database: Database, make: Make, statements: Statements
) -> None:
    agent = await make.agent(password_hash="a secret hash")
    ticket = await make.ticket(description="x" * 5_000)
    await make.comment(ticket, agent, "y" * 5_000)
    async with database.transaction(Acting(user_id=agent.id), "test.edit") as change:
        edited = await change.session.get_one(Ticket, ticket.id)
        edited.description = "z" * 5_000
    with statements(database) as seen:
        async with database.read() as session:
            page = await rows.page_of(session, asked("", RESOURCES[Comment]), RESOURCES[Comment].columns)
            assert page.rows[0].values["content"] == "y" * SHORT
            entries = await rows.records_of(session, asked("action=UPDATE", RESOURCES[AuditLog]), ("changes", "user"))
            changes = entries.rows[0].value("changes")
            assert changes["old"] == {"description": "x" * SHORT_ITEM}
            assert changes["new"] == {"description": "z" * SHORT_ITEM}
            await rows.page_of(session, asked(""), TICKET.columns)
            await rows.page_of(session, asked("", RESOURCES[User]), RESOURCES[User].columns)
    assert not [statement for statement in seen if "password_hash" in statement or "tickets.description" in statement]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("shade=red", "shade: is not a parameter of this list. Known are q, status"),
        ("asignee=1", "asignee: is not a parameter of this list. Did you mean assignee?"),
        ("statuss=", "Did you mean status?"),
        ("status=foo", "status: “foo” is not known. It takes one or more of open, in_progress"),
        ("status=none", "status: “none” is not known."),
        ("status=,", "status: holds no value."),
        ("assignee=ana", "assignee: “ana” is not known. It takes ids, me, or none"),
        ("creator=none", "creator: “none” cannot be, because every record has one."),
        ("creator=0", "creator: “0” is no id."),
        ("creator=9223372036854775808", "is no id."),
        ("creator=-1", "creator: “-1” is not known."),
        ("assignee=٣", "is not known."),
        ('tags="open', "tags: has a double quote without its other one."),
        ("tags=a%00b", "tags: holds a character that cannot be stored."),
        ("q=%00", "q: holds a character that cannot be stored."),
        ("q=" + "x" * 501, "q: has more than 500 characters."),
        ("q=a&q=b", "q: can be given once only."),
        ("created_at=soon", "created_at: “soon” is not a day. It takes a day such as"),
        ("created_at=..", "created_at: has neither a beginning nor an end."),
        ("created_at=2026-02-01..2026-01-01", "created_at: covers nothing"),
        ("created_at=2026-01-01..2026-01-01", "created_at: covers nothing"),
        ("created_at=2026-01-01,2026-02-01", "created_at: takes one value."),
        ("created_at=9999-12-31", "created_at: is too far away."),
        ("created_at=0001-01-01", "created_at: is too far away."),
        ("created_at=last-0-days", "created_at: “last-0-days” is not a day."),
        ("created_at=none", "created_at: “none” cannot be, because every record has one."),
        ("created_at_from=monday", "created_at: its first and last day are written like 2026-01-31."),
        ("created_at_to=9999-12-31", "created_at: its first and last day"),
        ("sort=title", "sort: takes created_at, priority_rank"),
        ("sort=--id", "sort: takes created_at"),
        ("sort=created_at,-created_at", "sort: names a column twice, or too many."),
        ("sort=created_at,status,due_at,id", "sort: names a column twice, or too many."),
        ("sort=created_at,", "sort: takes created_at, priority_rank"),
        ("page=2", "page: is not a parameter of this list."),
        ("after=x", "after: is no place in this list in this order. Start again from its first page."),
        ("before=x", "before: is no place in this list"),
        ("before=end&at=today", "before: does not go with at: a page begins at one place."),
        ("at=soon", "at: “soon” is not a time."),
        ("at=today&at=2026-01-01", "at: can be given once only."),
        ("sort=status&at=shut", "at: takes one of open, in_progress"),
        ("sort=-priority&at=high", "at: “high” is not a number."),
        ("sort=id&at=99999999999999999999", "at: "),
        ("size=24", "size: takes one of 25, 50, 100, 250."),
        ("trash=1", "trash: “1” is neither yes nor no."),
        ("overdue=maybe", "overdue: “maybe” is neither yes nor no."),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(query: str, says: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        asked(query)
    assert says in refusal.value.message


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(BadRequest) as refusal:
        asked("status=foo&size=0&nonsense=1")
    assert set(refusal.value.fields) == {"status", "size", "nonsense"}


VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "none", "me", "yes", "no", "1", "1,2", "-1", "..", "today", "2026-01-01..", "open", "a,b", '"']
    ),
    st.dates().map(str),
    st.integers().map(str),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(RESOURCES.values())), st.data())
def test_any_query_is_either_understood_or_refused_and_its_own_address_says_the_same(
    listed: Resource, data: st.DataObject
) -> None:
    names = st.one_of(
        st.sampled_from(parameters(listed)), st.sampled_from(["tag", "created", "x"]), st.text(max_size=5)
    )
    pairs = data.draw(st.lists(st.tuples(names, VALUES), max_size=4))
    try:
        query = ListQuery.parse(listed, pairs, VIEWER)
    except BadRequest:
        return
    again = ListQuery.parse(listed, query.pairs(), VIEWER)
    assert again.pairs() == query.pairs()
    assert (again.position, again.size, again.sort) == (query.position, query.size, query.sort)
    assert conditions(again) == conditions(query)
