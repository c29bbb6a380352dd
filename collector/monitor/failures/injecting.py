"""What goes wrong with a request, by the rules that count.

Whether a rule strikes follows from its id and the trace's, and how long a delay is does too: all that take part in a trace, in
whatever process, come to the same result, and who repeats a trace sees the same.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist
from typing import Any, Final

from collector.control.versions import Stored
from collector.failure_marks import marks
from collector.monitor.failures.rules import AddedLatency, Failure, FailureRule, TimeOut
from config.patterns import compile_globs

_TWO_64: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of a request before it is made.

    Attributes:
        service: that is asked.
        path: of the URL, without its query, or the full method of a gRPC call.
        operation: name of the span.
        attributes: of the span, values as text.
        headers: of the request; names in lower case.
    """

    service: str
    path: str = ""
    operation: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Injection:
    """What goes wrong.

    Attributes:
        rule: the id of the rule that says so.
        failure: what that says.
        delay: nanoseconds that the request is kept waiting: until it is given up, or until it is made.
    """

    rule: uuid.UUID
    failure: Failure
    delay: int = 0

    @property
    def attributes(self) -> dict[str, str]:
        """What marks the span of the request."""
        return marks(str(self.rule), self.failure.type)


class Injector:
    """The rules that count for requests that are all alike.

    Args:
        rules: of one workspace. Where several fit, the one that was made first is drawn first.
        request: what all of the requests have in common.
        at: the time.
    """

    def __init__(self, rules: Iterable[Stored[FailureRule]], request: Request, at: datetime) -> None:
        fitting = [rule for rule in rules if rule.settings.holds(at) and fits(rule.settings, request)]
        fitting.sort(key=lambda rule: (rule.created_at, rule.id))
        self._rules = [(rule.id, rule.id.bytes, rule.settings) for rule in fitting]

    def draw(self, trace_id: bytes) -> Injection | None:
        """What goes wrong in a trace, if anything does.

        Args:
            trace_id: its 16 bytes.
        """
        for rule_id, key, rule in self._rules:
            strikes, delays = _drawn(key, trace_id)
            if strikes < rule.probability:
                return Injection(rule_id, rule.failure, _delay(rule.failure, delays))
        return None

    def __bool__(self) -> bool:
        return bool(self._rules)


def fits(rule: FailureRule, request: Request) -> bool:
    """Whether a rule means such a request, whenever it counts."""
    match = rule.match
    return (
        concerns(rule, request.service)
        and (not match.paths or _is_one_of(match.paths, request.path))
        and (not match.operations or _is_one_of(match.operations, request.operation))
        and all(_has(request.attributes, key, glob) for key, glob in match.attributes.items())
        and all(_has(request.headers, key.lower(), glob) for key, glob in match.headers.items())
    )


def concerns(rule: FailureRule, service: str) -> bool:
    """Whether a rule means requests of a service."""
    return _is_one_of((rule.service,), service)


def _has(values: Mapping[str, str], key: str, glob: str) -> bool:
    return key in values and _is_one_of((glob,), values[key])


def _is_one_of(globs: tuple[str, ...], text: str) -> bool:
    return _compiled(globs).fullmatch(text) is not None


@lru_cache(1024)
def _compiled(globs: tuple[str, ...]) -> Any:
    return compile_globs(globs)


def _drawn(rule: bytes, trace_id: bytes) -> tuple[float, float]:
    """Two numbers from 0 to below 1, of a rule and a trace: one says whether it strikes, the other how long it delays."""
    digest = blake2b(rule + trace_id, digest_size=16).digest()
    # The upper 53 bits: more do not fit into a float, which would round up to 1.
    return tuple((int.from_bytes(half, "big") >> 11) / (_TWO_64 >> 11) for half in (digest[:8], digest[8:]))  # type: ignore[return-value]  # two


def _delay(failure: Failure, drawn: float) -> int:
    match failure:
        case TimeOut():
            return int(failure.after)
        case AddedLatency():
            return min(max(round(_added(failure, drawn)), 0), failure.at_most)
    return 0


def _added(latency: AddedLatency, drawn: float) -> float:
    """The quantile of the distribution, nanoseconds."""
    mean, spread = int(latency.mean), int(latency.spread)
    match latency.distribution:
        case "uniform":
            return mean - spread + 2 * spread * drawn
        case "normal" if spread:
            # The quantiles of 0 and 1 are infinite.
            return NormalDist(mean, spread).inv_cdf(min(max(drawn, 2**-53), 1 - 2**-53))
        case "exponential":
            return -mean * math.log1p(-drawn)
    return mean
