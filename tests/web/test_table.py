"""Every part that is written as markup escapes what it is given, and every kind of cell shows its value."""

import enum
import inspect
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup
from starlette.requests import Request

from admin_app import resources
from admin_app.models import ChangeSetState, Tag, TicketPriority, TicketStatus, User
from admin_app.queries.readable import Excerpt, FieldChange
from admin_app.queries.rows import Reference, Row
from admin_app.queries.users import Actor
from admin_app.testing import Browser, Make
from admin_app.web import markup
from admin_app.web.cells import Column
from admin_app.web.facts import Link
from admin_app.web.table import Table

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"
MOMENT = datetime(2026, 7, 5, 22, 30, 9, tzinfo=UTC)


class Tags(HTMLParser):
    """What a piece of markup is made of: its elements with their attributes, and what it says."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(str(text))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def assert_harmless(text: str) -> None:
    """Nothing that was given as a value became an element, or an attribute, of its own."""
    found = Tags(text)
    assert {name for name, _ in found.elements} <= {
        "span",
        "a",
        "svg",
        "use",
        "time",
        "td",
        "th",
        "tr",
        "div",
        "button",
    }
    attributes = {name for _, given in found.elements for name in given}
    of_buttons = {"type", "name", "value"}
    known = {"class", "href", "color", "aria-hidden", "datetime", "title", "role", "aria-label"}
    assert attributes <= known | of_buttons


class Evil(enum.StrEnum):
    """An enumeration of somebody's plugin."""

    VALUE = EVIL


@pytest.mark.parametrize("name", markup.PARTS)
def test_every_part_escapes_each_of_its_texts(name: str) -> None:
    part, texts = markup.PARTS[name], dict[str, Any]()
    for parameter in inspect.signature(part).parameters.values():
        texts[parameter.name] = {"moment": MOMENT, "attributes": {"aria-label": EVIL}}.get(parameter.name, EVIL)
    if name == "badge_state":
        texts = {"value": ChangeSetState.RUNNING}
    made = part(**texts)
    if name != "zone":
        assert isinstance(made, Markup)
        assert_harmless(made)
    if name in {"badge", "tag", "linked", "button"}:
        assert EVIL in Tags(made).said


def test_a_button_is_a_link_where_it_leads_somewhere() -> None:
    made = Tags(markup.button(EVIL, "primary", name=EVIL, value=EVIL, attributes={"formnovalidate": True, "id": None}))
    stated = {"class": "button primary", "type": "submit", "name": EVIL, "value": EVIL, "formnovalidate": "True"}
    assert made.elements == [("button", stated)]
    link = Tags(markup.button("Go", size="small", href=EVIL, icon_name="x"))
    assert link.elements[0] == ("a", {"class": "button small", "href": EVIL})


def test_an_icon_escapes_its_name_and_its_label() -> None:
    assert_harmless(markup.icon(EVIL, EVIL))


def test_a_time_is_read_in_the_zone_of_the_viewer_and_tells_the_instant() -> None:
    token = markup.ZONE.set(ZoneInfo("Asia/Tokyo"))
    try:
        made = markup.time(MOMENT)
    finally:
        markup.ZONE.reset(token)
    assert made == ('<time datetime="2026-07-05T22:30:09Z" title="2026-07-05 22:30:09 UTC">6 Jul 2026, 07:30</time>')
    assert markup.time(datetime(1901, 1, 2, 3, 4, 5, tzinfo=UTC)).count("1901") == 3
    assert markup.time(None) == '<span class="none">never</span>'


def column(kind: Any, name: str = "thing", **facts: Any) -> Column:
    given = {"badge": "", "wraps": False, "grow": False, "below": False, "heads": False}
    return Column(**{**given, "headline": False, "name": name, "label": EVIL, "kind": kind, **facts})


@pytest.fixture
def request_of_a_lead(client: Browser) -> Request:
    """A request by somebody who may see everything."""
    scope = {"type": "http", "desk": client.desk, "headers": [], "state": {}}
    request = Request(scope)
    request.state.actor = Actor(
        user_id=1, email="l@example.com", full_name="L", role_names=(), permissions=frozenset({"*"}), time_zone=None
    )
    return request


CELLS: dict[str, tuple[Column, Any, str]] = {
    "text": (column("text"), EVIL, EVIL),
    "colour": (column("text", "color"), EVIL, EVIL),
    "link": (column("text"), Link(EVIL, EVIL), EVIL),
    "choice": (column("choice", badge="plain"), Evil.VALUE, "script>alert"),
    "status": (column("choice", badge="status"), TicketStatus.IN_PROGRESS, "In progress"),
    "priority": (column("choice", badge="priority"), TicketPriority.HIGH, "High"),
    "state": (column("choice", badge="state"), ChangeSetState.UNDONE, "Undone"),
    "yes": (column("switch"), True, "Yes"),
    "no": (column("switch"), False, "No"),
    "time": (column("time"), MOMENT, "5 Jul 2026, 22:30"),
    "number": (column("number"), 1_234_567, "1,234,567"),
    "zero": (column("number"), 0, "0"),
    "number in words": (column("number"), EVIL, EVIL),
    "id": (column("number", "id"), 1_234, "1234"),
    "bytes": (column("number", "size_bytes"), 2_048, "2.0 kB"),
    "object": (column("json"), {EVIL: EVIL[:50], "b": 1, "c": None, "d": True, "e": 2}, EVIL[:50]),
    "audit entry": (column("json"), (FieldChange(EVIL, EVIL[:50], Excerpt(EVIL[:50], 9), "text"),), EVIL[:50]),
    "words for an object": (column("json"), EVIL[:50], EVIL[:50]),
    "record": (column("record"), Reference(User, 7, EVIL), EVIL),
    "records": (column("records"), (Reference(Tag, 7, EVIL, EVIL),), EVIL),
    "nobody": (column("record", "assignee"), None, "Nobody"),
    "nothing": (column("text"), None, ""),
    "no records": (column("records"), (), ""),
}


