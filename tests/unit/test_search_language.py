"""The language of the search box: what words mean, and what is said of those that mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query.conditions import OfTrace, TraceSearch
from collector.query.language import Query, read_query
from collector.query.predicates import (
    EVERY_SPAN,
    ROOT,
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Exists,
    HasRelative,
    Not,
    Predicate,
)
from collector.query.ranking import ranking_statement
from collector.query.store import SpanStore
from config.ottl import read_condition
from config.ottl_grammar import OttlError
from exporters.clickhouse.client import ClickHouseClient

KEY = Comparison(Attribute("span", "k"), "=", "v")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("service = checkout-api", Comparison("service", "=", "checkout-api")),
        ('span.name == "GET /"', Comparison("name", "=", "GET /")),
        ("duration > 1m1.5s", Comparison("duration", ">", 61_500_000_000)),
        ("kind = SPAN_KIND_SERVER", Comparison("kind", "=", "Server")),
        ("span.kind == 2", Comparison("kind", "=", "Server")),
        ("status.code != STATUS_CODE_ERROR", Not(Comparison("status", "=", "Error"))),
        ("status in (ok, error)", AnyOf((Comparison("status", "=", "Ok"), Comparison("status", "=", "Error")))),
        ('attributes["k"] == "v"', KEY),
        ('span.attributes["k"] == "v"', KEY),
        ("span.k = v", KEY),
        ("resource.host.name = a.b", Comparison(Attribute("resource", "host.name"), "=", "a.b")),
        ('resource.attributes["host.name"] != nil', Exists(Attribute("resource", "host.name"))),
        ("event.retries < -1.5", Comparison(Attribute("event", "retries"), "<", -1.5)),
        ("scope.flag = true", Comparison(Attribute("scope", "flag"), "=", True)),
        ('link["a b"] =~ "x.*"', Comparison(Attribute("link", "a b"), "=~", "x.*")),
        ('not (name !~ "x")', Not(Not(Comparison("name", "=~", "x")))),
        ('IsRootSpan() and HasPrefix(name, "G")', AllOf((ROOT, Comparison("name", "starts with", "G")))),
        ('{name = "a"}', Comparison("name", "=", "a")),
        ("{}", EVERY_SPAN),
        ("not {span.k = v}", Not(HasRelative("anybody", KEY))),
        ('parent_span_id = ""', ROOT),
    ],
)
def test_words_mean_a_predicate(text: str, expected: Predicate) -> None:
    assert read_query(text) == Query(expected, ())


def test_a_plain_key_is_of_the_span_or_its_resource_and_any_key_of_all_that_a_span_has() -> None:
    assert read_query("http.route = v").where == Comparison(Attribute("span or resource", "http.route"), "=", "v")
    where = read_query("any.http.route = v").where
    assert where == read_query('any["http.route"] = v').where
    assert isinstance(where, AnyOf)
    assert [term.field.level for term in where.terms] == ["span", "resource", "scope", "event", "link"]  # type: ignore[union-attr]  # all are comparisons of attributes


def test_braces_are_about_several_spans_and_all_else_about_one() -> None:
    name = Comparison("name", "=", "a")
    assert read_query("{span.k = v} and {name = a}").where == AllOf(
        (AnyOf((KEY, name)), HasRelative("anybody", KEY), HasRelative("anybody", name))
    )
    assert read_query("span.k = v and name = a").where == AllOf((KEY, name))
    assert read_query("span.k = v and {name = a}").where == AllOf((KEY, HasRelative("anybody", name)))


def test_measures_of_the_trace_stand_beside_conditions_on_spans() -> None:
    query = read_query("span.k = v and trace.duration >= 2s and (trace.errors > 0 and trace.root.service = web)")
    assert query == Query(
        KEY, (OfTrace("duration", ">=", 2 * 10**9), OfTrace("errors", ">", 0), OfTrace("root service", "=", "web"))
    )
    assert read_query("trace.spans > 3") == Query(EVERY_SPAN, (OfTrace("spans", ">", 3),))


@pytest.mark.parametrize(
    "text",
    [
        'attributes["k"] == "v" and not (span.kind == SPAN_KIND_SERVER or resource.attributes["a b"] != nil)',
        'IsMatch(span.name, "^GET") and IsRootSpan()',
        'HasPrefix(name, "G") or span.status.code == STATUS_CODE_ERROR',
        'attributes["n"] >= 5 and attributes["x"] != "\\u00e9"',
        'instrumentation_scope.name == "lib" and attributes["b"] == true',
    ],
)
def test_conditions_of_filters_can_be_searched_by(text: str) -> None:
    assert read_condition(text, "span")
    assert read_query(text)


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("", 1, "expected a condition, found the end"),
        ("service =", 10, "expected a value, found the end"),
        ("service", 8, 'expected a comparison such as = or "in", found the end'),
        ("a = 'b'", 5, "double quotes"),
        ('a = "b', 5, "no closing quote"),
        ("a & b", 3, "write and, or, not"),
        ("(a = 1", 7, "expected ), found the end"),
        ("a = 1 b = 2", 7, 'expected "and", "or" or the end, found b'),
        ("duration > 5", 12, "such as 250ms"),
        ("trace.foo = 1", 1, "nothing that is known of a trace"),
        ("kind = foo", 8, "unspecified, internal, server"),
        ("status > ok", 10, "> is not possible here"),
        ('name =~ "("', 9, "regular expression"),
        ("a = 1 or trace.spans > 1", 1, "joined by and"),
        ("not trace.spans > 3", 1, "joined to other conditions by and"),
        ("{a = 1 and {b = 2}}", 12, "braces do not stand within braces"),
        ("{trace.spans > 1}", 2, "outside of braces"),
        ("span.flags = 1", 1, "cannot be searched by"),
        ("a[1] = 2", 3, "keys are texts"),
        ('a.b["c"] = 2', 1, "has no keys"),
        ("a = 9223372036854775808", 5, "must be at most"),
        ('a = b["c"]', 5, "two fields"),
        ("trace_id = abc", 12, "hexadecimal"),
        ("name = nil or name > nil", 22, "= and != only"),
        ("Foo(name)", 1, "IsMatch"),
        ("a =\n  =", 3, "expected a value"),
        (f"{'not ' * 60}a = 1", 205, "stand within each other"),
        (" or ".join(["a = 1"] * 101), 901, "more than 100 conditions"),
        (f"a in ({'b,' * 100}b)", 207, "more than 100 conditions"),
        ("a" * 10_001, 10_001, "at most 10000 characters"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text: str, column: int, told: str) -> None:
    with pytest.raises(OttlError) as error:
        read_query(text)
    assert told in error.value.message
    assert error.value.column == column


def test_the_examples_of_the_documentation_are_understood() -> None:
    text = (Path(__file__).parents[2] / "docs" / "query-api.md").read_text(encoding="utf-8")
    examples = text.split("### Searching in words\n\n```\n")[1].split("\n```")[0].splitlines()
    assert all(read_query(example).where != EVERY_SPAN for example in examples)


WORDS = [
    "a",
    "name",
    "trace.spans",
    "and",
    "or",
    "not",
    "(",
    ")",
    "{",
    "}",
    "=",
    "!=",
    "=~",
    "in",
    '"x"',
    "5",
    "5ms",
    "nil",
    ",",
    "[",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        read_query(text)
    except OttlError as error:
        column = error.column
    else:
        column = 1
    assert 1 <= column <= len(text) + 1


@given(st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cs"]), max_size=20))
def test_no_value_of_a_query_ever_stands_in_its_sql(value: str) -> None:
    store = SpanStore(ClickHouseClient(["http://127.0.0.1:1"]))

    def sql(word: str) -> str:
        query = read_query(f'any["{word}"] = "{word}" and HasPrefix(name, "{word}") and "{word}" and trace.root.name = "{word}"')
        search = TraceSearch(0, 10, "default", where=query.where, traces=query.traces)
        return ranking_statement(store, search, None).sql

    assert sql(f"<{value}>") == sql("x")
