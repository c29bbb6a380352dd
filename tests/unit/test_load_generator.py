"""The load generator against a real server: what it sends, what it measures, and what it calls failures."""

from __future__ import annotations

import asyncio
import itertools
import re
import ssl
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from collector.control.versions import Stored
from collector.monitor.failures.injecting import Injector, Request
from collector.monitor.failures.rules import FailureRule
from collector.monitor.load import generator as generator_module
from collector.monitor.load.figures import figures, response_times, service_times
from collector.monitor.load.generator import End, Generator
from collector.monitor.load.interval import Recorder, Summary
from collector.monitor.load.plan import Plan
from collector.monitor.load.sending import open_sending
from collector.sketch import RELATIVE_ERROR
from tests.support.certificates import Authority
from tests.support.load import rule, run
from tests.support.targets import serving_target
from tests.support.waiting import until


class Kept(Recorder):
    """A recorder whose raw times are kept: response and service times in nanoseconds."""

    raw: list[tuple[list[int], list[int]]]

    def summary(self, at_s: float, seconds: float, in_flight: int) -> Summary:
        self.raw.append((list(self.response_times), list(self.service_times)))
        return super().summary(at_s, seconds, in_flight)


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], list[int]]]:
    """Raw times of all intervals of the generators that are made afterwards."""
    kept: list[tuple[list[int], list[int]]] = []
    monkeypatch.setattr(Kept, "raw", kept, raising=False)
    monkeypatch.setattr(generator_module, "Recorder", Kept)
    return kept


def plan(port: int, path: str = "/json", **said: Any) -> Plan:
    usual: dict[str, Any] = {"kind": "http", "method": "GET", "target": path, "headers": [["Host", "here"]]}
    request = {**usual, **{name: said.pop(name) for name in ("method", "headers", "body", "no_errors") if name in said}}
    return plan_of(request, port, **said)


def plan_of(request: dict[str, Any], port: int, **said: Any) -> Plan:
    usual = {"request": request, "addresses": [["127.0.0.1", port]], "max_rate": 1e6, "duration_s": 20}
    return Plan.model_validate_json(orjson.dumps({**usual, **said}))


async def test_percentiles_are_those_of_the_raw_times(raw: list[tuple[list[int], list[int]]]) -> None:
    async with serving_target() as target:
        end, total, _ = await run(plan(target.port, concurrency=8, requests=2000))
        assert (end, total.succeeded) == (End(state="completed"), 2000)
        check_percentiles(total, raw)
        raw.clear()
        # By the clock, while answers take longer than the pause between requests: those have to wait.
        end, total, _ = await run(plan(target.port, "/slow/20", concurrency=2, rate=200, requests=100))
    assert (end.state, total.succeeded) == ("completed", 100)
    check_percentiles(total, raw)
    # The last was due half a second after the start, and answered when a hundred had been by twos.
    assert total.response_max >= 100 / 2 * 20e6 - 0.5e9
    assert service_times(total)["p50"] < response_times(total)["p50"]  # type: ignore[operator]  # neither is None


def check_percentiles(total: Summary, raw: list[tuple[list[int], list[int]]]) -> None:
    for told, which in ((response_times(total), 0), (service_times(total), 1)):
        values: NDArray[np.int64] = np.array(list(itertools.chain.from_iterable(each[which] for each in raw)), np.int64)
        assert len(values) == total.measured
        assert (told["mean"], told["max"]) == (int(values.sum()) // len(values), int(values.max()))
        for name, q in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)):
            exact = float(np.quantile(values, q, method="inverted_cdf"))
            assert told[name] == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-6), name


async def test_each_request_has_a_trace_of_its_own() -> None:
    async with serving_target() as target:
        _, total, _ = await run(
            plan(target.port, headers=[["Host", "here"], ["traceparent", "old"]], concurrency=3, requests=1500)
        )
    parents = [headers["traceparent"] for _, headers in target.requests]
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", parent) for parent in parents)
    assert len({parent.split("-")[1] for parent in parents}) == len({parent.split("-")[2] for parent in parents}) == 1500
    assert {each.trace_id for each in total.slowest} <= set(target.trace_ids("/json"))


