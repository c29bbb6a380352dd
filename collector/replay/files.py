"""The requests that `spanhouse replay` sends: OTLP files, and their times moved to now."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.cli import UserError
from proto.errors import MalformedRequest

SUFFIXES: Final = (".pb", ".json", ".jsonl", ".pb.gz", ".json.gz", ".jsonl.gz")
_LATEST_NS: Final = 2**63 - 1
"""Later times, which a store cannot hold either, are mistakes of whoever made the span; they are not moved."""


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
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.endswith(SUFFIXES))
        if not files:
            raise UserError(f"{path} holds no OTLP file; their names end in {', '.join(SUFFIXES)}")
        return files
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if not path.name.endswith(SUFFIXES):
        raise UserError(f"{path} is not known to be OTLP; rename it so that it ends in one of {', '.join(SUFFIXES)}")
    return [path]


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
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
        for body in _bodies(file, content):
            yield body, ExportTraceServiceRequest.FromString(body)
    except (OSError, EOFError, DecodeError, MalformedRequest) as error:
        raise UserError(f"{file} cannot be read as an OTLP trace request: {error}") from error


def _bodies(file: Path, content: bytes) -> Iterator[bytes]:
    name = file.name.removesuffix(".gz")
    if name.endswith(".pb"):
        yield content
        return
    from proto.otlp_json import json_to_protobuf  # loads the kernels, which protobuf files can do without

    for text in content.splitlines() if name.endswith(".jsonl") else (content,):
        if text.strip():
            yield json_to_protobuf(text).protobuf


def _spans(message: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


def _latest_times(files: list[Path]) -> dict[Path, int]:
    """For each file the last end of a span in it, or in a file that it is connected to by shared traces."""
    group_of: dict[Path, Path] = {}
    owner: dict[bytes, Path] = {}
    latest: dict[Path, int] = {}

    def group(file: Path) -> Path:
        while group_of[file] != file:
            file = group_of[file] = group_of[group_of[file]]
        return file

    for file in files:
        group_of[file] = file
        latest[file] = 0
        for _, message in _messages(file):
            for span in _spans(message):
                group_of[group(owner.setdefault(span.trace_id, file))] = group(file)
                if span.end_time_unix_nano <= _LATEST_NS:
                    latest[file] = max(latest[file], span.end_time_unix_nano)
    of_group: dict[Path, int] = {}
    for file in files:
        of_group[group(file)] = max(of_group.get(group(file), 0), latest[file])
    return {file: of_group[group(file)] for file in files if of_group[group(file)]}


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
