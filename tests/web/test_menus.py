"""One's own menu: views are hidden, brought back and put in order, for oneself and nobody else."""

import re
from typing import Any

from sqlalchemy import func, select

from admin_app.models import ChangeSet, SavedView
from admin_app.testing import Browser, Make
from tests.web.viewing import LIST, menu, numbers, saved, shown

VIEWS = "/admin/views"


async def three(client: Browser) -> dict[str, SavedView]:
    """A view of one's own, and two that everybody has."""
    views = {name: await saved(client, name, "", "everyone") for name in ("A", "B")}
    return {"Own": await saved(client, "Own", "")} | views


async def sets_of(browser: Browser) -> int:
    async with browser.desk.database.read() as session:
        return await session.scalar(select(func.count()).select_from(ChangeSet)) or 0


async def in_menu(browser: Browser) -> list[str]:
    return menu((await browser.get("/admin/")).text)


async def test_a_view_is_hidden_from_ones_own_menu_and_brought_back(
    client: Browser, make: Make, shared_app: Any
) -> None:
    views = await three(client)
    await make.ticket(title="Here")
    hide = f"{VIEWS}/{views['A'].id}/menu/hide"
    page = (await client.get(VIEWS)).text
    assert f'formaction="{hide}" aria-label="Hide A from your menu"' in page
    done = await client.submit(hide)
    assert (done.status_code, done.headers["location"]) == (303, f"{VIEWS}#menu-{views['A'].id}")
    assert await in_menu(client) == ["Own", "B"]
    assert views["A"].id not in numbers((await client.get("/admin/queues")).text)
    assert shown((await client.get(f"{LIST}?view={views['A'].id}")).text) == ["Here"], "its address still works"
    assert "A" in re.findall(r"<span>([^<]+)</span>", (await client.get("/admin/palette?q=a")).text), "and it is found"
    async with Browser(shared_app, client.desk) as other:
        await other.sign_in(await make.agent())
        assert await in_menu(other) == ["A", "B"], "nobody else's menu changes"
    page = (await client.get(VIEWS)).text
    assert 'aria-label="Show A in your menu"' in page
    await client.submit(f"{VIEWS}/{views['A'].id}/menu/show")
    assert await in_menu(client) == ["Own", "A", "B"]


async def test_a_menu_has_an_order_of_ones_own_and_goes_back_to_the_usual_one(
    client: Browser, make: Make, shared_app: Any
) -> None:
    views = await three(client)
    async with Browser(shared_app, client.desk) as agent:
        await agent.sign_in(await make.agent())
        await agent.submit(f"{VIEWS}/{views['B'].id}/menu/up")
        assert await in_menu(agent) == ["B", "A"], "without a permission"
        await agent.submit(f"{VIEWS}/{views['B'].id}/menu/up")
        assert await in_menu(agent) == ["B", "A"], "no further than the end"
        await saved(client, "C", "", "everyone")
        assert await in_menu(agent) == ["B", "A", "C"], "what is shared later comes last"
        assert await in_menu(client) == ["Own", "A", "B", "C"]
        await agent.submit(f"{VIEWS}/{views['B'].id}/menu/hide")
        await agent.submit(f"{VIEWS}/{views['B'].id}/menu/show")
        assert await in_menu(agent) == ["B", "A", "C"], "it comes back to where it was"
        assert "Back to the usual menu" in (await agent.get(VIEWS)).text
        await agent.submit(f"{VIEWS}/menu")
        assert await in_menu(agent) == ["A", "B", "C"]
        assert "Back to the usual menu" not in (await agent.get(VIEWS)).text


async def test_nobody_arranges_what_they_do_not_see_and_nothing_else_is_changed(
    client: Browser, make: Make, shared_app: Any
) -> None:
    views = await three(client)
    async with Browser(shared_app, client.desk) as other:
        await other.sign_in(await make.agent())
        before = await sets_of(client)
        for key in (views["Own"].id, 999_999):
            for way in ("hide", "show", "up"):
                assert (await other.submit(f"{VIEWS}/{key}/menu/{way}")).status_code == 404
        assert (await other.submit(f"{VIEWS}/{views['A'].id}/menu/sideways")).status_code == 404
        assert (await other.post(f"{VIEWS}/{views['A'].id}/menu/hide")).status_code == 403, "without a token"
        assert (await other.get(f"{VIEWS}/{views['A'].id}/menu/hide")).status_code == 405
        assert await in_menu(other) == ["A", "B"]
        await other.submit(f"{VIEWS}/{views['A'].id}/menu/hide")
        assert await sets_of(client) == before, "a menu is nobody's record, and needs no change set"
        await client.submit(f"{VIEWS}/{views['A'].id}/delete")
        assert await in_menu(other) == ["B"]
