"""Saved views in the browser: a list within a view, and the pages that make, change and mend views."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

from sqlalchemy import select

from admin_app import saved_views
from admin_app.models import AuditLog, ChangeSet, Selection
from admin_app.registry import Registry
from admin_app.testing import Browser, Make
from tests.web.viewing import LIST, SAVE, menu, numbers, rewritten, role_of, saved, shown, stored

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=20)
CLOSED = {"created_at": LONG_AGO, "resolved_at": NOW, "closed_at": NOW}


async def test_a_list_is_saved_under_a_name_and_opened_from_the_menu(client: Browser, make: Make) -> None:
    await make.ticket(title="Late", priority="urgent")
    await make.ticket(title="Calm", priority="low")
    listed = (await client.get(f"{LIST}?priority=urgent&sort=due_at&size=25&density=compact")).text
    (link,) = re.findall(r'href="(/admin/views/save/ticket[^"]*)"', listed)
    form = (await client.get(unescape(link))).text
    for text in ("Save this view", "Priority: <b>Urgent</b>", 'name="query" value="priority=urgent'):
        assert text in form, text
    (query,) = re.findall(r'name="query" value="([^"]*)"', form)
    view = await saved(client, "Now", unescape(query), icon="alert")
    assert client.actor is not None
    assert (view.user_id, view.role_id, view.icon) == (client.actor.id, None, "alert")
    assert view.query == "priority=urgent&sort=due_at&size=25&density=compact"
    page = (await client.get(f"{LIST}?view={view.id}")).text
    assert "<h1>Now" in page
    assert shown(page) == ["Late"]
    assert menu(page) == ["Now"]
    assert f'<a href="{LIST}?view={view.id}" aria-current="page">' in page
    sidebar = page.partition("<aside")[2].partition("</aside>")[0]
    assert sidebar.count("aria-current") == 1, "the menu says once where one is"
    assert "Changed since it was saved" not in page
    assert "“Now” is saved" in page


async def test_an_address_replaces_parts_of_a_view_and_every_link_stays_within_it(client: Browser, make: Make) -> None:
    for number in range(30):
        await make.ticket(title=f"T{number}", priority="urgent" if number % 2 else "low")
    await make.ticket(title="Closed", priority="urgent", status="closed", **CLOSED)
    view = await saved(client, "Open ones", "status=open&sort=-priority_rank&size=25")
    page = (await client.get(f"{LIST}?view={view.id}&priority=urgent")).text
    assert len(shown(page)) == 15
    assert "Changed since it was saved" in page
    for link in re.findall(rf'href="({LIST}[^"]*(?:priority|sort)=[^"]*)"', page):
        assert f"view={view.id}" in link, link
    assert f'href="{LIST}?view={view.id}" aria-label="Remove the filter Priority' in page
    without = f"{LIST}?view={view.id}&amp;priority=urgent&amp;status="
    assert f'href="{without}"' in page
    left = (await client.get(unescape(without))).text
    assert "Closed" in shown(left)
    assert len(shown(left)) == 16
    newest = (await client.get(f"{LIST}?view={view.id}&sort=")).text
    assert shown(newest)[0] == "T29"
    (following,) = re.findall(r'rel="next" href="([^"]*)"', newest)
    second = (await client.get(unescape(following))).text
    assert f"view={view.id}" in following
    assert len(shown(newest) + shown(second)) == len({*shown(newest), *shown(second)}) == 30


async def test_a_form_of_filters_says_all_so_that_what_is_unticked_stays_out(client: Browser, make: Make) -> None:
    await make.ticket(title="Open")
    view = await saved(client, "Open ones", "status=open&sort=due_at")
    page = (await client.get(f"/admin/ticket/filters?view={view.id}")).text
    form = page.partition('<form class="filters')[2].partition("</form>")[0]
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    assert [pair for pair in hidden if pair[0] in {"view", "status", "sort"}] == [
        ("view", str(view.id)),
        ("status", ""),
        ("sort", ""),
        ("sort", "due_at"),
    ]
    sent = await client.get(LIST, params=[*hidden, ("q", ""), ("priority", "low"), ("created_at_from", "")])
    assert sent.status_code == 302
    assert sent.headers["location"] == f"{LIST}?view={view.id}&priority=low&status="
    again = await client.get(sent.headers["location"])
    assert again.status_code == 200
    ticked = await client.get(LIST, params=[*hidden, ("status", "open")])
    assert ticked.headers["location"] == f"{LIST}?view={view.id}"


async def test_a_changed_view_is_saved_saved_anew_or_reset(client: Browser, make: Make) -> None:
    view = await saved(client, "Open ones", "status=open")
    address = f"{LIST}?view={view.id}&priority=high&after="
    page = (await client.get(address, follow_redirects=True)).text
    assert f'formaction="/admin/views/{view.id}/keep"' in page or f'action="/admin/views/{view.id}/keep"' in page
    assert f'href="{SAVE}?status=open&amp;priority=high"' in page
    (query,) = re.findall(r'name="query" value="([^"]*)"', page)
    done = await client.submit(f"/admin/views/{view.id}/keep", {"query": unescape(query)})
    assert done.headers["location"] == f"{LIST}?view={view.id}"
    assert (await stored(client, "Open ones")).query == "status=open&priority=high"
    page = (await client.get(f"{LIST}?view={view.id}")).text
    assert "Changed since it was saved" not in page
    assert "Undo</a>" in page


async def test_all_that_a_view_finds_is_frozen_exported_and_acted_on(client: Browser, make: Make) -> None:
    for number in range(3):
        await make.ticket(title=f"Urgent {number}", priority="urgent")
    await make.ticket(title="Other")
    view = await saved(client, "Now", "priority=urgent")
    page = (await client.get(f"{LIST}?view={view.id}")).text
    (text,) = re.findall(r'name="filter" value="([^"]*)"', page)
    chosen = await client.submit("/admin/ticket/do/priority.change", {"all": "1", "filter": unescape(text)})
    assert chosen.status_code == 303
    await saved(client, "Elsewhere", "priority=low")
    async with client.desk.database.read() as session:
        kept = (await session.scalars(select(Selection).order_by(Selection.id.desc()).limit(1))).one()
    assert kept.row_count == 3
    assert "view" not in kept.filter, "a selection says by itself what found it"
    assert (
        f"view={view.id}" in chosen.headers["location"]
        or "3 tickets" in (await client.get(chosen.headers["location"])).text
    )
    offered = page.partition('action="/admin/ticket/export/')[2].partition("</form>")[0]
    assert f'<input type="hidden" name="view" value="{view.id}">' in offered
    file = await client.get(f"/admin/ticket/export/csv?view={view.id}")
    assert file.text.count("Urgent ") == 3
    assert "Other" not in file.text


async def test_a_view_of_somebody_else_is_not_found_and_a_shared_one_never_widens_rights(
    client: Browser, make: Make, shared_app: Any
) -> None:
    mine = await saved(client, "Mine", "status=open")
    everybodys = await saved(client, "Everybody’s", "status=open", "everyone")
    tags = await client.submit("/admin/views/save/user", {"name": "People", "query": "", "audience": "everyone"})
    people = await stored(client, "People")
    assert tags.headers["location"] == f"/admin/user/list?view={people.id}"
    async with Browser(shared_app, client.desk) as other:
        await other.sign_in(await make.agent())
        for url in (f"{LIST}?view={mine.id}", f"/admin/views/{mine.id}/edit", f"/admin/views/{mine.id}/delete"):
            assert (await other.get(url)).status_code == 404, url
        for deed in ("keep", "move/up", "delete", "edit"):
            assert (await other.submit(f"/admin/views/{mine.id}/{deed}", {"version": "1"})).status_code == 404, deed
            answer = await other.submit(f"/admin/views/{everybodys.id}/{deed}", {"version": "1"})
            assert answer.status_code == 403, deed
        page = (await other.get(f"{LIST}?view={everybodys.id}")).text
        assert "Edit view" not in page
        assert "Everybody’s" in menu(page)
        stranger = await make.agent("nobody")
        await other.sign_in(stranger)
        page = (await other.get("/admin/")).text
        assert menu(page) == []
        assert (await other.get(f"{LIST}?view={everybodys.id}")).status_code == 403
        assert "Everybody’s" not in (await other.get("/admin/views")).text
        assert (await other.submit(SAVE, {"name": "x", "query": ""})).status_code == 403
    for url in (f"{LIST}?view=999999", f"/admin/tag/list?view={mine.id}"):
        assert (await client.get(url)).status_code == 404, url
    for wrong in ("x", "-1", "1&view=2", "%00", "9" * 30):
        assert (await client.get(f"{LIST}?view={wrong}")).status_code == 400, wrong


async def test_me_in_a_shared_view_is_whoever_looks(client: Browser, make: Make, shared_app: Any) -> None:
    view = await saved(client, "My own", "assignee=me", "everyone")
    assert view.query == "assignee=me"
    ana, bob = await make.agent(full_name="Ana"), await make.agent(full_name="Bob")
    for agent in (ana, bob):
        await make.ticket(title=f"Of {agent.full_name}", assignee_id=agent.id)
    for agent in (ana, bob):
        async with Browser(shared_app, client.desk) as other:
            await other.sign_in(agent)
            assert shown((await other.get(f"{LIST}?view={view.id}")).text) == [f"Of {agent.full_name}"]
            assert numbers((await other.get("/admin/queues")).text) == {view.id: "1"}
    assert shown((await client.get(f"{LIST}?view={view.id}")).text) == []


async def test_a_view_of_a_role_stands_in_the_menus_of_those_who_have_it(
    client: Browser, make: Make, shared_app: Any
) -> None:
    view = await saved(client, "For agents", "status=open", await role_of(client, "agent"))
    page = (await client.get(f"{LIST}?view={view.id}")).text
    assert "A view of the role agent" in page, "whoever shares views may look at it"
    assert "For agents" not in menu(page), "but does not work through it"
    assert "For the role agent" in (await client.get("/admin/views")).text
    async with Browser(shared_app, client.desk) as other:
        await other.sign_in(await make.agent())
        assert menu((await other.get("/admin/")).text) == ["For agents"]


async def test_only_who_may_share_makes_views_for_others(browser: Browser, make: Make) -> None:
    await browser.sign_in(await make.agent())
    form = (await browser.get(f"{SAVE}?status=open")).text
    assert "For whom" not in form
    for audience in ("everyone", await role_of(browser, "agent")):
        done = await browser.submit(SAVE, {"name": "For all", "query": "", "audience": audience})
        assert done.status_code == 403
        assert "saved_view.share" in done.text
    mine = await saved(browser, "Mine", "status=open")
    fields = {"name": "Mine", "icon": "filter", "audience": "everyone", "version": "1"}
    assert (await browser.submit(f"/admin/views/{mine.id}/edit", fields)).status_code == 403


async def test_what_cannot_be_saved_is_said_by_field_and_nothing_is_lost(client: Browser) -> None:
    await saved(client, "Taken", "status=open")
    for fields, said in (
        ({"name": ""}, "Please give it a name"),
        ({"name": "taken"}, "is the name of another view"),
        ({"name": "x" * 101}, "at most 100 fit"),
        ({"audience": "77"}, "takes me, everyone, or one of the roles"),
        ({"icon": "skull"}, "takes one of"),
        ({"reason": "x" * 2001}, "characters at most"),
    ):
        given = {"name": "New", "query": "q=vpn&status=closed", "icon": "tag", **fields}
        answer = await client.submit(SAVE, given)
        assert answer.status_code == 422, fields
        assert said in answer.text, fields
        assert 'name="query" value="q=vpn&amp;status=closed"' in answer.text
    assert (await client.submit(SAVE, {"name": "New", "query": "colour=red"})).status_code == 400
    assert (await client.get(f"{SAVE}?colour=red")).status_code == 400
    assert (await client.get("/admin/views/save/nothing")).status_code == 404


async def test_renaming_sharing_and_deleting_are_change_sets_that_can_be_undone(
    client: Browser, make: Make, shared_app: Any
) -> None:
    view = await saved(client, "First", "status=open", reason="Tried out.")
    url = f"/admin/views/{view.id}/edit"
    form = (await client.get(url)).text
    assert 'value="First"' in form
    fields = {"name": "Second", "icon": "clock", "audience": "everyone", "version": str(view.version)}
    assert (await client.submit(url, fields)).headers["location"] == "/admin/views"
    changed = await stored(client, "Second")
    assert (changed.icon, changed.user_id, changed.query) == ("clock", None, "status=open")
    late = await client.submit(url, {**fields, "name": "Third"})
    assert late.status_code == 422
    assert "Somebody else changed this view" in late.text
    asked = (await client.get(f"/admin/views/{view.id}/delete")).text
    assert "For everybody" in asked
    await client.submit(f"/admin/views/{view.id}/delete", {"reason": "Nobody needs it."})
    page = (await client.get("/admin/views")).text
    assert "“Second” is deleted" in page
    async with client.desk.database.read() as session:
        made = (await session.scalars(select(ChangeSet).order_by(ChangeSet.id.desc()).limit(3))).all()
        audited = select(AuditLog.action).where(AuditLog.table_name == "saved_views").order_by(AuditLog.id)
        assert list(await session.scalars(audited)) == ["CREATE", "UPDATE", "DELETE"]
    assert [(one.action, one.reason, one.changed) for one in made] == [
        ("saved_view.share", "Nobody needs it.", 1),
        ("saved_view.share", None, 1),
        ("saved_view.keep", "Tried out.", 1),
    ]
    (undo,) = re.findall(r'href="(/admin/change_set/\d+/undo)"', page)
    await client.submit(undo, {"confirmed": "1", "key": "k"})
    assert (await stored(client, "Second")).user_id is None


async def test_what_somebody_did_to_their_own_views_they_undo_without_any_permission(
    browser: Browser, make: Make
) -> None:
    await browser.sign_in(await make.agent("auditor"))
    await saved(browser, "Mine", "status=open")
    page = (await browser.get("/admin/views")).text
    (undo,) = re.findall(r'href="(/admin/change_set/\d+/undo)"', page)
    assert (await browser.get(undo)).status_code == 200
    await browser.submit(undo, {"confirmed": "1", "key": "k"})
    assert "Mine" not in menu((await browser.get("/admin/views")).text)


async def test_views_are_moved_by_buttons_that_need_no_script(client: Browser) -> None:
    views = {name: await saved(client, name, "") for name in ("A", "B", "C")}
    page = (await client.get("/admin/views")).text
    assert f'formaction="/admin/views/{views["B"].id}/move/up" aria-label="Move B up"' in page
    done = await client.submit(f"/admin/views/{views['C'].id}/move/up")
    assert done.headers["location"] == f"/admin/views#view-{views['C'].id}"
    assert menu((await client.get("/admin/")).text) == ["A", "C", "B"]
    await client.submit(f"/admin/views/{views['A'].id}/move/down")
    assert menu((await client.get("/admin/")).text) == ["C", "A", "B"]
    assert (await client.submit(f"/admin/views/{views['A'].id}/move/sideways")).status_code == 404


async def test_a_broken_view_says_which_part_and_how_to_mend_it(client: Browser, make: Make) -> None:
    await make.ticket(title="Urgent", priority="urgent")
    view = await saved(client, "Old", "priority=urgent")
    await rewritten(client, view, query="priority=urgent&severity=5&status=stuck")
    answer = await client.get(f"{LIST}?view={view.id}")
    assert answer.status_code == 400
    for text in (
        "<code>severity=5</code>",
        "is not a parameter of this list",
        "<code>status=stuck</code>",
        "is not known",
    ):
        assert text in answer.text, text
    assert f'href="{LIST}?priority=urgent"' in answer.text
    listed = (await client.get("/admin/views")).text
    assert "severity is not a parameter" in listed.replace(":", "")
    assert "Needs mending" in (await client.get("/admin/queues")).text
    assert "Old" in menu(listed), "it is never dropped"
    (left,) = re.findall(r'name="query" value="([^"]*)"', answer.text)
    await client.submit(f"/admin/views/{view.id}/keep", {"query": unescape(left)})
    assert shown((await client.get(f"{LIST}?view={view.id}")).text) == ["Urgent"]
    await rewritten(client, view, query="assignee=gone@example.com")
    nobody = await client.get(f"{LIST}?view={view.id}")
    assert nobody.status_code == 400
    assert "<code>assignee=gone@example.com</code>" in nobody.text
    await rewritten(client, view, query="")
    wrong = await client.get(f"{LIST}?view={view.id}&severity=5")
    assert wrong.status_code == 400
    assert "severity" in wrong.text
    assert "cannot be shown as it was saved" not in wrong.text, "here it is the address that is wrong, not the view"


async def test_views_of_lists_that_are_gone_are_reported(client: Browser, registry: Registry) -> None:
    view = await saved(client, "Lost", "status=open")
    await rewritten(client, view, resource="gadget")
    broken = await saved(client, "Bent", "status=open")
    await rewritten(client, broken, query="severity=5")
    page = await client.get("/admin/views")
    assert menu(page.text) == ["Bent"]
    async with client.desk.database.read() as session:
        lines = await saved_views.problems(session, registry, client.desk.settings.time_zone)
    assert f"view {view.id} “Lost” of gadget: the plugin that offers this list is not loaded." in lines[0]
    assert lines[1].startswith(f"view {broken.id} “Bent” of ticket: severity is not a parameter of this list.")
