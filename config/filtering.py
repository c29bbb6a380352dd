"""Which spans and events are dropped: the settings of the processor `filter`."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from config.ottl import Condition, Context, read_condition, read_flat_condition
from config.section import Section
from config.selection import SpanMatch

_SPANS_ONLY = "spanhouse takes spans only"


def _about(context: Context | None) -> PlainValidator:
    """Reads conditions about spans or events, or about what their paths tell."""

    def read(value: Any) -> Condition:
        if not isinstance(value, str):
            each = ": list those of a group one by one" if isinstance(value, dict) else ""
            raise ValueError(f"must be a condition, as text{each}")  # noqa: TRY004 - what pydantic takes for a fault of the value
        return read_flat_condition(value) if context is None else read_condition(value, context)

    return PlainValidator(read)


_AS_TEXT = (WithJsonSchema({"type": "string"}), PlainSerializer(str))
SpanCondition = Annotated[Condition, _about("span"), *_AS_TEXT]
"""A condition in OTTL on spans."""
EventCondition = Annotated[Condition, _about("spanevent"), *_AS_TEXT]
"""A condition in OTTL on events of spans."""
FlatCondition = Annotated[Condition, _about(None), *_AS_TEXT]
"""A condition in OTTL whose paths all begin with what they are about."""


class FilterTraces(Section):
    """What is dropped, by conditions in OTTL."""

    span: tuple[SpanCondition, ...] = ()
    """Spans are dropped for which one of these conditions holds, such as `attributes["url.path"] == "/healthz"`."""
    spanevent: tuple[EventCondition, ...] = ()
    """Events of the remaining spans are dropped for which one of these conditions holds."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "resource": "put it under span, with resource.attributes in place of attributes",
    }


class FilterSpans(Section):
    """What is dropped, by names and attributes."""

    include: SpanMatch | None = None
    """Spans to keep: all others are dropped."""
    exclude: SpanMatch | None = None
    """Spans to drop."""


class FilterProcessor(Section):
    """Drops spans, and events of spans. A condition says what to drop, not what to keep."""

    error_mode: Literal["ignore", "silent", "propagate"] = "ignore"
    """What follows where a condition cannot be worked out, as with the length of what is not there: `ignore` logs it and takes it
    that the condition does not hold, `silent` does so without a word, and `propagate` drops the span. All are counted."""
    traces: FilterTraces = FilterTraces()
    """What is dropped, by conditions in OTTL."""
    trace_conditions: tuple[FlatCondition, ...] = ()
    """Conditions whose paths begin with `span.`, `resource.`, `scope.` or `spanevent.`; with the last in it, one drops events."""
    spans: FilterSpans = FilterSpans()
    """What is dropped, by names and attributes: the older form."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "metrics": _SPANS_ONLY,
        "metric_conditions": _SPANS_ONLY,
        "logs": _SPANS_ONLY,
        "log_conditions": _SPANS_ONLY,
        "profiles": _SPANS_ONLY,
        "profile_conditions": _SPANS_ONLY,
    }

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        older = self.spans.include is not None or self.spans.exclude is not None
        if older and (self.traces.span or self.traces.spanevent or self.trace_conditions):
            raise ValueError("must have conditions or spans, not both")
        if self.trace_conditions and (self.traces.span or self.traces.spanevent):
            raise ValueError("must have traces or trace_conditions, not both")
        return self
