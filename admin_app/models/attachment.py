"""Attachments: files that belong to a ticket; the bytes are stored outside the database."""

import enum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from admin_app.models.base import Audited, Base, Numbered, SoftDelete, Timestamped, Versioned, text_enum
from admin_app.models.comment import Comment
from admin_app.models.ticket import LIVE, Ticket
from admin_app.models.user import User


class ScanStatus(enum.StrEnum):
    """What a virus scanner has said about a file."""

    PENDING = "pending"
    CLEAN = "clean"
    INFECTED = "infected"


class Attachment(Numbered, Timestamped, Versioned, SoftDelete, Audited, Base):
    """A file of a ticket, or of one of its comments; internal like the comment it came with."""

    __tablename__ = "attachments"
    __table_args__ = (
        CheckConstraint("size_bytes >= 0", "size_bytes"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", "sha256"),
        CheckConstraint("deleted_at IS NOT NULL OR (deleted_by_id IS NULL AND delete_reason IS NULL)", "deleted_by"),
        Index("ix_attachments_ticket", "ticket_id", "id"),
        Index("ix_attachments_comment", "comment_id"),
        Index("ix_attachments_created", "created_at", "id"),
        Index("ix_attachments_live_uploader", "uploaded_by_id", "created_at", "id", postgresql_where=LIVE),
        Index("ix_attachments_live_size", "size_bytes", "id", postgresql_where=LIVE),
    )
    lookup = ("filename",)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    comment_id: Mapped[int | None] = mapped_column(ForeignKey("comments.id", ondelete="CASCADE"))
    uploaded_by_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="RESTRICT"), info={"editable": False}
    )
    filename: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(150), info={"editable": False})
    size_bytes: Mapped[int] = mapped_column(info={"editable": False})
    sha256: Mapped[str] = mapped_column(String(64), info={"editable": False})
    storage_key: Mapped[str] = mapped_column(String(200), unique=True, info={"editable": False})
    is_internal: Mapped[bool] = mapped_column(
        server_default=text("true"), info={"label": "Internal", "help": "The customer never sees it."}
    )
    scan_status: Mapped[ScanStatus] = mapped_column(
        text_enum(ScanStatus, "scan_status"), server_default="pending", info={"editable": False}
    )

    ticket: Mapped[Ticket] = relationship(back_populates="attachments", lazy="raise")
    comment: Mapped[Comment | None] = relationship(back_populates="attachments", lazy="raise")
    uploaded_by: Mapped[User | None] = relationship(foreign_keys=[uploaded_by_id], lazy="raise")

    @hybrid_property
    def label(self) -> str:
        return self.filename
