"""The report of a change set, row by row: on pages by outcome, and whole as a file for spreadsheets."""

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import BadRequest
from admin_app.exports.layout import MEDIA
from admin_app.exports.writing import csv_text, harmless
from admin_app.queries import progress, undo
from admin_app.queries.export import Sink, unhurried
from admin_app.queries.export_outcomes import copy_outcomes, mapper_with_label
from admin_app.queries.readable import mapper_of, table_label
from admin_app.web import changes, deeds
from admin_app.web.context import actor_of, desk_of, path, render
from admin_app.web.exporting import Download

PAGE = 50
"""Rows on one page."""

OUTCOME_LENGTH = 300
HEADINGS = ("kind", "id", "record", "outcome", "failed")


async def page(request: Request, templates: Jinja2Templates) -> Response:
    """What became of each row, by outcome and page by page."""
    outcome, after = _asked(request)
    story = await changes.seen(request)
    change_set = story.change_set
    async with desk_of(request).database.read() as session:
        found = await progress.rows(session, change_set, after=after, limit=PAGE + 1, outcome=outcome)
        keys = [row.key for row in found[:PAGE]]
        left = await undo.left_alone(session, change_set.id, entries=keys) if change_set.undo_of_id and keys else []
    here = path("change_set", change_set.id, "rows")
    context = {
        "title": f"Rows of change set {change_set.id}",
        "words": deeds.told(desk_of(request).registry, story),
        "change_set": change_set,
        "outcomes": changes.shares(request, story),
        "total": story.done,
        "outcome": outcome,
        "rows": [_shown(request, row) for row in found[:PAGE]],
        "left": {record.entry_id: record for record in left},
        "after": after,
        "here": here,
        "first_url": path("change_set", change_set.id, "rows", outcome=outcome or None) if after else "",
        "next_url": path("change_set", change_set.id, "rows", outcome=outcome or None, after=keys[-1])
        if len(found) > PAGE
        else "",
        "csv_url": path("change_set", change_set.id, "rows.csv", outcome=outcome or None),
        "page_url": path("change_set", "details", change_set.id),
        "may_list": actor_of(request).may("change_set.view"),
    }
    return await render(request, templates, "backdesk/change_set_rows.html", context)


def _asked(request: Request) -> tuple[str, int]:
    """The outcome and the row behind which to go on; raises BadRequest for what cannot be one."""
    outcome, text = request.query_params.get("outcome", ""), request.query_params.get("after") or "0"
    if len(outcome) > OUTCOME_LENGTH or "\x00" in outcome:
        raise BadRequest(fields={"outcome": "takes changed, unchanged, skipped, failed, or a reason."})
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest(fields={"after": "takes an id."})
    return outcome, int(text)


def _shown(request: Request, row: progress.Row) -> tuple[progress.Row, str, str]:
    """A row with what its record is called, as far as the viewer may know, and its page."""
    kind = table_label(row.table)
    known = row.label and _may_know(request, row.table)
    return row, row.label if known else f"{kind} {row.record_id}", changes.place(request, kind, row.record_id)


def _may_know(request: Request, table: str) -> bool:
    desk, mapper = desk_of(request), mapper_of(table)
    return mapper is not None and desk.registry.may_know(actor_of(request), mapper.class_)


async def as_csv(request: Request, templates: Jinja2Templates) -> Response:
    """What became of every row, as a file for spreadsheets."""
    outcome, _ = _asked(request)
    desk, change_set = desk_of(request), (await changes.seen(request)).change_set
    mapper = mapper_with_label(change_set)

    async def write(sink: Sink) -> None:
        async with desk.database.read() as session:
            await unhurried(session, desk.settings.export_minutes)
            await sink(csv_text(HEADINGS, bom=True))
            if mapper is not None:
                named = desk.registry.may_know(actor_of(request), mapper.class_)
                await copy_outcomes(session, change_set, mapper, outcome, sink, named=named)
                return
            async for batch in progress.all_rows(session, change_set, outcome):
                await sink(csv_text(*(_line(request, row) for row in batch)))

    return Download(write, f"change-set-{change_set.id}-rows.csv", MEDIA["csv"])


def _line(request: Request, row: progress.Row) -> tuple[str, ...]:
    label = row.label if _may_know(request, row.table) else ""
    return table_label(row.table), row.record_id, harmless(label), harmless(row.outcome), str(row.failed).lower()
