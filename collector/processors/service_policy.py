"""Does what tracing configs say: the processor `service_policy`.

A piece of a batch that is processed again after a crash may meet other configs than the first time. Its name, and so the token of
its insert, stay the same, so nothing is stored twice: if the store has the piece as the old configs left it, that remains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.control.policies import Policies, Policy
from collector.processors.base import Processed
from collector.processors.probability import NEVER, SMALLEST, threshold
from collector.processors.trace_states import TraceStates, with_trace_states
from config.service_policy import ServicePolicyProcessor
from proto.attribute_search import find_attributes
from proto.distinct import Codes, distinct, distinct_strings
from proto.edit import Mask
from proto.spans import ABSENT, STRING, SpanBatch, take
from proto.texts import Texts

DEFAULT_RULE: Final = "default"
"""Stands for the id of a config where none speaks for a service."""

_PATHS: Final = (b"url.path", b"http.route", b"http.target")
_PRECISION: Final = 4
"""Hexadecimal digits of thresholds, as the Collector has by default."""
_REASON: Final = "the threshold in the trace state says that this span was not sampled; it is erased"

Places = NDArray[np.intp]


class ServicePolicy:
    """See the module. Otherwise pure, as processors are.

    Args:
        settings: what holds where no config speaks for a service.
        current: the policies that are in force now.
    """

    def __init__(self, settings: ServicePolicyProcessor, current: Callable[[], Policies]) -> None:
        self._default = Policy(settings.default.enabled, settings.default.sampling_rate)
        self._samples = settings.apply_sampling_rates
        self._current = current

    def process(self, batch: SpanBatch) -> Processed:
        """What the policies leave of a batch, with thresholds in the trace states of what was sampled."""
        if not len(batch):
            return Processed(batch)
        policies, of_resources = self._policies(batch)
        places = of_resources[batch.scopes["resource"][batch.spans["scope"]]]
        disabled = np.array([not policy.enabled for policy in policies])[places]
        excluded = _excluded(batch, policies, places, ~disabled)
        rest = ~(disabled | excluded)
        thresholds = np.array([self._threshold(policy) for policy in policies], np.uint64)
        if not thresholds[places[rest]].any():
            left, sampled, untrue = (batch if rest.all() else batch.select(rest)), np.zeros(len(batch), np.bool_), 0
        else:
            left, sampled, untrue = _sampled(batch, rest, thresholds, places)
        dropped = ~rest | sampled
        return Processed(
            left,
            batch.select(dropped) if dropped.any() else None,
            {"threshold": untrue} if untrue else {},
            reasons={"threshold": _REASON} if untrue else {},
            dropped_by={
                (_rule(policies[place]), reason): count
                for reason, mask in (("disabled", disabled), ("excluded", excluded), ("sampled", sampled))
                for place, count in enumerate(np.bincount(places[mask], minlength=len(policies)).tolist())
                if count
            },
        )

    def _policies(self, batch: SpanBatch) -> tuple[list[Policy], Places]:
        """The policies of the batch's services, each once, and for each resource its place among them."""
        current = self._current()
        resources = batch.resources
        named = resources["service_name"] != ABSENT
        values = take(batch.attributes, resources["service_name"][named])
        named[named] = values["type"] == STRING
        codes, texts = distinct_strings(batch.data, take(batch.attributes, resources["service_name"][named]))
        # Resources without a name come behind all names.
        services = np.full(len(resources), len(texts), np.int64)
        services[named] = codes
        # Where there is one workspace, the table need not say so.
        workspaces = resources["workspace"] if len(batch.workspaces) > 1 else np.zeros(len(resources), np.int32)
        pairs, of_resources = np.unique(workspaces * np.int64(len(texts) + 1) + services, return_inverse=True)
        names = [*(text.decode("utf-8", "replace") for text in texts), ""]
        places: dict[int, int] = {}
        policies: list[Policy] = []
        of_pairs = np.empty(len(pairs), np.intp)
        for pair, (workspace, service) in enumerate(zip(*np.divmod(pairs, len(names)), strict=True)):
            policy = current.policy(batch.workspaces[workspace], names[service]) or self._default
            if id(policy) not in places:
                places[id(policy)] = len(policies)
                policies.append(policy)
            of_pairs[pair] = places[id(policy)]
        return policies, of_pairs[of_resources]

    def _threshold(self, policy: Policy) -> int:
        if not self._samples or policy.sampling_rate >= 1:
            return 0
        return threshold(policy.sampling_rate, _PRECISION) if policy.sampling_rate >= SMALLEST else NEVER


