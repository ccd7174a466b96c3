"""Saved views in the database: who sees which, in which order, under which name, and how they are counted."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, ChangedMeanwhile, NotFound, Unavailable
from admin_app.models import Role, SavedView, Ticket, User
from admin_app.queries import saved_views
from admin_app.queries.listing import ListQuery, within
from admin_app.queries.periods import Viewer
from admin_app.queries.saved_views import COUNTED, MOST, View
from admin_app.registry import Registry, ship_views
from admin_app.testing import Make, Statements

VIEWER = Viewer(1, ZoneInfo("Europe/Berlin"), datetime(2026, 11, 21, 12, tzinfo=UTC))


async def added(database: Database, name: str, **facts: Any) -> SavedView:
    """A new view, of the tickets unless facts say otherwise."""
    async with database.transaction(Acting.system(), "test.make") as change:
        return await saved_views.add(change.session, SavedView(**{"resource": "ticket", "name": name, **facts}))


async def names_of(database: Database, person: User, *, others: bool = False) -> list[str]:
    """The names of the views that somebody sees, in order."""
    async with database.read() as session:
        return [view.name for view in await saved_views.of_person(session, person.id, others=others)]


async def role_id(database: Database, name: str) -> int:
    async with database.read() as session:
        return (await session.scalars(select(Role.id).where(Role.name == name))).one()


async def test_people_see_their_own_views_first_then_those_of_their_roles_then_everybodys(
    database: Database, make: Make
) -> None:
    ana, bob, lead = await make.agent(), await make.agent(), await make.lead()
    await added(database, "All")
    await added(database, "Agents", role_id=await role_id(database, "agent"))
    await added(database, "Leads", role_id=await role_id(database, "lead"))
    await added(database, "Second", user_id=ana.id)
    await added(database, "Another", user_id=ana.id)
    assert await names_of(database, ana) == ["Second", "Another", "Agents", "All"]
    assert await names_of(database, bob) == ["Agents", "All"]
    assert await names_of(database, lead) == ["Leads", "All"]
    assert await names_of(database, lead, others=True) == ["Agents", "Leads", "All"]


async def test_a_view_that_somebody_does_not_see_is_not_found(database: Database, make: Make) -> None:
    ana, bob = await make.agent(), await make.agent()
    view = await added(database, "Mine", user_id=ana.id)
    async with database.read() as session:
        assert (await saved_views.one(session, view.id, ana.id)).name == "Mine"
        for person, others in ((bob.id, False), (bob.id, True)):
            with pytest.raises(NotFound):
                await saved_views.one(session, view.id, person, others=others)
        with pytest.raises(ChangedMeanwhile):
            await saved_views.one(session, view.id, ana.id, version=view.version + 1)


async def test_a_name_is_given_once_for_the_same_people_and_list_in_any_case(database: Database, make: Make) -> None:
    ana = await make.agent()
    await added(database, "Late  ones", user_id=ana.id)
    with pytest.raises(BadInput, match="“Late ones” is the name of another view"):
        await added(database, " late ones", user_id=ana.id)
    for facts in ({}, {"user_id": ana.id, "resource": "tag"}):
        assert (await added(database, "Late ones", **facts)).name == "Late ones"
    for wrong in ("", "  ", "x" * 101, "a\x00b"):
        with pytest.raises(BadInput):
            await added(database, wrong)


async def test_there_is_a_bound_to_the_views_of_the_same_people(database: Database, make: Make) -> None:
    ana = await make.agent()
    for number in range(MOST):
        await added(database, f"View {number}", user_id=ana.id)
    with pytest.raises(BadInput, match=f"There are {MOST} views"):
        await added(database, "One more", user_id=ana.id)
    await added(database, "One more")


async def test_a_view_moves_among_those_of_its_people_and_no_further_than_the_ends(
    database: Database, make: Make
) -> None:
    ana = await make.agent()
    views = {name: await added(database, name) for name in ("A", "B", "C")}
    await added(database, "Own", user_id=ana.id)
    for name, step, order in (
        ("C", -1, "ACB"),
        ("A", 1, "CAB"),
        ("C", -1, "CAB"),
        ("B", 1, "CAB"),
        ("B", -1, "CBA"),
    ):
        async with database.transaction(Acting.system(), "test.move") as change:
            view = await change.session.get_one(SavedView, views[name].id)
            await saved_views.move(change.session, view, step)
        assert await names_of(database, ana) == ["Own", *order]


def view(query: str) -> View:
    return View(id=5, resource="ticket", name="V", icon="filter", query=query, mine=True, role=None)


def test_an_address_within_a_view_says_only_what_differs(registry: Registry) -> None:
    saved = view("status=open&sort=due_at&size=100")
    for pairs, said in (
        ([("status", "open"), ("sort", "due_at"), ("size", "100")], []),
        ([("status", "closed"), ("sort", "due_at"), ("size", "100")], [("status", "closed")]),
        ([("status", "open"), ("size", "100")], [("sort", "")]),
        ([("q", "vpn")], [("q", "vpn"), ("status", ""), ("sort", ""), ("size", "")]),
    ):
        address = saved.without(pairs)
        assert address == [("view", "5"), *said]
        resource = registry.resource("ticket")
        left = [pair for pair in within(resource, saved, address) if pair[1]]
        assert sorted(left) == sorted(pairs)


def test_what_is_given_takes_the_place_of_what_a_view_says_under_any_of_its_names(registry: Registry) -> None:
    resource, saved = registry.resource("ticket"), view("created_at=last-7-days&tags=vip&status=open")
    for given, left in (
        ([("created", "today")], [("tags", "vip"), ("status", "open"), ("created", "today")]),
        ([("created_at_from", "2026-01-01")], [("tags", "vip"), ("status", "open"), ("created_at_from", "2026-01-01")]),
        ([("tag", "")], [("created_at", "last-7-days"), ("status", "open"), ("tag", "")]),
        ([("status!", "open")], [*saved.pairs, ("status!", "open")]),
    ):
        assert within(resource, saved, [("view", "5"), *given]) == left


async def test_shipped_views_are_made_once_and_what_a_lead_did_to_them_stays(
    database: Database, registry: Registry, make: Make, statements: Statements
) -> None:
    ana = await make.agent()
    await ship_views(database, registry)
    names = await names_of(database, ana)
    assert names[:3] == ["My open", "My overdue", "Unassigned"]
    assert "Trash" in names
    async with database.transaction(Acting.system(), "test.change") as change:
        kept = {one.name: one for one in await saved_views.every(change.session)}
        await change.session.delete(kept["Trash"])
        kept["Overdue"].name = "Too late"
        kept["My open"].query = "assignee=me"
    with statements(database) as seen:
        await ship_views(database, registry)
    assert len(seen) == 1
    async with database.read() as session:
        found = {one.name: one.query for one in await saved_views.every(session)}
    assert "Trash" not in found
    assert "Overdue" not in found
    assert found["Too late"]
    assert found["My open"] == "assignee=me"


async def test_a_shipped_view_whose_name_somebody_took_before_is_left_out(
    database: Database, registry: Registry, make: Make
) -> None:
    ana = await make.agent()
    await added(database, "overdue", query="status=closed")
    await ship_views(database, registry)
    names = await names_of(database, ana)
    assert [name for name in names if name.lower() == "overdue"] == ["overdue"]


async def test_queues_are_counted_in_one_statement_up_to_a_bound(
    database: Database, make: Make, statements: Statements
) -> None:
    customer = await make.customer()
    async with database.transaction(Acting.system(), "test.make") as change:
        await change.session.execute(
            text(
                "INSERT INTO tickets (title, description, creator_id, priority) "
                "SELECT 'Many', 'd', :creator, 'low' FROM generate_series(1, 1003)"
            ),
            {"creator": customer.id},
        )
    await make.ticket(priority="urgent", creator_id=customer.id)
    found = {
        number: select(Ticket.id).where(Ticket.creator_id == customer.id, Ticket.priority == priority)
        for number, priority in ((7, "low"), (8, "urgent"), (9, "high"))
    }
    async with database.read() as session:
        with statements(database) as seen:
            counted = await saved_views.counts(session, found, 5_000)
        assert await saved_views.counts(session, {}, 5_000) == {}
    assert counted == {7: COUNTED + 1, 8: 1, 9: 0}
    assert len([statement for statement in seen if "set_config" not in statement]) == 1


async def test_counting_that_takes_too_long_ends(database: Database) -> None:
    with pytest.raises(Unavailable):
        async with database.read() as session:
            await saved_views.counts(session, {1: select(text("pg_sleep(5)"))}, 50)


async def test_every_shipped_view_is_understood_and_can_be_counted(
    database: Database, registry: Registry, make: Make
) -> None:
    await make.ticket()
    for resource in registry.resources.values():
        for shipped in resource.views:
            asked = ListQuery.parse(resource, view(shipped.query).pairs, VIEWER)
            assert asked.pairs() == view(shipped.query).pairs, "a shipped view is written as its list writes it"
            async with database.read() as session:
                await session.execute(select(resource.model).where(*asked.conditions()))
