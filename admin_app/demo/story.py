"""The story of one made-up ticket: what is written, by whom and when, and how the ticket changes step by step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from admin_app.demo.people import Person
from admin_app.models import Door, TicketPriority, TicketSource, TicketStatus


@dataclass(frozen=True, eq=False)
class Act:
    """What somebody, or the desk itself, did at one instant: a change set of the made-up past.

    Several stories share an act where many tickets were changed at once.
    """

    at: datetime
    by: Person | None
    name: str
    door: Door = Door.WEB
    reason: str | None = None


@dataclass(frozen=True)
class Step:
    """A change of the ticket: the columns that got other values. A person stands for their id."""

    act: Act
    values: Mapping[str, Any]


@dataclass
class Said:
    """A comment; its `id` is known once it is stored."""

    act: Act
    author: Person
    content: str
    internal: bool
    id: int = 0


@dataclass(kw_only=True)
class Story:
    """A ticket from its creation to the present: what it was born with, what was said, and every step since.

    `state` holds the columns as the last step left them; `id` is known once it is stored.
    """

    act: Act
    title: str
    description: str
    priority: TicketPriority
    source: TicketSource
    requester: Person
    created_by: Person | None
    due_at: datetime
    tags: dict[str, Act] = field(default_factory=dict)
    state: dict[str, Any] = field(init=False)
    said: list[Said] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    id: int = 0

    def __post_init__(self) -> None:
        self.state = self._newborn()

    def step(self, act: Act, **values: Any) -> None:
        """Change columns, and remember what changed; nothing happens where all have their values already."""
        if any(self.state[name] != value for name, value in values.items()):
            self.state.update(values, updated_at=act.at)
            self.steps.append(Step(act, values))

    def born(self) -> dict[str, Any]:
        """The row with which the ticket began."""
        return {**self._given(), **self._newborn(), "version": 1}

    def grown(self) -> dict[str, Any]:
        """The row as the last step left it."""
        return {**self._given(), **self.state, "version": 1 + len(self.steps)}

    def growth(self) -> Iterator[dict[str, Any]]:
        """The columns that steps change, after each step."""
        state = self._newborn()
        for number, step in enumerate(self.steps, start=2):
            state.update(step.values, updated_at=step.act.at)
            yield {"id": self.id, **state, "version": number}

    def _given(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "description": self.description,
            "source": self.source,
            "creator_id": self.requester,
            "created_by_id": self.created_by,
            "created_at": self.act.at,
            "due_at": self.due_at,
        }

    def _newborn(self) -> dict[str, Any]:
        empty = dict.fromkeys(("assignee_id", "resolved_by_id", "deleted_by_id", "delete_reason"))
        never = dict.fromkeys(("resolved_at", "first_resolved_at", "closed_at", "last_reopened_at", "deleted_at"))
        fresh = {"status": TicketStatus.OPEN, "priority": self.priority, "reopen_count": 0, "updated_at": self.act.at}
        return {**empty, **never, **fresh}
