"""What every exporter has: the queue in front of it, its retries, and where spans go that it gives up."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from config.section import Section
from config.values import Count, Duration, PositiveCount


def _some_time(value: Duration) -> Duration:
    if not value:
        raise ValueError("must be longer than 0, so that a dead connection is noticed")
    return value


Timeout = Annotated[Duration, AfterValidator(_some_time)]
"""How long one attempt to send may take."""


class QueueBatch(Section):
    """The size of what is sent at once. Few large requests cost the other side far less than many small ones."""

    min_size: Count = 8192
    """Send once this many spans are there; 0 leaves the decision to `flush_timeout`."""
    max_size: Count = 0
    """Split what is larger than this many spans; 0 never splits."""
    flush_timeout: Duration = Duration.parse("200ms")
    """Send this long after the first span, whatever the size."""
    sizer: Literal["items"] = "items"
    """The unit of `min_size` and `max_size`: spans."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "partition": "spans of all clients share batches",
    }

    @field_validator("sizer", mode="before")
    @classmethod
    def _in_spans(cls, value: Any) -> Any:
        if value in ("bytes", "requests"):
            raise ValueError("must be items: batches are counted in spans, and bytes are bounded by sending_queue.max_bytes")
        return value

    @field_validator("max_size")
    @classmethod
    def _room_for_a_batch(cls, value: int, info: ValidationInfo) -> int:
        if 0 < value < info.data.get("min_size", 0):
            raise ValueError("must be 0 or at least min_size")
        return value


class SendingQueue(Section):
    """What waits in memory between the receivers and the other side.

    With the journal extension only `num_consumers` and `batch` count.
    """

    enabled: bool = True
    """Whether batches are prepared while others are being sent; without it, one at a time."""
    num_consumers: PositiveCount = 2
    """How many batches are sent at once: one on its way while the next is encoded. Each takes memory, here and over there."""
    queue_size: PositiveCount = 1000
    """How much may wait, in the unit of `sizer`."""
    sizer: Literal["requests", "items", "bytes"] = "requests"
    """The unit of `queue_size`: `requests` for batches, `items` for spans, or `bytes`."""
    max_bytes: PositiveCount = 134_217_728
    """How much may wait in bytes, whatever the `sizer`. The Collector has no such key."""
    block_on_overflow: bool = True
    """At the bound, let requests wait for a moment before clients are asked to come back later; with false, ask at once."""
    batch: QueueBatch = QueueBatch()
    """The size of what is sent at once."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "storage": "use the journal extension, which keeps spans on disk for all exporters",
        "wait_for_result": "leave it out: a span is acknowledged when the queue has it",
    }


class RetryOnFailure(Section):
    """How a batch that was not taken is sent again, under the same name."""

    enabled: bool = True
    """Whether a batch is sent again at all."""
    initial_interval: Duration = Duration.parse("5s")
    """How long to wait before the second attempt."""
    randomization_factor: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Each wait is longer or shorter by up to this part of itself, so that senders do not return in step."""
    multiplier: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.5
    """Each wait is this many times the one before it."""
    max_interval: Duration = Duration.parse("30s")
    """The longest wait."""
    max_elapsed_time: Duration = Duration.parse("0")
    """Give up after this long; 0 never does, so that no acknowledged span is lost in a long outage."""

    @field_validator("initial_interval", "max_interval")
    @classmethod
    def _some_time(cls, value: Duration) -> Duration:
        if not value:
            raise ValueError("must be longer than 0, so that a server in trouble is left to recover")
        return value


class DeadLetters(Section):
    """Where spans are kept that are refused for what they hold, or that were given up; see `spanhouse dead-letter`."""

    enabled: bool = True
    """Whether they are kept; without it they are dropped and counted."""
    directory: Annotated[str, Field(min_length=1)] = "./spanhouse-dead-letters"
    """Where they are; relative to the working directory. It is made when the first one is."""
    max_bytes: PositiveCount = 1_073_741_824
    """The most that they take on disk; what comes beyond is dropped and counted."""


class Sending(Section):
    """What every exporter to another collector has."""

    timeout: Timeout = Duration.parse("5s")
    """How long one attempt may take. A peer that has not answered by then is sent the same spans again."""
    sending_queue: SendingQueue = SendingQueue()
    """What waits in memory."""
    retry_on_failure: RetryOnFailure = RetryOnFailure()
    """How a failed request is repeated."""
    dead_letters: DeadLetters = DeadLetters()
    """What becomes of spans that are not taken in the end."""
