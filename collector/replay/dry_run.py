"""What the samplers of a configuration would do with stored requests: the processors run, and nothing is sent or stored.

Time passes as the spans say: a request comes when its last span ends, and whatever waits is decided in between.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from collector.pipeline.registry import PROCESSORS
from collector.processors.base import Processor
from collector.processors.tail_sampling.decided import Decided, trace_key
from collector.processors.tail_sampling.sampler import TailSampler
from config.memory_limit import MemoryLimiterProcessor
from config.model import Config
from config.processors import BatchProcessor
from config.tail_sampling import TailSamplingProcessor
from exporters.tally import owner_of_resource, service_of
from proto.otlp_decode import decode
from proto.spans import SpanBatch

_WORKSPACE: Final = "default"
_LATEST_NS: Final = 2**63 - 1


@dataclass(slots=True)
class Tally:
    """Spans and traces that came, and those of them that were kept; a trace counts as kept if one of its spans was."""

    spans: int = 0
    kept_spans: int = 0
    traces: set[bytes] = field(default_factory=set)
    kept_traces: set[bytes] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Vote:
    """A decision about a trace.

    Attributes:
        kept: whether it was kept.
        reason: the policy or rule that decided.
        is_for: names of the policies that were for the trace.
        probability: the share of such traces that are kept; None where it is not known.
        spans: how many were there.
        late: they came after the trace had been decided.
    """

    kept: bool
    reason: str
    is_for: Sequence[str]
    probability: float | None
    spans: int
    late: bool


@dataclass(slots=True)
class Outcome:
    """What would become of the spans.

    Attributes:
        total: of all spans.
        services: name of a service, empty for none → of its spans.
        dropped: id of a processor → reason → spans that it would drop.
        policies: policy or rule of `tail_sampling` → of the traces about which it decided.
        skipped: ids of processors that were left out, since they ask a store.
        votes: about the trace that was asked for.
        asked_dropped: id of a processor → spans of that trace that it would drop.
    """

    total: Tally = field(default_factory=Tally)
    services: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    dropped: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    policies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    skipped: list[str] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    asked_dropped: Counter[str] = field(default_factory=Counter)


def dry_run(config: Config, bodies: Iterable[bytes], asked: bytes | None = None) -> Outcome:
    """Run the processors over requests.

    Args:
        bodies: ExportTraceServiceRequest each.
        asked: id of a trace of which all decisions are to be told.
    """
    rehearsal = _Rehearsal(config, asked)
    batches = [batch for body in bodies if len(batch := decode(body, _WORKSPACE).batch)]
    for batch in sorted(batches, key=_arrival_ns):
        rehearsal.take(batch, _arrival_ns(batch))
    rehearsal.finish()
    return rehearsal.outcome


def _arrival_ns(batch: SpanBatch) -> int:
    ends = batch.spans["end_time_unix_nano"]
    return int(ends[ends <= _LATEST_NS].max(initial=0))


class _Rehearsal:
    def __init__(self, config: Config, asked: bytes | None) -> None:
        self.outcome = Outcome()
        self._asked = asked
        self._asked_key = None if asked is None else trace_key(_WORKSPACE, asked)
        self._sampler: TailSampler | None = None
        self._sampler_id = ""
        self._in_front: list[tuple[str, Processor]] = []
        self._behind: list[tuple[str, Processor]] = []
        self._pieces = 0
        self._now_ns = 0
        for name in config.service.pipelines.traces.processors:
            settings = config.processors[name]
            if isinstance(settings, TailSamplingProcessor):
                self._sampler, self._sampler_id = TailSampler(settings), name
            elif type(settings) in PROCESSORS:
                stages = self._in_front if self._sampler is None else self._behind
                stages.append((name, PROCESSORS[type(settings)](settings)))
            elif not isinstance(settings, BatchProcessor | MemoryLimiterProcessor):
                self.outcome.skipped.append(name)

    def take(self, batch: SpanBatch, now_ns: int) -> None:
        """A request comes."""
        for tally, spans, traces in self._tallies(batch):
            tally.spans += spans
            tally.traces |= traces
        if self._sampler is not None:
            self._pass_time(self._sampler, now_ns)
        batch = self._process(batch, self._in_front)
        if self._sampler is None:
            self._keep(batch)
            return
        while not self._sampler.has_room:
            self._decide(self._sampler)
        self._now_ns = max(self._now_ns, now_ns)
        self._sampler.add(batch, self._pieces, self._now_ns)
        self._pieces += 1

    def finish(self) -> None:
        """Nothing more comes."""
        if self._sampler is not None:
            self._pass_time(self._sampler, None)

    def _pass_time(self, sampler: TailSampler, until_ns: int | None) -> None:
        """Decide what is due until then; None decides everything, each when it is due."""
        while (deadline_ns := sampler.next_deadline_ns) is not None and (until_ns is None or deadline_ns <= until_ns):
            self._decide(sampler)

    def _decide(self, sampler: TailSampler) -> None:
        """Decide what is due next, when it is due, or at once where too much is held."""
        self._now_ns = max(self._now_ns, sampler.next_deadline_ns or 0)
        while (decided := sampler.decide(self._now_ns)) is not None:
            self._count(sampler, decided)
            if (kept := decided.batch()) is not None:
                self._keep(self._process(kept, self._behind))

    def _process(self, batch: SpanBatch, stages: Sequence[tuple[str, Processor]]) -> SpanBatch:
        for name, processor in stages:
            if not len(batch):
                break
            processed = processor.process(batch)
            for reason, spans in (("", processed.dropped), ("error", processed.failed)):
                if spans is not None and len(spans):
                    self.outcome.dropped[name][reason] += len(spans)
                    self.outcome.asked_dropped[name] += self._of_asked(spans)
            batch = processed.batch
        return batch

    def _keep(self, batch: SpanBatch) -> None:
        for tally, spans, traces in self._tallies(batch):
            tally.kept_spans += spans
            tally.kept_traces |= traces

    def _tallies(self, batch: SpanBatch) -> Iterator[tuple[Tally, int, set[bytes]]]:
        """The tallies in which the spans of a batch count, how many count there, and their traces."""
        if not len(batch):
            return
        resources = batch.scopes["resource"][batch.spans["scope"]]
        ids = _trace_ids(batch)
        yield self.outcome.total, len(batch), set(ids)
        for resource in np.unique(resources).tolist():
            rows = np.flatnonzero(resources == resource)
            service = service_of(owner_of_resource(batch, resource))
            yield self.outcome.services[service], len(rows), {ids[row] for row in rows.tolist()}

    def _count(self, sampler: TailSampler, decided: Decided) -> None:
        for parts, kept in ((decided.kept, True), (decided.dropped, False)):
            for part in parts:
                tally = self.outcome.policies[part.reason]
                ids = set(_trace_ids(part.spans))
                tally.spans += len(part.spans)
                tally.traces |= ids
                if kept:
                    tally.kept_spans += len(part.spans)
                    tally.kept_traces |= ids
                else:
                    self.outcome.dropped[self._sampler_id][part.reason] += len(part.spans)
        if self._asked_key is not None:
            self._explain(sampler, decided, self._asked_key)

    def _explain(self, sampler: TailSampler, decided: Decided, key: bytes) -> None:
        verdicts = decided.verdicts
        for row in np.flatnonzero((verdicts.keys == np.frombuffer(key, np.uint8)).all(axis=1)).tolist():
            probability = float(verdicts.probabilities[row])
            self.outcome.votes.append(
                Vote(
                    kept=bool(verdicts.kept[row]),
                    reason=verdicts.names[verdicts.reasons[row]],
                    is_for=[name for name, vote in zip(sampler.policies, decided.votes[row], strict=True) if vote],
                    probability=None if np.isnan(probability) else probability,
                    spans=sum(int((part.traces == row).sum()) for part in (*decided.kept, *decided.dropped)),
                    late=bool(verdicts.late[row]),
                )
            )

    def _of_asked(self, spans: SpanBatch) -> int:
        return _trace_ids(spans).count(self._asked) if self._asked is not None else 0


def _trace_ids(batch: SpanBatch) -> list[bytes]:
    data = batch.data.data
    return [bytes(data[offset : offset + 16]) for offset in batch.spans["trace_id_offset"].tolist()]


def difference(one: Outcome, other: Outcome) -> Mapping[str, set[bytes]]:
    """Traces that both keep, and that one of two configurations keeps alone."""
    first, second = one.total.kept_traces, other.total.kept_traces
    return {"both": first & second, "first": first - second, "second": second - first}
