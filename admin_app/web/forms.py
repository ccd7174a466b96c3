"""A record's form in the browser: what was posted, what it opens with, and how what is in it is read by a person."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from admin_app.editing import Difference, Filled, Texts, text_of
from admin_app.errors import BadInput
from admin_app.inputs import Input
from admin_app.queries import records
from admin_app.queries.readable import humanized

MANY = 1_000
"""Entries of one field that are looked at; more are refused at once, without the form."""


def filled(form: FormData, inputs: Sequence[Input]) -> Filled:
    """A sent form: only the fields that it asks for are taken; one that was not sent is left out.

    Raises BadInput for more entries in one field than a form can show.
    """
    own: dict[str, Any] = {name: _text(form.get(name)) for name in ("version", "reason", "key")}
    texts = {item.name: sent for item in inputs if (sent := _sent(form, item, item.name)) is not None}
    originals = {item.name: sent for item in inputs if (sent := _sent(form, item, f"original_{item.name}")) is not None}
    return Filled(texts, originals, **own)


def _sent(form: FormData, item: Input, name: str) -> Any:
    if item.kind != "records":
        return _text(form[name]) if name in form else None
    lined = f"{name}_lines" in form
    if not lined and name not in form:
        return None
    texts = _text(form[f"{name}_lines"]).splitlines() if lined else map(_text, form.getlist(name))
    found = [bare for text in texts if (bare := text.strip())]
    if len(found) > MANY:
        raise BadInput(fields={name: f"holds {len(found):,} entries; that is more than anybody means."})
    return found


def _text(value: Any) -> str:
    """A field's text with the line breaks that we store; a browser sends others."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def opening(inputs: Sequence[Input], given: Mapping[str, str], zone: ZoneInfo) -> Texts:
    """What the form of a new record holds when it is opened: what the address gives, else the usual value."""
    return {
        item.name: given.get(item.name, text_of(item.default, zone)) if item.kind != "records" else []
        for item in inputs
    }


Labels = dict[type, dict[str, str]]
"""By model and id, how rows are called."""


async def labels_for(session: AsyncSession, inputs: Sequence[Input], *filled_in: Texts) -> Labels:
    """How every row is called that is picked in any of some filled-in forms."""
    found: Labels = {}
    for model in {item.type for item in inputs if item.kind in {"record", "records"}}:
        names = [item.name for item in inputs if item.type is model]
        ids = {int(text) for texts in filled_in for name in names for text in _many(texts.get(name)) if _is_id(text)}
        found[model] = {str(key): label for key, label in (await records.labels(session, model, ids)).items()}
    return found


def labels_of(record: Any, inputs: Sequence[Input]) -> Labels:
    """How every row is called that a record has in its fields, which were read with it."""
    found: Labels = {}
    for item in inputs:
        value = getattr(record, item.name) if item.kind in {"record", "records"} else None
        for row in value if isinstance(value, list) else [value] if value is not None else []:
            found.setdefault(item.type, {})[str(inspect(row).identity[0])] = row.label
    return found


def picked(item: Input, text: Any, labels: Labels) -> Any:
    """How what is picked in a field is called: a label, or for many rows a list of (id, label)."""
    known = labels.get(item.type, {})
    pairs = [(one, known.get(one, one)) for one in _many(text)]
    return pairs if item.kind == "records" else next((label for _, label in pairs), "")


def _many(text: Any) -> list[str]:
    return text if isinstance(text, list) else [text] if text else []


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def shown(item: Input, text: Any, labels: Labels) -> str:
    """How a field's text is read by a person who compares."""
    if not text:
        return ""
    match item.kind:
        case "switch":
            return "Yes" if text == "1" else "No"
        case "choice":
            return humanized(text)
        case "instant":
            return str(text).replace("T", " ")
        case "record" | "records":
            return ", ".join(labels.get(item.type, {}).get(one, one) for one in _many(text))
        case _:
            return str(text)


def read(difference: Difference, labels: Labels) -> dict[str, str]:
    """How a difference is read: as it was, as it is, as it was entered, and what is kept where nobody has to choose."""
    texts = {
        "original": difference.original,
        "theirs": difference.theirs,
        "mine": difference.mine,
        "kept": difference.merged,
    }
    return {name: shown(difference.item, text, labels) for name, text in texts.items()}