@pytest.mark.parametrize(
    ("path", "said", "failures"),
    [
        ("/chunks", {"expectations": {"bodyContains": ["first second third"]}}, {}),
        ("/close", {"expectations": {"bodyContains": ["bye"]}}, {}),
        ("/json", {"method": "HEAD"}, {}),
        ("/status/204", {}, {}),
        ("/status/404", {}, {"status 404": 20}),
        ("/status/404", {"expectations": {"status": ["4xx"]}}, {}),
        ("/chunks", {"expectations": {"bodyContains": ["fourth"]}}, {"body lacks 'fourth'": 20}),
        ("/chunks", {"expectations": {"jsonValues": [{"path": "$.ok", "equals": True}]}}, {"body is no JSON": 20}),
        ("/json", {"expectations": {"jsonValues": [{"path": "$.items[1].id", "equals": 8}]}}, {}),
        ("/json", {"expectations": {"jsonValues": [{"path": "$.ok", "equals": 1}]}}, {"'$.ok' differs": 20}),
        ("/slow/60", {"expectations": {"maxDuration": "20ms"}}, {"slower than expected": 20}),
        ("/slow/2000", {"timeout_s": 0.2}, {"timeout": 20}),
        ("/reset", {}, {"reset": 20}),
        ("/graphql", {"method": "POST", "body": "eyJxdWVyeSI6ICJmYWlsIn0=", "no_errors": True}, {"GraphQL errors": 20}),
        ("/graphql", {"method": "POST", "body": "eyJxdWVyeSI6ICJvayJ9", "no_errors": True}, {}),
    ],
    ids=str,
)
async def test_answers_are_read_and_judged(path: str, said: dict[str, Any], failures: dict[str, int]) -> None:
    async with serving_target() as target:
        json = [["Host", "here"], ["Content-Type", "application/json"]]
        _, total, _ = await run(plan(target.port, path, headers=json, concurrency=10, requests=20, **said))
    if failures == {"reset": 20}:
        # Whether the system says that a connection was reset, or that it has ended, depends on how far it had come.
        total.failures = {"reset": sum(total.failures.values())} if set(total.failures) <= {"reset", "closed"} else total.failures
    assert (total.failures, total.succeeded) == (failures, 20 - sum(failures.values()))
    assert total.measured == (0 if "reset" in failures else 20)


async def test_what_cannot_be_connected_fails_without_hurry() -> None:
    async with serving_target() as target:
        closed = target.port
    end, total, _ = await run(plan(closed, concurrency=3, duration_s=0.5))
    assert (end.state, set(total.failures), total.measured) == ("completed", {"connect"}, 0)
    assert total.failed_count <= 3 * 6
    assert str(closed) in total.examples["connect"]


async def test_one_of_several_addresses_is_enough() -> None:
    async with serving_target() as target:
        addresses = [["127.0.0.9", target.port], ["127.0.0.1", target.port]]
        _, total, _ = await run(plan(target.port, addresses=addresses, concurrency=5, requests=50))
    assert (total.succeeded, total.failures) == (50, {})


