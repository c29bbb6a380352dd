"""What fails on purpose: which requests, how often, for how long, and the same wherever it is drawn."""

from __future__ import annotations

import hashlib
import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from collector.control.versions import Stored
from collector.ledger import MOST_SERVICES
from collector.monitor.failures.injecting import Injector, Request, fits
from collector.monitor.failures.rules import FailureRule
from collector.monitor.failures.tally import InjectedFailures

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRACES = [hashlib.sha256(number.to_bytes(4, "big")).digest()[:16] for number in range(20_000)]
MS = 10**6


def rule(**said: Any) -> FailureRule:
    document = {
        "name": "broken",
        "service": "cart",
        "endsAt": (NOW + timedelta(hours=1)).isoformat(),
        "failure": {"type": "error"},
        **said,
    }
    return FailureRule.model_validate_json(orjson.dumps(document))


def stored(said: FailureRule, created_at: int = 0, identifier: int = 1) -> Stored[FailureRule]:
    return Stored.first(uuid.UUID(int=identifier), "shop", said, "ann", created_at)


@pytest.mark.parametrize(
    ("match", "fitting", "other"),
    [
        ({"paths": ["/api/*", "/health"]}, {"path": "/api/a/b"}, {"path": "/apis"}),
        ({"operations": ["GET ?"]}, {"operation": "GET /"}, {"operation": "GET /a"}),
        ({"attributes": {"user.id": "4*"}}, {"attributes": {"user.id": "42"}}, {"attributes": {"user": "42"}}),
        ({"headers": {"X-Chaos": "yes"}}, {"headers": {"x-chaos": "yes"}}, {"headers": {"x-chaos": "no"}}),
        (
            {"paths": ["/a"], "headers": {"x": "*"}},
            {"path": "/a", "headers": {"x": ""}},
            {"path": "/a"},
        ),
    ],
)
def test_a_rule_means_requests_that_fit_all_that_it_says(match: Any, fitting: Any, other: Any) -> None:
    assert fits(rule(match=match), Request("cart", **fitting))
    assert not fits(rule(match=match), Request("cart", **other))
    assert not fits(rule(match=match), Request("carts", **fitting))
    assert fits(rule(match=match, service="ca*"), Request("carts", **fitting))


def test_a_rule_counts_between_its_times_and_within_its_schedule() -> None:
    an_hour = timedelta(hours=1)
    later = rule(startsAt=(NOW + timedelta(minutes=1)).isoformat())
    assert [later.holds(NOW + after) for after in (timedelta(0), timedelta(minutes=1), an_hour)] == [False, True, False]
    assert not rule(enabled=False).holds(NOW)
    sundays = rule(schedule={"cron": "0 12 * * SUN", "duration": "10m"}, endsAt=(NOW + timedelta(days=20)).isoformat())
    times = (timedelta(0), timedelta(minutes=9), timedelta(minutes=10), timedelta(days=1), timedelta(days=7))
    assert [sundays.holds(NOW + after) for after in times] == [True, True, False, False, True]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_it_strikes_in_its_share_of_the_traces_and_again_in_the_same_ones(share: float) -> None:
    injector = Injector([stored(rule(probability=share))], Request("cart"), NOW)
    struck = {trace for trace in TRACES if injector.draw(trace) is not None}
    # Five standard deviations of a binomial distribution.
    slack = 5 * (share * (1 - share) * len(TRACES)) ** 0.5
    assert abs(len(struck) - share * len(TRACES)) <= slack
    again = Injector([stored(rule(probability=share))], Request("cart"), NOW)
    assert struck == {trace for trace in TRACES if again.draw(trace) is not None}


def test_the_draw_is_the_one_that_the_api_tells_services() -> None:
    said = stored(rule(probability=0.3))
    injector = Injector([said], Request("cart"), NOW)
    for trace in TRACES[:1000]:
        digest = hashlib.blake2b(said.id.bytes + trace, digest_size=16).digest()
        drawn = (int.from_bytes(digest[:8], "big") >> 11) / 2**53
        assert (injector.draw(trace) is not None) == (drawn < 0.3)


def test_of_several_rules_the_older_is_drawn_first_and_marks_the_span() -> None:
    older = stored(rule(failure={"type": "unavailable"}, probability=0.5), created_at=1, identifier=9)
    newer = stored(rule(failure={"type": "reset"}), created_at=2, identifier=3)
    injector = Injector([newer, older], Request("cart"), NOW)
    marks = [injection.attributes for trace in TRACES[:200] if (injection := injector.draw(trace)) is not None]
    assert len(marks) == 200
    assert {(mark["spanhouse.failure.rule"][-1], mark["spanhouse.failure.type"]) for mark in marks} == {
        ("9", "unavailable"),
        ("3", "reset"),
    }
    assert not Injector([newer], Request("other"), NOW)


