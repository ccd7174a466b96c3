"""The language of a search: what is read, how it is written again, and what is refused at which character."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin_app.queries.terms import DEEPEST, MOST, All, Either, Field, Not, Term, Text, parse, parts_of


def words(*texts: str) -> tuple[Text, ...]:
    return tuple(map(Text, texts))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("printer", Text("printer")),
        ("  paper   jam ", All(words("paper", "jam"))),
        ('"paper jam" -toner', All((Text("paper jam", quoted=True), Not(Text("toner"))))),
        ("fuser or printer", Either(words("fuser", "printer"))),
        ("a b OR c", Either((All(words("a", "b")), Text("c")))),
        ("a AND b", All(words("a", "b"))),
        ("NOT a", Not(Text("a"))),
        ("NOT -a", Text("a")),
        ("status:open", Field("status", "open")),
        ("Status:open,in_progress", Field("status", "open,in_progress")),
        ('tag:"two words",x y', All((Field("tag", '"two words",x'), Text("y")))),
        ("created:>2026-01-01", Field("created", ">2026-01-01")),
        ("-tag:x", Not(Field("tag", "x"))),
        (
            "(status:open assignee:me) OR priority:urgent",
            Either((All((Field("status", "open"), Field("assignee", "me"))), Field("priority", "urgent"))),
        ),
        ("a (b OR c)", All((Text("a"), Either(words("b", "c"))))),
        ("((a)) (b)", All(words("a", "b"))),
        ("-(a b)", Not(All(words("a", "b")))),
        ("", None),
        ('  ""  ', None),
    ],
)
def test_a_search_is_read_into_a_tree(text: str, tree: Term | None) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "error: timeout",
        "http://example.com/a?b=c",
        "C:\\temp",
        "12:30",
        "std::vector",
        '19" screen',
        ":( sad",
        "a) first",
        "f(x) returns",
        "wi-fi - off",
        "50% of user_ids",
        "foo:",
        "--",
        "ORACLE and NOTES",
    ],
)
def test_an_ordinary_text_is_words_whatever_its_signs(text: str) -> None:
    tree = parse(text)
    leaves = tree.terms if isinstance(tree, All) else (tree,)
    assert [leaf.text for leaf in leaves if isinstance(leaf, Text)] == text.split()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('printer "paper jam', "has a double quote at character 9 without its other one."),
        ('tag:"two', "has a double quote at character 5 without its other one."),
        ("a (b", r"has a \( at character 3 that is not closed."),
        ("a ()", "has nothing between the parentheses at character 3."),
        ("OR a", "has an OR at character 1 with nothing on one of its sides."),
        ("a OR", "has an OR at character 3 with nothing on one of its sides."),
        ("a OR OR b", "has an OR at character 6"),
        ("AND a", "has an AND at character 1"),
        ("a AND", "has an AND at character 3"),
        ("a AND OR b", "has an AND at character 3"),
        ("a NOT", "has a NOT at character 3 with nothing behind it."),
        ("(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1), f"is nested more than {DEEPEST} times at character 21."),
        ("-" * (DEEPEST + 1) + "a", f"is nested more than {DEEPEST} times"),
        ("a " * (MOST + 1), f"has more than {MOST} words and fields."),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(text)


PIECES = st.sampled_from(
    ["a", "b", "OR", "or", "AND", "NOT", "(", ")", "-", '"', " ", " ", "x:", "status:", "open", ">", "%", "_", ":", ","]
)


@given(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=30).map("".join)))
@settings(max_examples=2_000, deadline=None)
def test_any_text_is_a_tree_that_reads_the_same_when_it_is_written_or_a_mistake(text: str) -> None:
    try:
        tree = parse(text)
    except ValueError:
        return
    assert parse(str(tree) if tree else "") == tree
    for part in parts_of(tree) if tree else ():
        parse(part.without)


def test_each_term_can_be_taken_away_and_words_side_by_side_are_one() -> None:
    tree = parse('paper "jam now" status:open -toner (a OR b)')
    assert tree is not None
    assert [(str(part), part.without) for part in parts_of(tree)] == [
        ('paper "jam now"', "status:open -toner (a OR b)"),
        ("status:open", 'paper "jam now" -toner (a OR b)'),
        ("-toner", 'paper "jam now" status:open (a OR b)'),
        ("a OR b", 'paper "jam now" status:open -toner'),
    ]
    assert [part.without for part in parts_of(Either(words("a", "b")))] == [""]
