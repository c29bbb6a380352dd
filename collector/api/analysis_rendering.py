"""JSON of what is made of a trace. A span is named by its id and by `index`, its position in the list of spans of the trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from collector.api import json_columns, json_rows
from collector.api.json_rows import Member
from collector.api.rendering import identity_members, number, trace_header
from collector.query.analysis.comparison import Node, Side
from collector.query.analysis.completion_path import CompletionPath
from collector.query.analysis.crisp_path import CrispPath
from collector.query.analysis.critical_path import CriticalPath, Segment
from collector.query.analysis.longest_chain import Chain
from collector.query.analysis.statistics import Group, Shape
from collector.query.analysis.what_if import WhatIf
from collector.query.reduction import Repeat, Shown
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT
from collector.query.view import View
from collector.query.waterfall import Waterfall
from proto.spans import Table
from proto.trace_shape import SEGMENT


def waterfall(view: View, found: Waterfall, shown: Shown, window: range, *, in_columns: bool = False) -> dict[str, Any]:
    """Header, and those of the bars that are left after a reduction which lie in a window of their positions."""
    spans, tree = view.spans, view.tree
    bars = shown.table[window.start : window.stop]
    rows = bars["row"]
    nodes = tree.nodes[rows]
    parents = nodes["parent"]
    has_parent = parents != ROOT
    starts, ends = spans.table["start"], spans.table["start"] + spans.table["duration"]
    is_orphan = np.zeros(len(spans), np.bool_)
    is_orphan[list(tree.missing_parents)] = True
    repeats = {place: _repeat(shown.repeats[row]) for place, row in enumerate(rows.tolist()) if row in shown.repeats}
    members = {
        "index": json_rows.counts(rows),
        "parentIndex": json_rows.positions(parents),
        "depth": json_rows.counts(bars["depth"]),
        **identity_members(spans, rows),
        "offsetNanos": json_rows.nanoseconds(bars["offset"]),
        "selfNanos": json_rows.nanoseconds(bars["self_time"]),
        "skewNanos": json_rows.nanoseconds(view.skews[rows]),
        "children": json_rows.counts(nodes["children_count"]),
        "descendants": json_rows.counts(bars["descendants"]),
        "errorsBelow": json_rows.counts(bars["errors_below"]),
        "missingParent": json_rows.flags(is_orphan[rows]),
        "precedesParent": json_rows.flags(has_parent & (starts[rows] < starts[parents])),
        "outlivesParent": json_rows.flags(has_parent & (ends[rows] > ends[parents])),
        "omitted": json_rows.counts(shown.omitted[window.start : window.stop]),
        "repeat": json_rows.documents(repeats, len(rows)),
    }
    missing: dict[str, list[int]] = {}
    for row in tree.roots:
        if row in tree.missing_parents:
            missing.setdefault(spans.parent_span_ids[row], []).append(row)
    return {
        **trace_header(spans),
        "rootService": spans.services[found.root],
        "rootName": spans.names[found.root],
        "depth": found.depth,
        "spansByService": found.services,
        "missingParents": len(tree.missing_parents),
        "missing": [{"parentSpanId": parent, "children": rows} for parent, rows in missing.items()],
        "barCount": len(shown),
        "offset": window.start,
        "bars": json_columns.columns(members) if in_columns else json_rows.records(members),
        "warnings": warnings(view),
    }


def _repeat(repeat: Repeat) -> dict[str, Any]:
    return {
        "spanCount": repeat.spans,
        "minNanos": str(repeat.minimum),
        "maxNanos": str(repeat.maximum),
        "totalNanos": str(repeat.total),
    }


def critical_path(
    view: View, found: CriticalPath, *, tolerance: float, overflow: str, in_columns: bool = False
) -> dict[str, Any]:
    """Segments and shares of every root."""
    spans, roots = view.spans, [_root(view, root) for root in found.root_rows]
    # Those of all roots are written at once: a trace may have as many roots as spans.
    segments, shares = found.segment_table, found.share_table
    segment_members = {
        **_segment_members(spans, segments),
        "uncertain": json_rows.flags(segments["uncertain"]),
    }
    share_members = {
        **_named_members(spans, shares["row"]),
        "onPathNanos": json_rows.nanoseconds(shares["on_path"]),
        "selfNanos": json_rows.nanoseconds(shares["self_time"]),
        "dragNanos": json_rows.nanoseconds(shares["drag"]),
        "slackNanos": json_rows.nanoseconds(shares["slack"]),
        "savedNanos": json_rows.nanoseconds(shares["saving"]),
    }
    paths: dict[str, Any]
    if in_columns:
        counts = zip(np.diff(found.segment_bounds).tolist(), np.diff(found.share_bounds).tolist(), strict=True)
        paths = {
            "roots": [
                {**root, "segmentCount": of_segments, "spanCount": of_shares}
                for root, (of_segments, of_shares) in zip(roots, counts, strict=True)
            ],
            "segments": json_columns.columns(segment_members),
            "spans": json_columns.columns(share_members),
        }
    else:
        runs_of_segments = json_rows.runs_of_records(segment_members, found.segment_bounds)
        runs_of_shares = json_rows.runs_of_records(share_members, found.share_bounds)
        paths = {
            "roots": [
                {**root, "segments": segments_of_root, "spans": shares_of_root}
                for root, segments_of_root, shares_of_root in zip(roots, runs_of_segments, runs_of_shares, strict=True)
            ]
        }
    return {
        **_mode(view, "default"),
        "tolerance": tolerance,
        "overflow": overflow,
        **paths,
        "excluded": [{**_named(spans, row), "reason": reason} for row, reason in found.excluded.items()],
        "warnings": warnings(view),
    }


def jaeger_path(view: View, paths: dict[int, list[Segment]], self_times: Sequence[int]) -> dict[str, Any]:
    """Segments of every root, and the spans that have some."""
    all_segments = [segment for segments in paths.values() for segment in segments]
    bounds = list(accumulate((len(segments) for segments in paths.values()), initial=0))
    written = json_rows.runs_of_records(_segment_members(view.spans, np.array(all_segments, SEGMENT)), bounds)
    roots = []
    for (root, segments), records in zip(paths.items(), written, strict=True):
        on_path: dict[int, int] = {}
        for segment in segments:
            on_path[segment.row] = on_path.get(segment.row, 0) + segment.end - segment.start
        roots.append(
            {
                **_root(view, root),
                "segments": records,
                "spans": [
                    {**_named(view.spans, row), "onPathNanos": str(time), "selfNanos": str(self_times[row])}
                    for row, time in sorted(on_path.items())
                ],
            }
        )
    return {**_mode(view, "jaeger"), "roots": roots, "warnings": warnings(view)}


def crisp_path(view: View, paths: Iterable[CrispPath]) -> dict[str, Any]:
    """Spans on the path of every true root, and their call paths."""
    return {
        **_mode(view, "crisp"),
        "roots": [
            {
                **_root(view, path.root),
                "spans": [
                    {
                        **_named(view.spans, span.row),
                        "inclusiveNanos": str(span.inclusive),
                        "exclusiveNanos": str(span.exclusive),
                    }
                    for span in path.spans
                ],
                "callPaths": [
                    {
                        "parent": _index(call_path.parent),
                        "service": call_path.service,
                        "operation": call_path.operation,
                        "inclusiveNanos": str(call_path.inclusive),
                        "exclusiveNanos": str(call_path.exclusive),
                        "frequency": call_path.frequency,
                        "worstIndex": call_path.worst,
                    }
                    for call_path in path.call_paths
                ],
            }
            for path in paths
        ],
        "warnings": warnings(view),
    }


def completion_path(view: View, found: CompletionPath) -> dict[str, Any]:
    """Steps of the path to the end of a trace."""
    return {
        **_mode(view, "completion"),
        "root": _root(view, found.root),
        "last": _named(view.spans, found.last),
        "durationNanos": str(sum(step.end - step.start for step in found.steps)),
        "waitNanos": str(sum(step.end - step.start for step in found.steps if step.cause != ROOT)),
        "steps": [
            {
                **_named(view.spans, step.row),
                "startUnixNano": str(step.start),
                "endUnixNano": str(step.end),
                "causeIndex": _index(step.cause),
            }
            for step in found.steps
        ],
        "warnings": warnings(view),
    }


def longest_chains(view: View, chains: Iterable[Chain]) -> dict[str, Any]:
    """The chain of every root."""
    durations = view.spans.durations
    return {
        **_mode(view, "longest-chain"),
        "roots": [
            {
                **_root(view, chain.rows[0]),
                "totalNanos": str(chain.total),
                "spans": [{**_named(view.spans, row), "durationNanos": str(durations[row])} for row in chain.rows],
            }
            for chain in chains
        ],
        "warnings": warnings(view),
    }


def what_if(view: View, found: WhatIf) -> dict[str, Any]:
    """What a span's time costs its root."""
    durations = view.spans.durations
    return {
        "traceId": view.spans.trace_id,
        "complete": view.spans.complete,
        **_named(view.spans, found.row),
        "durationNanos": str(durations[found.row]),
        "root": _root(view, found.root),
        "savedNanos": str(found.saved),
        "projectedNanos": str(durations[found.root] - found.saved),
        "excluded": found.excluded,
        "levels": [
            {
                **_named(view.spans, level.row),
                "dragNanos": str(level.drag),
                "savedNanos": str(level.saved),
                "rivalIndex": _index(level.rival),
            }
            for level in found.levels
        ],
    }


