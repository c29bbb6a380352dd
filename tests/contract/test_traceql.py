"""What TraceQL finds, against an oracle in plain Python over the spans that were stored."""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable
from typing import Any

from tests.contract.test_query_api_traces import Api, request_of, span
from tests.contract.test_query_api_traces import api as api
from tests.contract.test_tempo_api import RANGE, matched
from tests.support.requests import EPOCH, key_values
from tests.support.rows import Row
from tests.support.search_oracle import as_number, attributes

Fits = Callable[[Row], bool]
SECOND = 10**9
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TRACES = 12
FIRST = EPOCH // SECOND // 3 * 3
"""Start of a whole step of three seconds."""


def forest(seed: int = 7) -> list[Any]:
    """Spans of random trees with names, kinds, numbers and times, some of them sent twice."""
    draw = random.Random(seed)
    messages = []
    for trace in range(1, TRACES + 1):
        count = draw.randint(1, 14)
        spans = []
        for number in range(1, count + 1):
            values: dict[str, Any] = {"n": draw.randint(0, 6), "m": draw.choice([1, 2.5, -3])}
            if draw.random() < 0.3:
                values["word"] = draw.choice(["a", "b", "5"])
            if draw.random() < 0.3:
                values["other"] = draw.choice(["a", "b", 5])
            spans.append(
                span(
                    trace,
                    number,
                    parent=draw.randint(0, number - 1),
                    start=trace * SECOND + number,
                    duration=draw.choice([2_000_000, 5_000_000, 9_000_000]),
                    name=draw.choice("abc"),
                    kind=draw.randint(1, 3),
                    attributes=key_values(values),
                )
            )
        again = [spans[-1]] if draw.random() < 0.5 else []
        messages.append(request_of(*spans, *again, service=draw.choice(["web", "cart"])))
    return messages


class Oracle:
    """The spans of all traces, and who called whom."""

    def __init__(self, rows: list[Row]) -> None:
        self.traces: dict[str, dict[str, Row]] = {}
        for row in rows:
            self.traces.setdefault(row["TraceId"], {})[row["SpanId"]] = row

    def found(self, fits: Callable[[dict[str, Row]], set[str]]) -> dict[int, list[int]]:
        """Spans of each trace that a function finds in it, in the form of `matched`."""
        found = {int(trace, 16): sorted(int(span_id, 16) for span_id in fits(spans)) for trace, spans in self.traces.items()}
        return {trace: spans for trace, spans in found.items() if spans}


def above(spans: dict[str, Row], span_id: str) -> list[str]:
    """Ids of all ancestors."""
    found: list[str] = []
    parent = spans[span_id]["ParentSpanId"]
    while parent in spans:
        found.append(parent)
        parent = spans[parent]["ParentSpanId"]
    return found


def related(sign: str, spans: dict[str, Row], left: str, right: str) -> bool:
    """Whether a span in the right set stands so to one in the left set."""
    parents = {each: spans[each]["ParentSpanId"] for each in (left, right)}
    return {
        ">": parents[right] == left,
        "<": parents[left] == right,
        ">>": left in above(spans, right),
        "<<": right in above(spans, left),
        "~": left != right and parents[left] == parents[right] != "",
    }[sign]


def number(row: Row, key: str) -> float | None:
    (found,) = attributes(row, "span or resource")
    return as_number(found[key]) if key in found else None


def text(row: Row, key: str) -> str | None:
    return attributes(row, "span or resource")[0].get(key)


def named(name: str) -> Fits:
    return lambda row: row["SpanName"] == name


async def test_sets_are_joined_as_the_tree_says(api: Api) -> None:
    rows = [row for message in forest() for row in await api.store(message)]
    oracle = Oracle(rows)
    for sign in (">", "<", ">>", "<<", "~"):
        for form in ("", "!", "&"):

            def fits(spans: dict[str, Row], sign: str = sign, form: str = form) -> set[str]:
                left, right = ({each for each in spans if named(name)(spans[each])} for name in "ab")
                pairs = {(one, other) for one in left for other in right if related(sign, spans, one, other)}
                found = {other for _, other in pairs}
                if form == "!":
                    return right - found
                return found | ({one for one, _ in pairs} if form == "&" else set())

            query = f'{{ name = "a" }} {form}{sign} {{ name = "b" }}'
            assert (query, await matched(api, query)) == (query, oracle.found(fits))


async def test_what_is_its_own_ancestor_ends_a_search_all_the_same(api: Api) -> None:
    cycle = [span(1, number, parent=3 - number, name=name) for number, name in ((1, "a"), (2, "b"))]
    await api.store(request_of(*cycle, span(1, 3, parent=2, name="c")))
    assert await matched(api, '{ name = "c" } << {}') == {1: [1, 2]}


def calculated(left: Callable[[Row], float | None], sign: str, right: Callable[[Row], float | None]) -> Fits:
    def fits(row: Row) -> bool:
        numbers = left(row), right(row)
        return None not in numbers and COMPARE[sign](*numbers)

    return fits


