"""The shape of one trace as tables: what its spans are, how they stand below each other, and what is made of that.

All tables have a record for each span, in the order of the trace's rows, unless they say otherwise. Times are nanoseconds; a
start or an end is since 1970.
"""

from __future__ import annotations

from typing import Final

import numpy as np

ROOT: Final = -1
"""Parent of a root, and any row that is not there."""
ERROR: Final = 2
"""OTLP's number of the status of a span that has failed."""

SKELETON = np.dtype(
    [
        ("start", "<u8"),
        ("end", "<u8"),  # may lie before the start
        ("duration", "<u8"),  # 0 where the end lies before the start
        ("span_id", "<u8"),
        ("parent_span_id", "<u8"),  # 0 for none
        ("process", "<u8"),  # equal for spans of one resource
        ("content", "<u8"),  # hash of resource and attributes
        ("name", "<i4"),  # index into a list of texts, as are the next two
        ("service", "<i4"),
        ("host", "<i4"),
        ("kind", "<i4"),  # OTLP's number, as is the next one
        ("status_code", "<i4"),
        ("stray_events", "?"),  # whether an event lies outside of the span's time
    ],
    align=True,
)
NODE = np.dtype(
    [
        ("parent", "<i4"),  # row, or ROOT
        ("depth", "<i4"),  # 0 for a root
        ("children_start", "<i4"),  # a run of a list of rows, by (start, row)
        ("children_count", "<i4"),
    ],
    align=True,
)
BAR = np.dtype(
    [
        ("row", "<i4"),
        ("depth", "<i4"),
        ("offset", "<u8"),  # from the start of the trace
        ("duration", "<u8"),
        ("self_time", "<u8"),  # of the duration, what no child covers
        ("descendants", "<i4"),
        ("errors_below", "<i4"),  # how many of the descendants have failed
    ],
    align=True,
)
"""In drawing order: parents before children, siblings by start."""
CALL = np.dtype(
    [
        ("start", "<u8"),
        ("end", "<u8"),  # not before the start
        ("allowance", "<u8"),  # how far successive children may overlap, and how far one may outlive the span
        ("parent", "<i4"),  # row, or ROOT
        ("children_start", "<i4"),  # a run of a list of rows: those that can have held up the span, by (start, span id, row)
        ("children_count", "<i4"),
        ("excluded", "<i4"),  # why the span cannot have held up its parent, 0 where it can
        ("outlives", "?"),  # whether it ends after its parent by more than that one's allowance
    ],
    align=True,
)
SEGMENT = np.dtype(
    [
        ("row", "<i4"),
        ("start", "<u8"),
        ("end", "<u8"),
        ("uncertain", "?"),  # whether it may not have been waited for
    ],
    align=True,
)
"""As many as there are, the latest first."""
SHARE = np.dtype(
    [
        ("row", "<i4"),
        ("on_path", "<u8"),
        ("self_time", "<u8"),
        ("drag", "<u8"),
        ("slack", "<u8"),
        ("saving", "<u8"),
        ("rival", "<i4"),  # row, or ROOT
    ],
    align=True,
)
