"""Exports that are made in the background, because they are too large to wait for."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from admin_app.models.base import Base, Numbered, text_enum
from admin_app.models.user import User


class ExportState(enum.StrEnum):
    """How far an export is; one that is `expired` has no file any more."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Export(Numbered, Base):
    """A file that a worker makes of a list, or of a selection in it, for whoever asked and nobody else.

    `layout` says which columns it has and how they are written. `attempt` counts who began: a worker that wakes up once
    another took over finds that it is not its own any more. `file_key` names the file, once it is whole.
    """

    __tablename__ = "exports"
    __table_args__ = (
        Index("ix_exports_user", "user_id", "id"),
        Index("ix_exports_unfinished", "id", postgresql_where=text("state IN ('queued', 'running')")),
        Index("ix_exports_expires", "expires_at", postgresql_where=text("file_key IS NOT NULL")),
        CheckConstraint("(state = 'completed') = (file_key IS NOT NULL)", "file"),
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    change_set_id: Mapped[int | None]
    resource: Mapped[str] = mapped_column(String(100))
    filter: Mapped[str] = mapped_column(server_default="")
    selection_id: Mapped[int | None]
    layout: Mapped[dict[str, Any]]
    zone: Mapped[str] = mapped_column(String(64))
    state: Mapped[ExportState] = mapped_column(text_enum(ExportState, "state"), server_default="queued")
    attempt: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    expected: Mapped[int] = mapped_column(server_default=text("0"))
    rows: Mapped[int] = mapped_column(server_default=text("0"))
    size_bytes: Mapped[int] = mapped_column(server_default=text("0"))
    file_key: Mapped[str | None] = mapped_column(String(64))
    problem: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    progressed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="raise")
