"""The history on each record, and the page that searches the audit log, through the door."""

import re
from datetime import UTC, datetime
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from admin_app.db import Acting, Database
from admin_app.models import Comment, Door, Tag, Ticket, User
from admin_app.plugin import Visit
from admin_app.queries import tickets
from admin_app.queries.changes import Chosen
from admin_app.testing import Browser, Make, Statements
from plugins.audit_viewer.asked import Asked

PAGE = "/admin/page/audit_viewer/audit_log"


def text_of(html: str) -> str:
    """What a person reads of some markup, with one space between words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def events_of(html: str) -> list[str]:
    """Every entry of a timeline as a person reads it, without its icon's name."""
    return [text_of(event) for event in re.findall(r'<li class="event">(.*?)</li>', html, re.DOTALL)]


@pytest.fixture
async def ticket(database: Database, make: Make) -> Ticket:
    """A ticket that a lead has given to Ana, with a reason, and that has a tag."""
    lead, ana = await make.lead(full_name="Lea Lead"), await make.agent(full_name="Ana <i>Agent</i>")
    made = await make.ticket(title="Printer on fire")
    acting = Acting(user_id=lead.id, door=Door.WEB, reason="She knows printers")
    async with database.transaction(acting, "assign.assign") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, [made.id]), ana)
    await make.tag("hardware", made)
    return made


async def test_a_record_shows_who_changed_what_from_what_to_what(client: Browser, ticket: Ticket) -> None:
    html = (await client.get(f"/admin/ticket/details/{ticket.id}")).text
    tagged, given, made = events_of(html)
    assert given.startswith("Lea Lead changed ")
    assert "Web · assign.assign · change set" in given
    assert given.endswith("She knows printers Assignee empty is now Ana <i>Agent</i>")
    assert tagged.startswith("Backdesk added ")
    assert tagged.endswith("Tag hardware")
    assert made.startswith("Backdesk created ")
    assert "Title Printer on fire" in made
    assert "<i>Agent</i>" not in html


async def test_the_history_leads_to_its_change_sets(client: Browser, ticket: Ticket) -> None:
    html = (await client.get(f"/admin/ticket/details/{ticket.id}")).text
    links = re.findall(r'href="(/admin/change_set/details/\d+)"', html)
    assert len(links) == 3
    assert (await client.get(links[0])).status_code == 200


async def test_the_history_leads_those_who_may_to_undoing_a_change(client: Browser, make: Make) -> None:
    ticket, agent = await make.ticket(), await make.agent()
    await client.submit("/admin/ticket/do/assign.assign", {"ids": ticket.id, "agent": agent.id, "confirmed": "1"})
    [address] = set(re.findall(r'href="(/admin/change_set/\d+/undo)"', await history_of(client, ticket)))
    assert (await client.submit(address)).status_code == 303
    assert address not in await history_of(client, ticket)
    await client.sign_in(await make.agent("auditor"))
    assert "/undo" not in await history_of(client, ticket)


async def history_of(browser: Browser, ticket: Ticket) -> str:
    """The page of a ticket, from its history on."""
    return (await browser.get(f"/admin/ticket/details/{ticket.id}")).text.partition(">History<")[2]


async def test_a_long_history_ends_with_a_link_to_the_rest(client: Browser, database: Database, make: Make) -> None:
    ticket = await make.ticket()
    for number in range(16):
        async with database.transaction(Acting.system(), "ticket.edit") as change:
            changed = update(Ticket).where(Ticket.id == ticket.id).values(title=f"Title {number}")
            await change.session.execute(changed)
    html = (await client.get(f"/admin/ticket/details/{ticket.id}")).text
    assert len(events_of(html)) == 15
    [more] = re.findall(r'href="(/admin/page/audit_viewer/audit_log[^"]*)"', html)[-1:]
    assert len(events_of((await client.get(unescape(more))).text)) == 17


async def test_those_who_may_not_see_the_audit_log_see_no_history(browser: Browser, make: Make, ticket: Ticket) -> None:
    for role, sees in {"agent": False, "auditor": True}.items():
        await browser.sign_in(await make.agent(role))
        html = (await browser.get(f"/admin/ticket/details/{ticket.id}")).text
        assert ("She knows printers" in html) is sees
        assert (await browser.get(PAGE)).status_code == (200 if sees else 403)


async def test_a_password_never_shows(client: Browser, database: Database, make: Make) -> None:
    person = await make.agent()
    async with database.transaction(Acting.system(), "user.password") as change:
        await change.session.execute(update(User).where(User.id == person.id).values(password_hash="argon2-of-it"))
    for url in (f"/admin/user/details/{person.id}", PAGE):
        html = (await client.get(url)).text
        assert "Password hash was (secret) is now (secret)" in text_of(html)
        assert "argon2-of-it" not in html


