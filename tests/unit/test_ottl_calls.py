"""The functions of conditions, one by one: what they give, and that no value makes one end otherwise than by failing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.processors.ottl.calls import call
from collector.processors.ottl.columns import DURATION, TIME, Column, Failure, of_results
from config.ottl_functions import FUNCTIONS
from tests.unit.test_ottl_evaluate import VALUES

FAILS = "fails"

CASES = [
    ("IsMatch", ["GET /x", "^GET"], True),
    ("IsMatch", ["xGET", "^GET"], False),
    ("IsMatch", ["a GET b", "GET"], True),
    ("IsMatch", [None, ""], False),
    ("IsMatch", [500, "^5"], True),
    ("IsMatch", [3.0, "^3$"], True),
    ("IsMatch", [True, "^true$"], True),
    ("IsMatch", [b"\x0a", "^0a$"], True),
    ("IsMatch", [{"b": 1, "a": ["x"]}, r'^\{"a":\["x"\],"b":1\}$'], True),
    ("IsString", ["1"], True),
    ("IsString", [None], False),
    ("IsInt", [1], True),
    ("IsInt", [True], False),
    ("IsDouble", [1], False),
    ("IsBool", [False], True),
    ("IsMap", [{}], True),
    ("IsList", [[]], True),
    ("HasPrefix", ["SELECT x", "SELECT "], True),
    ("HasSuffix", ["x.css", ".css"], True),
    ("HasPrefix", [None, "x"], FAILS),
    ("ContainsValue", [[1, "a"], "a"], True),
    ("ContainsValue", [[1.0], 1], False),
    ("ContainsValue", ["a", "a"], FAILS),
    ("Len", ["é"], 2),
    ("Len", [[1, 2]], 2),
    ("Len", [5], FAILS),
    ("Len", [None], FAILS),
    ("Index", ["hello", "l"], 2),
    ("Index", [[1, "a"], "a"], 1),
    ("Index", ["a", "b"], -1),
    ("Int", ["-12"], -12),
    ("Int", ["2.0"], None),
    ("Int", ["1_0"], None),
    ("Int", ["9223372036854775808"], None),
    ("Int", [-2.9], -2),
    ("Int", [float("nan")], None),
    ("Int", [True], 1),
    ("Int", [[]], None),
    ("Double", ["1e3"], 1000.0),
    ("Double", [2], 2.0),
    ("Double", ["x"], None),
    ("Bool", ["true"], True),
    ("Bool", ["yes"], None),
    ("Bool", [0], False),
    ("String", [1e21], "1000000000000000000000"),
    ("String", [0.1], "0.1"),
    ("String", [None], None),
    ("Concat", [["a", 1, None, True], "-"], "a-1-<nil>-true"),
    ("Concat", ["a", "-"], FAILS),
    ("Split", ["a|b||", "|"], ["a", "b", "", ""]),
    ("Split", ["ab", ""], ["a", "b"]),
    ("Substring", ["123456789", 0, 3], "123"),
    ("Substring", ["123", 1, 3], FAILS),
    ("Substring", ["123", -1, 1], FAILS),
    ("ConvertCase", ["HTTPServer name", "snake"], "http_server_name"),
    ("ConvertCase", ["http_server", "camel"], "HttpServer"),
    ("ConvertCase", ["Ab", "upper"], "AB"),
    ("ToLowerCase", ["ÄB"], "äb"),
    ("ToUpperCase", ["ab"], "AB"),
    ("Trim", [" a "], "a"),
    ("Trim", ["xax", "x"], "a"),
    ("TrimPrefix", ["aab", "a"], "ab"),
    ("TrimSuffix", ["abb", "b"], "ab"),
    ("MD5", ["a"], "0cc175b9c0f1b6a831c399e269772661"),
    ("SHA1", ["a"], "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ("SHA256", ["a"], "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    ("FNV", ["a"], 0xAF63DC4C8601EC8C - 2**64),
    ("Hex", ["é"], "c3a9"),
    ("Hex", [b"\x00\xff"], "00ff"),
    ("Hex", [-2], "fffffffffffffffe"),
    ("Hex", [1.0], "3ff0000000000000"),
    ("Hex", [True], "01"),
    ("Hex", [None], FAILS),
    ("Base64Encode", ["é?>"], "w6k/Pg=="),
    ("Base64Decode", ["w6k/Pg=="], "é?>"),
    ("Base64Decode", ["w6k/Pg"], FAILS),
    ("Base64Decode", ["é"], FAILS),
    ("Keys", [{"b": 1, "a": [2]}], ["b", "a"]),
    ("Keys", [[]], FAILS),
    ("Values", [{"b": 1, "a": [2]}], [1, [2]]),
    ("ParseJSON", ['{"a": [1, true, null]}'], {"a": [1.0, True, None]}),
    ("ParseJSON", ["{"], FAILS),
    ("ParseJSON", ["1"], FAILS),
    ("ParseJSON", ["[" * 1000 + "]" * 1000], FAILS),
    ("ParseJSON", ["[" * 10_000], FAILS),
    ("ExtractPatterns", ["/t/acme/x", "^/t/(?P<tenant>[^/]+)/"], {"tenant": "acme"}),
    ("ExtractPatterns", ["/x", "^/t/(?P<tenant>[^/]+)/"], {}),
    ("ParseKeyValue", ["a=1 b='x y' c=\"d=e\""], {"a": "1", "b": "x y", "c": "d=e"}),
    ("ParseKeyValue", ["a:1;;b:", ":", ";"], {"a": "1", "b": ""}),
    ("ParseKeyValue", [""], {}),
    ("ParseKeyValue", ["a=1 b"], FAILS),
    ("ParseKeyValue", ["a='1"], FAILS),
    ("ParseKeyValue", ["a=1", "=", "="], FAILS),
    (
        "URL",
        ["https://ann:pw@example.com:8443/a%20b/c.tar.gz?q=1#top"],
        {
            "url.original": "https://ann:pw@example.com:8443/a%20b/c.tar.gz?q=1#top",
            "url.scheme": "https",
            "url.domain": "example.com",
            "url.port": 8443,
            "url.path": "/a b/c.tar.gz",
            "url.extension": "gz",
            "url.query": "q=1",
            "url.fragment": "top",
            "url.username": "ann",
            "url.password": "pw",
        },
    ),
    ("URL", ["/cart"], {"url.original": "/cart", "url.scheme": "", "url.domain": "", "url.path": "/cart"}),
    ("URL", ["http://h:70000/"], FAILS),
    ("Time", ["2023-11-14 22:13:20.5", "%Y-%m-%d %H:%M:%S.%f"], 1_700_000_000_500_000_000),
    ("Time", ["2023-11-14T23:13:20+0100", "%Y-%m-%dT%H:%M:%S%z"], 1_700_000_000_000_000_000),
    ("Time", ["soon", "%Y"], FAILS),
    ("FormatTime", [1_700_000_000_500_000_000, "%d.%m.%Y %H:%M:%S.%f"], "14.11.2023 22:13:20.500000"),
    ("FormatTime", [2**63 - 1, "%Y"], "2262"),
    ("IsInCIDR", ["10.1.2.3", ["192.168.0.0/16", "10.0.0.5/8"]], True),
    ("IsInCIDR", ["11.1.2.3", ["10.0.0.0/8"]], False),
    ("IsInCIDR", ["::ffff:10.1.2.3", ["10.0.0.0/8"]], True),
    ("IsInCIDR", ["10.1.2.3", ["::ffff:10.0.0.0/104"]], True),
    ("IsInCIDR", ["fd00::1", ["fd00::/8"]], True),
    ("IsInCIDR", ["fe80::1%eth0", ["fe80::/10"]], False),
    ("IsInCIDR", ["example.com", ["0.0.0.0/0"]], False),
    ("IsInCIDR", ["10.1.2.3", ["10.0.0.0"]], FAILS),
    ("IsInCIDR", ["10.1.2.3", ["10.0.0.0/255.0.0.0"]], FAILS),
    ("IsInCIDR", [None, ["10.0.0.0/8"]], FAILS),
    ("Coalesce", [[None, "a", 2]], "a"),
    ("Coalesce", [[None]], None),
    ("Sort", [[3, 1, 2]], [1, 2, 3]),
    ("Sort", [[3, 1.5, 2], "desc"], [3.0, 2.0, 1.5]),
    ("Sort", [["b", 10, True, None, 9.5]], ["", "10", "9.5", "b", "true"]),
    ("Sort", [[2, 1, b""]], [2, 1, b""]),
    ("Sort", ["ba"], "ba"),
    ("Sort", [[]], []),
    ("ParseInt", ["ff", 16], 255),
    ("ParseInt", ["-0b101", 0], -5),
    ("ParseInt", ["017", 0], 15),
    ("ParseInt", ["0xff", 16], FAILS),
    ("ParseInt", ["1_0", 10], FAILS),
    ("ParseInt", ["9223372036854775808", 10], FAILS),
    ("ParseInt", ["", 10], FAILS),
    ("ParseInt", ["1", -1], FAILS),
    ("ParseInt", ["1", 37], FAILS),
    ("ToSnakeCase", ["HTTPServer name"], "http_server_name"),
    ("ToCamelCase", ["http_server"], "HttpServer"),
    ("ToKeyValueString", [{"b": 1, "a": 'x "y"'}], 'b=1 a="x \\"y\\""'),
    ("ToKeyValueString", [{"b": 1, "a": True}, ":", ",", True], "a:true,b:1"),
    ("ToKeyValueString", [{"b": 1}, "=", "="], FAILS),
    ("ToKeyValueString", [[]], FAILS),
    ("Unix", [1_700_000_000, 5], 1_700_000_000_000_000_005),
    ("Unix", [1_700_000_000], 1_700_000_000_000_000_000),
    ("Unix", [2**62], FAILS),
    ("Duration", ["1m30s"], 90_000_000_000),
    ("Duration", ["-1.5ms"], -1_500_000),
    ("Duration", ["soon"], FAILS),
]


@pytest.mark.parametrize(
    ("function", "arguments", "result"), CASES, ids=[f"{name}-{number}" for number, (name, *_) in enumerate(CASES)]
)
def test_a_function_gives_what_is_written_of_it(function: str, arguments: list[Any], result: Any) -> None:
    column = call(function, [of_results([argument]) for argument in arguments])
    if result == FAILS:
        with pytest.raises(Failure):
            column.value(0)
    else:
        assert column.value(0) == result
        assert type(column.value(0)) is type(result)


@pytest.mark.parametrize(
    ("function", "nanoseconds", "result"),
    [
        ("Hours", 5_400_000_000_000, 1.5),
        ("Minutes", 90_000_000_000, 1.5),
        ("Seconds", 1_500_000_000, 1.5),
        ("Milliseconds", -1_999_999, -1),
        ("Microseconds", 1_999, 1),
        ("Nanoseconds", 7, 7),
        ("UnixSeconds", 1_999_999_999, 1),
        ("UnixMilli", 1_999_999, 1),
        ("UnixMicro", 1_999, 1),
        ("UnixNano", 7, 7),
    ],
)
def test_times_and_durations_are_counted_in_units(function: str, nanoseconds: int, result: float) -> None:
    code = TIME if function.startswith("Unix") else DURATION
    assert call(function, [of_results([nanoseconds], code)]).value(0) == result


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_parts_of_times_are_those_of_the_calendar(nanoseconds: int) -> None:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
    expected = {
        "Year": time.year,
        "Month": time.month,
        "Day": time.day,
        "Hour": time.hour,
        "Minute": time.minute,
        "Second": time.second,
        "Nanosecond": nanoseconds % 1_000_000_000,
        # Go's weeks begin with Sunday, which is 0.
        "Weekday": time.isoweekday() % 7,
    }
    column = of_results([nanoseconds], TIME)
    assert {function: call(function, [column]).value(0) for function in expected} == expected


def test_arguments_in_the_middle_may_be_left_out() -> None:
    column = call("ParseKeyValue", [of_results(["a=1&b=2"]), None, of_results(["&"])])
    assert column.value(0) == {"a": "1", "b": "2"}


WRITTEN_OUT = {
    "pattern": ".*",
    "toCase": "camel",
    "bytes": b"12345678",
    "format": "%Y",
    "delimiter": "=",
    "pair_delimiter": "a",
    "order": "desc",
    "sort_output": True,
}


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"IsRootSpan"}))
def test_no_value_makes_a_function_end_otherwise_than_by_failing(function: str) -> None:
    parameters = FUNCTIONS[function].parameters
    open_to_all = [parameter for parameter in parameters if not parameter.form]
    combinations = list(product([*VALUES, 10**15, "[" * 2000], repeat=min(len(open_to_all), 2)))
    filler = [combination + (combination[-1:] * (len(open_to_all) - 2)) for combination in combinations]
    columns = iter([of_results(list(column)) for column in zip(*filler, strict=True)])
    arguments: list[Column | None] = [
        of_results([WRITTEN_OUT[parameter.name]]) if parameter.form else next(columns) for parameter in parameters
    ]
    assert len(call(function, arguments)) in (1, len(combinations))
