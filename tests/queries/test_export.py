"""What COPY writes is what a SELECT reads, whatever values stand in the statement and in the rows."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Numeric,
    Select,
    Text,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app import resources
from admin_app.db import Database
from admin_app.exports.layout import offered, unnamed, usual
from admin_app.models import Instant, Ticket, TicketPriority, TicketStatus
from admin_app.plugin import Resource
from admin_app.queries.export import FORMULA, Extract, as_text, copy, copy_csv, copy_jsonl, csv_rows, safe, unhurried
from admin_app.queries.listing import ListQuery
from admin_app.queries.periods import Viewer
from admin_app.registry import Registry
from admin_app.testing import Make, Statements

UNHURRIED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        "'",
        "''",
        "\\",
        "\\'",
        "$1",
        "$2::text",
        "'$1'",
        "%(x)s",
        "%%",
        ":x",
        '"',
        "E'\\n'",
        "--",
        "/*",
        "\\.",
        "\r\n",
        "\x01\x02",
    ]
)
INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  bounds of naive ones
VALUES = st.one_of(
    st.tuples(TEXTS, st.just(Text())),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.just(BigInteger())),
    st.tuples(st.booleans(), st.just(Boolean())),
    st.tuples(
        st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12),
        st.just(Numeric()),
    ),
    st.tuples(INSTANTS, st.just(Instant())),
    st.tuples(st.lists(TEXTS, max_size=4), st.just(ARRAY(Text))),
    st.tuples(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4), st.just(ARRAY(BigInteger))),
)


async def lines(session: AsyncSession, statement: Select[Any]) -> list[list[str]]:
    """What COPY makes of a statement."""
    pieces: list[bytes] = []

    async def take(piece: bytes) -> None:
        pieces.append(piece)

    number = await copy(session, statement, take)
    found = list(csv.reader(io.StringIO(b"".join(pieces).decode(), newline="")))
    assert len(found) == number
    return found


@UNHURRIED
@given(values=st.lists(VALUES, min_size=1, max_size=5))
async def test_a_value_arrives_as_it_was_sent(database: Database, values: list[tuple[Any, Any]]) -> None:
    texts = (cast(literal(value, kind), Text).label(f"c{place}") for place, (value, kind) in enumerate(values))
    statement: Any = select(*texts)
    async with database.read() as session:
        [row] = await lines(session, statement)
        assert row == list((await session.execute(statement)).one())


@UNHURRIED
@given(text=TEXTS, ids=st.lists(st.integers(1, 2**62), max_size=3), moment=INSTANTS)
async def test_a_filter_finds_by_copy_what_it_finds_otherwise(
    database: Database, make: Make, text: str, ids: list[int], moment: datetime
) -> None:
    if not text.strip():
        text = f"{text}x"
    async with database.read() as session:
        statement = (
            select(Ticket.id)
            .where(Ticket.title.contains(text, autoescape=True) | (Ticket.title == text) | Ticket.id.in_(ids))
            .where(Ticket.status.in_([TicketStatus.OPEN, TicketStatus.CLOSED]), Ticket.priority != TicketPriority.LOW)
            .where(Ticket.created_at < moment + timedelta(days=1))
        )
        assert [int(key) for (key,) in await lines(session, statement)] == list(await session.scalars(statement))


async def test_a_place_between_quotes_is_refused_before_anything_is_sent(database: Database) -> None:
    for mistaken in ("'costs $1'", '"$1"', "'it''s $2'"):
        columns: list[Any] = [literal_column(mistaken).label("a"), literal("x").label("b")]
        mistake: Any = select(*columns)
        async with database.read() as session:
            with pytest.raises(ValueError, match="between quotes"):
                await lines(session, mistake)


@UNHURRIED
@given(text=TEXTS)
async def test_only_what_would_be_a_formula_gets_a_mark(database: Database, text: str) -> None:
    async with database.read() as session:
        [[found]] = await lines(session, select(safe(literal(text, Text())).label("a")))
    assert found == (f"'{text}" if text.startswith(tuple(FORMULA)) else text)


@UNHURRIED
@given(
    moment=INSTANTS | st.sampled_from(["infinity", "-infinity", "0044-03-15 12:00:00.5+00 BC", "12026-11-21 09:30+00"])
)
async def test_an_instant_is_written_as_in_json(database: Database, moment: datetime | str) -> None:
    value = cast(literal(str(moment), Text()), Instant)
    async with database.read() as session:
        await unhurried(session, 1)
        written = select(as_text(value, guarded=True).label("a"), func.to_json(value).op("#>>")(literal_column("'{}'")))
        [[found, expected]] = await lines(session, written)
    assert found == expected


async def test_a_part_of_a_large_list_is_read_by_the_index_of_its_order(large: Database) -> None:
    resource = next(resource for resource in resources.plugin.resources if resource.name == "ticket")
    query = ListQuery.parse(resource, [("created_at", "2025-01-01..")], viewer())
    names = ("id", "title", "status", "created_at")
    async with large.read() as session:
        await unhurried(session, 1)
        statement = await csv_rows(session, Extract(query, names, names), formulas=False)
        written = statement.compile(dialect=large.engines[0].dialect, compile_kwargs={"literal_binds": True})
        plan = "\n".join(await session.scalars(text(f"EXPLAIN {written}".replace(":", "\\:"))))
    assert "Index Scan Backward using ix_tickets_live_created on tickets" in plan, plan


def viewer() -> Viewer:
    """Somebody who looks."""
    return Viewer(1, ZoneInfo("UTC"), datetime.now(UTC))


async def exported(
    session: AsyncSession, resource: Resource, columns: Sequence[str], **facts: Any
) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """A list as CSV and as JSON Lines."""
    query = ListQuery.parse(resource, facts.pop("pairs", []), viewer())
    extract = Extract(query, tuple(columns), tuple(columns), **facts)
    texts: list[bytes] = []
    objects: list[bytes] = []

    async def text(piece: bytes) -> None:
        texts.append(piece)

    async def item(piece: bytes) -> None:
        objects.append(piece)

    await unhurried(session, 1)
    await copy_csv(session, extract, text, formulas=False)
    await copy_jsonl(session, extract, item)
    rows = csv.DictReader(io.StringIO(b"".join(texts).decode(), newline=""), fieldnames=list(columns))
    return list(rows), [json.loads(line) for line in b"".join(objects).decode().split("\n")[:-1]]


async def test_every_resource_can_be_exported_with_every_column(
    database: Database, registry: Registry, make: Make
) -> None:
    ticket = await make.ticket()
    await make.tag("a", ticket)
    await make.comment(ticket, await make.agent())
    async with database.read() as session:
        for resource in registry.resources.values():
            rows, objects = await exported(session, resource, offered(resource))
            assert len(rows) == len(objects)
            assert [row["id"] for row in rows] == [str(item["id"]) for item in objects]
            assert set(usual(resource)) <= set(offered(resource))


async def test_related_records_come_by_what_finds_them_or_by_id(
    database: Database, registry: Registry, make: Make
) -> None:
    resource = registry.resource("ticket")
    agent = await make.agent(email="+ana@example.com")
    ticket = await make.ticket(assignee_id=agent.id)
    tags = [await make.tag(name, ticket) for name in ("b, c", "=a")]
    columns = ("id", "assignee", "creator", "resolved_by", "tags")
    async with database.read() as session:
        [row], [item] = await exported(session, resource, columns)
        hidden = {"assignee", "tags"}
        [known], [plain] = await exported(session, resource, columns, unnamed=hidden)
    assert (row["assignee"], row["resolved_by"], row["tags"]) == ("'+ana@example.com", "", "'=a, b, c")
    assert (item["assignee"], item["resolved_by"], item["tags"]) == ("+ana@example.com", None, ["=a", "b, c"])
    ids = sorted(tag.id for tag in tags)
    assert (known["assignee"], known["tags"]) == (str(agent.id), ", ".join(map(str, ids)))
    assert (plain["assignee"], plain["tags"]) == (agent.id, ids)


async def test_roles_of_people_are_a_list_and_many_to_one_sides_are_none(
    database: Database, registry: Registry, make: Make
) -> None:
    lead = await make.agent("lead", "auditor")
    async with database.read() as session:
        rows, objects = await exported(session, registry.resource("user"), ("id", "roles", "last_login"))
    [item] = [item for item in objects if item["id"] == lead.id]
    [row] = [row for row in rows if row["id"] == str(lead.id)]
    assert (item["roles"], item["last_login"]) == (["auditor", "lead"], None)
    assert (row["roles"], row["last_login"]) == ("auditor, lead", "")


async def test_an_export_is_one_copy_whatever_its_columns(
    database: Database, registry: Registry, make: Make, statements: Statements
) -> None:
    for _ in range(3):
        await make.tag(f"tag {(await make.ticket()).id}")
    resource = registry.resource("ticket")
    extract = Extract(ListQuery.parse(resource, [], viewer()), offered(resource), offered(resource))

    async def nowhere(piece: bytes) -> None:
        """Take a piece and drop it."""

    async with database.read() as session:
        with statements(database) as seen:
            await unhurried(session, 1)
            await copy_csv(session, extract, nowhere, formulas=False)
    assert len(seen) == 1, "COPY goes past SQLAlchemy, so only the settings are seen"


async def test_whom_one_may_not_see_is_unnamed(registry: Registry) -> None:
    class Somebody:
        def may(self, permission: str) -> bool:
            return permission != "user.view"

    resources = registry.resources.values()
    found = unnamed(resources, Somebody(), registry.resource("ticket"))
    assert {"assignee", "creator", "resolved_by"} <= found
    assert "tags" not in found