async def test_https_shows_a_known_certificate_or_fails(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    identity = authority.issue("shop.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert_file, identity.key_file)
    known = {"ca_file": str(authority.file)}
    async with serving_target(context) as target:
        cases: list[tuple[dict[str, str], str, set[str]]] = [
            (known, "shop.example", set()),
            (known, "other.example", {"tls"}),
            ({}, "shop.example", {"tls"}),
        ]
        for trust, name, failures in cases:
            _, total, _ = await run(plan(target.port, server_name=name, tls=trust, concurrency=2, requests=4))
            assert set(total.failures) == failures
            assert total.succeeded == (0 if failures else 4)


async def test_a_rate_is_kept_and_rises_during_the_ramp_up() -> None:
    async with serving_target() as target:
        (_, total, intervals), (_, capped, _) = await asyncio.gather(
            run(plan(target.port, rate=200, ramp_up_s=1, duration_s=2, concurrency=50)),
            run(plan(target.port, max_rate=100, concurrency=20, duration_s=1)),
        )
    # Half of the first second's, and all of the second's.
    assert total.sent <= 300
    assert intervals[0].sent <= 200 * intervals[0].at ** 2 / 2 + 1
    assert 0 < capped.sent <= 100 * capped.at + 2


async def test_a_test_ends_when_its_author_has_seen_enough() -> None:
    async with serving_target() as target:
        cases = (
            ({"failures": 30}, r"\d+ requests have failed; the test was to end at 30\."),
            ({"errorShareAbove": 0.9}, r"100\.0% of the last \d+ requests failed; more than 90\.0% end the test\."),
            ({"p99AboveMs": 0.001}, r"The 99th percentile was [\d.]+ ms; above 0\.001 ms the test ends\."),
        )
        ended = await asyncio.gather(*(run(plan(target.port, "/status/500", concurrency=2, stop=said)) for said, _ in cases))
    for (_, reason), (end, total, _) in zip(cases, ended, strict=True):
        assert end.state == "stopped"
        assert re.fullmatch(reason, end.reason)
        assert total.failed_count >= 20


SUBJECT = {"service": "shop", "path": "/json", "operation": "GET /json"}


@pytest.mark.parametrize(
    ("failure", "failures", "measured"),
    [
        ({"type": "error", "status": 503}, {"injected status 503": 20}, 20),
        ({"type": "error", "status": 404}, {}, 20),
        ({"type": "unavailable"}, {"injected unavailable": 20}, 0),
        ({"type": "reset"}, {"injected reset": 20}, 0),
        ({"type": "timeout", "after": "30ms"}, {"injected timeout": 20}, 20),
        ({"type": "timeout"}, {"injected timeout": 20}, 20),
        ({"type": "latency", "mean": "30ms"}, {}, 20),
        ({"type": "latency", "mean": "10s"}, {"injected timeout": 20}, 20),
    ],
    ids=str,
)
async def test_what_fails_on_purpose_is_told_from_what_does_not(
    failure: dict[str, Any], failures: dict[str, int], measured: int
) -> None:
    is_late = failure.get("mean") == "30ms"
    timeout_s = 0.1 if "injected timeout" in failures else 30
    usual = {"concurrency": 10, "requests": 20, "timeout_s": timeout_s, "expectations": {"status": ["2xx", "404"]}}
    async with serving_target() as target:
        _, total, _ = await run(plan(target.port, subject=SUBJECT, rules=[rule(failure)], **usual))
        assert (total.failures, total.succeeded, total.measured) == (failures, 20 - sum(failures.values()), measured)
        assert total.injected == {failure["type"]: 20}
        # What is only late is sent; all else ends here.
        assert len(target.requests) == (20 if is_late else 0)
    if is_late:
        assert total.service_sum >= 20 * 30e6


async def test_rules_strike_by_the_trace_and_by_the_clock_and_can_be_ended() -> None:
    half = rule({"type": "error"}, 0.5)
    over = rule({"type": "error"}, endsAt="2000-01-01T00:00:00Z")
    elsewhere = rule({"type": "error"}, service="cart")
    async with serving_target() as target:
        _, total, _ = await run(plan(target.port, subject=SUBJECT, rules=[over, elsewhere, half], concurrency=20, requests=600))
        assert total.injected == {"error": total.failures["injected status 500"]}
        assert 200 < total.injected["error"] < 400
        settings = FailureRule.model_validate_json(orjson.dumps(half["settings"]))
        drawn = Injector([Stored.first(uuid.UUID(int=1), "", settings, "", 1)], Request("shop"), datetime.now(UTC))
        sent = [drawn.draw(bytes.fromhex(trace_id)) for trace_id in target.trace_ids("/json")]
        assert sent == [None] * (600 - total.injected["error"])
        assert all(drawn.draw(bytes.fromhex(each.trace_id)) for each in total.failed)

        intervals: list[Summary] = []
        everything = plan(target.port, subject=SUBJECT, rules=[rule({"type": "error"})], concurrency=2)
        generator = Generator(everything, await open_sending(everything), intervals.append)
        running = asyncio.create_task(generator.run())
        await until(lambda: bool(intervals))
        assert intervals[0].succeeded == 0
        generator.follow(())
        before = len(target.requests)
        await until(lambda: len(target.requests) > before)
        generator.cancel()
        await running


async def test_a_cancelled_test_waits_for_nobody() -> None:
    async with serving_target() as target:
        intervals: list[Summary] = []
        wanted = plan(target.port, "/slow/10000", concurrency=3)
        generator = Generator(wanted, await open_sending(wanted), intervals.append)
        running = asyncio.create_task(generator.run())
        await until(lambda: len(target.requests) == 3)
        generator.cancel()
        assert await running == End(state="cancelled", unanswered=3)
    assert figures(intervals[-1])["sent"] == 3
