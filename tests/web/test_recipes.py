"""Recipes in the browser: saved from an action's page, listed with what matches now, run through that page again."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select, update

from admin_app.db import Acting
from admin_app.models import ChangeSet, Recipe, Selection, Ticket
from admin_app.testing import Browser, Make, Statements

SAVE = "/admin/recipes/save/ticket/"


async def stored(client: Browser) -> list[Recipe]:
    """All recipes by name."""
    async with client.desk.database.read() as session:
        return list((await session.scalars(select(Recipe).order_by(Recipe.name))).all())


async def saved(client: Browser, name: str, filter: str, action: str = "priority.change", **fields: Any) -> Recipe:  # noqa: A002
    """A recipe that was saved through the door."""
    given = {"priority": "low"} if action == "priority.change" else {}
    done = await client.submit(f"{SAVE}{action}", {"recipe_name": name, "filter": filter, **given, **fields})
    assert (done.status_code, done.headers["location"]) == (303, "/admin/recipes")
    return next(recipe for recipe in await stored(client) if recipe.name == name)


async def test_whoever_has_no_recipe_is_told_how_to_make_one(client: Browser, browser: Browser, make: Make) -> None:
    page = (await client.get("/admin/recipes")).text
    assert "There is no recipe yet" in page
    assert "press “Save as recipe”" in page
    assert '<a href="/admin/recipes" aria-current="page">' in page
    await browser.sign_in(await make.agent())
    assert "Leads save them" in (await browser.get("/admin/recipes")).text


async def test_the_page_of_an_action_offers_to_save_what_a_filter_found(client: Browser, make: Make) -> None:
    agent = await make.agent(full_name="Ana Agent")
    await make.ticket(assignee_id=agent.id)
    chosen = await client.submit(
        "/admin/ticket/do/priority.change", {"all": "1", "filter": f"assignee={agent.id}&sort=id"}
    )
    address = chosen.headers["location"]
    page = (await client.get(address)).text
    assert f'formaction="{SAVE}priority.change"' in page
    selection = dict(parse_qsl(urlsplit(address).query))["selection"]
    fields = {"selection": selection, "priority": "low", "confirmed": "1", "reason": "Weekly.", "key": "k"}
    asked = await client.submit(f"{SAVE}priority.change", fields)
    assert asked.status_code == 200
    for text in (
        "Save as recipe",
        "Set priority",
        "Assignee: <b>Ana Agent</b>",
        '<dd class="preserve">Low</dd>',
        "Weekly.",
    ):
        assert text in asked.text, text
    hidden = dict(re.findall(r'<textarea name="(\w+)" hidden>\n(.*?)</textarea>', asked.text))
    assert hidden["priority"] == "low"
    answer = {name: text.replace("&amp;", "&") for name, text in hidden.items()}
    done = await client.submit(f"{SAVE}priority.change", {**answer, "recipe_name": "Ana's", "reason": "Weekly."})
    assert (done.status_code, done.headers["location"]) == (303, "/admin/recipes")
    (recipe,) = await stored(client)
    assert (recipe.name, recipe.filter, recipe.inputs) == ("Ana's", f"assignee={agent.id}", {"priority": "low"})
    assert client.actor is not None
    assert (recipe.reason, recipe.created_by_id) == ("Weekly.", client.actor.id)
    listed = (await client.get("/admin/recipes")).text
    for text in (
        "Ana&#39;s",
        "Priority: Low",
        "Assignee: <b>Ana Agent</b>",
        '<td class="number" data-label="Matches now">1<',
    ):
        assert text in listed, text


async def test_rows_that_were_ticked_in_a_filtered_list_offer_its_filter_and_others_none(
    client: Browser, make: Make
) -> None:
    ticket = await make.ticket()
    url = "/admin/ticket/do/assign.unassign"
    for filter, offered in (("status=open&sort=id", True), ("sort=id", False), ("", False)):  # noqa: A001
        chosen = await client.submit(url, {"ids": str(ticket.id), "filter": filter})
        page = (await client.get(chosen.headers["location"])).text
        assert ("Save as recipe" in page) is offered, filter
    back = {"ids": str(ticket.id), "back": "/admin/ticket/list?status=open&sort=id"}
    asked = (await client.submit(f"{SAVE}assign.unassign", back)).text
    assert "Status: <b>Open</b>" in asked
    for other in ("/admin/tag/list?q=x", "/admin/ticket/list?stats=open", "/admin/ticket/list"):
        asked = (await client.submit(f"{SAVE}assign.unassign", {**back, "back": other})).text
        assert 'name="filter" hidden>\n</textarea>' in asked


async def test_a_recipe_leads_to_its_action_with_todays_matches_and_is_done_from_there(
    client: Browser, make: Make
) -> None:
    agent = await make.agent()
    first, second = await make.ticket(assignee_id=agent.id), await make.ticket()
    recipe = await saved(client, "Ease off", f"assignee={agent.id}", reason="Weekly.")
    async with client.desk.database.transaction(_acting(client), "test.make") as change:
        await change.session.execute(update(Ticket).where(Ticket.id == second.id).values(assignee_id=agent.id))
    run = await client.submit(f"/admin/recipes/{recipe.id}/run")
    assert run.status_code == 303
    query = dict(parse_qsl(urlsplit(run.headers["location"]).query))
    assert urlsplit(run.headers["location"]).path == "/admin/ticket/do/priority.change"
    assert (query["recipe"], query["back"]) == (str(recipe.id), "/admin/recipes")
    async with client.desk.database.read() as session:
        kept = await session.get_one(Selection, int(query["selection"]))
    assert (kept.row_count, kept.filter) == (2, f"assignee={agent.id}")
    page = (await client.get(run.headers["location"])).text
    for text in ("2 tickets selected", '<option value="low" selected>', ">\nWeekly.</textarea>", "2"):
        assert text in page, text
    fields = {"selection": query["selection"], "priority": "low", "reason": "Weekly.", "confirmed": "1", "key": "k"}
    done = await client.submit("/admin/ticket/do/priority.change", {**fields, "back": query["back"]})
    assert (done.status_code, done.headers["location"]) == (303, "/admin/recipes")
    async with client.desk.database.read() as session:
        made = await session.scalar(select(ChangeSet).where(ChangeSet.action == "priority.change"))
        assert made is not None
        assert (made.changed, made.reason) == (2, "Weekly.")
        low = select(Ticket.id).where(Ticket.priority == "low").order_by(Ticket.id)
        assert list((await session.scalars(low)).all()) == [first.id, second.id]


async def test_me_is_whoever_runs_it(client: Browser, make: Make) -> None:
    lead = await make.lead()
    await make.ticket(assignee_id=lead.id)
    recipe = await saved(client, "Mine", "assignee=me")
    refused = await client.submit(f"/admin/recipes/{recipe.id}/run")
    assert refused.headers["location"] == "/admin/recipes"
    assert "“Mine” was not run. Nothing matches" in (await client.get("/admin/recipes")).text
    await client.sign_in(lead)
    run = await client.submit(f"/admin/recipes/{recipe.id}/run")
    assert urlsplit(run.headers["location"]).path == "/admin/ticket/do/priority.change"


async def test_a_recipe_that_could_not_be_run_is_not_saved_and_nothing_is_lost(client: Browser) -> None:
    fields = {"filter": "status=open", "priority": "huge", "recipe_name": "Ease <b>off</b>", "reason": "Why not."}
    refused = await client.submit(f"{SAVE}priority.change", fields)
    assert refused.status_code == 422
    for text in (
        "Priority “huge” is none of",
        "Ease &lt;b&gt;off&lt;/b&gt;",
        "Why not.",
        ">\nstatus=open<",
        ">\nhuge<",
    ):
        assert text in refused.text, text
    await saved(client, "Taken", "status=open")
    refused = await client.submit(f"{SAVE}priority.change", fields | {"priority": "low", "recipe_name": "TAKEN"})
    assert "“Taken” is the name of another recipe." in refused.text
    for filter, why in (("", "This filter leaves nothing out."), ("stats=open", "is not a parameter of this list")):  # noqa: A001
        refused = await client.submit(f"{SAVE}assign.unassign", {"recipe_name": "x", "filter": filter})
        assert refused.status_code == 422
        assert why in refused.text
    assert len(await stored(client)) == 1


async def test_name_and_reason_are_changed_unless_somebody_else_did_meanwhile(client: Browser) -> None:
    recipe = await saved(client, "Old", "status=open")
    url = f"/admin/recipes/{recipe.id}/edit"
    page = (await client.get(url)).text
    assert 'value="Old"' in page
    version = re.findall(r'name="version" value="(\d+)"', page)[0]
    refused = await client.submit(url, {"version": version, "recipe_name": " ", "reason": "Kept."})
    assert refused.status_code == 422
    assert "Please give it a name" in refused.text
    assert "Kept." in refused.text
    done = await client.submit(url, {"version": version, "recipe_name": "New", "reason": "Better."})
    assert (done.status_code, done.headers["location"]) == (303, "/admin/recipes")
    (changed,) = await stored(client)
    assert (changed.name, changed.reason, changed.filter) == ("New", "Better.", "status=open")
    late = await client.submit(url, {"version": version, "recipe_name": "Late", "reason": ""})
    assert late.status_code == 409


async def test_a_recipe_is_deleted_after_a_question_and_comes_back_by_undo(client: Browser) -> None:
    recipe = await saved(client, "Gone", "status=open")
    url = f"/admin/recipes/{recipe.id}/delete"
    assert "Delete “Gone”?" in (await client.get(url)).text
    assert len(await stored(client)) == 1
    assert (await client.submit(url)).headers["location"] == "/admin/recipes"
    assert await stored(client) == []
    assert (await client.get(url)).status_code == 404


@pytest.mark.parametrize("role", ["agent", "auditor", ""])
async def test_people_do_with_recipes_what_they_may(client: Browser, make: Make, role: str) -> None:
    await make.ticket()
    recipe = await saved(client, "Ease off", "status=open")
    await client.get("/admin/recipes")
    await client.sign_in(await make.agent(role) if role else await make.user(is_staff=True))
    page = await client.get("/admin/recipes")
    assert page.status_code == (200 if role else 403)
    assert ("Ease off" in page.text) is bool(role)
    assert (f"/admin/recipes/{recipe.id}/run" in page.text) is (role == "agent")
    assert f"/admin/recipes/{recipe.id}/edit" not in page.text
    run = await client.submit(f"/admin/recipes/{recipe.id}/run")
    assert run.status_code == (303 if role == "agent" else 403)
    for url in (f"/admin/recipes/{recipe.id}/edit", f"/admin/recipes/{recipe.id}/delete", f"{SAVE}priority.change"):
        assert (await client.submit(url, {"recipe_name": "x", "filter": "status=open"})).status_code == 403
    assert [one.name for one in await stored(client)] == ["Ease off"]


async def test_a_recipe_of_a_plugin_that_is_gone_says_so_and_can_be_deleted(client: Browser, make: Make) -> None:
    await make.save(Recipe(name="Old plugin", resource="ticket", action="gone.deed", filter="status=open", inputs={}))
    await make.save(Recipe(name="Old filter", resource="ticket", action="assign.unassign", filter="gone=1", inputs={}))
    page = (await client.get("/admin/recipes")).text
    assert "needs gone.deed, which is not loaded." in page
    assert "gone: is not a parameter of this list." in page
    assert page.count("/run") == 0
    assert page.count("/delete") == 2


async def test_a_recipe_for_somebody_who_is_not_there_says_so_and_one_is_not_saved(client: Browser, make: Make) -> None:
    await make.ticket(title="The printer blinks")
    gone = "assignee=gone@example.com"
    await make.save(Recipe(name="Of Gone", resource="ticket", action="assign.unassign", filter=gone, inputs={}))
    await make.save(Recipe(name="By word", resource="ticket", action="assign.unassign", filter="q=blinks", inputs={}))
    page = (await client.get("/admin/recipes")).text
    assert "gone@example.com" in page.partition("Of Gone")[2]
    assert page.count("/run") == 1
    asked = await client.submit(f"{SAVE}assign.unassign", {"recipe_name": "Mine", "filter": gone})
    assert asked.status_code == 422
    assert "gone@example.com" in asked.text
    assert [one.name for one in await stored(client)] == ["By word", "Of Gone"]


@pytest.mark.parametrize("number", [1, 4])
async def test_the_list_takes_as_many_statements_whatever_its_length(
    client: Browser, make: Make, statements: Statements, number: int
) -> None:
    for index in range(number):
        agent = await make.agent()
        inputs = {"agent": str(agent.id)}
        await saved(client, f"Recipe {index}", f"assignee={agent.id}", "assign.assign", **inputs)
    with statements(client.desk.database) as seen:
        assert (await client.get("/admin/recipes")).status_code == 200
    assert len(seen) == 5, "\n\n".join(seen)


def _acting(client: Browser) -> Any:
    assert client.actor is not None
    return Acting(user_id=client.actor.id)
