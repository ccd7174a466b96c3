"""The statistics page, through the door."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from admin_app.db import Database
from admin_app.models import TicketPriority, TicketSource, TicketStatus
from admin_app.testing import Browser, Make, Statements
from plugins.stats.charts import NARROW, WIDE, Frame, line_chart
from plugins.stats.words import duration, share
from tests.queries.telling import CLOSED, OPEN, RESOLVED, Move, Told, at, tell

PAGE = "/admin/page/stats/statistics"
SPRING = {"from": "2026-03-28", "to": "2026-03-31", "zone": "Europe/Berlin"}


@pytest.fixture
async def desk(database: Database, make: Make) -> None:
    """Tickets of spring 2026 in every status, some imported, some without an assignee, one in the trash."""
    ana = await make.agent(full_name="Ana <b>Bold</b>")
    imported = {"source": TicketSource.IMPORT}
    now = datetime.now(UTC)
    stories = [Told(at(f"03-{day} 12:00:00"), [Move(RESOLVED, at("03-30 13:00:00"), ana.id)]) for day in (28, 28, 29)]
    stories += [
        Told(at("03-28 22:30:00"), facts={"assignee_id": ana.id, "priority": TicketPriority.URGENT}),
        Told(at("03-31 21:59:59"), facts={"status": TicketStatus.WAITING_ON_CUSTOMER}),
        Told(at("03-31 22:00:00"), [Move(CLOSED, at("04-02 00:00:00"))]),
        Told(at("03-29 05:00:00"), [Move(RESOLVED, at("03-29 06:00:00")), Move(OPEN, at("03-29 07:00:00"), ana.id)]),
        Told(at("03-29 05:00:00"), facts={"deleted_at": at("03-30 00:00:00")}),
        Told(at("03-29 05:00:00"), [Move(RESOLVED, at("03-30 05:00:00"))], imported),
        Told(at("03-30 05:00:00"), facts=imported),
    ]
    stories += [Told(now - timedelta(days=age)) for age in (0, 1, 2, 3, 6, 7, 20, 30)]
    await tell(database, await make.customer(), stories)


def links_of(html: str) -> list[tuple[str, int]]:
    """Every link to the list of tickets, with the number that it stands under."""
    tiles = re.findall(
        r'<a class="tile" href="([^"]+)">.*?tile-value">([^<]+)<.*?tile-note[^>]*>([^<]*)<', html, re.DOTALL
    )
    found = [(href, value if value[0].isdigit() else note) for href, value, note in tiles]
    found += re.findall(r'<a href="(/admin/ticket/list[^"]*)">([\d,]+)</a>', html)
    return [(unescape(href), int("".join(filter(str.isdigit, number)))) for href, number in found]


async def listed(client: Browser, href: str) -> int:
    """How many tickets the list at an address holds."""
    assert (await client.get(href)).status_code == 200
    answer = await client.get(href.replace("/ticket/list", "/ticket/count"), headers={"accept": "application/json"})
    return int(answer.json()["count"])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "America/Los_Angeles"])
@pytest.mark.parametrize("imports", ["", "yes"])
async def test_every_linked_number_is_the_number_of_rows_that_its_list_shows(
    client: Browser, desk: None, zone: str, imports: str
) -> None:
    query = {**SPRING, "zone": zone, "imports": imports}
    html = (await client.get(f"{PAGE}?{urlencode(query)}")).text
    links = links_of(html)
    assert len(links) >= 5 + 4 + 3 + 6 + 4 + 5
    assert dict(links) == {href: await listed(client, href) for href, _ in links}


async def test_the_page_shows_the_numbers_of_its_period(client: Browser, desk: None) -> None:
    html = (await client.get(f"{PAGE}?{urlencode(SPRING)}")).text
    tiles = dict(re.findall(r'tile-label">([^<]+)</span>\s*<span class="tile-value">([^<]+)<', html))
    assert tiles == {
        "Open now": "12",
        "Unassigned": "11",
        "Overdue": "0",
        "Created": "6",
        "Resolved": "4",
        "First response": "too few",
        "Full resolution": "too few",
        "Reopened": "too few",
    }
    assert "2 created and 1 resolved in it" in html


async def test_names_are_escaped_and_there_is_neither_style_nor_script_in_the_page(client: Browser, desk: None) -> None:
    main = (await client.get(f"{PAGE}?{urlencode(SPRING)}")).text.partition("<main")[2].partition("</main>")[0]
    assert "Ana &lt;b&gt;Bold&lt;/b&gt;" in main
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", main)


async def test_the_chart_says_in_words_and_in_a_table_what_it_draws(client: Browser, desk: None) -> None:
    html = (await client.get(f"{PAGE}?{urlencode(SPRING)}")).text
    figure = html.partition("<figure")[2].partition("</figure>")[0]
    for kind in ("only-wide", "only-phone"):
        assert f'role="img" aria-labelledby="{kind}-title {kind}-summary"' in figure
    assert figure.count("6 tickets were created, most on 28 Mar with 3; 4 were resolved, most on 30 Mar with 3.") == 2
    rows = re.findall(r'<time datetime="([^"]+)">.*?</tr>', figure, re.DOTALL)
    assert rows == ["2026-03-28", "2026-03-29", "2026-03-30", "2026-03-31"]
    assert figure.count("<polyline") == 4


@pytest.mark.parametrize("preset", ["7d", "30d", "90d", "this_month", "last_month"])
async def test_usual_periods_are_days_of_the_zone_up_to_today(client: Browser, preset: str) -> None:
    zone = ZoneInfo("Pacific/Auckland")
    today = datetime.now(zone).date()
    html = (await client.get(f"{PAGE}?period={preset}&zone={zone.key}")).text
    days = [date.fromisoformat(day) for day in re.findall(r'<time datetime="(\d{4}-\d\d-\d\d)">', html)]
    first = today.replace(day=1)
    expected = {
        "7d": (today - timedelta(days=6), today),
        "30d": (today - timedelta(days=29), today),
        "90d": (today - timedelta(days=89), today),
        "this_month": (first, today),
        "last_month": ((first - timedelta(days=1)).replace(day=1), first - timedelta(days=1)),
    }
    assert (days[0], days[-1]) == expected[preset]
    assert len(days) == (days[-1] - days[0]).days + 1


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("period=century", "period: “century” is none of 7d, 30d, 90d, this_month, last_month."),
        ("from=2026-01-01", "to: Please give both days, the first and the last."),
        ("to=2026-01-01", "from: Please give both days, the first and the last."),
        ("from=2026-02-30&to=2026-03-01", "from: “2026-02-30” is not a date; write it like 2026-11-21."),
        ("from=2026-03-02&to=2026-03-01", "to: The last day is before the first."),
        ("from=2020-01-01&to=2026-01-01", "to: A period has at most 1,100 days."),
        ("from=0001-01-01&to=0001-01-02", "from: Please choose days between 1970 and 2199."),
        ("from=9999-12-30&to=9999-12-31", "to: Please choose days between 1970 and 2199."),
        ("zone=Mars/Phobos", "zone: “Mars/Phobos” is no time zone known here, such as Europe/Berlin."),
        ("zone=../../etc/passwd", "zone: “../../etc/passwd” is no time zone known here, such as Europe/Berlin."),
        ("zone=%00", "zone: “\x00” is no time zone known here, such as Europe/Berlin."),
        ("imports=perhaps", "imports: “perhaps” is neither yes nor no."),
    ],
)
async def test_what_cannot_be_understood_is_refused_by_name(client: Browser, query: str, sentence: str) -> None:
    answer = await client.get(f"{PAGE}?{query}")
    assert answer.status_code == 400
    assert sentence in unescape(answer.text)


async def test_an_empty_desk_has_a_page(client: Browser) -> None:
    answer = await client.get(PAGE)
    assert answer.status_code == 200
    assert "0 tickets were created" in answer.text


async def test_the_page_is_for_leads_and_auditors(browser: Browser, make: Make) -> None:
    for role, status in {"agent": 403, "auditor": 200, "lead": 200}.items():
        await browser.sign_in(await make.agent(role))
        assert (await browser.get(PAGE)).status_code == status


async def test_the_page_takes_at_most_eight_statements_of_its_own(
    client: Browser, database: Database, desk: None, statements: Statements
) -> None:
    await client.get(PAGE)
    with statements(database) as seen:
        await client.get(PAGE)
    counting = [statement for statement in seen if "ticket" in statement or "users.full_name" in statement]
    assert len(counting) <= 8


# ── the drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_a_chart_stays_inside_its_frame_and_its_labels_apart(frame: Frame) -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(1_100)]
    chart = line_chart(days, {"Created": list(range(1_100)), "Resolved": [0] * 1_100}, frame)
    spots = [tuple(map(float, point.split(","))) for line in chart.lines for point in line.points.split()]
    assert all(frame.left <= x <= frame.right and frame.top <= y <= frame.bottom for x, y in spots)
    assert [tick.label for tick in chart.values] == ["0", "500", "1,000", "1,500"]
    assert len(chart.days) == frame.labels
    assert not chart.lines[0].dots


@pytest.mark.parametrize(
    ("highest", "labels"),
    [(0, ["0", "1"]), (1, ["0", "1"]), (5, ["0", "1", "2", "3", "4", "5"]), (7, ["0", "2", "4", "6", "8"])],
)
def test_grid_lines_are_whole_and_round(highest: int, labels: list[str]) -> None:
    chart = line_chart([date(2026, 1, 1)], {"Created": [highest]}, WIDE)
    assert [tick.label for tick in chart.values] == labels
    assert chart.values[0].at == WIDE.bottom
    assert chart.values[-1].at == WIDE.top


def test_a_day_says_its_numbers_when_one_points_at_it() -> None:
    chart = line_chart([date(2026, 3, 29)], {"Created": [1200], "Resolved": [0]}, WIDE)
    assert chart.slots[0].title == "29 Mar 2026: 1,200 created, 0 resolved"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0.4, "0 s"),
        (45, "45 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (3_599, "1 h"),
        (11_520, "3 h 12 min"),
        (86_399, "1 d"),
        (187_200, "2 d 4 h"),
        (86_400 * 1_234, "1,234 d"),
    ],
)
def test_durations_are_said_in_their_two_greatest_units(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_shares_are_said_in_percent() -> None:
    assert [share(rate) for rate in (None, 0.0, 0.004, 0.075, 0.1, 1.25)] == ["–", "0%", "0.4%", "7.5%", "10%", "125%"]


async def test_the_start_page_counts_what_needs_doing_and_each_number_leads_to_its_tickets(
    client: Browser, make: Make
) -> None:
    assert client.actor is not None
    mine = await make.ticket(assignee_id=client.actor.id)
    await make.ticket()
    await make.ticket(due_at=datetime.now(UTC) - timedelta(days=1))
    page = (await client.get("/admin/")).text
    for label, number in (("My open tickets", 1), ("Unassigned", 2), ("Overdue", 1), ("Waiting on customer", 0)):
        found = re.search(rf'href="([^"]+)">\s*<span class="tile-label">{label}</span>\s*<span[^>]*>(\d+)<', page)
        assert found, label
        assert int(found[2]) == number
        listed = await client.get(unescape(found[1]))
        assert len(re.findall(r"name=ids value=(\d+)", listed.text)) == number
        assert (label != "My open tickets") or mine.ticket_number in listed.text