def _rule(policy: Policy) -> str:
    return DEFAULT_RULE if policy.config is None else str(policy.config.id)


def _excluded(batch: SpanBatch, policies: Sequence[Policy], places: Places, among: Mask) -> Mask:
    """Which of the spans `among` have a path or a name that their policy excludes."""
    excluded = np.zeros(len(batch), np.bool_)
    rows = np.flatnonzero(np.array([policy.excluded is not None for policy in policies])[places] & among)
    if not len(rows):
        return excluded
    spans = take(batch.spans, rows) if len(rows) < len(batch) else batch.spans
    codes, names = distinct(Texts(batch.data, spans["name_offset"], spans["name_length"]))
    excluded[rows] = _matched(policies, places[rows], codes, names)
    for key, attributes in zip(_PATHS, find_attributes(batch, spans, _PATHS), strict=True):
        there = np.flatnonzero((attributes != ABSENT) & ~excluded[rows])
        there = there[batch.attributes["type"][attributes[there]] == STRING]
        if not len(there):
            continue
        codes, paths = distinct_strings(batch.data, take(batch.attributes, attributes[there]))
        if key == b"http.target":
            paths = [path.partition(b"?")[0] for path in paths]
        excluded[rows[there]] = _matched(policies, places[rows[there]], codes, paths)
    return excluded


def _matched(policies: Sequence[Policy], places: Places, codes: Codes, texts: Sequence[bytes]) -> Mask:
    """Which texts the policy beside them excludes."""
    matched = np.zeros(len(places), np.bool_)
    chosen = np.flatnonzero(np.bincount(places)).tolist()
    for place in chosen:
        globs = policies[place].excluded
        if globs is None:
            continue
        if len(chosen) == 1:
            return np.array(globs.match_all(texts), np.bool_)[codes]
        rows = np.flatnonzero(places == place)
        differing, of_rows = np.unique(codes[rows], return_inverse=True)
        matched[rows] = np.array(globs.match_all([texts[code] for code in differing.tolist()]), np.bool_)[of_rows]
    return matched


def _sampled(batch: SpanBatch, among: Mask, thresholds: NDArray[np.uint64], places: Places) -> tuple[SpanBatch, Mask, int]:
    """The spans `among` that sampling keeps, those that it does not, and how many had a threshold that cannot be true.

    As `probabilistic_sampler` does in the mode `equalizing`, with a threshold for each policy. A threshold that is
    untrue is erased, as the specification wants; a trace state that cannot be read is left alone, and the trace id decides.
    """
    states = TraceStates(batch)
    kept = among & (states.randomness >= thresholds[places])
    rows = np.flatnonzero(kept)
    untrue = states.untrue & (thresholds[places] > 0)
    differing = len(states.states)

    def text_of(kind: int) -> bytes | None:
        place, rest = divmod(kind, 2 * differing)
        code, erased = divmod(rest, 2)
        state, least = states.states[code], int(thresholds[place])
        if state is None or not least:
            return None
        return state.with_threshold(None if erased else max(state.threshold or 0, least))

    kinds = (places * (2 * differing) + states.codes * np.int64(2) + untrue)[rows]
    return with_trace_states(batch, rows, kinds, text_of), among & ~kept, int((untrue & among).sum())
