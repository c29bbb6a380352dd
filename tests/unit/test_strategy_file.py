"""Files of sampling strategies: what services are told, as Jaeger's collector tells it, and what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.control.strategy_file import StrategyFile, StrategyFileError, read_strategies


def strategies(directory: Path, content: Any, default_probability: float = 0.001) -> StrategyFile:
    file = directory / "strategies.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_strategies(str(file), "source.file", default_probability)


def probabilistic(rate: float) -> dict[str, Any]:
    return {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": rate}}


def operations(others: float, **rates: float) -> dict[str, Any]:
    each = [{"operation": name, "probabilisticSampling": {"samplingRate": rate}} for name, rate in rates.items()]
    return {
        "operationSampling": {
            "defaultSamplingProbability": others,
            "defaultLowerBoundTracesPerSecond": 0,
            "defaultUpperBoundTracesPerSecond": 0,
            "perOperationStrategies": each,
        }
    }


def rule(kind: str, param: float, **others: Any) -> dict[str, Any]:
    return {"type": kind, "param": param, **others}


def test_services_have_strategies_of_their_own_and_others_the_default(tmp_path: Path) -> None:
    found = strategies(
        tmp_path,
        {
            "default_strategy": rule("probabilistic", 0.5),
            "service_strategies": [
                rule("probabilistic", 0.8, service="cart"),
                rule("ratelimiting", 5.9, service="payment", unknown="key"),
            ],
        },
    )
    assert found.strategy("cart") == probabilistic(0.8)
    assert found.strategy("payment") == {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 5}}
    assert found.strategy("unknown") == probabilistic(0.5)


def test_without_a_default_there_is_one_in_a_thousand(tmp_path: Path) -> None:
    assert strategies(tmp_path, {}).strategy("cart") == probabilistic(0.001)
    assert strategies(tmp_path, {}, 0.25).strategy("cart") == probabilistic(0.25)


def test_operations_of_the_default_are_merged_into_services_unless_they_say_otherwise(tmp_path: Path) -> None:
    shared = [rule("probabilistic", 0.1, operation="get"), rule("probabilistic", 0.2, operation="health")]
    found = strategies(
        tmp_path,
        {
            "default_strategy": rule("probabilistic", 0.5, operation_strategies=shared),
            "service_strategies": [
                rule("probabilistic", 0.8, service="plain"),
                rule("ratelimiting", 3, service="limited"),
                rule(
                    "probabilistic",
                    0.9,
                    service="own",
                    operation_strategies=[rule("probabilistic", 1, operation="put"), rule("probabilistic", 0, operation="get")],
                ),
                rule("ratelimiting", 3, service="both", operation_strategies=[rule("probabilistic", 0.4, operation="put")]),
            ],
        },
    )
    limited = {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 3}}
    assert found.strategy("unknown") == {**probabilistic(0.5), **operations(0.5, get=0.1, health=0.2)}
    assert found.strategy("plain") == {**probabilistic(0.8), **operations(0.8, get=0.1, health=0.2)}
    assert found.strategy("limited") == {**limited, **operations(0.5, get=0.1, health=0.2)}
    assert found.strategy("own") == {**probabilistic(0.9), **operations(0.9, put=1, get=0, health=0.2)}
    assert found.strategy("both") == {**limited, **operations(0.001, put=0.4, get=0.1, health=0.2)}


def test_rate_limits_of_operations_are_ignored_with_a_warning(tmp_path: Path) -> None:
    of_cart = [rule("ratelimiting", 5, operation="get"), rule("probabilistic", 0.2, operation="put")]
    with capture_logs() as lines:
        found = strategies(
            tmp_path, {"service_strategies": [rule("probabilistic", 0.8, service="cart", operation_strategies=of_cart)]}
        )
    assert found.strategy("cart") == {**probabilistic(0.8), **operations(0.8, put=0.2)}
    assert [(line["log_level"], line["strategy"], line["operations"]) for line in lines] == [("warning", "cart", ["get"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "the text: "),
        ("[]", "the text: must be a mapping"),
        ({"default_strategy": rule("adaptive", 1)}, "default_strategy.type: must be one of probabilistic, ratelimiting"),
        ({"default_strategy": rule("probabilistic", 2)}, "default_strategy: must have a param from 0 to 1"),
        ({"default_strategy": rule("ratelimiting", -1)}, "default_strategy.param: must be at least 0"),
        ({"service_strategies": [rule("probabilistic", 0.5)]}, "service_strategies[0].service: is required"),
        (
            {"service_strategies": [rule("probabilistic", 1, service="a", operation_strategies=[rule("probabilistic", 1)])]},
            "service_strategies[0].operation_strategies[0].operation: is required",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(StrategyFileError) as error:
        strategies(tmp_path, content)
    assert str(error.value).startswith(f"source.file: {tmp_path}/strategies.json: ")
    assert message in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StrategyFileError, match=r"source\.file: .*/none\.json cannot be read: No such file"):
        read_strategies(str(tmp_path / "none.json"), "source.file", 0.001)
