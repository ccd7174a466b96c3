"""People: who acts and what they may do, sign-ins, and a person with their tickets."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import LargeBinary, Select, Text, and_, bindparam, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.attributes import set_committed_value

from admin_app.errors import BadInput
from admin_app.models import ApiToken, Permission, Role, RolePermission, Ticket, User, UserRole, UserSession
from admin_app.queries import saved_views
from admin_app.queries.saved_views import View


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A person who acts: who it is, their roles, and everything these allow; with a sign-in also their saved views."""

    user_id: int
    email: str
    full_name: str
    role_names: tuple[str, ...]
    permissions: frozenset[str]
    time_zone: str | None
    session_id: int | None = None
    views: tuple[View, ...] = ()

    def may(self, permission: str) -> bool:
        """Whether one of the granted permissions covers this one."""
        return allows(self.permissions, permission)


def allows(granted: frozenset[str], permission: str) -> bool:
    """Whether a set of grants covers a permission; `*` covers all, `ticket.*` and `*.view` one side each."""
    subject, _, deed = permission.partition(".")
    return not granted.isdisjoint({permission, "*", f"{subject}.*", f"*.{deed}"})


def _actors() -> Select[Any]:
    roles = select(func.array_agg(aggregate_order_by(Role.name, Role.name)))
    roles = roles.select_from(UserRole).join(Role).where(UserRole.user_id == User.id)
    granted = select(func.array_agg(RolePermission.permission.distinct())).select_from(UserRole)
    granted = granted.join(RolePermission, RolePermission.role_id == UserRole.role_id)
    granted = granted.where(UserRole.user_id == User.id)
    return select(
        User.id,
        User.email,
        User.full_name,
        User.time_zone,
        roles.scalar_subquery().label("roles"),
        granted.scalar_subquery().label("permissions"),
    ).where(User.is_active)


def _actor(row: Any, session_id: int | None = None, views: tuple[View, ...] = ()) -> Actor:
    return Actor(
        user_id=row.id,
        email=row.email,
        full_name=row.full_name,
        role_names=tuple(row.roles or ()),
        permissions=frozenset(row.permissions or ()),
        time_zone=row.time_zone,
        session_id=session_id,
        views=views,
    )


async def actor_by_email(session: AsyncSession, email: str) -> Actor | None:
    """The active person with this e-mail address, in any case, with their permissions; None when there is none."""
    row = (await session.execute(_actors().where(func.lower(User.email) == email.strip().lower()))).first()
    return _actor(row) if row else None


async def actor_by_id(session: AsyncSession, user_id: int) -> Actor | None:
    """The active person of this id, with their permissions of this moment; None when there is none."""
    row = (await session.execute(_actors().where(User.id == user_id))).first()
    return _actor(row) if row else None


SIGNED_IN = text(
    f"""
SELECT u.id, u.email, u.full_name, u.time_zone, s.id AS session_id, granted.roles, granted.permissions,
  ({saved_views.OF_PERSON}) AS views
FROM user_sessions s JOIN users u ON u.id = s.user_id AND u.is_active
CROSS JOIN LATERAL (
  SELECT array_agg(DISTINCT r.name ORDER BY r.name) AS roles,
    array_agg(DISTINCT p.permission) FILTER (WHERE p.permission IS NOT NULL) AS permissions
  FROM user_roles ur JOIN roles r ON r.id = ur.role_id LEFT JOIN role_permissions p ON p.role_id = ur.role_id
  WHERE ur.user_id = u.id) AS granted
WHERE s.token_sha256 = :token AND s.revoked_at IS NULL AND s.expires_at > now()"""
).bindparams(bindparam("token", type_=LargeBinary))
"""Asked at every request of the web, and therefore not put together anew each time."""


async def actor_by_session(session: AsyncSession, token_sha256: bytes) -> Actor | None:
    """Who signed in with this token, while the sign-in is neither expired nor revoked and the person active."""
    row = (await session.execute(SIGNED_IN, {"token": token_sha256})).first()
    return _actor(row, row.session_id, saved_views.read(row.views)) if row else None


