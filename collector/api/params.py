"""Parameters of the query API: how each is read, and how the OpenAPI document describes it.

A parameter is a value of this module's making; handlers read it from a request, `openapi.py` describes it. Both use the same
definition, so that the document cannot say anything else than the code does.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Generic, TypeVar

from aiohttp import web
from multidict import MultiMapping

from collector.api.problems import BadParameter
from collector.query.store import KINDS, MAX_TIMESTAMP, STATUS_CODES
from collector.query.trace import parse_trace_id
from config.values import Duration

T = TypeVar("T")

_TIMESTAMP: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+\- ]\d{2}:\d{2})", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,19}(?:\.\d{1,9})?", re.ASCII)
# Below: seconds until the year 5138, milliseconds from 1973 on, microseconds from 1973 on; above: nanoseconds.
_EPOCH_UNITS: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))


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
        BadParameter: names the parameter and those that exist.
    """
    names = [parameter.name for parameter in known]
    for name in query:
        if name not in names:
            exist = f"the parameters here are {', '.join(names)}" if names else "this path has no parameters"
            raise BadParameter(name, query[name], exist)


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time or of a number of seconds, milli-, micro- or nanoseconds.

    The unit of a number follows from its size: below 10^11 seconds (with up to nine decimals), below 10^14 milliseconds, below
    10^17 microseconds, else nanoseconds.

    Raises:
        ValueError: neither form, or outside 1970 to 2262.
    """
    nanoseconds = _epoch(text) if _NUMBER.fullmatch(text) else _rfc3339(text)
    if not 0 <= nanoseconds <= MAX_TIMESTAMP:
        raise ValueError("must lie between 1970-01-01 and 2262-04-11")
    return nanoseconds


def _epoch(text: str) -> int:
    number = Decimal(text)
    scale = next((scale for bound, scale in _EPOCH_UNITS if number < bound), 1)
    return int(number * scale)


def _rfc3339(text: str) -> int:
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        raise ValueError("must be a time such as 2026-03-01T12:00:00Z, or a number of seconds, ms, us or ns since 1970")
    date, time, fraction, zone = found.groups()
    # A plus sign that was not percent-encoded arrives as a space.
    offset = "+00:00" if zone in "Zz" else zone.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(f"{date}T{time}{offset}")
    except ValueError as error:
        raise ValueError(f"is not a time that exists: {error}") from error
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))


def parse_duration(text: str) -> int:
    """Nanoseconds of a length of time in Go's form.

    Raises:
        ValueError: not in that form.
    """
    return int(Duration.parse(text))


def parse_attribute(text: str) -> tuple[str, str]:
    """Key and value of `key=value`; the first equals sign parts them.

    Raises:
        ValueError: no equals sign, or no key before it.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ValueError("must be key=value, such as http.request.method=GET")
    return key, value


def parse_uuid(text: str) -> uuid.UUID:
    """An id.

    Raises:
        ValueError: it is no UUID.
    """
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError("must be a UUID") from None


def parse_tolerance(text: str) -> Fraction:
    """A share from 0 to 1.

    Raises:
        ValueError: not a decimal number, or out of that range.
    """
    if not re.fullmatch(r"[01](?:\.\d{1,9})?", text, re.ASCII) or Fraction(text) > 1:
        raise ValueError("must be a number from 0 to 1, such as 0.01")
    return Fraction(text)


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


def choice(names: Sequence[str]) -> Callable[[str], str]:
    """Reads one of these names, in either case."""
    by_lower = {name.lower(): name for name in names}

    def parse(text: str) -> str:
        try:
            return by_lower[text.lower()]
        except KeyError:
            raise ValueError(f"must be one of {', '.join(by_lower)}") from None

    return parse


def _integer(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not minimum <= int(text) <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return int(text)

    return parse


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
    return Parameter(name, description, schema, parse_uuid, None, example="8d1c7a52-0f3e-4c55-9a8b-6a0f5de2c1b7")


def flag(name: str, description: str) -> Parameter[bool | None]:
    """`true` or `false`."""
    choose = choice(("true", "false"))
    return Parameter(name, description, {"type": "boolean"}, lambda text: choose(text) == "true", None)


def limit(default: int, maximum: int, what: str) -> Parameter[int]:
    """The size of a page."""
    return whole_number("limit", f"At most so many {what}.", default, 1, maximum)


def whole_number(name: str, description: str, default: int, minimum: int, maximum: int) -> Parameter[int]:
    """A number of something."""
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum, "default": default}
    return Parameter(name, description, schema, _integer(minimum, maximum), default)


def optional_whole_number(name: str, description: str, minimum: int, maximum: int) -> Parameter[int | None]:
    """A number of something that may be left open."""
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return Parameter(name, description, schema, _integer(minimum, maximum), None)


START: Final[Parameter[int | None]] = Parameter(
    "start",
    f"Start of the time range, included. {_TIME_TEXT} Default: one hour before `end`.",
    {"type": "string"},
    parse_time,
    None,
    example="2026-03-01T12:00:00Z",
)
END: Final[Parameter[int | None]] = Parameter(
    "end",
    f"End of the time range, not included. {_TIME_TEXT} Default: now.",
    {"type": "string"},
    parse_time,
    None,
    example="1772370000",
)
SERVICE: Final = optional_text("service", "Name of a service; the empty text is the service of spans without a name.", "cart")
OPERATION: Final = optional_text("operation", "Name of a span.", "GET /cart")
MINIMUM_DURATION: Final[Parameter[int | None]] = Parameter(
    "minDuration",
    "Shortest duration of a span, such as `250ms` or `1m30s`.",
    {"type": "string"},
    parse_duration,
    None,
    example="250ms",
)
MAXIMUM_DURATION: Final[Parameter[int | None]] = Parameter(
    "maxDuration",
    "Longest duration of a span, such as `250ms` or `1m30s`.",
    {"type": "string"},
    parse_duration,
    None,
    example="250ms",
)
STATUS: Final[Parameter[str | None]] = Parameter(
    "status",
    "Status of a span.",
    {"type": "string", "enum": [name.lower() for name in STATUS_CODES]},
    choice(STATUS_CODES),
    None,
)
KIND: Final[Parameter[str | None]] = Parameter(
    "kind", "Kind of a span.", {"type": "string", "enum": [name.lower() for name in KINDS]}, choice(KINDS), None
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
    parse_attribute,
    ("", ""),
    repeatable=True,
    example="http.request.method=GET",
)
WEIGHTED: Final[Parameter[bool]] = Parameter(
    "weighted",
    "`true`: a span counts for those that sampling has dropped, so that counts need not be whole numbers; `false`: for itself.",
    {"type": "boolean", "default": True},
    lambda text: choice(("true", "false"))(text) == "true",
    True,
)
CURSOR: Final = optional_text("cursor", "`nextCursor` of the page before, with all other parameters unchanged.")
TOLERANCE: Final[Parameter[Fraction]] = Parameter(
    "tolerance",
    "How far successive calls may overlap and still follow each other, as a share of their parent's duration.",
    {"type": "number", "minimum": 0, "maximum": 1, "default": 0.01},
    parse_tolerance,
    Fraction(1, 100),
)
OVERFLOW: Final[Parameter[str]] = Parameter(
    "overflow",
    "A child that ends after its parent is cut to the parent (`clip`) or taken for work that nobody waited for (`ignore`).",
    {"type": "string", "enum": ["clip", "ignore"], "default": "clip"},
    choice(("clip", "ignore")),
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
