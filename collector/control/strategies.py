"""At what rate SDKs are told to sample: by tracing configs, else by a file, else by what comes, else by default."""

from __future__ import annotations

from collector.control.adaptive_rounds import AdaptiveRounds
from collector.control.feed import PolicyFeed
from collector.control.policies import Policy
from collector.control.strategy_file import Strategy, StrategyFile, probabilistic
from collector.reloading import Reloading


class StrategiesUnknown(Exception):
    """The store has not yet said which tracing configs there are."""


class Strategies:
    """Answers SDKs.

    Args:
        feed: what the tracing configs say; None where there is no store.
        file: what a file says, if there is one.
        adaptive: what is reckoned for services of which neither speaks by name, if that is wanted.
        default: see below.

    Attributes:
        default: what holds where nothing else does; may change.
    """

    def __init__(
        self,
        feed: PolicyFeed | None,
        file: Reloading[StrategyFile] | None,
        default: Policy,
        adaptive: AdaptiveRounds | None = None,
    ) -> None:
        self._feed = feed
        self._file = file
        self.default = default
        self._adaptive = adaptive

    async def strategy(self, workspace: str, service: str) -> Strategy:
        """The strategy for a service.

        Raises:
            StrategiesUnknown
        """
        policy = None
        if self._feed is not None:
            policies = await self._feed.fresh()
            if policies is None:
                raise StrategiesUnknown("the store has not yet said which tracing configs there are")
            policy = policies.policy(workspace, service)
        if policy is None and self._file is not None:
            file = self._file.current()
            if self._adaptive is None or service in file.services:
                return file.strategy(service)
        if policy is None and self._adaptive is not None:
            return self._adaptive.strategy(workspace, service)
        policy = policy or self.default
        return probabilistic(policy.sampling_rate if policy.enabled else 0.0)
