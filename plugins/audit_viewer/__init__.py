"""Who changed what: a history on every audited record, and a page that searches the whole audit log."""

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Audited
from admin_app.plugin import Plugin, Visit
from admin_app.queries import audit
from plugins.audit_viewer.asked import ACTIONS, Asked
from plugins.audit_viewer.links import Links, log

plugin = Plugin(__name__)

SHOWN = 15
"""Entries in the box on a record's page; the rest is one link away."""


@plugin.panel(Audited, label="History", template="audit_viewer/history.html", permission="audit_log.view")
async def history(session: AsyncSession, record: Any, visit: Visit) -> dict[str, Any]:
    """What happened to this record and its links, newest first: who, when, why, and each field before and after."""
    table = record.__tablename__
    record_id = ",".join(map(str, inspect(record).identity))
    page = await audit.history(session, table, record_id, limit=SHOWN)
    more = log(type=table, record=record_id) if page.older and visit.may("audit_viewer.audit_log") else None
    return {"page": page, "links": Links(visit), "more": more}


@plugin.page(
    label="Who changed what",
    template="audit_viewer/audit_log.html",
    icon="history",
    group="History",
    roles=("lead", "auditor"),
)
async def audit_log(session: AsyncSession, visit: Visit) -> dict[str, Any]:
    """Every change of every record by any way, newest first, with each field before and after."""
    asked = Asked.parse(visit)
    page = await audit.search(session, asked.filter, before_id=asked.before, after_id=asked.after)
    return {
        "asked": asked,
        "log": page,
        "links": Links(visit),
        "types": audit.audited_tables(),
        "actions": ACTIONS,
        "people": await audit.people(session),
    }
