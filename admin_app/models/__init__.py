"""The tables of the desk, one file a family."""

from admin_app.models.attachment import Attachment, ScanStatus
from admin_app.models.audit import ActorKind, AuditLog, ChangeSet, ChangeSetState, Door
from admin_app.models.base import (
    DERIVED,
    LONG,
    SECRET,
    Assignable,
    Audited,
    Base,
    Instant,
    Numbered,
    SoftDelete,
    Timestamped,
    Versioned,
    text_enum,
)
from admin_app.models.comment import Comment
from admin_app.models.desk import Outbox, SavedView, Selection, SelectionItem
from admin_app.models.tag import Tag, TicketTag
from admin_app.models.ticket import (
    ACTIVE,
    DONE,
    TRANSITIONS,
    Ticket,
    TicketPriority,
    TicketSearch,
    TicketSource,
    TicketStatus,
    TicketStatusEvent,
)
from admin_app.models.user import Permission, Role, RolePermission, Throttle, User, UserRole, UserSession

__all__ = [
    "ACTIVE",
    "DERIVED",
    "DONE",
    "LONG",
    "SECRET",
    "TRANSITIONS",
    "ActorKind",
    "Assignable",
    "Attachment",
    "AuditLog",
    "Audited",
    "Base",
    "ChangeSet",
    "ChangeSetState",
    "Comment",
    "Door",
    "Instant",
    "Numbered",
    "Outbox",
    "Permission",
    "Role",
    "RolePermission",
    "SavedView",
    "ScanStatus",
    "Selection",
    "SelectionItem",
    "SoftDelete",
    "Tag",
    "Throttle",
    "Ticket",
    "TicketPriority",
    "TicketSearch",
    "TicketSource",
    "TicketStatus",
    "TicketStatusEvent",
    "TicketTag",
    "Timestamped",
    "User",
    "UserRole",
    "UserSession",
    "Versioned",
    "text_enum",
]
