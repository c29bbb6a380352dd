"""What policies say together: who is kept, because of whom, and with which probability.

The probability is that of a trace like this one: with the same spans, but an id that was drawn anew. It is the share of all
hashes with which the trace would be kept. Since policies tell hashes apart at a few bounds only, one hash between each two bounds
is asked about. Where a rate has its part in the answer there is none.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.processors.tail_sampling.policies import MOST, Policy, Probabilistic, Traces, build
from collector.processors.tail_sampling.span_rules import SpanRules
from config.tail_policies import BytesLimitingPolicy, LatencyPolicy, ProbabilisticPolicy, RateLimitingPolicy, SpanCountPolicy
from config.tail_sampling import CompositePolicy, DropPolicy, NotPolicy, PlainPolicy
from config.tail_sampling import Policy as PolicySettings
from proto.edit import Mask

NOT_SAMPLED: Final = "not_sampled"
"""Why traces are dropped that no policy is for."""

_MOST_CHANCES: Final = 64
"""So many combinations of hashes are asked about at most; with more, probabilities count as unknown."""
_ALL: Final = 1 - 2.0**-40
_BUDGETED: Final = RateLimitingPolicy | BytesLimitingPolicy | CompositePolicy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided about traces, a row each.

    Attributes:
        kept: bool.
        deciders: int32, the place in `names` of the policy that decided, or of `NOT_SAMPLED`.
        probabilities: float64; NaN where there is none, and 1 for what is dropped.
        unconditional: bool: it would have been kept whatever it is, so its being here says nothing new.
        votes: bool, shape (traces, policies): which policies are for the trace.
        took_s: for each policy, how long it took to ask it about all of them, float64, shape (policies,).
    """

    kept: Mask
    deciders: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    unconditional: Mask
    votes: NDArray[np.bool_]
    took_s: NDArray[np.float64]


class _Answers(NamedTuple):
    """The same, of what policies answer alone."""

    kept: Mask
    deciders: NDArray[np.int32]
    votes: NDArray[np.bool_]
    took_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Member:
    """A policy among the others.

    Attributes:
        place: in the configuration.
        drops: it is for traces that are to be dropped.
        forbids: what it is not for is dropped.
        unconditional: it is for every trace.
        settles: once it is for a trace, it stays so, whatever else comes and whatever the trace's id is.
    """

    place: int
    policy: Policy
    drops: bool
    forbids: bool
    unconditional: bool
    settles: bool


