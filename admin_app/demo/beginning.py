"""How a made-up ticket begins: who asks, about what, by which way and how urgently."""

from datetime import datetime, timedelta
from random import Random

from admin_app.demo.facts import facts_of
from admin_app.demo.hours import is_open
from admin_app.demo.people import Person
from admin_app.demo.speech import Speech
from admin_app.demo.story import Act, Story
from admin_app.demo.words import Case, Topic
from admin_app.models import Door, TicketPriority, TicketSource

DUE_DAYS = {TicketPriority.URGENT: 1, TicketPriority.HIGH: 2, TicketPriority.MEDIUM: 7, TicketPriority.LOW: 14}
"""Days until a ticket is due, by its priority."""

SOURCES = {TicketSource.EMAIL: 46, TicketSource.WEB: 34, TicketSource.PHONE: 20}
TAGGED = 0.95
"""The share of tickets that come in with the tag of their topic."""


def begin(
    random: Random, requester: Person, topic: Topic, case: Case, at: datetime, agent: Person
) -> tuple[Speech, Story]:
    """The first message, and the voice in which the story goes on; `agent` is who takes the telephone."""
    speech = Speech(random, topic, case, facts_of(random, requester, topic, case, at), requester)
    priority = _priority(random, requester, topic)
    source = _source(random, topic, at)
    author = {TicketSource.PHONE: agent, TicketSource.API: None}.get(source, requester)
    act = Act(at, author, "ticket.create", Door.WEB if author is agent else Door.API)
    story = Story(
        act=act,
        title=speech.title(priority, source),
        description=speech.description(at, priority, source),
        priority=priority,
        source=source,
        requester=requester,
        created_by=author,
        due_at=at + timedelta(days=DUE_DAYS[priority]),
    )
    if random.random() < TAGGED:
        story.tags.update(dict.fromkeys(topic.tags, act))
    if requester.shop and requester.shop.vip:
        story.tags["VIP"] = act
    return speech, story


def _priority(random: Random, requester: Person, topic: Topic) -> TicketPriority:
    name = random.choices(list(topic.priorities), list(topic.priorities.values()))[0]
    important = bool(requester.shop and requester.shop.vip)
    return TicketPriority.MEDIUM if important and name == TicketPriority.LOW else TicketPriority(name)


def _source(random: Random, topic: Topic, at: datetime) -> TicketSource:
    """Nobody takes the telephone while the desk is closed."""
    if topic.name == "api" and random.random() < 0.3:
        return TicketSource.API
    source = random.choices(list(SOURCES), list(SOURCES.values()))[0]
    return TicketSource.WEB if source is TicketSource.PHONE and not is_open(at) else source
