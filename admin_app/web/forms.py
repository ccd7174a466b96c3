"""A record's form: what it asks, how values are written in it, what was filled in, and how two edits are merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from admin_app.errors import BadInput
from admin_app.inputs import Input, columns_of, parse
from admin_app.models import Ticket
from admin_app.plugin import Resource
from admin_app.queries import records, rules
from admin_app.queries.readable import humanized
from admin_app.queries.records import Draft
from admin_app.queries.users import Actor

REASON_LENGTH = 2_000
MANY = 1_000
"""Entries of one field that are looked at; more are refused at once, without the form."""

Texts = dict[str, Any]
"""By field, what is written in it: a text, or the list of ids of the rows that are picked."""


@dataclass(frozen=True)
class Filled:
    """A form as it was sent: what each field holds, what it held when the form was opened, and at which version."""

    texts: Texts
    originals: Texts
    version: str = ""
    reason: str = ""
    key: str = ""


def inputs_for(resource: Resource, actor: Actor, record: Any = None) -> list[Input]:
    """What the form of a record, or of a new one, asks of this person."""
    names = resource.create_form if record is None else resource.form
    withheld = rules.withheld(actor, resource.model)
    items = columns_of(resource.model, [name for name in names if name not in withheld], new=record is None)
    if not isinstance(record, Ticket):
        return items
    return [replace(item, offered=rules.following(actor, record)) if item.name == "status" else item for item in items]


def filled(form: FormData, inputs: Sequence[Input]) -> Filled:
    """A sent form: only the fields that it asks for are taken; one that was not sent is left out.

    Raises BadInput for more entries in one field than a form can show.
    """
    own = {name: _text(form.get(name)) for name in ("version", "reason", "key")}
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


def texts_of(record: Any, inputs: Sequence[Input], zone: ZoneInfo) -> Texts:
    """What the form of a record holds when it is opened."""
    return {item.name: text_of(getattr(record, item.name), zone) for item in inputs}


def text_of(value: Any, zone: ZoneInfo) -> Any:
    """How a value is written in its field; times as a person in `zone` reads them."""
    if isinstance(value, list):
        return [text_of(row, zone) for row in value]
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%dT%H:%M")
    if hasattr(value, "__mapper__"):
        return str(inspect(value).identity[0])
    return "" if value is None else str(value).replace("\r\n", "\n")


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


def picked(item: Input, text: Any, labels: Labels) -> Any:
    """How what is picked in a field is called: a label, or for many rows a list of (id, label)."""
    known = labels.get(item.type, {})
    pairs = [(one, known.get(one, one)) for one in _many(text)]
    return pairs if item.kind == "records" else next((label for _, label in pairs), "")


def _many(text: Any) -> list[str]:
    return text if isinstance(text, list) else [text] if text else []


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


# From texts to a draft


async def draft(
    session: AsyncSession, actor: Actor, resource: Resource, record: Any, form: Filled, zone: ZoneInfo
) -> Draft:
    """What a form asks to be written: only fields that its sender changed. Raises BadInput naming every wrong field."""
    inputs = inputs_for(resource, actor, record)
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for item in inputs:
        try:
            values |= await _changed(session, item, record, form, zone)
        except BadInput as error:
            problems |= error.fields
    reason = form.reason.strip()
    if len(reason) > REASON_LENGTH or "\x00" in reason:
        problems["reason"] = f"A reason has at most {REASON_LENGTH:,} characters that can be stored."
    made = Draft(
        session=session, actor=actor, model=resource.model, record=record, values=values, reason=reason or None
    )
    if values or record is None:
        problems = {**await rules.problems(made), **problems}
    if problems:
        raise BadInput(fields=problems)
    return made


async def _changed(session: AsyncSession, item: Input, record: Any, form: Filled, zone: ZoneInfo) -> dict[str, Any]:
    """The typed value of a field, if its sender changed it."""
    item = replace(item, offered=())
    if record is None:
        return await parse(session, [item], {item.name: form.texts.get(item.name)}, zone)
    present = text_of(getattr(record, item.name), zone)
    mine = form.texts.get(item.name, present)
    original = form.originals.get(item.name, present)
    if item.kind == "records":
        return await _moved(session, item, getattr(record, item.name), mine, original, zone)
    if same(mine, original) or same(mine, present):
        return {}
    return await parse(session, [item], {item.name: mine}, zone)


async def _moved(
    session: AsyncSession, item: Input, rows: list[Any], mine: list[str], original: list[str], zone: ZoneInfo
) -> dict[str, Any]:
    """The rows after what the sender added and took away, whatever others added meanwhile."""
    by_name, before = {row.label.lower(): text_of(row, zone) for row in rows}, set(original)
    wanted = dict.fromkeys(by_name.get(text.lower(), text) for text in mine)
    added = [text for text in wanted if text not in before]
    kept = [row for row in rows if text_of(row, zone) in wanted or text_of(row, zone) not in before]
    new = (await parse(session, [item], {item.name: added}, zone))[item.name]
    after = list(dict.fromkeys([*kept, *new]))
    return {item.name: after} if {*after} != {*rows} else {}


def same(one: Any, other: Any) -> bool:
    """Whether two texts of a field mean the same."""
    return bool(one.strip() == other.strip()) if isinstance(one, str) and isinstance(other, str) else one == other


# Two edits of one record


@dataclass(frozen=True)
class Difference:
    """A field that two people changed, or one of them: as it was, as it is now, and as it was entered here."""

    item: Input
    original: Any
    theirs: Any
    mine: Any

    @property
    def is_clash(self) -> bool:
        """Whether somebody has to choose."""
        ours = {str(text).strip() for text in (self.original, self.theirs, self.mine)}
        return self.item.kind != "records" and len(ours) == 3

    @property
    def merged(self) -> Any:
        """What the field becomes where nobody has to choose."""
        if self.item.kind != "records":
            return self.theirs if same(self.mine, self.original) else self.mine
        mine, original = set(self.mine), set(self.original)
        kept = [text for text in self.theirs if text in mine or text not in original]
        return list(dict.fromkeys([*kept, *(text for text in self.mine if text not in original)]))


def differences(inputs: Sequence[Input], form: Filled, present: Texts) -> list[Difference]:
    """Every field that anybody changed since the form was opened."""
    found = []
    for item in inputs:
        theirs = present[item.name]
        difference = Difference(item, form.originals.get(item.name, theirs), theirs, form.texts.get(item.name, theirs))
        if not (same(difference.original, theirs) and same(difference.original, difference.mine)):
            found.append(difference)
    return found


def overtaken(found: Sequence[Difference]) -> bool:
    """Whether somebody else changed a field to what the sender has not seen; many rows merge by themselves."""
    single = [difference for difference in found if difference.item.kind != "records"]
    return any(not same(d.theirs, d.original) and not same(d.theirs, d.mine) for d in single)


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
