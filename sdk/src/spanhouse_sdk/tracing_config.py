"""What the collector says about the spans of this service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from opentelemetry.trace import TraceState

from spanhouse_sdk.errors import Nonsense
from spanhouse_sdk.globs import matches
from spanhouse_sdk.thresholds import NEVER, threshold, with_threshold

_MOST_PATHS: Final = 100
_PATHS: Final = ("url.path", "http.route", "http.target")
_RULES: Final = ("exact", "glob", "default")


@dataclass(frozen=True)
class TracingConfig:
    """A tracing config.

    Attributes:
        sampling_rate: the share of traces that is kept; 0 where the service is not traced.
        excluded_paths: globs; spans are dropped whose path or name one of them stands for.
        propagate_context: whether trace context is sent on to those that this service calls.
        rule: what says so: a config for the service by name (`exact`) or by a `glob`, the collector's `default`, or `unknown`
            as long as the collector has said nothing.
        enabled: whether any spans of the service are kept.
        threshold: that the randomness of a trace must reach, from 0 to 2**56.
        trace_state: of a trace that begins here and is kept. None where none is, and where all are: readers count such
            a span as one anyway, and on the wire it would cost each call more than all else that sampling does.
    """

    sampling_rate: float = 1.0
    excluded_paths: tuple[str, ...] = ()
    propagate_context: bool = True
    rule: str = "unknown"
    enabled: bool = field(init=False, repr=False)
    threshold: int = field(init=False, repr=False)
    trace_state: TraceState | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        least = threshold(self.sampling_rate)
        object.__setattr__(self, "enabled", least < NEVER)
        object.__setattr__(self, "threshold", least)
        object.__setattr__(self, "trace_state", with_threshold(None, least) if 0 < least < NEVER else None)

    @classmethod
    def from_answer(cls, answer: Any) -> Self:
        """What `tracing-configs/check` has answered.

        Raises:
            Nonsense: it is something else.
        """
        if not isinstance(answer, dict):
            raise Nonsense("the answer is no object")
        traced, rate = answer.get("traced"), answer.get("samplingRate")
        paths, propagates, rule = answer.get("excludedPaths"), answer.get("propagateContext"), answer.get("rule")
        if not isinstance(traced, bool) or not isinstance(propagates, bool):
            raise Nonsense("traced and propagateContext must be true or false")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise Nonsense("samplingRate must be a number from 0 to 1")
        if not isinstance(paths, list) or len(paths) > _MOST_PATHS or not all(isinstance(path, str) for path in paths):
            raise Nonsense(f"excludedPaths must be at most {_MOST_PATHS} texts")
        if rule not in _RULES:
            raise Nonsense(f"rule must be one of {', '.join(_RULES)}")
        return cls(float(rate) if traced else 0.0, tuple(paths), propagates, rule)

    def excludes(self, name: str, attributes: Mapping[str, Any] | None) -> bool:
        """Whether a span with this name and these attributes is left out."""
        globs = self.excluded_paths
        if not globs:
            return False
        if matches(globs, name):
            return True
        if not attributes:
            return False
        for key in _PATHS:
            path = attributes.get(key)
            if isinstance(path, str) and matches(globs, path.partition("?")[0] if key == "http.target" else path):
                return True
        return False