def self_times(view: View, groups: Sequence[Group[tuple[str, str]]]) -> dict[str, Any]:
    """Groups by service and operation."""
    total = sum(group.self_total for group in groups)
    return {
        "traceId": view.spans.trace_id,
        "complete": view.spans.complete,
        "selfNanos": str(total),
        "groups": [{"service": group.key[0], "operation": group.key[1], **_group(group, total)} for group in groups],
    }


def statistics(view: View, shape: Shape, by: Sequence[str], groups: Sequence[Group[tuple[str, ...]]]) -> dict[str, Any]:
    """The shape of a trace, and its spans in groups."""
    total = sum(group.self_total for group in groups)
    return {
        **trace_header(view.spans),
        "depth": shape.depth,
        "roots": shape.roots,
        "missingParents": shape.missing_parents,
        "leaves": shape.leaves,
        "widest": shape.widest,
        "selfNanos": str(total),
        "by": list(by),
        "groups": [{"key": list(group.key), **_group(group, total)} for group in groups],
    }


def comparison(left: Skeleton, right: Skeleton, nodes: Iterable[Node]) -> dict[str, Any]:
    """Two traces, and the ways in which their spans were called."""

    def side(found: Side) -> dict[str, Any]:
        return {
            "spanCount": found.spans,
            "errorCount": found.errors,
            "totalNanos": str(found.total),
            "selfNanos": str(found.self_total),
            "firstIndex": _index(found.first),
        }

    return {
        "left": trace_header(left),
        "right": trace_header(right),
        "nodes": [
            {
                "parent": _index(node.parent),
                "depth": node.depth,
                "service": node.service,
                "name": node.name,
                "leaf": node.leaf,
                "state": node.state,
                "left": side(node.left),
                "right": side(node.right),
                "differenceNanos": str(node.right.total - node.left.total),
            }
            for node in nodes
        ],
    }


