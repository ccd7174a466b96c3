"""`backdesk user`: people from the command line."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.api.tokens import new_token
from admin_app.db import Acting, Database
from admin_app.errors import BadInput, NotFound
from admin_app.models import ApiToken, Door
from admin_app.postgres import urls
from admin_app.queries import api_tokens, users
from admin_app.settings import Settings
from admin_app.web.auth import hash_password, token_hash

PASSWORD_LENGTH = 10
Made = TypeVar("Made")


@click.group()
def user() -> None:
    """People: create, new password, deactivate, tokens for scripts."""


def _password() -> str:
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(password) < PASSWORD_LENGTH:
        raise BadInput(f"A password has at least {PASSWORD_LENGTH} characters.")
    return password


@user.command()
@click.argument("email")
@click.option("--name", required=True, help="The person's full name.")
@click.option("--role", "roles", multiple=True, help="agent, lead, auditor or developer; may be given several times.")
@click.option("--customer", is_flag=True, help="Somebody who asks; without a password, and not staff.")
def create(email: str, name: str, roles: tuple[str, ...], customer: bool) -> None:
    """Create a member of staff, with a password that is asked for, or a customer."""
    if customer and roles:
        raise BadInput("A customer has no role.")
    password = None if customer else hash_password(_password())

    async def work(session: AsyncSession) -> None:
        await users.create(session, email, name, is_staff=not customer, roles=roles, password_hash=password)

    _change("user.create", work)
    click.echo(f"{name} can sign in as {email}." if password else f"{name} is known as {email}.")


@user.command()
@click.argument("email")
def password(email: str) -> None:
    """Give somebody a new password; whoever is signed in with the old one is signed out."""
    new = hash_password(_password())

    async def work(session: AsyncSession) -> None:
        await users.set_password(session, await _id(session, email), new)

    _change("user.password", work)
    click.echo(f"{email} has a new password and is signed out everywhere.")


@user.command()
@click.argument("email")
def deactivate(email: str) -> None:
    """Let somebody no longer sign in. Their tickets and comments stay."""

    async def work(session: AsyncSession) -> int:
        user_id = await _id(session, email)
        await users.deactivate(session, user_id)
        return user_id

    user_id = _change("user.deactivate", work)
    click.echo(f"{email} can no longer sign in. Their tickets are in the list with the filter assignee={user_id}.")


@user.group()
def token() -> None:
    """Tokens with which scripts use the API in somebody's name."""


@token.command(name="create")
@click.argument("email")
@click.option("--name", required=True, help="What it is for, such as the name of the script.")
@click.option("--days", default=90, show_default=True, help="How long it holds, 366 days at most.")
def create_token(email: str, name: str, days: int) -> None:
    """Make a token and show it, this once: only its hash is kept."""
    secret = new_token()

    async def work(session: AsyncSession) -> ApiToken:
        lasting = timedelta(days=max(0, min(days, 1_000)))
        return await api_tokens.create(session, await _id(session, email), token_hash(secret), name, lasting)

    made = _change("api_token.create", work)
    click.echo(f"Token {made.id} of {email} holds until {made.expires_at:%Y-%m-%d}. It is shown only now:", err=True)
    click.echo(secret)


@token.command(name="list")
@click.argument("email", required=False)
def list_tokens(email: str | None) -> None:
    """List the tokens that hold, of one person or of all."""

    async def work(session: AsyncSession) -> Sequence[tuple[ApiToken, str]]:
        return await api_tokens.alive(session, await _id(session, email) if email else None)

    for found, owner in _read(work):
        used = f"last used {found.last_used_at:%Y-%m-%d %H:%M} UTC" if found.last_used_at else "never used"
        click.echo(f"{found.id:<6} {owner:<30} {found.name:<24} holds until {found.expires_at:%Y-%m-%d}, {used}")


@token.command(name="revoke")
@click.argument("number", type=int)
def revoke_token(number: int) -> None:
    """End a token at once, by its number."""

    async def work(session: AsyncSession) -> None:
        await api_tokens.revoke(session, number)

    _change("api_token.revoke", work)
    click.echo(f"The token {number} is worth nothing any more.")


async def _id(session: AsyncSession, email: str) -> int:
    if (actor := await users.actor_by_email(session, email)) is None:
        raise NotFound(f"There is no active person with the e-mail address {email}.")
    return actor.user_id


def _change(action: str, work: Callable[[AsyncSession], Awaitable[Made]]) -> Made:
    """Do something as a change set of the command line, and give back what it gives."""

    async def change(database: Database) -> Made:
        async with database.transaction(Acting.system(Door.CLI), action) as made:
            result = await work(made.session)
            made.counts.changed = 1
            return result

    return asyncio.run(_connected(change))


def _read(work: Callable[[AsyncSession], Awaitable[Made]]) -> Made:
    """Look something up, and give it back."""

    async def look(database: Database) -> Made:
        async with database.read() as session:
            return await work(session)

    return asyncio.run(_connected(look))


async def _connected(work: Callable[[Database], Awaitable[Made]]) -> Made:
    settings = Settings.from_env()
    database = Database.connect(urls(settings)[1], settings)
    try:
        return await work(database)
    finally:
        await database.close()
