"""What follows from a decision about traces: which of their spans make which batch, and whose they are."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from collector.pipeline.batching import BatchLimits
from collector.processors.tail_sampling.decided import Decided, Part
from exporters.tally import spans_by_owner
from proto.weights import stored_bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        decided: the decision.
        stops: numbers of pieces; what is kept of pieces up to and with the first of them is the first batch, and so on.
        kept, dropped: number of a piece → owner → its spans.
    """

    decided: Decided
    stops: Sequence[int]
    kept: Mapping[int, Mapping[str, int]]
    dropped: Mapping[int, Mapping[str, int]]

    def batches(self) -> Mapping[int, Sequence[Part]]:
        """Number of each batch → what it is made of."""
        batches: defaultdict[int, list[Part]] = defaultdict(list)
        for part in self.decided.kept:
            batches[bisect_left(self.stops, part.piece)].append(part)
        return batches


def planned(decided: Decided, stops: Sequence[int]) -> Plan:
    """What follows from a decision whose batches end behind these pieces."""
    return Plan(decided, stops, _owners_by_piece(decided.kept), _owners_by_piece(decided.dropped))


def stops(parts: Sequence[Part], limits: BatchLimits, behind: Callable[[int], object]) -> list[int]:
    """Numbers of pieces behind which batches end, so that each keeps within the limits, or holds what is of one piece.

    Args:
        parts: what is kept, by pieces in growing order.
        behind: where the spans of a piece go, by its number; a batch goes to one place.
    """
    sizes: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for part in parts:
        sizes[part.piece][0] += len(part.spans)
        sizes[part.piece][1] += int(stored_bytes(part.spans).sum())
    ends: list[int] = []
    spans = nbytes = 0
    for piece, (more_spans, more_bytes) in sizes.items():
        fits = spans + more_spans <= limits.most_spans and nbytes + more_bytes <= limits.max_bytes
        if ends and fits and behind(ends[-1]) is behind(piece):
            ends[-1] = piece
            spans += more_spans
            nbytes += more_bytes
        else:
            ends.append(piece)
            spans, nbytes = more_spans, more_bytes
    return ends


def _owners_by_piece(parts: Sequence[Part]) -> Mapping[int, Mapping[str, int]]:
    owners: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for part in parts:
        owners[part.piece].update(spans_by_owner(part.spans))
    return owners
