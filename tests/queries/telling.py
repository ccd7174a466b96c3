"""Tickets with told histories, for tests that count them: made then, resolved then, by whom."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, text

from admin_app.db import Acting, Database
from admin_app.models import DONE, Ticket, TicketStatus, TicketStatusEvent, User

OPEN, RESOLVED, CLOSED = TicketStatus.OPEN, TicketStatus.RESOLVED, TicketStatus.CLOSED


def at(moment: str) -> datetime:
    """`03-29 00:30:00` of 2026 in UTC."""
    return datetime.fromisoformat(f"2026-{moment}+00:00")


@dataclass(frozen=True)
class Move:
    """A ticket's change of status in a told history."""

    to: TicketStatus
    at: datetime
    by: int | None = None


@dataclass(frozen=True)
class Told:
    """A ticket as a test tells it: when it was made, its changes of status, and its other facts."""

    created_at: datetime
    moves: Sequence[Move] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> list[tuple[TicketStatus, Move]]:
        """Every move with the status before it."""
        return list(zip([OPEN, *(move.to for move in self.moves)], self.moves, strict=False))

    @property
    def entries(self) -> list[Move]:
        """The moves into a done status from one that was not."""
        return [move for before, move in self.steps if before not in DONE and move.to in DONE]

    @property
    def exits(self) -> list[Move]:
        """The moves out of a done status into one that is not."""
        return [move for before, move in self.steps if before in DONE and move.to not in DONE]

    @property
    def row(self) -> dict[str, Any]:
        """The ticket's columns at the end of its history."""
        status = self.moves[-1].to if self.moves else OPEN
        return {
            "created_at": self.created_at,
            "status": status,
            "resolved_at": self.entries[-1].at if status in DONE else None,
            "first_resolved_at": self.entries[0].at if self.entries else None,
            "closed_at": self.moves[-1].at if status == CLOSED else None,
            **self.facts,
        }


async def tell(database: Database, creator: User, stories: Iterable[Told]) -> list[Ticket]:
    """Make tickets with the histories that are told; their status events are written as the database's owner."""
    stories = list(stories)
    async with database.transaction(Acting.system(), "test.tell") as change:
        made = [Ticket(title="Told", description="As told.", creator_id=creator.id, **story.row) for story in stories]
        change.session.add_all(made)
        await change.session.flush()
        await change.session.execute(text("SET LOCAL ROLE none"))
        ids = [ticket.id for ticket in made]
        await change.session.execute(delete(TicketStatusEvent).where(TicketStatusEvent.ticket_id.in_(ids)))
        events = [
            {"ticket_id": ticket.id, "from_status": before, "to_status": move.to, "at": move.at, "actor_id": move.by}
            for ticket, story in zip(made, stories, strict=True)
            for before, move in story.steps
        ]
        if events:
            await change.session.execute(insert(TicketStatusEvent), events)
        await change.session.execute(text("RESET ROLE"))
    return made
