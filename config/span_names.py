"""Names and statuses of spans: the settings of the processor `span`."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.patterns import compile_pattern
from config.section import Section
from config.selection import SpanMatch


def _with_names(pattern: str) -> str:
    compiled = compile_pattern(pattern)
    if not compiled.groups or len(compiled.groupindex) != compiled.groups:
        raise ValueError("must be a regular expression whose groups all have names, such as ^/users/(?P<user>[^/]+)")
    return pattern


class ToAttributes(Section):
    """What becomes of parts of a name."""

    rules: Annotated[tuple[Annotated[str, AfterValidator(_with_names)], ...], Field(min_length=1)]
    """Regular expressions. Each named group becomes an attribute, and `{group}` takes the place of its text in the name; each
    rule looks at the name that those before it have left."""
    break_after_match: bool = False
    """Try no further rule once one has matched."""
    keep_original_name: bool = False
    """Leave the name as it is."""


class SpanName(Section):
    """What is done to names."""

    from_attributes: tuple[str, ...] = ()
    """The name becomes the values of these attributes, in this order; it stays as it is where one of them is not there."""
    separator: str = ""
    """What stands between the values."""
    to_attributes: ToAttributes | None = None
    """Makes attributes of parts of the name, after `from_attributes`."""


class SpanStatus(Section):
    """The status that spans get."""

    code: Literal["Unset", "Ok", "Error"]
    """Its code."""
    description: str = ""
    """Its message; only with `Error`."""

    @model_validator(mode="after")
    def _of_an_error(self) -> Self:
        if self.description and self.code != "Error":
            raise ValueError("description needs code: Error")
        return self


class SpanProcessor(Section):
    """Changes names and statuses of spans, of those that `include` and `exclude` choose."""

    include: SpanMatch | None = None
    """Change only spans that match."""
    exclude: SpanMatch | None = None
    """Change no spans that match; looked at after `include`."""
    name: SpanName = SpanName()
    """What is done to names."""
    status: SpanStatus | None = None
    """The status that spans get."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.name.from_attributes and self.name.to_attributes is None and self.status is None:
            raise ValueError("must have name.from_attributes, name.to_attributes or status")
        return self
