"""Filters beyond one of several values: none of them, comparisons, people by name, and all of it within a search."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin_app.db import Database
from admin_app.errors import BadRequest
from admin_app.models import Comment, Ticket, TicketPriority, TicketStatus, User
from admin_app.queries import rows
from admin_app.queries.listing import ListQuery
from admin_app.queries.periods import Viewer
from admin_app.testing import Make, Statements
from tests.queries.test_listing import BERLIN, NOON, RESOURCES, TICKET, VIEWER, asked, conditions


async def titles(database: Database, query: str, **how: Any) -> list[str]:
    """The titles that a list's query string finds, in the order of the alphabet; counted as many."""
    wanted = asked(query, **how)
    async with database.read() as session:
        page = await rows.page_of(session, wanted, ("title",))
        assert await rows.count_of(session, wanted) == len(page.rows)
    return sorted(row.values["title"] for row in page.rows)


def q(text: str) -> str:
    return urlencode({"q": text})


async def test_none_of_several_values_takes_rows_without_one(database: Database, make: Make) -> None:
    ana, bo = await make.agent(), await make.agent()
    vip = await make.ticket(title="ana", assignee_id=ana.id, priority=TicketPriority.URGENT)
    await make.ticket(title="bo", assignee_id=bo.id, status=TicketStatus.IN_PROGRESS)
    await make.ticket(title="nobody")
    await make.tag("vip", vip)
    for query, expected in {
        f"assignee!={ana.id}": ["bo", "nobody"],
        f"assignee!={ana.id},{bo.id}": ["nobody"],
        "assignee!=none": ["ana", "bo"],
        f"assignee!=none,{bo.id}": ["ana"],
        f"assignee!={ana.id}&assignee=none,{bo.id}": ["bo", "nobody"],
        "status!=open": ["bo"],
        "priority!=low,medium": ["ana"],
        "tag!=vip": ["bo", "nobody"],
        "tags!=none": ["ana"],
        "resolved!=none": [],
        "resolved!=last-7-days": ["ana", "bo", "nobody"],
        "created!=2001-01-01": ["ana", "bo", "nobody"],
    }.items():
        assert await titles(database, query) == expected, query
    assert asked("assignee!=none&status=open").pairs() == [("status", "open"), ("assignee!", "none")]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (">2026-01-15", ["16"]),
        (">=2026-01-15", ["15", "16"]),
        ("<2026-01-15", ["14"]),
        ("<=2026-01-15", ["14", "15"]),
        (">2026-01-15T12:00:00Z", ["16"]),
        (">=2026-01-15T12:00:00Z", ["15", "16"]),
        ("<=2026-01-15T12:00:00Z", ["14", "15"]),
        ("<2026-01-15T12:00:00Z", ["14"]),
        ("> 2026-01-15", ["16"]),
        ("<last-7-days", ["14", "15", "16"]),
        (">=today", []),
    ],
)
async def test_a_time_is_compared_with_a_whole_day_or_a_moment(
    database: Database, make: Make, value: str, found: list[str]
) -> None:
    for day in (14, 15, 16):
        await make.ticket(title=str(day), created_at=datetime(2026, 1, day, 12, tzinfo=UTC))
    assert await titles(database, urlencode({"created": value})) == found


async def test_numbers_are_compared(database: Database, make: Make) -> None:
    listed = replace(TICKET, filters=("priority_rank",))
    for priority in TicketPriority:
        await make.ticket(title=priority.value, priority=priority)
    for value, found in {">3": ["urgent"], ">=3": ["high", "urgent"], "<2": ["low"], "<=2": ["low", "medium"]}.items():
        assert await titles(database, urlencode({"priority_rank": value}), listed=listed) == found
    assert await titles(database, "priority_rank!=1..3", listed=listed) == ["urgent"]


