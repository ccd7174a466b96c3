"""`backdesk serve`."""

import asyncio
import gc
import logging
import re
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import click
import uvicorn
from sqlalchemy.engine import URL

from admin_app import resources
from admin_app.app import create_app
from admin_app.branches import behind
from admin_app.db import Database
from admin_app.errors import Unavailable
from admin_app.logs import structlog
from admin_app.postgres import urls
from admin_app.registry import Registry, load
from admin_app.settings import Settings


@click.command()
@click.option("--host", help="The address to listen on; BACKDESK_HOST otherwise.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port to listen on; BACKDESK_PORT otherwise.")
def serve(host: str | None, port: int | None) -> None:
    """Serve the desk on the database of the settings, or on a local one that is started for it."""
    settings = settings_of(host, port)
    registry = load(settings, core=[resources.plugin])
    owner, app = urls(settings)
    asyncio.run(prepared(owner, app, registry, ours=settings.database_url is None))
    run(settings, app, registry)


async def prepared(owner: URL, app: URL, registry: Registry, *, ours: bool) -> None:
    """Bring a database that is `ours` up to date where it is not; raises Unavailable where another's is not."""
    problems = await behind(owner, registry.branches())
    if problems and not ours:
        raise Unavailable("\n".join(problems))
    if problems:
        from admin_app import migrations  # with Alembic, 9 MB that few starts have a use for

        await migrations.upgrade(owner, app, registry.branches())


NEW_OBJECTS = 10_000
"""At which Python looks through them for rings that nothing refers to: some pages are made of one thousand."""


def run(settings: Settings, url: URL, registry: Registry) -> None:
    """Serve until told to stop."""
    log_to_stdout()
    app = create_app(settings, Database.connect(url, settings), registry)
    gc.collect()
    gc.freeze()  # what is there by now stays, and need not be looked through again
    gc.set_threshold(NEW_OBJECTS)
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", access_log=False, server_header=False)


def log_to_stdout() -> None:
    """Write what happens as lines of names and values, without what people entered."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_values,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )


QUOTED = re.compile(r"(query argument \$\d+: |DETAIL:  )(?:.|\n(?!\n|HINT|\[SQL|CONTEXT))*")
"""Where the database's driver repeats in an error what somebody had entered."""


def hide_values(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take people's values out of the traceback of a line of the log."""
    if "exception" in event:
        event["exception"] = QUOTED.sub(r"\1(hidden)", event["exception"])
    return event


def settings_of(host: str | None, port: int | None) -> Settings:
    """The settings, with where to listen as the command says."""
    settings = Settings.from_env()
    settings = replace(settings, host=host or settings.host, port=port or settings.port)
    if settings.host not in {*settings.allowed_hosts, "0.0.0.0", "::"}:  # noqa: S104  compared, not listened on
        settings = replace(settings, allowed_hosts=(*settings.allowed_hosts, settings.host))
    return settings
