"""How much memory the process may take before clients are told to come back later: the processor `memory_limiter`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from config.section import Section
from config.values import Count, Duration, refuse_booleans

Percentage = Annotated[int, Field(ge=0, le=100), BeforeValidator(refuse_booleans)]
_SPIKE_SHARE = 0.2


class MemoryLimiterProcessor(Section):
    """Tells clients to come back later while the process takes too much memory. Wherever it stands among the processors, it
    decides before a request is read."""

    check_interval: Duration = Duration.parse("1s")
    """How often memory is looked at; in between, what is let in counts as taken. The Collector has no default."""
    limit_mib: Count = 0
    """The most memory that the process should take, in MiB of resident memory; 0 leaves it to `limit_percentage`."""
    spike_limit_mib: Count = 0
    """Requests are refused this much below the limit, in MiB; 0 leaves it to `spike_limit_percentage`."""
    limit_percentage: Percentage = 0
    """The same as a share of the machine's memory, or of the control group's where that is less."""
    spike_limit_percentage: Percentage = 0
    """The same as a share; with neither it is a fifth of the limit."""
    min_gc_interval_when_hard_limited: Duration = Duration.parse("10s")
    """Above the limit itself garbage is collected at most this often. Reference counts free nearly everything at once, so there
    is little of it. The Collector's default is 0."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "ballast_size_mib": "leave it out",
        "min_gc_interval_when_soft_limited": "reference counts free memory at once, so there is no garbage to wait for",
        "max_gc_interval_when_soft_limited": "reference counts free memory at once, so there is no garbage to wait for",
        "max_gc_interval_when_hard_limited": "set min_gc_interval_when_hard_limited",
    }

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.check_interval:
            raise ValueError("check_interval must be longer than 0")
        if not self.limit_mib and not self.limit_percentage:
            raise ValueError("limit_mib or limit_percentage is required")
        if self.limit_mib and self.spike_limit_mib >= self.limit_mib:
            raise ValueError("spike_limit_mib must be smaller than limit_mib")
        if not self.limit_mib and self.spike_limit_percentage >= self.limit_percentage:
            raise ValueError("spike_limit_percentage must be smaller than limit_percentage")
        return self

    def limits(self, total_bytes: int) -> tuple[int, int]:
        """From where requests are refused, and from where garbage is collected as well; both in bytes.

        Args:
            total_bytes: memory of the machine or of the control group.
        """
        hard = self.limit_mib << 20 or total_bytes * self.limit_percentage // 100
        spike = self.spike_limit_mib << 20 or total_bytes * self.spike_limit_percentage // 100 or int(hard * _SPIKE_SHARE)
        return hard - min(spike, hard), hard
