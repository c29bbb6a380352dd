"""What the requests of the query port may take of the store, one by one and all together."""

from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from config.section import Section
from config.values import Count, Duration, PositiveCount


def _some_time(value: Duration) -> Duration:
    if not value:
        raise ValueError("must be more than 0")
    return value


class QueryLimits(Section):
    """What one query may take, and how many are answered at once. Workspaces take turns: one that asks a lot does not keep the
    others waiting."""

    timeout: Annotated[Duration, AfterValidator(_some_time)] = Duration.parse("30s")
    """How long a query may take before it is stopped."""
    max_rows_to_read: Count = 1_000_000_000
    """A query that would read more rows is refused; 0 is no limit."""
    max_bytes_to_read: Count = 107_374_182_400
    """A query that would read more bytes, before compression, is refused; 0 is no limit."""
    max_memory_usage: Count = 1_073_741_824
    """The most memory that a query takes in ClickHouse, in bytes; 0 leaves it to ClickHouse."""
    max_spans_per_trace: PositiveCount = 100_000
    """Of a larger trace the earliest so many spans are answered, and the answer says that it is not complete."""
    max_concurrent: PositiveCount = 16
    """How many requests are answered at a time; further ones wait."""
    max_concurrent_per_workspace: PositiveCount = 8
    """How many of those may be about one workspace."""
    max_waiting_per_workspace: Count = 64
    """How many more requests about one workspace may wait; further ones are told to come back."""
    max_wait: Duration = Duration.parse("5s")
    """How long a request waits for its turn before it is told to come back."""

    @model_validator(mode="after")
    def _a_share_of_all(self) -> Self:
        if self.max_concurrent_per_workspace > self.max_concurrent:
            raise ValueError(
                f"must have max_concurrent_per_workspace at most as large as max_concurrent, found"
                f" {self.max_concurrent_per_workspace} and {self.max_concurrent}"
            )
        return self
