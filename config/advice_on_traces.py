"""What policies of tail sampling say that is hardly meant: that they are for every trace or for none, or change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.advice_on_conditions import Advice, misplaced
from config.fates import fate
from config.problems import KeyPath
from config.tail_policies import OttlConditionPolicy, ProbabilisticPolicy
from config.tail_sampling import AndPolicy, DropPolicy, NotPolicy, PlainPolicy, TailSamplingProcessor

_WHAT: Final = {"span": "spans", "spanevent": "events"}


def advise_on_traces(settings: TailSamplingProcessor, at: KeyPath) -> Iterator[Advice]:
    """What is to be said of tail sampling."""
    for place, policy in enumerate(settings.policies):
        for each, where in _walk(policy, (*at, "policies", place)):
            yield from _advise_on_policy(each, where)
    keeping = [policy for policy in settings.policies if not isinstance(policy.settings, DropPolicy)]
    if not keeping:
        yield (*at, "policies"), "keeps nothing: every policy drops", "add one that keeps, such as always_sample"
    for place, policy in enumerate(settings.policies):
        where = (*at, "policies", place)
        if isinstance(policy.settings, DropPolicy) and all(map(_is_for_all, policy.settings.policies)):
            yield where, "drops every trace", ""
        elif _is_for_all(policy) and len(keeping) > 1 and not any(map(_forbids, settings.policies)):
            yield where, "keeps every trace that is not dropped, so the other policies that keep change nothing", "leave one out"


def _forbids(policy: PlainPolicy) -> bool:
    """Whether what a policy is not for is dropped."""
    return bool(getattr(policy.settings, "invert_match", False))


def _is_for_all(policy: PlainPolicy) -> bool:
    match policy.settings:
        case ProbabilisticPolicy(sampling_percentage=percentage):
            return percentage >= 100
        case AndPolicy(and_sub_policy=inner):
            return all(map(_is_for_all, inner))
    return policy.type == "always_sample"


def _walk(policy: PlainPolicy, at: KeyPath) -> Iterator[tuple[PlainPolicy, KeyPath]]:
    """The policy and those that it asks, and where each stands."""
    yield policy, at
    key = f"{policy.type}_sub_policy"
    for place, inner in enumerate(getattr(policy.settings, "policies", ())):
        position = () if isinstance(policy.settings, NotPolicy) else (place,)
        yield from _walk(inner, (*at, policy.type, key, *position))


def _advise_on_policy(policy: PlainPolicy, at: KeyPath) -> Iterator[Advice]:
    match policy.settings:
        case ProbabilisticPolicy(sampling_percentage=0):
            yield (*at, "probabilistic", "sampling_percentage"), "is for no trace", "set a share above 0"
        case OttlConditionPolicy() as own:
            for name, conditions in (("span", own.span), ("spanevent", own.spanevent)):
                for place, condition in enumerate(conditions):
                    where = (*at, "ottl_condition", name, place)
                    yield from misplaced(condition.root, where)
                    match fate(condition.root):
                        case "never":
                            yield where, "can never hold", ""
                        case "always":
                            yield where, f"always holds, so the policy is for every trace with {_WHAT[name]}", ""
