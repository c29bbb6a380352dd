"""What stands between a pipeline and what is outside: exporters with their senders, and what they are built with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from collector.clock import SYSTEM, Clock
from collector.control.policies import Policies
from collector.pipeline.settling import Settling
from collector.processors.base import ProcessorTelemetry
from config.exporters import Exporter as Settings
from config.sending import RetryOnFailure
from exporters.base import Destination, Exporter, ExporterTelemetry
from exporters.dead_letters import DeadLetters
from exporters.divisions import Divisions
from exporters.loadbalancing.balancer import BalancerTelemetry
from exporters.retrying import RetryPolicy
from exporters.send import Sender


class PipelineTelemetry(Protocol):
    """Where a pipeline counts."""

    def exporter(self, exporter: str) -> ExporterTelemetry:
        """Where the component of this id counts what it stored and dropped."""

    def processor(self, processor: str, exporter: str) -> ProcessorTelemetry:
        """Where a processor counts what it does on the way to an exporter."""

    def load_balancer(self, exporter: str, resolver: str) -> BalancerTelemetry:
        """Where the load balancer of this id, with this kind of resolver, counts what it does with its backends."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What components are built with, besides their own settings."""

    executor: Executor
    """Threads for work that takes long and frees the interpreter."""
    telemetry: PipelineTelemetry
    clock: Clock
    policies: Callable[[], Policies] = Policies
    """What tracing configs say now."""
    divisions: Mapping[str, Divisions] = field(default_factory=dict)
    """Which spans were sent in parts, by the exporter's id; there is none where no span outlives the process."""


class Outlet(Destination, Protocol):
    """A destination outside, as the pipeline sees it."""

    @property
    def trouble(self) -> str:
        """Why spans cannot be stored at the moment, as a sentence; empty when they can."""

    async def open(self) -> None:
        """Make it ready, trying until it is, and keep it so where that takes more; cancelled when the pipeline ends."""


class Connection(NamedTuple):
    """A destination outside, what ends its connections, and what settles calls in its tables, if it has any."""

    outlet: Outlet
    close: Callable[[], Awaitable[None]]
    settling: Settling | None = None


def new_sender(name: str, settings: Settings, exporter: Exporter, surroundings: Surroundings) -> Sender:
    """A sender in front of an exporter.

    Args:
        name: id of the exporter in the configuration.
        settings: when to try again, and where spans go that are given up.
    """
    return Sender(
        exporter,
        name,
        surroundings.telemetry.exporter(name),
        retry_policy(settings.retry_on_failure),
        settings.timeout.seconds,
        surroundings.clock.monotonic,
        dead_letters(name, settings, surroundings.clock),
        surroundings.divisions.get(name),
    )


def retry_policy(settings: RetryOnFailure) -> RetryPolicy:
    """When an exporter tries again."""
    return RetryPolicy(
        enabled=settings.enabled,
        initial_s=settings.initial_interval.seconds,
        multiplier=settings.multiplier,
        randomization=settings.randomization_factor,
        max_s=settings.max_interval.seconds,
        max_elapsed_s=settings.max_elapsed_time.seconds,
    )


def dead_letters(name: str, settings: Settings, clock: Clock = SYSTEM) -> DeadLetters | None:
    """Where an exporter's spans go that it gives up; None where they are dropped."""
    kept = settings.dead_letters
    return DeadLetters(Path(kept.directory), name, kept.max_bytes, clock.now) if kept.enabled else None
