"""TraceQL: what is understood, what is refused and where, and that no text breaks the reader or gets into SQL."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.query.predicates import EVERY_SPAN, AllOf, AnyOf, Attribute, Comparison, Exists, HasRelative, Not
from collector.query.span_series import METRICS, Metric
from collector.query.traceql.reading import (
    Combined,
    MetricsQuery,
    Narrowed,
    Result,
    exemplars_hint,
    read_metrics,
    read_traceql,
    read_unfinished,
)
from collector.query.traceql.stages import Kept
from collector.query.wording import Wording
from config.ottl_grammar import OttlError

SERVED = "there are count(), avg, min, max and sum of a field, by, coalesce() and select"
WORDS = st.sampled_from(
    [
        *"{}()<>=!|&~,.-",
        *('"a"', "`b`", "5", "0.5", "10ms", "&&", "||", "!=", "=~", "!~", ">=", ">>", "&>", "!<", " "),
        *("span.a", ".b", 'resource."c d"', "parent.x", "name", "kind", "status", "duration", "trace:duration", "nil", "error"),
        *(
            "true",
            "count()",
            "avg(duration)",
            "select(.a)",
            "with (most_recent=true)",
            "nestedSetParent",
            "traceDuration",
            ".5",
            "rootName",
            "by(.a)",
            "rate()",
            "quantile_over_time(duration, .5)",
        ),
    ]
)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected by, (, { or a name, found the end"),
        ("{", 2, "expected a condition, found the end"),
        ("{ .a", 5, "expected a comparison such as =, &&, || or }, found the end"),
        ("{ .a = }", 8, "expected a value, found }"),
        ("{ .a = 'x' }", 8, "' has no meaning here; texts stand in double quotes"),
        ('{ .a = 1 + "x" }', 8, "texts cannot be calculated with"),
        ("{ .a = 1 / 0 }", 8, "is no number that can be compared with"),
        ("{ .a + (.b = 1) = 2 }", 9, "conditions cannot be calculated with"),
        ("{ event.a + 1 = 2 }", 3, "expected duration or an attribute of spans or resources"),
        ("{ .a + 1 =~ .b }", 13, "=~ compares texts with patterns in double quotes"),
        ("{ .a + 1 }", 3, "expected a condition; compare it with something"),
        (
            "{ colour = 1 }",
            3,
            "colour is no field that is served here; attributes are written as .colour, and texts in double quotes",
        ),
        ("{ statu = ok }", 3, "statu is no field that is served here; did you mean status?"),
        ("{ status = bad }", 12, "expected one of unset, ok, error, found bad"),
        ("{ status > ok }", 12, "ok is compared by = and != only"),
        ('{ kind = "server" }', 10, "expected one of unspecified, internal, server, client, producer, consumer"),
        ("{ .a = \u0661 }", 8, "\u0661 has no meaning here"),
        ("{ duration > 5 }", 14, "expected a duration such as 100ms"),
        ("{ name = 5 }", 10, "expected a text in double quotes"),
        ('{ .a =~ "(" }', 9, "must be a regular expression: missing ): ("),
        ("{ .a =~ 5 }", 9, "=~ compares texts with patterns in double quotes"),
        ("{ .a < nil }", 8, "nil, that is nothing, is compared by = and != only"),
        ("{ .a = event:name }", 8, "only fields of one and the same span are compared with each other"),
        ("{ parent.a != .b }", 3, "only fields of one and the same span are compared with each other"),
        ('{ 1 = "x" }', 3, "expected a field on one side"),
        ('{ "x" =~ 1 }', 3, "expected a field on one side"),
        ("{ nil < nil }", 3, "expected a field on one side"),
        ('{ "x" =~ "(" }', 10, "must be a regular expression: missing ): ("),
        ('{ "x" =~ name }', 10, "=~ compares texts with patterns in double quotes"),
        ("{ duration > 1.5d }", 14, "must be a duration from 1ms to 366d, such as 5m or 1h30m"),
        (
            "{ nestedSetLeft > 3 }",
            19,
            "nestedSetLeft is told by select(nestedSetLeft) only; sets are joined by >> and << instead",
        ),
        ("{ name }", 3, "expected a condition; compare it with something"),
        ("{ !name }", 4, "expected a condition; compare it with something"),
        (
            "{ .b && !.a = 1 }",
            13,
            "! binds closer than comparisons; put what is not to hold in parentheses, as in !(.a = 1)",
        ),
        ("{ nestedSetParent = 7 }", 21, "of nestedSetParent only < 0, which finds roots, and >= 0 are served here"),
        ("{ .a = 1 +  }", 13, "expected a value, found }"),
        ("{ .a = 99999999999999999999 }", 8, "must be at most 9223372036854775807"),
        (
            "{} + {}",
            4,
            (
                "expected &&, ||, | or the end, found +; calculate within braces, or with metrics in parentheses, as in"
                " ({.a = 1} | rate()) / ({} | rate())"
            ),
        ),
        ("{} | rate()", 6, "rate() makes metrics, which are asked for elsewhere than traces"),
        ("({} | rate()) && {}", 7, "rate() makes metrics, which are asked for elsewhere than traces"),
        ("({} | rate()) / ({} | rate())", 1, "is about metrics, which are asked for elsewhere than traces"),
        ("({} | count()) && {}", 7, "count() is compared with a number, as in count() > 2"),
        ("{} | compare({})", 6, "compare() makes metrics, which are asked for elsewhere than traces"),
        ("{} | by()", 6, "by(...) needs fields, as in by(resource.service.name)"),
        ("{} | by(.a) > 1", 15, "by(...) is compared with nothing, as in by(resource.service.name)"),
        ("{} | by(event.a)", 9, "spans are grouped by their own names, kinds, statuses and attributes, or their resources'"),
        ("{} | coalesce(.a)", 15, "coalesce() has no arguments"),
        ("{} | select(1)", 6, "select(...) needs fields, as in select(span.http.route)"),
        ("{} | count() by (.a) > 1", 18, "only metrics are followed by by (...); elsewhere by is a stage of its own"),
        ("{} | topk(3)", 6, "topk(...) stands behind a metric, as in {} | rate() | topk(10)"),
        ("{} | count()", 6, "count() is compared with a number, as in count() > 2"),
        ("{} | avg(name) > 1", 10, "expected duration or an attribute of spans or resources"),
        ("{} | sum(3) > 1", 10, "expected duration or an attribute of spans or resources"),
        ("{} | max(duration / trace:duration) > 1", 10, "expected duration or an attribute of spans or resources"),
        ("{} | min((1 = .a)) > 1", 11, "conditions cannot be calculated with"),
        ("{} | max({}) > 1", 6, f"max(...) is not served here; {SERVED}"),
        ('{} | count() > "x"', 16, "expected a number or a duration"),
        ("{} | count() =~ 5", 14, "=~ compares texts"),
    ],
)
def test_what_is_not_understood_or_served_is_refused_with_its_place(text: str, column: int, message: str) -> None:
    with pytest.raises(OttlError) as refused:
        read_traceql(text)
    assert (refused.value.line, refused.value.column, refused.value.message) == (1, column, message)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("{}", 3, "expected a metric after a bar, as in {} | rate()"),
        ("{} | rate() | count() > 1", 15, "nothing but topk, bottomk and comparisons is served here after a metric"),
        ("{} | rate() | {}", 15, "nothing but topk, bottomk and comparisons is served here after a metric"),
        ("{} | rate() | topk(0)", 15, "topk needs a whole number from 1 to 1000"),
        ("{} | by(.a) | rate()", 15, "by (...) stands behind a metric, as in rate() by (name)"),
        ("{} | rate(.a)", 6, "rate has other arguments, as in rate()"),
        ("{} | compare()", 6, "compare needs spans in braces, as in compare({ status = error }, 10)"),
        ("{} | compare({}, 10, 5)", 6, "compare needs spans in braces, as in compare({ status = error }, 10)"),
        ("{} | compare({}, 1000)", 18, "expected a whole number from 1 to 100"),
        ("{} | compare({}) > 2", 20, "compare(...) is compared with nothing, as in compare({ status = error })"),
        ("{} | compare({}) | topk(10)", 1, "compare(...) stands last: nothing is made of its series"),
        ("({} | compare({})) / ({} | rate())", 1, "compare(...) stands last: nothing is made of its series"),
        ("{} | avg_over_time()", 6, "avg_over_time has other arguments, as in avg_over_time(duration)"),
        ("{} | avg_over_time(5)", 20, "expected duration or an attribute of spans or resources"),
        (
            "{} | quantile_over_time(duration)",
            6,
            "quantile_over_time has other arguments, as in " + METRICS["quantile_over_time"],
        ),
        ("{} | quantile_over_time(duration, 2)", 35, "expected a number from 0 to 1"),
        ("{} | quantile_over_time(duration, .a)", 35, "expected a number from 0 to 1"),
        (
            "{} | rate() by (traceDuration)",
            17,
            "series are told apart by names, kinds, statuses, ids, durations and attributes, and by their roots",
        ),
        ("({} | rate()) | {}", 17, "nothing but topk, bottomk and comparisons is served here after a metric"),
        ("({} | rate()) + ({} | rate()) | topk(0)", 33, "topk needs a whole number from 1 to 1000"),
        ("({} | rate()) =~ 1", 15, "=~ compares texts"),
        ("(2 > 1) * ({} | rate())", 2, "expected a metric, as in ({} | rate())"),
    ],
)
def test_what_is_no_metric_is_refused_with_its_place(text: str, column: int, message: str) -> None:
    with pytest.raises(OttlError) as refused:
        read_metrics(text)
    assert (refused.value.line, refused.value.column, refused.value.message) == (1, column, message)


def test_a_metric_has_a_field_quantiles_and_groups() -> None:
    found = read_metrics("{ true } | quantile_over_time(span.x, .5, 0.99) by (resource.service.name, name)")
    assert isinstance(found, MetricsQuery)
    assert found.where == EVERY_SPAN
    groups = {"resource.service.name": Attribute("resource", "service.name"), "name": "name"}
    assert found.metric == Metric("quantile_over_time", Attribute("span", "x"), (0.5, 0.99), groups)


def _written(result: Result) -> str:
    match result:
        case MetricsQuery():
            return result.metric.function
        case Narrowed():
            stages = (f"{each.operator} {each.value:g}" if isinstance(each, Kept) else each.function for each in result.then)
            return f"[{_written(result.of)} {', '.join(stages)}]"
        case Combined():
            return f"({_written(result.left)} {result.operator} {_written(result.right)})"
    return f"{result:g}"


@pytest.mark.parametrize(
    ("text", "calculated"),
    [
        ("({ .a = 1 } | rate())", "rate"),
        ("({ .a = 1 } | rate()) / ({} | rate() by (name) | topk(3))", "(rate / [rate topk])"),
        ("({ .a = 1 } | rate()) / ({} | rate()) | topk(5) > 1 / 2", "[(rate / rate) topk, > 0.5]"),
        ("(({} | rate()) * -100 > 2) + ({} | rate() != 3)", "([(rate * -100) > 2] + [rate != 3])"),
        ("({} | max_over_time(duration)) > 10s | bottomk(1)", "[max_over_time > 10, bottomk]"),
        ("-.5 - -2 * ({} | rate())", "(-0.5 - (-2 * rate))"),
        ("(({}) | rate()) + ({} | count_over_time()) * 2 - 1.5", "((rate + (count_over_time * 2)) - 1.5)"),
        ("2 * ((({} && {}) | rate()) - (({} | rate()) / 3)) with (sample = true)", "(2 * (rate - (rate / 3)))"),
    ],
)
def test_metrics_are_calculated_with(text: str, calculated: str) -> None:
    assert _written(read_metrics(text)) == calculated


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        ("", None),
        (" with (sample = true)", None),
        (" with (exemplars = true)", True),
        (" with (sample = .1, exemplars = false)", False),
        (" with (exemplars = 7)", 7),
    ],
)
def test_hints_say_how_many_exemplars_there_are(hints: str, said: int | bool | None) -> None:
    assert exemplars_hint("{} | rate()" + hints) is said


def test_what_only_narrows_an_alternative_is_not_looked_for() -> None:
    one, other = (Exists(Attribute("span", key)) for key in "ab")
    found = read_traceql("({ span.a != nil } &>> { span.b != nil }) || ({ span.a != nil })").where
    assert found == AnyOf((AllOf((other, HasRelative("ancestor", one))), one))
    both = AllOf((Comparison(Attribute("span", "a"), "=", value=True), other))
    unequal = Comparison(Attribute("span", "a"), "=", 1)
    assert read_traceql("{ span.a = true && span.b != nil } || { span.a = 1 }").where == AnyOf((both, unequal))


@pytest.mark.parametrize(
    ("text", "with_parentheses"),
    [
        ("{ .a || .b && .c }", "{ (.a || .b) && .c }"),
        ("{ .a && .b || .c && .d && .e }", "{ ((.a && .b) || .c) && .d && .e }"),
        ("{ .a } || { .b } && { .c }", "({ .a } || { .b }) && { .c }"),
        ("{ .a } || { .b } && { .c } > { .d }", "({ .a } || { .b }) && ({ .c } > { .d })"),
        ("{ !.a && .b }", "{ .a = false && .b }"),
        ("{ !(.a = 1) || !(.b) }", "{ (!(.a = 1)) || .b = false }"),
        ("{ !!.a || !!!.b && !!(.c = 1) }", "{ (.a = true || .b = false) && .c = 1 }"),
        ("{ -.a ^ 2 = 1 }", "{ -(.a ^ 2) = 1 }"),
        ("{ -.a * 2 - 3 = 1 }", "{ (-(.a * 2)) - 3 = 1 }"),
        ("{ .a * -2 ^ -3 = 1 }", "{ .a * (-(2 ^ (-3))) = 1 }"),
    ],
)
def test_what_binds_closer_is_what_does_in_tempo(text: str, with_parentheses: str) -> None:
    assert read_traceql(text) == read_traceql(with_parentheses)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('"" = ""', True),
        ('"web" != "cart"', True),
        ('"b" < "a"', False),
        ('"web" =~ "w.b|cart"', True),
        ('"web" =~ "w"', False),
        ('"web" !~ "w"', True),
        ("nil = nil", True),
        ("nil != nil", False),
        ("minInt < maxInt", True),
        ("2 ^ 3 = 8.0", True),
        ("-2 ^ 2 = -4", True),
    ],
)
def test_constants_hold_of_every_span_or_of_none(text: str, holds: bool) -> None:
    assert read_traceql(f"{{ {text} }}").where == (EVERY_SPAN if holds else AnyOf(()))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("1.5E-2", 0.015),
        (".5e1", 5.0),
        ("2d", 2 * 86400 * 10**9),
        ("1w1d", 8 * 86400 * 10**9),
        ("1y", 365 * 86400 * 10**9),
        ("1d12h", 36 * 3600 * 10**9),
        ("1.5h", 5400 * 10**9),
        ("minInt", -(2**63)),
        ("maxInt", 2**63 - 1),
    ],
)
def test_numbers_and_durations_are_written_as_in_go_and_prometheus(text: str, value: float) -> None:
    assert read_traceql(f"{{ span.x > {text} }}").where == Comparison(Attribute("span", "x"), ">", value)


@pytest.mark.parametrize("field", ["traceDuration", "trace:duration", "span:childCount", "nestedSetParent", "nestedSetLeft"])
def test_what_every_span_has_is_never_nil(field: str) -> None:
    assert read_traceql(f"{{ {field} != nil }}").where == EVERY_SPAN
    assert read_traceql(f"{{ nil = {field} }}").where == Not(EVERY_SPAN)


def test_comments_say_nothing() -> None:
    commented = "{ // which spans\n .a//b = 1 /* those\n of // both */ && name = `//` } | count() > 1 // and how many"
    assert read_traceql(commented) == read_traceql('{ .a//b = 1 && name = "//" } | count() > 1')


def test_metrics_are_of_sets_that_no_parentheses_part_from_what_is_measured() -> None:
    with pytest.raises(OttlError, match=r"^line 1, column 20: expected a comparison such as =, \| or the end, found &&$"):
        read_metrics("({} | count() > 1) && ({}) | rate()")


def test_a_query_may_begin_with_what_is_measured() -> None:
    assert read_traceql("max(duration) > 3s | { .a = 1 }") == read_traceql("{} | max(duration) > 3s | { .a = 1 }")


def test_the_place_is_counted_in_lines() -> None:
    with pytest.raises(OttlError, match=r"^line 2, column 11: expected a text"):
        read_traceql("{ .a = 1 &&\n   name = 2 }")


@pytest.mark.parametrize(
    "text",
    [
        "{ .a = 1 }" + " | count() > 1" * 12,
        "(" * 300 + "{}" + ")" * 300,
        "{ .a = " + " + ".join([".b"] * 101) + "}",
        "{" + "!" * 900 + ".a }",
        "{" + " && ".join([".a"] * 101) + "}",
        " &> ".join(["{ .a }"] * 20),
        "({} | count() > 1 | " * 150 + "{}" + ")" * 150,
        "(" * 9 + "{ .a }" + " && { .a })" * 9,
        "{}" + " " * 20_000,
        " ~ ".join(["{}"] * 7),
        " >> ".join(["{}"] * 22),
        " !< ".join(["{ .a }"] * 22),
    ],
)
def test_what_would_ask_for_too_much_is_refused(text: str) -> None:
    with pytest.raises(OttlError):
        read_traceql(text)


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        (".http.request.method", Attribute("span or resource", "http.request.method")),
        ("span.a-b/c", Attribute("span", "a-b/c")),
        ('resource."a b".c', Attribute("resource", "a b.c")),
        ('span."say \\"x\\""', Attribute("span", 'say "x"')),
        (".span.x", Attribute("span or resource", "span.x")),
        ("instrumentation.y", Attribute("scope", "y")),
    ],
)
def test_keys_of_attributes_are_read_as_they_are_written(text: str, attribute: Attribute) -> None:
    assert read_traceql(f"{{{text}=1}}").where == Comparison(attribute, "=", 1)
    assert read_traceql(f"{{ 1 < {text} }}").where == Comparison(attribute, ">", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", EVERY_SPAN),
        ("{ span.foo=", AllOf()),
        ("{ .a = 1 && .b", AllOf((Comparison(Attribute("span or resource", "a"), "=", 1),))),
        ("{ .a = 1 && span.foo= }", AllOf((Comparison(Attribute("span or resource", "a"), "=", 1),))),
        ("{ .a = 1 || .b", EVERY_SPAN),
    ],
)
def test_of_what_is_half_typed_the_whole_conditions_count(text: str, expected: AllOf) -> None:
    assert read_unfinished(text) == expected


# The parser is made when the first text is read.
@settings(deadline=None)
@given(st.lists(WORDS, max_size=25).map("".join) | st.text(max_size=40))
def test_any_text_is_understood_or_refused_with_a_place_in_it(text: str) -> None:
    read_unfinished(text)
    with suppress(OttlError):
        read_metrics(text)
    refusal: OttlError | None = None
    try:
        query = read_traceql(text)
    except OttlError as error:
        refusal = error
    if refusal is not None:
        lines = text.split("\n")
        assert 1 <= refusal.line <= len(lines)
        assert 1 <= refusal.column <= len(lines[refusal.line - 1]) + 1
        return
    sql = Wording("otel_traces", {}).condition(query.where)
    assert sql.count("(") == sql.count(")")


# The parser is made when the first text is read.
@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=20).filter(lambda value: "`" not in value))
def test_no_text_of_a_query_ever_stands_in_its_sql(key: str, value: str) -> None:
    def sql(key: str, value: str) -> str:
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        query = read_traceql(f'{{ span."key {quoted}" = `<{value}>` && name != `<{value}>` }} > {{ event:name = `<{value}>` }}')
        return Wording("otel_traces", {}).condition(query.where)

    assert sql(key, value) == sql("k", "v")
