"""ExportTraceServiceRequest bytes to a SpanBatch: one scan, no copies.

The scan validates the whole request. Bytes that are not protobuf refuse the request; a span with an impossible id is refused
alone and counted by reason (receiver contract DATA-01, DATA-02, RESP-03); unknown fields, groups and wrong wire types are skipped
(PB-01, PB-02, PB-08); fields come in any order, and of repeated scalars the last wins (PB-04).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.errors import MalformedRequest
from proto.scan import scan_request
from proto.scan_state import ENDS, INVALID_UTF8, LONGEST_NESTED, REJECTED, REJECTED_PATH, STATE_SIZE, TABLES
from proto.spans import ATTRIBUTE, EVENT, LINK, RESOURCE, SCOPE, SPAN, STRING, SpanBatch, Table, records
from proto.utf8 import repair_column

REASONS: Final = ("trace_id_length", "trace_id_zero", "span_id_length", "span_id_zero", "parent_span_id_length")
"""Why a span is refused, in the order in which the scan counts them."""

_DTYPES: Final = {
    "resources": RESOURCE,
    "scopes": SCOPE,
    "spans": SPAN,
    "events": EVENT,
    "links": LINK,
    "attributes": ATTRIBUTE,
}
_FIRST_ROWS: Final = {"resources": 64, "scopes": 256, "spans": 1024, "events": 1024, "links": 256, "attributes": 16384}
_KEPT_SCRATCH_BYTES: Final = 16 << 20
_TEXTS: Final = {
    "resources": ("schema_url",),
    "scopes": ("name", "version", "schema_url"),
    "spans": ("trace_state", "name", "status_message"),
    "events": ("name",),
    "links": ("trace_state",),
    "attributes": ("key", "value"),
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a request holds.

    Attributes:
        batch: the spans that were accepted, in the order of the request.
        rejected: spans refused, by reason (one of REASONS); empty when none were.
        first_rejected: path of the field that refused the first of them, else empty.
    """

    batch: SpanBatch
    rejected: dict[str, int]
    first_rejected: str


class _Scratch(threading.local):
    """Tables that a scan fills before its rows are copied out at their true number. One set per thread, reused."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.tables = {name: np.zeros(_FIRST_ROWS[name], dtype) for name, dtype in _DTYPES.items()}
        self.bytes = {name: table.view(np.uint8) for name, table in self.tables.items()}
        self.state = np.zeros(STATE_SIZE, np.int64)

    def grow(self, name: str) -> None:
        self.tables[name] = np.zeros(len(self.tables[name]) * 2, _DTYPES[name])
        self.bytes[name] = self.tables[name].view(np.uint8)

    def trim(self) -> None:
        """One huge request must not make a thread fat for good."""
        if sum(table.nbytes for table in self.tables.values()) > _KEPT_SCRATCH_BYTES:
            self.reset()


_scratch = _Scratch()


def decode(request: bytes, workspace: str = "default") -> Decoded:
    """Decode one ExportTraceServiceRequest for a workspace.

    Raises:
        MalformedRequest: the bytes are not a well-formed request, or values in it are nested more than 64 deep.
    """
    data = np.frombuffer(request, np.uint8)
    scratch = _scratch
    while True:
        scratch.state[:ENDS] = 0
        try:
            overflow = scan_request(data, *map(records, scratch.tables.values()), scratch.state)
        except (ValueError, IndexError) as error:
            raise MalformedRequest(f"not a valid ExportTraceServiceRequest: {error}", _path(scratch.state.tolist())) from None
        if overflow < 0:
            break
        scratch.grow(TABLES[overflow])
    counters: list[int] = scratch.state[:ENDS].tolist()
    # Copied as bytes: NumPy would copy structured rows field by field.
    tables: dict[str, Table] = {
        name: np.ndarray(rows, dtype, scratch.bytes[name][: rows * dtype.itemsize].copy())
        for (name, dtype), rows in zip(_DTYPES.items(), counters, strict=False)
    }
    rejected = {reason: count for reason, count in zip(REASONS, counters[REJECTED:REJECTED_PATH], strict=False) if count}
    first_rejected = _path(counters[REJECTED_PATH:]) if rejected else ""
    if counters[INVALID_UTF8]:
        data = _repair(data, tables)
    scratch.trim()
    batch = SpanBatch(data, workspaces=(workspace,), longest_nested=counters[LONGEST_NESTED], request_size=len(request), **tables)
    return Decoded(batch, rejected, first_rejected)


def _path(state: list[int]) -> str:
    """The path of the span (or of what encloses it) that the scan was at: three counters that begin at one."""
    names = ("resource_spans", "scope_spans", "spans")
    return ".".join(f"{name}[{index - 1}]" for name, index in zip(names, state[len(TABLES) :], strict=False) if index)


def _repair(data: NDArray[np.uint8], tables: dict[str, Table]) -> NDArray[np.uint8]:
    """Broken texts get repaired copies behind the request's own bytes. Rare, so it may look at every text again."""
    side = np.empty(3 * len(data), np.uint8)
    used = 0
    for name, texts in _TEXTS.items():
        table = tables[name]
        for text in texts:
            chosen = table["type"] == STRING if text == "value" else np.ones(len(table), np.bool_)
            used = repair_column(data, table[f"{text}_offset"], table[f"{text}_length"], chosen, side, used)
    repaired: NDArray[Any] = np.concatenate([data, side[:used]])
    repaired.flags.writeable = False
    return repaired
