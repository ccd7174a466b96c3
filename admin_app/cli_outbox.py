"""`backdesk outbox`: the messages that wait to be sent."""

import asyncio
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from admin_app.db import Database
from admin_app.errors import BadInput
from admin_app.postgres import urls
from admin_app.queries import outbox as messages
from admin_app.queries.outbox import Message
from admin_app.settings import Settings


@click.group()
def outbox() -> None:
    """Messages to the staff: list those that wait, or hand them to a program that sends them."""


@outbox.command(name="list")
@click.option("--limit", default=50, show_default=True, help="How many to show at most.")
def list_waiting(limit: int) -> None:
    """List the messages that wait, oldest first."""
    number, first = asyncio.run(_look(limit))
    for message in first:
        says = json.dumps(message.payload, ensure_ascii=False)
        click.echo(f"{message.created_at:%Y-%m-%d %H:%M}  {message.kind}  {message.to}  {says}")
    click.echo(f"{number:,} waiting." if number else "Nothing is waiting.")


@outbox.command()
@click.option(
    "--to", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A file to append to."
)
def send(file: Path) -> None:
    """Append every message that waits to a file, as one line of JSON, and mark it as sent."""
    number = asyncio.run(_send(file))
    click.echo(f"Wrote {number:,} {'message' if number == 1 else 'messages'} to {file}.")


async def _look(limit: int) -> tuple[int, Sequence[Message]]:
    settings = Settings.from_env()
    database = Database.connect(urls(settings)[1], settings)
    try:
        async with database.read() as session:
            return await messages.count(session), await messages.waiting(session, limit)
    finally:
        await database.close()


async def _send(file: Path) -> int:
    settings = Settings.from_env()
    database = Database.connect(urls(settings)[1], settings)
    total, batch = 0, 1
    try:
        while batch:
            async with database.bookkeeping() as session:
                batch = await messages.send(session, partial(_append, file))
            total += batch
    finally:
        await database.close()
    return total


def _append(file: Path, batch: Sequence[Message]) -> None:
    """Write the lines so that they survive whatever happens to the machine before the messages are marked as sent."""
    lines = "".join(f"{json.dumps(message.as_json(), ensure_ascii=False)}\n" for message in batch)
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(lines)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}. No message was marked as sent.") from error
