"""`backdesk import`: users, tickets and comments of another system, from the command line."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import click

from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError, Forbidden, NotFound
from admin_app.importing import Report, load, run
from admin_app.importing.mapping import MappingFile
from admin_app.models import Door
from admin_app.postgres import urls
from admin_app.queries import users
from admin_app.settings import Settings

PERMISSION = "import.run"
REJECTED, UNUSABLE = 1, 2


@click.command(name="import")
@click.argument("what", type=click.Choice(["users", "tickets", "comments"]))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--mapping", required=True, type=click.Path(path_type=Path), help="Which column feeds which field (TOML)."
)
@click.option("--dry-run", is_flag=True, help="Do everything, count it, and undo it.")
@click.option("--as", "email", metavar="EMAIL", help="Who imports; unset, the installation itself.")
@click.option("--reason", help="Why; kept in the audit log.")
@click.option("--rejected", type=click.Path(path_type=Path), help="Where rejected rows go. Unset: FILE.rejected.jsonl")
def import_command(
    what: str, file: Path, mapping: Path, dry_run: bool, email: str | None, reason: str | None, rejected: Path | None
) -> None:
    """Import users, tickets or comments from FILE: CSV or JSONL, plain or gzipped.

    Records are found again by their external_id, so a second run changes only what changed in the source. Import users
    first, then tickets, then comments. Ends with 1 when rows were rejected, with 2 when nothing could be imported.
    """
    try:
        report = asyncio.run(_import(load(mapping, what), file, dry_run, email, reason, rejected))
    except BackdeskError as error:
        click.echo(error.message, err=True)
        sys.exit(UNUSABLE)
    _tell(report, dry_run)
    sys.exit(REJECTED if report.rejected else 0)


async def _import(
    mapping: MappingFile, file: Path, dry_run: bool, email: str | None, reason: str | None, rejected: Path | None
) -> Report:
    settings = Settings.from_env()
    _, app_url = urls(settings)
    database = Database.connect(app_url, settings)
    try:
        acting = replace(await _acting(database, email), reason=reason)
        progress = _progress if sys.stderr.isatty() else None
        return await run(database, acting, file, mapping, rehearsal=dry_run, rejected_file=rejected, progress=progress)
    finally:
        await database.close()
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", nl=False, err=True)


async def _acting(database: Database, email: str | None) -> Acting:
    """Who imports; raises NotFound or Forbidden when that person cannot."""
    if email is None:
        return Acting.system(Door.CLI)
    async with database.read() as session:
        actor = await users.actor_by_email(session, email)
    if actor is None:
        raise NotFound(f"There is no active person with the e-mail address {email}.")
    if not actor.may(PERMISSION):
        raise Forbidden(f"{actor.full_name} may not import. It needs the permission {PERMISSION}.")
    return Acting(user_id=actor.user_id, door=Door.CLI)


def _progress(count: int) -> None:
    click.echo(f"\r{count:,} rows read …", nl=False, err=True)


def _tell(report: Report, dry_run: bool) -> None:
    counts = {
        "new": report.new,
        "changed": report.changed,
        "unchanged": report.unchanged,
        **{f"skipped: {reason}": count for reason, count in report.skipped.items()},
        "rejected": report.rejected,
    }
    for label, count in counts.items():
        click.echo(f"{count:>11,}  {label}")
    for note, count in report.notes.items():
        click.echo(f"{count:>11,}  note: {note}")
    for warning in report.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if report.rejected_file:
        click.echo(f"Rejected rows, with reasons: {report.rejected_file}")
    if dry_run:
        click.echo("This was a dry run: nothing was changed.")
    else:
        click.echo(f"Change set {report.change_set_id}.")
