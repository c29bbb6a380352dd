"""ExportTraceServiceRequest bytes to a SpanBatch, by one scan, into memory of its own or behind other requests.

The scan validates the whole request. Bytes that are not protobuf refuse the request; a span with an impossible id is refused
alone and counted by reason (receiver contract DATA-01, DATA-02, RESP-03); unknown fields, groups and wrong wire types are skipped
(PB-01, PB-02, PB-08); fields come in any order, and of repeated scalars the last wins (PB-04).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.arena import Arena, nbytes_before
from proto.errors import MalformedRequest
from proto.scan import scan_request
from proto.scan_state import ENDS, INVALID_UTF8, LONGEST_NESTED, OK, REJECTED, REJECTED_PATH, STATE_SIZE, TABLES
from proto.spans import DTYPES, SPANS, STRING, Origin, SpanBatch, Table, records
from proto.utf8 import repair_column

REASONS: Final = ("trace_id_length", "trace_id_zero", "span_id_length", "span_id_zero", "parent_span_id_length")
"""Why a span is refused, in the order in which the scan counts them."""

_FIRST_ROWS: Final = {"resources": 64, "scopes": 256, "spans": 1024, "events": 1024, "links": 256, "attributes": 16384}
_NOTHING: Final = (0,) * (len(TABLES) + 1)
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
        self.tables = {name: np.empty(_FIRST_ROWS[name], dtype) for name, dtype in DTYPES.items()}
        self.bytes = {name: table.view(np.uint8) for name, table in self.tables.items()}
        self.state = np.zeros(STATE_SIZE, np.int64)

    def grow(self, name: str) -> None:
        self.tables[name] = np.empty(len(self.tables[name]) * 2, DTYPES[name])
        self.bytes[name] = self.tables[name].view(np.uint8)

    def trim(self) -> None:
        """One huge request must not make a thread fat for good."""
        if sum(table.nbytes for table in self.tables.values()) > _KEPT_SCRATCH_BYTES:
            self.reset()


_scratch = _Scratch()


def decode(request: bytes, workspace: str = "default") -> Decoded:
    """Decode one ExportTraceServiceRequest for a workspace, into memory of its own.

    Raises:
        MalformedRequest: the bytes are not a well-formed request, or values in it are nested more than 64 deep.
    """
    data = np.frombuffer(request, np.uint8)
    scratch = _scratch
    while (full := _scan(data, _NOTHING, scratch.tables, scratch.state)) is not None:
        scratch.grow(TABLES[full])
    counters: list[int] = scratch.state[:ENDS].tolist()
    # Copied as bytes: NumPy would copy structured rows field by field.
    tables: dict[str, Table] = {
        name: np.ndarray(rows, dtype, scratch.bytes[name][: rows * dtype.itemsize].copy())
        for (name, dtype), rows in zip(DTYPES.items(), counters, strict=False)
    }
    if counters[INVALID_UTF8]:
        data = _repair(data, tables)
    scratch.trim()
    return _decoded(data, tables, workspace, Origin(None, _NOTHING, 0, len(request)), counters)


class Decoder:
    """Decodes requests that come one after the other into one arena, so that a batch of them need not be joined.

    For one thread.

    Args:
        is_pressed: whether requests may have to be refused for want of room. What is refused stays in an arena as long as what is
            let in, and nobody counts it, so none is begun then.
    """

    def __init__(self, is_pressed: Callable[[], bool] = lambda: False) -> None:
        self._is_pressed = is_pressed
        self._arena = Arena()
        self._state = np.zeros(STATE_SIZE, np.int64)

    def decode(self, request: bytes, workspace: str = "default") -> Decoded:
        """Decode one ExportTraceServiceRequest for a workspace, behind the one before wherever that can be.

        Raises:
            MalformedRequest: as `decode` does.
        """
        arena: Arena | None = self._arena if self._arena.is_open else self._begun(self._arena.successor)
        while arena is not None:
            before = arena.used
            data = arena.put(request)
            full = len(TABLES) if data is None else _scan(data, before, arena.tables, self._state)
            if data is not None and full is None:
                return self._added(arena, before, data, request, workspace)
            arena.is_open = False
            arena = self._begun(partial(arena.successor, full, len(request)))
        return decode(request, workspace)

    def _begun(self, successor: Callable[[], Arena]) -> Arena | None:
        if self._is_pressed():
            return None
        self._arena = successor()
        return self._arena

    def _added(self, arena: Arena, before: tuple[int, ...], data: NDArray[np.uint8], request: bytes, workspace: str) -> Decoded:
        counters: list[int] = self._state[:ENDS].tolist()
        if counters[INVALID_UTF8] or counters[SPANS] == before[SPANS]:
            # Repaired texts stand behind the bytes of their request; what has no spans to be stored must not be kept with others.
            return decode(request, workspace)
        tables = arena.add((*counters[: len(TABLES)], len(data)))
        return _decoded(data, tables, workspace, Origin(arena, before, nbytes_before(before), len(request)), counters)


def _scan(data: NDArray[np.uint8], used: Sequence[int], tables: Mapping[str, Table], state: NDArray[np.int64]) -> int | None:
    """Scan a request behind what is used of the tables and of the data. Returns the number of a table that is full, or None.

    Raises MalformedRequest.
    """
    state[: len(TABLES)] = used[:-1]
    state[len(TABLES) : ENDS] = 0
    try:
        full: int = scan_request(data, np.int64(used[-1]), *map(records, tables.values()), state)
    except (ValueError, IndexError) as error:
        raise MalformedRequest(f"not a valid ExportTraceServiceRequest: {error}", _path(state.tolist())) from None
    return None if full == OK else full


def _decoded(
    data: NDArray[np.uint8], tables: Mapping[str, Table], workspace: str, origin: Origin, counters: list[int]
) -> Decoded:
    batch = SpanBatch(data, **tables, workspaces=(workspace,), longest_nested=counters[LONGEST_NESTED], origin=origin)
    rejected = {reason: count for reason, count in zip(REASONS, counters[REJECTED:REJECTED_PATH], strict=False) if count}
    return Decoded(batch, rejected, _path(counters[REJECTED_PATH:]) if rejected else "")


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
