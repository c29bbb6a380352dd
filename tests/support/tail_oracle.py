"""Tail sampling the plain way: a dictionary of traces, a loop over policies, as `docs/processors.md` describes it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SECOND = 1_000_000_000
BUDGETED = {"rate_limiting", "composite"}


@dataclass(frozen=True)
class PlainSpan:
    """A span; `attributes` are its own and its resource's together."""

    number: int
    trace_id: bytes
    start: int
    end: int
    status: str = "UNSET"
    attributes: tuple[tuple[str, Any], ...] = ()
    is_root: bool = False


@dataclass
class PlainTrace:
    deadline: int
    order: int
    spans: list[PlainSpan] = field(default_factory=list)
    has_root: bool = False
    earlier: bool | None = None


def fnv64(data: bytes) -> int:
    """The 64-bit FNV-1a hash."""
    state = 0xCBF29CE484222325
    for byte in data:
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state


class PlainPolicies:
    """Policies in the configuration's form, asked one trace at a time."""

    def __init__(self, policies: Sequence[Mapping[str, Any]], *, first_match: bool = False) -> None:
        self.policies = policies
        self.first_match = first_match
        self.used: dict[tuple[str, int], float] = {}

    def decide(self, spans: Sequence[PlainSpan], now: int) -> bool:
        """Whether a trace is kept: the Collector's table."""
        for policy in self.policies:
            if policy["type"] == "drop" and self.is_for(policy, policy["name"], spans, now):
                return False
        votes = set()
        for policy in self.policies:
            if policy["type"] == "drop":
                continue
            is_for = self.is_for(policy, policy["name"], spans, now)
            if policy.get(policy["type"], {}).get("invert_match"):
                votes.add("inverted sampled" if is_for else "inverted not sampled")
            else:
                votes.add("sampled" if is_for else "not sampled")
            if self.first_match and "sampled" in votes:
                break
        if "inverted not sampled" in votes:
            return False
        return "sampled" in votes or ("inverted sampled" in votes and "not sampled" not in votes)

    def is_for(self, policy: Mapping[str, Any], path: str, spans: Sequence[PlainSpan], now: int) -> bool:
        kind = policy["type"]
        own = policy.get(kind, {})
        match kind:
            case "always_sample":
                return True
            case "latency":
                milliseconds = max(0, max(span.end for span in spans) - min(span.start for span in spans)) / 1_000_000
                upper = own.get("upper_threshold_ms", 0)
                return own["threshold_ms"] < milliseconds <= upper if upper else milliseconds >= own["threshold_ms"]
            case "status_code":
                return any(span.status in own["status_codes"] for span in spans)
            case "string_attribute":
                found = any((own["key"], value) in span.attributes for span in spans for value in own["values"])
                return found != own.get("invert_match", False)
            case "numeric_attribute":
                values = [value for span in spans for key, value in span.attributes if key == own["key"]]
                found = any(type(value) is int and own["min_value"] <= value <= own["max_value"] for value in values)
                return found != own.get("invert_match", False)
            case "span_count":
                return own["min_spans"] <= len(spans) and not 0 < own.get("max_spans", 0) < len(spans)
            case "probabilistic":
                salt = own.get("hash_salt", "default-hash-seed").encode()
                return fnv64(salt + spans[0].trace_id) <= own["sampling_percentage"] / 100 * (2**64 - 1)
            case "rate_limiting":
                return self.fits(path, own["spans_per_second"], len(spans), now)
            case "not":
                return not self.is_for(own["not_sub_policy"], f"{path}/", spans, now)
            case "and" | "drop":
                inner = own[f"{kind}_sub_policy"]
                return all(self.is_for(each, f"{path}/{place}", spans, now) for place, each in enumerate(inner))
            case "composite":
                by_name = {each["name"]: each for each in own["composite_sub_policy"]}
                share = own["max_total_spans_per_second"] / len(by_name)
                return any(
                    self.is_for(by_name[name], f"{path}/{name}/own", spans, now)
                    and self.fits(f"{path}/{name}", share, len(spans), now)
                    for name in own["policy_order"]
                )
        raise AssertionError(kind)

    def fits(self, path: str, limit: float, size: int, now: int) -> bool:
        second = path, now // SECOND
        if self.used.get(second, 0) + size > limit:
            return False
        self.used[second] = self.used.get(second, 0) + size
        return True

    def kinds(self) -> set[str]:
        return {kind for policy in self.policies for kind in _kinds(policy)}

    def settles(self, spans: Sequence[PlainSpan]) -> bool:
        """Whether a trace is kept whatever else comes, if no policy drops, forbids or counts."""
        forbids = any(policy.get(policy["type"], {}).get("invert_match") for policy in self.policies)
        if forbids or self.kinds() & (BUDGETED | {"drop"}):
            return False
        certain = [policy for policy in self.policies if _is_certain(policy)]
        return any(self.is_for(policy, "", spans, 0) for policy in certain)


