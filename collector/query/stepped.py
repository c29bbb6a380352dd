"""Spans of which something is asked for each step of time."""

from __future__ import annotations

from dataclasses import dataclass

from collector.query.predicates import Predicate
from collector.query.store import AMONG_MANY, SpanStore, time_range
from collector.query.wording import Wording


@dataclass(frozen=True, slots=True)
class SteppedSpans:
    """Which spans, and in which steps.

    Attributes:
        workspace: whose they are.
        where: they fit this.
        steps: they start from its start up to its stop; at its numbers steps begin. Nanoseconds since 1970.
        weighted: whether each counts as many as it stands for, since sampling has dropped others.
    """

    workspace: str
    where: Predicate
    steps: range
    weighted: bool = False

    @property
    def weight(self) -> str:
        """An expression for how many a span counts."""
        return "AdjustedCount" if self.weighted else "1."

    def start_of(self, step: int) -> int:
        """Nanoseconds since 1970 at which a step begins, by its number as `select` has it."""
        return self.steps.start + step * self.steps.step

    def wording(self, store: SpanStore) -> tuple[Wording, dict[str, object]]:
        """What words conditions for a statement about these spans, and the statement's parameters, to which it adds."""
        _, parameters = time_range(self.steps.start, self.steps.stop)
        parameters |= {"workspace": self.workspace, "origin": self.steps.start, "step": self.steps.step}
        return Wording(store.spans_table, parameters), parameters

    def select(self, store: SpanStore, wording: Wording, columns: str, *, beside: str = "", further: str = "") -> str:
        """A SELECT of columns of the spans, and of the number of the step that each starts in, as `Step`.

        Args:
            beside: what is joined, beginning with a space.
            further: another condition on the columns.
        """
        condition, _ = time_range(self.steps.start, self.steps.stop)
        conditions = ["Workspace = {workspace:String}", condition, wording.condition(self.where), *filter(None, (further,))]
        # A span that was sent twice is one.
        return (
            f"SELECT {columns}, intDiv(toUnixTimestamp64Nano(Timestamp) - {{origin:Int64}}, {{step:Int64}}) AS Step"  # noqa: S608 - names are checked, values are bound
            f" FROM {store.spans_table}{beside} WHERE {' AND '.join(conditions)} LIMIT 1 BY {AMONG_MANY}"
        )
