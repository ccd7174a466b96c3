"""Actions through the API: rows by ids, a filter or a selection; previews, keys, long work, and taking it back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from click.testing import CliRunner
from sqlalchemy import URL, func, select, update

from admin_app import jobs
from admin_app.actions import Operator, Order, perform
from admin_app.app import create_app
from admin_app.cli import main
from admin_app.db import Acting, Database
from admin_app.models import AuditLog, ChangeSet, Door, RowOutcome, Ticket
from admin_app.plugin import Chosen
from admin_app.registry import Registry, declare_permissions
from admin_app.settings import Settings
from admin_app.testing import Browser, Make, Script
from tests.api.test_records import error
from tests.web.forms import role

ASSIGN = "/api/ticket/actions/assign.assign"


async def assignees(database: Database) -> dict[int, int | None]:
    async with database.read() as session:
        return {row.id: row.assignee_id for row in await session.execute(select(Ticket.id, Ticket.assignee_id))}


async def number_of(database: Database, model: type[Any]) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def test_an_action_is_done_to_rows_by_their_ids(api: Script, make: Make) -> None:
    agent, tickets = await make.agent(full_name="Ana"), [await make.ticket() for _ in range(3)]
    body = {
        "ids": [tickets[0].id, tickets[1].id, tickets[1].id, 999_999_999],
        "inputs": {"agent": agent.id},
        "reason": "Handover",
        "reference": "TICKET-123",
    }
    answer = await api.post(ASSIGN, json=body)
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert (done["state"], done["changed"], done["skipped"]) == ("completed", 2, {"not found": 1})
    assert (done["requested"], done["done"], done["door"]) == (3, 3, "api")
    assert (done["reason"], done["reference"]) == ("Handover", "TICKET-123")
    assert done["sentence"] == "Assign to agent: 2 tickets changed, 1 skipped (1 not found)."
    assert answer.headers["location"] == f"/api/change_set/{done['id']}"
    assert await assignees(api.desk.database) == {
        tickets[0].id: agent.id,
        tickets[1].id: agent.id,
        tickets[2].id: None,
    }
    outcomes = (await api.get(f"/api/change_set/{done['id']}/outcomes")).json()
    assert outcomes == {
        "items": [
            {"id": tickets[0].id, "outcome": "changed", "failed": False},
            {"id": tickets[1].id, "outcome": "changed", "failed": False},
            {"id": 999_999_999, "outcome": "not found", "failed": False},
        ],
        "next": None,
    }
    skipped = await api.get(f"/api/change_set/{done['id']}/outcomes?outcome=not+found")
    assert [item["id"] for item in skipped.json()["items"]] == [999_999_999]


async def test_an_action_is_done_to_what_a_filter_finds_and_to_no_row_that_comes_later(api: Script, make: Make) -> None:
    agent, urgent = await make.agent(), [await make.ticket(priority="urgent") for _ in range(2)]
    other = await make.ticket()
    previewed = await api.post(
        f"{ASSIGN}?preview", json={"filter": "priority=urgent&assignee=none", "inputs": {"agent": agent.id}}
    )
    assert previewed.status_code == 200, previewed.text
    told = previewed.json()
    assert (told["requested"], told["outcome"]["changed"], told["exact"]) == (2, 2, True)
    assert [(effect["change"]["field"], effect["number"]) for effect in told["effects"]] == [("Assignee", 2)]
    assert {sample["record"] for sample in told["samples"]} == {ticket.ticket_number for ticket in urgent}
    assert set((await assignees(api.desk.database)).values()) == {None}
    assert await number_of(api.desk.database, AuditLog) > 0
    later = await make.ticket(priority="urgent")
    done = await api.post(ASSIGN, json={"selection": told["selection"], "inputs": {"agent": agent.id}})
    assert done.json()["changed"] == 2
    now = await assignees(api.desk.database)
    assert [now[ticket.id] for ticket in (*urgent, other, later)] == [agent.id, agent.id, None, None]


async def test_a_preview_writes_nothing_and_get_does_nothing(api: Script, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    before = await number_of(api.desk.database, ChangeSet), await number_of(api.desk.database, AuditLog)
    body = {"ids": [ticket.id], "inputs": {"agent": agent.email}}
    assert (await api.post(f"{ASSIGN}?preview", json=body)).json()["outcome"]["changed"] == 1
    for answer in (await api.get(ASSIGN), await api.get(f"{ASSIGN}?ids={ticket.id}")):
        error(answer, 405)
        assert answer.headers["allow"] == "POST"
    assert (await number_of(api.desk.database, ChangeSet), await number_of(api.desk.database, AuditLog)) == before


@pytest.mark.parametrize("query", ["previw", "preview=no", "preview=1", "preview&dry"])
async def test_a_misspelt_preview_is_refused_and_never_taken_for_the_real_thing(
    api: Script, make: Make, query: str
) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    error(await api.post(f"{ASSIGN}?{query}", json={"ids": [ticket.id], "inputs": {"agent": agent.id}}), 400)
    assert await assignees(api.desk.database) == {ticket.id: None}


@pytest.mark.parametrize(
    ("body", "field", "status"),
    [
        ({}, "", 400),
        ({"ids": [1], "filter": ""}, "", 400),
        ({"ids": []}, "", 422),
        ({"ids": "1"}, "ids", 400),
        ({"ids": ["1"]}, "ids", 400),
        ({"ids": [True]}, "ids", 400),
        ({"ids": [0]}, "ids", 400),
        ({"ids": [2**63]}, "ids", 400),
        ({"ids": [1.0]}, "ids", 400),
        ({"filter": 5}, "filter", 400),
        ({"filter": "status=open;drop"}, "status", 400),
        ({"filter": "status=opened"}, "status", 400),
        ({"filter": "stauts=open"}, "stauts", 400),
        ({"filter": "size=50"}, "filter", 400),
        ({"filter": "status"}, "status", 400),
        ({"filter": "status=&priority=high"}, "status", 400),
        ({"filter": ""}, "", 400),
        ({"filter": "&"}, "", 400),
        ({"filter": "sort=id"}, "", 400),
        ({"filter": "priority=low&title=x"}, "title", 400),
        ({"filter": "priority=low"}, "", 422),
        ({"selection": 999_999}, "", 404),
        ({"selection": "1"}, "selection", 400),
        ({"selection": -1}, "selection", 400),
        ({"ids": [1], "inputs": []}, "inputs", 400),
        ({"ids": [1], "inputs": {"agnet": 1}}, "agnet", 400),
        ({"ids": [1], "inputs": {"agent": [1]}}, "agent", 400),
        ({"ids": [1], "inputs": {"agent": None}}, "agent", 422),
        ({"ids": [1], "inputs": {}}, "agent", 422),
        ({"ids": [1], "inputs": {"agent": 999_999_999}}, "agent", 422),
        ({"ids": [1], "reasn": "x"}, "reasn", 400),
        ({"ids": [1], "reason": 5}, "reason", 400),
        ({"ids": [1], "reason": "x" * 2_001, "inputs": {"agent": 1}}, "reason", 422),
        ({"ids": [1], "reference": "x" * 101}, "reference", 400),
    ],
)
async def test_an_order_that_cannot_be_understood_is_refused_and_the_field_named(
    api: Script, make: Make, body: dict[str, Any], field: str, status: int
) -> None:
    await make.ticket(priority="high")
    found = error(await api.post(ASSIGN, json=body), status)
    assert found["fields"].keys() == ({field} if field else set())


async def test_a_reason_is_demanded_where_the_action_demands_one(api: Script, make: Make) -> None:
    ticket = await make.ticket()
    url = "/api/ticket/actions/trash.put"
    found = error(await api.post(url, json={"ids": [ticket.id]}), 422)
    assert found["fields"].keys() == {"reason"}
    assert (await api.post(url, json={"ids": [ticket.id], "reason": "Spam."})).json()["changed"] == 1


async def test_what_is_dangerous_is_done_only_to_the_number_of_rows_that_one_expects(api: Script, make: Make) -> None:
    tickets = [await make.ticket(priority="urgent") for _ in range(3)]
    url, body = "/api/ticket/actions/trash.put", {"filter": "priority=urgent", "reason": "Spam."}
    assert "3 would be touched" in error(await api.post(url, json=body), 422)["fields"]["expect"]
    assert (await api.post(f"{url}?preview", json=body)).json()["requested"] == 3
    unusable: list[Any] = ["3", True, 3.0]
    for wrong in unusable:
        assert error(await api.post(url, json={**body, "expect": wrong}), 400)["fields"].keys() == {"expect"}
    assert "3 would be touched" in error(await api.post(url, json={**body, "expect": 2}), 422)["fields"]["expect"]
    assert (await api.post(url, json={**body, "expect": 3})).json()["changed"] == 3
    named = {"ids": [ticket.id for ticket in tickets], "expect": 2}
    error(await api.post("/api/ticket/actions/trash.restore", json=named), 422)


@pytest.mark.parametrize("url", ["/api/ticket/actions/nothing.at_all", "/api/tag/actions/assign.assign"])
async def test_an_action_that_is_not_there_is_not_found(api: Script, url: str) -> None:
    error(await api.post(url, json={"ids": [1]}), 404)


async def test_a_key_that_is_sent_again_does_nothing_and_tells_what_was_done(api: Script, make: Make) -> None:
    agent, tickets = await make.agent(), [await make.ticket(priority="urgent") for _ in range(2)]
    body = {"filter": "priority=urgent&assignee=none", "inputs": {"agent": agent.id}}
    first = await api.post(ASSIGN, json=body, headers={"idempotency-key": "night-1"})
    async with api.desk.database.transaction(Acting.system(), "test.unassign") as change:
        await change.session.execute(update(Ticket).values(assignee_id=None))
    again = await api.post(ASSIGN, json=body, headers={"idempotency-key": "night-1"})
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["id"] == first.json()["id"]
    assert set((await assignees(api.desk.database)).values()) == {None}
    other = await api.post(
        "/api/ticket/actions/assign.unassign", json={"ids": [tickets[0].id]}, headers={"idempotency-key": "night-1"}
    )
    assert "sent before, for assign.assign" in error(other, 409)["message"]


async def test_a_selection_is_its_owners_and_of_one_resource(api: Script, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    order = {"filter": "status=open", "inputs": {"agent": agent.id}}
    selection = (await api.post(f"{ASSIGN}?preview", json=order)).json()["selection"]
    url = "/api/attachment/actions/trash.put"
    other = error(await api.post(url, json={"selection": selection, "reason": "x"}), 400)
    assert other["fields"] == {"selection": "holds rows of ticket, not of attachment."}
    await api.act_as(await make.lead())
    error(await api.post(ASSIGN, json={"selection": selection, "inputs": {"agent": agent.id}}), 404)
    assert await assignees(api.desk.database) == {ticket.id: None}


# Taking it back


async def test_what_was_done_is_undone_but_for_what_somebody_changed_since(api: Script, make: Make) -> None:
    ana, bo = await make.agent(), await make.agent()
    tickets = [await make.ticket() for _ in range(3)]
    ids = [ticket.id for ticket in tickets]
    done = (await api.post(ASSIGN, json={"ids": ids, "inputs": {"agent": ana.id}})).json()
    async with api.desk.database.transaction(Acting.system(), "test.assign") as change:
        await change.session.execute(update(Ticket).where(Ticket.id == ids[0]).values(assignee_id=bo.id))
    url = f"/api/change_set/{done['id']}/undo"
    told = (await api.post(f"{url}?preview")).json()
    assert told["outcome"]["changed"] == 2
    assert [left["record"] for left in told["left"]] == [tickets[0].ticket_number]
    assert await assignees(api.desk.database) == {ids[0]: bo.id, ids[1]: ana.id, ids[2]: ana.id}
    undone = await api.post(url, json={"reason": "Wrong list", "reference": "TICKET-9"})
    assert undone.status_code == 200, undone.text
    assert (undone.json()["changed"], undone.json()["undo_of_id"]) == (2, done["id"])
    assert await assignees(api.desk.database) == {ids[0]: bo.id, ids[1]: None, ids[2]: None}
    assert (await api.get(f"/api/change_set/{done['id']}")).json()["state"] == "undone"
    assert "undone already" in error(await api.post(url), 409)["message"]
    redone = await api.post(f"/api/change_set/{undone.json()['id']}/undo")
    assert redone.json()["changed"] == 2
    assert await assignees(api.desk.database) == {ids[0]: bo.id, ids[1]: ana.id, ids[2]: ana.id}


async def test_change_sets_are_their_makers_and_those_who_see_all(api: Script, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    await api.act_as(agent)
    mine = (await api.post(ASSIGN, json={"ids": [ticket.id], "inputs": {"agent": agent.id}})).json()
    for part in ("", "/outcomes"):
        assert (await api.get(f"/api/change_set/{mine['id']}{part}")).status_code == 200
    await api.act_as(await make.agent())
    error(await api.get("/api/change_set"), 403)
    for url in (f"/api/change_set/{mine['id']}", f"/api/change_set/{mine['id']}/outcomes"):
        error(await api.get(url), 404)
    for deed in ("undo", "retry", "cancel"):
        error(await api.post(f"/api/change_set/{mine['id']}/{deed}"), 404)
    await api.act_as(await make.agent("auditor"))
    assert (await api.get(f"/api/change_set/{mine['id']}")).status_code == 200
    error(await api.post(f"/api/change_set/{mine['id']}/undo"), 403)
    assert (await assignees(api.desk.database))[ticket.id] == agent.id


@pytest.mark.parametrize("part", ["", "/outcomes"])
@pytest.mark.parametrize("key", ["0", "x", "999999999", "9" * 30])
async def test_a_change_set_that_is_not_there_is_not_found(api: Script, key: str, part: str) -> None:
    error(await api.get(f"/api/change_set/{key}{part}"), 404)
    for deed in ("undo", "retry", "cancel"):
        error(await api.post(f"/api/change_set/{key}/{deed}"), 404)


@pytest.mark.parametrize("query", ["after=x", "after=-1", "size=5"])
async def test_outcomes_take_what_they_say(api: Script, query: str) -> None:
    assert len(error(await api.get(f"/api/change_set/1/outcomes?{query}"), 400)["fields"]) == 1


# Long work


@pytest_asyncio.fixture
async def long(live_database: Database, make_live: Make, registry: Registry) -> AsyncIterator[Script]:
    """A script at a desk that does no more than two rows at once, and two more with each chunk."""
    await declare_permissions(live_database, registry)
    settings = replace(Settings.from_env(), secret_key="a secret for tests only, of 32+ characters")
    app = create_app(replace(settings, inline_limit=2, chunk_size=2), live_database, registry)
    async with Script(app, app.state.desk) as made:
        yield await made.act_as(await make_live.lead(full_name="Lena Lead"))


async def test_long_work_is_accepted_watched_and_undone(long: Script, make_live: Make) -> None:
    desk, agent = long.desk, await make_live.agent()
    tickets = [await make_live.ticket(priority="urgent") for _ in range(5)]
    body = {"filter": "priority=urgent", "inputs": {"agent": agent.id}, "reason": "Handover"}
    told = (await long.post(f"{ASSIGN}?preview", json=body)).json()
    assert (told["requested"], told["tried"], told["outcome"]["changed"]) == (5, 2, 5)
    accepted = await long.post(ASSIGN, json=body, headers={"idempotency-key": "k1"})
    assert accepted.status_code == 202, accepted.text
    work = accepted.json()
    assert (work["state"], work["requested"], work["done"]) == ("queued", 5, 0)
    repeated = await long.post(ASSIGN, json=body, headers={"idempotency-key": "k1"})
    assert (repeated.status_code, repeated.json()["id"]) == (202, work["id"])
    await jobs.step(desk.database, desk.registry, desk.settings.limits, work["id"])
    url = f"/api/change_set/{work['id']}"
    under_way = (await long.get(url)).json()
    assert (under_way["state"], under_way["done"], under_way["changed"]) == ("running", 2, 2)
    await jobs.drive(desk.database, desk.registry, desk.settings.limits, work["id"])
    ended = (await long.get(url)).json()
    assert (ended["state"], ended["done"], ended["changed"]) == ("completed", 5, 5)
    undoing = await long.post(f"{url}/undo")
    assert undoing.status_code == 202
    await jobs.drive(desk.database, desk.registry, desk.settings.limits, undoing.json()["id"])
    assert set((await assignees(desk.database)).values()) == {None}
    assert len(tickets) == 5


async def test_long_work_is_cancelled_by_who_ordered_it_and_what_is_done_stays(long: Script, make_live: Make) -> None:
    desk, agent = long.desk, await make_live.agent()
    ids = [(await make_live.ticket()).id for _ in range(5)]
    work = (await long.post(ASSIGN, json={"ids": ids, "inputs": {"agent": agent.id}})).json()
    await jobs.step(desk.database, desk.registry, desk.settings.limits, work["id"])
    url = f"/api/change_set/{work['id']}"
    assert error(await long.post(f"{url}/cancel", json={"now": True}), 400)["fields"].keys() == {"now"}
    cancelled = await long.post(f"{url}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert cancelled.json()["problem"] == "Cancelled by Lena Lead."
    await jobs.drive(desk.database, desk.registry, desk.settings.limits, work["id"])
    assert sorted((await assignees(desk.database)).values(), key=str) == [agent.id, agent.id, None, None, None]
    assert "ended already" in error(await long.post(f"{url}/cancel"), 409)["message"]


async def test_what_failed_is_tried_again_as_a_change_set_of_its_own(api: Script, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    done = (await api.post(ASSIGN, json={"ids": [ticket.id], "inputs": {"agent": agent.id}})).json()
    url = f"/api/change_set/{done['id']}/retry"
    assert "Nothing failed" in error(await api.post(url), 409)["message"]
    async with api.desk.database.transaction(Acting.system(), "test.fail") as change:
        failed = {"failed": True, "outcome": "It was not to be."}
        await change.session.execute(update(RowOutcome).values(**failed))
        await change.session.execute(update(ChangeSet).where(ChangeSet.id == done["id"]).values(failed=1, changed=0))
        await change.session.execute(update(Ticket).values(assignee_id=None))
    assert (await api.post(f"{url}?preview")).json()["outcome"]["changed"] == 1
    again = (await api.post(url, json={"reason": "Once more"})).json()
    assert (again["changed"], again["reason"]) == (1, "Once more")
    assert again["id"] != done["id"]
    assert await assignees(api.desk.database) == {ticket.id: agent.id}
    await api.act_as(await make.agent(await role(make, "ticket.view", "change_set.view")))
    error(await api.post(url), 403)


# The same through every door


async def entries(database: Database, change_set_id: int) -> tuple[Any, ...]:
    """What a change set wrote, without what tells one doing of it from another."""
    async with database.read() as session:
        made = await session.get_one(ChangeSet, change_set_id)
        found = select(AuditLog).where(AuditLog.change_set_id == change_set_id).order_by(AuditLog.record_id)
        rows = [
            (row.table_name, row.record_id, row.action, row.user_id, row.actor_kind, row.reason, row.changes)
            for row in await session.scalars(found)
        ]
    counts = (made.requested, made.changed, made.unchanged, made.skipped, made.failed, made.state)
    return rows, counts, made.user_id, made.reason, made.action, made.parameters


async def test_the_same_order_through_four_doors_leaves_the_same_audit(
    live_database: Database,
    live_url: URL,
    make_live: Make,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await declare_permissions(live_database, registry)
    lead, agent = await make_live.lead(email="lena@example.com"), await make_live.agent()
    ids = [(await make_live.ticket()).id for _ in range(2)]
    settings = replace(Settings.from_env(), secret_key="a secret for tests only, of 32+ characters")
    app = create_app(settings, live_database, registry)

    async def newest() -> ChangeSet:
        async with live_database.read() as session:
            return (await session.scalars(select(ChangeSet).order_by(ChangeSet.id.desc()).limit(1))).one()

    async def by_web() -> None:
        async with Browser(app, app.state.desk) as browser:
            await browser.sign_in(lead)
            fields = {"ids": ids, "agent": agent.id, "confirmed": "1", "reason": "Why not"}
            assert (await browser.submit("/admin/ticket/do/assign.assign", fields)).status_code == 303

    async def by_api() -> None:
        async with Script(app, app.state.desk) as script:
            await script.act_as(lead)
            body = {"ids": ids, "inputs": {"agent": agent.id}, "reason": "Why not"}
            assert (await script.post(ASSIGN, json=body)).status_code == 200

    async def by_cli() -> None:
        monkeypatch.setenv("DATABASE_URL", live_url.render_as_string(hide_password=False))
        words = ["do", "assign.assign", "--ids", *map(str, ids), "--agent", str(agent.id)]
        result = await asyncio.to_thread(
            CliRunner().invoke, main, [*words, "--as", "lena@example.com", "--reason", "Why not"]
        )
        assert result.exit_code == 0, result.output

    async def by_code() -> None:
        order = Order(
            authority=Operator(),
            acting=Acting(user_id=lead.id, reason="Why not"),
            action=registry.action("assign.assign"),
            chosen=Chosen.of(Ticket, ids),
            given={"agent": str(agent.id)},
            zone=ZoneInfo("UTC"),
        )
        await perform(live_database, order, settings.limits)

    left = {}
    for door, do in {Door.WEB: by_web, Door.API: by_api, Door.CLI: by_cli, Door.CODE: by_code}.items():
        async with live_database.transaction(Acting.system(), "test.unassign") as change:
            await change.session.execute(update(Ticket).values(assignee_id=None))
        await do()
        made = await newest()
        assert made.door is door
        left[door] = await entries(live_database, made.id)
    assert left[Door.API] == left[Door.WEB] == left[Door.CLI] == left[Door.CODE]
    assert len(left[Door.API][0]) == 2
