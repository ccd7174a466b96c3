"""Files that are broken in one row or as a whole: one bad row never stops the others, a bad file changes nothing."""

import gzip
import json
from pathlib import Path

import pytest

from admin_app.errors import BadInput
from tests.importing.conftest import ANA, TICKETS, USERS, Desk, ticket

PEOPLE = b'id,email,name\nana,ana@example.com,Ana\nbo,bo@example.com,"Bo, the\nsecond"\n'


@pytest.mark.parametrize("name", ["people.csv", "people.csv.gz", "PEOPLE.CSV"])
async def test_csv_comes_in_plain_or_gzipped(desk: Desk, name: str) -> None:
    content = gzip.compress(PEOPLE) if name.endswith("gz") else PEOPLE
    report = await desk.bring("users", content, name=name)
    assert (report.new, report.rejected) == (2, 0)
    assert await desk.value("SELECT full_name FROM users WHERE external_id = 'bo'") == "Bo, the\nsecond"


async def test_jsonl_comes_in_gzipped_and_with_a_byte_order_mark_and_blank_lines(desk: Desk) -> None:
    content = (
        b"\xef\xbb\xbf" + json.dumps(ANA).encode() + b"\r\n\r\n" + json.dumps({**ANA, "id": 7, "email": "b@x"}).encode()
    )
    report = await desk.bring("users", gzip.compress(content), name="people.jsonl.gz")
    assert (report.new, report.rejected) == (2, 0)


async def test_csv_with_another_delimiter_and_a_byte_order_mark(desk: Desk) -> None:
    content = b"\xef\xbb\xbfid;email;name\r\nana;ana@example.com;Ana\r\n"
    assert (await desk.bring("users", content, 'delimiter = ";"\n' + USERS, name="people.csv")).new == 1


async def test_bad_lines_of_csv_are_rejected_with_line_and_reason(desk: Desk) -> None:
    bad = [b"c,c@example.com", b"", b"d,d@example.com,D\xe9j\xe0", b'e,"e@example.com"x,E', b"f,f@example.com,F"]
    report = await desk.bring("users", PEOPLE + b"\n".join([*bad, b'g,"g@example.com,G', b""]), name="people.csv")
    assert (report.new, report.rejected) == (3, 4)
    rejected = desk.rejected(report)
    assert [(row["line"], row["reasons"][0][:48]) for row in rejected] == [
        (5, "line has 2 values where the header has 3"),
        (7, "line is not UTF-8"),
        (8, "line is broken CSV (',' expected after '\"'); is "),
        (10, "line is broken CSV (unexpected end of data); is "),
    ]
    assert [row["row"] for row in rejected][1:3] == ["d\td@example.com\tD\udce9j\udce0", 'e,"e@example.com"x,E\n']


async def test_bad_lines_of_jsonl_are_rejected_with_line_and_reason(desk: Desk) -> None:
    lines = [
        json.dumps(ANA).encode(),
        b"{",
        b"[1, 2]",
        b'{"id": "\xff"}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5_000 + b"}",
        b"null",
    ]
    report = await desk.bring("users", b"\n".join(lines))
    assert (report.new, report.rejected) == (1, 6)
    assert [row["reasons"][0] for row in desk.rejected(report)] == [
        "line is not JSON: Expecting property name enclosed in double quotes at character 2",
        "line is not a JSON object; each line has to be one, in braces",
        "line is not UTF-8 at byte 9",
        "line is JSON that is too deep or has a number that is too long",
        "line is JSON that is too deep or has a number that is too long",
        "line is not a JSON object; each line has to be one, in braces",
    ]


