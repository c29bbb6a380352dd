"""What a configuration says of spans between receivers and exporters. Another one may take its place while spans pass."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.pipeline.batching import BatchLimits
from collector.pipeline.connections import Surroundings
from collector.pipeline.memory_limiter import MemoryLimiter
from collector.pipeline.registry import batch_limits, default_batching, memory_limiter, new_processor, queue_limits
from collector.processors.base import Processor
from collector.queues.memory import QueueLimits
from config.memory_limit import MemoryLimiterProcessor
from config.model import Config
from config.processors import BatchProcessor
from config.sending import SendingQueue
from config.service_policy import ServicePolicyProcessor
from config.tail_sampling import TailSamplingProcessor
from config.topology import TopologyProcessor


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to spans on the ways to all exporters.

    Attributes:
        processors: by their ids, in their order; the settings of `tail_sampling` stand for themselves.
        limits: how large and how old a batch becomes.
        known: nothing is handed on before; None where there is nothing to wait for.
        limiter: bounds the memory of the process.
        finds_calls: whether calls between services are found, whose halves may have to be settled.
        queue: bounds of a queue in memory.
    """

    processors: Mapping[str, Processor | TailSamplingProcessor]
    limits: BatchLimits
    known: asyncio.Event | None = None
    limiter: MemoryLimiter | None = None
    finds_calls: bool = False
    queue: QueueLimits = field(default_factory=lambda: QueueLimits(1 << 30))

    @property
    def sampling(self) -> tuple[str, TailSamplingProcessor] | None:
        """Id and settings of the processor that holds traces back; None where none does."""
        return next(((name, each) for name, each in self.processors.items() if isinstance(each, TailSamplingProcessor)), None)


def course_of(config: Config, surroundings: Surroundings, sending: SendingQueue, known: asyncio.Event | None) -> Course:
    """The course by a checked configuration.

    Args:
        surroundings: what processors are built with.
        sending: describes batches where no processor does.
        known: whether it is known what tracing configs say; None where nobody can know.
    """
    configured = {name: config.processors[name] for name in config.service.pipelines.traces.processors}
    settings = configured.values()
    batching = next((each for each in settings if isinstance(each, BatchProcessor)), default_batching(sending))
    obeys = any(isinstance(each, ServicePolicyProcessor) for each in settings)
    return Course(
        {
            name: each if isinstance(each, TailSamplingProcessor) else new_processor(each, surroundings)
            for name, each in configured.items()
            if not isinstance(each, BatchProcessor | MemoryLimiterProcessor)
        },
        batch_limits(batching),
        known if obeys else None,
        next((memory_limiter(each) for each in settings if isinstance(each, MemoryLimiterProcessor)), None),
        any(isinstance(each, TopologyProcessor) for each in settings),
        queue_limits(sending, batching.send_batch_size),
    )
