"""Failures on purpose: drawn as the collector draws them."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spanhouse_sdk import failures

from collector.control.versions import Stored
from collector.monitor.failures.injecting import Injector
from collector.monitor.failures.injecting import Request as CollectorsRequest
from collector.monitor.failures.rules import FailureRule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAILURES: list[dict[str, Any]] = [
    {"type": "timeout", "after": "1m30s"},
    {"type": "error", "status": 418, "message": "tea"},
    {"type": "unavailable"},
    {"type": "reset"},
    {"type": "latency", "mean": "250ms"},
    {"type": "latency", "distribution": "uniform", "mean": "1.5s", "spread": "1s"},
    {"type": "latency", "distribution": "normal", "mean": "20ms", "spread": "15ms", "atMost": "30ms"},
    {"type": "latency", "distribution": "exponential", "mean": "123us456ns"},
]
MATCHES: list[dict[str, Any]] = [
    {},
    {"paths": ["/api/*"]},
    {"operations": ["GET ?"]},
    {"attributes": {"user.id": "4*"}},
    {"headers": {"X-Chaos": "y*"}},
]


def stored(number: int, failure: dict[str, Any], probability: float, match: dict[str, Any]) -> Stored[FailureRule]:
    said = {"name": "broken", "service": "cart", "endsAt": (NOW + timedelta(hours=1)).isoformat(), "failure": failure}
    rule = FailureRule.model_validate_json(json.dumps({**said, "probability": probability, "match": match}))
    return Stored.first(uuid.UUID(int=number), "shop", rule, "ann", number)


def answer(*rules: Stored[FailureRule]) -> Any:
    return json.loads(json.dumps({"rules": [rule.as_json() for rule in rules]}))


@given(
    st.lists(st.tuples(st.sampled_from(FAILURES), st.floats(0, 1), st.sampled_from(MATCHES)), max_size=4),
    st.binary(min_size=16, max_size=16),
    st.sampled_from(["/api/a", "/"]),
    st.booleans(),
)
def test_the_same_strikes_as_in_the_collector_and_as_long(
    said: list[tuple[dict[str, Any], float, dict[str, Any]]], trace_id: bytes, path: str, marked: bool
) -> None:
    rules = [stored(number, *each) for number, each in enumerate(said)]
    attributes, headers = ({"user.id": "42"}, {"x-chaos": "yes"}) if marked else ({}, {})
    theirs = Injector(rules, CollectorsRequest("cart", path, f"GET {path}", attributes, headers), NOW).draw(trace_id)
    request = failures.Request(path, f"GET {path}", attributes, headers)
    ours = failures.draw(failures.rules_from_answer(answer(*rules)), request, int.from_bytes(trace_id, "big"), NOW.timestamp())
    assert (theirs is None) == (ours is None)
    if theirs is not None and ours is not None:
        assert (ours.rule, ours.delay, ours.attributes) == (str(theirs.rule), theirs.delay, theirs.attributes)
        assert ours.ends == (theirs.failure.type != "latency")


def test_a_rule_ends_by_itself() -> None:
    rules = failures.rules_from_answer(answer(stored(1, FAILURES[0], 1.0, {})))
    request = failures.Request("/", "GET /", {}, {})
    assert failures.draw(rules, request, 1, NOW.timestamp()) is not None
    assert failures.draw(rules, request, 1, NOW.timestamp() + 3600) is None


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"},
        {"endsAt": "tomorrow"},
        {"endsAt": "2026-03-01T12:00:00"},
        {"probability": 2},
        {"probability": True},
        {"match": None},
        {"match": {"paths": "/*"}},
        {"match": {"headers": {"a": 1}}},
        {"failure": {"type": "earthquake"}},
        {"failure": {"type": "timeout", "after": "6m"}},
        {"failure": {"type": "timeout", "after": "1 s"}},
        {"failure": {"type": "error", "status": 200, "message": ""}},
        {"failure": {**FAILURES[4], "distribution": "square"}},
    ],
)
def test_what_is_no_rule_is_refused(change: dict[str, Any]) -> None:
    said = answer(stored(1, FAILURES[0], 1.0, {}))
    said["rules"][0].update(change)
    with pytest.raises(ValueError, match=r".+"):
        failures.rules_from_answer(said)