class Policies:
    """All policies of a sampler.

    Attributes:
        voters: names of the policies in their order.
        names: these, `NOT_SAMPLED`, and behind that `NAME/INNER` for each policy in one of type `composite`.
        inner: of each of the latter, the names of the one and of the other.
        rules: what they ask of single spans.
    """

    def __init__(self, settings: Sequence[PolicySettings], *, first_match: bool) -> None:
        self.voters = tuple(each.name for each in settings)
        composites = {each.name: each.settings for each in settings if isinstance(each.settings, CompositePolicy)}
        self.inner = {f"{name}/{inner}": (name, inner) for name, own in composites.items() for inner in own.policy_order}
        self.names = (*self.voters, NOT_SAMPLED, *self.inner)
        starts = itertools.accumulate((len(own.policy_order) for own in composites.values()), initial=len(self.voters) + 1)
        self._first_inner = dict(zip(composites, starts, strict=False))
        self.rules = SpanRules()
        self._first_match = first_match
        members = [_member(place, each, self.rules) for place, each in enumerate(settings)]
        # Those that drop are asked first, for what they drop is dropped whatever others say.
        self._members = sorted(members, key=lambda member: not member.drops)
        every = [policy.settings for each in settings for policy in each.walk()]
        self._has_budgets = any(isinstance(each, _BUDGETED) for each in every)
        rigid = self._has_budgets or any(member.drops or member.forbids for member in members)
        self._settling = [] if rigid else [member.policy for member in members if member.settles]
        self._chances = _chances(each for each in every if isinstance(each, ProbabilisticPolicy))

    def decide(self, traces: Traces) -> Outcome:
        """What becomes of traces; takes from the rates."""
        kept, deciders, votes, took_s = self._ask(traces)
        for name, places in traces.deciders.items():
            decided = deciders == self.voters.index(name)
            deciders[decided] = self._first_inner[name] + places[decided]
        probabilities = np.ones(len(traces), np.float64)
        if kept.any() and (self._has_budgets or len(self._chances) != 1):
            probabilities[kept] = self._probabilities(traces)[kept]
        unconditional = np.zeros(len(traces), np.bool_)
        for member in self._members:
            if member.unconditional:
                unconditional |= votes[:, member.place]
        return Outcome(kept, deciders, probabilities, unconditional & kept, votes, took_s)

    def count_votes(self, votes: NDArray[np.bool_]) -> Mapping[tuple[str, str, bool], int]:
        """(policy, what the Collector calls its answer, whether that is for keeping) → traces, of votes as in `Outcome`."""
        counts = {}
        for member in self._members:
            name = self.names[member.place]
            is_for = int(np.count_nonzero(votes[:, member.place]))
            word = "inverted_" if member.forbids else ""
            counts[name, "dropped" if member.drops else f"{word}sampled", not member.drops] = is_for
            counts[name, f"{word}not_sampled", False] = len(votes) - is_for
        return counts

    @property
    def can_settle(self) -> bool:
        """Whether some traces are kept for certain, whatever else comes of them."""
        return bool(self._settling)

    def settled(self, traces: Traces) -> Mask:
        """Traces that are kept for certain, whatever their ids are and whatever else comes of them."""
        asked = np.ones(len(traces), np.bool_)
        settled: Mask = np.logical_or.reduce([policy.is_for(traces, asked) for policy in self._settling])
        return settled

    def _ask(self, traces: Traces) -> _Answers:
        count = len(traces)
        votes, took_s = np.zeros((count, len(self._members)), np.bool_), np.zeros(len(self._members))
        dropped, forbidden, sampled, doubted, inverted = (np.zeros(count, np.bool_) for _ in range(5))
        # By whom: those that keep, those that keep where nobody doubts it, and those because of whom nothing is kept.
        keepers, consenters, enemies = (np.full(count, len(self._members), np.int32) for _ in range(3))
        for member in self._members:
            asked = ~dropped & ~sampled if self._first_match else ~dropped
            started_s = time.perf_counter()
            vote = asked & member.policy.is_for(traces, asked)
            took_s[member.place] = time.perf_counter() - started_s
            votes[:, member.place] = vote
            against = asked & ~vote
            if member.drops:
                enemies[vote] = member.place
                dropped |= vote
            elif member.forbids:
                enemies[against & ~forbidden] = member.place
                forbidden |= against
                consenters[vote & ~inverted] = member.place
                inverted |= vote
            else:
                keepers[vote & ~sampled] = member.place
                sampled |= vote
                doubted |= against
        kept = ~dropped & ~forbidden & (sampled | (inverted & ~doubted))
        deciders = np.where(kept, np.where(sampled, keepers, consenters), enemies)
        return _Answers(kept, deciders, votes, took_s)

    def _probabilities(self, traces: Traces) -> NDArray[np.float64]:
        if not self._chances:
            return np.full(len(traces), np.nan)
        with_room, without = np.zeros((2, len(traces)), np.float64)
        for chance, share in self._chances:
            kept = self._ask(traces.supposing(chance, within_budgets=True)).kept
            with_room[kept] += share
            if self._has_budgets:
                kept = self._ask(traces.supposing(chance, within_budgets=False)).kept
            without[kept] += share
        # Shares that make up the whole add up to it but for what is lost in rounding.
        with_room[with_room > _ALL] = without[without > _ALL] = 1
        return np.where(with_room == without, with_room, np.nan)


def _member(place: int, settings: PolicySettings, rules: SpanRules) -> _Member:
    own = settings.settings
    return _Member(
        place,
        build(settings, rules),
        drops=isinstance(own, DropPolicy),
        forbids=getattr(own, "invert_match", False),
        unconditional=settings.type == "always_sample"
        or (isinstance(own, ProbabilisticPolicy) and own.sampling_percentage >= 100),
        settles=all(_settles(each) for each in settings.walk()),
    )


def _settles(settings: PlainPolicy) -> bool:
    """Whether a policy that is for a trace stays for it as the trace grows, if those that it asks do."""
    match settings.settings:
        case ProbabilisticPolicy() | NotPolicy():
            return False
        case LatencyPolicy(upper_threshold_ms=most) | SpanCountPolicy(max_spans=most):
            return not most
        case settings:
            return not getattr(settings, "invert_match", False)


def _chances(policies: Iterable[ProbabilisticPolicy]) -> list[tuple[Mapping[str, int], float]]:
    """Hashes by salt for each way in which ids can fall between the policies' bounds, and how likely it is; none if too many."""
    bounds: defaultdict[str, set[int]] = defaultdict(lambda: {MOST})
    for settings in policies:
        bounds[settings.hash_salt].add(Probabilistic(settings).bound)
    if math.prod(map(len, bounds.values())) > _MOST_CHANCES:
        return []
    of_each = []
    for salt, ends in bounds.items():
        ordered = sorted(ends)
        of_each.append([(salt, end, (end - before) / (MOST + 1)) for before, end in itertools.pairwise([-1, *ordered])])
    return [
        ({salt: end for salt, end, _ in combination}, math.prod(share for _, _, share in combination))
        for combination in itertools.product(*of_each)
    ]
