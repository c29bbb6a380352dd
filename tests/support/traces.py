"""The traces of real systems, one OTLP request a file; generated ones in their place where there are none.

`SPANHOUSE_TRACES` names the directory; without it, `../shared/data/traces` beside the repository is tried. Each file is one
gzip-compressed `ExportTraceServiceRequest`, named `NAME.pb.gz`.
"""

from __future__ import annotations

import gzip
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.requests import Shape, every_value_request, generated_request, span_count, tree_request

VARIABLE: Final = "SPANHOUSE_TRACES"
SUFFIX: Final = ".pb.gz"
LATER_PART: Final = re.compile(r"busy-(?!000)\d{3}$")
"""Name of a further part of a recording that was cut into equal ones, each of more than 20,000 spans of the same services."""
BESIDE: Final = Path(__file__).resolve().parents[3] / "shared" / "data" / "traces"


@dataclass(frozen=True, slots=True)
class TraceFile:
    """One request: its name without suffix, and its protobuf bytes, uncompressed."""

    name: str
    body: bytes

    @property
    def spans(self) -> int:
        """Number of spans in the request."""
        return span_count(self.body)

    @property
    def message(self) -> ExportTraceServiceRequest:
        """The request, parsed anew on every access."""
        return ExportTraceServiceRequest.FromString(self.body)


def traces_directory() -> Path | None:
    """Where the real traces are, or None where there are none.

    Raises FileNotFoundError when SPANHOUSE_TRACES names a directory that holds no trace: a wrong name must not pass silently.
    """
    named = os.environ.get(VARIABLE)
    directory = Path(named) if named else BESIDE
    if any(directory.glob(f"*{SUFFIX}")):
        return directory
    if named:
        raise FileNotFoundError(f"{VARIABLE}={named} holds no *{SUFFIX} file")
    return None


needs_real_traces: Final = pytest.mark.skipif(traces_directory() is None, reason=f"needs real traces: {VARIABLE} names none")
"""Of tests that look at what generated traces are too few and too even for."""


def trace_names() -> tuple[str, ...]:
    """Names of all traces, sorted; no body is read for it."""
    directory = traces_directory()
    if directory is None:
        return tuple(sorted(_generated()))
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in directory.glob(f"*{SUFFIX}")))


def each_trace() -> list[object]:
    """The same as parameters of a test, of which further parts of a recording wait for those who have the time."""
    return [pytest.param(name, marks=pytest.mark.soak if LATER_PART.search(name) else ()) for name in trace_names()]


@cache
def read_trace(name: str) -> TraceFile:
    """One trace by name. Raises KeyError for a name that `trace_names` does not have."""
    directory = traces_directory()
    if directory is None:
        return TraceFile(name, _generated()[name])
    path = directory / f"{name}{SUFFIX}"
    if not path.is_file():
        raise KeyError(f"no trace {name!r} in {directory}")
    return TraceFile(name, gzip.decompress(path.read_bytes()))


def all_traces() -> tuple[TraceFile, ...]:
    """Every trace, in the order of `trace_names`."""
    return tuple(read_trace(name) for name in trace_names())


@cache
def _generated() -> dict[str, bytes]:
    """Small stand-ins with the properties that tests look for: many services, depth, links, errors, every type of value."""
    busy = Shape(spans=1_000, services=8, links_share=0.05, errors_share=0.1)
    requests = {
        "generated-busy": generated_request(busy, seed=1),
        "generated-deep": tree_request(depth=48, service="deep", seed=2),
        "generated-one-service": generated_request(Shape(spans=200), seed=3),
        "generated-values": every_value_request(seed=4),
        "generated-wide": tree_request(depth=3, children=20, service="wide", seed=5),
    }
    return {name: request.SerializeToString(deterministic=True) for name, request in requests.items()}