async def test_people_are_named_by_mail_or_in_quotes_where_that_is_one_of_them(database: Database, make: Make) -> None:
    ana = await make.agent(full_name="Ana Ruiz", email="ana@example.com")
    for name in ("ana-2@example.com", "ana-3@example.com"):
        await make.agent(full_name="Ana Twin", email=name)
    await make.ticket(title="ana's", assignee_id=ana.id)
    await make.ticket(title="nobody's")
    for query in (
        "assignee=ANA@example.com",
        'assignee="ana ruiz"',
        q("assignee:ana@example.com"),
        q('assignee:"Ana Ruiz"'),
        q('assignee:"Ana Ruiz",ana-2@example.com'),
    ):
        assert await titles(database, query) == ["ana's"]
    assert await titles(database, 'assignee!="Ana Ruiz"') == ["nobody's"]
    assert await titles(database, 'assignee=none,"Ana Ruiz"') == ["ana's", "nobody's"]
    for query, says in {
        'assignee="Ana Twin"': "assignee: “Ana Twin” is the name of 2 people. Please write an e-mail address.",
        "assignee!=who@example.com": "assignee!: “who@example.com” is nobody here.",
        q('assignee:"Nobody Atall"'): "assignee: “Nobody Atall” is nobody here.",
    }.items():
        with pytest.raises(BadRequest) as refusal:
            await titles(database, query)
        assert says in refusal.value.message


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("jam", ["jam", "urgent jam"]),
        ("jam -urgent", ["jam"]),
        ("status:open", ["jam", "mail"]),
        ("status:open,in_progress", ["jam", "mail", "urgent jam"]),
        ("-status:open", ["urgent jam"]),
        ("assignee:me", ["urgent jam"]),
        ("assignee:none", ["jam", "mail"]),
        ("-assignee:none", ["urgent jam"]),
        ("-assignee:me", ["jam", "mail"]),
        ("is:unassigned", ["jam", "mail"]),
        ("-is:unassigned", ["urgent jam"]),
        ("is:overdue", ["mail"]),
        ("-is:overdue", ["jam", "urgent jam"]),
        ("overdue:yes", ["mail"]),
        ("tag:billing", ["mail"]),
        ('tag:"two words"', ["jam"]),
        ("-tag:billing", ["jam", "urgent jam"]),
        ("(status:open is:overdue) OR priority:urgent", ["mail", "urgent jam"]),
        ("jam (assignee:me OR tag:billing)", ["urgent jam"]),
        ("-(status:open tag:billing)", ["jam", "urgent jam"]),
        ("-(assignee:me jam)", ["jam", "mail"]),
        ("created:>2026-01-01 created:<2030-01-01", ["jam", "mail", "urgent jam"]),
        ("created:last-7-days", []),
        ("jam OR mail", ["jam", "mail", "urgent jam"]),
        ("NOT jam", ["mail"]),
        ("jam AND status:open", ["jam"]),
    ],
)
async def test_fields_and_words_of_a_search(database: Database, make: Make, text: str, found: list[str]) -> None:
    me, past = await make.agent(), datetime.now(UTC) - timedelta(days=1)
    urgent = {"priority": TicketPriority.URGENT, "status": TicketStatus.IN_PROGRESS, "assignee_id": me.id}
    await make.ticket(title="urgent jam", **urgent)
    await make.tag("two words", await make.ticket(title="jam"))
    await make.tag("billing", await make.ticket(title="mail", due_at=past))
    viewer = Viewer(me.id, BERLIN, datetime.now(UTC) + timedelta(days=30))
    assert await titles(database, q(text), viewer=viewer) == found


async def test_words_find_the_tickets_that_have_a_tag_of_their_name(database: Database, make: Make) -> None:
    tagged, other = await make.ticket(title="one"), await make.ticket(title="two, an invoice")
    await make.tag("Invoice", tagged)
    await make.tag("late payment", tagged, other)
    for text, found in {
        "invoice": ["one", "two, an invoice"],
        "one invoice": ["one"],
        "-invoice": [],
        "late payment": ["one", "two, an invoice"],
        '"late payment" -two': ["one"],
        "invoice OR nothing": ["one", "two, an invoice"],
    }.items():
        assert await titles(database, q(text)) == found, text


async def test_signs_and_words_that_are_everywhere_are_looked_for_letter_by_letter(
    database: Database, make: Make
) -> None:
    await make.ticket(title="Disk at 100% now", description="It is full")
    await make.ticket(title="Disk at 1000 now", description="user_id is empty", external_id="A%1")
    for text, found in {
        "100%": ["Disk at 100% now"],
        "%": ["Disk at 100% now"],
        "disk 100%": ["Disk at 100% now"],
        "user_id": ["Disk at 1000 now"],
        "A%1": ["Disk at 1000 now"],
        "-100%": ["Disk at 1000 now"],
        "the": [],
        "is": ["Disk at 100% now", "Disk at 1000 now"],
        "the disk": ["Disk at 100% now", "Disk at 1000 now"],
    }.items():
        assert await titles(database, q(text)) == found, text


@pytest.mark.parametrize(
    "sign", ["'", "''", "%(x)s", "$1", "::x", "\\", "\\'", "\\:x", "%%", "__[POSTCOMPILE_x]", "/*", "--x", ";"]
)
async def test_signs_of_sql_are_a_text_like_any_other(database: Database, make: Make, sign: str) -> None:
    await make.ticket(title=f"before word{sign} behind")
    await make.ticket(title="nothing of it")
    for text in (f"word{sign}", f'"word{sign} behind"', f"before word{sign} OR other{sign}"):
        assert await titles(database, q(text)) == [f"before word{sign} behind"], text


async def test_a_search_says_what_it_searched(database: Database) -> None:
    places = "Searched number, title, description, public comments and tags for"
    async with database.read() as session:
        for text, listed, said in (
            ("paper jam status:open", TICKET, f"{places} “paper jam”."),
            ("the", TICKET, f"{places} “the”. Looked for “the” letter by letter, which takes longer."),
            ("50% off", TICKET, f"{places} “50% off”. Looked for “50%” letter by letter, which takes longer."),
            ("status:open", TICKET, ""),
            ("ana", RESOURCES[User], "Searched full name and e-mail for “ana”."),
        ):
            search = (await asked(q(text), listed).understood(session)).search
            assert search is not None
            assert search.said == said


