"""The debug exporter, built as the daemon builds it: what the log says of spans."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.clock import Clock
from collector.logging import configure_logging
from exporters.debug import DebugExporter, LogSampler
from proto.otlp_decode import decode
from tests.support.batches import numbered
from tests.support.outlets import opened
from tests.support.requests import every_value_request, spans_of


async def written(directory: Path, keys: dict[str, Any], batches: int = 1) -> list[Any]:
    """What is logged of so many batches of two spans within one second."""
    batch = decode(every_value_request().SerializeToString(), "shop").batch
    async with opened("debug", keys, directory, Clock(lambda: 5.0)) as exporter:
        with capture_logs() as lines:
            for number in range(batches):
                delivery = await exporter.outlet.deliver(batch, str(number))
                assert delivery.stored == {"shop/values": 2}
        assert exporter.account.stored_spans == 2 * batches
    assert {line["exporter"] for line in lines} == {"debug"}
    return lines


async def test_a_line_says_how_many_spans_a_batch_has(tmp_path: Path) -> None:
    (line,) = await written(tmp_path, {})
    assert line == {"event": "batch", "exporter": "debug", "log_level": "info", "spans": 2, "services": 1}


async def test_a_span_is_told_with_its_ids_and_attributes(tmp_path: Path) -> None:
    _, *told = await written(tmp_path, {"verbosity": "normal"})
    root, child = spans_of(every_value_request())
    assert [line["event"] for line in told] == ["span", "span"]
    assert [line["span_id"] for line in told] == [root.span_id.hex(), child.span_id.hex()]
    assert (told[0]["workspace"], told[0]["service"], told[0]["name"]) == ("shop", "values", "every value")
    assert (told[0]["trace_id"], told[0]["parent_span_id"], told[1]["parent_span_id"]) == (
        root.trace_id.hex(),
        "",
        child.parent_span_id.hex(),
    )
    assert (told[0]["kind"], told[0]["duration_ns"]) == ("producer", root.end_time_unix_nano - root.start_time_unix_nano)
    values = told[0]["attributes"]
    assert (values["string"], values["int"], values["double"], values["bool.true"]) == ("grüße, 世界 🌍", -(2**63), 0.1, True)
    assert values["bytes"] == bytes(range(256)).hex()
    assert values["array"] == ["a", 1, 2.5, True, None, ["nested"], {"key": "value"}]
    assert values["empty"] is None
    assert "events" not in told[0]


async def test_all_that_a_span_holds_is_told_where_that_is_wanted(tmp_path: Path) -> None:
    _, root, _ = await written(tmp_path, {"verbosity": "detailed"})
    span, _ = spans_of(every_value_request())
    assert [event["name"] for event in root["events"]] == [event.name for event in span.events]
    assert [link["trace_id"] for link in root["links"]] == [link.trace_id.hex() for link in span.links]
    assert root["dropped"] == {"attributes": 3, "events": 4, "links": span.dropped_links_count}
    assert (root["trace_state"], root["flags"], root["status_message"]) == (span.trace_state, 0x301, span.status.message)
    assert root["scope"] == {"name": "values", "version": "1.0", "attributes": {"scope.kind": "test"}}
    assert root["resource"]["service.name"] == "values"


@pytest.mark.parametrize(("initial", "thereafter", "lines"), [(2, 1, 10), (2, 0, 2), (3, 4, 4), (0, 5, 2), (20, 0, 10)])
async def test_of_many_batches_in_a_second_some_are_written(initial: int, thereafter: int, lines: int, tmp_path: Path) -> None:
    keys = {"sampling_initial": initial, "sampling_thereafter": thereafter}
    assert len(await written(tmp_path, keys, batches=10)) == lines


@pytest.mark.parametrize("encoding", ["console", "json"])
async def test_what_spans_say_cannot_break_the_log(encoding: Any, restored_logging: None) -> None:
    stream = StringIO()
    configure_logging("info", encoding, stream)
    request = every_value_request()
    next(iter(spans_of(request))).name = "first\nsecond \x1b[31m"
    batch = decode(request.SerializeToString()).batch
    # Without a sender, whose logger would keep this stream for all tests that come after.
    with ThreadPoolExecutor(1) as executor:
        exporter = DebugExporter("debug", "detailed", LogSampler(2, 1, time.monotonic), executor)
        for report in await exporter.prepare(batch, "a"):
            await report.send(1)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert "\x1b" not in stream.getvalue()
    if encoding == "json":
        assert json.loads(lines[1])["name"] == "first\nsecond \x1b[31m"


async def test_values_that_are_nested_too_deeply_to_be_shown_are_said_to_be(tmp_path: Path) -> None:
    request = every_value_request()
    value = next(iter(spans_of(request))).attributes.add(key="deep").value
    for _ in range(60):
        value = value.array_value.values.add()
    value.int_value = 1
    batch = decode(request.SerializeToString()).batch
    async with opened("debug", {"verbosity": "normal"}, tmp_path) as exporter:
        with capture_logs() as lines:
            delivery = await exporter.outlet.deliver(batch, "a")
    assert delivery.stored.total() == 2
    assert [line["event"] for line in lines] == ["spans_not_shown", "batch"]


async def test_spans_of_several_workspaces_are_told_with_theirs(tmp_path: Path) -> None:
    batches = [numbered(0, 2, workspace="shop"), numbered(2, 3, workspace="lab")]
    async with opened("debug", {"verbosity": "normal"}, tmp_path) as exporter:
        with capture_logs() as lines:
            for batch in batches:
                await exporter.outlet.deliver(batch, batch.workspaces[0])
    told = [line["workspace"] for line in lines if line["event"] == "span"]
    assert told == ["shop"] * 2 + ["lab"] * 3