def divided(row: Row) -> float | None:
    n, m = number(row, "n"), number(row, "m")
    if n is None or m is None:
        return None
    return (math.inf if m else math.nan) if n == 0 else m / n


CONDITIONS: list[tuple[str, Fits]] = [
    ("span.n + 1 > 4", lambda row: (number(row, "n") or 0) + 1 > 4),
    (
        "span.n - span.m < 2",
        calculated(lambda row: None if number(row, "n") is None else number(row, "n") - number(row, "m"), "<", lambda _: 2),
    ),  # type: ignore[operator]
    ("-span.m >= 3", calculated(lambda row: None if number(row, "m") is None else -number(row, "m"), ">=", lambda _: 3)),  # type: ignore[operator]
    ("2 * span.n ^ 2 = 32", lambda row: number(row, "n") == 4),
    ("(span.n + 2) * 3 % 7 = 1", lambda row: number(row, "n") is not None and math.fmod((number(row, "n") + 2) * 3, 7) == 1),  # type: ignore[operator]
    ("duration / 2 > 2ms + 1us * 100", lambda row: row["Duration"] / 2 > 2_100_000),
    ("duration > 1ms * 5", lambda row: row["Duration"] > 5_000_000),
    (
        "duration >= span.n * 1ms",
        calculated(lambda row: row["Duration"], ">=", lambda row: None if number(row, "n") is None else number(row, "n") * 1e6),
    ),  # type: ignore[operator]
    ("span.n < span.m", calculated(lambda row: number(row, "n"), "<", lambda row: number(row, "m"))),
    ("span.word = span.other", lambda row: text(row, "word") is not None and text(row, "word") == text(row, "other")),
    (
        "span.word != span.other",
        lambda row: None not in (text(row, "word"), text(row, "other")) and text(row, "word") != text(row, "other"),
    ),
    ("!(span.word = span.other)", lambda row: text(row, "word") is None or text(row, "word") != text(row, "other")),
    ("name = span.word", lambda row: text(row, "word") == row["SpanName"]),
    ("1 + 1 = 2", lambda _: True),
    ("1 > 2 || name = `c`", named("c")),
    ("(span.n = 3 || span.n = 4) && name = `a`", lambda row: number(row, "n") in (3, 4) and row["SpanName"] == "a"),
]


async def test_what_is_calculated_is_compared_as_numbers_and_fields_as_texts(api: Api) -> None:
    rows = [row for message in forest() for row in await api.store(message)]
    oracle = Oracle(rows)
    for condition, holds in CONDITIONS:

        def fits(spans: dict[str, Row], holds: Fits = holds) -> set[str]:
            return {each for each in spans if holds(spans[each])}

        query = f"{{ {condition} }}"
        assert (query, await matched(api, query)) == (query, oracle.found(fits))
    for sign, value in (("=", 0), (">=", 2), ("!=", 1)):

        def has_children(spans: dict[str, Row], sign: str = sign, value: int = value) -> set[str]:
            counts = {each: sum(row["ParentSpanId"] == each for row in spans.values()) for each in spans}
            return {each for each, count in counts.items() if COMPARE[sign](count, value)}

        query = f"{{ span:childCount {sign} {value} }}"
        assert (query, await matched(api, query)) == (query, oracle.found(has_children))


async def test_groups_are_measured_by_themselves_until_they_coalesce(api: Api) -> None:
    rows = [row for message in forest() for row in await api.store(message)]
    oracle = Oracle(rows)
    groupings: list[tuple[str, Callable[[Row], Any]]] = [
        ("by(name)", lambda row: row["SpanName"]),
        ("by(name, kind)", lambda row: (row["SpanName"], row["SpanKind"])),
        ("by(name) | by(span.n)", lambda row: (row["SpanName"], text(row, "n"))),
        ("by(name) | coalesce()", lambda _: None),
        ("by(resource.service.name)", lambda row: row["ServiceName"]),
    ]
    measures: list[tuple[str, Callable[[list[Row]], bool]]] = [
        ("count() > 2", lambda group: len(group) > 2),
        ("max(duration) >= 4ms + 5ms", lambda group: max(row["Duration"] for row in group) >= 9_000_000),
        ("sum((1 + span.n) * 2) > 9 - 1.5", lambda group: sum(2 * (number(row, "n") or 0) + 2 for row in group) > 7.5),
        ("avg(span.n) < 2.5", lambda group: sum(number(row, "n") or 0 for row in group) / len(group) < 2.5),
    ]
    for number_of_grouping, (grouping, key) in enumerate(groupings):
        for measure, holds in measures[number_of_grouping % 2 :: 2]:

            def fits(
                spans: dict[str, Row], key: Callable[[Row], Any] = key, holds: Callable[[list[Row]], bool] = holds
            ) -> set[str]:
                groups: dict[Any, list[Row]] = {}
                for row in spans.values():
                    if number(row, "n") is not None:
                        groups.setdefault(key(row), []).append(row)
                return {row["SpanId"] for group in groups.values() if holds(group) for row in group}

            query = f"{{ span.n != nil }} | {grouping} | {measure}"
            found = await matched_in_all_sets(api, query)
            assert (query, found) == (query, oracle.found(fits))


