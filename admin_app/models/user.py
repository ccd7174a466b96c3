"""People: staff and customers, their roles, and what roles may do."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from admin_app.models.base import DERIVED, SECRET, Audited, Base, Numbered, Timestamped, Versioned


class User(Numbered, Timestamped, Versioned, Audited, Base):
    """A person: staff who work at the desk, or a customer who asks. Never deleted, only deactivated."""

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_email_lower", func.lower(text("email")), unique=True),
        Index("ix_users_full_name_lower", func.lower(text("full_name")), "id"),
        Index("ix_users_created", "created_at", "id"),
        Index("ix_users_staff", "id", postgresql_where=text("is_staff")),
        CheckConstraint("email = btrim(email) AND position('@' in email) > 1", "email"),
        CheckConstraint("btrim(full_name) <> ''", "full_name"),
    )
    lookup = ("email", "full_name")

    email: Mapped[str] = mapped_column(String(255), info={"label": "E-mail"})
    full_name: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(
        server_default=text("true"), info={"help": "Only who is active can sign in and be given tickets."}
    )
    is_staff: Mapped[bool] = mapped_column(server_default=text("false"), info={"label": "Member of staff"})
    password_hash: Mapped[str | None] = mapped_column(String(255), info=SECRET)
    time_zone: Mapped[str | None] = mapped_column(
        String(64), info={"help": "In which they read times, such as Europe/Berlin; left empty, the desk's own."}
    )
    last_login: Mapped[datetime | None] = mapped_column(info=DERIVED)
    external_id: Mapped[str | None] = mapped_column(String(100), unique=True, info={"editable": False})

    tickets_created: Mapped[list[Any]] = relationship(
        "Ticket", back_populates="creator", foreign_keys="Ticket.creator_id", lazy="raise", passive_deletes="all"
    )
    tickets_assigned: Mapped[list[Any]] = relationship(
        "Ticket", back_populates="assignee", foreign_keys="Ticket.assignee_id", lazy="raise", passive_deletes="all"
    )
    comments: Mapped[list[Any]] = relationship("Comment", back_populates="author", lazy="raise", passive_deletes="all")
    roles: Mapped[list["Role"]] = relationship(secondary="user_roles", lazy="raise", order_by="Role.name")

    @hybrid_property
    def label(self) -> str:
        return self.full_name


class Role(Numbered, Audited, Base):
    """A named set of permissions: agent, lead, auditor, developer, or one of the desk's own."""

    __tablename__ = "roles"
    lookup = ("name",)

    name: Mapped[str] = mapped_column(String(50), unique=True)
    description: Mapped[str | None] = mapped_column(String(500))

    @hybrid_property
    def label(self) -> str:
        return self.name


class RolePermission(Audited, Base):
    """One permission of one role. `*` is all, `ticket.*` all of a resource or plugin, `*.view` looking at all."""

    __tablename__ = "role_permissions"

    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)
    permission: Mapped[str] = mapped_column(String(150), primary_key=True)


class UserRole(Audited, Base):
    """Who has which role."""

    __tablename__ = "user_roles"
    __table_args__ = (Index("ix_user_roles_role", "role_id", "user_id"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id", ondelete="RESTRICT"), primary_key=True)


class Permission(Base):
    """A permission that core or a plugin has declared; new ones are granted to their default roles once."""

    __tablename__ = "permissions"

    name: Mapped[str] = mapped_column(String(150), primary_key=True)
    label: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class UserSession(Numbered, Audited, Base):
    """A sign-in of one browser, until it expires or is revoked. Only the hash of its token is stored."""

    __tablename__ = "user_sessions"
    __table_args__ = (Index("ix_user_sessions_user", "user_id", "created_at"),)

    token_sha256: Mapped[bytes] = mapped_column(unique=True, info=SECRET)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    address: Mapped[str | None] = mapped_column(String(100))
    user_agent: Mapped[str | None] = mapped_column(String(400))


class ApiToken(Numbered, Audited, Base):
    """A key with which a script acts as a person, until it expires or is revoked. Only its hash is stored."""

    __tablename__ = "api_tokens"
    __table_args__ = (Index("ix_api_tokens_user", "user_id"),)

    token_sha256: Mapped[bytes] = mapped_column(unique=True, info=SECRET)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None] = mapped_column(info=DERIVED)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="raise")


class Throttle(Base):
    """How soon a key (an address, an e-mail) may try again: the theoretical arrival time of its next try (GCRA)."""

    __tablename__ = "throttles"

    key: Mapped[str] = mapped_column(String(300), primary_key=True)
    arrival: Mapped[datetime]
