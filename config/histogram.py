"""The buckets of histograms of durations, as the Collector's connectors have them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from config.values import Duration

BUCKETS = tuple(
    Duration(milliseconds * 1_000_000)
    for milliseconds in (2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1_000, 1_400, 2_000, 5_000, 10_000, 15_000)
)
"""Those that there are by default."""


def _rising(buckets: tuple[Duration, ...]) -> tuple[Duration, ...]:
    if any(later <= earlier for earlier, later in zip((0, *buckets), buckets, strict=False)):
        raise ValueError("must be above 0 and rise from each to the next")
    return buckets


Buckets = Annotated[tuple[Duration, ...], Field(min_length=1, max_length=100), AfterValidator(_rising)]
"""Upper bounds, rising."""
