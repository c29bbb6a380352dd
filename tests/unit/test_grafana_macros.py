"""Macros and variables are expanded as the ClickHouse plugin does it: its own examples, and what they leave out."""

from __future__ import annotations

import pytest

from tests.support.grafana import Choice, View

VIEW = View(
    start=1_577_836_800,  # 2020-01-01T00:00:00Z
    end=1_577_923_200,
    interval_s=90,
    variables={
        "one": Choice("it's"),
        "some": Choice(("a", "b'c")),
        "all": Choice(("a", "b"), is_all=True),
        "empty": Choice(""),
    },
)
DATES = "d >= toDate('2020-01-01') AND d <= toDate('2020-01-02')"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$__timeFilter(t)", "t >= toDateTime(1577836800) AND t <= toDateTime(1577923200)"),
        (
            "$__timeFilter_ms(f(a, b))",
            "f(a, b) >= fromUnixTimestamp64Milli(1577836800000) AND f(a, b) <= fromUnixTimestamp64Milli(1577923200000)",
        ),
        ("$__fromTime, $__toTime", "toDateTime(1577836800), toDateTime(1577923200)"),
        ("$__fromTime_ms", "fromUnixTimestamp64Milli(1577836800000)"),
        ("$__dateFilter(d)", DATES),
        (
            "$__dateTimeFilter(d, t)",
            f"({DATES}) AND (t >= toDateTime(1577836800) AND t <= toDateTime(1577923200))",
        ),
        ("$__timeInterval(f(a, b))", "toStartOfInterval(toDateTime(f(a, b)), INTERVAL 90 second)"),
        ("$__timeInterval_ms(t)", "toStartOfInterval(toDateTime64(t, 3), INTERVAL 90000 millisecond)"),
        ("$__timeGroup(t, 5m)", "toStartOfInterval(toDateTime(t), INTERVAL 300 second)"),
        ("count() / $__interval_s", "count() / 90"),
        ("$__timeFrom(t) AND $__timeTo(t)", "t >= toDateTime(1577836800) AND t <= toDateTime(1577923200)"),
        ("$__conditionalAll(a IN (${all}), $all)", "1=1"),
        ("$__conditionalAll(a > $empty, $empty)", "1=1"),
        ("$__conditionalAll(a IN (${some:sqlstring}), $some) AND x", "a IN ('a','b''c') AND x"),
        ("$one ${one} [[one]] ${one:sqlstring} ${one:singlequote}", r"it's it's it's 'it''s' 'it\'s'"),
        ("$some ${some:csv} ${some:pipe}", "'a','b'c' a,b'c a|b'c"),
        ("${one:percentencode} ${some:json}", """it%27s ["a", "b'c"]"""),
        ("$unknown ${unknown}", "$unknown ${unknown}"),
    ],
)
def test_a_query_becomes_what_the_plugin_sends(text: str, expected: str) -> None:
    assert VIEW.expand(text) == expected


@pytest.mark.parametrize("text", ["$__timeFilter", "$__timeFilter(a, b)", "$__dt(a)", "$__noSuch(a)", "$__timeFilter(a"])
def test_mistakes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"argument|macro|bracket"):
        VIEW.expand(text)
