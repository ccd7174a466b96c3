"""The lines of migrations, the core's and each plugin's, and whether a database is at the newest of each.

That much is told without Alembic, which `admin_app.migrations` needs to run them and to compare tables with models.
"""

import ast
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from admin_app import queue, triggers
from admin_app.errors import Unavailable


@dataclass(frozen=True)
class Branch:
    """A line of migrations with its own version table: the core's, or a plugin's under the plugin's name.

    `location` is the folder of its revisions; how they run is the same for all, `alembic/env.py`.
    """

    name: str | None
    location: Path

    @property
    def version_table(self) -> str:
        return f"alembic_version_{self.name}" if self.name else "alembic_version"

    def owns(self, table: str, plugins: Iterable[str]) -> bool:
        """Whether a table belongs to this branch: to the plugin whose name it begins with, the longest, or the core."""
        owners = [name for name in plugins if table.startswith(f"{name}_")]
        return max(owners, key=len, default=None) == self.name

    def heads(self) -> set[str]:
        """The revisions that no other follows: one, where the line is in order, and none where it is empty."""
        facts = [dict(_facts(file)) for file in self.location.glob("*.py")]
        revisions = {fact["revision"] for fact in facts if "revision" in fact}
        before = [fact.get("down_revision") or () for fact in facts]
        return revisions - {name for names in before for name in ([names] if isinstance(names, str) else names)}


WORK = re.compile(r"^(?:@|def |async def |class )", re.MULTILINE)
"""Where the functions of a revision begin, which are long."""


def _facts(file: Path) -> Iterator[tuple[str, Any]]:
    """What a revision says of itself and of what it follows, above its functions, read without running it."""
    for statement in ast.parse(WORK.split(file.read_text(), 1)[0], str(file)).body:
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                given = list(zip(names, values, strict=True))
            case ast.Assign(targets=[name], value=value) | ast.AnnAssign(target=name, value=ast.expr() as value):
                given = [(name, value)]
            case _:
                given = []
        for name, value in given:
            if isinstance(name, ast.Name) and name.id in {"revision", "down_revision"}:
                yield name.id, ast.literal_eval(value)


def _environment() -> Path:
    package = Path(__file__).parent
    packaged = package / "_alembic"
    return packaged if packaged.is_dir() else package.parent / "alembic"


ENVIRONMENT = _environment()
CORE = Branch(None, ENVIRONMENT / "versions")


async def behind(owner_url: URL, plugins: Sequence[Branch] = ()) -> list[str]:
    """What a database lacks for this code to work on it, as sentences; its tables are not compared with the models."""
    async with owner(owner_url) as connection:
        return await pending(connection, [CORE, *plugins]) or await missing(connection)


async def pending(connection: AsyncConnection, branches: Sequence[Branch]) -> list[str]:
    """The lines of migrations that are not at their newest, as sentences."""
    sentences = []
    for branch in branches:
        current, heads = await _versions(connection, branch), branch.heads()
        if current != heads:
            at, newest = (" and ".join(sorted(names)) or "nothing" for names in (current, heads))
            what = f"{branch.name or 'core'}: the database is at {at}, the code at {newest}."
            sentences.append(f"{what} Run `backdesk db upgrade`.")
    return sentences


async def missing(connection: AsyncConnection) -> list[str]:
    """What migrations do not make and the database lacks, as sentences: functions, triggers, the queue."""
    return [*await triggers.missing(connection), *await queue.outdated(connection)]


async def _versions(connection: AsyncConnection, branch: Branch) -> set[str]:
    there = await connection.scalar(text("SELECT to_regclass(:table)"), {"table": branch.version_table})
    versions = text(f'SELECT version_num FROM "{branch.version_table}"')
    return set(await connection.scalars(versions)) if there else set()


@asynccontextmanager
async def owner(url: URL) -> AsyncIterator[AsyncConnection]:
    """A connection of the owner of the tables; raises Unavailable where there is none."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        connection = await engine.connect()
    except (OSError, DBAPIError) as error:
        where = url.render_as_string(hide_password=True)
        raise Unavailable(f"The database at {where} does not answer or does not let its owner in.") from error
    try:
        yield connection
    finally:
        await connection.close()
        await engine.dispose()
