"""Policies: which of several traces each is for. They look at what is known of the traces as columns, of all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from collector.processors.tail_sampling.budgets import Budget, PerSecond, TokenBucket
from collector.processors.tail_sampling.span_rules import Bits, SpanRules, met
from config.tail_policies import BytesLimitingPolicy, LatencyPolicy, ProbabilisticPolicy, RateLimitingPolicy, SpanCountPolicy
from config.tail_sampling import AndPolicy, CompositePolicy, DropPolicy, NotPolicy, PlainPolicy
from proto.edit import Mask

Hashes = NDArray[np.uint64]

MOST: Final = 2**64 - 1
"""The greatest hash."""
_FNV_BASIS: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_MILLISECOND_NS: Final = 1_000_000


@dataclass(frozen=True)
class Traces:
    """What is known of traces that are to be decided, a row each.

    Attributes:
        ids: uint8, shape (traces, 16).
        spans, wire_bytes: how many and how large, int64.
        duration_ns: from the first start to the last end, uint64.
        met: bits of the rules that spans of the trace have met, shape (traces, words).
        now_ns: when they are decided.
        chance: hashes to be supposed, by salt, in place of what trace ids give; None for the true ones.
        within_budgets: whether to suppose that all rates have room, or none; None takes from the rates.
        deciders: name of a composite policy → the place of the policy in it that kept each trace, int32, shape (traces,).
    """

    ids: NDArray[np.uint8]
    spans: NDArray[np.int64]
    wire_bytes: NDArray[np.int64]
    duration_ns: NDArray[np.uint64]
    met: Bits
    now_ns: int
    chance: Mapping[str, int] | None = None
    within_budgets: bool | None = None
    deciders: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    _hashes: dict[str, Hashes] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def supposing(self, chance: Mapping[str, int], *, within_budgets: bool) -> Traces:
        """The same traces, had their ids other hashes, and rates room or none."""
        return replace(self, chance=chance, within_budgets=within_budgets, deciders={})

    def at_most(self, salt: str, bound: int) -> Mask:
        """Traces whose hash is at most `bound`."""
        if self.chance is not None:
            return np.full(len(self), self.chance[salt] <= bound)
        if salt not in self._hashes:
            self._hashes[salt] = trace_id_hashes(salt, self.ids)
        return self._hashes[salt] <= np.uint64(bound)

    def take(self, budget: Budget, wanted: Mask, sizes: NDArray[np.int64]) -> Mask:
        """Which of the wanted traces fit into a budget."""
        if self.within_budgets is not None:
            return wanted & self.within_budgets
        return budget.take(wanted, sizes, self.now_ns)


def trace_id_hashes(salt: str, ids: NDArray[np.uint8]) -> Hashes:
    """The 64-bit FNV-1a hash of a salt and each trace id, shape (ids,), as the Collector has it."""
    state = _FNV_BASIS
    for byte in salt.encode():
        state = (state ^ byte) * _FNV_PRIME & MOST
    hashes = np.full(len(ids), state, np.uint64)
    for column in ids.T:
        hashes ^= column
        hashes *= np.uint64(_FNV_PRIME)
    return hashes


class Policy(Protocol):
    """Says which traces it is for."""

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        """Of the traces that are asked about, those that it is for; bool, shape (traces,). Of others the answer means nothing."""


class Always:
    """For every trace."""

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        return np.ones(len(traces), np.bool_)


@dataclass(frozen=True, slots=True)
class MeetsRule:
    """For traces a span of which meets a rule, or, inverted, none."""

    rule: int
    inverted: bool = False

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        return met(traces.met, self.rule) ^ self.inverted


@dataclass(frozen=True, slots=True)
class Latency:
    """For traces that take so long."""

    settings: LatencyPolicy

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        least = np.uint64(min(self.settings.threshold_ms * _MILLISECOND_NS, MOST))
        if not self.settings.upper_threshold_ms:
            return traces.duration_ns >= least
        most = np.uint64(min(self.settings.upper_threshold_ms * _MILLISECOND_NS, MOST))
        return (traces.duration_ns > least) & (traces.duration_ns <= most)


@dataclass(frozen=True, slots=True)
class SpanCount:
    """For traces with so many spans."""

    settings: SpanCountPolicy

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        enough = traces.spans >= self.settings.min_spans
        return enough & (traces.spans <= self.settings.max_spans) if self.settings.max_spans else enough


class Probabilistic:
    """For a share of the traces."""

    def __init__(self, settings: ProbabilisticPolicy) -> None:
        self.salt = settings.hash_salt
        self.bound = min(int(Fraction(settings.sampling_percentage) / 100 * MOST), MOST)

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        return traces.at_most(self.salt, self.bound)


class Limiting:
    """For traces that fit into a rate.

    Args:
        in_bytes: sizes are bytes, otherwise spans.
    """

    def __init__(self, budget: Budget, *, in_bytes: bool) -> None:
        self._budget = budget
        self._in_bytes = in_bytes

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        return traces.take(self._budget, asked, traces.wire_bytes if self._in_bytes else traces.spans)


@dataclass(frozen=True, slots=True)
class Not:
    """For traces that another policy is not for."""

    policy: Policy

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        return ~self.policy.is_for(traces, asked)


@dataclass(frozen=True, slots=True)
class All:
    """For traces that several policies are for; one is not asked where one before it is not for the trace."""

    policies: Sequence[Policy]

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        for policy in self.policies:
            asked = asked & policy.is_for(traces, asked)
        return asked


class Composite:
    """For traces that one of several policies is for that has something left of its share of a rate.

    A policy that has nothing left leaves the trace to those behind it. All shares together are the whole rate at most, so that
    need not be watched. Which of its policies decided about each trace is left in `Traces.deciders`.
    """

    def __init__(self, name: str, settings: CompositePolicy, policies: Mapping[str, Policy]) -> None:
        shares = settings.spans_per_second
        self._name = name
        self._policies = [(policies[name], PerSecond(shares[name])) for name in settings.policy_order]

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        kept = np.zeros(len(traces), np.bool_)
        deciders = np.zeros(len(traces), np.int32)
        for place, (policy, share) in enumerate(self._policies):
            left = asked & ~kept
            wanted = left & policy.is_for(traces, left)
            admitted = traces.take(share, wanted, traces.spans)
            deciders[admitted] = place
            kept |= admitted
        traces.deciders[self._name] = deciders
        return kept


def build(settings: PlainPolicy, rules: SpanRules) -> Policy:
    """The policy that settings describe; what it asks of single spans is added to `rules`."""
    own = settings.settings
    match own:
        case None if settings.type == "always_sample":
            return Always()
        case LatencyPolicy():
            return Latency(own)
        case SpanCountPolicy():
            return SpanCount(own)
        case ProbabilisticPolicy():
            return Probabilistic(own)
        case RateLimitingPolicy(burst_capacity=0):
            return Limiting(PerSecond(own.spans_per_second), in_bytes=False)
        case RateLimitingPolicy():
            return Limiting(TokenBucket(own.spans_per_second, own.burst_capacity), in_bytes=False)
        case BytesLimitingPolicy():
            capacity = own.burst_capacity or 2 * own.bytes_per_second
            return Limiting(TokenBucket(own.bytes_per_second, capacity), in_bytes=True)
        case NotPolicy():
            return Not(build(own.not_sub_policy, rules))
        case AndPolicy() | DropPolicy():
            return All([build(each, rules) for each in own.policies])
        case CompositePolicy():
            return Composite(settings.name, own, {each.name: build(each, rules) for each in own.policies})
    return MeetsRule(rules.add(settings.name, own), getattr(own, "invert_match", False))