@dataclass(frozen=True)
class Bearer:
    """Who sent a token, which one it was, and whether its last use was noted within the last minute."""

    actor: Actor
    token_id: int
    noted: bool


@cache
def _bearers() -> Select[Any]:
    """Asked at every request of a script, and therefore not put together anew each time."""
    given = ApiToken.token_sha256 == bindparam("token")
    valid = and_(given, ApiToken.user_id == User.id, ApiToken.revoked_at.is_(None), ApiToken.expires_at > func.now())
    noted = func.coalesce(ApiToken.last_used_at > func.now() - timedelta(minutes=1), False)
    found = _actors().where(User.is_staff).add_columns(ApiToken.id.label("token_id"), noted.label("noted"))
    return found.join(ApiToken, valid)


async def bearer(session: AsyncSession, token_sha256: bytes) -> Bearer | None:
    """Who sent this token, while it is neither expired nor revoked and the person an active member of staff."""
    row = (await session.execute(_bearers(), {"token": token_sha256})).first()
    return Bearer(_actor(row), row.token_id, row.noted) if row else None


@dataclass(frozen=True)
class Credentials:
    """What a sign-in is checked against."""

    user_id: int
    password_hash: str


async def credentials(session: AsyncSession, email: str) -> Credentials | None:
    """The password hash of the active person with this e-mail who may sign in at all: staff with a password."""
    found = select(User.id, User.password_hash).where(
        func.lower(User.email) == email.strip().lower(),
        User.is_active,
        User.is_staff,
        User.password_hash.is_not(None),
    )
    row = (await session.execute(found)).first()
    return Credentials(row.id, row.password_hash) if row else None


async def open_session(session: AsyncSession, user_id: int, token_sha256: bytes, until: datetime, **facts: Any) -> None:
    """Record a sign-in, valid until an instant, and when the person last signed in."""
    session.add(UserSession(user_id=user_id, token_sha256=token_sha256, expires_at=until, **facts))
    await session.execute(update(User).where(User.id == user_id).values(last_login=func.now()))


async def revoke_session(session: AsyncSession, session_id: int) -> None:
    """End one sign-in at once."""
    await session.execute(update(UserSession).where(UserSession.id == session_id).values(revoked_at=func.now()))


