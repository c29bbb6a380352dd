"""Exporters to other collectors, built as the daemon builds them, with retries that do not keep a test waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.clock import SYSTEM, Clock
from collector.pipeline.connections import Outlet, Surroundings
from collector.pipeline.registry import EXPORTERS
from collector.processors.base import ProcessorTelemetry
from config.exporters import EXPORTERS as MODELS
from exporters.divisions import Divisions
from tests.support.accounts import Account


@dataclass
class BalancerAccount:
    """What a load balancer says that it did with its backends."""

    resolutions: Counter[bool] = field(default_factory=Counter)
    counts: list[int] = field(default_factory=list)
    outcomes: Counter[tuple[str, bool]] = field(default_factory=Counter)
    rerouted_spans: int = 0
    have_left: list[str] = field(default_factory=list)

    def resolved(self, success: bool) -> None:
        self.resolutions[success] += 1

    def backends(self, count: int) -> None:
        self.counts.append(count)

    def outcome(self, backend: str, success: bool, seconds: float) -> None:
        assert seconds >= 0
        self.outcomes[backend, success] += 1

    def rerouted(self, spans: int) -> None:
        self.rerouted_spans += spans

    def left(self, backend: str) -> None:
        self.have_left.append(backend)


@dataclass
class Accounts:
    """Telemetry of a pipeline with one exporter."""

    account: Account = field(default_factory=Account)
    balancer: BalancerAccount = field(default_factory=BalancerAccount)

    def exporter(self, exporter: str) -> Account:
        return self.account

    def processor(self, processor: str, exporter: str) -> ProcessorTelemetry:
        raise AssertionError(f"{processor}: these pipelines have no processors")

    def load_balancer(self, exporter: str, resolver: str) -> BalancerAccount:
        return self.balancer


@dataclass
class Opened:
    """An exporter in use, and what it counted."""

    outlet: Outlet
    counts: Accounts

    @property
    def account(self) -> Account:
        return self.counts.account


@asynccontextmanager
async def opened(kind: str, keys: Mapping[str, Any], directory: Path, clock: Clock = SYSTEM) -> AsyncIterator[Opened]:
    """An exporter of this type with these keys; its dead letters are in the directory, and what a journal has for it."""
    quick = {
        "retry_on_failure": {"initial_interval": "5ms", "max_interval": "20ms"},
        "dead_letters": {"directory": str(directory)},
        "timeout": "10s",
    }
    settings = MODELS[kind].model_validate({**quick, **keys})
    counts = Accounts(Account(over_wire=kind != "debug"))
    divisions = {kind: Divisions(directory / "divided")}
    with ThreadPoolExecutor(2) as pool:
        connection = EXPORTERS[type(settings)](kind, settings, Surroundings(pool, counts, clock, divisions=divisions))
        try:
            yield Opened(connection.outlet, counts)
        finally:
            await connection.close()
