"""Load tests of unary calls over gRPC, against a genuine server."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import grpc
import orjson
import pytest

from collector.monitor.load.figures import figures, response_times
from collector.monitor.load.generator import End, Generator
from collector.monitor.load.interval import Summary
from collector.monitor.load.plan import Plan
from collector.monitor.load.sending import open_sending
from tests.support.certificates import Authority
from tests.support.grpc_health import DESCRIPTORS, HEALTH, grpc_server
from tests.support.load import rule, run
from tests.support.waiting import until

CHECK = f"{HEALTH}/Check"
SUBJECT = {"service": "shop", "path": f"/{CHECK}", "operation": CHECK}


def plan(port: int, service: str = "shop", request: dict[str, Any] | None = None, **said: Any) -> Plan:
    call = {"kind": "grpc", "authority": "shop.example", "method": CHECK, "message": {"service": service}, **(request or {})}
    usual = {"request": call, "addresses": [["127.0.0.1", port]], "max_rate": 1e6, "duration_s": 20}
    return Plan.model_validate_json(orjson.dumps({**usual, **said}))


async def test_calls_are_made_each_with_a_trace_of_its_own() -> None:
    async with grpc_server(reflects=True) as (port, recorder):
        metadata = [["x-key", "s3cret"], ["user", "ann"]]
        end, total, _ = await run(plan(port, request={"metadata": metadata}, concurrency=120, requests=600))
    assert (end, total.succeeded, total.statuses, total.measured) == (End(state="completed"), 600, {0: 600}, 600)
    assert total.received_bytes == 600 * 2
    parents = [sent["traceparent"] for sent in recorder.metadata]
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", parent) for parent in parents)
    assert len({parent.split("-")[1] for parent in parents}) == 600
    assert {each.trace_id for each in total.slowest} <= {parent.split("-")[1] for parent in parents}
    assert all((sent["x-key"], sent["user"]) == ("s3cret", "ann") for sent in recorder.metadata)
    assert 0 < (response_times(total)["p50"] or 0) <= total.response_max


@pytest.mark.parametrize(
    ("service", "request_", "said", "failures"),
    [
        ("shop", {"descriptors": DESCRIPTORS}, {}, {}),
        ("other", {}, {}, {"status NOT_FOUND": 20}),
        ("other", {"expected_status": "NOT_FOUND"}, {}, {}),
        ("shop", {"expected_status": "NOT_FOUND"}, {}, {"status OK": 20}),
        ("shop", {}, {"expectations": {"jsonValues": [{"path": "$.status", "equals": "NOT_SERVING"}]}}, {}),
        ("shop", {}, {"expectations": {"jsonValues": [{"path": "$.status", "equals": 1}]}}, {"'$.status' differs": 20}),
        ("slow", {}, {"timeout_s": 0.2}, {"timeout": 20}),
        ("shop", {}, {"expectations": {"maxDuration": "1ns"}}, {"slower than expected": 20}),
    ],
    ids=str,
)
async def test_answers_are_judged_by_their_status_and_their_message(
    service: str, request_: dict[str, Any], said: dict[str, Any], failures: dict[str, int]
) -> None:
    async with grpc_server(reflects=True) as (port, _):
        _, total, _ = await run(plan(port, service, request_, concurrency=10, requests=20, **said))
    assert (total.failures, total.succeeded, total.measured) == (failures, 20 - sum(failures.values()), 20)


@pytest.mark.parametrize(
    ("failure", "failures", "status"),
    [
        ({"type": "error", "status": 503, "message": "closed"}, {"injected status UNAVAILABLE": 20}, 14),
        ({"type": "unavailable"}, {"injected unavailable": 20}, None),
        ({"type": "timeout", "after": "30ms"}, {"injected timeout": 20}, None),
        ({"type": "latency", "mean": "30ms"}, {}, 0),
    ],
    ids=str,
)
async def test_what_fails_on_purpose_is_not_called(failure: dict[str, Any], failures: dict[str, int], status: int | None) -> None:
    only_check = rule(failure, match={"paths": [f"/{CHECK}"], "operations": [CHECK]})
    async with grpc_server(reflects=True) as (port, recorder):
        _, total, _ = await run(plan(port, subject=SUBJECT, rules=[only_check], concurrency=10, requests=20))
    assert (total.failures, total.injected) == (failures, {failure["type"]: 20})
    assert total.statuses == ({} if status is None else {status: 20})
    assert len(recorder.metadata) == (0 if failures else 20)
    if failure["type"] == "error":
        assert figures(total)["failures"] == [{"cause": "injected status UNAVAILABLE", "count": 20, "example": "closed"}]
    if not failures:
        assert total.service_sum >= 20 * 30e6


async def test_a_server_that_goes_is_missed_and_found_when_it_is_back() -> None:
    async with grpc_server(reflects=True) as (port, _):
        wanted = plan(port, request={"descriptors": DESCRIPTORS}, concurrency=2)
        intervals: list[Summary] = []
        sending = await open_sending(wanted)
        generator = Generator(wanted, sending, intervals.append)
        running = asyncio.create_task(generator.run())
        await until(lambda: any(each.succeeded for each in intervals))
    await until(lambda: any("connect" in each.failures for each in intervals))
    assert intervals[-1].failures["connect"] <= 2 * 12
    async with grpc_server(reflects=True, port=port) as (_, recorder):
        await until(lambda: len(recorder.metadata) > 0)
        generator.cancel()
        assert (await running).state == "cancelled"
    await sending.close()


async def test_a_cancelled_test_gives_its_calls_up() -> None:
    async with grpc_server(reflects=True) as (port, recorder):
        wanted = plan(port, "slow", concurrency=3)
        sending = await open_sending(wanted)
        generator = Generator(wanted, sending, lambda _: None)
        running = asyncio.create_task(generator.run())
        await until(lambda: len(recorder.metadata) == 3)
        generator.cancel()
        assert await running == End(state="cancelled", unanswered=3)
        await sending.close()


async def test_tls_shows_a_known_certificate(tmp_path: Any) -> None:
    authority = Authority(tmp_path)
    identity = authority.issue("shop.example")
    credentials = grpc.ssl_server_credentials([(identity.key, identity.cert)])
    trust = {"ca_file": str(authority.file)}
    async with grpc_server(reflects=True, credentials=credentials) as (port, _):
        _, total, _ = await run(plan(port, server_name="shop.example", tls=trust, requests=5))
        assert total.succeeded == 5
        with pytest.raises(ValueError, match="No connection could be made, or no encryption agreed on"):
            await open_sending(plan(port, server_name="other.example", tls=trust, requests=5))


async def test_what_cannot_be_called_says_why_before_anything_is_sent() -> None:
    async with grpc_server(reflects=False) as (port, recorder):
        with pytest.raises(ValueError, match=r"The server has no reflection; give descriptors\."):
            await open_sending(plan(port))
        wrong = plan(port, request={"descriptors": DESCRIPTORS, "message": {"servic": "x"}})
        with pytest.raises(ValueError, match=r"The message is no grpc\.health\.v1\.HealthCheckRequest"):
            await open_sending(wrong)
        with pytest.raises(ValueError, match="The method Watch is a stream"):
            await open_sending(plan(port, request={"descriptors": DESCRIPTORS, "method": f"{HEALTH}/Watch"}))
    assert recorder.metadata == []
    with pytest.raises(ValueError, match="No connection could be made"):
        await open_sending(plan(port))
