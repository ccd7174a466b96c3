"""People: what their roles allow, their sign-ins, their tickets, and permissions that appear."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, Conflict
from admin_app.models import AuditLog, Role, RolePermission, Throttle, Ticket, User, UserSession
from admin_app.queries import trash, users
from admin_app.queries.changes import Chosen
from admin_app.queries.users import Actor, Declared
from admin_app.testing import Make

SOON = timedelta(hours=1)
HASH = b"h" * 32


@pytest.mark.parametrize(
    ("granted", "permission", "allowed"),
    [
        ({"*"}, "ticket.edit", True),
        ({"ticket.*"}, "ticket.edit", True),
        ({"ticket.*"}, "tickets.edit", False),
        ({"*.view"}, "audit_log.view", True),
        ({"*.view"}, "audit_log.export", False),
        ({"ticket.edit"}, "ticket.edit", True),
        ({"ticket.edit"}, "ticket.edit_all", False),
        ({"ticket"}, "ticket.edit", False),
        (set(), "ticket.edit", False),
        ({"ticket.*"}, "*", False),
    ],
)
def test_a_grant_covers_what_it_names_and_stars_one_side_each(
    granted: set[str], permission: str, allowed: bool
) -> None:
    assert users.allows(frozenset(granted), permission) is allowed


async def actor(database: Database, email: str) -> Actor | None:
    async with database.read() as session:
        return await users.actor_by_email(session, email)


async def test_an_actor_has_everything_that_all_their_roles_allow(database: Database, make: Make) -> None:
    person = await make.agent("agent", "auditor", email="Both@Example.com", full_name="Both")
    found = await actor(database, " both@example.COM ")
    assert found is not None
    assert (found.user_id, found.role_names, found.full_name) == (person.id, ("agent", "auditor"), "Both")
    assert all(found.may(permission) for permission in ("ticket.edit", "audit_log.view", "comment.public"))
    assert not any(found.may(permission) for permission in ("user.edit", "trash.restore", "ticket.reopen_closed"))


async def test_a_customer_may_nothing_and_somebody_inactive_is_nobody(database: Database, make: Make) -> None:
    await make.customer(email="c@example.com")
    await make.agent(email="gone@example.com", is_active=False)
    customer = await actor(database, "c@example.com")
    assert customer is not None
    assert (customer.role_names, customer.permissions, customer.may("ticket.view")) == ((), frozenset(), False)
    assert await actor(database, "gone@example.com") is None
    assert await actor(database, "nobody@example.com") is None


async def by_token(database: Database) -> Actor | None:
    async with database.read() as session:
        return await users.actor_by_session(session, HASH)


async def sign_in(database: Database, person: User, until: datetime) -> None:
    async with database.transaction(Acting(user_id=person.id), "session.sign_in") as change:
        await users.open_session(change.session, person.id, HASH, until, address="::1")


async def test_a_sign_in_holds_until_it_is_revoked(database: Database, make: Make) -> None:
    person = await make.lead()
    await sign_in(database, person, datetime.now(UTC) + SOON)
    found = await by_token(database)
    assert found is not None
    assert (found.user_id, found.session_id is not None, found.may("ticket.edit")) == (person.id, True, True)
    async with database.transaction(Acting(user_id=person.id), "session.sign_out") as change:
        await users.revoke_session(change.session, found.session_id or 0)
    assert await by_token(database) is None


async def test_a_sign_in_ends_when_its_time_is_over(database: Database, make: Make) -> None:
    await sign_in(database, await make.lead(), datetime.now(UTC) - SOON)
    assert await by_token(database) is None


@pytest.mark.parametrize("deed", ["deactivate", "password"])
async def test_a_sign_in_ends_with_the_password_and_with_the_person(database: Database, make: Make, deed: str) -> None:
    person = await make.lead(password_hash="old")
    await sign_in(database, person, datetime.now(UTC) + SOON)
    async with database.transaction(Acting.system(), f"user.{deed}") as change:
        if deed == "deactivate":
            await users.deactivate(change.session, person.id)
        else:
            await users.set_password(change.session, person.id, "new")
        row = await change.session.get_one(User, person.id, populate_existing=True)
        assert (row.is_active, row.password_hash) == (deed != "deactivate", "old" if deed == "deactivate" else "new")
        assert row.version == person.version + 1
    assert await by_token(database) is None


async def test_only_active_staff_with_a_password_may_sign_in(database: Database, make: Make) -> None:
    person = await make.agent(email="Ana@example.com", password_hash="hash")
    await make.agent(email="without@example.com")
    await make.agent(email="gone@example.com", password_hash="hash", is_active=False)
    await make.customer(email="customer@example.com", password_hash="hash")
    async with database.read() as session:
        found = await users.credentials(session, " ANA@example.com")
        assert found == users.Credentials(person.id, "hash")
        for email in ("without@example.com", "gone@example.com", "customer@example.com", "", "%"):
            assert await users.credentials(session, email) is None


async def test_a_sign_in_is_audited_without_its_token_and_without_the_last_login(
    database: Database, make: Make
) -> None:
    person = await make.lead()
    await sign_in(database, person, datetime.now(UTC) + SOON)
    async with database.read() as session:
        entries = (await session.scalars(select(AuditLog).where(AuditLog.table_name == "user_sessions"))).all()
        seen = await session.scalar(select(User.last_login).where(User.id == person.id))
        changed = select(AuditLog).where(AuditLog.table_name == "users", AuditLog.action == "UPDATE")
        assert (await session.scalars(changed)).all() == []
    assert [entry.changes["new"].keys() & {"token_sha256", "address"} for entry in entries] == [{"address"}]
    assert seen is not None


async def test_tries_are_counted_and_refused_beyond_the_burst(database: Database) -> None:
    limits: dict[str, Any] = {"period": timedelta(seconds=10), "burst": timedelta(seconds=30)}
    async with database.bookkeeping() as session:
        granted = [await users.may_try(session, ["address"], **limits) for _ in range(6)]
        assert granted == [True] * 4 + [False] * 2
        assert await users.may_try(session, ["another"], **limits)
        assert not await users.may_try(session, ["another", "address", "address"], **limits)


async def test_tries_are_allowed_again_as_time_passes(database: Database) -> None:
    limits: dict[str, Any] = {"period": timedelta(seconds=10), "burst": timedelta(seconds=0)}
    async with database.bookkeeping() as session:
        assert await users.may_try(session, ["a"], **limits)
        assert not await users.may_try(session, ["a"], **limits)
        await session.execute(update(Throttle).values(arrival=datetime.now(UTC) - SOON))
        assert await users.may_try(session, ["a"], **limits)
        assert not await users.may_try(session, ["a"], **limits)


async def test_a_person_is_read_with_live_tickets_newest_first_and_roles(database: Database, make: Make) -> None:
    person = await make.agent("agent", "auditor")
    asked = [await make.ticket(creator_id=person.id) for _ in range(3)]
    assigned, gone = await make.ticket(assignee_id=person.id), await make.ticket(assignee_id=person.id)
    async with database.transaction(Acting.system(), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [gone.id]), None, "Spam.")
    async with database.read() as session:
        found = await users.with_tickets(session, person.id, limit=2)
        assert await users.with_tickets(session, 999_999_999) is None
    assert found is not None
    assert [ticket.id for ticket in found.tickets_created] == [asked[2].id, asked[1].id]
    assert [ticket.id for ticket in found.tickets_assigned] == [assigned.id]
    assert [role.name for role in found.roles] == ["agent", "auditor"]


async def create(database: Database, email: str = "new@example.com", *roles: str) -> None:
    async with database.transaction(Acting.system(), "user.create") as change:
        await users.create(change.session, email, " New Person ", is_staff=True, roles=roles, password_hash=None)


async def test_a_person_is_made_with_roles_by_name(database: Database) -> None:
    await create(database, " New@example.com ", "lead", "lead", "agent")
    found = await actor(database, "new@example.com")
    assert found is not None
    assert (found.email, found.full_name, found.role_names) == ("New@example.com", "New Person", ("agent", "lead"))


@pytest.mark.parametrize(
    ("email", "roles", "kind", "sentence"),
    [
        ("new@example.com", ["boss"], BadInput, "boss is no role; there are agent, auditor, developer, lead."),
        ("THERE@example.com", [], Conflict, "Somebody with this e-mail address is already here."),
        ("no address", [], BadInput, "An e-mail address needs an @"),
        ("@example.com", [], BadInput, "An e-mail address needs an @"),
    ],
)
async def test_a_person_who_cannot_be_made_is_refused_with_a_sentence(
    database: Database, make: Make, email: str, roles: list[str], kind: type[Exception], sentence: str
) -> None:
    await make.agent(email="there@example.com")
    with pytest.raises(kind, match=sentence):
        await create(database, email, *roles)


async def grants(database: Database, permission: str) -> list[str]:
    async with database.read() as session:
        found = select(Role.name).join(RolePermission).where(RolePermission.permission == permission)
        return sorted(await session.scalars(found))


async def declare(database: Database, *declared: Declared) -> int:
    async with database.transaction(Acting.system(), "permission.declare") as change:
        return await users.declare_permissions(change.session, declared)


async def test_a_new_permission_is_granted_to_its_roles_once_and_stays_away_when_taken_away(
    database: Database,
) -> None:
    new = Declared("shelf.fill", "Fill the shelf", ("agent", "lead", "nobody_has_this_role"))
    async with database.read() as session:
        assert await users.undeclared(session, [new]) == [new]
    assert await declare(database, new, new, Declared("shelf.look", "Look")) == 2
    assert await grants(database, "shelf.fill") == ["agent", "lead"]
    assert await grants(database, "shelf.look") == []
    async with database.transaction(Acting.system(), "role.edit") as change:
        await change.session.execute(delete(RolePermission).where(RolePermission.permission == "shelf.fill"))
    assert await declare(database, new) == 0
    assert await declare(database) == 0
    assert await grants(database, "shelf.fill") == []
    async with database.read() as session:
        assert await users.undeclared(session, [new]) == []


async def test_people_are_found_by_part_of_a_name_or_address_and_percent_means_itself(
    database: Database, make: Make
) -> None:
    await make.user(full_name="Ana 100% Example", email="first@example.com")
    await make.user(full_name="Bo", email="second_one@example.com")
    async with database.read() as session:
        for term, expected in (("ANA", 1), ("%", 1), ("_", 1), ("example.com", 2), ("nobody", 0)):
            assert len((await session.scalars(select(User).where(users.named(term)))).all()) == expected, term


async def test_ending_every_sign_in_leaves_those_of_others(database: Database, make: Make) -> None:
    one, other = await make.lead(), await make.lead()
    async with database.transaction(Acting.system(), "test.sign_in") as change:
        for number, person in enumerate((one, one, other)):
            token = bytes([number]) * 32
            await users.open_session(change.session, person.id, token, datetime.now(UTC) + SOON)
        await change.session.flush()
        await users.revoke_sessions(change.session, one.id)
        alive = select(UserSession.user_id).where(UserSession.revoked_at.is_(None))
        assert (await change.session.scalars(alive)).all() == [other.id]
