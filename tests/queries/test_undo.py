"""Undoing what people may do: never their rights, and how they sign in only by who may give rights."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from admin_app.actions import Operator, perform, undo_order
from admin_app.db import Acting, Database
from admin_app.models import Role, User, UserRole
from admin_app.plugin import Outcome
from admin_app.queries.undo import NO_RIGHTS
from admin_app.settings import Limits
from admin_app.testing import Make

LIMITS = Limits(1_000, 1_000, 1_000)


@dataclass
class Lead:
    """Somebody who may edit people and undo others' changes, but give nobody rights."""

    more: set[str] = field(default_factory=set)

    def may(self, permission: str) -> bool:
        return permission in {"user.edit", "change_set.undo", *self.more}


async def undone(database: Database, change_set_id: int, authority: object) -> Outcome:
    """What became of the entries of a change set that was undone."""
    acting = Acting(user_id=None, reason="A mistake.")
    order = await undo_order(database, authority, acting, change_set_id, {}, ZoneInfo("UTC"))  # type: ignore[arg-type]
    done = await perform(database, order, LIMITS)
    assert done.outcome is not None
    return done.outcome


async def deactivated(database: Database, user: User) -> int:
    """A change set in which somebody was deactivated and renamed; its id."""
    async with database.transaction(Acting.system(), "user.edit") as change:
        person = await change.session.get_one(User, user.id)
        person.is_active, person.full_name = False, "Gone"
    return change.id


@pytest.mark.parametrize(("more", "outcome"), [(set(), Outcome(skipped={NO_RIGHTS: 1})), ({"user.roles"}, Outcome(1))])
async def test_somebody_is_let_in_again_only_by_who_may_give_rights(
    database: Database, make: Make, more: set[str], outcome: Outcome
) -> None:
    user = await make.agent("developer")
    assert await undone(database, await deactivated(database, user), Lead(more)) == outcome
    async with database.read() as session:
        active = await session.scalar(select(User.is_active).where(User.id == user.id))
    assert active is bool(more)


async def test_a_name_is_set_back_by_who_may_edit_people(database: Database, make: Make) -> None:
    user = await make.customer(full_name="Ana")
    async with database.transaction(Acting.system(), "user.edit") as change:
        (await change.session.get_one(User, user.id)).full_name = "Ina"
    assert await undone(database, change.id, Lead()) == Outcome(1)


async def test_a_role_that_was_taken_is_not_given_back_by_an_undo_of_anybody(database: Database, make: Make) -> None:
    user = await make.agent("developer")
    async with database.transaction(Acting.system(), "user.edit") as change:
        role = select(Role.id).where(Role.name == "developer").scalar_subquery()
        held = await change.session.scalar(
            select(UserRole).where(UserRole.user_id == user.id, UserRole.role_id == role)
        )
        await change.session.delete(held)
    assert await undone(database, change.id, Operator()) == Outcome(skipped={NO_RIGHTS: 1})
    async with database.read() as session:
        assert (await session.scalars(select(UserRole).where(UserRole.user_id == user.id))).all() == []