async def end_access(session: AsyncSession, user_id: int) -> None:
    """End every sign-in of a person and every token of theirs at once: when they leave."""
    await revoke_sessions(session, user_id)
    alive = and_(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    await session.execute(update(ApiToken).where(alive).values(revoked_at=func.now()))


async def revoke_sessions(session: AsyncSession, user_id: int) -> None:
    """End every sign-in of a person at once: after a change of password."""
    alive = and_(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
    await session.execute(update(UserSession).where(alive).values(revoked_at=func.now()))


TRY = text(
    """
INSERT INTO throttles AS t (key, arrival) SELECT key, now() + :period FROM unnest(CAST(:keys AS text[])) AS key
ON CONFLICT (key) DO UPDATE SET arrival = greatest(t.arrival, now()) + :period
  WHERE greatest(t.arrival, now()) - now() <= :burst
RETURNING key"""
).bindparams(bindparam("keys", type_=ARRAY(Text)))


async def may_try(session: AsyncSession, keys: Iterable[str], *, period: Any, burst: Any) -> bool:
    """Count one try under each key, and tell whether all were within the limit (generic cell rate algorithm).

    `period` is the time one try costs, `burst` how much may be owed; both are timedeltas.
    """
    wanted = sorted(set(keys))
    granted = await session.scalars(TRY, {"keys": wanted, "period": period, "burst": burst})
    return len(granted.all()) == len(wanted)


async def with_tickets(session: AsyncSession, user_id: int, *, limit: int = 50) -> User | None:
    """A person with roles, and their newest tickets as requester and as assignee: live ones, at most `limit` each."""
    user = await session.scalar(select(User).where(User.id == user_id).options(selectinload(User.roles)))
    if user is None:
        return None
    newest = select(Ticket).where(Ticket.deleted_at.is_(None)).order_by(Ticket.created_at.desc(), Ticket.id.desc())
    created = await session.scalars(newest.where(Ticket.creator_id == user_id).limit(limit))
    assigned = await session.scalars(newest.where(Ticket.assignee_id == user_id).limit(limit))
    set_committed_value(user, "tickets_created", list(created))
    set_committed_value(user, "tickets_assigned", list(assigned))
    return user


async def create(
    session: AsyncSession,
    email: str,
    full_name: str,
    *,
    is_staff: bool,
    roles: Iterable[str],
    password_hash: str | None,
) -> User:
    """Make a person with roles by their names; raises BadInput for a role that does not exist."""
    user = User(email=email.strip(), full_name=full_name.strip(), is_staff=is_staff, password_hash=password_hash)
    session.add(user)
    await session.flush()
    await give_roles(session, user.id, roles)
    return user


async def give_roles(session: AsyncSession, user_id: int, names: Iterable[str]) -> None:
    """Give a person roles by their names; raises BadInput naming those that do not exist, and which do."""
    wanted = set(names)
    known = {role.name: role.id for role in await session.scalars(select(Role))}
    if unknown := wanted - known.keys():
        raise BadInput(
            fields={"role": f"{', '.join(sorted(unknown))} is no role; there are {', '.join(sorted(known))}."}
        )
    for name in sorted(wanted):
        session.add(UserRole(user_id=user_id, role_id=known[name]))
    await session.flush()


async def deactivate(session: AsyncSession, user_id: int) -> None:
    """Let a person no longer sign in or be given tickets, and end their sign-ins and tokens. Their records stay."""
    await session.execute(
        update(User).where(User.id == user_id, User.is_active).values(is_active=False, version=User.version + 1)
    )
    await end_access(session, user_id)


async def set_password(session: AsyncSession, user_id: int, password_hash: str) -> None:
    """Give a person a new password, by its hash, and end every sign-in made with the old one."""
    await session.execute(
        update(User).where(User.id == user_id).values(password_hash=password_hash, version=User.version + 1)
    )
    await revoke_sessions(session, user_id)


@dataclass(frozen=True)
class Declared:
    """A permission that the code knows: its name, what it allows, and the roles that have it by default."""

    name: str
    label: str
    roles: tuple[str, ...] = ()


async def undeclared(session: AsyncSession, declared: Iterable[Declared]) -> list[Declared]:
    """Those of the permissions that the desk has not seen yet."""
    known = set(await session.scalars(select(Permission.name)))
    return [permission for permission in declared if permission.name not in known]


async def declare_permissions(session: AsyncSession, declared: Iterable[Declared]) -> int:
    """Record permissions seen for the first time and grant them to their default roles; returns how many were new.

    A grant that somebody took away later stays away.
    """
    wanted = {permission.name: permission for permission in declared}
    rows = [{"name": permission.name, "label": permission.label[:300]} for permission in wanted.values()]
    if not rows:
        return 0
    new = insert(Permission).on_conflict_do_nothing().returning(Permission.name)
    names = (await session.scalars(new, rows)).all()
    roles = {role.name: role.id for role in await session.scalars(select(Role))}
    grants = [
        {"role_id": roles[role], "permission": name} for name in names for role in wanted[name].roles if role in roles
    ]
    if grants:
        await session.execute(insert(RolePermission).on_conflict_do_nothing(), grants)
    return len(names)


def named(term: str) -> Any:
    """The condition that a person's name or address contains a text; `%` and `_` mean themselves."""
    return or_(User.full_name.icontains(term, autoescape=True), User.email.icontains(term, autoescape=True))