def _kinds(policy: Mapping[str, Any]) -> set[str]:
    own = policy.get(policy["type"], {})
    kinds = {policy["type"]}
    if own.get("invert_match"):
        kinds.add("inverted")
    for key, value in own.items():
        if key.endswith("_sub_policy"):
            for each in [value] if isinstance(value, dict) else value:
                kinds |= _kinds(each)
    if own.get("upper_threshold_ms") or own.get("max_spans"):
        kinds.add("shrinks")
    return kinds


def _is_certain(policy: Mapping[str, Any]) -> bool:
    return not _kinds(policy) & {"probabilistic", "not", "shrinks", "inverted"}


class PlainTailSampler:
    """Holds spans and decides; times are nanoseconds."""

    def __init__(self, policies: PlainPolicies, *, wait: int, tick: int, num_traces: int, wait_after_root: int = 0) -> None:
        self.policies = policies
        self.wait = wait
        self.wait_after_root = wait_after_root
        self.tick = tick
        self.num_traces = num_traces
        self.held: dict[bytes, PlainTrace] = {}
        self.remembered: dict[bool, OrderedDict[bytes, None]] = {True: OrderedDict(), False: OrderedDict()}
        self.given = 0

    def add(self, spans: Sequence[PlainSpan], now: int) -> None:
        for span in spans:
            if span.trace_id not in self.held:
                trace = self.held[span.trace_id] = PlainTrace(-(-(now + self.wait) // self.tick), self.given)
                self.given += 1
                for kept, known in self.remembered.items():
                    if span.trace_id in known:
                        trace.earlier = kept
                        trace.deadline = now // self.tick + 1
            trace = self.held[span.trace_id]
            trace.spans.append(span)
            trace.has_root |= span.is_root
        for trace_id in {span.trace_id for span in spans}:
            trace = self.held[trace_id]
            if self.wait_after_root and any(span.is_root for span in spans if span.trace_id == trace_id):
                trace.deadline = min(trace.deadline, -(-(now + self.wait_after_root) // self.tick))
            if trace.has_root and self.policies.settles(trace.spans):
                trace.deadline = min(trace.deadline, now // self.tick + 1)

    def decide(self, now: int) -> tuple[set[int], set[int]]:
        """The numbers of the spans that are kept, and of those that are dropped."""
        due = [trace_id for trace_id, trace in self.held.items() if trace.deadline * self.tick <= now]
        self._in_order(due)
        kept, dropped = self._decide(due, now)
        while len(self.held) > self.num_traces:
            oldest = self._in_order(list(self.held))[: len(self.held) - self.num_traces]
            for all_spans, spans in zip((kept, dropped), self._decide(oldest, now), strict=True):
                all_spans |= spans
        return kept, dropped

    def _in_order(self, trace_ids: list[bytes]) -> list[bytes]:
        trace_ids.sort(key=lambda trace_id: (self.held[trace_id].deadline, self.held[trace_id].order))
        return trace_ids

    def _decide(self, trace_ids: Sequence[bytes], now: int) -> tuple[set[int], set[int]]:
        sides: tuple[set[int], set[int]] = (set(), set())
        for trace_id in trace_ids:
            trace = self.held.pop(trace_id)
            keep = trace.earlier if trace.earlier is not None else self.policies.decide(trace.spans, now)
            sides[not keep].update(span.number for span in trace.spans)
            if trace.earlier is None:
                known = self.remembered[keep]
                known[trace_id] = None
                while len(known) > self.num_traces:
                    known.popitem(last=False)
        return sides
