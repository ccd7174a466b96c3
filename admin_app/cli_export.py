"""`backdesk export`: the whole of a list as a file."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import click

from admin_app.choosing import NOBODY, expanded, viewer_of, visible_to
from admin_app.cli_orders import Desk, Person, opened, person, settled
from admin_app.cli_telling import counted
from admin_app.errors import BadInput, BadRequest, Forbidden
from admin_app.exports.jobs import Asked, parameters_of
from admin_app.exports.layout import MEDIA, Layout, unnamed
from admin_app.exports.store import Draft
from admin_app.exports.writing import write
from admin_app.plugin import Resource
from admin_app.queries import rows
from admin_app.queries.export import Sink, unhurried
from admin_app.queries.listing import ListQuery

MOST = 2**31 - 1
"""Rows up to which it is counted how many a file will have."""


@click.command(name="export")
@click.argument("resource")
@click.option("--where", metavar="FILTER", default="", help='The filter of the list, such as "status=open&tag=vpn".')
@click.option("--format", "kind", type=click.Choice(list(MEDIA)), help="Otherwise as the file's name ends, or csv.")
@click.option("--columns", metavar="NAMES", default="", help="Which, in their order, with commas; otherwise all.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="The file; otherwise stdout.")
@click.option("--labels", is_flag=True, help="Head the columns as pages do, and not by their names.")
@click.option("--bom", is_flag=True, help="Begin CSV with a byte order mark, as Excel wants it.")
@click.option("--formulas", is_flag=True, help="Leave texts that a spreadsheet would calculate as they are.")
@click.option("--as", "email", metavar="EMAIL", help="Who exports, with their permissions; otherwise the operator.")
def export(
    resource: str,
    where: str,
    kind: str | None,
    columns: str,
    output: Path | None,
    labels: bool,
    bom: bool,
    formulas: bool,
    email: str | None,
) -> None:
    """Write the whole of a list to a file: `backdesk export ticket --where "status=open" -o open.csv`."""
    ending = output.suffix.lstrip(".") if output else ""
    kind = kind or (ending if ending in MEDIA else "csv")
    switches = {"labels": labels, "bom": bom, "formulas": formulas}
    options = [("columns", columns), *((name, "yes" if on else "no") for name, on in switches.items())]
    asyncio.run(_export(resource, where.strip().removeprefix("?"), kind, options, output, email))


async def _export(
    name: str, where: str, kind: str, options: list[tuple[str, str]], output: Path | None, email: str | None
) -> None:
    settings, registry = settled()
    resource = registry.resource(name)
    layout, _ = Layout.parse(resource, kind, options)
    async with opened(settings, registry) as desk:
        who = await person(desk, email, None)
        if not who.authority.may(f"{resource.name}.export"):
            raise Forbidden(f"{who.name} may not export these. It needs the permission {resource.name}.export.")
        query = await _understood(desk, resource, where, who)
        async with desk.database.read() as session:
            await unhurried(session, 1)
            query = await query.understood(session)
            expected = await rows.count_of(session, query, MOST)
        facts = parameters_of(Asked(resource, layout, urlencode(query.pairs()), expected, str(who.zone)))
        async with desk.database.transaction(who.acting, f"{resource.name}.export", parameters=facts):
            pass
        hidden = unnamed(registry.resources.values(), who.authority, resource)
        async with desk.database.read() as session, _opened(output) as sink:
            await unhurried(session, settings.export_minutes)
            number = await write(session, layout.extract(resource, query, hidden), layout, sink)
    click.echo(f"{counted(resource.model, number)} written{f' to {output}' if output else ''}.", err=True)


async def _understood(desk: Desk, resource: Resource, where: str, who: Person) -> ListQuery:
    """What a list's query string asks for, of the rows that whoever exports may see; raises BadRequest, Forbidden."""
    visible, viewer = visible_to(who.authority, resource), viewer_of(who.authority, who.zone)
    pairs = await expanded(desk.database, resource, parse_qsl(where, keep_blank_values=True), who.authority)
    query = ListQuery.parse(resource, pairs, viewer)
    if viewer.user_id == NOBODY and any(NOBODY in item.ids for item in query.filters):
        raise BadRequest("“me” is nobody here: say with --as who exports.")
    return replace(query, visible=visible)


@asynccontextmanager
async def _opened(output: Path | None) -> AsyncIterator[Sink]:
    """Where pieces go: a file, which gets its name once it is whole, or the standard output."""
    if output is None:
        yield _to_stdout
        return
    try:
        draft = Draft(output.with_name(f".{output.name}.part"))
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}.") from error
    try:
        yield draft.write
        await draft.settle()
        draft.path.replace(output)
    finally:
        draft.file.close()
        draft.path.unlink(missing_ok=True)


async def _to_stdout(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
