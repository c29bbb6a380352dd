"""Counts spans, errors and durations by workspace, service, operation, kind and status: the processor `red_metrics`.

Each span counts as many times as the spans that it stands for (`proto.adjusted_count`). What is counted of a batch becomes rows
of the table `otel_red_minute`, which are stored once, as spans are; and it is added to what `/metrics` shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from collector.processors.base import Processed
from collector.series_bound import OVERFLOW, SeriesBound
from collector.sketch import TYPE, sketches, totals
from collector.span_metrics import SeriesSettings, SpanMeasures, overflowing
from config.red_metrics import Dimension, RedMetricsProcessor, label_of
from exporters.base import DerivedRows
from proto.adjusted_count import adjusted_counts
from proto.attribute_search import find_attributes
from proto.distinct import distinct, distinct_values
from proto.native_columns import NativeColumn, NumberMaps, Strings
from proto.span_columns import KINDS, STATUS_CODES
from proto.spans import ABSENT, SpanBatch, take
from proto.texts import Texts

TABLE: Final = "otel_red_minute"

Codes = NDArray[np.int64]

_MINUTE_NS: Final = 60_000_000_000
_LAST_MINUTE: Final = 2**32 // 60 - 1
"""The last whole minute that a DateTime can tell."""
_SYMBOL: Final = "LowCardinality(String)"
_DENSE: Final = 8
"""Up to so many possible combinations for each row, a table of all of them is faster than sorting."""


class Key(NamedTuple):
    """One of the things by which spans are told apart: its values that differ, and which of them each span has."""

    values: Sequence[str]
    codes: Codes


class RedMetrics:
    """See the module.

    Which series are told apart depends on what was counted before: a piece that is made again may tell others apart. It counts
    the same spans in the same minutes and workspaces.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, settings: RedMetricsProcessor, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._dimensions = settings.dimensions
        self._apart, self._together = (
            SeriesBound(settings.max_series, settings.series_expiration.seconds, monotonic) for _ in range(2)
        )
        self._bounds_ns = np.array(settings.histogram.explicit.buckets, np.uint64)
        self._series = SeriesSettings(
            tuple(label_of(dimension.name) for dimension in settings.dimensions),
            tuple(map(int, settings.histogram.explicit.buckets)),
            settings.histogram.unit,
            settings.max_series,
            settings.series_expiration.seconds,
        )

    def process(self, batch: SpanBatch) -> Processed:
        """The batch as it is, and what was counted of it."""
        if not len(batch):
            return Processed(batch)
        weights = adjusted_counts(batch)
        keys = [*keys_of(batch), *_dimensions(batch, self._dimensions)]
        series, first = _series_of(keys)
        bounded = self._bounded(keys, series, first, weights)
        if bounded is not keys:
            keys = bounded
            series, first = _series_of(keys)
        of_series = [Key(key.values, key.codes[first]) for key in keys]
        starts, ends = batch.spans["start_time_unix_nano"], batch.spans["end_time_unix_nano"]
        durations = np.where(ends > starts, ends - starts, np.uint64(0))
        return Processed(
            batch,
            derived=[self._rows(series, of_series, starts, durations, weights)],
            measured=self._measures(series, of_series, durations, weights),
        )

    def _bounded(self, keys: list[Key], series: Codes, first: NDArray[np.intp], weights: NDArray[np.float64]) -> list[Key]:
        """The keys, of those spans whose series are not told apart without what tells these apart from others.

        For new series, those with most spans come first. The same list where all are told apart.
        """
        labels = list(zip(*(_texts(key, first) for key in keys), strict=True))
        order = np.argsort(-totals(series, weights, len(first)), kind="stable")
        apart = self._apart.admit_all(labels[number] for number in order.tolist())
        if all(apart):
            return keys
        together, alike = np.zeros((2, len(first)), np.bool_)
        others = order[~np.array(apart)]
        together[others] = True
        alike[others] = ~np.array(self._together.admit_all(overflowing(labels[number]) for number in others.tolist()))
        without_name, without_all = together[series], alike[series]
        workspace, service, operation, kind, status, *dimensions = keys
        return [
            workspace,
            _blank(service, without_all),
            Key([*operation.values, OVERFLOW], np.where(without_name, len(operation.values), operation.codes)),
            _blank(kind, without_all),
            _blank(status, without_all),
            *(_blank(key, without_name) for key in dimensions),
        ]

    def _rows(
        self,
        series: Codes,
        keys: Sequence[Key],
        starts: NDArray[np.uint64],
        durations: NDArray[np.uint64],
        weights: NDArray[np.float64],
    ) -> DerivedRows:
        """A row for each series and minute; `keys` are those of each series, all else is of each span."""
        minutes = np.minimum(starts // np.uint64(_MINUTE_NS), np.uint64(_LAST_MINUTE)).astype(np.int64)
        earliest = int(minutes.min())
        rows, first = combined([series, minutes - earliest], [len(keys[0].codes), int(minutes.max()) - earliest + 1])
        count = len(first)
        of_row = series[first]
        shortest, longest = np.full(count, 2**64 - 1, np.uint64), np.zeros(count, np.uint64)
        np.minimum.at(shortest, rows, durations)
        np.maximum.at(longest, rows, durations)
        sketch = sketches(rows, count, durations, weights)
        workspace, service, operation, kind, status, *dimensions = (Strings(key.values, key.codes[of_row]) for key in keys)
        seconds = minutes[first] * 60
        columns = [
            NativeColumn("Workspace", _SYMBOL, workspace),
            NativeColumn("ServiceName", _SYMBOL, service),
            NativeColumn("Minute", "DateTime", seconds),
            NativeColumn("SpanName", _SYMBOL, operation),
            NativeColumn("SpanKind", _SYMBOL, kind),
            NativeColumn("StatusCode", _SYMBOL, status),
            NativeColumn("Dimensions", _SYMBOL, self._objects(dimensions, count)),
            NativeColumn("Spans", "Float64", totals(rows, weights, count)),
            NativeColumn("DurationSum", "Float64", totals(rows, weights * durations, count)),
            NativeColumn("DurationMin", "UInt64", shortest),
            NativeColumn("DurationMax", "UInt64", longest),
            NativeColumn("DurationSketch", TYPE, NumberMaps(*sketch)),
        ]
        return DerivedRows(TABLE, columns, seconds)

    def _objects(self, dimensions: Sequence[Strings], count: int) -> Strings:
        """The dimensions of each row as a JSON object; those that a span has not are left out."""
        if not dimensions:
            return Strings([""], np.zeros(count, np.int64))
        codes, first = combined([each.codes for each in dimensions], [len(each.texts) for each in dimensions])
        objects = []
        for row in first.tolist():
            values = zip(self._dimensions, dimensions, strict=True)
            held = {dimension.name: each.texts[each.codes[row]] for dimension, each in values if each.codes[row]}
            objects.append(orjson.dumps(held, option=orjson.OPT_SORT_KEYS).decode() if held else "")
        return Strings(objects, codes)

    def _measures(
        self, series: Codes, keys: Sequence[Key], durations: NDArray[np.uint64], weights: NDArray[np.float64]
    ) -> SpanMeasures:
        count, buckets = len(keys[0].codes), len(self._bounds_ns) + 1
        places = series * buckets + np.searchsorted(self._bounds_ns, durations)
        texts = (_texts(key, slice(None)) for key in keys)
        return SpanMeasures(
            self._series,
            list(zip(*texts, strict=True)),
            totals(series, weights, count),
            totals(series, weights * durations, count),
            totals(places, weights, count * buckets).reshape(count, buckets),
        )


def _texts(key: Key, rows: NDArray[np.intp] | slice) -> list[str]:
    """What the key is in these rows."""
    return [key.values[code] for code in key.codes[rows].tolist()]


def _blank(key: Key, rows: NDArray[np.bool_]) -> Key:
    """The key with its first value, which stands for none, in these rows."""
    return Key(key.values, np.where(rows, 0, key.codes))


def _series_of(keys: Sequence[Key]) -> tuple[Codes, NDArray[np.intp]]:
    """Which series each span is of, and for each series a span of it."""
    return combined([key.codes for key in keys], [len(key.values) for key in keys])


def combined(codes: Sequence[Codes], sizes: Sequence[int]) -> tuple[Codes, NDArray[np.intp]]:
    """Which of the combinations that there are each row has, and for each combination a row that has it.

    Args:
        codes: what is combined, each from 0 to its size in `sizes`, that one excluded; shape (rows,) each.
    """
    places, size = codes[0], sizes[0]
    for more, values in zip(codes[1:], sizes[1:], strict=True):
        if size * values >= 2**62:
            places, size = _renumbered(places, size)
        places, size = places * values + more, size * values
    numbers, count = _renumbered(places, size)
    rows = np.empty(count, np.intp)
    rows[numbers] = np.arange(len(numbers))
    return numbers, rows


def _renumbered(places: Codes, size: int) -> tuple[Codes, int]:
    """The same without gaps between the numbers, and how many there are."""
    if size <= _DENSE * len(places):
        numbers = np.zeros(size, np.int64)
        numbers[places] = 1
        np.cumsum(numbers, out=numbers)
        return numbers[places] - 1, int(numbers[-1])
    used, codes = np.unique(places, return_inverse=True)
    return codes.astype(np.int64, copy=False), len(used)


def keys_of(batch: SpanBatch) -> list[Key]:
    """Workspace, service, operation, kind and status of each span, as the table of the spans has them."""
    spans = batch.spans
    resources = batch.scopes["resource"][spans["scope"]]
    names = batch.resources["service_name"]
    named = np.flatnonzero(names != ABSENT)
    services = np.zeros(len(names), np.int64)
    codes, texts = distinct_values(batch.data, take(batch.attributes, names[named]))
    services[named] = codes + 1
    operations, operation_texts = distinct(Texts(batch.data, spans["name_offset"], spans["name_length"]))
    workspaces = batch.resources["workspace"][resources] if len(batch.workspaces) > 1 else np.zeros(len(batch), np.int64)
    return [
        Key(batch.workspaces, workspaces.astype(np.int64)),
        Key(["", *_decoded(texts)], services[resources]),
        Key(_decoded(operation_texts), operations.astype(np.int64)),
        Key(KINDS, _enumerated(spans["kind"], KINDS)),
        Key(STATUS_CODES, _enumerated(spans["status_code"], STATUS_CODES)),
    ]


def _enumerated(numbers: NDArray[Any], names: Sequence[str]) -> Codes:
    """Places of numbers in the names that follow the first one, which stands for numbers without a name."""
    return np.where((numbers >= 0) & (numbers < len(names) - 1), numbers + 1, 0).astype(np.int64)


def _dimensions(batch: SpanBatch, dimensions: Sequence[Dimension]) -> list[Key]:
    """The values of attributes of each span or of its resource; the first value stands for none."""
    if not dimensions:
        return []
    names = [dimension.name.encode() for dimension in dimensions]
    of_spans = find_attributes(batch, batch.spans, names)
    of_resources = find_attributes(batch, batch.resources, names)[:, batch.scopes["resource"][batch.spans["scope"]]]
    keys = []
    for dimension, found in zip(dimensions, np.where(of_spans != ABSENT, of_spans, of_resources), strict=True):
        there = np.flatnonzero(found != ABSENT)
        codes, texts = distinct_values(batch.data, take(batch.attributes, found[there]))
        values = ["", *_decoded(texts)]
        of_span = np.zeros(len(batch), np.int64)
        if dimension.default is not None:
            of_span[:] = len(values)
            values.append(dimension.default)
        of_span[there] = codes + 1
        keys.append(Key(values, of_span))
    return keys


def _decoded(texts: Sequence[bytes]) -> list[str]:
    return [text.decode() for text in texts]
