"""Conditions are read, and what cannot be meant is refused, with the place and what would be right."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import ottl_nodes as nodes
from config.ottl import Context, OttlError, read_condition, read_flat_condition
from config.ottl_functions import FUNCTIONS
from config.ottl_nodes import Comparison, Constant, Level, Logic, Negation
from config.ottl_paths import ENUMS, FIELDS
from tests.unit.test_ottl_evaluate import FORMS

BROKEN = [
    ("", 1, "expected a value, found the end"),
    ("name ==", 8, "expected a value, found the end"),
    ('name = "x"', 6, "for equality write =="),
    ("name == 'x'", 9, "double quotes"),
    ('name == "x', 9, "no closing quote"),
    ('name == "a" && kind == 1', 13, "write and, or, not"),
    ('(name == "a"', 13, "expected "),
    ('name == "a" kind', 13, 'expected "and", "or" or the end, found kind'),
    ('span.nme == "x"', 1, "did you mean span.name?"),
    ('attribute["x"] == 1', 1, "did you mean attributes?"),
    ('IsMach(name, "x")', 1, "did you mean IsMatch?"),
    ("IsMatch(name)", 1, "needs pattern: it takes target, pattern"),
    ('IsMatch(name, "x", "y")', 20, "takes target, pattern"),
    ('IsMatch(name, patern = "x")', 24, "did you mean pattern?"),
    ('IsMatch(name, attributes["x"])', 15, "pattern must be written out"),
    ('IsMatch(name, "*.css")', 15, "looks like a glob"),
    ('IsMatch(name, "(")', 15, "must be a regular expression: missing )"),
    ('ConvertCase(name, "title") == "x"', 19, "must be one of lower, upper, snake, camel"),
    ("Len(3) == 1", 5, "found int"),
    ('Coalesce([]) == "a"', 10, "needs a value at least"),
    ('IsInCIDR(name, ["10.0.0.0"])', 16, "10.0.0.0 is no network; write 10.0.0.0/8 or fd00::/8"),
    ('Sort(attributes["a"], "up") == nil', 23, "must be one of asc, desc"),
    ("SpanID(0x00) == span_id", 8, "takes 8 bytes, found 1"),
    ('Duration("5 ms") < end_time - start_time', 10, "such as 200ms"),
    ('Time("5", "%Q") > start_time', 11, "%Q is not known in times"),
    ("Now() > start_time", 1, "read again from the journal"),
    ('set(name, "x")', 1, "changes spans"),
    ('span.status.code == "ERROR"', 18, "which is always false; did you mean STATUS_CODE_ERROR?"),
    ('kind != "pink"', 6, "which is always true; its values are SPAN_KIND_UNSPECIFIED"),
    ("start_time > 5", 12, "did you mean start_time_unix_nano?"),
    ("end_time - start_time < 5", 23, 'as Duration("100ms")'),
    ("name == nil", 6, "compares string with nil"),
    ("SPAN_KIND_SERVR == kind", 1, "did you mean SPAN_KIND_SERVER?"),
    ('name + "x" == "y"', 6, "cannot calculate string + string"),
    ("1 + 2.0 == 3.0", 3, "convert one side with Int or Double"),
    ("-name == 1", 1, "numbers only"),
    ('attributes["x"]', 1, "compare it, as in == true"),
    ("name", 1, "compare it"),
    ('"x"', 1, "expected a condition, found string"),
    ('Bool(attributes["x"])', 1, "compare it, as in == true"),
    ("attributes == nil", 1, 'as in attributes["key"]'),
    ("attributes[1] == nil", 1, 'as in attributes["key"]'),
    ('attributes[""] == nil', 1, "must not be empty"),
    ('name["x"] == "y"', 1, "name has no keys"),
    ('spanevent.name == "x"', 1, "put it under spanevent"),
    ('cache["x"] == 1', 1, "cache is empty"),
    ("resource == 1", 1, "such as resource.attributes"),
    ('name == "\\d"', 10, "\\d is no escape"),
    ('name == "\\ud800"', 10, "is no character"),
    ("trace_id == 0x1", 13, "two hexadecimal digits"),
    ('attributes["a"] == 9223372036854775808', 20, "at most 9223372036854775807"),
    ('name == "x"\n  or nme == "y"', 6, "line 2, column 6: nme is not a known field"),
]


@pytest.mark.parametrize("text", FORMS)
def test_the_usual_forms_are_read(text: str) -> None:
    assert str(read_condition(text, "span")) == text
    assert read_flat_condition(text.replace("IsRootSpan() ", "")).level is Level.SPAN


@pytest.mark.parametrize(("text", "column", "message"), BROKEN)
def test_broken_conditions_are_refused_with_place_and_remedy(text: str, column: int, message: str) -> None:
    with pytest.raises(OttlError) as caught:
        read_condition(text, "span")
    assert message in str(caught.value)
    assert caught.value.column == column


def test_the_page_names_every_field_and_function() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "processors.md").read_text(encoding="utf-8")
    names = [*FUNCTIONS, *ENUMS, *(name for fields in FIELDS.values() for name in fields)]
    assert [name for name in names if f"`{name}`" not in page and f'`{name}["key"]`' not in page] == []


def test_and_binds_tighter_than_or_and_not_tightest() -> None:
    root = read_condition('not name == "a" and kind == 1 or kind == 2', "span").root
    assert isinstance(root, Logic)
    assert root.operator == "or"
    both = root.terms[0]
    assert isinstance(both, Logic)
    assert both.operator == "and"
    assert isinstance(both.terms[0], Negation)
    assert isinstance(both.terms[0].term, Comparison)


def test_names_without_prefix_are_about_the_event_where_the_condition_is() -> None:
    root = read_condition("name == span.name", "spanevent").root
    assert isinstance(root, Comparison)
    assert isinstance(root.left, nodes.Path)
    assert isinstance(root.right, nodes.Path)
    assert (root.left.level, root.right.level) == (Level.EVENT, Level.SPAN)


def test_flat_conditions_tell_by_their_prefixes_what_they_are_about() -> None:
    assert read_flat_condition('spanevent.name == "x" and span.name == "y"').level is Level.EVENT
    assert read_flat_condition('resource.attributes["a"] == "y"').level is Level.SPAN
    with pytest.raises(OttlError, match=r"must say what it is about, as in span\.name"):
        read_flat_condition('name == "x"')


def test_escapes_of_texts_mean_what_they_mean_in_go() -> None:
    root = read_condition(r'name == "\t\"\\\x41\101\u00e9\U0001F600"', "span").root
    assert isinstance(root, Comparison)
    assert isinstance(root.right, Constant)
    assert root.right.value == '\t"\\AAé😀'


def test_what_is_nested_too_deep_or_too_long_is_refused() -> None:
    for text in ("(" * 500 + "true" + ")" * 500, "not " * 500 + "true", "1 " + "+ 1 " * 500 + "== 1", " " * 20_000):
        with pytest.raises(OttlError):
            read_condition(text, "span")
    long = " or ".join(f'name == "{number}"' for number in range(400))
    assert isinstance(read_condition(long, "span").root, Logic)


WORDS = st.one_of(
    st.sampled_from('()[]{}.,=+-*/:"\\é'),
    st.sampled_from(["==", "<=", "and", "or", "not", "nil", "true", '"a"', "0x0", "1", "1.5", "name", "attributes", "span"]),
    st.sampled_from(["spanevent", "IsMatch", "Len", "SPAN_KIND_SERVER", '["k"]']),
)


@pytest.mark.parametrize("context", ["span", "spanevent"])
@given(text=st.one_of(st.text(string.printable + "é\ud800"), st.lists(WORDS, max_size=30).map(" ".join)))
def test_whatever_is_written_is_read_or_refused_with_a_place_in_it(context: Context, text: str) -> None:
    found = None
    try:
        read_condition(text, context)
    except OttlError as error:
        found = error
    assert found is None or 1 <= found.line <= text.count("\n") + 1
    assert found is None or 1 <= found.column <= len(text) + 1
