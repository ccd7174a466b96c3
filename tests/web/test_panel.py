"""The filters of a list as a person sees them: controls, chips for what is in force, and conditions in groups."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_app.queries.terms import parse
from admin_app.testing import Browser, Make
from admin_app.web import conditions
from tests.web.forms import opened
from tests.web.test_lists import LIST, RESOURCES, links, rows_of, visible

BUILD = "/admin/ticket/build"
FILTERS = "/admin/ticket/filters"
TICKETS = RESOURCES["ticket"]


def chips(page: str) -> dict[str, str]:
    """What is in force in words, and where one gets without it."""
    found = re.findall(r'<span class="chip">(.*?): <b>(.*?)</b><a href="([^"]*)"', page, flags=re.DOTALL)
    return {f"{unescape(label)}: {unescape(value)}": unquote(unescape(url)) for label, value, url in found}


# ---- What is in force


async def test_each_part_of_a_search_is_taken_away_by_itself(client: Browser, make: Make) -> None:
    agent = await make.agent(full_name="Ana Ruiz")
    await make.tag("vpn", await make.ticket(title="Printer jam", assignee_id=agent.id))
    shown = chips((await client.get(f"{LIST}?status=open&q=printer jam assignee:{agent.id} -tag:vpn is:overdue")).text)
    assert shown == {
        "Search: printer jam": f"{LIST}?q=assignee:{agent.id} -tag:vpn is:overdue&status=open",
        "Assignee: Ana Ruiz": f"{LIST}?q=printer jam -tag:vpn is:overdue&status=open",
        "Tags: not vpn": f"{LIST}?q=printer jam assignee:{agent.id} is:overdue&status=open",
        "Overdue: Yes": f"{LIST}?q=printer jam assignee:{agent.id} -tag:vpn&status=open",
        "Status: Open": f"{LIST}?q=printer jam assignee:{agent.id} -tag:vpn is:overdue",
    }


async def test_groups_of_a_search_are_taken_away_as_a_whole(client: Browser) -> None:
    page = (await client.get(f"{LIST}?q=(status:open assignee:me) OR priority:urgent")).text
    assert f"{BUILD}?q=(status:open assignee:me) OR priority:urgent" in [unquote(url) for url in links(page)]
    shown = chips(page)
    assert shown == {"Search: (status:open assignee:me) OR priority:urgent": LIST}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("status!=open,closed", "Status: not Open, Closed"),
        ("assignee!=none", "Assignee: not Nobody"),
        ("due_at=>2026-01-31", "Due: after 31 Jan 2026"),
        ("due_at=<=today", "Due: until Today"),
        ("due_at!=none", "Due: not None"),
        ("assignee=me", "Assignee: Me"),
    ],
)
async def test_every_operator_is_said_in_words(client: Browser, query: str, says: str) -> None:
    assert chips((await client.get(f"{LIST}?{query}")).text) == {says: LIST}


async def test_a_filter_form_sends_on_all_that_is_in_force(client: Browser, make: Make) -> None:
    agent = await make.agent()
    await make.ticket()
    asked = (
        f"q=printer&status=open&status!=closed&assignee={agent.id}&assignee!=none&tags!=vpn&due_at!=none"
        "&created_at=2026-01-01..2026-02-01&silent_days!=5&columns=title,status&density=compact&sort=status&size=25"
    )
    for url, form in ((FILTERS, r'<form class="filters.*?</form>'), (LIST, r'<form class="toolbar".*?</form>')):
        page = await client.get(f"{url}?{asked}")
        assert page.status_code == 200, visible(page.text)
        sent = re.search(form, page.text, flags=re.DOTALL)
        assert sent
        again = await client.get(LIST, params=[*_sent(sent[0]), ("overdue", "")])
        assert again.status_code == 302
        assert parse_qs(urlsplit(again.headers["location"]).query) == parse_qs(asked), url


def _sent(form: str) -> list[tuple[str, str]]:
    """What a browser without scripts sends of a form as it came."""
    found = []
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, flags=re.DOTALL):
        found += [(name, unescape(value)) for value in re.findall(r'<option value="([^"]*)" selected', options)]
    for tag in re.findall(r"<input[^>]*>", form):
        facts = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if "name" in facts and (facts.get("type") != "checkbox" or " checked" in tag):
            found.append((facts["name"], unescape(facts.get("value", ""))))
    return found


async def test_what_must_not_be_is_shown_opened(client: Browser) -> None:
    page = (await client.get(f"{FILTERS}?tags!=vpn&source=web")).text
    assert page.count('<details class="excluded" open>') == 1
    assert f"{LIST}?tags!=vpn&source=web&due_at!=none" in [url for url in links(page) if "due_at" in url]


# ---- Conditions in groups


@pytest.mark.parametrize(
    ("search", "becomes"),
    [
        ("(status:open assignee:me) OR priority:urgent", None),
        ("status:open,closed -tags:vpn printer jam", None),
        ('created:>2026-01-01 -"paper jam" is:overdue', 'created_at:>2026-01-01 -"paper jam" overdue:yes'),
        ("due_at:none -assignee:none", None),
        ("-is:overdue is:unassigned", "overdue:no assignee:none"),
        ("created_at:2026-01-01..2026-02-01 OR -created_at:today", None),
        ("printer (laser OR ink) -status:open", None),
        ("-(a b) OR ((c OR d) e)", "-(a b) OR ((c OR d) e)"),
        ('tags:"two words" OR tags:none', None),
        ("", None),
    ],
)
def test_every_search_can_be_read_into_rows_and_is_the_same_again(search: str, becomes: str | None) -> None:
    groups = conditions.read(TICKETS, search)
    text = conditions.written(TICKETS, groups)
    assert text == (search if becomes is None else becomes)
    assert conditions.read(TICKETS, text) == groups


LEAVES = st.sampled_from(
    [
        *("status:open", "priority:high,urgent", "assignee:me", "assignee:none", "tags:vpn", "created_at:>=2026-01-01"),
        *("due_at:2026-01-01..2026-02-01", "silent_days:>3", "is:overdue", "printer", '"paper jam"'),
    ]
)
SEARCHES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda text: f"-({text})"),
        st.lists(inner, min_size=2, max_size=3).map(" ".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda texts: f"({' OR '.join(texts)})"),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(SEARCHES)
def test_a_search_of_any_shape_survives_its_rows(search: str) -> None:
    text = conditions.written(TICKETS, conditions.read(TICKETS, search))
    assert conditions.written(TICKETS, conditions.read(TICKETS, text)) == text
    assert str(parse(text)).count(":") == search.count(":")


async def rows(client: Browser, query: str) -> Any:
    """The builder as it comes."""
    page = await client.get(f"{BUILD}?{query}")
    assert page.status_code == 200, visible(page.text)
    return page


async def press(client: Browser, page: Any, do: str, **instead: Any) -> Any:
    """Fill in the form of the builder and press one of its buttons."""
    return await client.get(BUILD, params={**opened(page), **instead, "do": do})


async def test_conditions_are_built_by_buttons_alone(client: Browser, make: Make) -> None:
    await make.ticket(title="Mine", assignee_id=client.actor.id if client.actor else None)
    await make.ticket(title="Urgent", priority="urgent")
    await make.ticket(title="Neither")
    page = await rows(client, "sort=created_at")
    page = await press(client, page, "add-1", **{"field-1-1": "status", "value-1-1": ["open"]})
    page = await press(client, page, "update", **{"field-1-2": "assignee"})
    page = await press(client, page, "group", **{"value-1-2": "me"})
    assert visible(page.text).count("is any of") == 3
    page = await press(client, page, "update", **{"field-2-1": "priority"})
    answer = await press(client, page, "show", **{"value-2-1": ["urgent"]})
    assert answer.status_code == 302
    q = "(status:open assignee:me) OR priority:urgent"
    assert unquote(answer.headers["location"]) == f"{LIST}?q={q}&sort=created_at"
    listed = await client.get(answer.headers["location"])
    assert sorted(row.split()[1] for row in rows_of(listed.text)) == ["Mine", "Urgent"]
    page = await rows(client, f"q={q}")
    assert opened(page)["field-2-1"] == ["priority"]
    page = await press(client, page, "remove-2-1")
    assert "field-2-1" not in opened(page)


async def test_filters_of_a_list_become_conditions_that_can_be_joined(client: Browser) -> None:
    page = await rows(client, "status=open,closed&due_at!=none&overdue=yes&trash=yes&q=printer")
    fields = opened(page)
    assert [fields[f"field-1-{place}"] for place in (1, 2, 3, 4)] == [["status"], ["due_at"], ["overdue"], [""]]
    assert fields["operator-1-2"] == ["filled"]
    answer = await press(client, page, "show", **{"value-1-1": ["open", "closed"]})
    assert unquote(answer.headers["location"]) == (
        f"{LIST}?q=status:open,closed -due_at:none overdue:yes printer&trash=yes"
    )
    page = await rows(client, "source=web&q=status:open OR priority:urgent")
    assert "In force besides: Source: Web" in visible(page.text)
    assert opened(page)["source"] == ["web"]


async def test_a_condition_that_cannot_be_understood_says_why_and_loses_nothing(client: Browser) -> None:
    page = await rows(client, "q=created_at:today")
    answer = await press(client, page, "show", **{"value-1-1": "someday"})
    assert answer.status_code == 422
    assert "“someday” is not a time" in visible(answer.text) or "“someday” is not a day" in visible(answer.text)
    assert opened(answer)["value-1-1"] == ["someday"]
    answer = await press(client, page, "show", **{"field-1-1": "", "operator-1-1": "any", "value-1-1": "(printer"})
    assert answer.status_code == 422
    assert "is not closed" in visible(answer.text)


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=list(RESOURCES))
async def test_every_field_of_every_list_can_be_asked_for_everything(client: Browser, resource: Any) -> None:
    for name, _ in conditions.fields_of(resource):
        for operator in conditions.operators_of(resource, name):
            page = await client.get(
                f"/admin/{resource.name}/build", params={"field-1-1": name, "operator-1-1": operator, "do": "update"}
            )
            assert page.status_code == 200, (name, operator)
            assert f'<option value="{operator}" selected>' in page.text.replace("&gt;", ">").replace("&lt;", "<")
    odd = {"field-1-1": "nothing", "field-999-999": "x", "operator-1-2": "!", "value-1-1": '"', "do": "remove-9-9"}
    assert (await client.get(f"/admin/{resource.name}/build", params=odd)).status_code == 200


async def test_a_period_in_a_condition_is_the_viewer_s(browser: Browser, make: Make) -> None:
    await browser.sign_in(await make.lead(time_zone="Asia/Tokyo"))
    await make.ticket(title="Late", created_at=datetime(2024, 12, 31, 20, tzinfo=UTC), due_at=None)
    form = {"field-1-1": "created_at", "operator-1-1": "any", "value-1-1": "2025-01-01", "do": "show"}
    answer = await browser.get(BUILD, params=form)
    assert len(rows_of((await browser.get(answer.headers["location"])).text)) == 1
