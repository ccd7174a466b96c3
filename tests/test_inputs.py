"""Inputs: what a handler asks for, what people write, and what comes of it; nothing but BadInput can go wrong."""

import enum
from datetime import UTC, date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_app.db import Database
from admin_app.errors import BadInput
from admin_app.inputs import Hint, Input, Only, UnusableParameter, inputs_of, parse, parse_instant
from admin_app.models import Ticket, TicketTag, User
from admin_app.plugin import Acting, Chosen, Outcome
from admin_app.testing import Make, Statements

BERLIN = ZoneInfo("Europe/Berlin")


class Tone(enum.StrEnum):
    """How an answer sounds."""

    VERY_KIND = "very_kind"
    SHORT = "short"


Agent = Annotated[User, Only(User.is_staff & User.is_active), Hint("Staff only.", label="Who")]


async def everything(
    session: Any,
    chosen: Chosen[Ticket],
    acting: Acting,
    text: str,
    body: Annotated[str, Hint(long=True, max_length=20)],
    number: int,
    switch: bool,
    day: date,
    moment: datetime,
    tone: Tone,
    agent: Agent,
    maybe: Agent | None,
    later: date | None = None,
    times: int = 3,
    loud: bool = True,
    tone_or_none: Tone | None = Tone.SHORT,
    note: str | None = None,
    unsure: bool | None = None,
    team: list[Agent] | None = None,
) -> Outcome:
    """Do something with one of everything."""
    return Outcome()


ALL = inputs_of(everything)
GOOD = {
    "text": " hello ",
    "body": "a\nb",
    "number": "-7",
    "switch": "on",
    "day": "2026-11-21",
    "moment": "2026-11-21 14:30",
    "tone": "Very kind",
}


async def values(database: Database, given: dict[str, Any], inputs: tuple[Input, ...] = ALL) -> dict[str, Any]:
    async with database.read() as session:
        return await parse(session, inputs, given, BERLIN)


async def problems(database: Database, given: dict[str, Any], inputs: tuple[Input, ...] = ALL) -> dict[str, str]:
    with pytest.raises(BadInput) as refused:
        await values(database, given, inputs)
    return refused.value.fields


def one(annotation: Any, default: Any = ...) -> tuple[Input, ...]:
    """The one input of a handler whose parameter `it` has a type, and perhaps a default."""

    async def handler(session: Any, it: Any) -> None: ...

    handler.__annotations__["it"] = annotation
    handler.__defaults__ = () if default is ... else (default,)
    return inputs_of(handler)


def test_parameters_become_inputs_in_their_order_without_those_that_the_core_gives() -> None:
    found = {item.name: item for item in ALL}
    assert list(found)[:8] == ["text", "body", "number", "switch", "day", "moment", "tone", "agent"]
    assert [found[name].kind for name in ("text", "body", "number", "switch", "day", "moment", "tone", "agent")] == [
        "text",
        "long_text",
        "number",
        "switch",
        "date",
        "instant",
        "choice",
        "record",
    ]
    assert (found["agent"].label, found["agent"].help, found["agent"].only is not None) == ("Who", "Staff only.", True)
    assert (found["tone_or_none"].label, found["maybe"].kind) == ("Tone or none", "record")
    assert found["tone"].choices == [("very_kind", "Very kind"), ("short", "Short")]
    needed = {name for name, item in found.items() if item.required}
    assert needed == {"text", "body", "number", "day", "moment", "tone", "agent"}


async def test_texts_become_typed_values(database: Database, make: Make) -> None:
    agent = await make.agent(full_name="Ana Agent")
    assert (
        await values(database, {**GOOD, "agent": str(agent.id)})
        == {
            "text": "hello",
            "body": "a\nb",
            "number": -7,
            "switch": True,
            "day": date(2026, 11, 21),
            "moment": datetime(2026, 11, 21, 13, 30, tzinfo=UTC),
            "tone": Tone.VERY_KIND,
            "agent": agent,
            "maybe": None,
            "later": None,
            "times": 3,
            "loud": True,
            "tone_or_none": Tone.SHORT,
            "note": None,
            "unsure": None,
            "team": [],
        }
        or agent.id
    )


async def test_every_field_that_is_wrong_or_unknown_is_named_at_once(database: Database) -> None:
    found = await problems(database, {"number": "many", "day": "tomorrow", "agnt": "1"})
    assert found == {
        "agnt": f"is not asked for; known are {', '.join(item.name for item in ALL)}.",
        "text": "Please fill this in.",
        "body": "Please fill this in.",
        "number": "“many” is not a whole number.",
        "day": "“tomorrow” is not a date; write it like 2026-11-21.",
        "moment": "Please fill this in.",
        "tone": "Please fill this in.",
        "agent": "Please fill this in.",
    }


