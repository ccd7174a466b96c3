"""Entries of the audit log as markup: a timeline of what happened, and each field before and after.

Templates call these by the names in `PARTS`. Each escapes what it is given, as tests/web/test_timeline.py holds.
"""
# ruff: noqa: S704  every value that goes into markup here has been through `escape`

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from markupsafe import Markup, escape

from admin_app.queries.audit import Entry
from admin_app.queries.readable import Excerpt, FieldChange, Value, humanized
from admin_app.web.markup import icon, time

MARKS = {"CREATE": "plus", "UPDATE": "pencil", "DELETE": "trash"}
FOLDED = 4
"""Values of a made or deleted record that are shown at once; more are opened."""


class Links(Protocol):
    """Where a viewer may go from an entry; None where they may not."""

    def record(self, entry: Entry) -> str | None: ...
    def change_set(self, entry: Entry) -> str | None: ...
    def undo(self, entry: Entry) -> str | None: ...


def timeline(entries: Sequence[Entry], links: Links, named: bool = False) -> Markup:
    """What happened, in the order given; `named` says which record each entry is about."""
    events = "\n".join([_event(entry, links, _subject(entry, links) if named else "") for entry in entries])
    return Markup(f'<ol class="timeline">{events}</ol>')


def _event(entry: Entry, links: Links, subject: str) -> str:
    mark = "minus" if entry.is_link and entry.action == "DELETE" else MARKS.get(entry.action, "info")
    reason = f'<p class="reason">{escape(entry.reason)}</p>' if entry.reason else ""
    count = len(entry.changes)
    changed: str = fields(entry) if count else ""
    if count > FOLDED and entry.action != "UPDATE":
        changed = f"<details><summary>{count} values</summary>{changed}</details>"
    return (
        f'<li class="event"><span class="event-mark">{icon(mark)}</span><div class="event-head">'
        f"<span><strong>{escape(entry.who)}</strong> {escape(entry.verb)}{subject}</span>\n"
        f'<span class="meta">{" · ".join(_meta(entry, links))}</span></div>{reason}{changed}</li>'
    )


def _subject(entry: Entry, links: Links) -> str:
    """Which record it is about; rows that only link two have no name of their own."""
    href, kind = links.record(entry), escape(entry.kind.lower())
    if href:
        return f' {kind} <a href="{escape(href)}">{escape(entry.record)}</a>'
    return f" {kind}" if entry.is_link else f" {kind} {escape(entry.record)}"


def _meta(entry: Entry, links: Links) -> list[str]:
    """When it was, through which door, and the change set that it belongs to."""
    whole, undo = links.change_set(entry), links.undo(entry)
    said: list[str] = [time(entry.at)]
    if entry.door:
        said.append(escape(humanized(entry.door)))
    if entry.change_action:
        said.append(escape(entry.change_action))
    if whole:
        said.append(f'<a href="{escape(whole)}">change set {entry.change_set_id}</a>')
    if undo:
        word = "Redo" if entry.change_action == "change_set.undo" else "Undo"
        which = f'<span class="visually-hidden"> change set {entry.change_set_id}</span>'
        said.append(f'<a href="{escape(undo)}">{word}{which}</a>')
    return said


def fields(entry: Entry) -> Markup:
    """The fields of an entry: before and after of a changed record, all that a made or deleted one held."""
    return Markup(f'<dl class="changes">{"".join([_field(entry.action, field) for field in entry.changes])}</dl>')


def _field(action: str, field: FieldChange) -> str:
    if action == "UPDATE":
        return change(field.label, value(field.old), value(field.new))
    held = f"<del>{value(field.old)}</del>" if action == "DELETE" else f"<ins>{value(field.new)}</ins>"
    return f"<dt>{escape(field.label)}</dt><dd>{held}</dd>"


def change(label: object, old: object, new: object) -> Markup:
    """One field of a change: what it was, what it is."""
    was, now = _side("del", "was", old), _side("ins", "is now", new)
    return Markup(f"<dt>{escape(label)}</dt><dd>{was}{icon('arrow-right')}{now}</dd>")


def _side(element: str, words: str, held: object) -> str:
    if held is None or held == "":
        return '<span class="none">empty</span>'
    return f'<{element}><span class="visually-hidden">{words} </span>{escape(held)}</{element}>'


def value(held: Value) -> Markup:
    """What a field held; of a long text a part, and how long it is."""
    match held:
        case None:
            return Markup()
        case Excerpt(text="", length=length):
            return Markup(f"{length:,} characters")
        case Excerpt(text=text, length=length):
            return Markup(f'{escape(text)} <span class="meta">({length:,} characters)</span>')
        case datetime():
            return time(held)
        case _:
            return escape(held)


PARTS: dict[str, Callable[..., Any]] = {part.__name__: part for part in (timeline, fields, change, value)}
