"""Sampling strategies from a file, in the form of Jaeger's collector: for services and their operations.

What a service says of operations comes before what the defaults say of them. Operations have probabilities alone: rate limits of
operations are left out, with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from config.explain import meaning
from config.problems import key_path

_log = structlog.get_logger(__name__)

Strategy = Mapping[str, Any]
"""A strategy as SDKs read it, in the JSON of Jaeger's `SamplingStrategyResponse`."""

_MOST_BYTES: Final = 16 << 20


class StrategyFileError(OSError):
    """A file of strategies cannot be used; the message names the key, the file and what is wrong."""


class _Rule(BaseModel):
    # Jaeger takes files with keys that it does not know.
    model_config = ConfigDict(frozen=True)

    type: Literal["probabilistic", "ratelimiting"]
    param: Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _probability(rule: _Rule) -> _Rule:
    if rule.type == "probabilistic" and rule.param > 1:
        raise ValueError("must have a param from 0 to 1, with the type probabilistic")
    return rule


class _Operation(_Rule):
    operation: str


class _Service(_Rule):
    operation_strategies: tuple[Annotated[_Operation, AfterValidator(_probability)], ...] = ()


class _NamedService(_Service):
    service: str


class _File(BaseModel):
    default_strategy: Annotated[_Service, AfterValidator(_probability)] | None = None
    service_strategies: tuple[Annotated[_NamedService, AfterValidator(_probability)], ...] = ()


class StrategyFile:
    """What a file says.

    Attributes:
        default: the strategy for services of which it does not speak.
        services: service → its strategy.
    """

    def __init__(self, file: _File, default_probability: float) -> None:
        default = file.default_strategy or _Service(type="probabilistic", param=default_probability)
        of_default = _operations(default, "default_strategy", default_probability)
        self.default: Strategy = _strategy(default, of_default)
        self.services: Mapping[str, Strategy] = {
            each.service: _strategy(each, _merged(each, _operations(each, each.service, default_probability), of_default))
            for each in file.service_strategies
        }

    def strategy(self, service: str) -> Strategy:
        """The strategy for a service."""
        return self.services.get(service, self.default)


def read_strategies(file: str, key: str, default_probability: float) -> StrategyFile:
    """Read a file.

    Args:
        key: where the file is named in the configuration.
        default_probability: for services of which the file does not speak, where it has no default.

    Raises:
        StrategyFileError: it cannot be read, or is not of this form.
    """
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_MOST_BYTES)
        return StrategyFile(_File.model_validate_json(text), default_probability)
    except OSError as error:
        raise StrategyFileError(f"{key}: {file} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        faults = (f"{key_path(fault['loc']) or 'the text'}: {meaning(fault)[0]}" for fault in error.errors(include_url=False))
        raise StrategyFileError(f"{key}: {file}: {'; '.join(faults)}") from None


def probabilistic(rate: float) -> dict[str, Any]:
    """The strategy that keeps a share of the traces."""
    return {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": rate}}


@dataclass(frozen=True, slots=True)
class _Operations:
    """Probabilities: of operations by name, and of those that are not named."""

    rates: Mapping[str, float]
    others: float


def _operations(rule: _Service, name: str, default_probability: float) -> _Operations | None:
    """What a strategy says of operations; None where it says nothing."""
    if not rule.operation_strategies:
        return None
    limited = [each.operation for each in rule.operation_strategies if each.type == "ratelimiting"]
    if limited:
        _log.warning("strategies_ignored", strategy=name, operations=limited, reason="only whole services can be rate limited")
    rates = {each.operation: each.param for each in rule.operation_strategies if each.type == "probabilistic"}
    return _Operations(rates, rule.param if rule.type == "probabilistic" else default_probability)


def _merged(rule: _Service, own: _Operations | None, of_default: _Operations | None) -> _Operations | None:
    if of_default is None:
        return own
    if own is None:
        return _Operations(of_default.rates, rule.param if rule.type == "probabilistic" else of_default.others)
    return _Operations(
        {**own.rates, **{name: rate for name, rate in of_default.rates.items() if name not in own.rates}}, own.others
    )


def _strategy(rule: _Rule, operations: _Operations | None) -> Strategy:
    if rule.type == "probabilistic":
        strategy = probabilistic(rule.param)
    else:
        strategy = {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": int(rule.param)}}
    if operations is not None:
        strategy["operationSampling"] = {
            "defaultSamplingProbability": operations.others,
            "defaultLowerBoundTracesPerSecond": 0,
            "defaultUpperBoundTracesPerSecond": 0,
            "perOperationStrategies": [
                {"operation": name, "probabilisticSampling": {"samplingRate": rate}} for name, rate in operations.rates.items()
            ],
        }
    return strategy
