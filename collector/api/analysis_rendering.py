"""JSON of what is made of a trace. A span is named by its id and by `index`, its position in the list of spans of the trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from collector.api import json_rows
from collector.api.json_rows import Member, taken
from collector.api.rendering import identity_members, number, trace_header
from collector.query.analysis.comparison import Node, Side
from collector.query.analysis.completion_path import CompletionPath
from collector.query.analysis.crisp_path import CrispPath
from collector.query.analysis.critical_path import CriticalPath, Segment, Share
from collector.query.analysis.longest_chain import Chain
from collector.query.analysis.statistics import Group, Shape
from collector.query.analysis.what_if import WhatIf
from collector.query.reduction import Repeat, ShownBar
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT
from collector.query.view import View
from collector.query.waterfall import Bar, Waterfall


def waterfall(view: View, found: Waterfall, shown: Sequence[ShownBar], window: range) -> dict[str, Any]:
    """Header, and those of the bars that are left after a reduction which lie in a window of their positions."""
    spans, tree = view.spans, view.tree
    starts = spans.starts
    ends = [start + duration for start, duration in zip(starts, spans.durations, strict=True)]
    items = shown[window.start : window.stop]
    rows, depths, offsets, _, self_times, descendants, errors_below = _columns([item.bar for item in items], len(Bar._fields))
    parents = taken(tree.parents, rows)
    bars = {
        "index": json_rows.counts(rows),
        "parentIndex": json_rows.positions(parents),
        "depth": json_rows.counts(depths),
        **identity_members(spans, rows),
        "offsetNanos": json_rows.nanoseconds(offsets),
        "selfNanos": json_rows.nanoseconds(self_times),
        "skewNanos": json_rows.nanoseconds(taken(view.skews, rows)),
        "children": json_rows.counts(list(map(len, taken(tree.children, rows)))),
        "descendants": json_rows.counts(descendants),
        "errorsBelow": json_rows.counts(errors_below),
        "missingParent": json_rows.flags([row in tree.missing_parents for row in rows]),
        "precedesParent": json_rows.flags(
            [parent != ROOT and starts[row] < starts[parent] for row, parent in zip(rows, parents, strict=True)]
        ),
        "outlivesParent": json_rows.flags(
            [parent != ROOT and ends[row] > ends[parent] for row, parent in zip(rows, parents, strict=True)]
        ),
        "omitted": json_rows.counts([item.omitted for item in items]),
        "repeat": json_rows.documents([item.repeat and _repeat(item.repeat) for item in items]),
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
        "bars": json_rows.records(bars),
        "warnings": warnings(view),
    }


def _repeat(repeat: Repeat) -> dict[str, Any]:
    return {
        "spanCount": repeat.spans,
        "minNanos": str(repeat.minimum),
        "maxNanos": str(repeat.maximum),
        "totalNanos": str(repeat.total),
    }


def critical_path(view: View, found: CriticalPath, *, tolerance: float, overflow: str) -> dict[str, Any]:
    """Segments and shares of every root."""
    return {
        **_mode(view, "default"),
        "tolerance": tolerance,
        "overflow": overflow,
        "roots": [
            {
                **_root(view, path.root),
                "segments": json_rows.records(
                    {
                        **_segment_members(view.spans, path.segments),
                        "uncertain": json_rows.flags([segment.uncertain for segment in path.segments]),
                    }
                ),
                "spans": json_rows.records(_share_members(view.spans, path.shares)),
            }
            for path in found.roots
        ],
        "excluded": [{**_named(view.spans, row), "reason": reason} for row, reason in found.excluded.items()],
        "warnings": warnings(view),
    }


def jaeger_path(view: View, paths: dict[int, list[Segment]], self_times: Sequence[int]) -> dict[str, Any]:
    """Segments of every root, and the spans that have some."""
    roots = []
    for root, segments in paths.items():
        on_path: dict[int, int] = {}
        for segment in segments:
            on_path[segment.row] = on_path.get(segment.row, 0) + segment.end - segment.start
        roots.append(
            {
                **_root(view, root),
                "segments": json_rows.records(_segment_members(view.spans, segments)),
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
            **_named_members(view.spans, [each.row for each in view.warnings]),
            "kind": json_rows.texts([each.kind for each in view.warnings]),
            "text": json_rows.texts([each.text for each in view.warnings]),
        }
    )


def _mode(view: View, name: str) -> dict[str, Any]:
    return {"traceId": view.spans.trace_id, "complete": view.spans.complete, "mode": name}


def _named(spans: Skeleton, row: int) -> dict[str, Any]:
    return {"index": row, "spanId": spans.span_ids[row]}


def _root(view: View, row: int) -> dict[str, Any]:
    return {
        **_named(view.spans, row),
        "missingParent": row in view.tree.missing_parents,
        "durationNanos": str(view.spans.durations[row]),
    }


def _named_members(spans: Skeleton, rows: Sequence[int]) -> dict[str, Member]:
    return {"index": json_rows.counts(rows), "spanId": json_rows.ids(taken(spans.span_ids, rows))}


def _share_members(spans: Skeleton, shares: Sequence[Share]) -> dict[str, Member]:
    rows, on_path, self_times, drags, slacks, savings, _ = _columns(shares, len(Share._fields))
    return {
        **_named_members(spans, rows),
        "onPathNanos": json_rows.nanoseconds(on_path),
        "selfNanos": json_rows.nanoseconds(self_times),
        "dragNanos": json_rows.nanoseconds(drags),
        "slackNanos": json_rows.nanoseconds(slacks),
        "savedNanos": json_rows.nanoseconds(savings),
    }


def _columns(items: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    """The columns of tuples of this length."""
    return list(zip(*items, strict=True)) if items else [()] * width


def _segment_members(spans: Skeleton, segments: Sequence[Segment]) -> dict[str, Member]:
    return {
        **_named_members(spans, [segment.row for segment in segments]),
        "startUnixNano": json_rows.nanoseconds([segment.start for segment in segments]),
        "endUnixNano": json_rows.nanoseconds([segment.end for segment in segments]),
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
