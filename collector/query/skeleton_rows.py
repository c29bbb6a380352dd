"""Answers of the store as a `Skeleton`: its rows in order, and without those that a client sent twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.query.native_values import coded
from collector.query.skeleton import Skeleton
from collector.query.store import EVENT_TIMES, KINDS, START, STATUS_CODES, UNSIGNED_DURATION
from exporters.clickhouse.client import QueryResult
from proto.native_decode import Column
from proto.span_ids import id_numbers
from proto.spans import Table
from proto.texts import Texts
from proto.trace_shape import SKELETON

_PREFIXES: Final = ("SPAN_KIND", "STATUS_CODE")
END: Final = f"if(EndTimeUnixNano != 0, EndTimeUnixNano, Start + {UNSIGNED_DURATION})"
SELECTED_SKELETON: Final = f"""
    SpanId, ParentSpanId, SpanName, SpanKind, SpanKindNumber, ServiceName, {START} AS Start, {END} AS End,
    StatusCode, StatusCodeNumber,
    cityHash64(ResourceAttributes, ResourceAttributesTypes) AS Process,
    multiIf(ResourceAttributes['host.id'] != '', ResourceAttributes['host.id'],
            ResourceAttributes['host.ip'] != '', ResourceAttributes['host.ip'], ResourceAttributes['host.name']) AS Host,
    arrayExists(t -> t != 0 AND (t < Start OR t > greatest(Start, End)), {EVENT_TIMES}) AS StrayEvents"""
"""What to select so that `skeleton_from_blocks` can read it."""
CONTENT: Final = "sipHash64(ResourceAttributes, ResourceAttributesTypes, SpanAttributes, SpanAttributesTypes) AS Content"
"""What tells spans apart that agree in all else. To read all attributes takes longer than everything else together."""
SELECTED_WITH_CONTENT: Final = f"{SELECTED_SKELETON}, {CONTENT}"
"""What to select so that `skeleton_from_result` can read it."""
_NUMBERS: Final = {
    "SpanKindNumber": np.int32,
    "StatusCodeNumber": np.int32,
    "Start": np.uint64,
    "End": np.uint64,
    "Process": np.uint64,
    "Content": np.uint64,
    "StrayEvents": np.bool_,
}
_TEXTS: Final = ("SpanId", "ParentSpanId", "SpanName", "SpanKind", "ServiceName", "StatusCode", "Host")


def skeleton_from_result(trace_id: str, result: QueryResult, *, complete: bool = True) -> Skeleton:
    """Spans of an answer to a query of `SELECTED_WITH_CONTENT`: in order, and without those that a client sent twice."""
    return in_order(skeleton_of(trace_id, columns_of(result), complete=complete))


def in_order(spans: Skeleton) -> Skeleton:
    """The spans by their identities, each identity once."""
    return spans.take(rows_in_order(spans.table, spans.service_texts, spans.name_texts))


def columns_of(result: QueryResult) -> dict[str, Column]:
    """What a skeleton needs of an answer in lists."""
    return {
        **{name: np.array(result.columns[name], dtype) for name, dtype in _NUMBERS.items()},
        **{name: texts_of(result.columns[name]) for name in _TEXTS},
    }


def skeleton_of(trace_id: str, columns: Mapping[str, Column], *, complete: bool) -> Skeleton:
    """Spans of an answer with at least one row, row by row.

    Args:
        columns: of SELECTED_SKELETON; without `Content` that is 0 for all spans.
    """
    (span_ids, parent_span_ids), odd_ids = id_numbers([_as_texts(columns[name]) for name in ("SpanId", "ParentSpanId")])
    coded = {name: _coded(columns[name]) for name in ("SpanName", "ServiceName", "Host")}
    table = np.zeros(len(span_ids), SKELETON)
    table["span_id"] = span_ids
    table["parent_span_id"] = parent_span_ids
    table["start"] = columns["Start"]
    table["end"] = columns["End"]
    table["duration"] = np.maximum(table["start"], table["end"]) - table["start"]
    table["process"] = columns["Process"]
    table["content"] = columns.get("Content", 0)
    table["name"], table["service"], table["host"] = (codes for codes, _ in coded.values())
    for field, column, names in (("kind", "SpanKind", KINDS), ("status_code", "StatusCode", STATUS_CODES)):
        table[field] = columns[f"{column}Number"]
        # The number counts only where the text could not say it.
        said = table[field] == 0
        table[field][said] = _numbers(columns[column], names)[said]
    table["stray_events"] = columns["StrayEvents"]
    name_texts, service_texts, host_texts = (texts for _, texts in coded.values())
    return Skeleton(
        trace_id=trace_id,
        table=table,
        name_texts=name_texts,
        service_texts=service_texts,
        host_texts=host_texts,
        odd_ids=odd_ids,
        complete=complete,
    )


def rows_in_order(table: Table, service_texts: Sequence[str], name_texts: Sequence[str]) -> NDArray[np.intp]:
    """Rows by their identities, each identity once."""
    rows = np.argsort(table["start"], kind="stable")
    starts = table["start"][rows]
    is_tied = np.zeros(len(rows) + 1, np.bool_)
    is_tied[1:-1] = starts[1:] == starts[:-1]
    # The store gives them by their starts, and as a rule few start together.
    places = np.flatnonzero(is_tied[1:] | is_tied[:-1])
    if not len(places):
        return rows
    tied = table[rows[places]]
    keys = (
        tied["content"],
        _ranks(name_texts)[tied["name"]],
        _ranks(service_texts)[tied["service"]],
        tied["kind"],
        tied["span_id"],
        tied["end"],
        tied["start"],
    )
    order = np.lexsort(keys)
    rows[places] = rows[places][order]
    # Receiver contract DATA-24 and DATA-25: an id alone does not tell a resent span from a shared span id.
    is_first = np.ones(len(rows), np.bool_)
    is_first[places[1:]] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    return rows[is_first]


def _ranks(texts: Sequence[str]) -> NDArray[np.intp]:
    """The place of each text, no two of which are equal, in the order of all."""
    return np.argsort(np.array(sorted(range(len(texts)), key=texts.__getitem__), np.intp))


def _numbers(column: Column, names: tuple[str, ...]) -> NDArray[np.int32]:
    """OTLP's numbers of kinds or statuses, 0 for other texts.

    Rows from before 2024 may have the names of the protocol, such as SPAN_KIND_SERVER and STATUS_CODE_ERROR.
    """
    number_of = {name: number for number, name in enumerate(names)}
    number_of |= {f"{prefix}_{name.upper()}": number for name, number in number_of.items() for prefix in _PREFIXES}
    codes, texts = _coded(column)
    return np.array([number_of.get(text, 0) for text in texts], np.int32)[codes]


def _coded(column: Column) -> tuple[NDArray[np.int32], list[str]]:
    """For each row the place of its text in the list, in which none stands twice."""
    codes, texts = coded(column)
    return codes, [text.decode(errors="surrogateescape") for text in texts]


def _as_texts(column: Column) -> Texts:
    if not isinstance(column, Texts):
        raise TypeError(f"a column of {type(column).__name__}, where texts are needed")
    return column


def texts_of(values: Sequence[str]) -> Texts:
    """A list of texts as a column."""
    encoded = [value.encode(errors="surrogateescape") for value in values]
    lengths = np.array([len(value) for value in encoded], np.int64)
    return Texts(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(lengths) - lengths, lengths)
