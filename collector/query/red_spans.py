"""Which spans are asked for in the tables of the processor `red_metrics`, and by which of their names they are told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from collector.failure_marks import TYPE_ATTRIBUTE

By = Literal["service", "operation"]
_NAMES: Final[dict[By, str]] = {"service": "ServiceName", "operation": "SpanName"}


@dataclass(frozen=True, slots=True)
class RedSpans:
    """Spans that fit some filters.

    Attributes:
        workspace: whose they are.
        by: what tells them apart.
        service, operation: only theirs; None for any.
        kinds: of spans, of KINDS; empty for any.
        injected: only spans that failed on purpose, or only others; None for all. Where the type of such failures is no dimension
            of the rows, no row tells of them.
        after: only names, of what tells them apart, that are greater, to go on after a page.
    """

    workspace: str
    by: By = "service"
    service: str | None = None
    operation: str | None = None
    kinds: tuple[str, ...] = ()
    injected: bool | None = None
    after: str | None = None

    @property
    def name(self) -> str:
        """The column with the names that tell spans apart."""
        return _NAMES[self.by]

    @property
    def condition(self) -> tuple[str, dict[str, object]]:
        """On rows of a table, and its parameters."""
        conditions, parameters = ["Workspace = {workspace:String}"], dict[str, object](workspace=self.workspace)
        for column, key, value in (
            ("ServiceName =", "service", self.service),
            ("SpanName =", "operation", self.operation),
            (f"{self.name} >", "after", self.after),
        ):
            if value is not None:
                conditions.append(f"{column} {{{key}:String}}")
                parameters[key] = value
        if self.kinds:
            conditions.append("SpanKind IN {kinds:Array(String)}")
            parameters["kinds"] = list(self.kinds)
        if self.injected is not None:
            conditions.append(f"JSONHas(Dimensions, '{TYPE_ATTRIBUTE}') = {int(self.injected)}")
        return " AND ".join(conditions), parameters
