"""`backdesk worker` and `backdesk jobs`."""

import asyncio
import signal

import click

from admin_app import resources
from admin_app.cli_serve import log_to_stdout
from admin_app.db import Database
from admin_app.jobs import Worker
from admin_app.postgres import urls
from admin_app.registry import load
from admin_app.settings import Settings


@click.command()
def worker() -> None:
    """Work on jobs until told to stop; start as many as you like, wherever the database can be reached.

    `backdesk serve` works on jobs itself, unless BACKDESK_WORKER is 0.
    """
    settings = Settings.from_env()
    registry = load(settings, core=[resources.plugin])
    log_to_stdout()
    database = Database.connect(urls(settings)[1], settings)
    asyncio.run(_work(Worker(database, registry, settings.limits, settings.jobs)))


async def _work(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, worker.stopping.set)
    click.echo("Working on jobs. Stop with Ctrl+C: what is unfinished goes on when a worker runs again.")
    await worker.run()
    await worker.database.close()
