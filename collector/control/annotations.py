"""Annotations: what people say of a trace or of one of its spans, and that they want it to stand out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Self

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, ValidationError, model_validator

from collector.control.objects import Kind, ObjectModel, ObjectStore
from collector.control.versions import Stored

AS_THE_TRACE: Final = "trace"
FOR_EVER: Final = "forever"
LONGEST_TEXT: Final = 4000
"""In characters."""
SECOND: Final = 10**9
ENDLESS: Final = 1 << 62
"""Later than any time, in nanoseconds since 1970."""
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""What the table can express, and a little less."""
_TIME: Final[TypeAdapter[datetime]] = TypeAdapter(AwareDatetime)


def _kept(text: str) -> str:
    if text in (AS_THE_TRACE, FOR_EVER):
        return text
    try:
        at = _TIME.validate_strings(text)
    except ValidationError:
        at = _LATEST
    if at >= _LATEST:
        raise ValueError(f"must be {AS_THE_TRACE}, {FOR_EVER}, or a time before 2100 such as 2030-01-31T00:00:00Z")
    return text


def _id(digits: int) -> AfterValidator:
    def check(text: str) -> str:
        lower = text.lower()
        if len(lower) != digits or not set(lower) <= set("0123456789abcdef") or not lower.strip("0"):
            raise ValueError(f"must be {digits} hexadecimal digits, not all of them zero")
        return lower

    return AfterValidator(check)


def _span_id(text: str) -> str:
    return text if not text else str(_SPAN_ID.validate_python(text))


_SPAN_ID: Final[TypeAdapter[str]] = TypeAdapter(Annotated[str, _id(16)])


class Annotation(ObjectModel):
    """A comment or a highlight, or both in one."""

    trace_id: Annotated[str, _id(32)]
    """The trace: 32 hexadecimal digits. An annotation stays with its trace."""
    span_id: Annotated[str, AfterValidator(_span_id)] = ""
    """The span, 16 hexadecimal digits; empty for the trace as a whole."""
    text: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""
    """What is said, at most 4000 characters; empty for a mere highlight."""
    colour: Annotated[str, Field(pattern=r"^(|red|orange|yellow|green|blue|purple|grey|#[0-9a-fA-F]{6})$")] = ""
    """In which it is shown: the name of one, or `#rrggbb`; empty for that of a comment."""
    keep: Annotated[str, AfterValidator(_kept)] = AS_THE_TRACE
    """Until when it is kept: `trace`, as long as spans of today are; `forever`; or a time (RFC 3339), if that is later. A change
    can only make it longer."""
    kept_until: Annotated[AwareDatetime | None, Field(json_schema_extra={"readOnly": True})] = None
    """What follows from `keep`, whatever a request says; null for ever."""
    target_found: Annotated[bool, Field(json_schema_extra={"readOnly": True})] = False
    """Whether the span, or one of the trace, was stored when this was said, whatever a request says."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text and not self.colour:
            raise ValueError("must have a text or a colour")
        return self

    def completed(self, now_s: int, spans_ttl_s: int, *, target_found: bool, before: Annotation | None = None) -> Annotation:
        """The same with what follows from it.

        Args:
            now_s: seconds since 1970.
            spans_ttl_s: how long spans are kept, in seconds; 0 for ever.
            before: what was said in place of this; as long as `keep` stays the same, shorter times for spans shorten nothing.
        """
        until = None
        if self.keep != FOR_EVER and spans_ttl_s:
            until = min(datetime.fromtimestamp(now_s + spans_ttl_s, UTC), _LATEST)
            if self.keep != AS_THE_TRACE:
                until = max(until, _TIME.validate_strings(self.keep))
        if before is not None and before.keep == self.keep and until is not None:
            until = None if before.kept_until is None else max(until, before.kept_until)
        return self.model_copy(update={"kept_until": until, "target_found": target_found})


def _text(annotation: Annotation) -> str:
    return annotation.text


def _trace(annotation: Annotation) -> str:
    return annotation.trace_id


def _expires_s(annotation: Annotation) -> int:
    return 0 if annotation.kept_until is None else int(annotation.kept_until.timestamp())


ANNOTATIONS: Final = Kind("annotation", Annotation, _text, _trace, _expires_s)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which annotations are asked for; what is empty is no condition.

    Attributes:
        trace_id: of the trace.
        span_id: of the span.
        author: who made it.
        text: stands in it, in either case.
        start, end: it was made in [start, end), nanoseconds since 1970.
    """

    trace_id: str = ""
    span_id: str = ""
    author: str = ""
    text: str = ""
    start: int = 0
    end: int = ENDLESS


async def find_annotations(
    store: ObjectStore[Annotation], workspace: str, wanted: Wanted, limit: int, before: tuple[int, uuid.UUID] | None = None
) -> Sequence[Stored[Annotation]]:
    """Annotations of a workspace, the latest first by when they were made.

    Args:
        before: time and id of the one behind which the page begins.
    """
    conditions = ["Created >= {start:Int64}", "Created < {end:Int64}"]
    parameters: dict[str, object] = {"start": wanted.start, "end": wanted.end, "limit": limit}
    for value, name, condition in (
        (wanted.span_id, "span", "JSONExtractString(Body, 'spanId') = {span:String}"),
        (wanted.author, "author", "CreatedBy = {author:String}"),
        (wanted.text, "text", "positionCaseInsensitiveUTF8(Name, {text:String}) > 0"),
    ):
        if value:
            conditions.append(condition)
            parameters[name] = value
    if before is not None:
        conditions.append("(Created, toString(Id)) < ({at:Int64}, {id:String})")
        parameters |= {"at": before[0], "id": str(before[1])}
    then = f"AND {' AND '.join(conditions)} ORDER BY Created DESC, toString(Id) DESC LIMIT {{limit:UInt32}}"
    return await store.select(workspace, then, parameters, wanted.trace_id)
