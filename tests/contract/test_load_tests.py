"""Load tests over the API: described, started, followed, cancelled, and what is stored of them, against a real ClickHouse."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from collector.monitor.load import active_run
from collector.monitor.load.figures import result
from collector.monitor.load.interval import Summary
from collector.monitor.load.run_store import Run, RunStore
from exporters.clickhouse.client import ClickHouseClient, ClickHouseUnavailable
from tests.support.answers import Answer
from tests.support.grpc_health import HEALTH, grpc_server
from tests.support.receivers import ListConsumer
from tests.support.sending_port import EVE, RAY, RUNS, TESTS, WORKSPACE, Port, outgoing_of, port_of
from tests.support.targets import serving_target
from tests.support.waiting import until


@pytest.fixture
async def port(embedded_client: ClickHouseClient) -> AsyncIterator[Port]:
    taken = ListConsumer()
    outgoing = outgoing_of(embedded_client, taken)
    async with serving_target() as target, outgoing.load_tests, port_of(embedded_client, target, outgoing, taken) as port:
        yield port


async def test_a_test_runs_is_followed_and_leaves_its_result(port: Port) -> None:
    fine, bad = await asyncio.gather(
        port.start(
            "/json",
            concurrency=4,
            requests=200,
            expectations={"jsonValues": [{"path": "$.items[0].id", "equals": 7}], "bodyContains": ["items"]},
            request={"method": "POST", "headers": {"Authorization": "Bearer ${secret:key}"}, "body": "{}"},
        ),
        port.start("/status/503", rate=50, duration="1s", concurrency=4),
    )
    progress = [data for name, data in await port.events(fine) if name == "progress"]
    assert progress[-1]["total"]["succeeded"] == 200
    found, failing = await port.ended(fine), await port.ended(bad)

    assert (found["state"], found["startedBy"], found["unanswered"]) == ("completed", "ann", 0)
    figures = found["result"]
    assert (figures["sent"], figures["succeeded"], figures["failed"], figures["statuses"]) == (
        200,
        200,
        0,
        [{"status": 200, "count": 200}],
    )
    assert "s3cret" not in orjson.dumps(found).decode()
    assert {headers["authorization"] for path, headers in port.target.requests if path == "/json"} == {"Bearer s3cret"}
    sent = port.target.trace_ids("/json")
    assert len(set(sent)) == len(sent) == 200
    slowest = figures["slowest"]
    assert len(slowest) == 20
    assert {each["traceId"] for each in slowest} <= set(sent)
    durations = [int(each["durationNanos"]) for each in slowest]
    assert durations == sorted(durations, reverse=True)
    assert figures["responseTime"]["max"] == slowest[0]["durationNanos"]

    bad_figures = failing["result"]
    assert (failing["state"], bad_figures["succeeded"], bad_figures["errorShare"]) == ("completed", 0, 1.0)
    assert bad_figures["failures"] == [{"cause": "status 503", "count": bad_figures["failed"], "example": ""}]
    assert {each["traceId"] for each in bad_figures["failedTraces"]} <= set(port.target.trace_ids("/status/503"))

    # In memory sums are added up one by one, in the store at once.
    run = await port.stored.get("mine", uuid.UUID(fine))
    assert run is not None
    added = Summary(at=0, seconds=0)
    steps = await port.stored.series(run, 1)
    for step in steps:
        added.add(step)
    assert result(added) == figures
    series = (await port.ask("GET", f"{RUNS}/{fine}/series", step="1s")).json
    assert [point["sent"] for point in series["points"]] == [step.sent for step in steps]

    listed = (await port.ask("GET", RUNS, token=RAY)).json
    assert {run["id"] for run in listed["runs"]} == {fine, bad}
    first = (await port.ask("GET", RUNS, limit="1")).json
    second = (await port.ask("GET", RUNS, limit="1", cursor=first["nextCursor"])).json
    assert [*first["runs"], *second["runs"]] == listed["runs"]
    assert [run["id"] for run in (await port.ask("GET", RUNS, loadTest=found["loadTest"])).json["runs"]] == [fine]

    compared = (await port.ask("GET", f"{RUNS}/{bad}/comparison", base=fine)).json
    by_name = {each["figure"]: each for each in compared["figures"]}
    p99 = by_name["responseTime.p99"]
    before, after = int(figures["responseTime"]["p99"]), int(bad_figures["responseTime"]["p99"])
    assert (p99["base"], p99["other"], p99["change"]) == (before, after, pytest.approx((after - before) / before))
    assert (by_name["errorShare"]["base"], by_name["errorShare"]["other"], by_name["errorShare"]["change"]) == (0.0, 1.0, None)


async def test_what_ends_early_says_why_and_keeps_what_it_has(port: Port, embedded_client: ClickHouseClient) -> None:
    cancelled, killed, stopped, interrupted = await asyncio.gather(
        port.start("/slow/5", duration="30s", concurrency=2),
        port.start("/slow/6", duration="30s", concurrency=2),
        port.start("/status/500", duration="30s", concurrency=2, stopWhen={"errorShareAbove": 0.5}),
        port.start("/slow/7", duration="30s", concurrency=2),
    )
    tester = port.tester
    assert tester is not None

    refused = await port.ask("POST", f"{TESTS}/{await port.create('/json', requests=1)}/runs")
    assert (refused.status, refused.json["title"]) == (409, "Too many load tests")

    def has_begun(run: str) -> bool:
        active = tester.active("mine", uuid.UUID(run))
        return active is not None and active.total.succeeded > 0

    for run in (cancelled, killed, interrupted):
        await until(lambda run=run: has_begun(run))  # type: ignore[misc]  # mypy does not infer lambdas with defaults
    assert (await port.ask("POST", f"{RUNS}/{cancelled}/cancel", token=RAY)).status == 403
    assert (await port.ask("POST", f"{RUNS}/{cancelled}/cancel")).status == 202
    active = tester.active("mine", uuid.UUID(killed))
    assert active is not None
    assert active.pid is not None
    os.kill(active.pid, signal.SIGKILL)

    first, second, third = [await port.ended(run) for run in (cancelled, killed, stopped)]
    assert (first["state"], first["endedBy"]) == ("cancelled", "ann")
    assert first["result"]["sent"] == first["result"]["succeeded"] + first["result"]["failed"] + first["unanswered"]
    assert (second["state"], second["reason"]) == ("failed", "The load generator has ended by signal 9.")
    assert second["result"]["succeeded"] > 0
    assert (third["state"], third["result"]["succeeded"]) == ("stopped", 0)
    assert third["reason"].startswith("100.0% of the last ")
    assert (await port.ask("POST", f"{RUNS}/{stopped}/cancel")).json["detail"] == "The run is stopped."

    # The daemon ends in order, ...
    await tester.__aexit__(None, None, None)
    fourth = await port.ended(interrupted)
    assert (fourth["state"], fourth["endedAtUnixNano"] is None) == ("interrupted", False)
    assert fourth["result"]["succeeded"] > 0
    # ... or it did not: its run is silent then.
    run = await port.stored.get("mine", uuid.UUID(interrupted))
    assert run is not None
    left = str(uuid.UUID(int=9))
    values = f"('mine', '{left}', 'left', '{{}}', 'running', now64(9) - 60)"
    await embedded_client.command(
        f"INSERT INTO otel_load_test_runs (Workspace, Id, Name, Body, State, StartedAt) VALUES {values}"
    )
    silent = await port.stored.get("mine", uuid.UUID(int=9))
    assert silent is not None
    assert (silent.state, silent.ended_at) == ("interrupted", None)
    await embedded_client.command(
        f"INSERT INTO otel_load_test_progress (Workspace, RunId, Number, Sent) VALUES ('mine', '{uuid.UUID(int=9)}', 0, 5)"
    )
    alive = await port.stored.get("mine", uuid.UUID(int=9))
    assert alive is not None
    assert alive.state == "running"
    elsewhere = await port.ask("POST", f"{RUNS}/{left}/cancel")
    assert (elsewhere.status, elsewhere.json["detail"]) == (409, "The run runs on another collector; ask that one.")


async def test_nothing_is_sent_where_it_must_not_go(port: Port, embedded_client: ClickHouseClient) -> None:
    async def started(url: str, **request: Any) -> Answer:
        made = await port.ask("POST", TESTS, {"name": url, "requests": 1, "request": {"kind": "http", "url": url, **request}})
        assert made.status == 201, made.body
        return await port.ask("POST", f"{TESTS}/{made.json['id']}/runs")

    for url, said in (
        ("http://10.0.0.1/", "a private address"),
        ("http://169.254.169.254/latest", "metadata"),
        ("http://rebound.example/", "a private address"),
        ("http://[::ffff:10.0.0.1]/", "a private address"),
        ("http://127.0.0.1:22/", "another protocol"),
    ):
        answer = await started(url)
        assert (answer.status, answer.json["title"]) == (403, "Target not allowed"), url
        assert said in answer.json["detail"]
    nowhere = await started("http://nowhere.example/")
    assert (nowhere.status, nowhere.json["title"]) == (400, "Target not found")
    here = port.target.url("/json")
    for name, said in (("theirs", "no secret that this workspace may use"), ("elsewhere", "may not be sent to 127.0.0.1")):
        answer = await started(here, headers={"X-Key": f"${{secret:{name}}}"})
        assert answer.status == 400
        assert said in answer.json["detail"]

    refused = await port.ask(
        "POST",
        TESTS,
        {
            "name": "",
            "request": {"kind": "http", "url": "ftp://x/", "headers": {"Host": "x", "A": "b\r\nc"}},
            "timeout": "0s",
            "expectations": {"status": ["20"], "jsonValues": [{"path": "items", "equals": 1}]},
        },
    )
    assert {error["field"].split(".")[0].split("[")[0] for error in refused.json["errors"]} == {
        "name",
        "request",
        "timeout",
        "expectations",
    }
    endless = await port.ask("POST", TESTS, {"name": "x", "request": {"kind": "http", "url": here}})
    assert "must have requests, duration, or both" in endless.json["detail"]
    beyond = await port.ask(
        "POST", TESTS, {"name": "x", "request": {"kind": "http", "url": here}, "concurrency": 51, "rate": 2001, "duration": "31s"}
    )
    assert [error["field"] for error in beyond.json["errors"]] == ["concurrency", "rate", "duration"]

    # A redirect is an answer like another: nobody follows it.
    allowed = await port.ask(
        "POST",
        TESTS,
        {
            "name": "x",
            "requests": 3,
            "request": {"kind": "http", "url": f"http://allowed.example:{port.target.port}/redirect"},
            "expectations": {"status": ["302"]},
        },
    )
    run = (await port.ask("POST", f"{TESTS}/{allowed.json['id']}/runs")).json["id"]
    assert (await port.ended(run))["result"]["succeeded"] == 3
    assert [path for path, _ in port.target.requests] == ["/redirect"] * 3

    assert port.tester is not None
    await until(lambda: port.tester is not None and port.tester.outcomes == {"refused": 7, "completed": 1})

    # Another workspace finds neither test nor run, and readers start nothing.
    theirs = "/api/v1/workspaces/theirs"
    assert (await port.ask("POST", f"{TESTS}/{allowed.json['id']}/runs", token=RAY)).status == 403
    assert (await port.ask("POST", f"{theirs}/load-tests/{allowed.json['id']}/runs", token=EVE)).status == 404
    for method, path in (("GET", ""), ("GET", "/series"), ("GET", "/events"), ("POST", "/cancel")):
        assert (await port.ask(method, f"{theirs}/load-test-runs/{run}{path}", token=EVE)).status == 404
    assert (await port.ask("GET", f"{theirs}/load-test-runs", token=EVE)).json["runs"] == []

    async with port_of(embedded_client, port.target, None) as off:
        answer = await off.ask("POST", f"{TESTS}/{allowed.json['id']}/runs")
        assert (answer.status, answer.json["title"]) == (403, "Load tests are off")
        assert (await off.ask("GET", f"{RUNS}/{run}")).json["state"] == "completed"


async def test_failures_on_purpose_show_until_the_switch_ends_them(port: Port) -> None:
    rule = await port.let_fail({"type": "error", "status": 503})
    run = await port.start("/json", service="shop", duration="30s", concurrency=2)
    unconcerned = await port.start("/json", requests=5)
    assert (await port.ended(unconcerned))["result"]["injected"] == []

    tester = port.tester
    assert tester is not None
    active = tester.active("mine", uuid.UUID(run))
    assert active is not None
    await until(lambda: active.total.injected.get("error", 0) > 0)
    assert active.total.succeeded == 0
    assert (await port.ask("PUT", f"{WORKSPACE}/failure-injection", {"enabled": False})).status == 200
    await until(lambda: active.total.succeeded > 0)
    await port.ask("POST", f"{RUNS}/{run}/cancel")
    figures = (await port.ended(run))["result"]
    assert figures["injected"] == [{"type": "error", "count": figures["failed"]}]
    assert port.outgoing is not None
    assert port.outgoing.injected.rows() == [(("mine", "shop", "error"), figures["failed"])]
    assert figures["failures"] == [{"cause": "injected status 503", "count": figures["failed"], "example": ""}]
    spans = {span.trace_id.hex(): span for span in port.own_spans}
    assert {each["traceId"] for each in (*figures["slowest"], *figures["failedTraces"])} <= spans.keys()
    marked = {
        trace_id: span
        for trace_id, span in spans.items()
        if any(each.key == "spanhouse.failure.rule" and each.value.string_value == rule for each in span.attributes)
    }
    assert {each["traceId"] for each in figures["failedTraces"]} <= marked.keys()
    assert {span.status.message for span in marked.values()} == {"injected status 503"}
    headers = {sent["traceparent"] for _, sent in port.target.requests if "traceparent" in sent}
    reached = {trace_id: span for trace_id, span in spans.items() if trace_id not in marked}
    assert {f"00-{trace_id}-{span.span_id.hex()}-01" for trace_id, span in reached.items()} <= headers


async def test_calls_over_grpc_are_tested_as_requests_over_http_are(port: Port) -> None:
    async def run_of(listens: int, **said: Any) -> Any:
        call = {"kind": "grpc", "url": f"http://allowed.example:{listens}", "method": f"{HEALTH}/Check", **said}
        made = await port.ask("POST", TESTS, {"name": "check", "requests": 50, "concurrency": 5, "request": call})
        assert made.status == 201, made.body
        return await port.ended((await port.ask("POST", f"{TESTS}/{made.json['id']}/runs")).json["id"])

    async with grpc_server(reflects=True) as (listens, recorder):
        fine, unknown, without = await asyncio.gather(
            run_of(listens, message={"service": "shop"}, metadata={"x-key": "${secret:key}"}),
            run_of(listens, message={"service": "other"}),
            run_of(listens, method="shop.Cart/Add"),
        )
    assert (fine["state"], fine["result"]["succeeded"], fine["result"]["statuses"]) == (
        "completed",
        50,
        [{"status": 0, "count": 50}],
    )
    assert [sent.get("x-key") for sent in recorder.metadata].count("s3cret") == 50
    assert unknown["result"]["failures"] == [{"cause": "status NOT_FOUND", "count": 50, "example": ""}]
    assert (without["state"], without["result"]["sent"]) == ("failed", 0)
    assert without["reason"].startswith("The server does not know shop.Cart")
    spans = {span.trace_id.hex(): span for span in port.own_spans}
    for each in fine["result"]["slowest"]:
        span = spans[each["traceId"]]
        told = {each.key: each.value for each in span.attributes}
        assert (span.name, told["rpc.method"].string_value, told["rpc.grpc.status_code"].int_value) == (
            f"{HEALTH}/Check",
            f"{HEALTH}/Check",
            0,
        )
    refused = {"kind": "grpc", "url": "http://10.0.0.1:7070", "method": f"{HEALTH}/Check"}
    made = await port.ask("POST", TESTS, {"name": "x", "requests": 1, "request": refused})
    assert (await port.ask("POST", f"{TESTS}/{made.json['id']}/runs")).json["title"] == "Target not allowed"


class Away(RunStore):
    """A store that is away for a while, at times after it has stored what it was given."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.failures = 0

    async def write_run(self, run: Run) -> None:
        if run.state != "running":
            await self._fail(1)
        await super().write_run(run)

    async def write_progress(self, run: Run, number: int, summary: Summary) -> None:
        await self._fail(3 * number + 2)
        await super().write_progress(run, number, summary)
        await self._fail(3 * number + 3)

    async def _fail(self, until: int) -> None:
        if self.failures < until:
            self.failures += 1
            raise ClickHouseUnavailable("away", sent=True)


async def test_a_store_that_is_away_holds_up_nothing_and_has_everything_later(
    embedded_client: ClickHouseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_run, "_PAUSE_S", 0.01)
    outgoing = outgoing_of(embedded_client)
    outgoing.load_tests._store = away = Away(embedded_client, embedded_client.database)
    async with serving_target() as target, outgoing.load_tests, port_of(embedded_client, target, outgoing) as port:
        found = await port.ended(await port.start("/json", rate=100, duration="2s", concurrency=5))
    assert away.failures > 3
    assert (found["state"], found["result"]["sent"]) == ("completed", len(target.requests))
