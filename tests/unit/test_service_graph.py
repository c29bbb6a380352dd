"""What Prometheus sees of calls: the Collector's worked examples, and the bounds."""

from __future__ import annotations

import pytest

from collector.processors.topology.processor import Topology
from collector.service_graph import CallMeasures, ServiceGraph
from config.topology import TopologyProcessor
from proto.otlp_decode import decode
from tests.support.scenes import scene

TTL_S = 30.0

Labels = tuple[str, str, str]


class Graph:
    """A graph that gets scenes, at times that the test sets."""

    def __init__(self, **settings: object) -> None:
        self.now_s = 0.0
        self.graph = ServiceGraph(lambda: self.now_s)
        self._topology = Topology(TopologyProcessor.model_validate(settings))

    def add(self, text: str, at_s: float = 0.0, workspace: str = "default", trace: int = 1) -> None:
        measures = self._topology.process(decode(scene(text, trace=trace).SerializeToString(), workspace).batch).measured
        assert isinstance(measures, CallMeasures)
        self.now_s = at_s
        self.graph.add(measures)

    def expire(self) -> None:
        """Let everything that waits have waited long enough."""
        self.now_s = 1e9

    def values(self, name: str, **wanted: str) -> dict[Labels, float]:
        """(client, server, connection type) → value of a sample, without those that are 0."""
        return {
            (sample.labels["client"], sample.labels["server"], sample.labels["connection_type"]): sample.value
            for family in self.graph.collect()
            for sample in family.samples
            if sample.name == f"traces_service_graph_{name}" and wanted.items() <= sample.labels.items() and sample.value
        }

    @property
    def requests(self) -> dict[Labels, float]:
        return self.values("request_total")


EXAMPLES = [
    ("web CLIENT s1 <p\ncart SERVER s2 <s1", {("web", "cart", ""): 1}),
    ("web PRODUCER s1 <p\nworker CONSUMER s2 <s1", {("web", "worker", "messaging_system"): 1}),
    ("cart CLIENT s2 <p db.system=postgresql db.name=carts", {("cart", "carts", "database"): 1}),
    ("cart CLIENT s2 <p db.system=redis", {("cart", "redis", "database"): 1}),
    ("cart CLIENT s3 <p peer.service=stripe server.address=stripe.com", {("cart", "stripe", "virtual_node"): 1}),
    ("cart PRODUCER s3 <p messaging.system=kafka", {("cart", "kafka", "virtual_node"): 1}),
    ("web SERVER s1", {("user", "web", "virtual_node"): 1}),
    # Here the Collector has no edge: the keys do not match, or there is but a link.
    ("web CLIENT s1 <p\ncart INTERNAL s2 <s1\ncart SERVER s3 <s2", {("web", "cart", ""): 1}),
    ("web CLIENT s1 <p peer.service=x\nweb INTERNAL s2 <s1\ncart SERVER s3 <s2", {("web", "cart", ""): 1}),
    ("web PRODUCER s1 <p\nworker CONSUMER s2 ~s1", {("web", "worker", "messaging_system"): 1}),
    ("web SERVER s1 <p\ncart SERVER s2 <s1", {("web", "cart", ""): 1}),
    # Not between services.
    ("web CLIENT s1 <p\nweb SERVER s2 <s1", {}),
    ("web INTERNAL s1 <p\nweb INTERNAL s2 <s1", {}),
    ("cart CLIENT s2 <p db.name=carts\nother SERVER s3 <s2", {("cart", "carts", "database"): 1}),
]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_the_examples_of_the_collector_give_its_edges(text: str, expected: dict[Labels, float]) -> None:
    graph = Graph()
    graph.add(text)
    graph.expire()
    assert graph.requests == expected


@pytest.mark.parametrize(("text", "expected"), [example for example in EXAMPLES if "INTERNAL" not in example[0]])
@pytest.mark.parametrize("backwards", [False, True])
def test_they_do_so_if_each_span_comes_in_a_batch_of_its_own(text: str, expected: dict[Labels, float], backwards: bool) -> None:
    graph = Graph()
    for number, line in enumerate(text.splitlines()[:: -1 if backwards else 1]):
        graph.add(line, float(number))
    graph.expire()
    assert graph.requests == expected


def test_a_call_has_failed_if_either_side_has() -> None:
    graph = Graph()
    for number, (client, server) in enumerate([("", ""), ("!", ""), ("", "!"), ("!", "!")]):
        graph.add(f"web CLIENT s1 <p 5ms{client}\ncart SERVER s2 <s1 3ms{server}", trace=number + 1)
    assert graph.requests == {("web", "cart", ""): 4}
    assert graph.values("request_failed_total") == {("web", "cart", ""): 3}


