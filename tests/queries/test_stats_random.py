"""Statistics of random desks, by SQL and by a plain reading of the definitions: they agree."""

import random
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from admin_app.db import Database
from admin_app.models import TicketPriority, TicketSource, TicketStatus
from admin_app.queries.figures import Period
from admin_app.queries.stats import ticket_statistics
from admin_app.testing import Make
from tests.queries.telling import OPEN, Move, Told, at, tell


def random_story(dice: random.Random, agents: Sequence[int]) -> Told:
    """A ticket of early 2026 with a random history, now and then in the trash or imported."""
    now = created_at = at("01-01 00:00:00") + timedelta(seconds=dice.randrange(90 * 86400))
    status, moves = OPEN, []
    for _ in range(dice.randrange(6)):
        following = [known for known in TicketStatus if known != status]
        status, now = dice.choice(following), now + timedelta(seconds=dice.randrange(1, 10 * 86400))
        moves.append(Move(status, now, dice.choice([*agents, None])))
    facts: dict[str, Any] = {
        "assignee_id": dice.choice([*agents, None]),
        "priority": dice.choice(list(TicketPriority)),
        "source": dice.choice([TicketSource.WEB, TicketSource.WEB, TicketSource.IMPORT]),
        "deleted_at": dice.choice([None, None, None, now]),
        "first_response_at": dice.choice([None, created_at + timedelta(seconds=dice.randrange(20 * 86400))]),
    }
    return Told(created_at, moves, facts)


def percentile(values: Sequence[float], share: float) -> float | None:
    """By linear interpolation between the two nearest."""
    if not values:
        return None
    ordered, place = sorted(values), share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(durations: Iterable[timedelta]) -> Any:
    """What a Spread of these durations must be, but for the last digits."""
    values = [duration.total_seconds() for duration in durations]
    mean = sum(values) / len(values) if values else None
    expected = (len(values), percentile(values, 0.5), percentile(values, 0.9), mean)
    return tuple(value if value is None else pytest.approx(value) for value in expected)


def read_plainly(stories: Iterable[Told], period: Period, imports: bool) -> dict[str, Any]:
    """The figures by their definitions, one ticket after the other."""
    live = [story for story in stories if story.facts["deleted_at"] is None]
    counted = [story for story in live if imports or story.facts["source"] != TicketSource.IMPORT]

    def day(moment: datetime) -> date:
        return moment.astimezone(period.zone).date()

    def within(moment: datetime | None) -> bool:
        return moment is not None and period.start <= day(moment) < period.end

    entered = [(story, move) for story in counted for move in story.entries if within(move.at)]
    rows = [(story, story.row) for story in counted]
    return {
        "by_status": {known: sum(story.row["status"] == known for story in live) for known in TicketStatus},
        "days": [
            (
                sum(day(story.created_at) == known for story in counted),
                len({id(story) for story, move in entered if day(move.at) == known}),
            )
            for known in period.days
        ],
        "resolved": len({id(story) for story, _ in entered}),
        "reopened": sum(any(within(move.at) for move in story.exits) for story in counted),
        "by_actor": {
            actor: (
                len({id(story) for story, move in entered if move.by == actor}),
                len(
                    {
                        id(story)
                        for story, move in entered
                        if move.by == actor and any(way_out.at > move.at for way_out in story.exits)
                    }
                ),
            )
            for actor in {move.by for _, move in entered}
        },
        "first_response": spread(
            row["first_response_at"] - row["created_at"] for _, row in rows if within(row["first_response_at"])
        ),
        "first_resolution": spread(
            row["first_resolved_at"] - row["created_at"] for _, row in rows if within(row["first_resolved_at"])
        ),
        "full_resolution": spread(
            row["resolved_at"] - row["created_at"] for _, row in rows if within(row["resolved_at"])
        ),
        "left_out": sum(within(story.created_at) for story in live)
        - sum(within(story.created_at) for story in counted),
    }


@pytest.mark.parametrize("imports", [False, True])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles", "Australia/Lord_Howe", "Asia/Kathmandu"])
async def test_sql_agrees_with_plain_python_on_random_desks(
    database: Database, make: Make, zone: str, imports: bool
) -> None:
    dice = random.Random(f"{zone} {imports}")  # noqa: S311  tests need repeatable dice
    agents = [(await make.agent()).id for _ in range(3)]
    stories = [random_story(dice, agents) for _ in range(250)]
    await tell(database, await make.customer(), stories)
    period = Period(date(2026, 2, 20), date(2026, 4, 10), ZoneInfo(zone))
    expected = read_plainly(stories, period, imports)
    async with database.read(snapshot=True) as session:
        found = await ticket_statistics(session, period, imports=imports)
    assert found.by_status == expected["by_status"]
    assert [(day.created, day.resolved) for day in found.days] == expected["days"]
    assert (found.resolved, found.reopened) == (expected["resolved"], expected["reopened"])
    assert {row.user_id: (row.resolved, row.reopened) for row in found.people if row.resolved} == expected["by_actor"]
    for name in ("first_response", "first_resolution", "full_resolution"):
        assert tuple(vars(getattr(found, name)).values()) == expected[name], name
    assert found.left_out.created == expected["left_out"]