@pytest.mark.parametrize("kind", CELLS)
async def test_every_kind_of_cell_shows_its_value_and_escapes_it(request_of_a_lead: Request, kind: str) -> None:
    shown, value, said = CELLS[kind]
    row = Row(5, 2, {shown.name: value, "user": EVIL}, EVIL)
    table = Table(request_of_a_lead, resources.plugin.resources[0], [shown], selectable=False)
    [(_, cell)] = table.cells(row)
    assert_harmless(cell)
    assert said.lower() in Tags(cell).said.lower()
    assert bool(said) == bool(cell)


async def test_whatever_leads_to_a_row_and_names_it_is_escaped(request_of_a_lead: Request) -> None:
    ticket = resources.plugin.resources[0]
    columns = [
        column("text", "name", heads=True),
        column("text", "title", grow=True, headline=True),
        column("records", "tags", below=True),
        column("record", "user"),
    ]
    values = {"name": EVIL, "title": EVIL, "tags": (Reference(Tag, 7, EVIL, EVIL),), "empty": "", "actor_kind": EVIL}
    table = Table(request_of_a_lead, ticket, columns, selectable=True)
    body = Tags(table.body([Row(5, 2, values, EVIL), Row(6, 0, {}, EVIL)]))
    assert [given["data-id"] for name, given in body.elements if name == "tr"] == ["5", "6"]
    boxes = [given for name, given in body.elements if name == "input"]
    assert [(box["name"], box["value"], box["aria-label"]) for box in boxes] == [
        ("ids", "5", f"Select {EVIL}"),
        ("ids", "6", f"Select {EVIL}"),
    ]
    assert not [name for name, _ in body.elements if name in {"script", "img"}]
    assert body.said.count(EVIL) == 5  # name, title, tag, actor, and the row's label where the title is empty
    leading = [given["href"] for name, given in body.elements if name == "a"]
    assert set(leading) == {"/admin/ticket/details/5", "/admin/ticket/details/6"}


async def test_headings_say_how_a_list_is_sorted_and_sort_further(client: Browser, make: Make) -> None:
    await make.ticket()
    page = (await client.get("/admin/ticket/list?sort=-priority,created_at")).text
    head = page.partition("<thead>")[2].partition("</thead>")[0]
    assert re.findall(r'data-column=(\w+) aria-sort="(\w+)"', head) == [("priority", "descending")]
    assert re.search(
        r'Created<svg[^>]*><use href="[^"]*#sort-asc"/></svg><span class="place" aria-hidden="true">2</span>', head
    )
    assert "Created, ascending, place 2 of the order" in re.sub(
        r"<svg.*?</svg>|<span[^>]*true.*?</span>|<[^>]*>", "", head
    )
    assert 'href="/admin/ticket/list?sort=-priority_rank,created_at,status" aria-label="Then by Status"' in head
    both = await client.get("/admin/ticket/list?sort=-priority_rank,created_at,status")
    assert both.status_code == 200
    assert "Then by" not in both.text
    assert "Then by" not in (await client.get("/admin/ticket/list")).text


async def test_headings_say_what_joins_the_order_and_what_turns_in_it(client: Browser, make: Make) -> None:
    await make.ticket()

    async def keys(query: str) -> tuple[str, dict[str, str]]:
        page = (await client.get(f"/admin/ticket/list{query}")).text
        [order] = re.findall(r'data-list data-sort="(.*?)"', page)
        return order, dict(re.findall(r"<th [^>]*?data-by=(\S+) data-column=(\w+)", page))

    usual, joining = await keys("")
    assert usual == "-created_at"
    assert joining.keys() >= {"created_at", "-priority_rank", "status"}
    for key in joining.keys() - {"created_at"}:
        answer = await client.get(f"/admin/ticket/list?sort={usual},{key}")
        assert answer.status_code == 200, key
    full = "status,-priority_rank,created_at"
    assert await keys(f"?sort={full}") == (
        full,
        {"-status": "status", "priority_rank": "priority", "-created_at": "created_at"},
    )


async def test_fifty_rows_are_a_small_page(client: Browser, make: Make) -> None:
    agent, customer = await make.agent(full_name="Rory Callaghan"), await make.customer(full_name="Amelie Yildiz")
    tickets = [
        await make.ticket(
            title="The receipt printer prints every line twice", assignee_id=agent.id, creator_id=customer.id
        )
        for _ in range(51)
    ]
    await make.tag("printer", *tickets, color="#0d9488")
    await make.tag("till", *tickets[::2], color="#b0251d")
    page = await client.get("/admin/ticket/list?q=prints&status=open")
    assert page.text.count("<tr data-id") == 50
    assert len(page.content) <= 60_000
