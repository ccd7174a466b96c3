"""The four accounts with which one signs in to a made-up desk; their passwords are told once and stored as hashes."""

import secrets
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.db import Acting, Database
from admin_app.demo.words import words
from admin_app.errors import NotFound
from admin_app.models import Door, User
from admin_app.queries import users

ROLES = {
    "agent@example.com": "agent",
    "lead@example.com": "lead",
    "auditor@example.com": "auditor",
    "developer@example.com": "developer",
}
"""Who may sign in, by e-mail address, and in which role."""

PASSWORD_WORDS = 4

hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


@dataclass(frozen=True)
class Account:
    """An account that has just got a password. This is the only place where the password can be read."""

    email: str
    name: str
    role: str
    password: str = field(repr=False)


async def accounts(database: Database) -> list[Account]:
    """Give a password to each of the four accounts that has none yet; empty when all have one.

    Raises NotFound where the desk is not a made-up one.
    """
    async with database.read() as session:
        people = [user for user in await _people(session) if user.password_hash is None]
    return await _give_passwords(database, people) if people else []


async def new_passwords(database: Database) -> list[Account]:
    """Give all four accounts new passwords, and end every sign-in made with the old ones.

    Raises NotFound where the desk is not a made-up one.
    """
    async with database.read() as session:
        people = await _people(session)
    return await _give_passwords(database, people)


async def _people(session: AsyncSession) -> list[User]:
    found = {user.email: user for user in await session.scalars(select(User).where(User.email.in_(ROLES)))}
    if missing := ROLES.keys() - found.keys():
        raise NotFound(f"This is no made-up desk: it has no {', '.join(sorted(missing))}.")
    return [found[email] for email in ROLES]


async def _give_passwords(database: Database, people: list[User]) -> list[Account]:
    given = [Account(user.email, user.full_name, ROLES[user.email], readable_password()) for user in people]
    async with database.transaction(Acting.system(Door.CLI), "demo.passwords") as change:
        for user, account in zip(people, given, strict=True):
            await users.set_password(change.session, user.id, hasher.hash(account.password))
        change.counts.changed = len(given)
    return given


def readable_password() -> str:
    """Four words and four digits, such as `river-canyon-otter-plum-4821`: more than 40 bits, and easy to type."""
    chosen = [secrets.choice(words().people["password_words"]) for _ in range(PASSWORD_WORDS)]
    return "-".join([*chosen, f"{secrets.randbelow(10_000):04d}"])
