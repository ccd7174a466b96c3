"""What the desk remembers besides its records: frozen selections, recipes, saved views, messages to be sent."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from admin_app.models.base import Audited, Base, Numbered, Timestamped, Versioned
from admin_app.models.user import Role, User


class Selection(Numbered, Base):
    """The rows somebody selected, frozen: who, of which resource, by which filter, how many, and until when.

    `filter` is the list's own query string; rows that were un-ticked are simply not in its parts.
    """

    __tablename__ = "selections"
    __table_args__ = (Index("ix_selections_expires", "expires_at"),)

    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    resource: Mapped[str] = mapped_column(String(100))
    filter: Mapped[str] = mapped_column(server_default="")
    row_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class SelectionPart(Base):
    """Some of the ids of a frozen selection, in their order: SIZE of them, or in its last part fewer.

    To write each id as a row of its own takes three times as long. There is no foreign key: arrays have none.
    """

    __tablename__ = "selection_parts"
    SIZE: ClassVar[int] = 1_000

    selection_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_id: Mapped[int]
    ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


class Recipe(Numbered, Timestamped, Versioned, Audited, Base):
    """An action with its inputs and the filter of a list, to be run again on whatever matches that day."""

    __tablename__ = "recipes"
    __table_args__ = (
        Index("uq_recipes_name_lower", func.lower(text("name")), unique=True),
        CheckConstraint("btrim(name) <> ''", "name"),
    )
    lookup = ("name",)

    name: Mapped[str] = mapped_column(String(100))
    resource: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(150))
    filter: Mapped[str] = mapped_column(server_default="")
    inputs: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    reason: Mapped[str | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))

    created_by: Mapped[User | None] = relationship(lazy="raise")

    @hybrid_property
    def label(self) -> str:
        return self.name


class SavedView(Numbered, Timestamped, Versioned, Audited, Base):
    """A list under a name, with its filters, order, columns and sizes: for one person, one role, or everybody.

    `query` is what stands behind the ? of the list's address, where `me` is whoever looks. Neither a `user_id` nor a
    `role_id` means everybody.
    """

    __tablename__ = "saved_views"
    __table_args__ = (
        Index("ix_saved_views_owner", "user_id"),
        Index("ix_saved_views_role", "role_id"),
        Index(
            "uq_saved_views_name_lower",
            "resource",
            func.lower(text("name")),
            func.coalesce(text("user_id"), text("0")),
            func.coalesce(text("role_id"), text("0")),
            unique=True,
        ),
        CheckConstraint("btrim(name) <> ''", "name"),
        CheckConstraint("user_id IS NULL OR role_id IS NULL", "audience"),
    )
    lookup = ("name",)

    resource: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(100))
    icon: Mapped[str] = mapped_column(String(40), server_default="filter")
    query: Mapped[str] = mapped_column(server_default="")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    role_id: Mapped[int | None] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer, server_default=text("0"))

    role: Mapped[Role | None] = relationship(lazy="raise")

    @hybrid_property
    def label(self) -> str:
        return self.name


class ShippedView(Base):
    """A view that a plugin has shipped, as `ticket.Overdue`: it is made once, and is the desk's own from then on."""

    __tablename__ = "shipped_views"

    name: Mapped[str] = mapped_column(String(201), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class MenuView(Base):
    """What somebody made of a view in their own menu: hidden, or at a `position`; without one it comes after those."""

    __tablename__ = "menu_views"
    __table_args__ = (Index("ix_menu_views_view", "view_id"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    view_id: Mapped[int] = mapped_column(ForeignKey("saved_views.id", ondelete="CASCADE"), primary_key=True)
    hidden: Mapped[bool] = mapped_column(server_default=text("false"))
    position: Mapped[int | None] = mapped_column(Integer)


class Outbox(Numbered, Base):
    """A message that is to be sent; written in the transaction that caused it."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_unsent", "available_at", "id", postgresql_where=text("sent_at IS NULL")),
        Index("uq_outbox_change_set", "change_set_id", "kind", "recipient_id", unique=True),
    )

    kind: Mapped[str] = mapped_column(String(100))
    recipient_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    change_set_id: Mapped[int | None] = mapped_column(ForeignKey("change_sets.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    available_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
