"""What pickers offer: who may ask, what is found, and in which order."""

from datetime import UTC, datetime

import pytest

from admin_app.testing import Browser, Make
from tests.web.forms import role

ASSIGNEE = "/admin/ticket/lookup/assignee"
AGENT = "/admin/ticket/lookup/assign.assign:agent"


async def offered(browser: Browser, url: str, **query: str) -> list[str]:
    """The labels that a picker offers."""
    answer = await browser.get(url, params=query)
    assert answer.status_code == 200, answer.text
    return [result["label"] for result in answer.json()["results"]]


async def test_a_result_has_an_id_a_label_and_what_tells_namesakes_apart(client: Browser, make: Make) -> None:
    ana = await make.agent(full_name="Ana Ruiz", email="ana@example.com")
    answer = await client.get(ASSIGNEE, params={"q": "ana r"})
    assert answer.json() == {"results": [{"id": ana.id, "label": "Ana Ruiz", "detail": "ana@example.com"}]}


async def test_tickets_are_assigned_to_active_staff_only(client: Browser, make: Make) -> None:
    await make.agent(full_name="Ana Active")
    await make.agent(full_name="Ina Inactive", is_active=False)
    await make.customer(full_name="Cleo Customer")
    for url in (ASSIGNEE, AGENT):
        assert await offered(client, url) == ["Ana Active", "Lena Lead"]
        assert await offered(client, url, q="in") == []
    assert "Cleo Customer" in await offered(client, "/admin/ticket/lookup/creator")


async def test_a_filter_offers_also_who_is_gone_me_and_nobody(client: Browser, make: Make) -> None:
    await make.agent(full_name="Ina Inactive", is_active=False, email="ina@example.com")
    answer = await client.get(ASSIGNEE, params={"every": "yes"})
    assert [result["id"] for result in answer.json()["results"]][:2] == ["me", "none"]
    assert [result["label"] for result in answer.json()["results"]] == ["Me", "Nobody", "Lena Lead", "Ina Inactive"]
    assert answer.json()["results"][-1]["detail"] == "ina@example.com (inactive)"
    assert await offered(client, ASSIGNEE, every="yes", q="ina") == ["Ina Inactive"]
    assert await offered(client, "/admin/ticket/lookup/creator", every="yes", q="") == [
        "Me",
        "Lena Lead",
        "Ina Inactive",
    ]
    assert await offered(client, "/admin/ticket/lookup/tags", every="yes") == ["None"]


async def test_a_filter_by_assignee_offers_agents_before_customers(client: Browser, make: Make) -> None:
    for number in range(25):
        await make.customer(full_name=f"Anna {number:02}")
    await make.agent(full_name="Zoe Anna")
    assert (await offered(client, ASSIGNEE, every="yes"))[:4] == ["Me", "Nobody", "Lena Lead", "Zoe Anna"]
    assert (await offered(client, ASSIGNEE, every="yes", q="anna"))[:2] == ["Zoe Anna", "Anna 00"]


async def test_what_begins_with_the_text_comes_first(client: Browser, make: Make) -> None:
    for name in ("Susanna Berg", "Anna Zorn", "Joanna Adams", "Annabel Young"):
        await make.agent(full_name=name)
    await make.agent(full_name="Anna", email="short@example.com")
    found = await offered(client, ASSIGNEE, q="ANNA")
    assert found == ["Anna", "Anna Zorn", "Annabel Young", "Joanna Adams", "Susanna Berg"]


async def test_signs_of_patterns_are_taken_literally(client: Browser, make: Make) -> None:
    await make.tag("100%")
    await make.tag("100")
    await make.tag("a_b")
    await make.tag("axb")
    tags = "/admin/ticket/lookup/tags"
    assert await offered(client, tags, q="%") == ["100%"]
    assert await offered(client, tags, q="a_") == ["a_b"]
    assert await offered(client, tags, q="\\") == []
    assert (await client.get(tags, params={"q": "\x00"})).status_code == 400
    assert (await client.get(tags, params={"q": "x" * 201})).status_code == 400


async def test_inactive_tags_cannot_be_picked_but_filtered_by(client: Browser, make: Make) -> None:
    await make.tag("old", is_active=False)
    await make.tag("new")
    assert await offered(client, "/admin/ticket/lookup/tags") == ["new"]
    assert await offered(client, "/admin/ticket/lookup/tags", every="yes") == ["None", "new", "old"]


async def test_twenty_are_offered_and_an_id_finds_its_record(client: Browser, make: Make) -> None:
    tags = [await make.tag(f"tag {number:02}") for number in range(25)]
    assert len(await offered(client, "/admin/ticket/lookup/tags")) == 20
    assert await offered(client, "/admin/ticket/lookup/tags", q=str(tags[3].id)) == sorted(
        tag.name for tag in tags if str(tags[3].id) in tag.name or tag.id == tags[3].id
    )


async def test_the_trash_is_not_offered(client: Browser, make: Make) -> None:
    ticket = await make.ticket(title="findable")
    await make.ticket(title="findable too", deleted_at=datetime.now(UTC))
    assert await offered(client, "/admin/comment/lookup/ticket", q="findable") == [ticket.label]


@pytest.mark.parametrize(
    "url",
    [
        "/admin/ticket/lookup/nothing",
        "/admin/ticket/lookup/title",
        "/admin/ticket/lookup/comments",
        "/admin/ticket/lookup/deleted_by",
        "/admin/ticket/lookup/assign.assign:nothing",
        "/admin/ticket/lookup/assign.nothing:agent",
        "/admin/user/lookup/assign.assign:agent",
        "/admin/nothing/lookup/assignee",
    ],
)
async def test_other_fields_are_not_found(client: Browser, url: str) -> None:
    assert (await client.get(url)).status_code == 404


async def test_a_picker_is_for_those_who_may_fill_in_its_field(browser: Browser, make: Make) -> None:
    await make.agent(full_name="Ana Ruiz", email="ana@example.com")
    assert (await browser.get(ASSIGNEE)).status_code in {303, 401}
    looker = await browser.sign_in(await make.agent(await role(make, "ticket.view"), full_name="Lou Looker"))
    assert (await looker.get(ASSIGNEE)).status_code == 403
    assert (await looker.get(AGENT)).status_code == 403
    assert (await looker.get("/admin/user/lookup/roles")).status_code == 403
    answer = await looker.get(ASSIGNEE, params={"every": "yes", "q": "ana"})
    assert answer.json() == {"results": [{"id": answer.json()["results"][0]["id"], "label": "Ana Ruiz", "detail": ""}]}
    assigner = await browser.sign_in(await make.agent(await role(make, "ticket.view", "assign.assign")))
    assert (await assigner.get(AGENT)).status_code == 200
    editor = await browser.sign_in(await make.agent(await role(make, "ticket.edit")))
    assert (await editor.get(ASSIGNEE)).status_code == 200
    nobody = await browser.sign_in(await make.agent(await role(make, "tag.view")))
    assert (await nobody.get(ASSIGNEE, params={"every": "yes"})).status_code == 403


async def test_records_that_one_may_not_see_are_not_offered(browser: Browser, make: Make) -> None:
    await make.ticket(title="Salary of the boss")
    writer = await browser.sign_in(await make.agent(await role(make, "comment.create", "comment.view")))
    assert (await writer.get("/admin/comment/lookup/ticket", params={"q": "salary"})).status_code == 403
