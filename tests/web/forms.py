"""What tests of forms share: opening and sending them as a browser would, and what the database has afterwards."""

import re
from html import unescape
from typing import Any

import httpx
from sqlalchemy import func, select

from admin_app.db import Acting
from admin_app.models import (
    AuditLog,
    ChangeSet,
    Role,
    RolePermission,
    Tag,
    Ticket,
    TicketStatus,
)
from admin_app.queries import tickets
from admin_app.queries.changes import Chosen
from admin_app.testing import Browser, Make

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


async def stored(browser: Browser, model: type[Any], id: int) -> Any:  # noqa: A002
    """The row as it is in the database now."""
    async with browser.desk.database.read() as session:
        return await session.get_one(model, id, populate_existing=True)


async def change_sets(browser: Browser, action: str) -> list[ChangeSet]:
    async with browser.desk.database.read() as session:
        return list(await session.scalars(select(ChangeSet).where(ChangeSet.action == action).order_by(ChangeSet.id)))


async def audited(browser: Browser, change_set: ChangeSet) -> list[AuditLog]:
    async with browser.desk.database.read() as session:
        found = select(AuditLog).where(AuditLog.change_set_id == change_set.id).order_by(AuditLog.id)
        return list(await session.scalars(found))


async def count(browser: Browser, model: type[Any]) -> int:
    async with browser.desk.database.read() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def tags_of(browser: Browser, ticket: Ticket) -> list[str]:
    async with browser.desk.database.read() as session:
        return list(await session.scalars(select(Tag.name).join(Tag.tickets).where(Ticket.id == ticket.id)))


async def bring_to(browser: Browser, ticket: Ticket, status: TicketStatus) -> None:
    """Somebody else sets a ticket's status."""
    async with browser.desk.database.transaction(Acting.system(), "test.status") as change:
        await tickets.set_status(change.session, Chosen.of(Ticket, [ticket.id]), status, None)


async def role(make: Make, *permissions: str) -> str:
    """A new role that allows just this, by its name."""
    made = await make.save(Role(name=f"role {next(make.numbers)}"))
    for permission in permissions:
        await make.save(RolePermission(role_id=made.id, permission=permission))
    return str(made.name)


def opened(page: httpx.Response) -> dict[str, Any]:
    """What a browser would send of a form as it came: every control with its value, nothing filled in."""
    form = page.text[page.text.index("<main") :]
    fields: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        facts = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if facts.get("type") in {"checkbox", "radio"} and " checked" not in tag:
            continue
        if "name" in facts:
            fields.setdefault(facts["name"], []).append(unescape(facts.get("value", "")))
    for name, body in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        for value in re.findall(r'<option value="([^"]*)"[^>]* selected', body):
            fields.setdefault(name, []).append(unescape(value))
    for name, body in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>', form, re.DOTALL):
        if not name.endswith("_lines"):
            fields.setdefault(name, []).append(unescape(body))
    return fields


async def edit(browser: Browser, url: str, **filled: Any) -> httpx.Response:
    """Open a form, fill some of it in, and send it."""
    page = await browser.get(url)
    assert page.status_code == 200, page.text
    return await browser.submit(url, {**opened(page), **filled})


def problem(page: httpx.Response, field: str) -> str:
    """The sentence that a page ties to a field by aria-describedby."""
    control = next(tag for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", page.text) if f'id="{field}"' in tag)
    assert 'aria-invalid="true"' in control
    described = re.search(r'aria-describedby="([^"]*)"', control)
    assert described is not None
    assert f"{field}-error" in described[1].split()
    found = re.search(rf'id="{field}-error">.*?<span>(.*?)</span>', page.text, re.DOTALL)
    assert found is not None
    return unescape(found[1])