async def test_other_lists_are_searched_in_the_columns_they_name(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    note = await make.comment(ticket, agent, "Paper, 50% of it, and a jam")
    answer = await make.comment(ticket, agent, "Only paper", is_internal=False)
    comments = RESOURCES[Comment]
    for text, found in {
        "paper": [note.id, answer.id],
        "jam paper": [note.id],
        '"paper jam"': [],
        "paper -jam": [answer.id],
        "jam OR only": [note.id, answer.id],
        "50%": [note.id],
        "is:internal": [note.id],
        "-is:internal paper": [answer.id],
        "is_internal:no": [answer.id],
        f"author:{agent.id}": [note.id, answer.id],
        f"author:{agent.email} jam": [note.id],
    }.items():
        async with database.read() as session:
            page = await rows.page_of(session, asked(q(text), comments), ("content",))
        assert sorted(row.id for row in page.rows) == found, text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("statsu:open", "q: has “statsu” at character 1, which is no field of tickets. Did you mean status?"),
        ("a colour:red", "q: has “colour” at character 3, which is no field of tickets. Fields are status,"),
        ("colour:red", "To look for it as a text, put it into double quotes."),
        ("status:opne", "q: has status at character 1: “opne” is not known. It takes one or more of open,"),
        ("a -created:soon", "q: has created at character 4: “soon” is not a day."),
        ("created:>soon", "“soon” is not a time."),
        ("created:>2026-01-01..2026-02-01", "is a range, which cannot be compared."),
        ("is:overdeu", "q: has is at character 1: “overdeu” is not known. Did you mean overdue?"),
        ("is:blue", "It takes overdue, unassigned"),
        ("overdue:maybe", "“maybe” is neither yes nor no."),
        ("status: open", "q: has status: at character 1 without its value, which follows without a space."),
        ("assignee:ana", "“ana” is not known. It takes ids, me, or none, separated by commas; people also by e-mail"),
        ('"open', "q: has a double quote at character 1 without its other one."),
        ("tag:a\x00", "q: holds a character that cannot be stored."),
    ],
)
def test_a_search_that_cannot_be_understood_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        asked(q(text))
    assert says in refusal.value.message


def test_a_list_without_texts_takes_fields_only() -> None:
    listed = replace(TICKET, search=())
    assert asked(q("status:open"), listed).search
    with pytest.raises(BadRequest, match="this list has no texts to search"):
        asked(q("word"), listed)


async def test_a_search_costs_one_statement_more_than_a_list(
    database: Database, make: Make, statements: Statements
) -> None:
    await make.ticket(title="paper jam")
    for query, number in {"": 1, q("paper jam"): 2, q("status:open"): 1, q('tag:"jam"'): 2, "tag=jam": 2}.items():
        async with database.read() as session:
            with statements(database) as seen:
                await rows.page_of(session, asked(query, viewer=VIEWER), ("title",))
        assert len(seen) == number, query


def test_what_is_asked_for_is_written_as_it_was_given() -> None:
    pairs = [("q", "(status:open OR -tag:x) jam"), ("status!", "closed"), ("created_at", ">=2026-01-01")]
    assert asked(urlencode(pairs)).pairs() == pairs
    assert asked(urlencode(pairs), viewer=Viewer(1, BERLIN, NOON)).narrowed
    assert issubclass(TICKET.model, Ticket)


PIECES = [
    *(
        "a",
        "paper",
        "the",
        "%",
        "_",
        "OR",
        "AND",
        "NOT",
        "(",
        ")",
        "-",
        '"',
        " ",
        " ",
        " ",
        ":",
        ",",
        "!",
        "\\",
        "💥",
        "'",
    ),
    *(
        "status:open",
        "status:",
        "tag:",
        "tag:x",
        "assignee:me",
        "assignee:none",
        "is:overdue",
        "is:",
        "created:",
        ">",
        "<=",
    ),
    *("2026-01-01", "last-7-days", "..", "colour:red", "silent_days:>3", "none", "0", "9" * 30, "\ud800", "\x00"),
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)))
@settings(max_examples=1_000, deadline=None)
def test_any_text_is_conditions_or_a_clear_refusal(text: str) -> None:
    for listed in (TICKET, RESOURCES[Comment]):
        try:
            query = ListQuery.parse(listed, [("q", text)], VIEWER)
        except BadRequest:
            continue
        assert all(written for written, _ in conditions(query))
        if query.search:
            written = ListQuery.parse(listed, [("q", str(query.search.tree))], VIEWER)
            assert conditions(written) == conditions(query)


async def test_any_search_that_is_understood_runs(database: Database, make: Make) -> None:
    await make.tag("paper", await make.ticket(title="Paper jam"))
    chance, run = random.Random(4), 0  # noqa: S311  the same searches every time
    for _ in range(400):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 12)))
        try:
            query = asked(q(text.replace("\ud800", "")))
            async with database.read() as session:
                page = await rows.page_of(session, query, ("title",))
                assert await rows.count_of(session, query) == len(page.rows), text
        except BadRequest:
            continue
        run += 1
    assert run > 100
