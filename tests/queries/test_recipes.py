"""Recipes as they are stored: names that are free in any case, a bound on their number, counts in one statement."""

import pytest
from sqlalchemy import insert, select

from admin_app.db import Acting, Database
from admin_app.errors import BadInput, ChangedMeanwhile, Conflict, NotFound
from admin_app.models import Recipe, Ticket
from admin_app.queries import recipes
from admin_app.testing import Make, Statements

NOBODY = Acting.system()


def named(name: str) -> Recipe:
    """A recipe that does what does not matter here."""
    return Recipe(name=name, resource="ticket", action="assign.unassign", filter="status=open", inputs={})


async def add(database: Database, name: str) -> Recipe:
    """Keep a recipe of this name."""
    async with database.transaction(NOBODY, "recipe.save") as change:
        return await recipes.add(change.session, named(name))


async def test_a_name_is_taken_in_any_case_and_found_in_any(database: Database) -> None:
    made = await add(database, "  Monday   morning ")
    assert made.name == "Monday morning"
    with pytest.raises(BadInput, match="“Monday morning” is the name of another recipe"):
        await add(database, "MONDAY MORNING")
    async with database.read() as session:
        assert (await recipes.named(session, " monday  MORNING")).id == made.id
        with pytest.raises(NotFound, match="Did you mean “Monday morning”"):
            await recipes.named(session, "Monday evening")


async def test_two_who_save_one_name_at_the_same_moment_are_told_apart_by_the_database(database: Database) -> None:
    await add(database, "Monday")
    with pytest.raises(Conflict, match="There is already a recipe of this name"):
        async with database.transaction(NOBODY, "recipe.save") as change:
            change.session.add(named("monday"))


@pytest.mark.parametrize(
    ("name", "why"), [("", "Please give it a name"), (" \t ", "Please give"), ("a\x00", "Please"), ("x" * 101, "101")]
)
async def test_a_name_that_cannot_be_stored_is_refused(database: Database, name: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        await add(database, name)


async def test_a_recipe_keeps_its_own_name_and_may_take_a_free_one(database: Database) -> None:
    made, other = await add(database, "Monday"), await add(database, "Tuesday")
    async with database.transaction(NOBODY, "recipe.save") as change:
        found = await recipes.one(change.session, made.id, made.version)
        await recipes.rename(change.session, found, "MONDAY", "Weekly.")
        with pytest.raises(BadInput, match="“Tuesday” is the name of another recipe"):
            await recipes.free_name(change.session, "tuesday", but=made.id)
    async with database.read() as session:
        with pytest.raises(ChangedMeanwhile):
            await recipes.one(session, made.id, version=1)
        with pytest.raises(NotFound):
            await recipes.one(session, other.id + 1_000)
        assert [one.name for one in await recipes.every(session)] == ["MONDAY", "Tuesday"]


async def test_there_are_no_more_recipes_than_anybody_finds_again(database: Database) -> None:
    rows = [{"name": f"Recipe {n}", "resource": "ticket", "action": "a.b", "inputs": {}} for n in range(recipes.MOST)]
    async with database.transaction(NOBODY, "recipe.save") as change:
        await change.session.execute(insert(Recipe), rows)
    with pytest.raises(BadInput, match="There are 200 recipes"):
        await add(database, "One more")


async def test_matches_of_many_are_counted_in_one_statement_up_to_a_bound(
    database: Database, make: Make, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "COUNTED", 2)
    agent = await make.agent()
    for _ in range(4):
        await make.ticket(assignee_id=agent.id)
    mine = select(Ticket.id).where(Ticket.assignee_id == agent.id)
    async with database.read() as session:
        with statements(database) as seen:
            assert await recipes.counts(session, [mine, mine.where(Ticket.id < 0)]) == [3, 0]
        assert len(seen) == 1
        assert await recipes.counts(session, []) == []