@pytest.mark.parametrize(
    ("latency", "mean", "deviation"),
    [
        ({"mean": "20ms"}, 20.0, 0.0),
        ({"mean": "20ms", "distribution": "uniform", "spread": "10ms"}, 20.0, 20 / 12**0.5),
        ({"mean": "50ms", "distribution": "normal", "spread": "10ms"}, 50.0, 10.0),
        ({"mean": "20ms", "distribution": "exponential"}, 20.0, 20.0),
    ],
)
def test_latency_is_distributed_as_said(latency: Any, mean: float, deviation: float) -> None:
    injector = Injector([stored(rule(failure={"type": "latency", **latency}))], Request("cart"), NOW)
    delays = np.array([injection.delay for trace in TRACES if (injection := injector.draw(trace)) is not None]) / MS
    assert np.mean(delays) == pytest.approx(mean, rel=0.03)
    assert np.std(delays) == pytest.approx(deviation, rel=0.05)


@given(st.binary(min_size=16, max_size=16), st.sampled_from(["uniform", "normal", "exponential", "constant"]))
def test_latency_stays_within_its_bounds(trace: bytes, distribution: str) -> None:
    spread = {"spread": "30ms"} if distribution in ("uniform", "normal") else {}
    latency = {"type": "latency", "mean": "30ms", "atMost": "40ms", "distribution": distribution, **spread}
    injection = Injector([stored(rule(failure=latency))], Request("cart"), NOW).draw(trace)
    assert injection is not None
    assert 0 <= injection.delay <= 40 * MS


def test_a_time_out_keeps_waiting_for_as_long_as_it_says() -> None:
    injector = Injector([stored(rule(failure={"type": "timeout", "after": "2s"}))], Request("cart"), NOW)
    injection = injector.draw(os.urandom(16))
    assert injection is not None
    assert injection.delay == 2_000 * MS


@pytest.mark.parametrize(
    ("said", "field", "remedy"),
    [
        ({"failure": {"type": "explode"}}, "failure", "latency"),
        ({"failure": {"type": "error", "status": 200}}, "failure", "400"),
        ({"failure": {"type": "latency", "mean": "0s"}}, "failure", "longer than 0"),
        ({"failure": {"type": "latency", "mean": "10m"}}, "failure", "atMost"),
        ({"failure": {"type": "latency", "mean": "1s", "atMost": "6m"}}, "failure", "5m"),
        ({"failure": {"type": "latency", "mean": "1s", "spread": "1s"}}, "failure", "leave it out"),
        ({"failure": {"type": "latency", "mean": "1s", "spread": "2s", "distribution": "uniform"}}, "failure", "at most mean"),
        ({"failure": {"type": "timeout", "after": "6m"}}, "failure", "5m"),
        ({"probability": 1.5}, "probability", "1"),
        ({"probability": "1"}, "probability", "number"),
        ({"startsAt": "2027-01-01T00:00:00Z"}, "", "later than startsAt"),
        ({"endsAt": "2026-01-01T00:00:00"}, "endsAt", "timezone"),
        ({"schedule": {"cron": "0 0 30 2 *", "duration": "10m"}}, "schedule", "cron expression"),
        ({"schedule": {"cron": "0 0 * * *", "duration": "10m", "timeZone": "Europe/Berlin2"}}, "schedule", "Europe/Berlin"),
    ],
)
def test_what_cannot_be_is_refused(said: Any, field: str, remedy: str) -> None:
    with pytest.raises(ValidationError) as caught:
        rule(**said)
    (error,) = caught.value.errors()
    assert (str(error["loc"][0]) if error["loc"] else "") == field
    assert remedy in str(error)


def test_a_rule_that_nobody_ends_soon_is_too_long() -> None:
    assert not rule(endsAt=(NOW + timedelta(days=31)).isoformat()).too_long(NOW)
    assert rule(endsAt=(NOW + timedelta(days=31, seconds=1)).isoformat()).too_long(NOW)
    start = NOW + timedelta(days=10)
    assert not rule(startsAt=start.isoformat(), endsAt=(start + timedelta(days=31)).isoformat()).too_long(NOW)


def test_what_went_wrong_on_purpose_is_counted_under_so_many_names_at_most() -> None:
    tally = InjectedFailures()
    for number in range(5 * MOST_SERVICES):
        tally.count("shop", f"service-{number}", "error")
        tally.count("shop", "service-0", "latency", 2)
    rows = dict(tally.rows())
    assert sum(rows.values()) == 15 * MOST_SERVICES
    assert rows["shop", "service-0", "latency"] == 10 * MOST_SERVICES
    assert rows["shop", "service-7", "error"] == 1
    assert rows["shop", "", "error"] > 3 * MOST_SERVICES
    assert len(rows) <= MOST_SERVICES + 2
