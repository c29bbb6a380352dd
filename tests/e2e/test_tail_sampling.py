"""Tail sampling as users have it: whole traces are kept or dropped, can be asked about, and outlive restarts undecided."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.requests import EPOCH, key_values

POLICIES = [{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}]
OF_KEPT = {"filter": {"traces": {"span": ['name == "1"']}}}


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that is not started yet."""
    with daemon_in(tmp_path) as daemon:
        yield daemon


def export(daemon: Daemon, trace: int, *, failed: bool = False, spans: range = range(3)) -> None:
    """Send spans of a trace, named by their numbers, the last failed or none. Without a root, nothing is decided early."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop"}))
    for number in spans:
        span = resource_spans.scope_spans.add().spans.add(
            trace_id=bytes([trace]) * 16,
            span_id=bytes([trace, number]) * 4,
            parent_span_id=b"upstream",
            name=str(number),
            start_time_unix_nano=EPOCH,
        )
    span.status.code = Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET
    daemon.export(message)


def explained(daemon: Daemon, trace: int) -> Any:
    """What the API says about a trace."""
    (exporter,) = json.loads(daemon.get(f"/api/v1/sampling/decisions/{bytes([trace] * 16).hex()}")[1])["exporters"]
    return exporter


def account(daemon: Daemon) -> dict[str, object]:
    """The ledger's account of the default workspace."""
    (exporter,) = json.loads(daemon.get("/api/v1/ledger")[1])["exporters"]
    (workspace,) = exporter["workspaces"]
    return {key: workspace[key] for key in ("accepted", "stored", "dropped", "waiting")}


def stored(daemon: Daemon) -> list[str]:
    """Trace and name of each span that is stored."""
    return daemon.sql("SELECT unhex(substring(TraceId, 1, 2)), SpanName FROM otel_traces ORDER BY 1, 2 FORMAT TSV").splitlines()


def test_traces_are_kept_or_dropped_as_a_whole_and_processors_behind_see_only_what_is_kept(stopped: Daemon) -> None:
    stopped.configure(processors={"tail_sampling": {"policies": POLICIES, "decision_wait": "300ms"}, **OF_KEPT}, journal={})
    stopped.start()
    for trace in (65, 66):
        export(stopped, trace, spans=range(2))
    export(stopped, 66, failed=True, spans=range(2, 3))
    assert explained(stopped, 67) == {"exporter": "clickhouse", "state": "unknown", "decisions": []}

    settled = {"accepted": 5, "stored": 2, "dropped": {"tail_sampling": 2, "filter": 1}, "waiting": 0}
    eventually(lambda: account(stopped) == settled, "an account of which nothing waits")
    assert stored(stopped) == ["B\t0", "B\t2"]
    for trace, state, by in ((65, "dropped", "not_sampled"), (66, "kept", "errors")):
        answer = explained(stopped, trace)
        (decision,) = answer["decisions"]
        assert answer["state"] == state
        assert (decision["decidedBy"], decision["late"]) == (by, False)
        assert decision["votes"] == [{"policy": "errors", "keeps": state == "kept"}]
    labels = {"processor": "tail_sampling", "exporter": "clickhouse"}
    assert stopped.metric("otelcol_processor_incoming_items_total", **labels) == 5
    assert stopped.metric("otelcol_processor_outgoing_items_total", **labels) == 3
    assert stopped.stop() == 0, stopped.log


@pytest.mark.soak
def test_traces_wait_for_their_decision_over_a_restart_with_another_wait(stopped: Daemon) -> None:
    stopped.configure(processors={"tail_sampling": {"policies": POLICIES, "decision_wait": "1h"}}, journal={})
    stopped.start()
    export(stopped, 65)
    export(stopped, 66, failed=True)
    eventually(lambda: explained(stopped, 66)["state"] == "pending", "spans that are held")
    stopped.stop(signal.SIGKILL)

    stopped.configure(processors={"tail_sampling": {"policies": POLICIES, "decision_wait": "300ms"}}, journal={})
    stopped.start()
    settled = {"accepted": 6, "stored": 3, "dropped": {"tail_sampling": 3}, "waiting": 0}
    eventually(lambda: account(stopped) == settled, "an account of which nothing waits")
    assert stored(stopped) == ["B\t0", "B\t1", "B\t2"]
    assert stopped.stop() == 0, stopped.log


@pytest.mark.soak
def test_at_an_orderly_end_what_is_not_decided_waits_in_the_journal_and_holds_the_end_up_no_longer(stopped: Daemon) -> None:
    processors = {"tail_sampling": {"policies": POLICIES, "decision_wait": "1h"}}
    stopped.configure(processors=processors, journal={}, service={"shutdown_timeout": "600s"})
    stopped.start()
    export(stopped, 66, failed=True)
    eventually(lambda: explained(stopped, 66)["state"] == "pending", "spans that are held")
    assert stopped.stop() == 0, stopped.log
    assert stopped.event("spans_kept")

    stopped.configure(journal={})
    stopped.start()
    eventually(lambda: account(stopped) == {"accepted": 3, "stored": 3, "dropped": {}, "waiting": 0}, "what was held, stored")
    assert stopped.stop() == 0, stopped.log
