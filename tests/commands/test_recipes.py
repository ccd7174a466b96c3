"""`backdesk recipe`: saved when filter and inputs are understood, run on what matches that day for whoever runs it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.models import AuditLog, ChangeSet, Recipe, Ticket
from admin_app.testing import Make
from tests.commands.conftest import Run, change_set, number_in, said, told

LOW = ["--action", "priority.change", "--input", "priority=low"]


async def test_a_recipe_is_saved_shown_run_and_deleted(backdesk: Run, desk: Database, make_there: Make) -> None:
    agent, lead = await make_there.agent(), await make_there.lead()
    first = await make_there.ticket(assignee_id=agent.id)
    where = ["--where", f"?assignee={agent.id}&created=last-7-days&sort=-id&size=25"]
    text = said(
        await backdesk("recipe", "save", " Ease  off ", *LOW, *where, "--reason", "Weekly.", "--as", lead.email), 0
    )
    assert text.startswith("Saved “Ease off”.")
    assert "Ease off" in said(await backdesk("recipe", "list"), 0)
    async with desk.read() as session:
        kept = (await session.scalars(select(Recipe))).one()
        made = await session.scalar(select(ChangeSet).where(ChangeSet.action == "recipe.save"))
        entry = await session.scalar(select(AuditLog).where(AuditLog.table_name == "recipes"))
    assert (kept.filter, kept.inputs) == (f"assignee={agent.id}&created_at=last-7-days", {"priority": "low"})
    assert made is not None
    assert entry is not None
    assert (made.user_id, made.changed, made.parameters) == (lead.id, 1, {"recipe": "Ease off"})
    assert (entry.change_set_id, kept.created_by_id) == (made.id, lead.id)
    shown = said(await backdesk("recipe", "show", "EASE OFF"), 0)
    assert shown.endswith("  priority: low\nReason: Weekly.\nMatches now: 1\n")
    await make_there.ticket(assignee_id=agent.id, created_at=datetime.now(UTC) - timedelta(days=8))
    later = await make_there.ticket(assignee_id=agent.id)
    preview = told(await backdesk("recipe", "run", "ease off", "--preview", "--json"))
    done = told(await backdesk("recipe", "run", "ease off", "--json", "--as", lead.email, "--reference", "T-9"))
    assert (preview["requested"], preview["outcome"]["changed"], done["changed"]) == (2, 2, 2)
    facts = await change_set(desk, done["id"])
    assert (facts.reason, facts.reference, facts.action) == ("Weekly.", "T-9", "priority.change")
    async with desk.read() as session:
        low = select(Ticket.id).where(Ticket.assignee_id == agent.id, Ticket.priority == "low").order_by(Ticket.id)
        assert list((await session.scalars(low)).all()) == [first.id, later.id]
    assert said(await backdesk("recipe", "delete", "Ease Off"), 0) == "Deleted “Ease off”.\n"
    assert said(await backdesk("recipe", "list"), 0).startswith("There is no recipe yet.")


async def test_me_is_whoever_runs_it(backdesk: Run, make_there: Make) -> None:
    ana, bo = await make_there.lead(), await make_there.lead()
    for person, number in ((ana, 1), (bo, 2)):
        for _ in range(number):
            await make_there.ticket(assignee_id=person.id)
    said(await backdesk("recipe", "save", "mine", *LOW, "--where", "assignee=me"), 0)
    for person, number in ((ana, 1), (bo, 2)):
        preview = told(await backdesk("recipe", "run", "mine", "--preview", "--json", "--as", person.email))
        assert preview["requested"] == number
    assert said(await backdesk("recipe", "run", "mine"), 1) == "Error: “me” is nobody here: say with --as who acts.\n"


async def test_a_recipe_for_more_rows_than_one_action_may_touch_refuses_with_their_number(
    backdesk: Run, make_there: Make
) -> None:
    agent, customer = await make_there.agent(), await make_there.customer()
    for _ in range(61):
        await make_there.ticket(assignee_id=agent.id, creator_id=customer.id)
    said(await backdesk("recipe", "save", "too much", *LOW, "--where", f"assignee={agent.id}"), 0)
    text = said(await backdesk("recipe", "run", "too much"), 1)
    assert text == "Error: 61 rows match; one action may touch 60 at most. Please narrow the list.\n"


async def test_inputs_that_pick_several_records_are_given_several_times(backdesk: Run, make_there: Make) -> None:
    agent = await make_there.agent()
    await make_there.ticket(assignee_id=agent.id)
    for name in ("red", "blue"):
        await make_there.tag(name)
    inputs = ["--action", "tagging.add", "--input", "tags=red", "--input", "tags=blue"]
    said(await backdesk("recipe", "save", "colours", *inputs, "--where", f"assignee={agent.id}"), 0)
    assert "  tags: red, blue\n" in said(await backdesk("recipe", "show", "colours"), 0)
    assert "Add tags: 1 ticket changed." in said(await backdesk("recipe", "run", "colours"), 0)


async def test_a_dangerous_recipe_asks_for_the_number(backdesk: Run, make_there: Make) -> None:
    agent = await make_there.agent()
    await make_there.ticket(assignee_id=agent.id)
    spam = ["--action", "trash.put", "--on", "ticket", "--where", f"assignee={agent.id}", "--reason", "Spam."]
    said(await backdesk("recipe", "save", "spam", *spam), 0)
    assert "1 ticket would be touched" in said(await backdesk("recipe", "run", "spam", typed="2\n"), 1)
    assert "--at-most allows 0." in said(await backdesk("recipe", "run", "spam", "--at-most", "0"), 1)
    assert "Move to trash: 1 ticket changed." in said(await backdesk("recipe", "run", "spam", "--at-most", "5"), 0)
    assert said(await backdesk("recipe", "run", "spam"), 0) == "0 tickets match, so there is nothing to do.\n"


async def test_only_leads_save_and_whoever_may_do_the_action_runs(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    agent, auditor = await make_there.agent(), await make_there.agent("auditor")
    await make_there.ticket(assignee_id=agent.id)
    args = ["recipe", "save", "open to agents", *LOW, "--where", f"assignee={agent.id}"]
    assert said(await backdesk(*args, "--as", agent.email), 1) == (
        "Error: You may not save recipes. It needs the permission recipe.save.\n"
    )
    said(await backdesk(*args), 0)
    refused = said(await backdesk("recipe", "run", "open to agents", "--as", auditor.email), 1)
    assert refused == "Error: You may not do “Set priority”. It needs the permission priority.change.\n"
    assert "1 ticket changed" in said(await backdesk("recipe", "run", "open to agents", "--as", agent.email), 0)
    assert said(await backdesk("recipe", "delete", "open to agents", "--as", agent.email), 1) == (
        "Error: You may not delete recipes. It needs the permission recipe.delete.\n"
    )


async def test_saving_and_deleting_are_undone_by_the_lead_who_did_it(
    backdesk: Run, desk: Database, make_there: Make
) -> None:
    lead = await make_there.lead()
    as_lead = ["--as", lead.email]
    said(await backdesk("recipe", "save", "kept", *LOW, "--where", "status=open", *as_lead), 0)
    said(await backdesk("recipe", "delete", "kept", *as_lead), 0)
    async with desk.read() as session:
        deleting = select(ChangeSet.id).where(ChangeSet.action == "recipe.delete", ChangeSet.user_id == lead.id)
        number = (await session.scalars(deleting)).one()
    assert number_in(said(await backdesk("undo", number, *as_lead), 0)) > number
    assert "kept" in said(await backdesk("recipe", "list"), 0)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("a --action asign.assign --where status=open", "There is no action 'asign.assign'. Did you mean"),
        (
            "a --action priority.change --where stats=open",
            "stats: is not a parameter of this list. Did you mean",
        ),
        ("a --action priority.change --where status=open", "priority: Please fill this in."),
        ("a --action priority.change --where status=open --input priority=huge", "priority: “huge” is none of low"),
        ("a --action priority.change --where status=open --input colour=red", "colour: is not asked for; known are"),
        ("a --action priority.change --where status=open --input low", "“low” is no input; write it like"),
        ("a --action assign.unassign --where sort=id", "This filter leaves nothing out."),
        (
            "a --action assign.unassign --where status=open --on tag",
            "“Assign to nobody” is nothing that can be done",
        ),
        ("a --action trash.put --where status=open", "Say with --on which kind of record is meant: "),
        ("taken --action assign.unassign --where status=open", "name: “Taken” is the name of another recipe."),
        (f"{'x' * 101} --action assign.unassign --where status=open", "name: has 101 characters; at most 100 fit."),
    ],
)
async def test_a_recipe_that_could_not_be_run_is_not_saved(
    backdesk: Run, desk: Database, args: str, sentence: str
) -> None:
    async with desk.read() as session:
        there = await session.scalar(select(Recipe).where(Recipe.name == "Taken"))
    if there is None:
        said(await backdesk("recipe", "save", "Taken", "--action", "assign.unassign", "--where", "status=open"), 0)
    assert sentence in said(await backdesk("recipe", "save", *args.split()), 1)


async def test_a_name_that_is_not_there_is_answered_with_the_nearest(backdesk: Run) -> None:
    said(await backdesk("recipe", "save", "Monday morning", *LOW, "--where", "status=open"), 0)
    for deed in ("show", "run", "delete"):
        text = said(await backdesk("recipe", deed, "Monday mornin"), 1)
        assert text == "Error: There is no recipe “Monday mornin”. Did you mean “Monday morning”?\n"
