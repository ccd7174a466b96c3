"""Records through the API: lists, one record, making and changing, with the rules and the audit log of the pages."""

from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Acting
from admin_app.models import Attachment, AuditLog, ChangeSet, Door, Tag, Ticket, TicketTag
from admin_app.queries import trash
from admin_app.queries.changes import Chosen
from admin_app.testing import Browser, Make, Script, Statements
from tests.web.forms import edit, role


def error(answer: Any, status: int) -> dict[str, Any]:
    """The error of an answer, which has to have this status and the form of all errors."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()["error"]
    assert found.keys() >= {"status", "message", "fields", "request_id"}
    assert found["status"] == status
    assert found["request_id"] == answer.headers["x-request-id"]
    return found


# Lists


async def test_a_list_has_its_filters_and_gives_records_as_values(api: Script, make: Make) -> None:
    agent = await make.agent(full_name="Ana Agent")
    ticket = await make.ticket(title="The printer burns", priority="urgent", assignee_id=agent.id)
    tag = await make.tag("printer", ticket)
    await make.ticket(title="Another")
    answer = await api.get("/api/ticket?priority=urgent&tag=printer&q=burns")
    assert answer.status_code == 200
    whole = answer.json()
    assert (whole["next"], whole["count"], whole["count_is_exact"]) == (None, 1, True)
    [item] = whole["items"]
    assert item["id"] == ticket.id
    assert item["version"] == ticket.version
    assert item["title"] == "The printer burns"
    assert item["status"] == "open"
    assert item["assignee"] == {"id": agent.id, "label": "Ana Agent"}
    assert item["tags"] == [{"id": tag.id, "label": "printer"}]
    assert item["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("stauts=open", "stauts"),
        ("status=opened", "status"),
        ("page=2", "page"),
        ("size=7", "size"),
        ("sort=colour", "sort"),
        ("after=1", "after"),
        ("after=x&after=y", "after"),
        ("sort=id&before=x", "before"),
        ("after=x&before=end", "after"),
        ("at=soon", "at"),
        ("q=%00", "q"),
    ],
)
async def test_what_a_list_cannot_be_asked_for_is_named(api: Script, query: str, field: str) -> None:
    assert error(await api.get(f"/api/ticket?{query}"), 400)["fields"].keys() == {field}


@pytest.mark.parametrize(
    "sort", ["", "sort=id&", "sort=-id&", "sort=priority&", "sort=-due_at&", "sort=-status,created_at&"]
)
async def test_following_next_reads_every_row_once(api: Script, make: Make, sort: str) -> None:
    customer = await make.customer()
    wanted = [(await make.ticket(creator_id=customer.id)).id for _ in range(60)]
    await make.ticket()
    url, seen, pages = f"/api/ticket?{sort}size=25&creator={customer.id}", [], 0
    while url:
        whole = (await api.get(url)).json()
        assert whole["count"] == 60
        seen += [item["id"] for item in whole["items"]]
        url, pages = whole["next"], pages + 1
    assert pages == 3
    assert sorted(seen) == wanted


async def test_pages_are_read_backwards_from_the_end_as_well(api: Script, make: Make) -> None:
    customer = await make.customer()
    wanted = [(await make.ticket(creator_id=customer.id)).id for _ in range(60)]
    seen: list[int] = []
    url = f"/api/ticket?sort=id&size=25&creator={customer.id}&before=end"
    while url:
        whole = (await api.get(url)).json()
        seen = [item["id"] for item in whole["items"]] + seen
        url = whole["previous"]
    assert seen == wanted


async def test_the_trash_is_listed_apart_with_who_put_it_there(api: Script, make: Make) -> None:
    ticket = await make.ticket()
    assert api.actor is not None
    async with api.desk.database.transaction(Acting(user_id=api.actor.id), "trash.put") as change:
        await trash.put(change.session, Chosen.of(Ticket, [ticket.id]), api.actor.id, "Spam.")
    assert (await api.get("/api/ticket")).json()["items"] == []
    [item] = (await api.get("/api/ticket?trash=yes")).json()["items"]
    assert (item["deleted_by"]["id"], item["delete_reason"]) == (api.actor.id, "Spam.")
    answer = await api.patch(f"/api/ticket/{ticket.id}", json={"version": item["version"], "title": "Late"})
    assert "Restore it first" in error(answer, 422)["fields"][""]


@pytest.mark.parametrize("rows", [1, 4])
async def test_a_list_takes_few_statements_however_long_it_is(
    api: Script, make: Make, statements: Statements, rows: int
) -> None:
    for number in range(rows):
        ticket = await make.ticket(assignee_id=(await make.agent()).id)
        await make.comment(ticket, await make.agent())
        await make.tag(f"tag {number}", ticket)
    await api.get("/api/ticket")
    for name in api.desk.registry.resources:
        with statements(api.desk.database) as seen:
            assert (await api.get(f"/api/{name}")).status_code == 200
        assert 3 <= len(seen) <= 4, (name, "\n\n".join(seen))


async def test_long_texts_come_whole(api: Script, make: Make) -> None:
    text = "Line.\n" * 5_000
    comment = await make.comment(await make.ticket(description=text), await make.agent(), text)
    assert (await api.get("/api/comment")).json()["items"][0]["content"] == text
    assert (await api.get(f"/api/comment/{comment.id}")).json()["content"] == text


# What one may see


async def test_no_answer_ever_holds_a_secret(api: Script, make: Make) -> None:
    person = await make.agent("developer", password_hash="$argon2id$secret")
    await api.act_as(person)
    await make.save(
        Attachment(
            ticket_id=(await make.ticket()).id,
            storage_key="key-000000001",
            filename="a.txt",
            content_type="text/plain",
            size_bytes=1,
            sha256="0" * 64,
        )
    )
    for name in api.desk.registry.resources:
        answer = await api.get(f"/api/{name}")
        assert answer.status_code == 200
        for item in answer.json()["items"]:
            text = answer.text + (await api.get(f"/api/{name}/{item['id']}")).text
            for word in ("$argon2id", "password_hash", "token_sha256"):
                assert word not in text, name
            assert name == "audit_log" or "key-000000001" not in text, name


async def test_related_records_that_one_may_not_know_have_no_label(api: Script, make: Make) -> None:
    ticket = await make.ticket(title="Not for everybody")
    comment = await make.comment(ticket, await make.agent(full_name="Ana Agent"))
    await api.act_as(await make.agent(await role(make, "comment.view")))
    found = (await api.get(f"/api/comment/{comment.id}")).json()
    assert found["ticket"] == {"id": ticket.id, "label": None}
    assert found["author"]["label"] == "Ana Agent"
    assert "Not for everybody" not in (await api.get("/api/comment")).text


async def test_internal_files_are_hidden_from_those_who_do_not_read_notes(api: Script, make: Make) -> None:
    ticket = await make.ticket()
    facts = {"content_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64, "ticket_id": ticket.id}
    hidden = await make.save(Attachment(filename="hidden.txt", storage_key="key-000000001", **facts))
    await make.save(Attachment(filename="open.txt", storage_key="key-000000002", is_internal=False, **facts))
    await api.act_as(await make.agent(await role(make, "attachment.view", "attachment.edit")))
    whole = (await api.get("/api/attachment")).json()
    assert [item["filename"] for item in whole["items"]] == ["open.txt"]
    assert whole["count"] == 1
    error(await api.get(f"/api/attachment/{hidden.id}"), 404)
    error(await api.patch(f"/api/attachment/{hidden.id}", json={"filename": "seen.txt"}), 404)


# One record


async def test_a_record_comes_with_all_that_its_page_and_its_form_have(api: Script, make: Make) -> None:
    ticket = await make.ticket(description="It burns.")
    answer = await api.get(f"/api/ticket/{ticket.id}")
    found = answer.json()
    resource = api.desk.registry.resources["ticket"]
    assert found.keys() == {"id", "version", *resource.columns, *resource.details, *resource.form}
    assert found["description"] == "It burns."
    assert answer.headers["etag"] == f'"{found["version"]}"'


@pytest.mark.parametrize("key", ["0", "-1", "abc", "1.5", "9223372036854775808", "٣", "%00", "999999999"])
async def test_a_record_that_is_not_there_is_not_found(api: Script, key: str) -> None:
    error(await api.get(f"/api/ticket/{key}"), 404)
    error(await api.patch(f"/api/ticket/{key}", json={"version": 1, "title": "x"}), 404)


async def test_a_record_is_made_once_with_a_key_and_is_audited(api: Script, make: Make) -> None:
    customer, tag = await make.customer(email="carla@example.com"), await make.tag("printer")
    wanted = {
        "title": "New",
        "description": "Text",
        "creator": "carla@example.com",
        "tags": [tag.id],
        "priority": "high",
    }
    sent = {**wanted, "reason": "From the monitor", "reference": "MON-7"}
    first = await api.post("/api/ticket", json=sent, headers={"idempotency-key": "abc-1"})
    assert first.status_code == 201, first.text
    made = first.json()
    assert first.headers["location"] == f"/api/ticket/{made['id']}"
    assert made["creator"]["id"] == customer.id
    assert made["tags"] == [{"id": tag.id, "label": "printer"}]
    assert made["due_at"] is not None
    again = await api.post("/api/ticket", json=sent, headers={"idempotency-key": "abc-1"})
    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    async with api.desk.database.read() as session:
        change = await session.get_one(ChangeSet, made["change_set"])
        entries = (await session.scalars(select(AuditLog).where(AuditLog.change_set_id == change.id))).all()
    assert (change.action, change.door, change.reason, change.reference) == (
        "ticket.create",
        Door.API,
        "From the monitor",
        "MON-7",
    )
    assert change.user_id == (api.actor.id if api.actor else None)
    assert {entry.table_name for entry in entries} == {"tickets", "ticket_tags"}


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, "é"])
async def test_a_key_that_cannot_be_kept_is_refused(api: Script, key: str) -> None:
    answer = await api.post("/api/tag", json={"name": "t"}, headers={b"idempotency-key": key.encode()})
    assert error(answer, 400)["fields"].keys() == {"Idempotency-Key"}


async def test_a_change_needs_the_version_and_changes_only_what_is_sent(api: Script, make: Make) -> None:
    ticket = await make.ticket(title="Before", description="Text")
    url = f"/api/ticket/{ticket.id}"
    assert error(await api.patch(url, json={"title": "After"}), 400)["fields"].keys() == {"version"}
    unusable: list[Any] = ["1", True, 1.5, [1], {}]
    for wrong in unusable:
        assert error(await api.patch(url, json={"title": "x", "version": wrong}), 400)["fields"].keys() == {"version"}
    answer = await api.patch(url, json={"title": "After", "reason": "A typo"}, headers={"if-match": '"1"'})
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert (changed["title"], changed["description"], changed["version"]) == ("After", "Text", 2)
    assert answer.headers["etag"] == '"2"'
    async with api.desk.database.read() as session:
        [entry] = await session.scalars(select(AuditLog).where(AuditLog.change_set_id == changed["change_set"]))
    assert entry.changes == {"old": {"title": "Before"}, "new": {"title": "After"}}
    assert entry.reason == "A typo"


async def test_a_lost_update_is_refused_with_both_values_and_a_repeated_one_is_no_conflict(
    api: Script, client: Browser, make: Make
) -> None:
    ticket, agent = await make.ticket(title="Before"), await make.agent(full_name="Ana")
    url = f"/api/ticket/{ticket.id}"
    await edit(client, f"/admin/ticket/edit/{ticket.id}", title="Theirs", assignee=str(agent.id))
    mine = {"version": 1, "title": "Mine", "assignee": None, "priority": "medium"}
    found = error(await api.patch(url, json=mine), 409)
    assert found["conflict"] == {
        "title": {"present": "Theirs", "yours": "Mine"},
        "assignee": {"present": {"id": agent.id, "label": "Ana"}, "yours": None},
    }
    assert found["version"] > 1
    same = {"version": 1, "title": "Theirs", "priority": "medium"}
    assert (await api.patch(url, json=same)).json()["version"] == found["version"]
    mine["version"] = found["version"]
    assert (await api.patch(url, json=mine)).json()["title"] == "Mine"


async def test_what_a_script_read_it_can_send_back_and_nothing_changes(api: Script, make: Make) -> None:
    ticket = await make.ticket(assignee_id=(await make.agent()).id)
    await make.tag("one", ticket)
    url = f"/api/ticket/{ticket.id}"
    found = (await api.get(url)).json()
    names = api.desk.registry.resources["ticket"].form
    back = {name: found[name] for name in names} | {"version": found["version"]}
    answer = await api.patch(url, json=back)
    assert answer.status_code == 200
    assert answer.json()["version"] == found["version"]
    async with api.desk.database.read() as session:
        made = await session.get_one(ChangeSet, answer.json()["change_set"])
    assert (made.changed, made.unchanged) == (0, 1)


async def test_related_records_are_set_by_id_by_name_and_emptied(api: Script, make: Make) -> None:
    ticket, agent = await make.ticket(), await make.agent(email="ana@example.com")
    one, two = await make.tag("one", ticket), await make.tag("two")
    url = f"/api/ticket/{ticket.id}"
    changed = await api.patch(url, json={"version": 1, "assignee": "ANA@example.com", "tags": ["two", {"id": one.id}]})
    assert changed.json()["assignee"]["id"] == agent.id
    assert {tag["id"] for tag in changed.json()["tags"]} == {one.id, two.id}
    version = changed.json()["version"]
    emptied = await api.patch(url, json={"version": version, "assignee": None, "tags": [], "due_at": None})
    assert (emptied.json()["assignee"], emptied.json()["tags"], emptied.json()["due_at"]) == (None, [], None)
    async with api.desk.database.read() as session:
        assert (await session.scalars(select(TicketTag).where(TicketTag.ticket_id == ticket.id))).all() == []


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("titel", "x", 400),
        ("password_hash", "x", 400),
        ("ticket_number", "x", 400),
        ("version_id", 1, 400),
        ("id", 1, 400),
        ("title", 5, 400),
        ("title", None, 422),
        ("title", "  ", 422),
        ("title", "x" * 501, 422),
        ("title", ["x"], 400),
        ("status", "opened", 422),
        ("status", 1, 400),
        ("assignee", 1.5, 400),
        ("assignee", True, 400),
        ("assignee", 2**63, 400),
        ("assignee", -1, 422),
        ("assignee", 999_999_999, 422),
        ("assignee", {"name": "Ana"}, 400),
        ("creator", None, 422),
        ("tags", "one", 400),
        ("tags", [[1]], 400),
        ("tags", [None], 400),
        ("tags", ["nothing of that name"], 422),
        ("tags", [1] * 1_001, 400),
        ("due_at", "noon", 422),
        ("due_at", 1_700_000_000, 400),
        ("due_at", "9999-12-31T23:59:59Z", 422),
        ("description", "x" * 100_001, 422),
    ],
)
async def test_a_value_that_cannot_be_used_is_refused_and_named(
    api: Script, make: Make, field: str, value: Any, status: int
) -> None:
    ticket = await make.ticket()
    found = error(await api.patch(f"/api/ticket/{ticket.id}", json={"version": 1, field: value}), status)
    assert found["fields"].keys() == {field}
    assert (await api.get(f"/api/ticket/{ticket.id}")).json()["version"] == 1


async def test_the_rules_of_the_pages_hold(api: Script, make: Make) -> None:
    ticket = await make.ticket()
    person = await make.agent(await role(make, "ticket.view", "ticket.edit", "user.view"))
    await api.act_as(person)
    me = (await api.get(f"/api/user/{person.id}")).json()
    assert error(await api.patch(f"/api/user/{person.id}", json={"version": me["version"]}), 403)
    closing = await api.patch(f"/api/ticket/{ticket.id}", json={"version": 1, "status": "closed"})
    assert "ticket.close" in error(closing, 422)["fields"]["status"]
    await api.act_as(await make.lead())
    roles = await api.patch(f"/api/user/{person.id}", json={"version": me["version"], "roles": ["developer"]})
    assert error(roles, 400)["fields"].keys() == {"roles"}
    bad = await api.post("/api/tag", json={"name": "t", "color": "red"})
    assert "#1f6feb" in error(bad, 422)["fields"]["color"]
    await make.save(Tag(name="Taken"))
    assert "already a tag" in error(await api.post("/api/tag", json={"name": "taken"}), 409)["message"]


async def test_a_note_is_written_and_answers_need_their_permission(api: Script, make: Make) -> None:
    ticket = await make.ticket()
    note = await api.post("/api/comment", json={"ticket": ticket.id, "content": "Look here."})
    assert note.status_code == 201
    assert note.json()["is_internal"] is True
    await api.act_as(await make.agent(await role(make, "comment.create", "ticket.view")))
    refused = await api.post("/api/comment", json={"ticket": ticket.id, "content": "Hi", "is_internal": False})
    assert error(refused, 400)["fields"].keys() == {"is_internal"}
    unseen = await api.post("/api/comment", json={"ticket": ticket.id, "content": "Hi"})
    assert unseen.status_code == 201
    assert unseen.json().keys() == {"id", "change_set"}


async def test_records_that_one_may_not_know_are_found_by_id_only(api: Script, make: Make) -> None:
    ticket = await make.ticket(title="Not for everybody")
    await api.act_as(await make.agent(await role(make, "comment.create")))
    for text in (ticket.ticket_number, "Not for", "SUP-"):
        refused = error(await api.post("/api/comment", json={"ticket": text, "content": "Hi"}), 400)
        assert refused["fields"] == {"ticket": "takes ids only, because you may not look these records up."}
    assert (await api.post("/api/comment", json={"ticket": ticket.id, "content": "Hi"})).status_code == 201
