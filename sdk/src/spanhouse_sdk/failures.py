"""Failures on purpose: which requests of this service fail, by the failure rules of its workspace.

Whether a rule strikes follows from its id and the trace's, and how long a delay is does too: services and the
collector, which both draw like this, come to the same result for a trace.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from statistics import NormalDist
from typing import Any, Final, Self

from spanhouse_sdk.errors import Nonsense
from spanhouse_sdk.globs import matches

RULE_ATTRIBUTE: Final = "spanhouse.failure.rule"
TYPE_ATTRIBUTE: Final = "spanhouse.failure.type"
"""Attributes of the span of a request that failed on purpose: the id of the rule, and the type of the failure."""

_MOST_RULES: Final = 1000
_LONGEST_DELAY: Final = 300 * 10**9
_TWO_53: Final = 1 << 53
_DISTRIBUTIONS: Final = frozenset({"constant", "uniform", "normal", "exponential"})
_UNITS: Final = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 1000, "µs": 1000, "ns": 1}
_PART: Final = re.compile(r"(\d{1,12})(?:\.(\d{1,18}))?(h|ms|us|µs|ns|m|s)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of a request before it is worked on.

    Attributes:
        path: of the URL, without its query, or the full method of a gRPC call.
        operation: name of the span.
        attributes: of the span, values as text.
        headers: names in lower case.
    """

    path: str
    operation: str
    attributes: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Failure:
    """What goes wrong.

    Attributes:
        type: `timeout`, `error`, `unavailable`, `reset` or `latency`.
        status: of HTTP, for those that do not come as one answer is expected.
        mean, spread, at_most: of a latency, in nanoseconds; of a time-out, `mean` is how long it takes.
    """

    type: str
    status: int = 503
    message: str = "failed on purpose"
    distribution: str = "constant"
    mean: int = 0
    spread: int = 0
    at_most: int = _LONGEST_DELAY

    @classmethod
    def from_answer(cls, said: Any) -> Self:
        """What a rule says goes wrong.

        Raises:
            Nonsense: that is unknown.
        """
        match _record(said, "failure"):
            case {"type": "timeout", "after": str(after)}:
                return cls("timeout", 504, "no answer, on purpose", mean=_delay(after))
            case {"type": "error", "status": int(status), "message": str(message)} if 400 <= status <= 599:
                return cls("error", status, message)
            case {"type": "unavailable"}:
                return cls("unavailable", 503, "unavailable on purpose")
            case {"type": "reset"}:
                return cls("reset", 503, "connection reset on purpose")
            case {"type": "latency", "distribution": str(kind), "mean": str(mean), "spread": str(spread), "atMost": str(at_most)}:
                if kind in _DISTRIBUTIONS:
                    return cls("latency", 200, "", kind, _delay(mean), _delay(spread), _delay(at_most))
        raise Nonsense(f"failure must be of a known type and whole, not {said!r:.200}")

    def delay(self, drawn: float) -> int:
        """Nanoseconds that the request is kept waiting.

        Args:
            drawn: from 0 to below 1.
        """
        if self.type == "latency":
            return min(max(round(self._added(drawn)), 0), self.at_most)
        return self.mean

    def _added(self, drawn: float) -> float:
        mean, spread = self.mean, self.spread
        match self.distribution:
            case "uniform":
                return mean - spread + 2 * spread * drawn
            case "normal" if spread:
                # The quantiles of 0 and 1 are infinite.
                return NormalDist(mean, spread).inv_cdf(min(max(drawn, 2**-53), 1 - 2**-53))
            case "exponential":
                return -mean * math.log1p(-drawn)
        return mean


@dataclass(frozen=True, slots=True)
class Injection:
    """What goes wrong with one request.

    Attributes:
        rule: the id of the rule that says so.
        delay: nanoseconds that the request is kept waiting: until it is given up, or until it is worked on.
    """

    rule: str
    failure: Failure
    delay: int

    @property
    def ends(self) -> bool:
        """Whether the request is not worked on at all."""
        return self.failure.type != "latency"

    @property
    def attributes(self) -> dict[str, str]:
        """What marks the span of the request."""
        return {RULE_ATTRIBUTE: self.rule, TYPE_ATTRIBUTE: self.failure.type}


