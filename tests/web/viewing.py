"""What tests of saved views share: saving one through the door, and reading what its list and the menu show."""

import re
from html import unescape
from typing import Any

from sqlalchemy import select

from admin_app.db import Acting
from admin_app.models import Role, SavedView, Ticket, TicketStatus, User
from admin_app.plugin import Chosen
from admin_app.queries import tickets
from admin_app.testing import Browser

LIST = "/admin/ticket/list"
SAVE = "/admin/views/save/ticket"


async def stored(browser: Browser, name: str) -> SavedView:
    """The view of a name."""
    async with browser.desk.database.read() as session:
        return (await session.scalars(select(SavedView).where(SavedView.name == name))).one()


async def saved(browser: Browser, name: str, query: str, audience: str = "me", **fields: Any) -> SavedView:
    """A view that was saved through the door."""
    done = await browser.submit(SAVE, {"name": name, "query": query, "audience": audience, **fields})
    assert done.status_code == 303, done.text
    view = await stored(browser, name)
    assert done.headers["location"] == f"{LIST}?view={view.id}"
    return view


async def role_of(browser: Browser, name: str) -> str:
    async with browser.desk.database.read() as session:
        return str((await session.scalars(select(Role.id).where(Role.name == name))).one())


async def rewritten(browser: Browser, view: SavedView, **facts: Any) -> None:
    """A view as another version of the desk may have left it."""
    async with browser.desk.database.transaction(Acting.system(), "test.make") as change:
        kept = await change.session.get_one(SavedView, view.id)
        for name, value in facts.items():
            setattr(kept, name, value)


async def status(browser: Browser, ticket: Ticket, becomes: TicketStatus, by: User) -> None:
    """Bring a ticket to a status, as somebody does."""
    async with browser.desk.database.transaction(Acting(user_id=by.id), "status.change") as change:
        await tickets.assign(change.session, Chosen.of(Ticket, [ticket.id]), by)
        outcome = await tickets.set_status(change.session, Chosen.of(Ticket, [ticket.id]), becomes, by.id)
    assert outcome.changed == 1


def shown(page: str) -> list[str]:
    """The titles of the tickets that a list shows."""
    links = re.findall(r'<(?:td|th scope=row) class="?(?:grow )?title"?[^>]*><a [^>]*>([^<]*)</a>', page)
    return [unescape(title) for title in links]


def menu(page: str) -> list[str]:
    """The names of the queues in the menu."""
    part = page.partition("<div data-queues")[2].partition("</ul>")[0]
    return [unescape(name) for name in re.findall(r"<span>([^<]+)</span>", part)][:-1]


def numbers(fragment: str) -> dict[int, str]:
    """By view, what the menu says."""
    found = re.findall(r'id="queue-(\d+)" hx-swap-oob="true">([^<]*)<', fragment)
    return {int(key): text for key, text in found}
