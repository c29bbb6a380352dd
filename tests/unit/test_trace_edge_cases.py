"""What traces can be like that nobody would draw: each case of reading one by its id, by its number. Those that concern the store
are in tests/contract/test_trace_edge_cases.py."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from collector.api import analysis_rendering, rendering
from collector.query.analysis.critical_path import find_critical_path
from collector.query.reduction import Reduction, reduce_bars
from collector.query.skeleton import Skeleton
from collector.query.view import view_of
from collector.query.waterfall import build_waterfall
from tests.support.requests import EPOCH, key_values
from tests.support.rows import rows_of
from tests.support.stored import Drawn, draw, renamed, sharing_ids, spans_by_trace

HOUR = 3_600 * 10**9


def waterfall(spans: Skeleton, *adjusters: str, **reduction: Any) -> dict[str, Any]:
    """The document that the waterfall of these spans answers."""
    view = view_of(spans, adjusters)
    found = build_waterfall(view.spans, view.tree)
    shown = reduce_bars(view.spans, view.tree, found.table, Reduction(**reduction))
    document: dict[str, Any] = orjson.loads(
        rendering.json_bytes(analysis_rendering.waterfall(view, found, shown, range(len(shown))))
    )
    return document


def outline(document: dict[str, Any]) -> str:
    """Names by depth, as in `A(B(C) D)`."""
    text, depth = "", 0
    for bar in document["bars"]:
        deeper = bar["depth"] - depth
        text += "(" if deeper > 0 else ")" * -deeper + (" " if text else "")
        text += bar["name"]
        depth = bar["depth"]
    return text + ")" * depth


def warned(document: dict[str, Any]) -> set[tuple[str, str]]:
    names = {bar["index"]: bar["name"] for bar in document["bars"]}
    return {(names[warning["index"]], warning["kind"]) for warning in document["warnings"]}


def stored(*spans: Span, **resource: Any) -> Skeleton:
    """The spans of one trace as the store gives them back."""
    message = TracesData()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop", **resource}))
    resource_spans.scope_spans.add().spans.extend(spans)
    (found,) = spans_by_trace(rows_of(message)).values()
    return found


def sent(number: int, parent: int = 0, start: int = 0, end: int = 100, **fields: Any) -> Span:
    return Span(
        trace_id=(1).to_bytes(16),
        span_id=number.to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=fields.pop("name", f"s{number}"),
        start_time_unix_nano=EPOCH + start,
        end_time_unix_nano=EPOCH + end,
        **fields,
    )


def test_trace_01_spans_below_a_missing_root_are_roots_that_can_be_grouped() -> None:
    spans = draw("A[1,10]<gone, B[2,4]<A, C[5,6]<gone")
    document = waterfall(spans)
    assert outline(document) == "A(B) C"
    assert document["missingParents"] == 2
    assert document["missing"] == [{"parentSpanId": spans.parent_span_ids[0], "children": [0, 2]}]


def test_trace_02_several_roots_stand_by_start_and_the_earliest_names_the_trace() -> None:
    document = waterfall(draw("B[20,90], A[10,50], C[30,40]<B"))
    assert outline(document) == "A B(C)"
    assert (document["rootName"], document["startTimeUnixNano"], document["durationNanos"]) == ("A", "10", "80")


def test_trace_03_orphans_are_grouped_by_the_parent_that_is_missing() -> None:
    spans = draw("A[1,10]<gone, B[2,4]<lost, C[5,6]<gone")
    by_parent = {group["parentSpanId"]: group["children"] for group in waterfall(spans)["missing"]}
    assert by_parent == {spans.parent_span_ids[0]: [0, 2], spans.parent_span_ids[1]: [1]}


def test_trace_04_a_span_that_was_sent_twice_is_shown_once() -> None:
    assert outline(waterfall(stored(sent(1), sent(2, 1), sent(1), sent(2, 1)))) == "s1(s2)"


def test_trace_05_a_server_below_its_clients_id_gets_the_children_of_its_process() -> None:
    spans = draw(
        [
            Drawn("A", 1, 100, "", "CLIENT", "web"),
            Drawn("B", 10, 90, "", "SERVER", "cart"),
            Drawn("C", 20, 80, "A", "", "cart"),
            Drawn("D", 2, 5, "A", "", "web"),
        ]
    )
    document = waterfall(sharing_ids(spans, {"B": "A"}))
    assert outline(document) == "A(D B(C))"
    assert warned(document) == {("B", "shared-span-id")}


def test_trace_06_spans_that_share_an_id_are_all_kept_and_children_go_to_the_one_around_them() -> None:
    spans = draw("A[0,10], B[20,30], C[22,25]<A")
    document = waterfall(sharing_ids(spans, {"B": "A"}))
    assert outline(document) == "A B(C)"
    assert ("B", "repeated-span-id") in warned(document)


def test_trace_07_a_span_that_is_its_own_parent_is_a_root() -> None:
    document = waterfall(draw("A[1,10]<A, B[2,8]<A"))
    assert outline(document) == "A(B)"
    assert warned(document) == {("A", "own-parent")}


def test_trace_08_a_cycle_is_broken_at_its_earliest_start() -> None:
    document = waterfall(draw("A[4,10]<B, B[2,8]<A"))
    assert outline(document) == "B(A)"
    assert warned(document) == {("B", "cycle")}


def test_trace_09_beside_a_cycle_the_rest_of_the_trace_is_there_and_counted() -> None:
    document = waterfall(draw("R[1,100], S[2,5]<R, A[4,10]<B, B[3,8]<A"))
    assert outline(document) == "R(S) B(A)"
    assert document["spanCount"] == 4


def test_trace_10_a_child_outside_of_its_parents_time_is_marked_and_not_hidden() -> None:
    bars = {bar["name"]: bar for bar in waterfall(draw("A[10,20], B[5,15]<A, C[15,30]<A, D[11,12]<A"))["bars"]}
    assert {name: (bar["precedesParent"], bar["outlivesParent"]) for name, bar in bars.items()} == {
        "A": (False, False),
        "B": (True, False),
        "C": (False, True),
        "D": (False, False),
    }


def test_trace_11_a_span_without_a_start_takes_one_from_the_tree() -> None:
    spans = draw([Drawn("A", 0, EPOCH + 90), Drawn("B", EPOCH + 10, EPOCH + 50, "A"), Drawn("C", 0, EPOCH + 40, "B")])
    document = waterfall(spans)
    assert {bar["name"]: bar["startTimeUnixNano"] for bar in document["bars"]} == {
        "A": str(EPOCH + 10),
        "B": str(EPOCH + 10),
        "C": str(EPOCH + 10),
    }
    assert document["durationNanos"] == "80"
    assert warned(document) == {("A", "no-start"), ("C", "no-start")}


def test_trace_12_a_span_that_ends_before_it_starts_has_no_duration_and_keeps_its_times() -> None:
    spans = draw([Drawn("A", 100, 40)])
    document = waterfall(spans)
    assert [(bar["startTimeUnixNano"], bar["durationNanos"]) for bar in document["bars"]] == [("100", "0")]
    assert spans.ends == [40]
    assert warned(document) == {("A", "ends-before-start")}


def test_trace_13_a_span_that_has_not_ended_can_be_shown_as_open_until_the_traces_end() -> None:
    spans = draw("A[10,10], B[20,50]<A, P[60,60] PRODUCER, C[70,90]<P CONSUMER")
    as_stored = waterfall(spans)
    assert warned(as_stored) == {("A", "no-end")}
    durations = {bar["name"]: bar["durationNanos"] for bar in waterfall(spans, "open-end")["bars"]}
    assert durations == {"A": "80", "B": "30", "P": "0", "C": "20"}
    assert {bar["name"]: bar["durationNanos"] for bar in as_stored["bars"]}["A"] == "0"


def test_trace_14_a_link_to_another_trace_is_no_parent_even_if_a_span_here_has_its_id() -> None:
    link = Span.Link(trace_id=(2).to_bytes(16), span_id=(1).to_bytes(8))
    assert outline(waterfall(stored(sent(1), sent(2, start=10, links=[link])))) == "s1 s2"


def test_trace_15_a_span_without_a_service_is_of_the_empty_one() -> None:
    message = TracesData()
    message.resource_spans.add().scope_spans.add().spans.append(sent(1))
    (spans,) = spans_by_trace(rows_of(message)).values()
    assert waterfall(spans)["spansByService"] == {"": 1}


def test_trace_16_a_trace_id_that_was_used_again_hours_later_is_told() -> None:
    spans = draw([Drawn("A", 10, 20), Drawn("B", 20 + HOUR, 30 + HOUR), Drawn("C", 31 + 2 * HOUR, 40 + 2 * HOUR)])
    document = waterfall(spans)
    assert warned(document) == {("C", "long-gap")}
    assert outline(document) == "A B C"


def test_trace_17_a_chain_of_100_000_levels_is_drawn_to_its_end() -> None:
    depth = 100_000
    document = waterfall(draw([Drawn(f"{n:x}", 1 + n, 3 * depth - n, f"{n - 1:x}" if n else "") for n in range(depth)]))
    assert (document["depth"], document["bars"][-1]["depth"]) == (depth, depth - 1)


def test_trace_18_100_000_siblings_stand_below_their_parent_and_can_be_one_bar() -> None:
    count = 100_000
    children = [Drawn(f"{n:x}", 2 + 2 * n, 3 + 2 * n, "r") for n in range(count)]
    spans = draw([Drawn("r", 1, 2 * count + 1), *children])
    spans = renamed(spans, ["r", *["query"] * count])
    assert waterfall(spans)["bars"][0]["children"] == count
    root, repeated = waterfall(spans, repeats=2)["bars"]
    assert (root["omitted"], root["selfNanos"]) == (0, str(count))
    assert repeated["repeat"] == {"spanCount": count, "minNanos": "1", "maxNanos": "1", "totalNanos": str(count)}


def test_trace_23_a_span_without_a_name_keeps_that() -> None:
    document = waterfall(stored(sent(1, name="")))
    assert (document["rootName"], document["bars"][0]["name"]) == ("", "")


def test_trace_24_a_long_value_is_cut_in_a_list_and_whole_alone() -> None:
    spans = stored(sent(1, attributes=key_values({"long": "é" * 100_000, "short": "x"})))
    long, short = rendering.trace(spans, spans, 0)["spans"][0]["attributes"]
    assert (len(long["value"]["stringValue"]), long["fullLength"]) == (rendering.MAX_VALUE_LENGTH, 100_000)
    assert short == {"key": "short", "value": {"stringValue": "x"}}
    (whole, _) = rendering.details(spans, None)["spans"][0]["attributes"]
    assert whole == {"key": "long", "value": {"stringValue": "é" * 100_000}}


def test_trace_25_attributes_have_their_types() -> None:
    values = {"bytes": b"\xff\x00", "list": [1, "x", True], "map": {"a": 1.5}}
    spans = stored(sent(1, attributes=key_values(values)))
    found = {entry["key"]: entry["value"] for entry in rendering.trace(spans, spans, 0)["spans"][0]["attributes"]}
    assert found["bytes"] == {"bytesValue": "/wA="}
    assert found["list"] == {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "x"}, {"boolValue": True}]}}
    assert found["map"] == {"kvlistValue": {"values": [{"key": "a", "value": {"doubleValue": 1.5}}]}}


@pytest.mark.parametrize(("time", "strays"), [(0, False), (100, False), (101, True), (-1, True), (-EPOCH, False)])
def test_trace_26_an_event_outside_of_its_span_is_told(time: int, strays: bool) -> None:
    document = waterfall(stored(sent(1, events=[Span.Event(time_unix_nano=EPOCH + time)])))
    assert warned(document) == ({("s1", "event-outside-span")} if strays else set())


def test_trace_29_of_several_references_the_parent_is_the_parent_and_the_others_are_links() -> None:
    link = Span.Link(trace_id=(1).to_bytes(16), span_id=(2).to_bytes(8))
    spans = stored(sent(1, start=0), sent(2, start=1), sent(3, 1, start=10, links=[link]))
    assert outline(waterfall(spans)) == "s1(s3) s2"


def test_trace_30_a_link_that_resolves_does_not_stand_in_for_a_parent_that_does_not() -> None:
    link = Span.Link(trace_id=(1).to_bytes(16), span_id=(1).to_bytes(8))
    spans = stored(sent(1), sent(3, 9, start=10, links=[link]))
    document = waterfall(spans)
    assert outline(document) == "s1 s3"
    assert warned(document) == {("s3", "missing-parent")}
    view = view_of(spans)
    assert len(find_critical_path(view.spans, view.tree).roots) == 2
