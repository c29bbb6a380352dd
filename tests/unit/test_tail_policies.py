"""Each policy at its boundary, how policies combine, and with which probability they keep a trace."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.tail_sampling.combining import Outcome, Policies
from collector.processors.tail_sampling.policies import Traces, trace_id_hashes
from config.tail_sampling import Policy, TailSamplingProcessor
from proto.otlp_decode import decode
from tests.support.requests import EPOCH, key_values
from tests.support.traces import all_traces

FIRST = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
SECOND = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
MILLISECOND = 1_000_000
ALWAYS = {"type": "always_sample"}
NEVER = {"type": "span_count", "span_count": {"min_spans": 10**9}}
INVERTED = {"type": "string_attribute", "string_attribute": {"key": "k", "values": ["v"], "invert_match": True}}
"""For traces without k=v, with the right to forbid others."""


def policies(*settings: dict[str, Any], first_match: bool = False) -> Policies:
    named = [{"name": f"p{place}"} | each for place, each in enumerate(settings)]
    return Policies(TailSamplingProcessor.model_validate({"policies": named}).policies, first_match=first_match)


def traces(policies: Policies, ids: list[bytes], *, now_ns: int = 0, **facts: Any) -> Traces:
    count = len(ids)
    return Traces(
        ids=np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 16),
        spans=np.array(facts.get("spans", [1] * count), np.int64),
        wire_bytes=np.array(facts.get("wire_bytes", [100] * count), np.int64),
        duration_ns=np.array(facts.get("duration_ns", [0] * count), np.uint64),
        met=np.array(facts.get("met", [[0] * policies.rules.words] * count), np.uint64),
        now_ns=now_ns,
    )


def outcome(*settings: dict[str, Any], ids: list[bytes] | None = None, first_match: bool = False, **facts: Any) -> Outcome:
    made = policies(*settings, first_match=first_match)
    count = max((len(values) for values in facts.values()), default=1)
    return made.decide(traces(made, ids or [FIRST] * count, **facts))


def meets(policy: dict[str, Any], spans: list[dict[str, Any]], resource: dict[str, Any] | None = None) -> bool:
    """Whether a policy about single spans is for a trace of such spans."""
    made = policies(policy)
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values(resource or {}))
    for fields in spans:
        span = resource_spans.scope_spans.add().spans.add(trace_id=FIRST, span_id=b"12345678", start_time_unix_nano=EPOCH)
        span.attributes.extend(key_values(fields.get("attributes", {})))
        for name in fields.get("events", ()):
            span.events.add(name=name)
        span.status.code = fields.get("status", 0)
        span.trace_state = fields.get("trace_state", "")
        span.flags = fields.get("flags", 0)
    matched = made.rules.match(decode(request.SerializeToString()).batch)
    met = np.bitwise_or.reduce(matched.bits, axis=0, keepdims=True)
    return bool(made.decide(traces(made, [FIRST], met=met)).kept[0])


def test_latency_is_at_least_the_threshold() -> None:
    policy = {"type": "latency", "latency": {"threshold_ms": 5}}
    durations = [5 * MILLISECOND - 1, 5 * MILLISECOND, 6 * MILLISECOND]
    assert outcome(policy, duration_ns=durations).kept.tolist() == [False, True, True]


def test_latency_with_an_upper_threshold_is_above_the_lower_and_at_most_the_upper() -> None:
    policy = {"type": "latency", "latency": {"threshold_ms": 5, "upper_threshold_ms": 7}}
    durations = [5 * MILLISECOND, 5 * MILLISECOND + 1, 7 * MILLISECOND, 7 * MILLISECOND + 1]
    assert outcome(policy, duration_ns=durations).kept.tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("most", "kept"), [(0, [False, True, True, True, True]), (4, [False, True, True, True, False])], ids=["open", "closed"]
)
def test_span_count_includes_its_bounds(most: int, kept: list[bool]) -> None:
    policy = {"type": "span_count", "span_count": {"min_spans": 2, "max_spans": most}}
    assert outcome(policy, spans=[1, 2, 3, 4, 5]).kept.tolist() == kept


@pytest.mark.parametrize(("value", "kept"), [(3, False), (4, True), (6, True), (7, False), ("5", False), (5.0, False)])
def test_numeric_attribute_includes_its_bounds_and_takes_whole_numbers_only(value: object, kept: bool) -> None:
    policy = {"type": "numeric_attribute", "numeric_attribute": {"key": "k", "min_value": 4, "max_value": 6}}
    assert meets(policy, [{}, {"attributes": {"k": value}}]) == kept
    assert meets(policy, [{}], {"k": value}) == kept
    policy["numeric_attribute"] |= {"invert_match": True}  # type: ignore[operator]  # a mapping
    assert meets(policy, [{}, {"attributes": {"k": value}}]) != kept


@pytest.mark.parametrize(
    ("values", "regex", "found", "kept"),
    [
        (["GET", "POST"], False, "POST", True),
        (["GET"], False, "GET /", False),
        (["GET"], True, "a GET /", True),  # not anchored
        (["^GET$"], True, "a GET /", False),
        (["[0-9]+"], True, "x7", True),
        (["5"], False, 5, False),
    ],
)
def test_string_attribute_is_equal_or_matches(values: list[str], regex: bool, found: object, kept: bool) -> None:
    own = {"key": "k", "values": values, "enabled_regex_matching": regex}
    policy = {"type": "string_attribute", "string_attribute": own}
    assert meets(policy, [{"attributes": {"other": "GET"}}, {"attributes": {"k": found}}]) == kept
    assert meets(policy, [{}], {"k": found}) == kept
    assert (
        meets({"type": "string_attribute", "string_attribute": own | {"invert_match": True}}, [{"attributes": {"k": found}}])
        != kept
    )


def test_boolean_attribute_is_equal() -> None:
    for value in (True, False):
        policy = {"type": "boolean_attribute", "boolean_attribute": {"key": "k", "value": value}}
        assert meets(policy, [{"attributes": {"k": value}}])
        assert meets(policy, [{}], {"k": value})
        assert not meets(policy, [{"attributes": {"k": not value}}, {"attributes": {"k": int(value)}}, {}])
        inverted = {"type": "boolean_attribute", "boolean_attribute": {"key": "k", "value": value, "invert_match": True}}
        assert not meets(inverted, [{"attributes": {"k": value}}])
        assert meets(inverted, [{}])


def test_status_code_is_any_of_those_of_any_span() -> None:
    policy = {"type": "status_code", "status_code": {"status_codes": ["ERROR", "OK"]}}
    assert [meets(policy, [{}, {"status": status}]) for status in (0, 1, 2)] == [False, True, True]
    assert meets({"type": "status_code", "status_code": {"status_codes": ["UNSET"]}}, [{}])


def test_trace_state_has_a_member_with_one_of_the_values() -> None:
    policy = {"type": "trace_state", "trace_state": {"key": "vendor", "values": ["1", "2"]}}
    states = ["", "vendor=2", "a=1, vendor=1", "vendor=3", "xvendor=1", "vendor=12"]
    assert [meets(policy, [{}, {"trace_state": state}]) for state in states] == [False, True, True, False, False, False]


def test_trace_flags_looks_at_the_flag_of_sampled_traces() -> None:
    assert [meets({"type": "trace_flags"}, [{}, {"flags": flags}]) for flags in (0, 1, 2, 0x101)] == [False, True, False, True]


def test_ottl_condition_holds_for_a_span_or_an_event() -> None:
    def policy(**own: list[str]) -> dict[str, Any]:
        return {"type": "ottl_condition", "ottl_condition": own}

    spans = [{}, {"attributes": {"k": "v"}, "events": ["a", "exception"]}]
    assert meets(policy(span=['attributes["k"] == "w"', 'attributes["k"] == "v"']), spans)
    assert not meets(policy(span=['attributes["k"] == "w"']), spans)
    assert meets(policy(spanevent=['name == "exception"']), spans)
    assert not meets(policy(spanevent=['name == "other"']), spans)
    assert not meets(policy(spanevent=['name == "exception"']), [{}])


def test_a_condition_that_fails_is_counted_and_does_not_hold() -> None:
    made = policies({"type": "ottl_condition", "ottl_condition": {"span": ['Len(attributes["k"]) > 1']}})
    request = ExportTraceServiceRequest()
    for _ in range(3):
        spans = request.resource_spans.add().scope_spans.add().spans
        spans.add(trace_id=FIRST, span_id=b"12345678", start_time_unix_nano=EPOCH)
    matched = made.rules.match(decode(request.SerializeToString()).batch)
    assert matched.failures == {"p0": 3}
    assert 'Len(attributes["k"])' in matched.reasons["p0"] or "attributes" in matched.reasons["p0"]
    assert not matched.bits.any()


def test_probabilistic_hashes_trace_ids_as_the_collector_does() -> None:
    hashes = trace_id_hashes("default-hash-seed", np.frombuffer(FIRST + SECOND, np.uint8).reshape(-1, 16))
    assert hashes[0] == 0x33BF83D45F51634C
    assert round(float(hashes[1]) / 2**64, 4) == 0.6456
    for percentage, kept in (
        (20.2, [False, False]),
        (20.3, [True, False]),
        (64.6, [True, True]),
        (0, [False, False]),
        (100, [True, True]),
        (250, [True, True]),
    ):
        policy = {"type": "probabilistic", "probabilistic": {"sampling_percentage": percentage}}
        assert outcome(policy, ids=[FIRST, SECOND]).kept.tolist() == kept


@pytest.mark.parametrize("percentage", [1, 10, 50])
def test_probabilistic_keeps_its_share_of_random_ids(percentage: int) -> None:
    ids = np.random.default_rng(1).integers(0, 256, (50_000, 16), dtype=np.uint8)
    made = policies({"type": "probabilistic", "probabilistic": {"sampling_percentage": percentage}})
    kept = made.decide(traces(made, [ids.tobytes()[start : start + 16] for start in range(0, ids.size, 16)])).kept.sum()
    deviation = (50_000 * percentage / 100 * (1 - percentage / 100)) ** 0.5
    assert abs(kept - 500 * percentage) < 5 * deviation


def test_probabilistic_keeps_its_share_of_real_ids_of_every_service() -> None:
    made = policies({"type": "probabilistic", "probabilistic": {"sampling_percentage": 30}})
    services: defaultdict[str, set[bytes]] = defaultdict(set)
    for trace in all_traces():
        for resource_spans in trace.message.resource_spans:
            named = [each.value.string_value for each in resource_spans.resource.attributes if each.key == "service.name"]
            for scope_spans in resource_spans.scope_spans:
                services["".join(named)].update(span.trace_id for span in scope_spans.spans if len(span.trace_id) == 16)
    for service, ids in services.items():
        kept = int(made.decide(traces(made, sorted(ids))).kept.sum())
        deviation = (len(ids) * 0.3 * 0.7) ** 0.5
        assert abs(kept - 0.3 * len(ids)) < 5 * deviation, service


def test_rate_limiting_lets_in_what_still_fits_into_the_second() -> None:
    made = policies({"type": "rate_limiting", "rate_limiting": {"spans_per_second": 10}})

    def kept(now_ns: int, spans: list[int]) -> list[bool]:
        return made.decide(traces(made, [FIRST] * len(spans), spans=spans, now_ns=now_ns)).kept.tolist()

    assert kept(1_500_000_000, [6, 5, 4, 1]) == [True, False, True, False]
    assert kept(1_999_999_999, [1]) == [False]
    assert kept(2_000_000_000, [11, 10]) == [False, True]


def test_rate_limiting_with_a_burst_saves_up() -> None:
    made = policies({"type": "rate_limiting", "rate_limiting": {"spans_per_second": 10, "burst_capacity": 20}})

    def kept(now_ns: int, spans: list[int]) -> list[bool]:
        return made.decide(traces(made, [FIRST] * len(spans), spans=spans, now_ns=now_ns)).kept.tolist()

    assert kept(0, [20, 1]) == [True, False]
    assert kept(500_000_000, [6, 5]) == [False, True]
    assert kept(10_000_000_000, [21, 20]) == [False, True]


def test_bytes_limiting_has_a_bucket_of_twice_its_rate() -> None:
    made = policies({"type": "bytes_limiting", "bytes_limiting": {"bytes_per_second": 100}})

    def kept(now_ns: int, sizes: list[int]) -> list[bool]:
        return made.decide(traces(made, [FIRST] * len(sizes), wire_bytes=sizes, now_ns=now_ns)).kept.tolist()

    assert kept(0, [201, 150, 50, 1]) == [False, True, True, False]
    assert kept(1_000_000_000, [101, 100]) == [False, True]


def test_and_not_and_drop_ask_others() -> None:
    def inner(*policies: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"name": f"i{place}"} | each for place, each in enumerate(policies)]

    slow = {"type": "latency", "latency": {"threshold_ms": 5}}
    large = {"type": "span_count", "span_count": {"min_spans": 3}}
    facts = {"duration_ns": [0, 0, 5 * MILLISECOND, 5 * MILLISECOND], "spans": [1, 3, 1, 3]}
    assert outcome({"type": "and", "and": {"and_sub_policy": inner(slow, large)}}, **facts).kept.tolist() == [
        False,
        False,
        False,
        True,
    ]
    negated = {"type": "not", "not": {"not_sub_policy": inner(slow)[0]}}
    assert outcome(negated, **facts).kept.tolist() == [True, True, False, False]
    drop = {"type": "drop", "drop": {"drop_sub_policy": inner(slow, negated | {"type": "not"})}}
    assert outcome(ALWAYS, drop, **facts).kept.tolist() == [True] * 4
    drop = {"type": "drop", "drop": {"drop_sub_policy": inner(slow, large)}}
    assert outcome(ALWAYS, drop, **facts).kept.tolist() == [True, True, True, False]
    assert outcome(drop, **facts).kept.tolist() == [False] * 4


def test_composite_leaves_to_the_next_what_is_over_a_share() -> None:
    def composite(**more: Any) -> dict[str, Any]:
        inner = [{"name": "slow", "type": "latency", "latency": {"threshold_ms": 5}}, {"name": "all", "type": "always_sample"}]
        own = {"max_total_spans_per_second": 100, "policy_order": ["slow", "all"], "composite_sub_policy": inner}
        return {"type": "composite", "composite": own | more}

    long = 5 * MILLISECOND
    facts = {"spans": [40, 40, 40, 10], "duration_ns": [long, long, long, 0]}
    # Shares of 50 each: the first takes the first trace, the second the next; then neither has room for 40, but for 10.
    assert outcome(composite(), **facts).kept.tolist() == [True, True, False, True]
    shares = [{"policy": "slow", "percent": 80}]
    assert outcome(composite(rate_allocation=shares), **facts).kept.tolist() == [True, True, False, True]
    shares = [{"policy": "slow", "percent": 100}]
    assert outcome(composite(rate_allocation=shares), **facts).kept.tolist() == [True, True, False, False]


def test_the_policy_within_a_composite_is_named() -> None:
    def composite(*order: str) -> dict[str, Any]:
        inner = [{"name": "slow", "type": "latency", "latency": {"threshold_ms": 5}}, {"name": "all", "type": "always_sample"}]
        own = {"max_total_spans_per_second": 20, "policy_order": order, "composite_sub_policy": inner}
        return {"type": "composite", "composite": own}

    made = policies(NEVER, composite("slow", "all"), composite("all", "slow"), first_match=True)
    assert made.voters == ("p0", "p1", "p2")
    assert made.names[3:] == ("not_sampled", "p1/slow", "p1/all", "p2/all", "p2/slow")
    assert made.inner["p2/slow"] == ("p2", "slow")
    decided = made.decide(traces(made, [FIRST] * 4, spans=[10, 10, 10, 11], duration_ns=[5 * MILLISECOND] * 4))
    assert [made.names[place] for place in decided.deciders.tolist()] == ["p1/slow", "p1/all", "p2/all", "not_sampled"]


SAMPLED, NOT_SAMPLED = ALWAYS, NEVER
HAS_IT, HAS_IT_NOT = [[1]], [[0]]
DROPPED = {"type": "drop", "drop": {"drop_sub_policy": [{"name": "i", "type": "always_sample"}]}}


@pytest.mark.parametrize(
    ("members", "met", "kept"),
    [
        ([SAMPLED, NOT_SAMPLED], HAS_IT_NOT, True),
        ([SAMPLED, INVERTED], HAS_IT, False),
        ([INVERTED, NOT_SAMPLED], HAS_IT_NOT, False),
        ([INVERTED], HAS_IT_NOT, True),
        ([NOT_SAMPLED, NOT_SAMPLED], HAS_IT_NOT, False),
        ([SAMPLED, DROPPED], HAS_IT_NOT, False),
        ([DROPPED, SAMPLED], HAS_IT_NOT, False),
        ([INVERTED], HAS_IT, False),
        ([INVERTED, SAMPLED, NOT_SAMPLED], HAS_IT_NOT, True),
    ],
)
def test_policies_combine_as_the_table_says(members: list[dict[str, Any]], met: list[list[int]], kept: bool) -> None:
    assert outcome(*members, met=met).kept.tolist() == [kept]
    assert outcome(*reversed(members), met=met).kept.tolist() == [kept]


def test_the_one_who_decides_is_named() -> None:
    made = policies(NEVER, ALWAYS, ALWAYS)
    assert made.names == ("p0", "p1", "p2", "not_sampled")
    assert outcome(NEVER, ALWAYS, ALWAYS).deciders.tolist() == [1]
    assert outcome(NEVER).deciders.tolist() == [1]
    assert outcome(ALWAYS, INVERTED, met=HAS_IT).deciders.tolist() == [1]
    assert outcome(ALWAYS, DROPPED).deciders.tolist() == [1]
    assert outcome(NEVER, ALWAYS, ALWAYS).votes.tolist() == [[False, True, True]]


def test_with_first_match_those_behind_are_not_asked() -> None:
    limit = {"type": "rate_limiting", "rate_limiting": {"spans_per_second": 1}}
    long = 5 * MILLISECOND
    slow = {"type": "latency", "latency": {"threshold_ms": 5}}
    facts = {"duration_ns": [long, 0], "spans": [1, 1]}
    assert outcome(slow, limit, **facts).kept.tolist() == [True, False]
    assert outcome(slow, limit, first_match=True, **facts).kept.tolist() == [True, True]


def share(percentage: float, salt: str = "s") -> dict[str, Any]:
    return {"type": "probabilistic", "probabilistic": {"sampling_percentage": percentage, "hash_salt": salt}}


def test_probabilities_are_those_of_a_trace_like_this_one() -> None:
    def probability(*settings: dict[str, Any], **facts: Any) -> float:
        """Of one of many traces, such as are kept."""
        made = policies(*settings)
        ids = [np.random.default_rng(seed).bytes(16) for seed in range(200)]
        result = made.decide(traces(made, ids, **{name: values * 200 for name, values in facts.items()}))
        probabilities = np.unique(result.probabilities[result.kept])
        assert len(probabilities) == 1
        return float(probabilities[0])

    def drop(*inner: dict[str, Any]) -> dict[str, Any]:
        return {"type": "drop", "drop": {"drop_sub_policy": [{"name": f"i{place}"} | each for place, each in enumerate(inner)]}}

    slow = {"type": "latency", "latency": {"threshold_ms": 5}}
    assert probability(share(25)) == pytest.approx(0.25)
    assert probability(share(25), share(50)) == pytest.approx(0.5)
    assert probability(share(50), share(50, "other")) == pytest.approx(0.75)
    assert probability(share(25), ALWAYS) == 1
    assert probability(share(25), slow, duration_ns=[5 * MILLISECOND]) == 1
    assert probability(share(25), slow, duration_ns=[0]) == pytest.approx(0.25)
    assert probability(ALWAYS, drop(share(75))) == pytest.approx(0.25)
    assert probability(share(75), drop(share(25))) == pytest.approx(0.5)
    assert probability(ALWAYS, drop(share(75), slow), duration_ns=[0]) == 1
    limit = {"type": "rate_limiting", "rate_limiting": {"spans_per_second": 100}}
    assert np.isnan(probability(limit))
    assert np.isnan(probability(share(25), limit))
    assert probability(limit, ALWAYS) == 1


def test_what_policies_settle_stays_so() -> None:
    slow = {"type": "latency", "latency": {"threshold_ms": 5}}
    made = policies(share(100), slow, {"type": "not", "not": {"not_sub_policy": {"name": "i"} | NEVER}})
    assert made.can_settle
    assert made.settled(traces(made, [FIRST] * 2, duration_ns=[0, 5 * MILLISECOND])).tolist() == [False, True]
    for forbidding in (INVERTED, DROPPED, {"type": "rate_limiting", "rate_limiting": {"spans_per_second": 1}}):
        assert not policies(slow, forbidding).can_settle


def test_every_policy_of_a_tree_is_walked() -> None:
    inner = {"name": "i", "type": "not", "not": {"not_sub_policy": {"name": "n"} | ALWAYS}}
    policy = Policy.model_validate({"name": "p", "type": "and", "and": {"and_sub_policy": [inner, {"name": "j"} | ALWAYS]}})
    assert [each.name for each in policy.walk()] == ["p", "i", "n", "j"]
