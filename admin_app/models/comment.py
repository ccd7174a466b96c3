"""Comments: answers that the customer reads, and internal notes that only staff read."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from admin_app.models.base import LONG, Audited, Base, Numbered, Timestamped, Versioned
from admin_app.models.ticket import Ticket
from admin_app.models.user import User

EDIT_MINUTES = 10
"""A public comment may be corrected by its author for so long; later the customer has read it."""


class Comment(Numbered, Timestamped, Versioned, Audited, Base):
    """One contribution to a ticket; internal unless made public on purpose."""

    __tablename__ = "comments"
    __table_args__ = (
        CheckConstraint("btrim(content) <> ''", "content"),
        Index("ix_comments_ticket", "ticket_id", "created_at", "id"),
        Index("ix_comments_author", "author_id", "created_at", "id"),
        Index("ix_comments_created", "created_at", "id"),
    )

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    content: Mapped[str] = mapped_column(info=LONG)
    is_internal: Mapped[bool] = mapped_column(
        server_default=text("true"), info={"label": "Internal note", "help": "The customer never sees it."}
    )
    external_id: Mapped[str | None] = mapped_column(String(100), unique=True, info={"editable": False})

    ticket: Mapped[Ticket] = relationship(
        back_populates="comments", lazy="raise", info={"only": Ticket.deleted_at.is_(None)}
    )
    author: Mapped[User] = relationship(back_populates="comments", lazy="raise")
    attachments: Mapped[list[Any]] = relationship(
        "Attachment", back_populates="comment", lazy="raise", passive_deletes="all"
    )
