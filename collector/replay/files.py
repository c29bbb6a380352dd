"""The requests that `spanhouse replay` sends: OTLP files, and their times moved to now."""

from __future__ import annotations

import gzip
import io
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Final

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.cli import UserError
from collector.replay.pieces import TooLarge, lines_in, requests_in, text_in
from proto.errors import MalformedRequest

SUFFIXES: Final = (".pb", ".json", ".jsonl", ".pb.gz", ".json.gz", ".jsonl.gz")
_ID_BYTES: Final = 8
"""By so many of its last bytes a trace is known among those of other files: they are random in ids of any length."""
_LATEST_NS: Final = 2**63 - 1
"""Later times, which a store cannot hold either, are mistakes of whoever made the span; they are not moved."""

_Traces = NDArray[np.uint64]
"""The traces of a file, sorted, shape (traces,)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to send.

    Attributes:
        source: the file it is from.
        body: ExportTraceServiceRequest.
        spans: how many it holds.
    """

    source: Path
    body: bytes
    spans: int


def files_of(path: Path) -> list[Path]:
    """The file itself, or the OTLP files in a directory, by name.

    Raises:
        UserError: there is no such file, or none in the directory.
    """
    try:
        files = sorted(file for file in path.iterdir() if file.name.endswith(SUFFIXES))
    except NotADirectoryError:
        if path.name.endswith(SUFFIXES):
            return [path]
        remedy = f"rename it so that it ends in one of {', '.join(SUFFIXES)}"
        raise UserError(f"{path} is not known to be OTLP; {remedy}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if not files:
        raise UserError(f"{path} holds no OTLP file; their names end in {', '.join(SUFFIXES)}")
    return files


def requests_of(files: Iterable[Path], *, move_to_now: bool) -> Iterator[Request]:
    """The requests of all files, in order, read when they are needed.

    Args:
        move_to_now: shift times so that the last span ends now. Files that share a trace are shifted by the same amount, so
            that differences within a trace stay what they were.

    Raises:
        UserError: a file does not hold what its name says.
    """
    files = list(files)
    latest = _latest_times(files) if move_to_now else {}
    for file in files:
        for body, message in _messages(file):
            if file in latest:
                _shift(message, time.time_ns() - latest[file])
                body = message.SerializeToString()
            yield Request(file, body, sum(1 for _ in _spans(message)))


def _messages(file: Path) -> Iterator[tuple[bytes, ExportTraceServiceRequest]]:
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as content:
            for body in _bodies(file.name.removesuffix(".gz"), content):
                yield body, ExportTraceServiceRequest.FromString(body)
    except (OSError, EOFError, zlib.error, DecodeError, MalformedRequest, TooLarge) as error:
        what = getattr(error, "strerror", None) or error
        raise UserError(f"{file} cannot be read as an OTLP trace request: {what}") from error


def _bodies(name: str, content: BufferedIOBase) -> Iterator[bytes]:
    if name.endswith(".pb"):
        yield from requests_in(content)
        return
    from proto.otlp_json import json_to_protobuf  # loads the kernels, which protobuf files can do without

    for text in lines_in(content) if name.endswith(".jsonl") else (text_in(content),):
        yield from requests_in(io.BytesIO(json_to_protobuf(text).protobuf))


def _spans(message: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


def _latest_times(files: Sequence[Path]) -> dict[Path, int]:
    """For each file the last end of a span in it, or in a file that it is connected to by shared traces."""
    traces: list[_Traces] = []
    latest: dict[Path, int] = {}
    for file in files:
        own, latest[file] = [np.empty(0, np.uint64)], 0
        for _, message in _messages(file):
            ids = b"".join(span.trace_id[-_ID_BYTES:].rjust(_ID_BYTES, b"\0") for span in _spans(message))
            own.append(np.unique(np.frombuffer(ids, np.uint64)))
            ends = (span.end_time_unix_nano for span in _spans(message) if span.end_time_unix_nano <= _LATEST_NS)
            latest[file] = max(latest[file], *ends, 0)
        traces.append(np.unique(np.concatenate(own)))
    for group in _connected(traces):
        last = max(latest[files[place]] for place in group)
        latest.update((files[place], last) for place in group)
    return {file: last for file, last in latest.items() if last}


def _connected(traces: Sequence[_Traces]) -> Iterator[list[int]]:
    """Places of files that share a trace with each other, or with one that does, in groups."""
    lead = list(range(len(traces)))

    def leader(place: int) -> int:
        while lead[place] != place:
            place = lead[place] = lead[lead[place]]
        return place

    places = np.repeat(np.arange(len(traces)), [len(own) for own in traces])
    ids = np.concatenate([np.empty(0, np.uint64), *traces])
    order = np.argsort(ids, kind="stable")
    ids, places = ids[order], places[order]
    shared = np.flatnonzero(ids[1:] == ids[:-1])
    for one, other in np.unique(np.stack([places[shared], places[shared + 1]], axis=1), axis=0).tolist():
        lead[leader(other)] = leader(one)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for place in range(len(traces)):
        groups[leader(place)].append(place)
    yield from groups.values()


def _shift(message: ExportTraceServiceRequest, by_ns: int) -> None:
    for span in _spans(message):
        span.start_time_unix_nano = _shifted(span.start_time_unix_nano, by_ns)
        span.end_time_unix_nano = _shifted(span.end_time_unix_nano, by_ns)
        for event in span.events:
            event.time_unix_nano = _shifted(event.time_unix_nano, by_ns)


def _shifted(time_ns: int, by_ns: int) -> int:
    """A time moved; one that is absent or absurd stays as it is."""
    moved = time_ns + by_ns
    return moved if 0 < time_ns <= _LATEST_NS and 0 < moved <= _LATEST_NS else time_ns
