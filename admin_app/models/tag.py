"""Tags: short names under which tickets are grouped."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from admin_app.models.base import Audited, Base, Numbered, Timestamped, Versioned


class Tag(Numbered, Timestamped, Versioned, Audited, Base):
    """A name and a colour; its name is unique whatever its case."""

    __tablename__ = "tags"
    __table_args__ = (
        Index("uq_tags_name_lower", func.lower(text("name")), unique=True),
        CheckConstraint("btrim(name) <> '' AND name = btrim(name)", "name"),
        CheckConstraint("color ~ '^#[0-9a-fA-F]{6}$'", "color"),
    )
    lookup = ("name",)

    name: Mapped[str] = mapped_column(String(100))
    color: Mapped[str] = mapped_column(String(7), server_default="#64748b", info={"label": "Colour"})
    description: Mapped[str | None] = mapped_column(String(500))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))

    tickets: Mapped[list[Any]] = relationship(
        "Ticket", secondary="ticket_tags", back_populates="tags", lazy="raise", passive_deletes="all"
    )

    @hybrid_property
    def label(self) -> str:
        return self.name


class TicketTag(Audited, Base):
    """That a ticket has a tag, since when, and who gave it."""

    __tablename__ = "ticket_tags"
    __table_args__ = (Index("ix_ticket_tags_tag", "tag_id", "ticket_id"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id", ondelete="RESTRICT"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="RESTRICT"),
        server_default=text("(NULLIF(current_setting('app.user_id'::text, true), ''::text))::bigint"),
    )