def test_both_sides_tell_how_long_calls_took_and_bounds_belong_to_their_buckets() -> None:
    graph = Graph(latency_histogram_buckets=["3ms", "5ms"])
    graph.add("web CLIENT s1 <p 6ms\ncart SERVER s2 <s1 3ms")
    graph.add("web CLIENT s1 <p 5ms", trace=2)
    graph.add("cart SERVER s2 <s1 4ms", trace=2)
    edge = ("web", "cart", "")
    assert graph.values("request_client_seconds_count") == {edge: 2}
    assert graph.values("request_client_seconds_bucket", le="0.005") == {edge: 1}
    assert graph.values("request_server_seconds_bucket", le="0.003") == {edge: 1}
    assert graph.values("request_server_seconds_bucket", le="0.005") == {edge: 2}
    assert graph.values("request_client_seconds_sum")[edge] == pytest.approx(0.011)
    assert graph.values("request_server_seconds_sum")[edge] == pytest.approx(0.007)


def test_a_side_without_spans_tells_nothing_but_databases_are_told_of_by_their_clients() -> None:
    graph = Graph()
    graph.add("web SERVER s1 8ms\nweb CLIENT s2 <s1 2ms peer.service=stripe\nweb CLIENT s3 <s1 1ms db.name=carts")
    graph.expire()
    assert set(graph.values("request_client_seconds_count")) == {
        ("web", "stripe", "virtual_node"),
        ("web", "carts", "database"),
    }
    assert set(graph.values("request_server_seconds_count")) == {("user", "web", "virtual_node"), ("web", "carts", "database")}


def test_calls_count_as_many_times_as_the_spans_that_they_stand_for() -> None:
    graph = Graph()
    graph.add("web CLIENT s1 <p th:8\ncart SERVER s2 <s1! th:c")
    assert graph.requests == {("web", "cart", ""): 4}
    assert graph.values("request_failed_total") == {("web", "cart", ""): 4}


def test_a_call_of_which_one_side_is_rarer_stands_for_as_many_as_that_side() -> None:
    graph = Graph()
    graph.add("web CLIENT s1 <p th:c\ncart SERVER s2 <s1 th:8")
    graph.add("web CLIENT s1 <p th:c", trace=2)
    graph.add("cart SERVER s2 <s1 th:8", trace=2)
    assert graph.requests == {("web", "cart", ""): 8}


def test_halves_wait_for_their_time_and_no_longer() -> None:
    graph = Graph()
    graph.add("web CLIENT s1 <p", 0.0)
    graph.add("cart SERVER s2 <s1", TTL_S)
    assert graph.requests == {("web", "cart", ""): 1}
    graph.add("web CLIENT s1 <p", 0.0, trace=2)
    graph.add("cart SERVER s2 <s1", 2 * TTL_S + 1, trace=2)
    graph.expire()
    assert graph.requests == {("web", "cart", ""): 1}
    assert graph.values("unpaired_spans_total") == {("web", "", ""): 1, ("", "cart", ""): 1}


def test_one_call_may_have_many_callees() -> None:
    graph = Graph()
    graph.add("web PRODUCER s1 <p")
    for number in range(3):
        graph.add(f"worker CONSUMER c{number} <s1")
    assert graph.requests == {("web", "worker", "messaging_system"): 3}


def test_what_there_is_no_room_for_is_counted() -> None:
    graph = Graph(store={"max_items": 2})
    for number in range(5):
        graph.add("web CLIENT s1\ncart SERVER s2 <x", trace=number + 1)
    # A server waits for its caller, and may be one itself, of servers whose clients tell nothing.
    assert graph.values("dropped_spans_total") == {("web", "", ""): 5, ("", "cart", ""): 4}


def test_there_are_no_more_series_than_may_be_and_one_for_all_others() -> None:
    graph = Graph(max_series=2)
    for number in range(5):
        graph.add(f"web CLIENT s1 <p\ncart{number} SERVER s2 <s1", trace=number + 1)
    overflow = ("otel.metric.overflow", "otel.metric.overflow", "")
    assert graph.requests == {("web", "cart0", ""): 1, ("web", "cart1", ""): 1, overflow: 3}


def test_a_workspace_has_places_though_another_one_took_all() -> None:
    graph = Graph(max_series=2)
    for number in range(5):
        graph.add(f"web CLIENT s1 <p\ncart{number} SERVER s2 <s1", trace=number + 1)
    for number in range(2):
        graph.add(f"web CLIENT s1 <p\nmail{number} SERVER s2 <s1", trace=number + 1, workspace="team")
    assert graph.values("request_total", workspace="team") == {
        ("web", "mail0", ""): 1,
        ("otel.metric.overflow", "otel.metric.overflow", ""): 1,
    }


def test_workspaces_do_not_meet() -> None:
    graph = Graph()
    graph.add("web CLIENT s1 <p", workspace="one")
    graph.add("cart SERVER s2 <s1", workspace="two")
    graph.expire()
    assert graph.requests == {}


def test_names_of_nodes_that_nothing_waits_for_are_forgotten() -> None:
    graph = Graph(store={"max_items": 4})
    for number in range(100):
        graph.add(f"web{number} CLIENT s1 <p peer.service=peer{number}", float(number), trace=number + 1)
    assert len(graph.graph._nodes) <= 4 * 4 + 3
    graph.add("cart SERVER s2 <s1", 100.0, trace=100)
    assert graph.requests == {("web99", "cart", ""): 1}


def test_without_a_processor_there_is_nothing_to_see() -> None:
    assert list(ServiceGraph().collect()) == []
