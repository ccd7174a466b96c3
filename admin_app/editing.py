"""Editing one record, through whichever door: what it asks, how values are written, and saving it as a change set.

A form's fields and a script's JSON both become `Filled`, so that permissions, rules and the audit log are the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, BadRequest, ChangedMeanwhile, NotFound
from admin_app.inputs import Input, columns_of, parse
from admin_app.models import Base, Ticket, Versioned
from admin_app.plugin import Resource
from admin_app.queries import records, rules
from admin_app.queries.records import Draft
from admin_app.queries.users import Actor

REASON_LENGTH = 2_000

Texts = dict[str, Any]
"""By field, what is written in it: a text, or the list of ids of the rows that are picked."""


@dataclass(frozen=True)
class Filled:
    """A form as it was sent: what each field holds, what it held when the form was opened, and at which version.

    `unseen` is sent by who does not say what the fields held: then an outdated version alone is a conflict.
    """

    texts: Texts
    originals: Texts
    version: str = ""
    reason: str = ""
    key: str = ""
    unseen: bool = False


def inputs_for(resource: Resource, actor: Actor, record: Any = None) -> list[Input]:
    """What the form of a record, or of a new one, asks of this person."""
    names = resource.create_form if record is None else resource.form
    withheld = rules.withheld(actor, resource.model)
    items = columns_of(resource.model, [name for name in names if name not in withheld], new=record is None)
    if not isinstance(record, Ticket):
        return items
    return [replace(item, offered=rules.following(actor, record)) if item.name == "status" else item for item in items]


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
    value = await parse(session, [item], {item.name: mine}, zone)
    return value if value[item.name] != getattr(record, item.name) else {}


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


# Saving


@dataclass(frozen=True)
class Editor:
    """Somebody who edits: in which database, with whose permissions, as whom in the audit log, and in which zone."""

    database: Database
    actor: Actor
    acting: Acting
    zone: ZoneInfo


@dataclass(frozen=True)
class Saved:
    """A record after it was saved, the change set that did it, and whether that changed anything."""

    record: Any
    change_set_id: int
    changed: bool


def key_of(text: str) -> int:
    """The id that an address names; raises NotFound for anything that no record can have."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and 0 < int(text) < 2**63):
        raise NotFound
    return int(text)


async def seen(
    session: AsyncSession, actor: Actor, model: type[Base], key: int, names: Iterable[str], *, lock: bool = False
) -> Any:
    """A record that this person may see, with the relationships among `names`; raises NotFound."""
    record = await records.one(session, model, key, names, where=rules.visible(actor, model), lock=lock)
    if record is None:
        raise NotFound
    return record


async def insert(editor: Editor, resource: Resource, sent: Filled) -> Saved:
    """Make a record as a change set.

    Raises BadInput naming each wrong field; Conflict when the same form made one before.
    """
    async with editor.database.transaction(
        editor.acting,
        f"{resource.name}.create",
        parameters={"resource": resource.model.__tablename__},
        idempotency_key=sent.key or None,
    ) as change:
        record = await rules.save(await draft(change.session, editor.actor, resource, None, sent, editor.zone))
        change.counts.changed = 1
    return Saved(record, change.id, changed=True)


async def update(editor: Editor, resource: Resource, key: int, sent: Filled) -> Saved:
    """Change a record as a change set.

    Raises BadInput naming each wrong field, and ChangedMeanwhile when somebody else changed one of the fields since
    its sender read it, to something that they have not seen.
    """
    async with editor.database.transaction(
        editor.acting,
        f"{resource.name}.edit",
        parameters={"resource": resource.model.__tablename__, "id": key},
    ) as change:
        record = await seen(change.session, editor.actor, resource.model, key, resource.form, lock=True)
        _check_version(editor, resource, record, sent)
        wanted = await draft(change.session, editor.actor, resource, record, sent, editor.zone)
        if wanted.values:
            record = await rules.save(wanted)
        change.counts.changed, change.counts.unchanged = (1, 0) if wanted.values else (0, 1)
    return Saved(record, change.id, bool(wanted.values))


def version_of(record: Any) -> str:
    """The version of a record as forms carry it; empty where it has none."""
    return str(record.version) if isinstance(record, Versioned) else ""


def _check_version(editor: Editor, resource: Resource, record: Any, sent: Filled) -> None:
    if isinstance(record, Versioned) and not sent.version:
        raise BadRequest("The form came without the version that it was opened with. Please load the page again.")
    if isinstance(record, Versioned) and sent.version == version_of(record):
        return
    inputs = inputs_for(resource, editor.actor, record)
    found = differences(inputs, sent, texts_of(record, inputs, editor.zone))
    differs = any(not same(one.theirs, one.mine) for one in found)
    if overtaken(found) or (sent.unseen and differs and isinstance(record, Versioned)):
        raise ChangedMeanwhile


async def made_before(editor: Editor, model: type[Base], key: str) -> int | None:
    """The record that this very form made before, when it is sent twice."""
    async with editor.database.read() as session:
        return await records.made_with(session, model, editor.actor.user_id, key) if key else None
