"""What tail sampling costs: CPU per span, memory per span that is held, and the longest pause with millions of them held.

    python bench/tail_sampling.py [--spans SPANS]

Pieces of 8,192 spans come one after the other, each with trace ids of its own, at a rate at which so many spans come in the 30
seconds of a decision; twice as many come in all. Six policies of six types keep about a third. The same is done the plain way,
with a dictionary of traces over protobuf objects, on the same requests in the same run.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench.loads import LOADS
from collector.memory import keep_little
from collector.pipeline.plans import Plan, planned, stops
from collector.pipeline.registry import batch_limits
from collector.processors.tail_sampling.policies import MOST, trace_id_hashes
from collector.processors.tail_sampling.sampler import TailSampler
from config.processors import BatchProcessor
from config.tail_sampling import TailSamplingProcessor
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from proto.warm import warm

TARGET_US: Final = 2.0
"""CPU microseconds per span."""
TARGET_BYTES: Final = 150
"""Memory of a span that is held, beyond its own bytes."""
TARGET_PAUSE_MS: Final = 50
"""The longest call."""

SIX: Final[Sequence[dict[str, Any]]] = (
    {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
    {"name": "slow", "type": "latency", "latency": {"threshold_ms": 5000}},
    {"name": "agent", "type": "string_attribute", "string_attribute": {"key": "user_agent.original", "values": ["curl/8"]}},
    {"name": "codes", "type": "numeric_attribute", "numeric_attribute": {"key": "server.port", "min_value": 1, "max_value": 79}},
    {"name": "named", "type": "ottl_condition", "ottl_condition": {"span": ['IsMatch(span.name, "^(PATCH|HEAD) ")']}},
    {"name": "share", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}},
)
WAIT_S: Final = 30
LIMITS: Final = batch_limits(BatchProcessor())
"""Of the batches in which is sent what is kept."""


@dataclass(slots=True)
class Costs:
    """What the calls took: CPU seconds by what was done, and of the longest call."""

    cpu_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    longest_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        """Do it."""
        started = time.process_time()
        result = work()
        took_s = time.process_time() - started
        self.cpu_s[name] += took_s
        self.longest_s[name] = max(self.longest_s[name], took_s)
        return result


def pieces(batch: SpanBatch) -> Iterator[SpanBatch]:
    """The same spans again and again, with other trace ids each time."""
    random = np.random.default_rng(1)
    places = batch.spans["trace_id_offset"][:, None] + np.arange(16)
    while True:
        data = batch.data.copy()
        data[places] ^= random.integers(0, 256, 16, dtype=np.uint8)
        data.flags.writeable = False
        tables = {name: getattr(batch, name).copy() for name in ("resources", "scopes", "spans", "events", "links", "attributes")}
        yield replace(batch, data=data, **tables)


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def plain_traces(requests: Sequence[ExportTraceServiceRequest]) -> list[bytes]:
    """The ids of the traces that are kept, by a loop over spans and one over traces."""
    traces: defaultdict[bytes, list[Span]] = defaultdict(list)
    for request in requests:
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    traces[span.trace_id].append(span)
    return [trace_id for trace_id, spans in traces.items() if _is_kept(trace_id, spans)]


_NAMED: Final = re.compile("^(PATCH|HEAD) ")


def _is_kept(trace_id: bytes, spans: Sequence[Span]) -> bool:
    kept = max(span.end_time_unix_nano for span in spans) - min(span.start_time_unix_nano for span in spans) >= 5_000_000_000
    for span in spans:
        kept |= span.status.code == 2 or _NAMED.search(span.name) is not None
        for entry in span.attributes:
            kept |= entry.key == "user_agent.original" and entry.value.string_value == "curl/8"
            kept |= entry.key == "server.port" and 1 <= entry.value.int_value <= 79
    return kept or int(trace_id_hashes("default-hash-seed", np.frombuffer(trace_id, np.uint8)[None])[0]) <= MOST // 10


def decide(tail: TailSampler, now_ns: int) -> Plan | None:
    """What is decided, and which batches are made of what is kept: one call, as the pipeline makes it."""
    decided = tail.decide(now_ns)
    return None if decided is None else planned(decided, stops(decided.kept, LIMITS, lambda _: LIMITS))


def run(batch: SpanBatch, in_a_wait: int) -> None:
    """Fill up, then go on for as many spans again, and print what that took."""
    settings = {"policies": SIX, "num_traces": 2 * in_a_wait // 8, "max_bytes": 1 << 40, "decision_wait": f"{WAIT_S}s"}
    tail = TailSampler(TailSamplingProcessor.model_validate(settings))
    held = -(-in_a_wait // len(batch))
    step_ns = WAIT_S * 10**9 // held
    costs = Costs()
    before = resident_bytes()
    spans = kept = 0
    most_held = most_bytes = own_bytes = 0
    for number, piece in zip(range(2 * held), pieces(batch), strict=False):
        now_ns = number * step_ns
        costs.timed("add", partial(tail.add, piece, number, now_ns))
        spans += len(piece)
        if tail.pending_spans > most_held:
            most_held, most_bytes, own_bytes = tail.pending_spans, resident_bytes() - before, tail.pending_bytes
        while (plan := costs.timed("decide", partial(decide, tail, now_ns))) is not None:
            for parts in plan.batches().values():
                made = costs.timed("join what is kept", replace(plan.decided, kept=tuple(parts)).batch)
                kept += len(made)
    decided_spans = spans - tail.pending_spans
    print(f"{most_held:,} spans held; of {decided_spans:,} that were decided {kept / decided_spans:.0%} kept")
    each = {"add": spans, "decide": decided_spans, "join what is kept": decided_spans}
    for name, cpu_s in costs.cpu_s.items():
        print(f"  {name:<20} {cpu_s / each[name] * 1e6:>7.3f} µs/span   longest call {costs.longest_s[name] * 1e3:.1f} ms")
    total = sum(cpu_s / each[name] for name, cpu_s in costs.cpu_s.items()) * 1e6
    print(f"  {'together':<20} {total:>7.3f} µs/span   at most {TARGET_US}: {_verdict(total <= TARGET_US)}")
    each_held = most_bytes / most_held
    beyond = each_held - own_bytes / most_held
    print(
        f"  memory of a span     {each_held:>7.0f} bytes, {each_held - len(batch.data) / len(batch):.0f} more than in the request"
    )
    print(f"  besides its batch    {beyond:>7.0f} bytes          at most {TARGET_BYTES}: {_verdict(beyond <= TARGET_BYTES)}")
    longest_ms = max(costs.longest_s.values()) * 1e3
    print(f"  longest call {longest_ms:.1f} ms   at most {TARGET_PAUSE_MS}: {_verdict(longest_ms <= TARGET_PAUSE_MS)}")


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=2_300_000, help="spans in 30 seconds (default: %(default)s)")
    arguments = parser.parse_args()
    # As in the daemon: otherwise memory that is used again is mapped anew.
    keep_little()
    bodies = LOADS["spans-512"].bodies()
    warm()
    run(concatenate([decode(body).batch for body in bodies]), arguments.spans)
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    started = time.process_time()
    plain_traces(requests)
    spans = sum(len(scope.spans) for request in requests for resource in request.resource_spans for scope in resource.scope_spans)
    print(f"  plain, over protobuf {(time.process_time() - started) / spans * 1e6:>7.3f} µs/span")


if __name__ == "__main__":
    main()
