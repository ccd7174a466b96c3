"""The audit log as people read it: the history of a record, and the search through everything."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from admin_app.db import Acting, Database
from admin_app.errors import BadInput
from admin_app.models import AuditLog, Door, Tag, Ticket, TicketStatus, TicketTag, User
from admin_app.queries import audit, tickets
from admin_app.queries.audit import AuditFilter, AuditPage, Entry
from admin_app.queries.changes import Chosen
from admin_app.queries.readable import Excerpt, FieldChange, table_label
from admin_app.testing import Make, Statements


async def history(database: Database, table: str, record_id: int, **options: int) -> AuditPage:
    async with database.read() as session:
        return await audit.history(session, table, str(record_id), **options)


async def search(database: Database, wanted: AuditFilter | None = None, **options: int) -> AuditPage:
    async with database.read() as session:
        return await audit.search(session, wanted or AuditFilter(), **options)


def field(entry: Entry, label: str) -> FieldChange:
    [found] = [change for change in entry.changes if change.label == label]
    return found


async def test_history_says_who_gave_a_ticket_to_whom_through_which_door_and_why(
    database: Database, make: Make
) -> None:
    lead, ana = await make.lead(full_name="Lea Lead"), await make.agent(full_name="Ana Agent")
    ticket = await make.ticket()
    acting = Acting(user_id=lead.id, door=Door.WEB, reason="Ana knows this customer", request_id="request-1")
    async with database.transaction(acting, "assign.assign") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, [ticket.id]), ana)
    given, made = (await history(database, "tickets", ticket.id)).entries
    assert (given.verb, given.who, given.door, given.change_action) == ("changed", "Lea Lead", "web", "assign.assign")
    assert (given.reason, given.request_id, given.change_set_id) == ("Ana knows this customer", "request-1", change.id)
    assert given.record == ticket.ticket_number
    assert given.changes == (FieldChange("Assignee", None, "Ana Agent", "record"),)
    assert (made.verb, made.who, made.door) == ("created", "Backdesk", "code")
    assert field(made, "Requester").new == (await make_name(database, ticket.creator_id))
    assert field(made, "Requester").old is None


async def make_name(database: Database, user_id: int) -> str:
    async with database.read() as session:
        return (await session.execute(select(User.full_name).where(User.id == user_id))).scalar_one()


async def test_statuses_are_in_words_and_times_stay_times(database: Database, make: Make) -> None:
    lead, ticket = await make.lead(), await make.ticket()
    chosen = Chosen.of(Ticket, [ticket.id])
    async with database.transaction(Acting(user_id=lead.id), "status.set") as change:
        await tickets.set_status(change.session, chosen, TicketStatus.WAITING_ON_CUSTOMER, lead.id)
    async with database.transaction(Acting(user_id=lead.id), "status.set") as change:
        await tickets.set_status(change.session, chosen, TicketStatus.RESOLVED, lead.id)
    resolved, waiting, _ = (await history(database, "tickets", ticket.id)).entries
    assert waiting.changes == (FieldChange("Status", "Open", "Waiting on customer", "choice"),)
    when = field(resolved, "Resolved")
    assert (when.kind, when.old) == ("instant", None)
    assert isinstance(when.new, datetime)
    assert abs(when.new - datetime.now(UTC)) < timedelta(minutes=5)
    assert field(resolved, "Resolved by").new == lead.full_name


async def test_yes_and_no_are_words(database: Database, make: Make) -> None:
    tag = await make.tag("billing")
    async with database.transaction(Acting.system(), "test.deactivate") as change:
        await change.session.execute(update(Tag).where(Tag.id == tag.id).values(is_active=False))
    assert (await history(database, "tags", tag.id)).entries[0].changes == (
        FieldChange("Active", "yes", "no", "switch"),
    )


async def test_a_tickets_tags_are_in_its_history_and_no_other_tickets(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    tag = await make.tag("billing", ticket, await make.ticket())
    async with database.transaction(Acting.system(), "test.untag") as change:
        await change.session.delete(await change.session.get_one(TicketTag, (ticket.id, tag.id)))
    untagged, tagged, made = (await history(database, "tickets", ticket.id)).entries
    assert (tagged.verb, tagged.changes) == ("added", (FieldChange("Tag", None, "billing", "record"),))
    assert (untagged.verb, untagged.changes) == ("removed", (FieldChange("Tag", "billing", None, "record"),))
    assert made.verb == "created"


async def test_an_id_that_begins_another_id_brings_none_of_its_links(database: Database, make: Make) -> None:
    """Record 7 has no part in what is written of `70,1` or of `7-`."""
    rows: list[dict[str, Any]] = [
        {"table_name": "ticket_tags", "record_id": record_id, "action": "CREATE", "actor_kind": "system", "changes": {}}
        for record_id in ("7,1", "70,1", "7", "7-1", "77,7")
    ]
    async with database.transaction(Acting.system(), "test.audit") as change:
        await change.session.execute(text("SET LOCAL ROLE none"))
        await change.session.execute(insert(AuditLog), rows)
        await change.session.execute(text("RESET ROLE"))
    assert [entry.record_id for entry in (await history(database, "tickets", 7)).entries] == ["7,1"]


async def test_a_secret_says_only_that_it_changed(database: Database, make: Make) -> None:
    person = await make.agent()
    async with database.transaction(Acting.system(), "user.password") as change:
        await change.session.execute(update(User).where(User.id == person.id).values(password_hash="argon2-of-it"))
    changed = (await history(database, "users", person.id)).entries[0]
    assert changed.changes == (FieldChange("Password hash", "(secret)", "(secret)", "secret"),)
    assert "argon2-of-it" not in repr(await search(database))


async def test_long_texts_show_where_they_differ_and_how_long_they_are(database: Database, make: Make) -> None:
    before = "The printer on floor 3 is out of toner. " * 50
    after = before[:1000] + "PAPER" + before[1000:]
    ticket = await make.ticket(description=before)
    async with database.transaction(Acting.system(), "ticket.edit") as change:
        await change.session.execute(update(Ticket).where(Ticket.id == ticket.id).values(description=after))
    changed, made = (await history(database, "tickets", ticket.id)).entries
    assert field(made, "Description").new == Excerpt("", 2000)
    [description] = changed.changes
    assert description.kind == "long"
    assert isinstance(description.old, Excerpt)
    assert isinstance(description.new, Excerpt)
    assert (description.old.length, description.new.length) == (2000, 2005)
    assert description.new.text == f"…{before[960:1000]}PAPER{before[1000:1040]}…"
    assert description.old.text == f"…{before[960:1040]}…"


async def test_a_long_difference_is_cut_to_200_characters(database: Database, make: Make) -> None:
    ticket = await make.ticket(description="Short.")
    async with database.transaction(Acting.system(), "ticket.edit") as change:
        longer = update(Ticket).where(Ticket.id == ticket.id).values(description="Sh" + "x" * 5000)
        await change.session.execute(longer)
    [description] = (await history(database, "tickets", ticket.id)).entries[0].changes
    assert (description.old, description.new) == (Excerpt("Short.", 6), Excerpt("Sh" + "x" * 198 + "…", 5002))


async def test_a_short_text_is_shown_whole(database: Database, make: Make) -> None:
    ticket = await make.ticket(title="Printer")
    async with database.transaction(Acting.system(), "ticket.edit") as change:
        await change.session.execute(update(Ticket).where(Ticket.id == ticket.id).values(title="Printer, floor 3"))
    [title] = (await history(database, "tickets", ticket.id)).entries[0].changes
    assert title == FieldChange("Title", "Printer", "Printer, floor 3", "text")


async def test_a_change_outside_backdesk_names_the_database_user(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    async with database.read() as session:
        for setting in ("app.change_set_id", "app.user_id", "app.actor_kind"):
            await session.execute(text("SELECT set_config(:name, '', true)"), {"name": setting})
        await session.execute(text("SET LOCAL ROLE none"))
        await session.execute(text("UPDATE tickets SET priority = 'urgent' WHERE id = :id"), {"id": ticket.id})
        owner = (await session.execute(text("SELECT session_user"))).scalar_one()
        page = await audit.history(session, "tickets", str(ticket.id))
    assert page.entries[0].who == f"Database user {owner}"
    assert page.entries[0].change_set_id is None
    assert page.entries[0].changes == (FieldChange("Priority", "Medium", "Urgent", "choice"),)


async def test_what_a_missing_plugin_left_behind_can_still_be_read(database: Database) -> None:
    row = {
        "table_name": "loans_items",
        "record_id": "5",
        "action": "UPDATE",
        "actor_kind": "system",
        "changes": {"old": {"due_on": None, "parts": [1]}, "new": {"due_on": "2026-11-21", "parts": {"a": 2}}},
    }
    async with database.transaction(Acting.system(), "test.audit") as change:
        await change.session.execute(text("SET LOCAL ROLE none"))
        await change.session.execute(insert(AuditLog), [row])
        await change.session.execute(text("RESET ROLE"))
    [entry] = (await search(database, AuditFilter(table="loans_items"))).entries
    assert (table_label(entry.table), entry.record) == ("Loans items", "5")
    assert entry.changes == (
        FieldChange("Due on", None, "2026-11-21", "text"),
        FieldChange("Parts", "[1]", '{"a": 2}', "text"),
    )


async def test_history_goes_on_where_the_page_ended(database: Database, make: Make) -> None:
    ticket = await make.ticket()
    for number in range(5):
        async with database.transaction(Acting.system(), "ticket.edit") as change:
            changed = update(Ticket).where(Ticket.id == ticket.id).values(title=f"Title {number}")
            await change.session.execute(changed)
    seen, older = [], None
    while True:
        options = {"limit": 2} if older is None else {"limit": 2, "before_id": older}
        page = await history(database, "tickets", ticket.id, **options)
        seen += [entry.changes[0].new for entry in page.entries if entry.action == "UPDATE"]
        if (older := page.older) is None:
            break
    assert seen == [f"Title {number}" for number in (4, 3, 2, 1, 0)]


async def test_search_walks_to_the_oldest_and_back_and_meets_every_entry_once(database: Database, make: Make) -> None:
    for _ in range(3):
        await make.ticket()
    everything = [entry.id for entry in (await search(database, limit=200)).entries]
    page = await search(database, limit=4)
    assert page.newer is None
    pages = [page]
    while pages[-1].older is not None:
        pages.append(await search(database, limit=4, before_id=pages[-1].older))
    assert [entry.id for page in pages for entry in page.entries] == everything
    back = [pages[-1]]
    while back[-1].newer is not None:
        back.append(await search(database, limit=4, after_id=back[-1].newer))
    ids = [entry.id for page in reversed(back) for entry in page.entries]
    assert ids == everything
    assert back[-1].entries == pages[0].entries


@pytest.fixture
async def log(database: Database, make: Make) -> dict[str, int]:
    """A ticket made by the system, and given to an agent by a lead in a request that is known."""
    lead, agent, ticket = await make.lead(), await make.agent(), await make.ticket()
    async with database.transaction(Acting(user_id=lead.id, request_id="request-7"), "assign.assign") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, [ticket.id]), agent)
    async with database.transaction(Acting(user_id=lead.id), "tag.create") as other:
        other.session.add(Tag(name="vip"))
    return {"lead": lead.id, "ticket": ticket.id, "change": change.id, "number": int(ticket.ticket_number[4:])}


async def test_search_filters_by_record_person_action_change_set_and_request(
    database: Database, log: dict[str, int]
) -> None:
    async def verbs(wanted: AuditFilter) -> list[tuple[str, str]]:
        return [(entry.verb, entry.table) for entry in (await search(database, wanted)).entries]

    given, made, tagged = ("changed", "tickets"), ("created", "tickets"), ("created", "tags")
    assert await verbs(AuditFilter(table="tickets")) == [given, made]
    assert await verbs(AuditFilter(table="tickets", record=str(log["ticket"]))) == [given, made]
    assert await verbs(AuditFilter(table="tickets", record=f"sup-{log['number']:06}")) == [given, made]
    assert await verbs(AuditFilter(table="tickets", record="SUP-none")) == []
    assert await verbs(AuditFilter(user_id=log["lead"])) == [tagged, given]
    assert await verbs(AuditFilter(user_id=log["lead"], action="UPDATE")) == [given]
    assert await verbs(AuditFilter(change_set_id=log["change"])) == [given]
    assert await verbs(AuditFilter(request_id="request-7")) == [given]
    assert await verbs(AuditFilter(request_id="request-8")) == []


async def test_a_range_of_time_is_half_open(database: Database, log: dict[str, int]) -> None:
    newest, second, *_ = (await search(database)).entries
    from_second = await search(database, AuditFilter(start=second.at, before=newest.at))
    assert [entry.id for entry in from_second.entries] == [second.id]


async def test_history_takes_one_statement_and_search_two_however_much_there_is(
    database: Database, make: Make, statements: Statements
) -> None:
    ticket = await make.ticket(assignee_id=(await make.agent()).id)
    for name in ("one", "two", "three"):
        await make.tag(name, ticket)
    async with database.read() as session:
        with statements(database) as seen:
            await audit.history(session, "tickets", str(ticket.id))
            after_history = list(seen)
            await audit.search(session, AuditFilter())
    assert len([statement for statement in after_history if "SAVEPOINT" not in statement]) == 1
    assert len([statement for statement in seen if "SAVEPOINT" not in statement]) == 3


async def test_pages_have_limits_and_one_direction(database: Database) -> None:
    for limit in (0, 201):
        with pytest.raises(BadInput, match="A page has 1 to 200 entries"):
            await search(database, limit=limit)
        with pytest.raises(BadInput, match="A page has 1 to 200 entries"):
            await history(database, "tickets", 1, limit=limit)
    with pytest.raises(BadInput, match="not both"):
        await search(database, before_id=5, after_id=3)


async def test_people_are_staff_in_the_order_of_the_alphabet(database: Database, make: Make) -> None:
    ben, ana = await make.agent(full_name="ben"), await make.agent(full_name="Ana")
    await make.customer(full_name="Aaron")
    async with database.read() as session:
        assert list((await audit.people(session)).items()) == [(ana.id, "Ana"), (ben.id, "ben")]


async def test_whoever_had_a_ticket_before_is_named_and_what_is_no_number_is_no_reference(
    database: Database, make: Make
) -> None:
    ana, ben = await make.agent(full_name="Ana"), await make.agent(full_name="Ben")
    ticket = await make.ticket(assignee_id=ana.id)
    row = {"table_name": "tickets", "record_id": str(ticket.id), "action": "UPDATE", "actor_kind": "system"}
    changes = [
        {"old": {"assignee_id": ana.id}, "new": {"assignee_id": ben.id}},
        {"old": {"assignee_id": "x"}, "new": {"assignee_id": 10**25, "title": {"length": 1, "sha256": "y"}}},
    ]
    async with database.transaction(Acting.system(), "test.audit") as change:
        await change.session.execute(text("SET LOCAL ROLE none"))
        await change.session.execute(insert(AuditLog), [{**row, "changes": one} for one in changes])
        await change.session.execute(text("RESET ROLE"))
    strange, given, made = (await history(database, "tickets", ticket.id)).entries
    assert field(given, "Assignee") == FieldChange("Assignee", "Ana", "Ben", "record")
    assert field(strange, "Assignee") == FieldChange("Assignee", "User x", f"User {10**25}", "record")
    assert {entry.record for entry in (strange, given, made)} == {ticket.ticket_number}


@pytest.mark.parametrize("record_id", ["0", "9223372036854775808", "99999999999999999999999", "x", "1,2"])
async def test_what_is_no_record_has_no_history(database: Database, record_id: str) -> None:
    async with database.read() as session:
        for table in ("tickets", "users", "audit_logs", "nothing"):
            assert await audit.history(session, table, record_id) == AuditPage(())