@dataclass(frozen=True, slots=True)
class FailureRule:
    """A rule that counts for this service at the moment.

    Attributes:
        ends_at: seconds since 1970.
    """

    id: uuid.UUID
    failure: Failure
    probability: float
    ends_at: float
    paths: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_answer(cls, said: Any) -> Self:
        """One of the rules that `failure-rules/of-service` has answered.

        Raises:
            ValueError: it is something else.
        """
        said = _record(said, "rule")
        probability, match = said.get("probability"), _record(said.get("match"), "match")
        if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
            raise Nonsense("probability must be a number from 0 to 1")
        ends_at = datetime.fromisoformat(str(said.get("endsAt")))
        if ends_at.tzinfo is None:
            raise Nonsense("endsAt must have a time zone")
        return cls(
            uuid.UUID(str(said.get("id"))),
            Failure.from_answer(said.get("failure")),
            probability,
            ends_at.timestamp(),
            _globs(match.get("paths", [])),
            _globs(match.get("operations", [])),
            _pairs(match.get("attributes", {})),
            {key.lower(): glob for key, glob in _pairs(match.get("headers", {})).items()},
        )

    def fits(self, request: Request) -> bool:
        """Whether it means such a request."""
        return (
            (not self.paths or matches(self.paths, request.path))
            and (not self.operations or matches(self.operations, request.operation))
            and _have(request.attributes, self.attributes)
            and _have(request.headers, self.headers)
        )


def rules_from_answer(answer: Any) -> tuple[FailureRule, ...]:
    """The rules that `failure-rules/of-service` has answered, in the order in which they are drawn.

    Raises:
        ValueError: it is something else.
    """
    rules = _record(answer, "the answer").get("rules")
    if not isinstance(rules, list) or len(rules) > _MOST_RULES:
        raise Nonsense(f"rules must be a list of at most {_MOST_RULES}")
    return tuple(map(FailureRule.from_answer, rules))


def draw(rules: Sequence[FailureRule], request: Request, trace_id: int, now: float) -> Injection | None:
    """What goes wrong with a request, if anything does.

    Args:
        now: seconds since 1970.
    """
    for rule in rules:
        if now < rule.ends_at and rule.fits(request):
            strikes, delays = drawn(rule.id, trace_id)
            if strikes < rule.probability:
                return Injection(str(rule.id), rule.failure, rule.failure.delay(delays))
    return None


def drawn(rule: uuid.UUID, trace_id: int) -> tuple[float, float]:
    """Two numbers from 0 to below 1, of a rule and a trace: one says whether it strikes, the other how long it delays."""
    digest = blake2b(rule.bytes + trace_id.to_bytes(16, "big"), digest_size=16).digest()
    # The upper 53 bits: more do not fit into a float, which would round up to 1.
    strikes, delays = (int.from_bytes(half, "big") >> 11 for half in (digest[:8], digest[8:]))
    return strikes / _TWO_53, delays / _TWO_53


def _have(values: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(key in values and matches((glob,), values[key]) for key, glob in wanted.items())


def _record(said: Any, what: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise Nonsense(f"{what} must be an object")
    return said


def _globs(said: Any) -> tuple[str, ...]:
    if not isinstance(said, list) or not all(isinstance(glob, str) for glob in said):
        raise Nonsense("paths and operations must be lists of texts")
    return tuple(said)


def _pairs(said: Any) -> dict[str, str]:
    if not isinstance(said, dict) or not all(isinstance(glob, str) for glob in said.values()):
        raise Nonsense("attributes and headers must be texts by name")
    return said


def _delay(text: str) -> int:
    """Nanoseconds of a duration as the collector writes it, such as 1m30s or 250ms."""
    parts = _PART.findall(text)
    if not parts or "".join(f"{whole}{'.' * bool(rest)}{rest}{unit}" for whole, rest, unit in parts) != text:
        raise Nonsense(f"{text!r:.100} is no duration")
    total: int = sum(int(whole) * _UNITS[unit] + int(rest or 0) * _UNITS[unit] // 10 ** len(rest) for whole, rest, unit in parts)
    if total > _LONGEST_DELAY:
        raise Nonsense("durations must be at most 5m")
    return total
