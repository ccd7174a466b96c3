"""`backdesk db`: the database from the command line, local or external."""

import asyncio
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn, Self, cast

import click
from sqlalchemy.engine import URL

from admin_app import migrations, resources
from admin_app.postgres import client_environment, find, find_client, find_or_start, urls
from admin_app.registry import load
from admin_app.settings import Settings

_OURS = "nspname !~ '^pg_' AND nspname <> 'information_schema'"

_COUNT_TABLES = f"""
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND {_OURS}
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""

_DROP_EVERYTHING = f"""
    SET LOCAL lock_timeout = '10s';
    SET LOCAL client_min_messages = warning;
    DO $$ DECLARE doomed name; BEGIN
        FOR doomed IN SELECT nspname FROM pg_namespace WHERE {_OURS} LOOP
            EXECUTE format('DROP SCHEMA %I CASCADE', doomed);
        END LOOP;
    END $$;
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC;
"""


@dataclass(frozen=True)
class Clients:
    """PostgreSQL's client programs, connecting as the owner to the database that the settings name."""

    bindir: Path | None
    environment: dict[str, str]
    version: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The clients of the settings' database; a local server is started where it is not running."""
        owner, _ = urls(settings)
        server = None if settings.database_url else find(settings.data_dir, settings.pg_bindir)
        if server:
            return cls(server.bindir, client_environment(owner), server.version)
        stranger = cls(settings.pg_bindir, client_environment(owner))
        return cls(settings.pg_bindir, stranger.environment, int(stranger.ask("SHOW server_version_num")) // 10_000)

    def program(self, name: str) -> str:
        """The path of a client program; raises LocalServerError where there is none."""
        return str(find_client(name, self.bindir, self.version))

    def ask(self, sql: str) -> str:
        """The one value that a query gives, as text; a connection that fails ends the command."""
        command = [self.program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]
        done = subprocess.run(command, env=self.environment, capture_output=True, encoding="utf-8")
        if done.returncode:
            raise click.ClickException(f"The database does not answer: {done.stderr.strip()}")
        return done.stdout.strip()

    def count_tables(self) -> int:
        """How many tables there are, those of PostgreSQL and of its extensions left out."""
        return int(self.ask(_COUNT_TABLES))

    def restore(self, file: Path, first: str) -> bool:
        """Run the statements `first` and then the archive, all in one transaction; whether that succeeded.

        COMMIT is said only when the archive was read to its end: a truncated one changes nothing.
        """
        reading = [self.program("pg_restore"), "--no-owner", "-f", "-", str(file.absolute())]
        writing = [self.program("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-o", os.devnull]
        with (
            suppress(BrokenPipeError),
            subprocess.Popen(writing, env=self.environment, stdin=subprocess.PIPE) as psql,
            subprocess.Popen(reading, env=self.environment, stdout=subprocess.PIPE) as archive,
        ):
            script = cast(IO[bytes], psql.stdin)
            script.write(f"BEGIN;\n{first}\n".encode())
            shutil.copyfileobj(cast(IO[bytes], archive.stdout), script)
            if archive.wait() == 0:
                script.write(b"COMMIT;\n")
        return archive.returncode == psql.returncode == 0


@click.group()
def db() -> None:
    """The database: start, stop, look into, copy, bring up to date.

    Without DATABASE_URL it is a local PostgreSQL that Backdesk itself makes and starts.
    """


@db.command()
def start() -> None:
    """Start the local PostgreSQL; the first time, make it."""
    settings = Settings.from_env()
    if not _said_external(settings):
        click.echo(find_or_start(settings.data_dir, settings.pg_bindir).status())


@db.command()
def stop() -> None:
    """Stop the local PostgreSQL; everything stored stays."""
    settings = Settings.from_env()
    if _said_external(settings):
        return
    server = find(settings.data_dir, settings.pg_bindir)
    stopped = server is not None and server.stop()
    click.echo("The local PostgreSQL was stopped." if stopped else "The local PostgreSQL was not running.")


@db.command()
def status() -> None:
    """Say whether the local PostgreSQL runs, and where everything is."""
    settings = Settings.from_env()
    if _said_external(settings):
        return
    server = find(settings.data_dir, settings.pg_bindir)
    nothing = "There is no local PostgreSQL yet; `backdesk db start` makes and starts one."
    click.echo(server.status() if server else nothing)


@db.command()
@click.option("--owner", is_flag=True, help="The owner's, who may change tables, instead of the application's.")
def url(owner: bool) -> None:
    """Print the database's URL with its password, as psql and DATABASE_URL take it."""
    owner_url, app_url = urls(Settings.from_env())
    click.echo(_as_text(owner_url if owner else app_url))


@db.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def psql(args: tuple[str, ...]) -> NoReturn:
    """Open psql as the owner of the database; ARGS go to psql."""
    clients = Clients.of(Settings.from_env())
    program = clients.program("psql")
    # psql takes this process's place, so that Ctrl-C is psql's alone.
    os.execve(program, [program, *args], clients.environment)  # noqa: S606


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file where it exists.")
def dump(file: Path, force: bool) -> None:
    """Copy the whole database into FILE, an archive for `backdesk db restore` and pg_restore."""
    if file.exists() and not force:
        raise click.ClickException(f"{file} exists. Choose another name, or add --force to replace it.")
    clients = Clients.of(Settings.from_env())
    unfinished = file.absolute().with_name(f".{file.name}.{os.getpid()}")
    try:
        unfinished.touch(mode=0o600)
        command = [clients.program("pg_dump"), "--format=custom", "--file", str(unfinished)]
        if subprocess.run(command, env=clients.environment).returncode:
            raise click.ClickException(f"The database could not be copied; {file} was not written.")
        unfinished.replace(file)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    click.echo(f"Wrote {clients.count_tables()} tables into {file}, {file.stat().st_size:,} bytes.")


@db.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace everything that the database holds now.")
def restore(file: Path, force: bool) -> None:
    """Fill the database from FILE, which `backdesk db dump` wrote: wholly, or not at all."""
    clients = Clients.of(Settings.from_env())
    before = clients.count_tables()
    if before and not force:
        advice = f"Add --force to replace everything in it with {file}."
        raise click.ClickException(f"The database holds {before} tables, so nothing was changed. {advice}")
    if not clients.restore(file, _DROP_EVERYTHING if before else ""):
        advice = "Is it an archive of `backdesk db dump`, and is nobody else using the database?"
        raise click.ClickException(f"{file} could not be restored, so nothing was changed. {advice}")
    replaced = f"; the {before} tables that were there before are gone" if before else ""
    click.echo(f"Restored {clients.count_tables()} tables from {file}{replaced}.")


@db.command()
def upgrade() -> None:
    """Bring the tables of the core and of the plugins, the triggers and the two roles up to date."""
    settings = Settings.from_env()
    branches = load(settings, core=[resources.plugin]).branches()
    owner, app = urls(settings)
    for line in asyncio.run(migrations.upgrade(owner, app if app != owner else None, branches)):
        click.echo(line)


@db.command()
def check() -> None:
    """Compare the database with the code; print what differs, with exit code 1, and change nothing."""
    settings = Settings.from_env()
    branches = load(settings, core=[resources.plugin]).branches()
    owner, _ = urls(settings)
    if problems := asyncio.run(migrations.check(owner, branches)):
        click.echo("\n".join(problems))
        raise click.exceptions.Exit(1)
    click.echo("The database fits the code.")


def _said_external(settings: Settings) -> bool:
    """Say that the database is not ours to start or stop, where it is not."""
    if settings.database_url:
        click.echo(f"DATABASE_URL is set: the database is an external one, {settings.database_url.render_as_string()}.")
        click.echo("Backdesk neither starts nor stops it.")
    return settings.database_url is not None


def _as_text(url: URL) -> str:
    """The URL as libpq reads it, which takes a + in the query for a plus."""
    place, mark, query = url.set(drivername="postgresql").render_as_string(hide_password=False).partition("?")
    return place + mark + query.replace("+", "%20")
