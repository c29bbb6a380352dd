"""Which spans are meant: what `include` and `exclude` of a processor say."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import ValidationInfo, field_validator, model_validator

from config.patterns import compile_pattern
from config.section import Section
from config.values import Scalar

SPAN_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
"""Names of the kinds of spans, without SPAN_KIND_, in the order of their numbers."""
_ALL_KINDS = tuple(f"SPAN_KIND_{name}" for name in SPAN_KINDS)
_TEXTS = ("services", "span_names", "span_kinds")


class AttributeMatch(Section):
    """An attribute that is wanted."""

    key: str
    """Its key."""
    value: Scalar | None = None
    """Its value; any without it."""


class Library(Section):
    """An instrumentation scope that is wanted."""

    name: str
    """Its name."""
    version: str | None = None
    """Its version; any without it."""


class SpanMatch(Section):
    """Which spans are meant: those to which everything applies that is given here."""

    match_type: Literal["strict", "regexp"]
    """`strict` wants texts that are equal; `regexp` wants texts in which a regular expression finds something."""
    services: tuple[str, ...] = ()
    """Names of services; one must match."""
    span_names: tuple[str, ...] = ()
    """Names of spans; one must match."""
    span_kinds: tuple[str, ...] = ()
    """Kinds of spans, such as `SPAN_KIND_SERVER`; one must match."""
    attributes: tuple[AttributeMatch, ...] = ()
    """Attributes of spans; all must match."""
    resources: tuple[AttributeMatch, ...] = ()
    """Attributes of resources; one must match."""
    libraries: tuple[Library, ...] = ()
    """Instrumentation scopes; one must match."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "regexp": "leave it out: each pattern is tried once for each text that differs, so there is nothing to cache",
        "span_duration": "use the filter processor, which compares times",
        "log_bodies": "spanhouse takes spans only",
        "log_severity_texts": "spanhouse takes spans only",
        "log_severity_number": "spanhouse takes spans only",
        "metric_names": "spanhouse takes spans only",
    }

    @field_validator(*_TEXTS)
    @classmethod
    def _patterns(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("match_type") == "regexp":
            for text in value:
                compile_pattern(text)
        elif info.field_name == "span_kinds" and (unknown := [text for text in value if text not in _ALL_KINDS]):
            raise ValueError(f"must be of {', '.join(_ALL_KINDS)}, not {unknown[0]}")
        return value

    @field_validator("attributes", "resources")
    @classmethod
    def _value_patterns(cls, value: tuple[AttributeMatch, ...], info: ValidationInfo) -> tuple[AttributeMatch, ...]:
        for each in value if info.data.get("match_type") == "regexp" else ():
            if each.value is not None:
                if not isinstance(each.value, str):
                    raise ValueError("must have values that are text, with match_type: regexp")
                compile_pattern(each.value)
        return value

    @field_validator("libraries")
    @classmethod
    def _library_patterns(cls, value: tuple[Library, ...], info: ValidationInfo) -> tuple[Library, ...]:
        for each in value if info.data.get("match_type") == "regexp" else ():
            compile_pattern(each.name)
            compile_pattern(each.version or "")
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any((self.services, self.span_names, self.span_kinds, self.attributes, self.resources, self.libraries)):
            raise ValueError("must name services, span_names, span_kinds, attributes, resources or libraries")
        return self
