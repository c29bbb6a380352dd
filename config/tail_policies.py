"""What single policies of the processor `tail_sampling` ask of a trace."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from config.filtering import EventCondition, SpanCondition
from config.patterns import compile_pattern
from config.section import Section
from config.values import Count, PositiveCount, refuse_booleans

Integer = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), BeforeValidator(refuse_booleans)]
Key = Annotated[str, Field(min_length=1)]


class LatencyPolicy(Section):
    """Traces that take long, from the first start of a span to the last end."""

    threshold_ms: Count = 0
    """At least so many milliseconds, or more than so many where there is an upper threshold."""
    upper_threshold_ms: Count = 0
    """At most so many milliseconds; 0 is no limit."""

    @model_validator(mode="after")
    def _some_between(self) -> Self:
        if 0 < self.upper_threshold_ms <= self.threshold_ms:
            raise ValueError("must have an upper_threshold_ms above threshold_ms")
        return self


class NumericAttributePolicy(Section):
    """Traces in which a span or its resource has a whole number between two bounds, themselves included."""

    key: Key
    """The attribute."""
    min_value: Integer | None = None
    """The lower bound; none without it."""
    max_value: Integer | None = None
    """The upper bound; none without it."""
    invert_match: bool = False
    """Traces in which none has: no other policy can then keep one in which one has."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min_value is None and self.max_value is None:
            raise ValueError("needs min_value or max_value")
        if self.min_value is not None and self.max_value is not None and self.min_value > self.max_value:
            raise ValueError("must have a max_value of at least min_value")
        return self


class ProbabilisticPolicy(Section):
    """A share of the traces, by a hash of the trace id."""

    sampling_percentage: Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(refuse_booleans)]
    """So many traces of a hundred; 100 and more are all."""
    hash_salt: str = "default-hash-seed"
    """What is hashed before the trace id: with the same salt, what is kept at a low percentage is kept at each higher one."""


class StatusCodePolicy(Section):
    """Traces in which a span has one of these statuses."""

    status_codes: Annotated[tuple[Literal["ERROR", "OK", "UNSET"], ...], Field(min_length=1)]
    """The statuses."""


class StringAttributePolicy(Section):
    """Traces in which a span or its resource has a text."""

    key: Key
    """The attribute."""
    values: Annotated[tuple[str, ...], Field(min_length=1)]
    """One of these texts, or what one of these regular expressions finds something in."""
    enabled_regex_matching: bool = False
    """`values` are regular expressions."""
    cache_max_size: Count = 128
    """Taken for the sake of files that have it: each text that differs is looked at once in each batch."""
    invert_match: bool = False
    """Traces in which none has: no other policy can then keep one in which one has."""

    @model_validator(mode="after")
    def _patterns(self) -> Self:
        for value in self.values if self.enabled_regex_matching else ():
            compile_pattern(value)
        return self


class BooleanAttributePolicy(Section):
    """Traces in which a span or its resource has a boolean."""

    key: Key
    """The attribute."""
    value: bool
    """Its value."""
    invert_match: bool = False
    """Traces in which none has: no other policy can then keep one in which one has."""


class TraceStatePolicy(Section):
    """Traces in which a span's trace state has a member with one of these values."""

    key: Key
    """The member."""
    values: Annotated[tuple[str, ...], Field(min_length=1)]
    """Its values."""


class RateLimitingPolicy(Section):
    """Traces, as long as they have few spans."""

    spans_per_second: PositiveCount
    """So many spans of such traces in each second."""
    burst_capacity: Count = 0
    """With it, what a second leaves over is saved up to so many spans; 0 saves nothing."""


class BytesLimitingPolicy(Section):
    """Traces, as long as they are small."""

    bytes_per_second: PositiveCount
    """So many bytes of such traces in each second, as OTLP."""
    burst_capacity: Count = 0
    """What a second leaves over is saved up to so many bytes; 0 is twice `bytes_per_second`."""


class SpanCountPolicy(Section):
    """Traces with so many spans."""

    min_spans: Count = 0
    """At least so many."""
    max_spans: Count = 0
    """At most so many; 0 is no limit."""

    @model_validator(mode="after")
    def _some_between(self) -> Self:
        if 0 < self.max_spans < self.min_spans:
            raise ValueError("must have a max_spans of 0 or at least min_spans")
        return self


class OttlConditionPolicy(Section):
    """Traces in which a condition in OTTL holds for a span or an event."""

    error_mode: Literal["ignore", "silent", "propagate"] = "ignore"
    """What follows where a condition cannot be worked out: it does not hold; `ignore` and `propagate` say so in the log too."""
    span: tuple[SpanCondition, ...] = ()
    """Traces in which one of these conditions holds for a span."""
    spanevent: tuple[EventCondition, ...] = ()
    """Traces in which one of these conditions holds for an event of a span."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.span and not self.spanevent:
            raise ValueError("needs conditions under span or spanevent")
        return self
