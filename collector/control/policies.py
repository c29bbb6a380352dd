"""Which tracing config speaks for a service.

The one with the exact name of the service comes before globs, a longer glob before a shorter one, and of equally long ones the
one that was created last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from collector.control.tracing_configs import TracingConfig
from config.patterns import Globs

_REMEMBERED: Final = 4096
"""Services for which it is remembered which config speaks for them: their names come from outside."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of the spans of a service.

    Attributes:
        enabled: whether they are kept at all.
        sampling_rate: the share of traces that is kept.
        excluded: match the paths and names whose spans are dropped; None for none.
        config: what says so; None where no config speaks for the service.
    """

    enabled: bool = True
    sampling_rate: float = 1.0
    excluded: Globs | None = None
    config: TracingConfig | None = None


class Policies:
    """What a set of configs says; never changes. Any thread may ask."""

    def __init__(self, configs: Iterable[TracingConfig] = ()) -> None:
        self._exact: dict[tuple[str, str], Policy] = {}
        self._globs: dict[str, list[tuple[Globs, Policy]]] = {}
        for config in sorted(configs, key=_precedence):
            if config.settings.is_glob:
                glob = Globs([config.settings.service])
                self._globs.setdefault(config.workspace, []).append((glob, _policy(config)))
            else:
                self._exact[config.workspace, config.settings.service] = _policy(config)
        self._by_glob = lru_cache(_REMEMBERED)(self._first_glob)

    def policy(self, workspace: str, service: str) -> Policy | None:
        """What is said about a service; None where nothing is."""
        return self._exact.get((workspace, service)) or self._by_glob(workspace, service)

    def _first_glob(self, workspace: str, service: str) -> Policy | None:
        globs = self._globs.get(workspace, ())
        return next((policy for glob, policy in globs if glob.match(service)), None)


def _precedence(config: TracingConfig) -> tuple[int, int, str]:
    return -len(config.settings.service), -config.created_at, config.settings.service


def _policy(config: TracingConfig) -> Policy:
    settings = config.settings
    excluded = Globs(settings.excluded_paths) if settings.excluded_paths else None
    return Policy(settings.enabled, settings.sampling_rate, excluded, config)
