"""Tickets: what is asked, by whom, who works on it, and how far it is."""

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    and_,
    cast,
    func,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.sql import ColumnElement

from admin_app.models.base import (
    DERIVED,
    LONG,
    Assignable,
    Audited,
    Base,
    Numbered,
    SoftDelete,
    Timestamped,
    Versioned,
    text_enum,
)
from admin_app.models.tag import Tag
from admin_app.models.user import User


class TicketStatus(enum.StrEnum):
    """How far a ticket is."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    WAITING_ON_CUSTOMER = "waiting_on_customer"
    RESOLVED = "resolved"
    CLOSED = "closed"


class TicketPriority(enum.StrEnum):
    """How soon a ticket should be worked on, from the least to the most urgent."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class TicketSource(enum.StrEnum):
    """By which way a ticket came in; imported ones have times of another system."""

    WEB = "web"
    EMAIL = "email"
    PHONE = "phone"
    API = "api"
    IMPORT = "import"


ACTIVE = (TicketStatus.OPEN, TicketStatus.IN_PROGRESS)
"""Statuses in which the desk has to act."""

DONE = (TicketStatus.RESOLVED, TicketStatus.CLOSED)
"""Statuses in which nothing is left to do."""

TRANSITIONS: dict[TicketStatus, tuple[TicketStatus, ...]] = {
    TicketStatus.OPEN: (
        TicketStatus.IN_PROGRESS,
        TicketStatus.WAITING_ON_CUSTOMER,
        TicketStatus.RESOLVED,
        TicketStatus.CLOSED,
    ),
    TicketStatus.IN_PROGRESS: (
        TicketStatus.OPEN,
        TicketStatus.WAITING_ON_CUSTOMER,
        TicketStatus.RESOLVED,
        TicketStatus.CLOSED,
    ),
    TicketStatus.WAITING_ON_CUSTOMER: (
        TicketStatus.OPEN,
        TicketStatus.IN_PROGRESS,
        TicketStatus.RESOLVED,
        TicketStatus.CLOSED,
    ),
    TicketStatus.RESOLVED: (
        TicketStatus.OPEN,
        TicketStatus.IN_PROGRESS,
        TicketStatus.WAITING_ON_CUSTOMER,
        TicketStatus.CLOSED,
    ),
    TicketStatus.CLOSED: (TicketStatus.OPEN,),
}
"""From each status, those that may follow. Closed to open is reopening, with its own permission, reason and limit."""

REOPEN_DAYS = 30
"""A closed ticket can be reopened for so many days; after that the customer's matter becomes a new ticket."""

LIVE = text("deleted_at IS NULL")


def _order(name: str, *columns: str) -> Index:
    """The index of an order in which lists show tickets, those in the trash aside.

    Each entry ends with the id, so none are equal but those of one ticket's dead rows. To look for some whenever a page
    of an index is full is a fifth of the work of changing 100,000 tickets.
    """
    distinct = {"deduplicate_items": "off"}
    return Index(f"ix_tickets_live_{name}", *columns, postgresql_where=LIVE, postgresql_with=distinct)


