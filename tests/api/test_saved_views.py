"""Saved views for scripts: a number stands for a list's parameters, in lists, actions and on the command line."""

import pytest
from starlette.applications import Starlette

from admin_app.choosing import by_filter, expanded
from admin_app.db import Acting
from admin_app.errors import BadRequest, NotFound
from admin_app.models import SavedView, User
from admin_app.queries import saved_views, users
from admin_app.registry import Registry
from admin_app.testing import Browser, Make, Script
from tests.api.test_openapi import schema_of


async def view(api: Script, name: str, query: str, owner: User | None = None) -> int:
    """The number of a new view, for everybody unless it is somebody's."""
    made = SavedView(resource="ticket", name=name, query=query, user_id=owner.id if owner else None)
    async with api.desk.database.transaction(Acting.system(), "test.make") as change:
        return (await saved_views.add(change.session, made)).id


async def test_a_list_takes_a_view_and_what_else_is_asked_takes_the_place_of_its_parts(api: Script, make: Make) -> None:
    assert api.actor is not None
    for priority in ("urgent", "low"):
        await make.ticket(title=priority, priority=priority, assignee_id=api.actor.id)
    await make.ticket(title="other", priority="urgent")
    number = await view(api, "Mine", "assignee=me&priority=urgent")
    for more, titles in (
        ("", ["urgent"]),
        ("&priority=low", ["low"]),
        ("&priority=&sort=id", ["urgent", "low"]),
        ("&assignee=&sort=id", ["urgent", "other"]),
    ):
        found = (await api.get(f"/api/ticket?view={number}{more}")).json()
        assert [item["title"] for item in found["items"]] == titles, more
    first = (await api.get(f"/api/ticket?view={number}&priority=&size=25")).json()
    assert first["next"] is None


async def test_a_view_that_is_not_the_senders_or_not_there_is_not_found(api: Script, make: Make) -> None:
    other = await make.agent()
    number = await view(api, "Theirs", "status=open", other)
    assert (await api.get(f"/api/ticket?view={number}")).status_code == 404
    assert (await api.get("/api/ticket?view=999999")).status_code == 404
    shared = await view(api, "Shared", "status=open")
    assert (await api.get(f"/api/tag?view={shared}")).status_code == 404
    assert (await api.get("/api/ticket?view=first")).status_code == 400


async def test_an_action_is_done_to_what_a_view_finds_for_whoever_acts(api: Script, make: Make) -> None:
    assert api.actor is not None
    mine = await make.ticket(assignee_id=api.actor.id)
    await make.ticket()
    number = await view(api, "Mine", "assignee=me")
    done = await api.post(
        "/api/ticket/actions/priority.change", json={"filter": f"view={number}", "inputs": {"priority": "urgent"}}
    )
    assert done.status_code == 200, done.text
    assert done.json()["changed"] == 1
    assert (await api.get(f"/api/ticket/{mine.id}")).json()["priority"] == "urgent"


async def test_a_filter_names_a_view_and_keeps_its_parameters_by_themselves(
    api: Script, make: Make, registry: Registry
) -> None:
    agent = await make.agent()
    await make.ticket(assignee_id=agent.id)
    number = await view(api, "Mine", "assignee=me&status=open")
    desk, resource = api.desk, registry.resource("ticket")
    async with desk.database.read() as session:
        actor = await users.actor_by_id(session, agent.id)
    assert actor is not None
    chosen = await by_filter(desk.database, desk.settings, resource, f"view={number}", actor, desk.settings.time_zone)
    assert chosen.requested == 1
    pairs = await expanded(desk.database, resource, [("view", str(number)), ("status", "closed")], actor)
    assert pairs == [("assignee", "me"), ("status", "closed")]
    with pytest.raises(NotFound):
        await expanded(desk.database, resource, [("view", "999999")], actor)
    with pytest.raises(BadRequest):
        await by_filter(desk.database, desk.settings, resource, "view=", actor, desk.settings.time_zone)


async def test_the_views_of_the_sender_are_listed_with_what_they_ask_for_and_what_was_counted(
    api: Script, make: Make, shared_app: Starlette
) -> None:
    await api.act_as(await make.agent())
    assert api.actor is not None
    await make.ticket(assignee_id=api.actor.id)
    mine = await view(api, "Mine", "assignee=me&sort=-due_at", api.actor)
    shared = await view(api, "Shared", "status=open")
    await view(api, "Theirs", "status=open", await make.agent())
    listed = (await api.get("/api/views")).json()["items"]
    facts = {"resource": "ticket", "role": None, "count": None, "count_is_exact": None}
    assert listed == [
        {"id": mine, "name": "Mine", "filter": {"assignee": "me", "sort": "-due_at"}, "mine": True, **facts},
        {"id": shared, "name": "Shared", "filter": {"status": "open"}, "mine": False, **facts},
    ]
    schema_of("Views").validate({"items": listed})
    found = (await api.get(f"/api/{listed[0]['resource']}", params={"view": listed[0]["id"]})).json()
    assert found["count"] == 1
    async with Browser(shared_app, api.desk) as browser:
        await browser.sign_in(api.actor)
        await browser.get("/admin/queues")
    counted = (await api.get("/api/views")).json()["items"]
    assert [(one["count"], one["count_is_exact"]) for one in counted] == [(1, True), (1, True)]
    schema_of("Views").validate({"items": counted})
    assert (await api.get("/api/views?status=open")).status_code == 400
    await api.act_as(await make.agent("nobody"))
    assert (await api.get("/api/views")).json() == {"items": []}
