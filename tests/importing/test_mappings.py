"""Mapping files: every mistake is named with its key and how to mend it, all of them at once."""

import re
from pathlib import Path

import pytest

from admin_app.errors import BadInput
from admin_app.importing import load
from admin_app.importing.fields import FIELDS
from tests.importing.conftest import MAPPINGS, TICKETS, USERS, Desk

ZONE_ADVICE = "is no time zone; use an IANA name such as Europe/Lisbon."
FORMAT_ADVICE = "has no parts such as %d/%m/%Y %H:%M; leave it out for ISO 8601."
FORM_ADVICE = "after a path come only :slug or :lower."
PROJECT = Path(__file__).parents[2]
EXAMPLES = sorted((PROJECT / "examples").glob("*/*.toml"))


def problems(folder: Path, content: str, into: str = "tickets") -> list[str]:
    """What is said about a mapping file."""
    file = folder / "mapping.toml"
    file.write_text(content)
    with pytest.raises(BadInput) as caught:
        load(file, into)
    return [line.removeprefix(f"{file}: ") for line in caught.value.message.splitlines()]


def test_the_examples_have_no_mistakes() -> None:
    assert len(EXAMPLES) >= 5
    for file in EXAMPLES:
        assert load(file, file.stem).sources


def test_the_guide_has_a_mapping_without_mistakes_and_names_every_field(tmp_path: Path) -> None:
    guide = (PROJECT / "docs" / "import.md").read_text()
    sample = tmp_path / "mapping.toml"
    sample.write_text(guide.split("```toml\n")[1].split("```")[0])
    assert load(sample, "tickets").nobody
    for into, fields in FIELDS.items():
        chapter = guide.split(f"| {into} | |\n")[1].split("\n\n")[0]
        named = set(re.findall(r"\w+", " ".join(line.split("|")[1] for line in chapter.splitlines())))
        assert named == fields.keys(), into


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('titel = "x"', "fields.titel means nothing here. Did you mean title?"),
        ('due_at = { path = "x", fromat = "%d" }', "fields.due_at.fromat means nothing here. Did you mean format?"),
        ("due_at = 3", 'fields.due_at has to be a path such as "summary", or a table such as { path = "summary" }.'),
        ('due_at = { path = "a", value = "2020-01-01" }', "fields.due_at needs exactly one of path, value, template."),
        ('due_at = { path = ["a", 1] }', "fields.due_at.path has to be a text or a list of texts."),
        ('due_at = { path = "a", zone = "CET+1" }', f"fields.due_at.zone: 'CET+1' {ZONE_ADVICE}"),
        ('due_at = { path = "a", format = "dd.mm" }', f"fields.due_at.format: 'dd.mm' {FORMAT_ADVICE}"),
        ('due_at = { value = "soon" }', "fields.due_at.value: 'soon' is not a time like 2026-03-31T14:30:00Z."),
        ('created_by = { path = "a", split = "," }', "fields.created_by.split is only for fields that hold a tags."),
        ('created_by = { path = "a", lower = "yes" }', "fields.created_by.lower is either true or false."),
        ('created_by = { template = "{a" }', "fields.created_by.template '{a': expected '}' before end of string."),
        ('created_by = { template = "{a:up}" }', f"fields.created_by.template '{{a:up}}': {FORM_ADVICE}"),
        ('created_by = { template = "{}" }', "fields.created_by.template '{}': there is no path between { and }."),
        ('created_by = { path = "a", default = 1 }', "fields.created_by.default has to be a text in quotation marks."),
        ('created_by = { path = "a", map = "b" }', "fields.created_by.map has to be a table."),
    ],
)  # fmt: skip
def test_a_mistake_in_a_field_is_named(tmp_path: Path, line: str, problem: str) -> None:
    assert problems(tmp_path, TICKETS + line) == [problem]


