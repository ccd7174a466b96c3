"""The set-based engine: one statement that locks, classifies, updates and counts, for any table."""

import pytest
from sqlalchemy import func, select

from admin_app.db import Acting, Database
from admin_app.errors import BadInput
from admin_app.models import AuditLog, Comment, Tag, Ticket, User
from admin_app.queries import selections
from admin_app.queries.changes import Chosen, Outcome, apply
from admin_app.testing import Make, Statements


def test_duplicate_ids_count_once_and_an_impossible_id_is_refused() -> None:
    chosen = Chosen.of(Ticket, [3, 1, 3, 2, 1])
    assert (chosen.ids, chosen.requested) == ((1, 2, 3), 3)
    assert Chosen.of(Ticket, []).requested == 0
    for ids in ([0], [-1, 5], [2**63]):
        with pytest.raises(BadInput, match="An id is a positive whole number"):
            Chosen.of(Ticket, ids)


def test_an_outcome_counts_every_row_once() -> None:
    assert Outcome().total == 0
    assert Outcome(changed=1, unchanged=2, skipped={"a": 3, "b": 4}, failed=5).total == 15


async def test_the_first_reason_that_holds_is_the_rows_outcome(database: Database, make: Make) -> None:
    made = [await make.tag(name) for name in ("a", "ab", "b", "c")]
    async with database.transaction(Acting.system(), "test.apply") as change:
        outcome = await apply(
            change.session,
            Chosen.of(Tag, [tag.id for tag in made]),
            set={Tag.color: "#000000"},
            skip={
                "has an a": Tag.name.contains("a"),
                "has a b": Tag.name.contains("b"),
                "unknown": Tag.description == "x",
            },
        )
        changed = (await change.session.scalars(select(Tag.name).where(Tag.color == "#000000"))).all()
    assert outcome == Outcome(changed=1, skipped={"has an a": 2, "has a b": 1})
    assert changed == ["c"]


async def test_a_row_that_has_the_value_already_is_left_alone_with_its_version_and_time(
    database: Database, make: Make
) -> None:
    same, other = await make.tag("same", color="#000000"), await make.tag("other")
    async with database.transaction(Acting.system(), "test.apply") as change:
        last = await change.session.scalar(select(func.max(AuditLog.id)))
        chosen = Chosen.of(Tag, [same.id, other.id])
        outcome = await apply(change.session, chosen, set={Tag.color: "#000000"}, also={Tag.description: "touched"})
        rows = {tag.id: tag for tag in await change.session.scalars(select(Tag))}
        entries = (await change.session.scalars(select(AuditLog).where(AuditLog.id > last))).all()
    assert outcome == Outcome(changed=1, unchanged=1)
    assert (rows[same.id].version, rows[same.id].description) == (same.version, None)
    assert (rows[other.id].version, rows[other.id].description) == (other.version + 1, "touched")
    assert [entry.record_id for entry in entries] == [str(other.id)]


@pytest.mark.parametrize(("before", "after"), [(None, "x"), ("x", None), (None, None), ("x", "x")])
async def test_nothing_and_something_are_told_apart(
    database: Database, make: Make, before: str | None, after: str | None
) -> None:
    tag = await make.tag("a", description=before)
    async with database.transaction(Acting.system(), "test.apply") as change:
        outcome = await apply(change.session, Chosen.of(Tag, [tag.id]), set={Tag.description: after})
    assert outcome == (Outcome(unchanged=1) if before == after else Outcome(changed=1))


async def test_a_value_may_be_computed_from_the_row(database: Database, make: Make) -> None:
    tag, big = await make.tag("a"), await make.tag("B")
    async with database.transaction(Acting.system(), "test.apply") as change:
        chosen = Chosen.of(Tag, [tag.id, big.id])
        outcome = await apply(change.session, chosen, set={Tag.name: func.upper(Tag.name)})
        names = (await change.session.scalars(select(Tag.name).order_by(Tag.id))).all()
    assert (outcome, names) == (Outcome(changed=1, unchanged=1), ["A", "B"])


async def test_several_columns_change_a_row_when_any_of_them_differs(database: Database, make: Make) -> None:
    user = await make.user(full_name="Ana", is_active=True)
    async with database.transaction(Acting.system(), "test.apply") as change:
        chosen = Chosen.of(User, [user.id])
        values = {User.full_name: "Ana", User.is_active: False}
        assert await apply(change.session, chosen, set=values) == Outcome(changed=1)
        assert await apply(change.session, chosen, set=values) == Outcome(unchanged=1)


async def test_rows_of_a_frozen_selection_are_changed_and_no_others(database: Database, make: Make) -> None:
    agent, ticket = await make.agent(), await make.ticket()
    comments = [await make.comment(ticket, agent) for _ in range(4)]
    async with database.transaction(Acting.system(), "test.apply") as change:
        keys = Chosen.of(Comment, [comments[0].id, comments[2].id, 999_999_999]).keys()
        kept = await selections.freeze(change.session, keys, user_id=None, resource="comment", limit=3)
        chosen = Chosen.frozen(Comment, kept.id, 3)
        outcome = await apply(change.session, chosen, set={Comment.is_internal: False})
        public = (await change.session.scalars(select(Comment.id).where(Comment.is_internal.is_(False)))).all()
    assert outcome == Outcome(changed=2, skipped={"not found": 1})
    assert set(public) == {comments[0].id, comments[2].id}


async def test_forty_thousand_ids_travel_as_one_parameter_of_one_statement(
    database: Database, make: Make, statements: Statements
) -> None:
    tag = await make.tag("a")
    async with database.transaction(Acting.system(), "test.apply") as change:
        chosen = Chosen.of(Tag, [tag.id, *range(10**9, 10**9 + 40_000)])
        with statements(database) as seen:
            outcome = await apply(change.session, chosen, set={Tag.color: "#000000"})
    assert outcome == Outcome(changed=1, skipped={"not found": 40_000})
    assert len(seen) == 1
