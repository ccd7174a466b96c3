"""Editing a record apart from any door: what counts as a change, and when it comes too late."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from admin_app.db import Acting, Database
from admin_app.editing import Editor, Filled, Saved, update
from admin_app.errors import ChangedMeanwhile
from admin_app.models import Role, Tag
from admin_app.plugin import Plugin, Resource
from admin_app.queries import users
from admin_app.testing import Make

plugin = Plugin(__name__)
plugin.resource(Role, columns=("name",), form=("name", "description"))
plugin.resource(Tag, columns=("name",), form=("name", "description"))
ROLES, TAGS = plugin.resources


async def save(database: Database, make: Make, resource: Resource, key: int, sent: Filled) -> Saved:
    """Edit a record as somebody who may do everything."""
    person = await make.agent("developer")
    async with database.read() as session:
        actor = await users.actor_by_email(session, person.email)
    assert actor is not None
    return await update(Editor(database, actor, Acting(user_id=person.id), ZoneInfo("UTC")), resource, key, sent)


def blind(version: str = "", **texts: Any) -> Filled:
    """What a script sends, which does not say what it saw."""
    return Filled(texts, {}, version, unseen=True)


async def test_what_has_no_version_cannot_be_outdated(database: Database, make: Make) -> None:
    role = await make.save(Role(name="night shift"))
    saved = await save(database, make, ROLES, role.id, blind(description="At night."))
    assert (saved.changed, saved.record.description) == (True, "At night.")


async def test_a_blind_change_of_an_outdated_version_is_a_conflict_unless_it_is_so_already(
    database: Database, make: Make
) -> None:
    tag = await make.tag("printer")
    await save(database, make, TAGS, tag.id, blind("1", description="Paper."))
    with pytest.raises(ChangedMeanwhile):
        await save(database, make, TAGS, tag.id, blind("1", description="Toner."))
    again = await save(database, make, TAGS, tag.id, blind("1", description="Paper."))
    assert not again.changed


async def test_another_writing_of_the_same_value_changes_nothing(database: Database, make: Make) -> None:
    tag = await make.tag("printer", description="Paper.")
    saved = await save(database, make, TAGS, tag.id, blind("1", name=" printer ", description="Paper. "))
    assert (saved.changed, saved.record.version) == (False, 1)
