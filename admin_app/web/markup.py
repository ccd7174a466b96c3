"""The small parts of pages that come by the hundred, as functions that give markup: badges, tags, times, icons, names.

Each escapes what it is given; tests/web/test_table.py holds every one of them to that. Templates call them by the
names in `PARTS`, or through backdesk/macros.html.
"""
# ruff: noqa: S704  every value that goes into markup here has been through `escape`

import enum
import hashlib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

STATIC = Path(__file__).parent.parent / "static"
ZONE: ContextVar[tzinfo] = ContextVar("zone", default=UTC)
"""In which the viewer of the page that is being written reads times."""


@cache
def static(path: str) -> str:
    """The URL of a static file, which changes with its content."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:6]
    return f"/static/{path}?v={digest}"


@cache
def icon(name: str, label: str | None = None) -> Markup:
    """An icon of the sprite; decoration unless it has a label."""
    spoken = f'role=img aria-label="{escape(label)}"' if label else "aria-hidden=true"
    return Markup(f'<svg class=icon {spoken}><use href="{escape(static("icons.svg"))}#{escape(name)}"/></svg>')


def badge(text: object, tone: str = "", icon_name: str = "") -> Markup:
    """A short word that stands out, in a tone of the design."""
    shown = icon(icon_name) if icon_name else ""
    return Markup(f'<span class="badge {escape(tone)}">{shown}{escape(text)}</span>')


@cache
def badge_status(value: object) -> Markup:
    """How far a ticket is."""
    word = _word(value)
    return badge(word.replace("_", " ").capitalize(), f"status-{word}")


@cache
def badge_priority(value: object) -> Markup:
    """How soon a ticket should be worked on."""
    word = _word(value)
    return badge(word.capitalize(), f"priority-{word}")


@cache
def badge_state(value: object) -> Markup:
    """How far a change set is; one that is under way turns."""
    word = _word(value)
    if word == "running":
        return Markup('<span class="badge info"><span class="spinner small" aria-hidden="true"></span>Running</span>')
    tone, sign = STATES[word]
    return badge(word.capitalize(), tone, sign)


STATES = {
    "queued": ("warning", "clock"),
    "completed": ("success", "check-circle"),
    "failed": ("error", "x-circle"),
    "cancelled": ("", "x"),
    "undone": ("violet", "undo"),
}
"""The tone and the icon of a change set's state."""


def _word(value: object) -> str:
    return str(value.value) if isinstance(value, enum.Enum) else str(value)


def tag(name: object, color: object = "") -> Markup:
    """A tag by its name, with a dot in its colour."""
    return Markup(f'<span class="tag">{dot(color)}{escape(name)}</span>')


@lru_cache(maxsize=1_000)
def dot(color: object) -> str:
    """A dot in a colour, which stands in an attribute, since pages have no styles in them; nothing without one."""
    return f'<svg aria-hidden=true color="{escape(color)}"/>' if color else ""


def time(moment: datetime | None) -> Markup:
    """A time as the viewer reads it, and the exact instant for those who hover."""
    if moment is None:
        return Markup('<span class="none">never</span>')
    instant = moment.astimezone(UTC).isoformat(" ", "seconds")[:19]
    shown = local(moment, ZONE.get())
    return Markup(f'<time datetime="{instant.replace(" ", "T")}Z" title="{instant} UTC">{shown}</time>')


def local(value: datetime, zone: tzinfo) -> str:
    """A time as it is read in a zone: `21 Nov 2026, 14:05`."""
    there = value.astimezone(zone)
    return f"{there.day} {MONTHS[there.month]} {there.year}, {there.hour:02}:{there.minute:02}"


MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def when(value: datetime | None, zone: tzinfo | None = None) -> str:
    """A time as the page's viewer, or somebody in `zone`, reads it; nothing where there is none."""
    return local(value, zone or ZONE.get()) if value else ""


def exact(value: datetime) -> str:
    """The exact instant, for those who hover: `2026-11-21 13:05:09 UTC`."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def zone() -> str:
    """The name of the viewer's time zone."""
    return str(ZONE.get())


def avatar(name: str | None, size: str = "") -> Markup:
    """The initials of a person in a circle, which is decoration: the name stands beside it."""
    words = (name or "").split()
    initials = (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper() if words else "?"
    tone = len(name or "") % 5
    return Markup(f'<span class="avatar {escape(size)} tone-{tone}" aria-hidden="true">{escape(initials)}</span>')


def linked(label: object, href: str | None = None, color: object = None) -> Markup:
    """A record by its name, as a tag where it has a colour, with a link where there is one."""
    shown = tag(label, color) if color else escape(label)
    return Markup(f'<a href="{escape(href)}">{shown}</a>') if href else shown


def button(
    text: object,
    kind: str = "",
    size: str = "",
    icon_name: str = "",
    href: object = "",
    type: str = "submit",  # noqa: A002  what HTML calls it
    name: str = "",
    value: object = "",
    attributes: Mapping[str, object] | None = None,
) -> Markup:
    """A button, or with `href` a link that looks like one; attributes that are None are left out."""
    style = " ".join(filter(None, ("button", kind, size)))
    own = {"href": href} if href else {"type": type, "name": name or None, "value": value or None}
    given = {"class": style, **own, **(attributes or {})}
    stated = "".join([f' {escape(key)}="{escape(held)}"' for key, held in given.items() if held is not None])
    element, sign = "a" if href else "button", icon(icon_name) if icon_name else ""
    return Markup(f"<{element}{stated}>{sign}{escape(text)}</{element}>")


PARTS: dict[str, Callable[..., Any]] = {
    part.__name__: part
    for part in (badge, badge_status, badge_priority, badge_state, tag, time, zone, avatar, linked, button)
}
