"""Parameters of the query API: how each is read, and how the OpenAPI document describes it.

A parameter is a value of this module's making; handlers read it from a request, `openapi.py` describes it. Both use the same
definition, so that the document cannot say anything else than the code does.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Generic, TypeVar

from aiohttp import web
from multidict import MultiMapping

from collector.api import parsing
from collector.api.problems import BadParameter
from collector.query.store import KINDS, STATUS_CODES
from collector.query.trace import parse_trace_id
from config.problems import alternatives

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T]):
    """One query parameter.

    Attributes:
        name: as in the URL.
        description: for the OpenAPI document.
        schema: JSON schema of the text.
        parse: the value of a text; raises ValueError with what would be right.
        default: value when the parameter is absent.
        repeatable: whether it may be given several times.
        required: whether it must be given; the default has no meaning then.
        example: a text of it.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    parse: Callable[[str], T]
    default: T
    repeatable: bool = False
    required: bool = False
    example: str = ""

    def read(self, query: MultiMapping[str]) -> T:
        """The value in a request's query.

        Raises:
            BadParameter: the text is not one of this parameter, or it is given more than once, or not at all though it must be.
        """
        texts = query.getall(self.name, [])
        if not texts and self.required:
            raise BadParameter(self.name, "", "must be given")
        if not texts:
            return self.default
        if len(texts) > 1:
            raise BadParameter(self.name, texts[1], "may be given once only")
        return self._value(texts[0])

    def read_all(self, query: MultiMapping[str]) -> list[T]:
        """The values of a repeatable parameter, in order."""
        return [self._value(text) for text in query.getall(self.name, [])]

    def _value(self, text: str) -> T:
        try:
            return self.parse(text)
        except ValueError as error:
            raise BadParameter(self.name, text, str(error)) from error


def refuse_unknown(query: MultiMapping[str], known: Sequence[Parameter[Any]]) -> None:
    """Refuse parameters that the path does not have: a misspelt filter must not look like one that matched.

    Raises:
        BadParameter: names the parameter, and the nearest of those that exist, or all of them where none is near.
    """
    names = [parameter.name for parameter in known]
    for name in query:
        if name not in names:
            remedy = alternatives(name, names, "the parameters here are") or "this path has no parameters"
            raise BadParameter(name, query[name], remedy)


def path_trace_id(request: web.Request) -> str:
    """The trace id in the path, as 32 hex digits.

    Raises:
        BadParameter: it is not one.
    """
    text = request.match_info["trace_id"]
    try:
        return parse_trace_id(text)
    except ValueError as error:
        raise BadParameter("trace_id", text, str(error)) from error


_TIME_TEXT: Final = (
    "RFC 3339 (`2026-03-01T12:00:00Z`), or a number since 1970: below 10^11 seconds, below 10^14 milliseconds, "
    "below 10^17 microseconds, else nanoseconds."
)


def optional_text(name: str, description: str, example: str = "") -> Parameter[str | None]:
    """A text of any kind."""
    return Parameter(name, description, {"type": "string"}, str, None, example=example)


def optional_id(name: str, description: str) -> Parameter[uuid.UUID | None]:
    """The id of something."""
    schema = {"type": "string", "format": "uuid"}
    return Parameter(name, description, schema, parsing.parse_uuid, None, example="8d1c7a52-0f3e-4c55-9a8b-6a0f5de2c1b7")


def flag(name: str, description: str) -> Parameter[bool | None]:
    """`true` or `false`."""
    choose = parsing.choice(("true", "false"))
    return Parameter(name, description, {"type": "boolean"}, lambda text: choose(text) == "true", None)


def limit(default: int, maximum: int, what: str) -> Parameter[int]:
    """The size of a page."""
    return whole_number("limit", f"At most so many {what}.", default, 1, maximum)


def whole_number(name: str, description: str, default: int, minimum: int, maximum: int) -> Parameter[int]:
    """A number of something."""
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum, "default": default}
    return Parameter(name, description, schema, parsing.whole(minimum, maximum), default)


def optional_whole_number(name: str, description: str, minimum: int, maximum: int) -> Parameter[int | None]:
    """A number of something that may be left open."""
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return Parameter(name, description, schema, parsing.whole(minimum, maximum), None)


