"""What policies ask of single spans, worked out when these arrive: a trace is then known by bits, one for each rule that it met.

What several policies ask is asked once, and each text is looked at once, however many spans have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.ottl.evaluate import Evaluator, attribute_keys
from collector.processors.ottl.fields import Fields
from config.ottl import Condition
from config.ottl_nodes import Level
from config.patterns import compile_pattern
from config.tail_policies import (
    BooleanAttributePolicy,
    NumericAttributePolicy,
    OttlConditionPolicy,
    StatusCodePolicy,
    StringAttributePolicy,
    TraceStatePolicy,
)
from proto.attribute_search import find_attributes
from proto.distinct import distinct, distinct_strings
from proto.edit import Mask
from proto.spans import ABSENT, BOOL, INT, STRING, SpanBatch, Table, take
from proto.texts import Texts

Bits = NDArray[np.uint64]

_SAMPLED: Final = 1
"""The flag of a sampled trace."""
_STATUSES: Final = {"UNSET": 0, "OK": 1, "ERROR": 2}
_WORD_BITS: Final = 64
_WITH_KEYS: Final = StringAttributePolicy | NumericAttributePolicy | BooleanAttributePolicy


@dataclass(frozen=True, slots=True)
class Matched:
    """What rules say about the spans of a batch.

    Attributes:
        bits: of the rules that spans meet, uint64, shape (spans, words).
        is_root: spans without a parent, bool, shape (spans,).
        failures: name of a policy → spans and events for which a condition of it could not be worked out.
        reasons: name of a policy → why, of those that should be told of in the log.
    """

    bits: Bits
    is_root: Mask
    failures: Mapping[str, int]
    reasons: Mapping[str, str]


class SpanRules:
    """The rules of all policies. Each is given its number by `add`."""

    def __init__(self) -> None:
        self._rules: list[tuple[str, Callable[[_View], Mask]]] = []
        self._keys: dict[str, None] = {}
        self._conditions: list[Condition] = []

    def add(self, name: str, settings: Any) -> int:
        """The number of a new rule.

        Args:
            name: of the policy.
            settings: of one of the types of policies that ask single spans; None asks for the flag of sampled traces.
        """
        if isinstance(settings, _WITH_KEYS):
            self._keys[settings.key] = None
        elif isinstance(settings, OttlConditionPolicy):
            self._conditions += (*settings.span, *settings.spanevent)
        self._rules.append((name, _rule(settings)))
        return len(self._rules) - 1

    @property
    def words(self) -> int:
        """How many words the bits of all rules take."""
        return max(1, -(-len(self._rules) // _WORD_BITS))

    def match(self, batch: SpanBatch) -> Matched:
        """Which spans meet which rules."""
        view = _View(batch, list(self._keys), attribute_keys(self._conditions))
        bits = np.zeros((len(batch), self.words), np.uint64)
        for number, (name, rule) in enumerate(self._rules):
            view.policy = name
            word, bit = divmod(number, _WORD_BITS)
            bits[:, word] |= rule(view).astype(np.uint64) << np.uint64(bit)
        return Matched(bits, view.fields.is_root, view.failures, view.reasons)


def met(bits: Bits, number: int) -> Mask:
    """Which rows of bits, shape (rows, words), have the bit of a rule."""
    word, bit = divmod(number, _WORD_BITS)
    return (bits[:, word] >> np.uint64(bit) & np.uint64(1)).astype(np.bool_)


@dataclass
class _View:
    """A batch as rules look at it; what several ask for is made once.

    Attributes:
        policy: whose rule is asking.
    """

    batch: SpanBatch
    keys: Sequence[str]
    condition_keys: Mapping[Level, Sequence[str]]
    policy: str = ""
    failures: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)

    @cached_property
    def fields(self) -> Fields:
        return Fields(self.batch, self.condition_keys)

    @cached_property
    def evaluator(self) -> Evaluator:
        return Evaluator(self.fields)

    @cached_property
    def trace_states(self) -> tuple[NDArray[np.int32], list[bytes]]:
        spans = self.batch.spans
        return distinct(Texts(self.batch.data, spans["trace_state_offset"], spans["trace_state_length"]))

    @cached_property
    def _found(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        keys = [key.encode() for key in self.keys]
        return find_attributes(self.batch, self.batch.spans, keys), find_attributes(self.batch, self.batch.resources, keys)

    def with_value(self, key: str, passes: Callable[[Table], Mask]) -> Mask:
        """Spans that have an attribute that passes, or whose resources have."""
        place = self.keys.index(key)
        of_spans, of_resources = (self._passing(found[place], passes) for found in self._found)
        if of_resources.any():
            of_spans |= of_resources[self.batch.scopes["resource"][self.batch.spans["scope"]]]
        return of_spans

    def _passing(self, places: NDArray[np.int32], passes: Callable[[Table], Mask]) -> Mask:
        there: Mask = places != ABSENT
        if there.any():
            there[there] = passes(take(self.batch.attributes, places[there]))
        return there


def _rule(settings: Any) -> Callable[[_View], Mask]:
    match settings:
        case StatusCodePolicy():
            return partial(_has_status, [_STATUSES[code] for code in settings.status_codes])
        case StringAttributePolicy():
            return partial(_has_string, settings.key, _text_test(settings))
        case NumericAttributePolicy():
            return partial(_has_number, settings)
        case BooleanAttributePolicy():
            return partial(_has_boolean, settings)
        case TraceStatePolicy():
            return partial(_has_trace_state, settings)
        case OttlConditionPolicy():
            return partial(_meets_condition, settings)
    return lambda view: (view.batch.spans["flags"] & _SAMPLED).astype(np.bool_)


def _has_status(codes: Sequence[int], view: _View) -> Mask:
    statuses = view.batch.spans["status_code"]
    chosen: Mask = np.logical_or.reduce([statuses == code for code in codes])
    return chosen


def _text_test(settings: StringAttributePolicy) -> Callable[[bytes], bool]:
    if not settings.enabled_regex_matching:
        return frozenset(value.encode() for value in settings.values).__contains__
    patterns = [compile_pattern(value) for value in settings.values]
    return lambda text: any(pattern.search(text.decode("utf-8", "replace")) for pattern in patterns)


def _has_string(key: str, test: Callable[[bytes], bool], view: _View) -> Mask:
    def passes(values: Table) -> Mask:
        chosen: Mask = values["type"] == STRING
        codes, texts = distinct_strings(view.batch.data, values[chosen])
        chosen[chosen] = np.array([test(text) for text in texts], np.bool_)[codes]
        return chosen

    return view.with_value(key, passes)


def _has_number(settings: NumericAttributePolicy, view: _View) -> Mask:
    least = -(2**63) if settings.min_value is None else settings.min_value
    most = 2**63 - 1 if settings.max_value is None else settings.max_value
    return view.with_value(
        settings.key,
        lambda values: (values["type"] == INT) & (values["number"] >= least) & (values["number"] <= most),
    )


def _has_boolean(settings: BooleanAttributePolicy, view: _View) -> Mask:
    return view.with_value(settings.key, lambda values: (values["type"] == BOOL) & (values["number"] == settings.value))


def _has_trace_state(settings: TraceStatePolicy, view: _View) -> Mask:
    wanted = {f"{settings.key}={value}" for value in settings.values}
    codes, states = view.trace_states
    among = [not wanted.isdisjoint(member.strip() for member in state.decode("utf-8", "replace").split(",")) for state in states]
    chosen: Mask = np.array(among, np.bool_)[codes]
    return chosen


def _meets_condition(settings: OttlConditionPolicy, view: _View) -> Mask:
    chosen: Mask = np.zeros(len(view.batch), np.bool_)
    fields = view.fields
    for conditions in (settings.span, settings.spanevent if len(fields.events) else ()):
        for condition in conditions:
            truth = view.evaluator.evaluate(condition)
            if condition.level is Level.EVENT:
                chosen[fields.span_of_event[truth.holds]] = True
            else:
                chosen |= truth.holds
            failed = int(np.count_nonzero(truth.failed))
            if failed:
                view.failures[view.policy] += failed
                if settings.error_mode != "silent":
                    view.reasons[view.policy] = f"{truth.failure}, in {condition}"
    return chosen