@pytest.mark.parametrize(
    ("annotation", "given", "expected"),
    [
        (str, "none", "none"),
        (str | None, "none", "none"),
        (int, "0", 0),
        (int, 12, 12),
        (int | None, "none", None),
        (bool, "", False),
        (bool, False, False),
        (bool, "YES", True),
        (bool | None, "", None),
        (bool | None, "no", False),
        (Tone, "SHORT", Tone.SHORT),
        (Tone | None, "None", None),
        (date, date(2026, 1, 2), date(2026, 1, 2)),
        (datetime, "2026-11-21", datetime(2026, 11, 20, 23, tzinfo=UTC)),
        (datetime, "2026-11-21T14:30:15.5Z", datetime(2026, 11, 21, 14, 30, 15, 500_000, tzinfo=UTC)),
        (datetime, "2026-11-21T14:30+05:30", datetime(2026, 11, 21, 9, tzinfo=UTC)),
    ],
)
async def test_a_value_is_read_as(database: Database, annotation: Any, given: Any, expected: Any) -> None:
    assert await values(database, {"it": given}, one(annotation)) == {"it": expected}


@pytest.mark.parametrize(
    ("annotation", "given", "sentence"),
    [
        (int, "--5", "“--5” is not a whole number."),
        (int, "5-", "“5-” is not a whole number."),
        (int, "1.5", "“1.5” is not a whole number."),
        (int, "2147483648", "“2147483648” is not a whole number."),
        (int, "9" * 5000, f"“{'9' * 60}…” is not a whole number."),
        (int, "²", "“²” is not a whole number."),
        (bool, "maybe", "“maybe” is neither yes nor no."),
        (date, "2026-02-30", "“2026-02-30” is not a date; write it like 2026-11-21."),
        (datetime, "noon", "“noon” is not a time; write it like 2026-11-21 14:30."),
        (
            datetime,
            "0001-01-01T00:00+23:59",
            "“0001-01-01T00:00+23:59” is not a time; write it like 2026-11-21 14:30.",
        ),
        (
            datetime,
            "9999-12-31T23:59-10:00",
            "“9999-12-31T23:59-10:00” is not a time; write it like 2026-11-21 14:30.",
        ),
        (Tone, "loud", "“loud” is none of very_kind, short."),
        (str, "a\x00b", "holds a character that cannot be stored."),
        (str, "a\ud800b", "holds a character that cannot be stored."),
        (User, "a\x00b", "holds a character that cannot be stored."),
        (Annotated[str, Hint(max_length=3)], "four", "has 4 characters; at most 3 fit."),
        (str, "   ", "Please fill this in."),
        (User, "9" * 18, f"“{'9' * 18}” was not found, or cannot be chosen here."),
        (User, "9" * 30, f"“{'9' * 30}” was not found, or cannot be chosen here."),
        (User, "%", "“%” was not found, or cannot be chosen here."),
        (User, "none", "“none” was not found, or cannot be chosen here."),
    ],
)
async def test_what_cannot_be_used_is_refused_with_a_sentence(
    database: Database, annotation: Any, given: str, sentence: str
) -> None:
    assert await problems(database, {"it": given}, one(annotation)) == {"it": sentence}


async def test_none_is_nobody_even_where_somebody_is_the_default(database: Database) -> None:
    wanted = one(Tone | None, Tone.SHORT)
    assert await values(database, {}, wanted) == {"it": Tone.SHORT}
    assert await values(database, {"it": "none"}, wanted) == {"it": None}


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-29 01:59", "2026-03-29T00:59"),
        ("2026-03-29 02:30", "2026-03-29T01:30"),  # skipped that night: the same as 03:30
        ("2026-03-29 03:30", "2026-03-29T01:30"),
        ("2026-10-25 02:30", "2026-10-25T00:30"),  # comes twice that night: the first
        ("2026-10-25 03:00", "2026-10-25T02:00"),
    ],
)
def test_a_time_in_the_night_of_a_clock_change_is_the_one_that_the_documentation_says(text: str, utc: str) -> None:
    assert parse_instant(text, BERLIN) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize("written", ["{id}", "ANA@example.com", "ana agent", "ana ag", "  Ana@Ex "])
async def test_a_person_is_found_by_id_address_name_or_an_unambiguous_beginning(
    database: Database, make: Make, written: str
) -> None:
    ana = await make.agent(email="ana@example.com", full_name="Ana Agent")
    await make.agent(email="anatol@example.com", full_name="Anatol")
    found = await values(database, {"it": written.format(id=ana.id)}, one(Agent))
    assert found["it"].id == ana.id


async def test_a_beginning_that_several_people_share_is_refused_with_their_ids(database: Database, make: Make) -> None:
    first, second = await make.agent(full_name="Bo Berg"), await make.agent(full_name="Bo Burg")
    await make.customer(full_name="Bo Customer")
    assert await problems(database, {"it": "bo b"}, one(Agent)) == {
        "it": f"“bo b” could be Bo Berg ({first.id}); Bo Burg ({second.id}). Give the id."
    }