async def test_values_of_the_wrong_sort_are_rejected(desk: Desk) -> None:
    await desk.bring("users", [ANA])
    mapping = TICKETS + 'reopen_count = "again"\n'
    rows = [
        ticket("T-1", summary=["a"], description={"b": 1}),
        ticket("T-2", again=-1, created="31.12.2020"),
        ticket("T-3", again=3_000_000_000),
        ticket("T-4", labels=[{"name": "x"}]),
        ticket("T-5", again=2, created="2020-02-30T00:00:00Z"),
        ticket("T-6", again="1.5", priority="soon"),
    ]
    report = await desk.bring("tickets", rows, mapping)
    assert [row["reasons"] for row in desk.rejected(report)] == [
        ["title: is a list in the source, not a text", "description: is an object in the source, not a text"],
        [
            "created_at: '31.12.2020' is not a time like 2026-03-31T14:30:00Z",
            "reopen_count: '-1' is not a whole number from 0 to 2,147,483,647",
        ],
        ["reopen_count: '3000000000' is not a whole number from 0 to 2,147,483,647"],
        ["tags: is an object in the source, not a text"],
        ["created_at: '2020-02-30T00:00:00Z' is not a time like 2026-03-31T14:30:00Z"],
        [
            "priority: 'soon' is none of low, medium, high, urgent; a map can translate it",
            "reopen_count: '1.5' is not a whole number from 0 to 2,147,483,647",
        ],
    ]  # fmt: skip


@pytest.mark.parametrize("email", ["ana", "@example.com", "ana b@example.com", "a" * 250 + "@x.com", ""])
async def test_what_is_no_e_mail_address_is_rejected(desk: Desk, email: str) -> None:
    report = await desk.bring("users", [{**ANA, "email": email}])
    assert (report.new, report.rejected) == (0, 1)
    assert desk.rejected(report)[0]["reasons"][0].startswith("email: ")


BROKEN = gzip.compress(b"".join(json.dumps({**ANA, "id": n}).encode() + b"\n" for n in range(5_000)))[:-3_000]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("people.jsonl.gz", b'{"id": 1}\n', "named .gz but is not gzip"),
        ("people.jsonl", gzip.compress(b"{}"), "is gzip; give it a name that ends in .gz"),
        ("people.jsonl.gz", BROKEN, "breaks off or is damaged"),
        ("people.jsonl.gz", BROKEN[:300] + b"\x00" * 40 + BROKEN[340:], "breaks off or is damaged"),
        ("people.jsonl", b"", "is empty"),
        ("people.xlsx", b"x", "has to end in .csv or .jsonl"),
        ("people.csv", b"id,mail,name\n", "no column 'email', from which mapping.toml fills email. Did you mean mail?"),
        ("people.csv", b"id,id,email,name\n", "has the column 'id' more than once"),
    ],
)
async def test_an_unusable_file_changes_nothing_and_says_why(
    desk: Desk, name: str, content: bytes, message: str
) -> None:
    before = await desk.audited()
    with pytest.raises(BadInput, match=message):
        await desk.bring("users", content, name=name)
    assert await desk.audited() == before
    assert not list(desk.folder.glob("*.rejected.jsonl"))


async def test_a_path_that_no_row_has_is_warned_about(desk: Desk) -> None:
    report = await desk.bring("users", [{**ANA, "full_name": "Ana"}])
    assert report.warnings == ()
    report = await desk.bring("users", [{"id": 1, "email": "x@example.com", "fullname": "X"}])
    assert report.warnings == ("No row has 'name', from which mapping.toml fills full_name. Did you mean fullname?",)


async def test_rejected_rows_go_where_they_are_told_to(desk: Desk) -> None:
    elsewhere = desk.folder / "bad.jsonl"
    report = await desk.bring("users", [{**ANA, "email": "no"}], rejected_file=elsewhere)
    assert report.rejected_file == elsewhere
    assert desk.rejected(report)[0]["row"] == {**ANA, "email": "no"}
    with pytest.raises(BadInput, match=r"could not be written to .*Name another file for them with --rejected"):
        await desk.bring("users", [ANA], rejected_file=Path("/nonexistent/bad.jsonl"))
    with pytest.raises(BadInput, match="could not be written"):
        await desk.bring("users", [{**ANA, "email": "no"}], rejected_file=desk.folder / "source.jsonl")
    assert (desk.folder / "source.jsonl").read_text() == json.dumps({**ANA, "email": "no"}) + "\n"