def test_values_that_a_field_cannot_have_are_found_in_maps(tmp_path: Path) -> None:
    wrong = TICKETS.replace('"status"', '{ path = "status", map = { Open = "open", Done = "done" }, otherwise = "?" }')
    known = "open, in_progress, waiting_on_customer, resolved, closed"
    assert problems(tmp_path, wrong) == [
        f"fields.status.otherwise: '?' is none of {known}; a map can translate it.",
        f"fields.status.map.Done: 'done' is none of {known}; a map can translate it.",
    ]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    content = """
into = "people"
duplicates = "lastt"
delimiter = ";;"
nothing = "?"
feilds = 1
each = { list = "a", columns = ["b"] }
nobody = { email = "x" }
time = { zone = "Nowhere" }
[fields]
external_id = "id"
requester = "r"
resolved_at = "r"
"""
    assert problems(tmp_path, content) == [
        "feilds means nothing here. Did you mean fields?",
        "`nothing` has to be a list of texts.",
        "`into` is 'people'; for this command it has to be \"tickets\".",
        "`duplicates` is 'lastt'; it can be reject, first, last.",
        "`delimiter` has to be one character.",
        "[each] has either `list` or `columns`.",
        "time.zone: 'Nowhere' is no time zone; use an IANA name such as Europe/Lisbon.",
        "[fields] lacks title, which every import of tickets needs.",
        "[fields] has resolved_at, which needs status and created_at beside it.",
        "[nobody] needs an `email` and a `full_name`.",
    ]


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"mapping .*none\.toml cannot be read: No such file"):
        load(tmp_path / "none.toml", "users")
    assert "is not TOML: Expected '=' after a key" in problems(tmp_path, "into users")[0]


def test_nobody_stands_in_for_users(tmp_path: Path) -> None:
    nobody = '[nobody]\nemail = "a@example.com"\nfull_name = "A"\n'
    assert problems(tmp_path, USERS + nobody, "users") == ["[nobody] means nothing for users."]


async def test_paths_lead_into_objects_and_lists_and_the_first_that_is_there_counts(desk: Desk) -> None:
    mapping = """
into = "users"
nothing = ["?", "n/a"]
[words]
true = ["ja"]
false = ["nein"]
[fields]
external_id = "key"
email = { path = ["contact.mail", "mail"], lower = true }
full_name = { template = ["{name.first} {name.last}", "({team.name})"] }
is_staff = "staff"
created_at = { path = "since", format = "%d/%m/%Y %H:%M", zone = "Europe/Lisbon" }
"""
    rows = [
        {"key": 1, "contact": {"mail": "?"}, "mail": "A@X", "name": {"first": "Ana", "last": "B"}, "staff": "JA",
         "since": "29/2/2016 01:16", "team": {"name": "n/a"}},
        {"key": "2", "contact.mail": "C@X", "name": {"first": None}, "team": {"name": "Support"}, "staff": "nein",
         "since": "1/7/2016 01:16"},
        {"key": "3", "contact": "x", "staff": "perhaps"},
        {"key": "4", "mail": "d@x", "staff": True},
    ]  # fmt: skip
    report = await desk.bring("users", rows, mapping)
    assert (report.new, report.rejected) == (3, 1)
    assert await desk.value("SELECT is_staff FROM users WHERE external_id = '4'") is True
    first = await desk.record("SELECT *, created_at::text AS since FROM users WHERE external_id = '1'")
    assert (first["email"], first["full_name"], first["is_staff"]) == ("a@x", "Ana B", True)
    assert first["since"] == "2016-02-29 01:16:00+00"
    second = await desk.record("SELECT *, created_at::text AS since FROM users WHERE external_id = '2'")
    assert (second["email"], second["full_name"], second["is_staff"]) == ("c@x", "(Support)", False)
    assert second["since"] == "2016-07-01 00:16:00+00"
    assert desk.rejected(report)[0]["reasons"] == [
        "email: is missing",
        "is_staff: 'perhaps' means neither yes nor no; [words] in the mapping can say what it means",
    ]


async def test_a_map_translates_and_rejects_what_it_does_not_know_unless_told_otherwise(desk: Desk) -> None:
    await desk.bring("users", [{"id": "ana", "email": "ana@example.com", "name": "Ana"}])
    base = MAPPINGS["tickets"].replace('"status"', '{ path = "status", map = { Neu = "open", Fertig = "resolved" } }')
    row = {"key": "T-1", "summary": "x", "reporter": "ana", "created": "2020-01-01", "priority": "low"}
    rows = [{**row, "status": " Fertig "}, {**row, "key": "T-2", "status": "Halb"}]
    report = await desk.bring("tickets", rows, base)
    assert (report.new, report.rejected) == (1, 1)
    assert desk.rejected(report)[0]["reasons"] == ["status: 'Halb' is not in its map"]
    lenient = base.replace('"resolved" } }', '"resolved" }, otherwise = "in_progress" }')
    report = await desk.bring("tickets", rows, lenient)
    assert (report.new, report.unchanged) == (1, 1)
    assert await desk.value("SELECT status FROM tickets WHERE external_id = 'T-2'") == "in_progress"
