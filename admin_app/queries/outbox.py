"""The outbox: what waits to be sent, and handing it over to whatever sends."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from admin_app.models import Outbox, User


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message to one person; `payload` is what it says, in the form of its kind."""

    id: int
    kind: str
    to: str
    name: str
    change_set_id: int | None
    created_at: datetime
    payload: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """All of it in types that JSON has."""
        return {**asdict(self), "created_at": self.created_at.isoformat()}


def _waiting() -> ColumnElement[bool]:
    return Outbox.sent_at.is_(None) & (Outbox.available_at <= func.now()) & User.is_active


def _messages(limit: int) -> Select[Any]:
    columns = (Outbox.id, Outbox.kind, User.email.label("to"), User.full_name.label("name"), Outbox.change_set_id)
    found = select(*columns, Outbox.created_at, Outbox.payload).join(User, User.id == Outbox.recipient_id)
    return found.where(_waiting()).order_by(Outbox.available_at, Outbox.id).limit(limit)


async def waiting(session: AsyncSession, limit: int = 50) -> list[Message]:
    """The messages that would be sent next; those to people who are no longer active are not."""
    return [Message(**row) for row in (await session.execute(_messages(limit))).mappings()]


async def count(session: AsyncSession) -> int:
    """How many messages wait."""
    counted = select(func.count()).select_from(Outbox).join(User, User.id == Outbox.recipient_id)
    return await session.scalar(counted.where(_waiting())) or 0


async def send(session: AsyncSession, deliver: Callable[[Sequence[Message]], None], limit: int = 500) -> int:
    """Hand the next messages over to `deliver`, mark them as sent, and give back how many they were.

    What somebody else is sending at this moment is left out. When `deliver` raises, nothing is marked; when the machine
    stops between the two, the messages are delivered again, under the same ids.
    """
    locked = _messages(limit).with_for_update(skip_locked=True, of=Outbox)
    messages = [Message(**row) for row in (await session.execute(locked)).mappings()]
    if messages:
        deliver(messages)
        sent = update(Outbox).where(Outbox.id.in_([message.id for message in messages]))
        await session.execute(sent.values(sent_at=func.clock_timestamp(), attempts=Outbox.attempts + 1))
    return len(messages)