def warnings(view: View) -> orjson.Fragment:
    """What a reader should know about the trace."""
    return json_rows.records(
        {
            **_named_members(view.spans, np.array([each.row for each in view.warnings], np.int64)),
            "kind": json_rows.texts([each.kind for each in view.warnings]),
            "text": json_rows.texts([each.text for each in view.warnings]),
        }
    )


def _mode(view: View, name: str) -> dict[str, Any]:
    return {"traceId": view.spans.trace_id, "complete": view.spans.complete, "mode": name}


def _named(spans: Skeleton, row: int) -> dict[str, Any]:
    return {"index": row, "spanId": spans.id_text(int(spans.table["span_id"][row]))}


def _root(view: View, row: int) -> dict[str, Any]:
    return {
        **_named(view.spans, row),
        "missingParent": row in view.tree.missing_parents,
        "durationNanos": str(view.spans.durations[row]),
    }


def _named_members(spans: Skeleton, rows: NDArray[np.integer[Any]]) -> dict[str, Member]:
    return {"index": json_rows.counts(rows), "spanId": json_rows.ids(spans.table["span_id"][rows], spans.odd_ids)}


def _segment_members(spans: Skeleton, segments: Table) -> dict[str, Member]:
    return {
        **_named_members(spans, segments["row"]),
        "startUnixNano": json_rows.nanoseconds(segments["start"]),
        "endUnixNano": json_rows.nanoseconds(segments["end"]),
    }


def _index(row: int) -> int | None:
    return None if row == ROOT else row


def _group(group: Group[Any], all_self_time: int) -> dict[str, Any]:
    return {
        "spanCount": group.spans,
        "errorCount": group.errors,
        "totalNanos": str(group.total),
        "minNanos": str(group.minimum),
        "maxNanos": str(group.maximum),
        "meanNanos": number(group.total / group.spans),
        "selfNanos": str(group.self_total),
        "selfMinNanos": str(group.self_minimum),
        "selfMaxNanos": str(group.self_maximum),
        "selfMeanNanos": number(group.self_total / group.spans),
        "selfShare": number(group.self_total / all_self_time if all_self_time else 0.0),
        "selfOfTotal": number(group.self_total / group.total if group.total else 0.0),
        "onPathNanos": str(group.on_path),
    }