async def test_the_log_names_records_and_leads_to_them(client: Browser, ticket: Ticket) -> None:
    html = (await client.get(f"{PAGE}?type=tickets&record={ticket.ticket_number}")).text
    given, made = events_of(html)
    assert given.startswith(f"Lea Lead changed ticket {ticket.ticket_number} ")
    assert made.startswith(f"Backdesk created ticket {ticket.ticket_number} ")
    assert html.count(f'href="/admin/ticket/details/{ticket.id}"') == 2


async def test_a_deleted_record_is_named_but_not_linked(client: Browser, database: Database, make: Make) -> None:
    comment = await make.comment(await make.ticket(), await make.agent(), "Gone by noon.")
    async with database.transaction(Acting.system(), "comment.delete") as change:
        await change.session.delete(await change.session.get_one(Comment, comment.id))
    html = (await client.get(f"{PAGE}?type=comments&action=DELETE")).text
    [deleted] = events_of(html)
    assert deleted.startswith(f"Backdesk deleted comment {comment.id} ")
    assert "Gone by noon." in deleted
    assert f"/admin/comment/details/{comment.id}" not in html


async def test_the_log_is_filtered_by_person_action_and_days(client: Browser, ticket: Ticket) -> None:
    lead = re.search(r'<option value="(\d+)">Lea Lead</option>', (await client.get(PAGE)).text)
    assert lead
    by_lead = f"person={lead[1]}&type=tickets"
    for query, number in {
        by_lead: 1,
        f"{by_lead}&action=UPDATE": 1,
        f"{by_lead}&action=DELETE": 0,
        f"{by_lead}&from=2020-01-01": 1,
        f"{by_lead}&to=2020-01-01": 0,
        f"record={ticket.id}": 2,
        f"record={ticket.id}&type=tags": 0,
        "request=unknown": 0,
    }.items():
        html = (await client.get(f"{PAGE}?{query}")).text
        assert len(events_of(html)) == number, query
    assert "Nothing was changed" in html


async def test_filters_stay_while_one_pages_back_and_forth(client: Browser, database: Database) -> None:
    async with database.transaction(Acting.system(), "tag.create") as change:
        change.session.add_all(Tag(name=f"tag {number}") for number in range(120))
    first = (await client.get(f"{PAGE}?type=tags&action=CREATE")).text
    pages = [events_of(first)]
    html = first
    while older := re.search(r'<a class="button small" rel="next" href="([^"]+)"', html):
        html = (await client.get(PAGE + unescape(older[1]))).text
        pages.append(events_of(html))
    assert [len(page) for page in pages] == [50, 50, 20]
    assert len({event for page in pages for event in page}) == 120
    [newer] = [unescape(url) for url in re.findall(r'href="(\?[^"]*after=[^"]+)"', html)]
    assert "type=tags" in newer
    assert events_of((await client.get(PAGE + newer)).text) == pages[1]


def test_days_are_the_viewers_and_the_last_one_is_included() -> None:
    query = {"from": ["2026-03-29"], "to": ["2026-03-29"]}
    found = Asked.parse(Visit(1, frozenset(), ZoneInfo("Europe/Berlin"), query)).filter
    assert found.start == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert found.before == datetime(2026, 3, 29, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("type=secrets", "type: “secrets” is none of"),
        ("action=EXPLODE", "action: “EXPLODE” is none of CREATE, UPDATE, DELETE."),
        ("person=ana", "person: “ana” is not an id, which is a positive whole number."),
        ("person=0", "person: “0” is not an id, which is a positive whole number."),
        ("person=99999999999999999999", "person: “99999999999999999999” is not an id"),
        ("change_set=-1", "change_set: “-1” is not an id, which is a positive whole number."),
        ("before=x", "before: “x” is not an id, which is a positive whole number."),
        ("before=5&after=3", "after: Give before or after, not both."),
        ("record=%00", "record: It has at most 100 characters, all of them printable."),
        (f"request={'x' * 101}", "request: It has at most 100 characters, all of them printable."),
        ("from=yesterday", "from: “yesterday” is not a date; write it like 2026-11-21."),
        ("from=0001-01-01", "from: Please choose a day between 1970 and 2199."),
        ("to=9999-12-31", "to: “9999-12-31” is not a date; write it like 2026-11-21."),
        ("from=2026-01-02&to=2026-01-01", "to: The last day is before the first."),
    ],
)
async def test_what_cannot_be_understood_is_refused_by_name(client: Browser, query: str, sentence: str) -> None:
    answer = await client.get(f"{PAGE}?{query}")
    assert answer.status_code == 400
    assert sentence in unescape(answer.text)


async def test_the_page_takes_three_statements_of_its_own_however_many_entries_there_are(
    client: Browser, database: Database, ticket: Ticket, statements: Statements
) -> None:
    await client.get(PAGE)
    with statements(database) as seen:
        await client.get(PAGE)
    own = [statement for statement in seen if "audit_logs" in statement or "UNION ALL" in statement]
    staff = [statement for statement in seen if "users.is_staff" in statement and "audit_logs" not in statement]
    assert (len(own), len(staff)) == (2, 1)