async def test_an_exact_name_wins_over_those_that_begin_with_it(database: Database, make: Make) -> None:
    short = await make.agent(full_name="Kim")
    await make.agent(full_name="Kimberly")
    assert (await values(database, {"it": "kim"}, one(Agent)))["it"].id == short.id


async def test_somebody_who_may_not_be_chosen_is_as_unknown_as_nobody(database: Database, make: Make) -> None:
    customer, gone = await make.customer(), await make.agent(is_active=False)
    for person in (customer, gone):
        for text in (str(person.id), person.email):
            found = await problems(database, {"it": text}, one(Agent))
            assert found == {"it": f"“{text}” was not found, or cannot be chosen here."}


Team = Annotated[list[User], Only(User.is_staff & User.is_active), Hint("Staff only.", label="Who")]


def test_a_list_of_a_model_picks_several_rows() -> None:
    [team] = one(Team)
    assert (team.kind, team.type, team.required, team.only is not None) == ("records", User, True, True)
    assert (team.label, team.help) == ("Who", "Staff only.")
    [maybe] = one(Team | None)
    assert (maybe.kind, maybe.required) == ("records", False)


async def test_several_people_are_found_each_by_what_names_them_and_each_once(database: Database, make: Make) -> None:
    ana, bo = await make.agent(email="ana@example.com"), await make.agent(full_name="Bo Berg")
    meant = [str(bo.id), "ANA@example.com", " bo b ", ana.id, ""]
    found = await values(database, {"it": meant}, one(Team))
    assert [person.id for person in found["it"]] == [bo.id, ana.id]
    assert [person.id for person in (await values(database, {"it": ana.id}, one(Team)))["it"]] == [ana.id]


async def test_people_named_by_id_are_found_in_one_statement_however_many(
    database: Database, make: Make, statements: Statements
) -> None:
    people = [await make.agent() for _ in range(20)]
    with statements(database) as seen:
        found = await values(database, {"it": [person.id for person in people]}, one(Team))
    assert [person.id for person in found["it"]] == [person.id for person in people]
    assert len(seen) == 1


async def test_nobody_is_refused_where_somebody_is_needed(database: Database, make: Make) -> None:
    for nothing in ([], [""], "", None):
        assert await problems(database, {"it": nothing}, one(Team)) == {"it": "Please pick at least one."}
        assert await values(database, {"it": nothing}, one(Team | None)) == {"it": []}
    ana = await make.agent()
    assert await values(database, {}, one(Team, (ana,))) == {"it": [ana]}


async def test_one_wrong_person_among_several_is_named(database: Database, make: Make) -> None:
    ana, customer = await make.agent(), await make.customer()
    sentence = f"“{customer.id}” was not found, or cannot be chosen here."
    assert await problems(database, {"it": [ana.id, customer.id]}, one(Team)) == {"it": sentence}
    assert await problems(database, {"it": list(range(201))}, one(Team)) == {"it": "has 201 choices; at most 200 fit."}
    unstorable = await problems(database, {"it": ["a\x00"]}, one(Team))
    assert unstorable == {"it": "holds a character that cannot be stored."}


@pytest.mark.parametrize(
    "annotation",
    [
        float,
        list[str],
        list[Tone],
        list[User | None],
        tuple[User, ...],
        dict[str, str],
        User | Ticket,
        TicketTag,
        "Any",
        enum.Enum,
    ],
)
def test_a_type_that_nobody_can_fill_in_is_named(annotation: Any) -> None:
    with pytest.raises(UnusableParameter, match="parameter 'it' has the type") as refused:
        one(Any if annotation == "Any" else annotation)
    assert refused.value.name == "it"


def test_a_parameter_without_a_type_is_unusable() -> None:
    async def handler(session, chosen, it): ...  # type: ignore[no-untyped-def]

    with pytest.raises(UnusableParameter, match="'it' has the type None"):
        inputs_of(handler)


ANYTHING = st.one_of(
    st.none(),
    st.text(st.characters(codec=None, exclude_categories=())),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.datetimes().map(str),
    st.from_regex(r"-?[0-9]{1,40}", fullmatch=True),
    st.sampled_from(["none", "None", "", "0", "1", "%", "_", "\\", "'", "9999-12-31T23:59:59-23:59"]),
    st.lists(st.text(), max_size=3),
    st.dictionaries(st.text(), st.text(), max_size=2),
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=st.dictionaries(st.sampled_from([*(item.name for item in ALL), "unknown"]), ANYTHING))
async def test_whatever_is_entered_is_read_or_refused_and_nothing_else(
    database: Database, given: dict[str, Any]
) -> None:
    known = {item.name for item in ALL}
    read, fields = await values_or_problems(database, given)
    assert read.keys() == known or (fields and fields.keys() <= known | {"unknown"})
    assert all(reason.endswith(".") for reason in fields.values())


async def values_or_problems(database: Database, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        return await values(database, given), {}
    except BadInput as refused:
        return {}, refused.fields
