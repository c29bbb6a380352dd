"""PromQL is read as Prometheus' parser reads it, in its port to Rust; what is wrong or not served is told with its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import promql_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.query.promql.expressions import (
    Aggregation,
    At,
    Binary,
    Call,
    Expression,
    Matcher,
    Matching,
    Negated,
    Number,
    Selector,
    Subquery,
    Text,
)
from collector.query.promql.literals import read_duration
from collector.query.promql.reading import STANDING_STEP_NS, read_promql, read_selector
from config.ottl_grammar import OttlError

NS = 10**9
OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def expected(node: Any) -> Expression:
    """What the other parser has read, in our words."""
    match type(node).__name__:
        case "NumberLiteral":
            return Number(node.val)
        case "StringLiteral":
            return Text(node.val)
        case "ParenExpr":
            return expected(node.expr)
        case "UnaryExpr":
            return Negated(expected(node.expr))
        case "VectorSelector":
            return Selector(_matchers(node), 0, _offset(node), _at(node))
        case "MatrixSelector":
            of = node.vector_selector
            return Selector(_matchers(of), int(node.range.total_seconds() * NS), _offset(of), _at(of))
        case "SubqueryExpr":
            step_ns = int(node.step.total_seconds() * NS) if node.step is not None else STANDING_STEP_NS
            return Subquery(expected(node.expr), int(node.range.total_seconds() * NS), step_ns, _offset(node), _at(node))
        case "Call" if node.func.name in ("rate", "increase", "irate"):
            return Call(node.func.name, tuple(map(expected, node.args)))
        case "Call":
            return Call(node.func.name, tuple(_minute_by_minute(expected(each)) for each in node.args))
        case "AggregateExpr":
            parameter = expected(node.param) if node.param is not None else None
            labels, without = (), False
            if node.modifier is not None:
                labels = tuple(node.modifier.labels)
                without = str(node.modifier.type).endswith("Without")
            return Aggregation(str(node.op), expected(node.expr), parameter, labels, without)  # type: ignore[arg-type]  # a text
        case "BinaryExpr":
            return Binary(
                str(node.op),
                expected(node.lhs),
                expected(node.rhs),
                bool(node.modifier and node.modifier.return_bool),
                _matching(node.modifier),
            )
    raise AssertionError(node)


def _matchers(node: Any) -> tuple[Matcher, ...]:
    named = [Matcher("__name__", "=", node.name)] if node.name else []
    return (*named, *(Matcher(m.name, OPERATORS[str(m.op).rpartition(".")[2]], m.value) for m in node.matchers.matchers))  # type: ignore[arg-type]  # one of these texts


def _offset(node: Any) -> int:
    return int(node.offset.total_seconds() * NS) if node.offset is not None else 0


def _at(node: Any) -> At:
    words: dict[str, At] = {"@ start()": "start", "@ end()": "end"}
    text = str(node.at)
    return None if node.at is None else words[text] if text in words else round(float(text.removeprefix("@ ")) * NS)


def _minute_by_minute(argument: Expression) -> Expression:
    match argument:
        case Selector(matchers, range_ns, offset_ns, at) if range_ns:
            return Subquery(Selector(matchers), range_ns, STANDING_STEP_NS, offset_ns, at)
    return argument


def _matching(modifier: Any) -> Matching:
    if modifier is None or modifier.matching is None:
        return Matching()
    card = str(modifier.card)
    many = "left" if "ManyToOne" in card else "right" if "OneToMany" in card else ""
    labels = modifier.matching
    included = tuple(modifier.group_labels or ()) if many else ()
    return Matching(tuple(labels.labels), str(labels.type).endswith("Exclude"), many, included)  # type: ignore[arg-type]  # as above


def normal(expression: Expression) -> Expression:
    """Labels in order, and signs of numbers within them: the other parser has it so."""
    match expression:
        case Selector(matchers):
            return replace(expression, matchers=tuple(sorted(matchers, key=repr)))
        case Subquery(of):
            return replace(expression, of=normal(of))
        case Call(function, arguments):
            return Call(function, tuple(map(normal, arguments)))
        case Aggregation(operator, of, parameter, labels, without):
            return Aggregation(operator, normal(of), parameter and normal(parameter), tuple(sorted(labels)), without)
        case Negated(of):
            negated = normal(of)
            return Number(-negated.value) if isinstance(negated, Number) else Negated(negated)
        case Binary(operator, left, right, as_number, m):
            matching = Matching(tuple(sorted(m.labels)), m.ignoring, m.many, tuple(sorted(m.included)))
            return Binary(operator, normal(left), normal(right), as_number, matching)
    return expression


NAMES = st.sampled_from(["calls_total", "a:b", "x", "offset_of", "sum_of", "infinite", "by_name"])
LABELS = st.sampled_from(["service", "le", "on", "by", "bool", "_x", '"http.status"'])
TEXTS = st.sampled_from(['"cart"', "'it''s'"[:4] + "'", '"a\\n\\"b\\u00e4"', "`raw\\n`", '""', '"(a|b).*"'])
MATCHERS = st.builds("{}{}{}".format, LABELS, st.sampled_from(["=", "!=", "=~", " !~ "]), TEXTS)
DURATIONS = st.sampled_from(["5m", "1h30m", "90s", "250ms", "1d", "2w", "300", "1.5"])
TIMES = st.one_of(
    st.just(""),
    DURATIONS.map(" offset {}".format),
    st.sampled_from([" @ 34560000", " @ start()", " @ end() offset 5m", " offset -1h30m @ 34560000.5"]),
)
NUMBERS = st.sampled_from(["1", "0.5", "1e3", "0x1F", ".5", "Inf", "2.", "90s"])
LISTS = st.lists(LABELS, max_size=2, unique=True).map(lambda names: f"({', '.join(names)})")
SELECTORS = st.builds(
    lambda name, matchers, offset: f"{name}{{{', '.join(matchers)}}}{offset}",
    NAMES,
    st.lists(MATCHERS, max_size=2),
    TIMES,
)
RANGES = st.builds("{}[{}]{}".format, NAMES, DURATIONS, TIMES)
WINDOWS = st.sampled_from(["1h:1m", "30m:", "5m:30s", "2h30m:1h"])
SCALARS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(["+", "-", "*", "/", "%", "^", "atan2", "== bool", "< bool"]), inner),
        inner.map("({})".format),
        inner.map("-{}".format),
    ),
    max_leaves=4,
)
MATCHINGS = st.one_of(
    st.just(""),
    st.builds(" {} {}".format, st.sampled_from(["on", "ignoring"]), LISTS),
    st.builds(" on (service) {} {}".format, st.sampled_from(["group_left", "group_right"]), st.sampled_from(["", "(le)"])),
)
VECTORS = st.recursive(
    st.one_of(SELECTORS, st.builds("{}({})".format, st.sampled_from(["rate", "increase", "irate"]), RANGES)),
    lambda inner: st.one_of(
        st.builds("{} {}{} {}".format, inner, st.sampled_from(["+", "-", "*", "/", "%", "^", "==", "!=", ">"]), MATCHINGS, inner),
        st.builds("{} {} bool {}".format, inner, st.sampled_from(["<=", ">="]), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or", "unless", "AND"]), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["+", "*", "<", "^"]), SCALARS),
        st.builds("{} by {} ({})".format, st.sampled_from(["sum", "avg", "MAX"]), LISTS, inner),
        st.builds("{}({}) without {}".format, st.sampled_from(["min", "count"]), inner, LISTS),
        st.builds("{}({}) by {}".format, st.sampled_from(["group", "stddev", "stdvar"]), inner, LISTS),
        st.builds("{}({}, {})".format, st.sampled_from(["topk", "quantile", "bottomk by (le)"]), SCALARS, inner),
        st.builds('count_values("on", {})'.format, inner),
        st.builds("{}({})".format, st.sampled_from(["abs", "sgn", "sqrt", "round", "hour", "sort", "timestamp"]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["clamp_min", "clamp_max", "round"]), inner, SCALARS),
        st.builds("clamp({}, {}, {})".format, inner, SCALARS, SCALARS),
        st.builds('label_join({}, "to", {}, "service", "le")'.format, inner, TEXTS),
        st.builds(
            "{}({}[{}]{})".format,
            st.sampled_from(["rate", "changes", "deriv", "idelta", "absent_over_time", "stddev_over_time"]),
            inner.map("({})".format),
            WINDOWS,
            TIMES,
        ),
        st.builds("predict_linear({}[1h:5m], {})".format, inner.map("({})".format), SCALARS),
        st.builds("histogram_quantile({}, {})".format, SCALARS, inner),
        st.builds("absent({})".format, inner),
        st.builds("{}_over_time({})".format, st.sampled_from(["avg", "max", "count", "last"]), RANGES),
        st.builds("{}_over_time({}[{}]{})".format, st.sampled_from(["sum", "min"]), inner.map("({})".format), WINDOWS, TIMES),
        st.builds("quantile_over_time({}, {}[1h:5m])".format, SCALARS, inner.map("({})".format)),
        st.builds('label_replace({}, "to", "$1", "service", {})'.format, inner, TEXTS),
        inner.map("({})".format),
        inner.map("-{}".format),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)  # the first one makes the parser
@given(st.one_of(VECTORS, SCALARS))
def test_expressions_are_read_as_prometheus_reads_them(text: str) -> None:
    try:
        theirs = promql_parser.parse(text)
    except ValueError:
        with pytest.raises(OttlError):
            read_promql(text)
        return
    assert normal(read_promql(text)) == normal(expected(theirs))


@pytest.mark.parametrize(
    ("quoted", "plain"),
    [
        ('{"a"}', "a"),
        ("""{'a:b', "c" = 'd', e!=`f`,}[5m]""", 'a:b{c="d", e!="f"}[5m]'),
        ('sum by ("b", c) (a{"on"=~"x"}) / on("b") group_left("by") d', 'sum by (b, c) (a{on=~"x"}) / on(b) group_left(by) d'),
    ],
)
def test_names_may_stand_in_quotes(quoted: str, plain: str) -> None:
    assert read_promql(quoted) == read_promql(plain)


def test_what_stands_in_quotes_may_be_any_name() -> None:
    assert read_promql('{"my \\"metric\\"", "http.status"="a"}') == Selector(
        (Matcher("__name__", "=", 'my "metric"'), Matcher("http.status", "=", "a"))
    )


@settings(deadline=None)  # as above
@given(st.text(alphabet="ab1 .5m{}[]()\"'=~!<>+-*/^,\\:#@`\n", max_size=30))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        read_promql(text)
    except OttlError:
        return
    promql_parser.parse(text)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", (1, 1), "expected a value, found the end"),
        ("sum(", (1, 5), "expected a value"),
        ("a b", (1, 3), "expected an operator"),
        ("1 + \u0661", (1, 5), "has no meaning here"),
        ("a{b=1}", (1, 5), "expected a text in quotes, found 1"),
        ("rate(a)", (1, 6), "expected type range vector in call to function 'rate', got instant vector"),
        ("sum(a[5m])", (1, 5), "expected type instant vector in aggregation sum, got range vector"),
        ("a\n+ rat(b)", (2, 3), "unknown function with name 'rat'; did you mean rate?"),
        ("rate(a[5m], 1)", (1, 1), "expected 1 argument(s) in call to 'rate', got 2"),
        ("1[5m:1m]", (1, 2), "a subquery needs an instant vector, got scalar"),
        ("round(a, 1, 2)", (1, 1), "expected 1 to 2 argument(s) in call to 'round', got 3"),
        ('label_join(a, "b")', (1, 1), "expected at least 3 argument(s) in call to 'label_join', got 2"),
        ('label_join(a, "", "", "d")', (1, 15), "the destination label of label_join() needs a name"),
        ('count_values("", a)', (1, 14), "the label of count_values() needs a name"),
        ('a{"b"}', (1, 1), "the name of the metric must not be set twice"),
        ('{"a", b="c", "d"}', (1, 1), "the name of the metric must not be set twice"),
        ('{"a" b="c"}', (1, 6), "found b"),
        ('{"\\q"="c"}', (1, 2), "stands for nothing in a text"),
        ("quantile(a, b)", (1, 10), "expected type scalar in aggregation quantile, got instant vector"),
        ("histogram_fraction(0, 1, a)", (1, 1), "the function 'histogram_fraction' is not served here"),
        ("a[400d]", (1, 3), "must be a duration from 1ms to 366d"),
        ("a[0.0001]", (1, 3), "must be a duration from 1ms to 366d"),
        ("(a + b) offset 5m", (1, 9), "offset may stand once behind a selector or a subquery only"),
        ("a offset 5m offset 5m", (1, 13), "offset may stand once"),
        ("a offset 5m [1m]", (1, 13), "offset and @ stand behind the range"),
        ("a @ 5 @ 6", (1, 7), "@ may stand once behind a selector or a subquery only"),
        ("a @ -5", (1, 6), "seconds since 1970, from 0 on"),
        ("a @ middle()", (1, 5), "start() or end()"),
        ("sum(a)[5m]", (1, 7), "that of a subquery has a colon, as in [1h:1m]"),
        ('label_replace(a, "", "$1", "d", "e")', (1, 18), "the destination label of label_replace() needs a name"),
        ('label_replace(a, "b", "$1", "d", "(")', (1, 34), "must be a regular expression"),
        ("stdev_over_time(a[5m])", (1, 1), "unknown function with name 'stdev_over_time'; did you mean stddev_over_time?"),
        ('{a=""}', (1, 1), "at least one matcher"),
        ('a{b=~"("}', (1, 6), "must be a regular expression"),
        ("1 == 2", (1, 1), "comparisons between scalars must use bool"),
        ("a + bool b", (1, 1), "bool can be used on comparisons only"),
        ("a + on(b) 1", (1, 1), "between instant vectors only"),
        ("a and on(b) group_left c", (1, 1), "no grouping allowed for 'and'"),
        ("topk(a)", (1, 1), "wrong number of arguments for aggregate expression topk, expected 2"),
        ('"a', (1, 1), "the text has no closing quote"),
        ('a{b="\\z"}', (1, 5), "stands for nothing in a text"),
        ('a{b="\\ud800"}', (1, 5), "is no character"),
        ("a[0s]", (1, 3), "must be a duration from 1ms to 366d"),
        ("-" * 100 + "1", (1, 62), "up to 60 deep"),
        ("a" * 10_001, (1, 10_001), "at most 10000 characters"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(OttlError) as refusal:
        read_promql(text)
    assert (refusal.value.line, refusal.value.column) == place
    assert words in refusal.value.message


def test_durations_and_selectors() -> None:
    assert read_duration("1h30m") == 90 * 60 * NS
    for wrong in ("5", "m", "5x", "1m 1s", "400d", ""):
        with pytest.raises(ValueError, match="must be a duration"):
            read_duration(wrong)
    assert read_selector('up{a!="b"}') == Selector((Matcher("__name__", "=", "up"), Matcher("a", "!=", "b")))
    for text in ("1", "a[5m]", "a offset 5m", "sum(a)"):
        with pytest.raises(OttlError, match="selector of series"):
            read_selector(text)