class Ticket(Numbered, Timestamped, Versioned, SoftDelete, Assignable, Audited, Base):
    """One matter of one customer."""

    __tablename__ = "tickets"
    __table_args__ = (
        CheckConstraint("btrim(title) <> ''", "title"),
        CheckConstraint("(status IN ('resolved', 'closed')) = (resolved_at IS NOT NULL)", "resolved_at"),
        CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", "closed_at"),
        CheckConstraint("resolved_at >= created_at", "resolved_after_created"),
        CheckConstraint("first_response_at >= created_at", "response_after_created"),
        CheckConstraint("deleted_at IS NOT NULL OR (deleted_by_id IS NULL AND delete_reason IS NULL)", "deleted_by"),
        CheckConstraint("reopen_count >= 0", "reopen_count"),
        _order("created", "created_at", "id"),
        _order("status", "status", "created_at", "id"),
        _order("assignee", "assignee_id", "status", "created_at", "id"),
        _order("creator", "creator_id", "created_at", "id"),
        _order("priority", "priority_rank", "created_at", "id"),
        _order("resolved", "resolved_at", "id"),
        _order("due", "due_at", "id"),
        Index(
            "ix_tickets_due",
            "due_at",
            postgresql_where=text("deleted_at IS NULL AND status IN ('open', 'in_progress')"),
        ),
        Index(
            "ix_tickets_live_resolver",
            "resolved_by_id",
            "resolved_at",
            "id",
            postgresql_where=text("deleted_at IS NULL AND resolved_by_id IS NOT NULL"),
        ),
        Index(
            "ix_tickets_live_reopened",
            "last_reopened_at",
            "id",
            postgresql_where=text("deleted_at IS NULL AND last_reopened_at IS NOT NULL"),
        ),
        Index("uq_tickets_external_id", "external_id", unique=True, postgresql_where=text("external_id IS NOT NULL")),
        Index("ix_tickets_trash", "deleted_at", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    )
    lookup = ("ticket_number", "title")

    ticket_number: Mapped[str] = mapped_column(
        String(50), unique=True, server_default=text("next_ticket_number()"), info={"editable": False}
    )
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str] = mapped_column(info=LONG)
    status: Mapped[TicketStatus] = mapped_column(text_enum(TicketStatus, "status"), server_default="open")
    priority: Mapped[TicketPriority] = mapped_column(text_enum(TicketPriority, "priority"), server_default="medium")
    priority_rank: Mapped[int] = mapped_column(
        SmallInteger,
        Computed(
            "CASE priority WHEN 'urgent' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END", persisted=True
        ),
        info={**DERIVED, "values": (1, 2, 3, 4)},
    )
    source: Mapped[TicketSource] = mapped_column(
        text_enum(TicketSource, "source"), server_default="web", info={"editable": False}
    )
    creator_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    created_by_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="RESTRICT"), info={"editable": False}
    )
    due_at: Mapped[datetime | None] = mapped_column(server_default=text("now() + interval '7 days'"))
    resolved_at: Mapped[datetime | None] = mapped_column(info={"editable": False})
    first_resolved_at: Mapped[datetime | None] = mapped_column(info={"editable": False})
    resolved_by_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="RESTRICT"), info={"editable": False}
    )
    closed_at: Mapped[datetime | None] = mapped_column(info={"editable": False})
    reopen_count: Mapped[int] = mapped_column(Integer, server_default=text("0"), info={"editable": False})
    last_reopened_at: Mapped[datetime | None] = mapped_column(info={"editable": False})
    first_response_at: Mapped[datetime | None] = mapped_column(info=DERIVED)
    last_customer_reply_at: Mapped[datetime | None] = mapped_column(info=DERIVED)
    last_staff_reply_at: Mapped[datetime | None] = mapped_column(info=DERIVED)
    external_id: Mapped[str | None] = mapped_column(String(100), info={"editable": False})

    creator: Mapped[User] = relationship(
        back_populates="tickets_created", foreign_keys=[creator_id], lazy="raise", info={"label": "Requester"}
    )
    created_by: Mapped[User | None] = relationship(foreign_keys=[created_by_id], lazy="raise")
    resolved_by: Mapped[User | None] = relationship(foreign_keys=[resolved_by_id], lazy="raise")
    assignee: Mapped[User | None] = relationship(
        back_populates="tickets_assigned",
        foreign_keys="Ticket.assignee_id",
        lazy="raise",
        info={"only": User.is_staff & User.is_active},
    )
    comments: Mapped[list[Any]] = relationship(
        "Comment",
        back_populates="ticket",
        lazy="raise",
        passive_deletes="all",
        order_by="(Comment.created_at, Comment.id)",
    )
    attachments: Mapped[list[Any]] = relationship(
        "Attachment", back_populates="ticket", lazy="raise", passive_deletes="all", order_by="Attachment.id"
    )
    tags: Mapped[list[Tag]] = relationship(
        secondary="ticket_tags",
        back_populates="tickets",
        lazy="raise",
        order_by="Tag.name",
        passive_deletes=True,
        info={"only": Tag.is_active},
    )

    @hybrid_property
    def label(self) -> str:
        return self.ticket_number + " " + self.title

    @hybrid_property
    def is_overdue(self) -> bool:
        """Whether the desk has to act and the time for it has passed; waiting for the customer does not count."""
        return self.status in ACTIVE and self.due_at is not None and self.due_at < datetime.now(self.due_at.tzinfo)

    @is_overdue.inplace.expression
    @classmethod
    def _is_overdue(cls) -> ColumnElement[bool]:
        return and_(cls.due_at.is_not(None), cls.status.in_(ACTIVE), cls.due_at < func.now())

    @hybrid_property
    def is_unattended(self) -> bool:
        """Whether somebody waits for the desk: nobody has answered yet, or the last word is the customer's."""
        if self.status in DONE:
            return False
        asked, answered = self.last_customer_reply_at, self.last_staff_reply_at
        return self.first_response_at is None or (asked is not None and answered is not None and asked > answered)

    @is_unattended.inplace.expression
    @classmethod
    def _is_unattended(cls) -> ColumnElement[bool]:
        both = and_(cls.last_customer_reply_at.is_not(None), cls.last_staff_reply_at.is_not(None))
        asked_again = and_(both, cls.last_customer_reply_at > cls.last_staff_reply_at)
        return and_(cls.status.not_in(DONE), or_(cls.first_response_at.is_(None), asked_again))

    @hybrid_property
    def silent_days(self) -> float:
        """Days since the customer or staff last wrote in public, or since it came in where nobody has."""
        times = (self.created_at, self.last_customer_reply_at, self.last_staff_reply_at)
        return (datetime.now(UTC) - max(time for time in times if time)).total_seconds() / 86_400

    @silent_days.inplace.expression
    @classmethod
    def _silent_days(cls) -> ColumnElement[Any]:
        last = func.greatest(cls.created_at, cls.last_customer_reply_at, cls.last_staff_reply_at)
        return cast(func.extract("epoch", func.now() - last) / 86_400, Float)

    @hybrid_property
    def response_hours(self) -> float | None:
        """Hours from creation to the first public answer of staff; None while there is none."""
        if self.first_response_at is None:
            return None
        return (self.first_response_at - self.created_at).total_seconds() / 3600

    @response_hours.inplace.expression
    @classmethod
    def _response_hours(cls) -> ColumnElement[Any]:
        return cast(func.extract("epoch", cls.first_response_at - cls.created_at) / 3600, Float)


class TicketStatusEvent(Numbered, Base):
    """One change of a ticket's status, written by the database whoever made it; statistics are counted from these."""

    __tablename__ = "ticket_status_events"
    __table_args__ = (
        Index("ix_ticket_status_events_ticket", "ticket_id", "at", "id"),
        Index("ix_ticket_status_events_at", "at", "to_status"),
    )

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    from_status: Mapped[str | None] = mapped_column(String(40))
    to_status: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    actor_id: Mapped[int | None]
    change_set_id: Mapped[int | None]


class TicketSearch(Base):
    """The words of a ticket and of its public comments, kept current by the database."""

    __tablename__ = "ticket_search"
    __table_args__ = (Index("ix_ticket_search_document", "document", postgresql_using="gin"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    document: Mapped[str] = mapped_column(TSVECTOR)