START: Final[Parameter[int | None]] = Parameter(
    "start",
    f"Start of the time range, included. {_TIME_TEXT} Default: one hour before `end`.",
    {"type": "string"},
    parsing.parse_time,
    None,
    example="2026-03-01T12:00:00Z",
)
END: Final[Parameter[int | None]] = Parameter(
    "end",
    f"End of the time range, not included. {_TIME_TEXT} Default: now.",
    {"type": "string"},
    parsing.parse_time,
    None,
    example="1772370000",
)
SERVICE: Final = optional_text("service", "Name of a service; the empty text is the service of spans without a name.", "cart")
OPERATION: Final = optional_text("operation", "Name of a span.", "GET /cart")
MINIMUM_DURATION: Final[Parameter[int | None]] = Parameter(
    "minDuration",
    "Shortest duration of a span, such as `250ms` or `1m30s`.",
    {"type": "string"},
    parsing.parse_duration,
    None,
    example="250ms",
)
MAXIMUM_DURATION: Final[Parameter[int | None]] = Parameter(
    "maxDuration",
    "Longest duration of a span, such as `250ms` or `1m30s`.",
    {"type": "string"},
    parsing.parse_duration,
    None,
    example="250ms",
)
STATUS: Final[Parameter[str | None]] = Parameter(
    "status",
    "Status of a span.",
    {"type": "string", "enum": [name.lower() for name in STATUS_CODES]},
    parsing.choice(STATUS_CODES),
    None,
)
KIND: Final[Parameter[str | None]] = Parameter(
    "kind", "Kind of a span.", {"type": "string", "enum": [name.lower() for name in KINDS]}, parsing.choice(KINDS), None
)
INJECTED: Final = flag(
    "injected",
    "Only spans that failed on purpose, by a failure rule, or only the others. For this, `spanhouse.failure.type` must be a"
    " dimension of `red_metrics`.",
)
ATTRIBUTE: Final[Parameter[tuple[str, str]]] = Parameter(
    "attribute",
    "`key=value`: the span, its resource, scope, events or links have this attribute; the value is compared as text. May be "
    "repeated; all must hold on the same span. `error`, `span.kind`, `span.status`, `scope.name` and `scope.version` mean the "
    "span's own fields; a key that begins with `resource.` is looked up in the resource only.",
    {"type": "string", "pattern": "^[^=]+="},
    parsing.parse_attribute,
    ("", ""),
    repeatable=True,
    example="http.request.method=GET",
)
WEIGHTED: Final[Parameter[bool]] = Parameter(
    "weighted",
    "`true`: a span counts for those that sampling has dropped, so that counts need not be whole numbers; `false`: for itself.",
    {"type": "boolean", "default": True},
    lambda text: parsing.choice(("true", "false"))(text) == "true",
    True,
)
CURSOR: Final = optional_text("cursor", "`nextCursor` of the page before, with all other parameters unchanged.")
TOLERANCE: Final[Parameter[Fraction]] = Parameter(
    "tolerance",
    "How far successive calls may overlap and still follow each other, as a share of their parent's duration.",
    {"type": "number", "minimum": 0, "maximum": 1, "default": 0.01},
    parsing.parse_tolerance,
    Fraction(1, 100),
)
OVERFLOW: Final[Parameter[str]] = Parameter(
    "overflow",
    "A child that ends after its parent is cut to the parent (`clip`) or taken for work that nobody waited for (`ignore`).",
    {"type": "string", "enum": ["clip", "ignore"], "default": "clip"},
    parsing.choice(("clip", "ignore")),
    "clip",
)

TRACE_ID_EXAMPLE: Final = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID_EXAMPLE: Final = "b7ad6b7169203331"
DEFAULT_RANGE: Final = 3_600 * 10**9
"""Length of the time range when `start` is absent, nanoseconds."""


def time_range(query: MultiMapping[str], now: int) -> tuple[int, int]:
    """`start` and `end` in nanoseconds, with their defaults.

    Args:
        now: nanoseconds since 1970.

    Raises:
        BadParameter: one is not a time, or the range is empty.
    """
    end = END.read(query)
    # A span that starts this very nanosecond is in the default range.
    end = now + 1 if end is None else end
    start = START.read(query)
    start = max(end - DEFAULT_RANGE, 0) if start is None else start
    if start >= end:
        name = START.name if START.name in query else END.name
        raise BadParameter(name, query.get(name, ""), "start must lie before end")
    return start, end
