"""The history and the conversation of a record as markup: everything that somebody wrote is escaped."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from admin_app.models import User
from admin_app.queries.audit import Entry
from admin_app.queries.comments import Said
from admin_app.queries.light import Reference
from admin_app.queries.readable import Excerpt, FieldChange, Value
from admin_app.testing import Browser
from admin_app.web import conversation, timeline
from tests.web.test_table import EVIL, MOMENT, Tags, request_of_a_lead

__all__ = ["request_of_a_lead"]


class Everywhere:
    """Links of somebody who may go everywhere, to addresses that are hostile."""

    def __init__(self, href: str | None = EVIL) -> None:
        self.href = href

    def record(self, entry: Entry) -> str | None:
        return self.href

    def change_set(self, entry: Entry) -> str | None:
        return self.href

    def undo(self, entry: Entry) -> str | None:
        return self.href


TEXTS = ("table", "record_id", "record", "user_name", "actor_kind", "database_user")
OF_CHANGE_SET = ("change_action", "change_state", "door", "reason", "request_id")


def entry(action: str, held: Value, *, fields: int = 1, **facts: Any) -> Entry:
    changes = tuple(FieldChange(EVIL, held, held, "text") for _ in range(fields))
    given: dict[str, Any] = dict.fromkeys((*TEXTS, *OF_CHANGE_SET), EVIL)
    given |= {"id": 1, "at": MOMENT, "action": action, "user_id": 2, "change_set_id": 3, "changes": changes}
    return Entry(**given | facts)


def entries() -> Iterator[Entry]:
    for action in ("CREATE", "UPDATE", "DELETE", EVIL):
        for held in (EVIL, Excerpt(EVIL, 9_000), Excerpt("", 9_000), MOMENT, None):
            yield entry(action, held, fields=5)
    yield entry("DELETE", EVIL, record_id=f"1,{EVIL}", user_name=None)


ELEMENTS = {"ol", "li", "dl", "dt", "dd", "del", "ins", "details", "summary", "p", "strong", "div", "span", "a", "time"}
ATTRIBUTES = {"class", "href", "datetime", "title", "aria-hidden", "id"}


def assert_written(text: str, elements: set[str]) -> Tags:
    """It is made of these elements only, and of no attributes but those that are ours."""
    found = Tags(text)
    assert {name for name, _ in found.elements} <= {*elements, "svg", "use"}
    assert {name for _, given in found.elements for name in given} <= ATTRIBUTES
    return found


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("href", [EVIL, None])
def test_a_timeline_escapes_whatever_stands_in_its_entries(href: str | None, named: bool) -> None:
    for one in entries():
        found = assert_written(timeline.timeline([one], Everywhere(href), named=named), ELEMENTS)
        assert found.said.count(EVIL) >= 4, one
        assert {given["href"] for name, given in found.elements if name == "a"} == ({href} if href else set())


def test_many_values_of_a_new_record_are_folded_and_changes_are_not() -> None:
    for action, count, folded in (("CREATE", 4, 0), ("CREATE", 5, 1), ("DELETE", 5, 1), ("UPDATE", 5, 0)):
        made = timeline.timeline([entry(action, "x", fields=count)], Everywhere())
        assert made.count("<details>") == folded, (action, count)
        assert made.count("<dt>") == count


def test_a_change_says_what_was_empty() -> None:
    assert Tags(timeline.change("Title", None, "new")).said == "Titleemptyis now new"
    assert Tags(timeline.change("Title", "old", "")).said == "Titlewas oldempty"
    assert Tags(timeline.value(Excerpt("begins", 1_234))).said == "begins (1,234 characters)"


async def test_a_thread_escapes_what_was_said_and_who_said_it(request_of_a_lead: Request, client: Browser) -> None:
    said = [
        Said(1, f"  {EVIL}\n", is_internal=True, created_at=MOMENT, version=2, author=Reference(User, 7, EVIL)),
        Said(2, EVIL, is_internal=False, created_at=MOMENT, version=1, author=Reference(User, 8, "Ana")),
    ]
    made = conversation.thread(request_of_a_lead, said)
    found = assert_written(made, {"article", "header", "div", "span", "a", "time"})
    assert found.said.count(EVIL) == 3
    assert f"  {EVIL}\n" in found.said
    assert (made.count("edited"), made.count("Internal note")) == (1, 1)
    assert [given["href"] for name, given in found.elements if name == "a"] == [
        "/admin/user/details/7",
        "/admin/comment/details/1",
        "/admin/user/details/8",
        "/admin/comment/details/2",
    ]
