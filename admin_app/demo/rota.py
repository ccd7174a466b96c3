"""Who works when at the made-up desk: holidays, illness, who stands in, and what the desk does by itself at night."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from admin_app.demo.hours import working
from admin_app.demo.people import Person
from admin_app.demo.story import Act
from admin_app.models import Door

ABSENCES = {"Handing over before holiday": 2, "Ill this week": 1}
"""How often each agent is away in a year, by the reason that is given when the tickets go to a colleague."""


@dataclass(frozen=True)
class Absence:
    """An agent is away from `start` until `end`; whatever they have goes to a colleague in one act."""

    agent: Person
    end: datetime
    colleague: Person
    act: Act

    def covers(self, at: datetime) -> bool:
        return self.act.at <= at < self.end


class Rota:
    """Who works when and on what, and what the desk does by itself each night."""

    def __init__(self, agents: Sequence[Person], absences: Sequence[Absence]) -> None:
        self.agents = agents
        self.absences = {agent: [one for one in absences if one.agent is agent] for agent in agents}
        self.leads = [agent for agent in agents if agent.role == "lead"]
        self.nights: dict[datetime, Act] = {}

    def somebody(self, random: Random, topic: str, at: datetime) -> Person:
        """An agent who is there at this time, likely one who knows the topic."""
        there = [agent for agent in self.agents if not self.is_away(agent, at)]
        weights = [(4 if topic in agent.topics else 0.3) * (0.5 if agent in self.leads else 1) for agent in there]
        return random.choices(there, weights)[0]

    def expert(self, random: Random, topic: str, at: datetime) -> Person:
        """An agent who is there and knows the topic; anybody else where there is none."""
        known = [agent for agent in self.agents if topic in agent.topics and not self.is_away(agent, at)]
        return random.choice(known) if known else self.somebody(random, topic, at)

    def is_away(self, agent: Person, at: datetime) -> bool:
        """Whether an agent is on holiday or ill."""
        return any(absence.covers(at) for absence in self.absences[agent])

    def handover(self, agent: Person, after: datetime, until: datetime) -> Absence | None:
        """The first absence of an agent that begins in this time."""
        begun = (absence for absence in self.absences[agent] if after < absence.act.at <= until)
        return min(begun, key=lambda absence: absence.act.at, default=None)

    def night(self, at: datetime) -> Act:
        """The run of the next night that closes what has been resolved for long enough."""
        run = at.replace(hour=3, minute=10, second=0, microsecond=0) + timedelta(days=1)
        if run not in self.nights:
            self.nights[run] = Act(run, None, "ticket.close", Door.JOB, "Resolved a week ago and no answer since")
        return self.nights[run]


def absences(random: Random, agents: list[Person], now: datetime) -> list[Absence]:
    """When agents are away, and who stands in: somebody who is there all that time."""
    engaged: list[tuple[Person, datetime, datetime]] = []
    found: list[Absence] = []
    for agent in agents:
        for reason, times in ABSENCES.items():
            for _ in range(times):
                start = working(now - timedelta(days=random.uniform(8, 360)), random.uniform(0, 9))
                end = start + timedelta(days=random.uniform(3, 5) if "Ill" in reason else random.uniform(7, 16))
                free = [one for one in agents if not _overlaps(engaged, one, start, end)]
                if agent not in free or len(free) < 2:
                    continue
                free.remove(agent)
                colleague = random.choices(free, [1 + 5 * len(set(one.topics) & set(agent.topics)) for one in free])[0]
                engaged += [(agent, start, end), (colleague, start, end)]
                found.append(Absence(agent, end, colleague, Act(start, agent, "assign.assign", reason=reason)))
    return found


def _overlaps(engaged: list[tuple[Person, datetime, datetime]], person: Person, start: datetime, end: datetime) -> bool:
    return any(one is person and begins < end and start < ends for one, begins, ends in engaged)
