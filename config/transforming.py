"""What is done to spans by statements in OTTL: the settings of the processor `transform`."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema, model_validator

from config.ottl import Condition, Context, read_condition, read_flat_condition
from config.ottl_statements import Statement, read_flat_statement, read_statement
from config.section import Section

ErrorMode = Literal["ignore", "silent", "propagate"]
_SPANS_ONLY = "spanhouse takes spans only"


def _read(what: str, flat: Callable[[str], Any], about: Callable[[str, Context], Any]) -> PlainValidator:
    """Reads a text of a group, by the group's context if it has one."""

    def read(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, Statement):
            return value
        if not isinstance(value, str):
            raise ValueError(f"must be a {what}, as text")  # noqa: TRY004 - what pydantic takes for a fault of the value
        if "context" not in info.data:
            return value  # the context is wrong, which has been said
        context = info.data["context"]
        return flat(value) if context is None else about(value, context)

    return PlainValidator(read)


_AS_TEXT = (WithJsonSchema({"type": "string"}), PlainSerializer(str))
GroupCondition = Annotated[Condition, _read("condition", read_flat_condition, read_condition), *_AS_TEXT]
"""A condition in OTTL of a group of statements."""
GroupStatement = Annotated[Statement, _read("statement", read_flat_statement, read_statement), *_AS_TEXT]
"""A statement in OTTL of a group."""


def _some(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    if not statements:
        raise ValueError("must not be empty")
    return statements


class StatementGroup(Section):
    """Statements that are done one after the other, or a statement alone."""

    context: Literal["resource", "scope", "span", "spanevent"] | None = None
    """What the statements are about, and paths without prefix. Without, every path begins with what it is about."""
    error_mode: ErrorMode | None = None
    """As `error_mode` of the processor, for this group."""
    conditions: tuple[GroupCondition, ...] = ()
    """The statements are done where one of these holds; without any, everywhere."""
    statements: Annotated[tuple[GroupStatement, ...], AfterValidator(_some)]
    """What is done, such as `set(span.attributes["tenant"], "none") where span.attributes["tenant"] == nil`."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"statements": (read_flat_statement(value),)}
        if isinstance(value, Mapping | cls):
            return value
        raise ValueError("must be a statement, as text, or a group of statements")


def _or_text(schema: dict[str, Any]) -> None:
    schema["items"] = {"anyOf": [schema["items"], {"type": "string"}]}


class TransformProcessor(Section):
    """Changes spans, their events, scopes and resources by statements in OTTL."""

    error_mode: ErrorMode = "ignore"
    """What follows where a statement cannot be done, as with the length of what is not there: `ignore` logs it and leaves the
    span as it is, `silent` does so without a word, and `propagate` drops the span. All are counted."""
    trace_statements: Annotated[tuple[StatementGroup, ...], Field(json_schema_extra=_or_text)] = ()
    """Statements whose paths all begin with what they are about, or groups of statements; they are done in this order."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "metric_statements": _SPANS_ONLY,
        "log_statements": _SPANS_ONLY,
        "profile_statements": _SPANS_ONLY,
        "flatten_data": _SPANS_ONLY,
    }
