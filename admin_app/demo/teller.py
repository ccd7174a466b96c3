"""Tells the story of one ticket, from its first message until it is closed, or until the present comes first."""

from contextlib import suppress
from datetime import datetime, timedelta
from random import Random

from admin_app.demo.hours import awake, is_busy, working
from admin_app.demo.people import Person
from admin_app.demo.rota import Rota
from admin_app.demo.speech import Speech
from admin_app.demo.story import Act, Said, Story
from admin_app.demo.words import Topic
from admin_app.models import Door, TicketPriority, TicketStatus
from admin_app.models.ticket import DONE

FIRST_ANSWER = {
    TicketPriority.URGENT: 0.2,
    TicketPriority.HIGH: 0.7,
    TicketPriority.MEDIUM: 1.6,
    TicketPriority.LOW: 3.2,
}
"""Median working hours until staff answer for the first time."""

CLOSED_AFTER = timedelta(days=7)
"""How long a resolved ticket stays open for an answer."""


class PresentReached(Exception):
    """The story has come to the present; what follows has not happened yet."""


class Teller:
    """Tells one story; `at` is how far it has come, `agent` who has the ticket by then."""

    def __init__(self, random: Random, rota: Rota, topic: Topic, speech: Speech, story: Story, now: datetime) -> None:
        self.random = random
        self.rota = rota
        self.topic = topic
        self.kind = "software_" if topic.software else ""
        self.speech = speech
        self.story = story
        self.now = now
        self.at = story.act.at
        self.agent: Person | None = None
        self.acknowledged = False
        self.asked = False

    def tell(self) -> None:
        """The usual course: somebody takes it, asks, solves; the customer is content, or it comes back."""
        with suppress(PresentReached):
            self._triage()
            self._first_words()
            if self._cleared_up():
                self._solve()
                self._aftermath()
            self._close()

    def _until(self, at: datetime) -> None:
        """Let time pass; an agent who goes on holiday meanwhile hands the ticket over."""
        while self.agent and self.story.state["status"] not in DONE:
            absence = self.rota.handover(self.agent, self.at, min(at, self.now))
            if absence is None:
                break
            self.at = absence.act.at
            self._give(absence.colleague, absence.act)
        if at >= self.now:
            raise PresentReached
        self.at = at

    def _work(self, hours: float, spread: float = 0.9) -> None:
        """Let staff take about so many working hours, sometimes far more."""
        rush = 2.2 if is_busy(self.at.date()) else 1.0
        self._until(working(self.at, rush * hours * self.random.lognormvariate(0, spread)))

    def _wait(self, hours: float, spread: float = 1.0) -> None:
        """Let the customer take about so many hours, and never answer at night."""
        later = self.at + timedelta(hours=hours * self.random.lognormvariate(0, spread))
        self._until(awake(self.random, later))

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    @property
    def assignee(self) -> Person:
        """Who has the ticket."""
        if self.agent is None:
            raise AssertionError("nobody has the ticket yet")
        return self.agent

    def _act(self, name: str, by: Person | None = None, reason: str | None = None) -> Act:
        return Act(self.at, by or self.assignee, name, reason=reason)

    def _give(self, agent: Person, act: Act) -> None:
        self.agent = agent
        self.story.step(act, assignee_id=agent)

    def _say(self, text: str) -> Act:
        """A public answer of whoever has the ticket."""
        act = self._act("comment.create")
        self.story.said.append(Said(act, self.assignee, text, internal=False))
        return act

    def _note(self, text: str, by: Person | None = None) -> None:
        author = by or self.assignee
        note = self.speech.note(self.assignee, text)
        self.story.said.append(Said(self._act("comment.create", author), author, note, internal=True))

    def _status(self, status: TicketStatus, act: Act) -> None:
        if self.story.state["status"] is not status:
            self.story.step(act, status=status)

    def _triage(self) -> None:
        """Somebody takes the ticket, or a lead gives it to somebody; now and then it lies for weeks."""
        if self.story.created_by and self.story.created_by.role:
            self._give(self.story.created_by, self._act("assign.assign", self.story.created_by))
            return
        forgotten = self._chance(0.09)
        self._work(150 if forgotten else 0.2 * FIRST_ANSWER[self.story.priority], 1.1)
        agent = self.rota.somebody(self.random, self.topic.name, self.at)
        by = self.random.choice(self.rota.leads) if self._chance(0.45) else agent
        self._give(agent, self._act("assign.assign", by, "Was lying in the pool" if forgotten else None))

    def _first_words(self) -> None:
        """Remarks, and sometimes a word that somebody is on it; a lead may raise the priority."""
        if self._chance(0.16):
            self._work(0.2)
            self._note(self.speech.phrase("remarks"))
        if self._chance(0.04) and self.story.priority in (TicketPriority.LOW, TicketPriority.MEDIUM):
            self._work(0.5)
            lead = self.random.choice(self.rota.leads)
            self.story.step(self._act("ticket.edit", lead, "Customer called"), priority=TicketPriority.HIGH)
            self._note(self.speech.phrase("lead_notes"), lead)
        self._work(FIRST_ANSWER[self.story.priority])
        if self._chance(0.22):
            act = self._say(self.speech.answer(self.assignee, "", self.speech.phrase("acknowledgements")))
            self._status(TicketStatus.IN_PROGRESS, act)
            self.acknowledged = True
            self._work(self.topic.hours * 0.4)

    def _cleared_up(self) -> bool:
        """Questions and answers, until staff know enough; False where the customer never answers."""
        case = self.speech.case
        if case.direct and self._chance(0.42):
            return True
        self._ask(case.ask, "" if self.acknowledged else "ask_leads")
        if self._chance(0.17):
            return self._silence()
        self._hear(case.reply)
        if self._chance(0.3):
            self._work(0.5)
            self._note(case.note)
        if self._chance(0.09):
            self._pass_on()
        if self.topic.further and self._chance(0.3):
            self._work(self.topic.hours * 0.4)
            place = self.random.randrange(4)
            self._ask(self.speech.phrase("further_asks", place), "")
            self._hear(self.speech.phrase("further_replies", place))
        if self._chance(0.22 if self.topic.software else 0.11):
            self._escalate()
        return True

    def _ask(self, question: str, lead: str) -> None:
        act = self._say(self.speech.answer(self.assignee, lead, question))
        self._status(TicketStatus.WAITING_ON_CUSTOMER, act)

    def _hear(self, text: str) -> None:
        """The customer answers, and it is the desk's turn again."""
        self._wait(34, 1.4)
        self.asked = True
        act = self._heard(self.speech.reply(self.assignee, text, "reply_leads", "reply_ends"))
        self._status(TicketStatus.IN_PROGRESS, act)

    def _heard(self, text: str) -> Act:
        customer = self.story.requester
        act = Act(self.at, customer, "comment.create", Door.API)
        self.story.said.append(Said(act, customer, text, internal=False))
        return act

    def _silence(self) -> bool:
        """The customer does not answer, is reminded, and in the end it is taken as settled."""
        self._work(60, 0.3)
        self._say(self.speech.answer(self.assignee, "", self.speech.phrase("nudges")))
        if self._chance(0.4):
            self._hear(self.speech.case.reply)
            return True
        self._work(45, 0.3)
        self._resolve(self._say(self.speech.answer(self.assignee, "", self.speech.phrase("given_up"))))
        return False

    def _pass_on(self) -> None:
        """To a colleague who knows more about it."""
        colleague = self.rota.expert(self.random, self.topic.name, self.at)
        if colleague is self.assignee:
            return
        self._work(0.5)
        self._note(self.speech.phrase("handovers"))
        self._give(colleague, self._act("assign.assign", reason="Knows this better"))

    def _escalate(self) -> None:
        """It is harder than it looked: others have to help, and the customer asks for news."""
        self._work(1)
        self._note(self.speech.phrase(f"{self.kind}escalations"))
        for place in self.random.sample(range(5), self.random.choice((1, 1, 2, 3, 4))):
            self._work(70, 0.9)
            if self._chance(0.45):
                self._heard(self.speech.reply(self.assignee, self.speech.phrase("impatience", place)))
                self._work(2)
            self._say(self.speech.answer(self.assignee, "", self.speech.phrase(f"{self.kind}updates", place)))
        self._work(70, 1.1)

    def _solve(self) -> None:
        case = self.speech.case
        self._work(self.topic.hours * (2 if self.asked else 0.3), 1.2)
        if self.asked:
            text = self.speech.answer(self.assignee, "solve_leads", self.random.choice(case.solves), "solve_ends")
        else:
            solution = case.solves[self.random.choice(case.direct)]
            text = self.speech.answer(
                self.assignee, "found_leads" if self.acknowledged else "direct_leads", solution, "solve_ends"
            )
        self._resolve(self._say(text))

    def _resolve(self, act: Act) -> None:
        first = self.story.state["first_resolved_at"] or self.at
        self.story.step(
            act,
            status=TicketStatus.RESOLVED,
            resolved_at=self.at,
            first_resolved_at=first,
            resolved_by_id=self.assignee,
        )

    def _aftermath(self) -> None:
        """A word of thanks, or it is not over after all."""
        if self._chance(0.075):
            self._wait(30, 0.5)
            self._come_back()
        if self._chance(0.4):
            self._wait(4)
            self._heard(self.speech.reply(self.assignee, self.speech.phrase("thanks")))

    def _come_back(self) -> None:
        act = self._heard(self.speech.reply(self.assignee, self.speech.case.again, "again_leads"))
        self._reopen(act)
        if self.rota.is_away(self.assignee, self.at):
            self._give(self.rota.somebody(self.random, self.topic.name, self.at), act)
        self._work(1.5)
        answer = self.speech.phrase("again_answers")
        self._status(TicketStatus.IN_PROGRESS, self._say(self.speech.answer(self.assignee, "", answer)))
        self._work(self.topic.hours)
        solution = self.speech.phrase(f"{self.kind}again_solves")
        self._resolve(self._say(self.speech.answer(self.assignee, "", solution, "solve_ends")))

    def _reopen(self, act: Act) -> None:
        """Back to open, with all that belongs to it."""
        self.story.step(
            act,
            status=TicketStatus.OPEN,
            resolved_at=None,
            resolved_by_id=None,
            closed_at=None,
            reopen_count=self.story.state["reopen_count"] + 1,
            last_reopened_at=act.at,
        )

    def _close(self) -> None:
        """By the agent at once, or by the desk when nobody has answered for some days."""
        if self._chance(0.12):
            self._work(0.5)
            act = self._act("ticket.close")
        else:
            act = self.rota.night(max(self.story.state["resolved_at"] + CLOSED_AFTER, self.at))
            self._until(act.at)
        self.story.step(act, status=TicketStatus.CLOSED, closed_at=act.at)
