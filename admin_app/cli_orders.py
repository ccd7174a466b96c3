"""What the commands that change records share: who acts, telling what would happen, and doing it in sight."""

import asyncio
import getpass
import json
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import click

from admin_app import jobs, resources, telling
from admin_app.actions import Operator, Order, Preview, checked, perform, preview, sentence
from admin_app.cli_telling import counted, progress, show_preview, tell_left, tell_list
from admin_app.db import Acting, Database
from admin_app.errors import BadInput, NotFound
from admin_app.inputs import inputs_of, parse
from admin_app.logs import structlog
from admin_app.models import ChangeSet, ChangeSetState, Door, RowOutcome
from admin_app.plugin import Authority
from admin_app.postgres import urls
from admin_app.queries import undo, users, work
from admin_app.queries.selections import UNFINISHED
from admin_app.registry import Registry, declare_permissions, load, ship_views
from admin_app.settings import Settings, time_zone

DONE, REFUSED, PARTLY, INTERRUPTED = 0, 1, 3, 130
"""Exit codes: all is done; it was refused or ended early; some rows failed; Ctrl+C left it to the workers."""


@dataclass(frozen=True)
class Desk:
    """The desk as a command sees it: its settings, plugins and database."""

    settings: Settings
    registry: Registry
    database: Database


@dataclass(frozen=True)
class Person:
    """Whose permissions count, who is written into the audit log, how they are called, and their clock."""

    authority: Authority
    acting: Acting
    name: str
    zone: ZoneInfo


@dataclass(frozen=True, kw_only=True)
class How:
    """How an order is carried out: only previewed, confirmed by a number or up to one, left to the workers, as JSON."""

    preview: bool = False
    yes: int | None = None
    at_most: int | None = None
    detach: bool = False
    as_json: bool = False

    def say(self, text: str) -> None:
        """A sentence for a person, apart from what a script reads."""
        click.echo(text, err=self.as_json)


def settled() -> tuple[Settings, Registry]:
    """The settings, and what the plugins that they name offer."""
    settings = Settings.from_env()
    return settings, load(settings, core=[resources.plugin])


@asynccontextmanager
async def opened(settings: Settings, registry: Registry) -> AsyncIterator[Desk]:
    """The desk with its database connected."""
    database = Database.connect(urls(settings)[1], settings)
    try:
        with _logged_apart():
            await declare_permissions(database, registry)
            await ship_views(database, registry)
            yield Desk(settings, registry, database)
    finally:
        await database.close()


