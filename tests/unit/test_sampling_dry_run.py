"""`spanhouse sampling dry-run` says what samplers would keep, as a look at the stored messages says it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.cli import FAILED, OK, main
from tests.support.requests import Shape, generated_request, spans_of

ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
EVERY = {"name": "every", "type": "always_sample"}
SLOW = {"name": "slow", "type": "latency", "latency": {"threshold_ms": 1_000_000}}


def configured(path: Path, *policies: dict[str, Any], in_front: dict[str, Any] | None = None, **keys: object) -> Path:
    processors = {"tail_sampling": {"policies": list(policies), **keys}} | ({"filter": in_front} if in_front else {})
    order = (["filter"] if in_front else []) + ["tail_sampling"]
    pipeline = {"receivers": ["otlp"], "processors": order, "exporters": ["clickhouse"]}
    document = {
        "receivers": {"otlp": {"protocols": {"grpc": None}}},
        "processors": processors,
        "exporters": {"clickhouse": None},
        "service": {"pipelines": {"traces": pipeline}},
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def spans(tmp_path: Path) -> list[Span]:
    """Stored in two requests of one file each."""
    (tmp_path / "traces").mkdir()
    requests = [generated_request(Shape(spans=200, services=3, errors_share=0.05), seed=seed) for seed in (1, 2)]
    for number, request in enumerate(requests):
        (tmp_path / "traces" / f"{number}.pb").write_bytes(request.SerializeToString())
    return [span for request in requests for span in spans_of(request)]


def dry_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: object) -> Any:
    assert main(["sampling", "dry-run", "--json", *map(str, arguments), str(tmp_path / "traces")]) == OK
    return orjson.loads(capsys.readouterr().out)


def by_trace(spans: list[Span]) -> dict[bytes, list[Span]]:
    traces: defaultdict[bytes, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return traces


@pytest.mark.usefixtures("spans")
def test_what_asks_a_store_is_left_out_which_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configured(tmp_path / "c.yaml", EVERY)
    document = yaml.safe_load(path.read_text())
    document["processors"] |= {"memory_limiter": {"limit_mib": 1000}, "service_policy": None, "batch": None}
    order = ["memory_limiter", "service_policy", "tail_sampling", "batch"]
    document["service"]["pipelines"]["traces"]["processors"] = order
    path.write_text(yaml.safe_dump(document))
    assert dry_run(capsys, tmp_path, "-c", path)["skipped"] == ["service_policy"]


def test_what_would_be_kept_is_told(tmp_path: Path, spans: list[Span], capsys: pytest.CaptureFixture[str]) -> None:
    found = dry_run(capsys, tmp_path, "-c", configured(tmp_path / "c.yaml", ERRORS, SLOW))
    traces = by_trace(spans)
    failed = {trace_id: own for trace_id, own in traces.items() if any(span.status.code == 2 for span in own)}
    assert 0 < len(failed) < len(traces)
    kept = sum(map(len, failed.values()))
    assert found["total"] == {"spans": 400, "kept_spans": kept, "traces": len(traces), "kept_traces": len(failed)}
    assert found["policies"]["errors"]["kept_spans"] == kept
    assert found["dropped"] == {"tail_sampling": {"not_sampled": 400 - kept}}
    assert sum(service["spans"] for service in found["services"].values()) == 400
    assert sum(service["kept_spans"] for service in found["services"].values()) == kept
    assert len(found["services"]) == 3


@pytest.mark.parametrize("blocks", [False, True])
def test_bounds_change_when_traces_are_decided_and_not_how(
    tmp_path: Path, spans: list[Span], capsys: pytest.CaptureFixture[str], blocks: bool
) -> None:
    plain = dry_run(capsys, tmp_path, "-c", configured(tmp_path / "c.yaml", ERRORS))
    bounded = configured(tmp_path / "c.yaml", ERRORS, num_traces=3, block_on_overflow=blocks)
    assert dry_run(capsys, tmp_path, "-c", bounded) == plain


def test_what_other_processors_drop_is_told(tmp_path: Path, spans: list[Span], capsys: pytest.CaptureFixture[str]) -> None:
    in_front = {"traces": {"span": ["kind == SPAN_KIND_CLIENT"]}}
    found = dry_run(capsys, tmp_path, "-c", configured(tmp_path / "c.yaml", EVERY, in_front=in_front))
    clients = sum(span.kind == Span.SPAN_KIND_CLIENT for span in spans)
    assert 0 < clients < 400
    assert found["dropped"] == {"filter": {"": clients}}
    assert found["total"]["kept_spans"] == 400 - clients


def test_a_trace_is_explained(tmp_path: Path, spans: list[Span], capsys: pytest.CaptureFixture[str]) -> None:
    trace_id, own = next(iter(by_trace(spans).items()))
    config = configured(tmp_path / "c.yaml", SLOW, EVERY)
    found = dry_run(capsys, tmp_path, "-c", config, "--explain", trace_id.hex())
    vote = {"kept": True, "reason": "every", "is_for": ["every"], "probability": 1, "spans": len(own), "late": False}
    assert found["trace"] == {"id": trace_id.hex(), "decisions": [vote], "dropped": {}}
    assert main(["sampling", "dry-run", "-c", str(config), "--explain", trace_id.hex(), str(tmp_path / "traces")]) == OK
    assert f"{len(own)} spans kept by every; for it: every; of such traces 100.0000% are kept" in capsys.readouterr().out


def test_the_difference_to_another_configuration_is_told(
    tmp_path: Path, spans: list[Span], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = configured(tmp_path / "one.yaml", ERRORS), configured(tmp_path / "other.yaml", EVERY)
    found = dry_run(capsys, tmp_path, "-c", one, "--against", other)
    kept, every = found["first"]["total"]["kept_traces"], len(by_trace(spans))
    assert found["traces"] == {"both": kept, "first": 0, "second": every - kept}
    assert found["examples"]["first"] == []
    assert bytes.fromhex(found["examples"]["second"][0]) in by_trace(spans)
    assert main(["sampling", "dry-run", "-c", str(one), "--against", str(other), str(tmp_path / "traces")]) == OK
    text = capsys.readouterr().out
    assert f"{every - kept:,}  by the second alone" in text
    assert f"{400 - found['first']['total']['kept_spans']:+,}  spans kept" in text


def test_an_id_that_is_none_is_refused(tmp_path: Path, spans: list[Span], capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(tmp_path / "c.yaml", EVERY)
    assert main(["sampling", "dry-run", "-c", str(config), "--explain", "12", str(tmp_path / "traces")]) == FAILED
    assert "--explain must be a trace id of 32 hexadecimal digits, found '12'" in capsys.readouterr().err
