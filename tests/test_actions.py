"""Performing an action: what is refused beforehand, what is undone, and the same entries through every door."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from sqlalchemy import URL, func, insert, select

from admin_app import resources
from admin_app.actions import Operator, Order, Performed, perform, sentence
from admin_app.cli import main
from admin_app.db import Acting, Database
from admin_app.errors import BackdeskError, BadInput, Conflict, Forbidden
from admin_app.models import AuditLog, ChangeSet, Comment, Door, Tag, Ticket
from admin_app.plugin import Action, Chosen, Outcome, Plugin
from admin_app.queries import tickets
from admin_app.registry import Registry, load
from admin_app.settings import Limits, Settings
from admin_app.testing import Make, Statements

plugin = Plugin("probe")


@plugin.action(Tag, label="Paint", reason="required")
async def paint(session: Any, chosen: Chosen[Tag], acting: Acting, color: str, times: int = 1) -> Outcome:
    """Paint tags, as a test says."""
    await session.execute(insert(Tag).values(name=f"by {acting.user_id}", color=color))
    if times == 13:
        raise RuntimeError("a bug in a plugin")
    if times == 14:
        raise BadInput(fields={"times": "is one too many."})
    return Outcome(changed=times, unchanged=chosen.requested - times - 2, skipped={"dry": 1}, failed=1)


@plugin.action(Tag, label="Paint later")
async def later(session: Any, chosen: Chosen[Tag], color: str) -> Outcome:
    """Make a tag that is written only when somebody flushes."""
    session.add(Tag(name="later", color=color))
    return Outcome(changed=chosen.requested)


Registry((resources.plugin, plugin))
PAINT, LATER = plugin.actions
WHY = Acting(user_id=None, door=Door.WEB, reason="Because.")


@dataclass
class Somebody:
    """Whoever has exactly these permissions."""

    permissions: set[str] = field(default_factory=set)

    def may(self, permission: str) -> bool:
        return permission in self.permissions


async def go(
    database: Database,
    given: Mapping[str, Any] | None = None,
    *,
    acting: Acting = WHY,
    authority: Any = None,
    chosen: Chosen[Any] | None = None,
    limit: int = 10,
    key: str | None = None,
    action: Action = PAINT,
) -> Performed:
    order = Order(
        authority=authority or Operator(),
        acting=acting,
        action=action,
        chosen=chosen or Chosen.of(Tag, range(1, 9)),
        given={"color": "#000000"} if given is None else given,
        zone=ZoneInfo("UTC"),
    )
    return await perform(database, order, Limits(limit, limit, limit), idempotency_key=key)


async def untouched(database: Database) -> bool:
    """Whether there is neither a tag nor a change set of a test."""
    async with database.read() as session:
        made = await session.scalar(select(func.count()).select_from(Tag))
        return made == await session.scalar(select(func.count()).where(ChangeSet.action == "probe.paint")) == 0


async def test_an_action_is_one_change_set_with_inputs_counts_and_a_sentence(database: Database, make: Make) -> None:
    lead = await make.lead()
    done = await go(database, {"color": "#00ff00", "times": "4"}, acting=Acting(user_id=lead.id, reason=" Because. "))
    async with database.read() as session:
        kept = await session.get_one(ChangeSet, done.change_set_id)
        painted = (await session.scalars(select(Tag))).one()
        entry = (await session.scalars(select(AuditLog).where(AuditLog.change_set_id == kept.id))).one()
    assert done.sentence == "Paint: 4 tags changed, 2 already so, 1 skipped (1 dry), 1 failed."
    assert (kept.action, kept.user_id, kept.reason, kept.state) == ("probe.paint", lead.id, "Because.", "completed")
    assert (kept.changed, kept.unchanged, kept.skipped, kept.failed) == (4, 2, {"dry": 1}, 1)
    assert kept.parameters == {"resource": "tags", "requested": 8, "inputs": {"color": "#00ff00", "times": "4"}}
    assert (painted.name, painted.color) == (f"by {lead.id}", "#00ff00")
    assert (entry.user_id, entry.reason) == (lead.id, "Because.")


async def test_what_is_begun_again_because_rows_are_refused_is_one_change_set_with_its_key(database: Database) -> None:
    done = await go(database, {"color": "no color"}, key="once")
    assert done.outcome == Outcome(failed=8)
    async with database.read() as session:
        kept = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "probe.paint"))).one()
        assert (await session.scalars(select(Tag))).all() == []
    assert (kept.id, kept.failed, kept.idempotency_key) == (done.change_set_id, 8, "once")


async def test_what_an_action_leaves_to_be_flushed_is_refused_row_by_row_as_well(database: Database) -> None:
    done = await go(database, {"color": "no color"}, action=LATER)
    assert done.outcome == Outcome(failed=8)


async def test_somebody_without_the_permission_is_refused_before_anything_else(database: Database) -> None:
    with pytest.raises(Forbidden, match=r"You may not do “Paint”\. It needs the permission probe\.paint\."):
        await go(database, {"nonsense": "1"}, authority=Somebody({"probe.other", "tag.edit"}), acting=Acting.system())
    assert await untouched(database)
    await go(database, authority=Somebody({"probe.paint"}))


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {"color": "Please fill this in."}),
        ({"color": "x", "times": "many", "tint": "1"}, {"times": "“many” is not", "tint": "is not asked for"}),
        ({"color": "a\x00"}, {"color": "holds a character that cannot be stored."}),
        ({"color": "\udcff", "times": "many"}, {"color": "holds a character that cannot be stored."}),
        ({"color": "#000000", "times": "14"}, {"times": "is one too many."}),
    ],
)
async def test_inputs_that_are_wrong_are_named_and_nothing_is_kept(
    database: Database, given: dict[str, str], fields: dict[str, str]
) -> None:
    with pytest.raises(BadInput) as refused:
        await go(database, given)
    assert refused.value.fields.keys() == fields.keys()
    assert all(refused.value.fields[name].startswith(reason) for name, reason in fields.items())
    assert await untouched(database)


@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        (None, "Please say why; it is kept in the audit log."),
        ("  ", "Please say why; it is kept in the audit log."),
        ("x" * 2001, "has 2,001 characters; at most 2,000 fit."),
        ("a\x00", "holds a character that cannot be stored."),
        ("\udcff", "holds a character that cannot be stored."),
    ],
)
async def test_a_reason_that_is_needed_has_to_be_a_usable_one(
    database: Database, reason: str | None, problem: str
) -> None:
    with pytest.raises(BadInput) as refused:
        await go(database, acting=Acting(user_id=None, reason=reason))
    assert refused.value.fields == {"reason": problem}
    assert await untouched(database)


async def test_nothing_selected_and_more_than_the_limit_are_refused_with_the_number(database: Database) -> None:
    with pytest.raises(BadInput, match="Nothing is selected"):
        await go(database, chosen=Chosen.of(Tag, []))
    with pytest.raises(BadInput, match="1,001 rows are selected; one action may touch 1,000 at most"):
        await go(database, chosen=Chosen.of(Tag, range(1, 1002)), limit=1000)
    assert await untouched(database)


async def test_a_bug_in_a_plugin_undoes_everything(database: Database) -> None:
    with pytest.raises(RuntimeError):
        await go(database, {"color": "#000000", "times": "13"})
    assert await untouched(database)


async def test_what_is_sent_twice_is_done_once(database: Database, make: Make) -> None:
    one, other = await make.lead(), await make.lead()
    acting = Acting(user_id=one.id, reason="Because.")
    await go(database, acting=acting, key="form 1")
    with pytest.raises(Conflict, match="This was sent twice; it has been done once"):
        await go(database, acting=acting, key="form 1")
    await go(database, acting=Acting(user_id=other.id, reason="Because."), key="form 1")
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Tag)) == 2


async def test_a_form_that_is_sent_twice_at_the_same_moment_is_done_once(
    live_database: Database, make_live: Make
) -> None:
    lead = await make_live.lead()
    acting = Acting(user_id=lead.id, reason="Because.")
    done = await asyncio.gather(*(go(live_database, acting=acting, key="k") for _ in range(5)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in done) == ["Conflict"] * 4 + ["Performed"]
    async with live_database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Tag)) == 1


def assign() -> Action:
    return load(Settings(plugins=("assign",)), core=[resources.plugin]).action("assign.assign")


async def test_unknown_rows_are_counted_as_not_found(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    chosen = Chosen.of(Ticket, [ticket.id, 999_999_999])
    done = await go(database, {"agent": str(agent.id)}, chosen=chosen, action=assign())
    assert done.sentence == "Assign to agent: 1 ticket changed, 1 skipped (1 not found)."


async def test_five_hundred_tickets_are_assigned_with_four_statements(
    live_database: Database, make_live: Make, statements: Statements
) -> None:
    agent = await make_live.agent()
    async with live_database.transaction(Acting.system(), "test.make") as change:
        drafts = [{"title": "t", "description": "d", "creator_id": agent.id}] * 500
        made = [ticket.id for ticket in await tickets.bulk_create(change.session, drafts, None)]
    with statements(live_database) as seen:
        chosen = Chosen.of(Ticket, made)
        done = await go(live_database, {"agent": str(agent.id)}, chosen=chosen, action=assign(), limit=500)
    assert done.outcome == Outcome(changed=500)
    assert len(seen) == 4, seen
    async with live_database.read() as session:
        entries = select(func.count()).where(AuditLog.change_set_id == done.change_set_id)
        assert await session.scalar(entries) == 500


async def test_the_same_change_leaves_the_same_entries_through_every_door(
    live_database: Database, live_url: URL, make_live: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, lead = await make_live.agent(), await make_live.lead()
    made = [await make_live.ticket() for _ in range(3)]
    await make_live.ticket(assignee_id=agent.id)
    chosen = Chosen.of(Ticket, [ticket.id for ticket in made])
    monkeypatch.setenv("DATABASE_URL", live_url.render_as_string(hide_password=False))

    async def through_the_command_line() -> None:
        who = ["--as", lead.email, "--agent", agent.email, "--reason", "Holiday."]
        command = ["do", "assign.assign", "--ids", *map(str, chosen.ids), *who]
        done = await asyncio.to_thread(CliRunner().invoke, main, command)
        assert done.output.startswith("Assign to agent: 3 tickets changed. Change set ")

    async def through_perform() -> None:
        acting = Acting(user_id=lead.id, door=Door.WEB, reason="Holiday.", request_id="r1", address="::1")
        await go(live_database, {"agent": str(agent.id)}, acting=acting, chosen=chosen, action=assign())

    async def through_a_call() -> None:
        acting = Acting(user_id=lead.id, reason="Holiday.")
        async with live_database.transaction(acting, "assign.assign") as change:
            await tickets.assign(change.session, chosen, agent)

    doors: list[Door] = []
    written: list[list[dict[str, Any]]] = []
    for way in (through_the_command_line, through_perform, through_a_call):
        async with live_database.read() as session:
            last = await session.scalar(select(func.max(AuditLog.id)))
        await way()
        async with live_database.read() as session:
            newer = select(AuditLog).where(AuditLog.id > last, AuditLog.table_name == "tickets")
            entries = (await session.scalars(newer.order_by(AuditLog.id))).all()
            sets = {entry.change_set_id for entry in entries}
            doors += (await session.scalars(select(ChangeSet.door).where(ChangeSet.id.in_(sets)))).all()
        written.append([facts_of(entry) for entry in entries])
        async with live_database.transaction(Acting.system(), "test.back") as change:
            await tickets.assign(change.session, chosen, None)
    assert doors == [Door.CLI, Door.WEB, Door.CODE]
    assert len(written[0]) == 3
    assert written[0] == written[1] == written[2]
    assert written[0][0]["changes"] == {"old": {"assignee_id": None}, "new": {"assignee_id": agent.id}}
    assert (written[0][0]["user_id"], written[0][0]["reason"]) == (lead.id, "Holiday.")


def facts_of(entry: AuditLog) -> dict[str, Any]:
    """Everything an entry holds but its number, its time and the change set that tells the door."""
    names = {column.key for column in AuditLog.__table__.columns}
    return {name: getattr(entry, name) for name in names - {"id", "created_at", "change_set_id", "request_id"}}


@pytest.mark.parametrize(
    ("outcome", "model", "expected"),
    [
        (Outcome(changed=1), Ticket, "Do: 1 ticket changed."),
        (Outcome(), Ticket, "Do: 0 tickets changed."),
        (Outcome(unchanged=3), Comment, "Do: 0 comments changed, 3 already so."),
        (
            Outcome(changed=1200, skipped={"closed": 2, "in the trash": 1000}),
            ChangeSet,
            "Do: 1,200 change sets changed, 1,002 skipped (2 closed, 1,000 in the trash).",
        ),
    ],
)
def test_a_sentence_says_what_was_counted(outcome: Outcome, model: Any, expected: str) -> None:
    assert sentence("Do", outcome, model) == expected


async def test_an_action_that_forgets_its_outcome_is_undone_and_named(database: Database) -> None:
    forgetful = Plugin("forgetful")

    @forgetful.action(Tag, label="Forget")
    async def forget(session: Any, chosen: Chosen[Tag]) -> None:
        await session.execute(insert(Tag).values(name="forgotten"))

    with pytest.raises(BackdeskError, match=r"forgetful\.forget returned no Outcome"):
        await go(database, {}, action=forgetful.actions[0])
    assert await untouched(database)


async def test_a_key_holds_for_the_system_too(database: Database) -> None:
    async with database.transaction(Acting.system(), "test.once", idempotency_key="nightly-0001"):
        pass
    with pytest.raises(Conflict, match="sent twice"):
        async with database.transaction(Acting.system(), "test.once", idempotency_key="nightly-0001"):
            pass
    async with database.transaction(Acting.system(), "test.once"):
        pass
    async with database.transaction(Acting.system(), "test.once"):
        pass
