"""Imagines the whole made-up desk: its people, and the stories of two thousand tickets over a year."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from admin_app.demo.beginning import begin
from admin_app.demo.hours import arrivals
from admin_app.demo.people import Person, customers, staff
from admin_app.demo.rota import Rota, absences
from admin_app.demo.scenes import Outage, advertisement, duplicate, restored, withdrawn
from admin_app.demo.speech import Speech
from admin_app.demo.story import Story
from admin_app.demo.teller import Teller
from admin_app.demo.words import Topic, words

TICKETS = 2_000
OUTAGE_TICKETS = 46
ADVERTISEMENTS = 14
DUPLICATES = 12
WITHDRAWN = 6
"""How many of the usual tickets end in the trash because the customer asks for it."""


@dataclass(frozen=True)
class Desk:
    """All that is made up: staff, customers, and stories in the order in which they began.

    `tag_ids` are known by their names once the tags are stored.
    """

    now: datetime
    staff: list[Person]
    customers: list[Person]
    stories: list[Story]
    tag_ids: dict[str, int] = field(default_factory=dict)


def imagine(now: datetime, seed: int) -> Desk:
    """The desk as it stands at `now`; the same for the same `now` and `seed`, and nothing in it is later than `now`."""
    random = Random(seed)  # noqa: S311  not a secret: the same desk has to come out every time
    people = staff(random, now)
    asking = customers(random, now, {person.email for person in people})
    agents = [person for person in people if person.topics]
    rota = Rota(agents, absences(random, agents, now))
    imagination = _Imagination(random, now, rota, asking)
    stories = sorted(imagination.stories(), key=lambda story: story.act.at)
    for story in reversed(stories):
        first_visit = story.act.at - timedelta(minutes=random.uniform(2, 50))
        story.requester.created_at = min(story.requester.created_at, first_visit)
    return Desk(now, people, asking, stories)


class _Imagination:
    """Makes the stories, one after another."""

    def __init__(self, random: Random, now: datetime, rota: Rota, customers: list[Person]) -> None:
        self.random = random
        self.now = now
        self.rota = rota
        self.customers = customers
        self.eagerness = [self._eagerness(person) for person in customers]

    def stories(self) -> list[Story]:
        """Every story, in no particular order."""
        count = TICKETS - OUTAGE_TICKETS - ADVERTISEMENTS - DUPLICATES
        usual = [self._usual(at) for at in arrivals(self.random, self.now, count)]
        settled = [story for story in usual if story.state["closed_at"]]
        for story in self.random.sample(settled, WITHDRAWN):
            withdrawn(self.random, story, self.rota.leads, self.now)
        return usual + self._outage() + self._advertisements() + self._duplicates(settled)

    def _usual(self, at: datetime) -> Story:
        requester = self._requester()
        topic = self._topic(at)
        speech, story = self._begin(requester, topic, at)
        Teller(self.random, self.rota, topic, speech, story, self.now).tell()
        return story

    def _outage(self) -> list[Story]:
        outage = Outage(self.random, self.rota, self.now)
        found = []
        for at in outage.reports(OUTAGE_TICKETS):
            speech, story = self._begin(self._requester(), words().topics["outage"], at)
            outage.tell(speech, story)
            found.append(story)
        return found

    def _advertisements(self) -> list[Story]:
        strangers = [person for person in self.customers if person.shop is None]
        found = []
        for at in arrivals(self.random, self.now, ADVERTISEMENTS):
            _, story = self._begin(self.random.choice(strangers), words().topics["spam"], at)
            advertisement(self.random, self.rota, story, self.now)
            found.append(story)
        return found

    def _duplicates(self, settled: list[Story]) -> list[Story]:
        written = [story for story in settled if story.created_by is story.requester]
        originals = self.random.sample(written, DUPLICATES)
        copies = [duplicate(self.random, self.rota, original, self.now) for original in originals]
        for copy in copies[:2]:
            restored(self.random, copy, self.rota.leads[1], self.now)
        return copies

    def _begin(self, requester: Person, topic: Topic, at: datetime) -> tuple[Speech, Story]:
        kind = requester.shop.kind if requester.shop else ""
        cases = [case for case in topic.cases if not case.kinds or kind in case.kinds]
        agent = self.rota.somebody(self.random, topic.name, at)
        return begin(self.random, requester, topic, self.random.choice(cases), at, agent)

    def _requester(self) -> Person:
        return self.random.choices(self.customers, self.eagerness)[0]

    def _eagerness(self, person: Person) -> float:
        """How often somebody asks: most seldom, a few all the time."""
        if person.shop is None:
            return 0
        return min(self.random.paretovariate(1.2), 9) * (2 if person.shop.vip else 1)

    def _topic(self, at: datetime) -> Topic:
        """What it is about: parcels before the holidays, closings when a month begins."""
        season = {
            "shipping": 1.8 if (at.month, at.day) >= (11, 20) and (at.month, at.day) <= (12, 24) else 1,
            "reports": 2.5 if at.day <= 4 else 1,
        }
        topics = list(words().topics.values())
        return self.random.choices(topics, [topic.weight * season.get(topic.name, 1) for topic in topics])[0]
