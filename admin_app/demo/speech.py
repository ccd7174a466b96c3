"""How the people of the made-up desk put things: fragments of a case joined into what one person writes to another."""

from dataclasses import dataclass
from datetime import datetime
from random import Random

from admin_app.demo.people import Person
from admin_app.demo.words import Case, Topic, words
from admin_app.models import TicketPriority, TicketSource


@dataclass(frozen=True)
class Speech:
    """Whoever writes in one ticket: the facts that may be mentioned, and the case that it is about."""

    random: Random
    topic: Topic
    case: Case
    facts: dict[str, str]
    requester: Person

    def title(self, priority: TicketPriority, source: TicketSource) -> str:
        """What stands in the subject."""
        title = self._fill(self.random.choice(self.case.titles))
        if self.requester.hasty:
            title = title.lower()
        if priority is TicketPriority.URGENT and not title.isupper() and self.random.random() < 0.2:
            title = f"URGENT: {title}"
        elif source is TicketSource.EMAIL and self.random.random() < 0.05:
            title = f"{self.random.choice(('Fwd', 'Re', 'AW'))}: {title}"
        return title

    def description(self, at: datetime, priority: TicketPriority, source: TicketSource) -> str:
        """What the requester asks, in the first message or on the telephone."""
        details = self.random.sample(self.case.details, self.random.choice((1, 1, 1, 2)))
        if self.random.random() < 0.3:
            details.append(self._pick(self.topic.context))
        body = self._joined(self.random.choice(self.case.opens), *details)
        if source is TicketSource.PHONE:
            return f"{self._fill(self._pick('phone_notes'))}\n\n“{body}”"
        if source is TicketSource.API:
            return body
        parts = [self._greeting(at), body, self._closing(priority)]
        if source is TicketSource.EMAIL or self.random.random() < 0.3:
            parts.append(self._fill(self._pick("signatures")))
        text = "\n\n".join(part for part in parts if part)
        return text.lower() if self.requester.hasty else text

    def answer(self, agent: Person, lead: str, body: str, end: str = "") -> str:
        """What staff write to the customer; `lead` and `end` name phrases, or nothing."""
        said = self._joined(self._pick(lead), body, self._pick(end))
        sign_offs = words().phrases["sign_offs"]
        sign_off = sign_offs[sum(map(ord, agent.name)) % len(sign_offs)]
        return f"Hi {self.requester.first},\n\n{said}\n\n{self._fill(sign_off, agent)}"

    def reply(self, agent: Person, body: str, lead: str = "", end: str = "") -> str:
        """What the customer answers; `lead` and `end` name phrases, or nothing."""
        first, last = self._fill(self._pick(lead), agent), self._fill(self._pick(end), agent)
        glue = "\n\n" if first.endswith((",", ":")) else " "
        text = glue.join(part for part in (first, self._fill(body, agent)) if part)
        text = f"{text}\n\n{last}" if last else text
        return text.lower() if self.requester.hasty else text

    def note(self, agent: Person, body: str) -> str:
        """What staff write for each other."""
        return self._fill(body, agent)

    def phrase(self, kind: str, place: int | None = None) -> str:
        """A phrase of a kind, by its place or any; an answer stands at the place of its question."""
        return self._pick(kind) if place is None else words().phrases[kind][place]

    def _greeting(self, at: datetime) -> str:
        if self.random.random() < 0.3:
            return ""
        return self._pick(
            "greetings" if at.hour < 12 else "afternoon_greetings" if at.hour < 18 else "evening_greetings"
        )

    def _closing(self, priority: TicketPriority) -> str:
        if priority is TicketPriority.URGENT and self.random.random() < 0.6:
            return self._pick("urgent_closings")
        return self._pick("closings") if self.random.random() < 0.6 else ""

    def _pick(self, phrases: str) -> str:
        return self.random.choice(words().phrases[phrases]) if phrases else ""

    def _joined(self, *sentences: str) -> str:
        return " ".join(self._fill(sentence) for sentence in sentences if sentence)

    def _fill(self, text: str, agent: Person | None = None) -> str:
        """The text with the facts in their places, and a capital letter in front."""
        filled = text.format_map({**self.facts, "agent": agent.first if agent else "support"})
        return filled[:1].upper() + filled[1:]