@contextmanager
def _logged_apart() -> Iterator[None]:
    """Have what is logged meanwhile apart from what a script reads."""
    before = structlog.get_config()
    structlog.configure(logger_factory=lambda *names: structlog.PrintLogger(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)


async def person(desk: Desk, email: str | None, reason: str | None, reference: str | None = None) -> Person:
    """Who acts: a member of staff by e-mail address, or the operator of this machine. Raises NotFound."""
    facts: dict[str, Any] = {"door": Door.CLI, "reason": reason, "reference": reference}
    if email is None:
        name = f"operator {getpass.getuser()}"
        return Person(Operator(), Acting.system(user_agent=name, **facts), name, desk.settings.time_zone)
    async with desk.database.read() as session:
        actor = await users.actor_by_email(session, email)
    if actor is None:
        raise NotFound(f"There is no active person with the e-mail address {email}.")
    zone = time_zone(actor.time_zone) if actor.time_zone else desk.settings.time_zone
    return Person(actor, Acting(user_id=actor.user_id, **facts), actor.full_name, zone)


# Carrying an order out


async def carry_out(desk: Desk, order: Order, how: How) -> int:
    """Preview an order, or ask where it is dangerous, do it, and tell what became of it; returns the exit code."""
    if how.preview:
        told = await preview(desk.database, order, desk.settings.limits)
        tell_preview(told, order.action.label, order, how)
        return DONE
    await confirmed(desk, order, how)
    report = await done(desk, order, how)
    tell(report, how)
    return DONE if how.detach and report.unfinished else report.code


def nothing(model: type[Any], how: How) -> int:
    """Say that no row matches, which is no mistake; returns the exit code."""
    how.say(f"{counted(model, 0)} match, so there is nothing to do.")
    if how.as_json:
        outcome = {"changed": 0, "unchanged": 0, "skipped": {}, "failed": 0}
        click.echo(json.dumps({"requested": 0, **({"outcome": outcome} if how.preview else outcome)}))
    return DONE


async def done(desk: Desk, order: Order, how: How) -> "Report":
    """Do what is ordered: at once, or, where it is long, as a promise that is kept here or by the workers."""
    performed = await perform(desk.database, order, desk.settings.limits)
    if performed.outcome is None and not how.detach:
        click.echo(f"{performed.sentence} Change set {performed.change_set_id}.", err=True)
        await drive(desk, performed.change_set_id)
    return await reported(desk, performed.change_set_id, order)


async def confirmed(desk: Desk, order: Order, how: How) -> None:
    """Have the number of rows typed before what is dangerous or final; raises BadInput for another number."""
    order = checked(order, desk.settings.limits)
    number, action = order.chosen.requested, order.action
    if how.at_most is not None and number > how.at_most:
        what = counted(order.chosen.model, number)
        raise BadInput(f"{what} would be touched, and --at-most allows {how.at_most:,}. Nothing was changed.")
    typed = how.yes
    if typed is None and how.at_most is None and (action.danger or action.final):
        async with desk.database.read() as session:
            await parse(session, inputs_of(action.function), order.given, order.zone)
        typed = _asked(f"{action.label}: {counted(order.chosen.model, number)}. {action.final}".strip(), number)
    if typed is not None and typed != number:
        what = counted(order.chosen.model, number)
        raise BadInput(f"{typed:,} is not their number: {what} would be touched. Nothing was changed.")


def _asked(text: str, number: int) -> int:
    click.echo(text, err=True)
    try:
        typed: str = click.prompt("Type their number to go on", err=True)
    except click.Abort:
        raise BadInput(f"Nothing was changed. Type the number when asked, or give it: --yes {number}") from None
    plain = typed.strip().replace(",", "")
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 19 else -1


async def drive(desk: Desk, change_set_id: int) -> None:
    """Do promised work here and now, after earlier work of the same person, until it ends or Ctrl+C is pressed.

    A worker may share in it, and goes on with it wherever this process stops.
    """
    stopping = asyncio.Event()
    async with desk.database.read() as session:
        line = await work.in_line(session, change_set_id)
    with _interrupted(stopping.set), _progress() as show:
        for number in line:
            while not stopping.is_set():
                state = await jobs.step(desk.database, desk.registry, desk.settings.limits, number)
                if state is not ChangeSetState.RUNNING:
                    break
                await show(desk, number)


@contextmanager
def _interrupted(stop: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl+C stop between two chunks; pressed again, it stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def once() -> None:
        stop()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, once)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def _progress() -> Iterator[Callable[[Desk, int], Any]]:
    """A function that shows on a terminal, in one line, how far a change set is; the line is gone at the end."""
    began = time.monotonic()
    before: dict[int, int] = {}

    async def show(desk: Desk, change_set_id: int) -> None:
        if not sys.stderr.isatty():
            return
        async with desk.database.read() as session:
            found = await session.get_one(ChangeSet, change_set_id)
        done = telling.outcome_of(found).total
        pace = (done - before.setdefault(change_set_id, done)) / (time.monotonic() - began)
        left = f", {(found.requested - done) / pace:,.0f} s left" if pace else ""
        text = f"Change set {change_set_id}: {progress(found)}, {pace:,.0f} a second{left}"
        click.echo(f"\r{text}\x1b[K", nl=False, err=True)

    try:
        yield show
    finally:
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", nl=False, err=True)


# Telling


@dataclass(frozen=True)
class Report:
    """What became of a change set: in a sentence, with the first rows that failed and those that an undo left alone."""

    found: ChangeSet
    text: str
    failed: Sequence[RowOutcome]
    left: list[undo.Left]
    zone: ZoneInfo

    @property
    def unfinished(self) -> bool:
        """Whether there is still something to do."""
        return self.found.state in UNFINISHED

    @property
    def code(self) -> int:
        """The exit code that says how it ended."""
        if self.unfinished:
            return INTERRUPTED
        if self.found.state is ChangeSetState.COMPLETED:
            return PARTLY if self.found.failed else DONE
        return REFUSED

    @property
    def values(self) -> dict[str, Any]:
        """The same for a script."""
        left = [{"record": one.record, "changes": [*map(telling.of_change, one.fields)]} for one in self.left]
        return {**telling.of_change_set(self.found), "left": left, "sentence": self.text}


async def reported(desk: Desk, change_set_id: int, order: Order) -> Report:
    """What became of a change set that was ordered."""
    async with desk.database.read() as session:
        found = await session.get_one(ChangeSet, change_set_id)
        failed = await work.failures(session, change_set_id) if found.failed else []
        left = await undo.left_alone(session, change_set_id) if found.undo_of_id and found.skipped else []
    return Report(found, said_of(found, order.action.label, order.chosen.model), failed, left, order.zone)


def tell(report: Report, how: How) -> None:
    """Print a report."""
    if how.as_json:
        click.echo(json.dumps(report.values))
        return
    click.echo(report.text)
    tell_list("Failed:", [f"{row.record_id}: {row.outcome}" for row in report.failed])
    if report.failed:
        click.echo(f"Try these again with `backdesk jobs retry {report.found.id}`.")
    tell_left(report.left, report.zone)


def said_of(found: ChangeSet, label: str, model: type[Any]) -> str:
    """What became of a change set, as sentences."""
    number = f"Change set {found.id}."
    if found.state in UNFINISHED:
        watch = f"Look with `backdesk jobs show {found.id}`."
        return f"{label}: left to the workers, {progress(found)}. {number} {watch}"
    text = sentence(label, telling.outcome_of(found), model)
    return f"{text} {found.problem} {number}" if found.problem else f"{text} {number}"


def tell_preview(told: Preview, label: str, order: Order, how: How) -> None:
    """Print what an order would do."""
    if how.as_json:
        click.echo(json.dumps(telling.of_preview(told)))
    else:
        show_preview(told, label, order.chosen.model, order.zone)
