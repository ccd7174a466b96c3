"""What the commands that change records print for a person: counts, effects, samples, and what was left alone."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from admin_app import telling
from admin_app.actions import Preview, noun
from admin_app.models import AuditLog, ChangeSet
from admin_app.plugin import Outcome
from admin_app.queries.previews import Effect, Sample
from admin_app.queries.readable import Excerpt, FieldChange, Value
from admin_app.queries.undo import Left


def progress(found: ChangeSet) -> str:
    """How far a change set is: `4,000 of 98,000 (4 %)`."""
    done = telling.outcome_of(found).total
    share = f" ({100 * done // found.requested} %)" if found.requested else ""
    return f"{done:,} of {found.requested:,}{share}"


def counted(model: type[Any], number: int) -> str:
    """`310 tickets`."""
    return f"{number:,} {noun(model, number)}"


def show_preview(told: Preview, label: str, model: type[Any], zone: ZoneInfo) -> None:
    """What an order would do: counts, effects, samples, warnings."""
    click.echo(f"Preview of “{label}” for {counted(model, told.requested)}. Nothing is changed.")
    if not told.whole:
        whole = "all" if told.exact else "these"
        click.echo(f"The first {told.tried:,} were tried; the numbers by outcome are those of {whole}.")
    for number, text in outcomes(
        told.outcome, (f"would {'be undone' if model is AuditLog else 'change'}", "would fail")
    ):
        click.echo(f"{number:>11,}  {text}")
    tell_list("Effects:", [effect_line(effect, zone) for effect in told.effects])
    tell_list("For example:", [_sample(one, zone) for one in told.samples])
    tell_left(told.left, zone)
    for warning in told.warnings:
        click.echo(f"Warning: {warning}")


def outcomes(outcome: Outcome, words: tuple[str, str]) -> Iterator[tuple[int, str]]:
    """How many rows became, or would become, what; `words` are those for changed and for failed ones."""
    yield outcome.changed, words[0]
    if outcome.unchanged:
        yield outcome.unchanged, "already so"
    for reason, number in sorted(outcome.skipped.items()):
        yield number, f"skipped: {reason}"
    if outcome.failed:
        yield outcome.failed, words[1]


def tell_left(left: list[Left], zone: ZoneInfo) -> None:
    """What an undo leaves alone because somebody changed it since, with both values."""
    lines = [
        f"{one.record}: {field.label} was set to {shown(field.old, zone)}, is now {shown(field.new, zone)}"
        for one in left
        for field in one.fields
    ]
    tell_list("Changed since, and left alone:", lines)


def tell_list(heading: str, lines: list[str]) -> None:
    if lines:
        click.echo(heading)
    for line in lines:
        click.echo(f"  {line}")


def effect_line(effect: Effect, zone: ZoneInfo) -> str:
    """One kind of change and how many rows it happens to."""
    if effect.change is None:
        what = f"{effect.kind} {effect.verb}"
    elif effect.various:
        what = f"{effect.change.label}: various values"
    else:
        what = _field(effect.change, zone, effect.verb)
    return f"{what} × {effect.number:,}"


def _sample(sample: Sample, zone: ZoneInfo) -> str:
    if sample.part:
        return f"{sample.record} {sample.part.lower()} {sample.verb}"
    return f"{sample.record} {_fields(sample.changes, zone, sample.verb)}"


def _fields(changes: tuple[FieldChange, ...], zone: ZoneInfo, verb: str) -> str:
    if not changes or verb in {"created", "deleted"}:
        return verb
    return ", ".join(_field(change, zone, verb) for change in changes)


def _field(change: FieldChange, zone: ZoneInfo, verb: str) -> str:
    if verb in {"added", "removed"}:
        return f"{change.label} {shown(change.new or change.old, zone)} {verb}"
    return f"{change.label}: {shown(change.old, zone)} → {shown(change.new, zone)}"


def shown(value: Value, zone: ZoneInfo) -> str:
    """A field's value in a terminal."""
    match value:
        case None | "":
            return "empty"
        case datetime():
            return value.astimezone(zone).strftime("%Y-%m-%d %H:%M")
        case Excerpt():
            return value.text or f"{value.length:,} characters"
    return str(value)
