"""The audit log and the change sets that its rows belong to."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, func, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.sql import ColumnElement

from admin_app.models.base import Base, Numbered, numbered, text_enum
from admin_app.models.user import User


class ActorKind(enum.StrEnum):
    """What kind of actor made a change."""

    USER = "user"
    SYSTEM = "system"
    DATABASE = "database"


class Door(enum.StrEnum):
    """Through which door a change came in."""

    WEB = "web"
    CLI = "cli"
    API = "api"
    JOB = "job"
    CODE = "code"


class ChangeSetState(enum.StrEnum):
    """How far a change set is."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDONE = "undone"


class ChangeSet(Numbered, Base):
    """One change of one actor through one door, over one record or many, with its reason and its counts.

    One that is done in chunks has a `selection_id` (or undoes another), and lanes, which say how far it is. `problem`
    says why it failed, or who cancelled it.
    """

    __tablename__ = "change_sets"
    __table_args__ = (
        Index("ix_change_sets_actor", "user_id", "id"),
        Index("ix_change_sets_started", "started_at", "id"),
        Index("ix_change_sets_state", "state", "id"),
        Index("ix_change_sets_action", "action", "id"),
        Index("ix_change_sets_reference", "reference", postgresql_where=text("reference IS NOT NULL")),
        Index(
            "uq_change_sets_idempotency",
            "user_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_change_sets_unfinished", "id", postgresql_where=text("state IN ('queued', 'running')")),
        Index("ix_change_sets_undo_of", "undo_of_id", postgresql_where=text("undo_of_id IS NOT NULL")),
        CheckConstraint("changed >= 0 AND unchanged >= 0 AND failed >= 0 AND requested >= 0", "counts"),
    )

    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    actor_kind: Mapped[ActorKind] = mapped_column(text_enum(ActorKind, "actor_kind"))
    action: Mapped[str] = mapped_column(String(150))
    door: Mapped[Door] = mapped_column(text_enum(Door, "door"))
    reason: Mapped[str | None]
    reference: Mapped[str | None] = mapped_column(String(100))
    parameters: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    state: Mapped[ChangeSetState] = mapped_column(text_enum(ChangeSetState, "state"), server_default="running")
    problem: Mapped[str | None]
    requested: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    changed: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    unchanged: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    failed: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    skipped: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    request_id: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(100))
    user_agent: Mapped[str | None] = mapped_column(String(400))
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    undo_of_id: Mapped[int | None] = mapped_column(ForeignKey("change_sets.id", ondelete="RESTRICT"))
    selection_id: Mapped[int | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    progressed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    user: Mapped[User | None] = relationship(lazy="raise")

    @hybrid_property
    def label(self) -> str:
        return f"Change set {self.id}"

    @label.inplace.expression
    @classmethod
    def _label(cls) -> ColumnElement[str]:
        return numbered(cls, "Change set")


class ChangeSetLane(Base):
    """A part of work that is done in chunks, one after another: the rows up to `until`, or all where that is empty.

    It is done up to `position`. Whoever has locked its row does its next chunk.
    """

    __tablename__ = "change_set_lanes"

    change_set_id: Mapped[int] = mapped_column(ForeignKey("change_sets.id", ondelete="CASCADE"), primary_key=True)
    lane: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    until: Mapped[int | None]
    position: Mapped[int | None]
    done: Mapped[bool] = mapped_column(server_default=text("false"))


class RowOutcome(Base):
    """What became of one row that a change set was for: `changed`, `unchanged`, why it was skipped, or why it failed.

    Its key is what makes sure that no change set does anything to a row twice.
    """

    __tablename__ = "row_outcomes"

    change_set_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    record_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    failed: Mapped[bool] = mapped_column(server_default=text("false"))
    outcome: Mapped[str] = mapped_column(String(300))


class AuditLog(Numbered, Base):
    """What one change did to one row: `changes` is `{"old": {column: value}, "new": {column: value}}`.

    An update has both sides, of the columns that differ; a creation only the new one, a deletion only the old one.
    Written by the database in the transaction of the change; nobody but the owner of the tables can alter it.
    """

    __tablename__ = "audit_logs"
    __table_args__ = (
        Index("ix_audit_logs_record", "table_name", "record_id", "id"),
        Index("ix_audit_logs_user", "user_id", "id"),
        Index("ix_audit_logs_change_set", "change_set_id", "id"),
        Index("ix_audit_logs_created", "created_at", postgresql_using="brin"),
    )

    table_name: Mapped[str] = mapped_column(String(100), info={"label": "Kind of record"})
    record_id: Mapped[str] = mapped_column(Text(collation="C"), info={"label": "Record"})
    action: Mapped[str] = mapped_column(String(50))
    user_id: Mapped[int | None]
    actor_kind: Mapped[str] = mapped_column(String(20))
    database_user: Mapped[str | None] = mapped_column(String(63))
    change_set_id: Mapped[int | None]
    request_id: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str | None]
    changes: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    user: Mapped[User | None] = relationship(
        primaryjoin="foreign(AuditLog.user_id) == User.id", viewonly=True, lazy="raise"
    )
    change_set: Mapped[ChangeSet | None] = relationship(
        primaryjoin="foreign(AuditLog.change_set_id) == ChangeSet.id", viewonly=True, lazy="raise"
    )

    @hybrid_property
    def label(self) -> str:
        return self.action + " " + self.table_name + " " + self.record_id
