"""What happens besides the usual: an outage that many report at once, duplicates, advertisements, and withdrawals."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from random import Random

from admin_app.demo.facts import day_and_month
from admin_app.demo.hours import awake, working
from admin_app.demo.people import Person
from admin_app.demo.rota import Rota
from admin_app.demo.speech import Speech
from admin_app.demo.story import Act, Said, Story
from admin_app.demo.teller import CLOSED_AFTER
from admin_app.demo.words import words
from admin_app.models import Door, TicketSource, TicketStatus

OUTAGE_DAYS_AGO = 105


class Outage:
    """One morning on which nothing worked: many reports, given to a few agents and resolved in one go by a lead."""

    def __init__(self, random: Random, rota: Rota, now: datetime) -> None:
        long_ago = (now - timedelta(days=OUTAGE_DAYS_AGO)).date()
        day = long_ago - timedelta(days=(long_ago.weekday() - 1) % 7)
        self.random = random
        self.rota = rota
        self.begins = datetime.combine(day, time(10, 17), UTC)
        self.over = datetime.combine(day, time(13, 52), UTC)
        self.name = f"Outage {day_and_month(self.begins)}"
        self.lead = rota.leads[0]
        rounds = [self.begins + timedelta(minutes=minutes) for minutes in (31, 74, 138, 209)]
        self.rounds = [
            (Act(at, self.lead, "assign.assign", reason=self.name), rota.somebody(random, "outage", at))
            for at in rounds
        ]
        self.end = Act(self.over + timedelta(minutes=11), self.lead, "ticket.resolve", reason=self.name)

    def reports(self, count: int) -> list[datetime]:
        """When people notice: most at once, the others when they open or come back from lunch."""
        minutes = [self.random.expovariate(1 / 40) % 200 for _ in range(count)]
        return sorted(self.begins + timedelta(minutes=1 + minute) for minute in minutes)

    def tell(self, speech: Speech, story: Story) -> None:
        """From the report to the word that all is well again; the tag comes with the assignment."""
        speech.facts["back"] = f"{self.over:%H:%M}"
        given, agent = next((act, agent) for act, agent in self.rounds if act.at > story.act.at)
        story.step(given, assignee_id=agent)
        story.tags["outage"] = given
        answered = Act(given.at + timedelta(minutes=self.random.uniform(1, 9)), agent, "comment.create")
        story.said.append(Said(answered, agent, speech.answer(agent, "", speech.case.ask), internal=False))
        story.step(answered, status=TicketStatus.IN_PROGRESS)
        if self.random.random() < 0.2:
            heard = Act(
                answered.at + timedelta(minutes=self.random.uniform(1, 4)), story.requester, "comment.create", Door.API
            )
            story.said.append(Said(heard, story.requester, speech.reply(agent, speech.case.reply), internal=False))
        solved = speech.answer(self.lead, "", self.random.choice(speech.case.solves))
        story.said.append(Said(self.end, self.lead, solved, internal=False))
        at = self.end.at
        story.step(
            self.end, status=TicketStatus.RESOLVED, resolved_at=at, first_resolved_at=at, resolved_by_id=self.lead
        )
        self._afterwards(speech, story)

    def _afterwards(self, speech: Speech, story: Story) -> None:
        if self.random.random() < 0.35:
            at = self.end.at + timedelta(minutes=self.random.uniform(5, 150))
            thanks = speech.reply(self.lead, speech.phrase("thanks"))
            said = Act(at, story.requester, "comment.create", Door.API)
            story.said.append(Said(said, story.requester, thanks, internal=False))
        night = self.rota.night(self.end.at + CLOSED_AFTER)
        story.step(night, status=TicketStatus.CLOSED, closed_at=night.at)


def advertisement(random: Random, rota: Rota, story: Story, now: datetime) -> None:
    """Nobody asked for it: the next agent who sees it puts it into the trash."""
    at = working(story.act.at, random.uniform(0.1, 9))
    if at < now:
        agent = rota.somebody(random, "signin", at)
        _into_trash(story, Act(at, agent, "trash.put", reason="Spam"))


def duplicate(random: Random, rota: Rota, original: Story, now: datetime) -> Story:
    """The same message once more, some minutes later; an agent notices and puts it into the trash."""
    phrases = words().phrases
    requester = original.requester
    act = Act(original.act.at + timedelta(minutes=random.uniform(3, 55)), requester, "ticket.create", Door.API)
    title = random.choice(phrases["duplicate_titles"]).format(title=original.title)
    copy = Story(
        act=act,
        title=title.lower() if requester.hasty else title,
        description=f"{random.choice(phrases['duplicate_leads'])}\n\n{original.description}",
        priority=original.priority,
        source=TicketSource.EMAIL,
        requester=requester,
        created_by=requester,
        due_at=original.due_at + (act.at - original.act.at),
        tags=dict.fromkeys(original.tags, act),
    )
    at = working(act.at, random.uniform(0.3, 6))
    if at < now:
        agent = rota.somebody(random, "signin", at)
        _into_trash(copy, Act(at, agent, "trash.put", reason="Duplicate: the same person sent it twice"))
    return copy


def restored(random: Random, copy: Story, agent: Person, now: datetime) -> None:
    """Out of the trash again, since the second message held something that the first did not; then closed."""
    at = working(copy.state["updated_at"], random.uniform(0.2, 2))
    later = working(at, random.uniform(0.5, 8))
    if copy.state["deleted_at"] and later < now:
        back = Act(at, agent, "trash.restore", reason="Has the photos that the first one lacks")
        copy.step(back, deleted_at=None, deleted_by_id=None, delete_reason=None)
        copy.step(Act(at, agent, "assign.assign"), assignee_id=agent)
        done = {"resolved_at": later, "first_resolved_at": later, "resolved_by_id": agent, "closed_at": later}
        copy.step(Act(later, agent, "ticket.close", reason="Photos copied"), status=TicketStatus.CLOSED, **done)


def withdrawn(random: Random, story: Story, leads: Sequence[Person], now: datetime) -> None:
    """The customer asks for the ticket to be removed, long after it was closed."""
    asked = awake(random, story.state["updated_at"] + timedelta(hours=random.uniform(20, 400)))
    at = working(asked, random.uniform(0.3, 4))
    if at < now:
        _into_trash(
            story, Act(at, random.choice(leads), "trash.put", reason="Asked for by the customer: personal data")
        )


def _into_trash(story: Story, act: Act) -> None:
    story.step(act, deleted_at=act.at, deleted_by_id=act.by, delete_reason=act.reason)