async def test_what_is_left_of_spans_behind_bars_is_joined_like_sets(api: Api) -> None:
    rows = [row for message in forest() for row in await api.store(message)]
    oracle = Oracle(rows)

    def several(spans: dict[str, Row], name: str, least: int) -> set[str]:
        found = {each for each in spans if named(name)(spans[each])}
        return found if len(found) >= least else set()

    def both(spans: dict[str, Row]) -> set[str]:
        some, others = several(spans, "a", 2), several(spans, "b", 3)
        return some | others if some and others else set()

    def below(spans: dict[str, Row]) -> set[str]:
        some, others = several(spans, "a", 2), several(spans, "b", 1)
        return {each for each in others if some & set(above(spans, each))}

    def either(spans: dict[str, Row]) -> set[str]:
        slow = {each for each in spans if spans[each]["Duration"] >= 9_000_000}
        return several(spans, "c", 3) | (slow if len(slow) > 2 else set())

    joined: list[tuple[str, Callable[[dict[str, Row]], set[str]]]] = [
        ("({ name = `a` } | count() > 1) && ({ name = `b` } | count() >= 3)", both),
        ("({ name = `a` } | count() >= 2 | select(span.n)) >> { name = `b` }", below),
        ("({ name = `c` } | count() > 2) || (count() > 0 | { duration >= 9ms } | count() > 2)", either),
    ]
    for query, fits in joined:
        assert (query, await matched(api, query)) == (query, oracle.found(fits))


async def matched_in_all_sets(api: Api, query: str) -> dict[int, list[int]]:
    answer = await api.get("/tempo/api/search", q=query, spss=100, **RANGE)
    assert answer.status == 200, answer.body
    return {
        int(trace["traceID"], 16): sorted(int(each["spanID"], 16) for found in trace["spanSets"] for each in found["spans"])
        for trace in answer.json["traces"]
    }


async def test_each_group_is_a_set_of_its_own_with_what_it_agrees_in(api: Api) -> None:
    spans = [
        span(1, 1, name="a", kind=2, attributes=key_values({"route": "/x"})),
        span(1, 2, parent=1, name="b", kind=3, attributes=key_values({"route": "/x"})),
        span(1, 3, parent=1, name="b", kind=2),
    ]
    await api.store(request_of(*spans))
    query = "{ name != nil } | by(span.route, kind) | select(span.route)"
    document = (await api.get("/tempo/api/search", q=query, **RANGE)).json
    (trace,) = document["traces"]
    told = [
        (
            [(each["key"], each["value"]["stringValue"]) for each in found["attributes"]],
            found["matched"],
            [(int(each["spanID"], 16), [pair["key"] for pair in each.get("attributes", [])]) for each in found["spans"]],
        )
        for found in trace["spanSets"]
    ]
    assert told == [
        ([("by(span.route)", "nil"), ("by(kind)", "server")], 1, [(3, [])]),
        ([("by(span.route)", "/x"), ("by(kind)", "client")], 1, [(2, ["route"])]),
        ([("by(span.route)", "/x"), ("by(kind)", "server")], 1, [(1, ["route"])]),
    ]
    assert trace["spanSet"] == trace["spanSets"][0]


async def test_series_are_ranked_kept_and_told_apart_by_size(api: Api) -> None:
    spans = [
        span(number, number, start=(FIRST + number % 3) * SECOND - EPOCH, duration=duration, name=name)
        for number, (name, duration) in enumerate(
            [("a", 1_000_000), ("a", 3_000_000), ("b", 3_000_000), ("c", 0), ("a", 5_000_000)], 1
        )
    ]
    await api.store(request_of(*spans))

    async def series(query: str) -> list[tuple[str, dict[int, float]]]:
        answer = await api.get("/tempo/api/metrics/query_range", q=query, start=FIRST, end=FIRST + 3, step="3s")
        assert answer.status == 200, answer.body
        return [
            (
                " ".join(str(next(iter(label["value"].values()))) for label in each["labels"]),
                {int(sample["timestampMs"]) // 1000 - FIRST: sample["value"] for sample in each["samples"]},
            )
            for each in answer.json["series"]
        ]

    assert await series("{} | count_over_time() by (name)") == [("a", {0: 3.0}), ("b", {0: 1.0}), ("c", {0: 1.0})]
    assert await series("{} | count_over_time() by (name) | topk(1)") == [("a", {0: 3.0})]
    assert await series("{} | count_over_time() by (name) | bottomk(2)") == [("b", {0: 1.0}), ("c", {0: 1.0})]
    assert await series("{} | count_over_time() by (name) > 2") == [("a", {0: 3.0})]
    assert await series("{} | count_over_time() by (name) | topk(2) < 2") == [("b", {0: 1.0})]
    assert await series("{} | max_over_time(duration) by (name) > 2ms") == [("a", {0: 0.005}), ("b", {0: 0.003})]
    assert await series('{ name = "a" } | histogram_over_time(duration)') == [
        ("0.001953125", {0: 1.0}),
        ("0.00390625", {0: 1.0}),
        ("0.0078125", {0: 1.0}),
    ]
