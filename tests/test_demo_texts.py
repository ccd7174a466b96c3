"""The texts of the made-up desk: whatever is picked of them can be said."""

import string
from collections.abc import Iterator
from datetime import UTC, datetime
from math import log2
from random import Random

from admin_app.demo.accounts import PASSWORD_WORDS
from admin_app.demo.desk import imagine
from admin_app.demo.facts import facts_of
from admin_app.demo.words import Topic, words

NOW = datetime(2026, 3, 20, 11, 14, tzinfo=UTC)


def test_passwords_hold_at_least_forty_bits() -> None:
    assert PASSWORD_WORDS * log2(len(set(words().people["password_words"]))) + log2(10_000) > 40


def _fragments() -> Iterator[tuple[str, Topic]]:
    for topic in words().topics.values():
        for case in topic.cases:
            for value in vars(case).values():
                yield from (
                    (part, topic) for part in ([value] if isinstance(value, str) else value) if isinstance(part, str)
                )
        for phrases in words().phrases.values():
            yield from ((phrase, topic) for phrase in phrases)


def test_every_text_mentions_only_facts_that_every_ticket_has() -> None:
    requester, topic = imagine(NOW, 7).customers[0], words().topics["billing"]
    random = Random(1)  # noqa: S311  no secret
    known = facts_of(random, requester, topic, topic.cases[0], NOW).keys() | {"agent", "back"}
    for fragment, about in _fragments():
        fields = {name for _, name, _, _ in string.Formatter().parse(fragment) if name}
        assert fields <= known - ({"back"} if about.name != "outage" else set()), fragment


def test_every_case_has_enough_to_say() -> None:
    kinds = words().people["kinds"].keys()
    for topic in words().topics.values():
        for case in topic.cases:
            assert case.titles
            assert case.opens
            assert len(case.details) >= 2, case.titles
            assert all(0 <= place < len(case.solves) for place in case.direct), case.titles
            assert set(case.kinds) <= kinds, case.titles
    assert sum(len(topic.cases) for topic in words().topics.values()) > 90
