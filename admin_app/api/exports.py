"""Whole lists for scripts, as files: sent while they are written, whatever their size."""

from starlette.requests import Request
from starlette.responses import Response

from admin_app.api.records import resource_of
from admin_app.choosing import expanded
from admin_app.errors import BadRequest
from admin_app.exports.layout import MEDIA
from admin_app.models import Door
from admin_app.queries import rows
from admin_app.queries.export import unhurried
from admin_app.web import exporting
from admin_app.web.context import actor_of, desk_of

FORMAT = "format"


async def whole(request: Request) -> Response:
    """`GET /api/{resource}/export?format=jsonl`: every row that the list's parameters find; of CSV without a mark."""
    resource = resource_of(request, "export")
    desk, given = desk_of(request), request.query_params.multi_items()
    kinds = {value for name, value in given if name == FORMAT and value} or {"csv"}
    if len(kinds) > 1 or not kinds <= MEDIA.keys():
        raise BadRequest(fields={FORMAT: f"takes one of {', '.join(MEDIA)}, once."})
    exporting.require(request, resource)
    pairs = [pair for pair in given if pair[0] != FORMAT]
    pairs = await expanded(desk.database, resource, pairs, actor_of(request))
    wanted = await exporting.wish(request, resource, kinds.pop(), pairs, bom=False)
    async with desk.database.read() as session:
        await unhurried(session, 1)
        expected = await rows.count_of(session, wanted.query, exporting.ROWS)
    return await exporting.sent(request, wanted, expected, Door.API)
