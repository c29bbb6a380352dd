"""The base of every part of the configuration."""

from collections.abc import Mapping
from types import UnionType
from typing import ClassVar, get_args

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping in the configuration file: its keys are known, checked and never change after loading."""

    # Defaults are checked as well: one may not suit a key beside it, as host:port does not suit `transport: unix`.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)

    reference_only: ClassVar[Mapping[str, str]] = {}
    """Keys that the OpenTelemetry Collector has here and this release has not: what to do without them.

    `traces/name` stands for `traces/` with any name.
    """

    @classmethod
    def subsection(cls, key: str) -> "type[Section] | None":
        """The section that stands under `key`, or None where a plain value stands."""
        field = cls.model_fields.get(key)
        if field is None:
            return None
        optional = isinstance(field.annotation, UnionType)
        for annotation in get_args(field.annotation) if optional else (field.annotation,):
            if isinstance(annotation, type) and issubclass(annotation, Section):
                return annotation
        return None

    @classmethod
    def item_section(cls, key: str) -> "type[Section] | None":
        """The section that each item is of the list or mapping that stands under `key`, or None where there is no such."""
        field = cls.model_fields.get(key)
        annotations = get_args(field.annotation) if field is not None and cls.subsection(key) is None else ()
        return next((each for each in annotations if isinstance(each, type) and issubclass(each, Section)), None)

    @classmethod
    def instead_of(cls, key: str) -> str | None:
        """What to do without `key`, if it is one that only the OpenTelemetry Collector has; None for other keys."""
        stem, slash, _ = key.partition("/")
        named = f"{stem}/name" if slash else key
        return cls.reference_only.get(named, cls.reference_only.get(stem))
