"""Values that the dialect writes as text: durations, addresses, identifiers."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

_NANOSECONDS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,  # the micro sign
    "μs": 1_000,  # the Greek letter, which Go accepts as well
    "ns": 1,
}
_DURATION_PART = r"(\d+)(?:\.(\d+))?(ns|us|µs|μs|ms|s|m|h)"
_LONGEST_NS = 2**63 - 1
_UNIX_PATH_BYTES = 107  # what Linux' sockaddr_un holds besides the closing zero
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Duration(int):
    """A length of time: an integer number of nanoseconds, written as in Go (`200ms`, `1m30s`, `0`)."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read Go's form. Raises ValueError for anything else, negative lengths included."""
        if text == "0":
            return cls(0)
        if not re.fullmatch(f"(?:{_DURATION_PART})+", text, re.ASCII):
            raise ValueError("must be a duration with a unit, such as 200ms, 5s or 1m30s")
        total = 0
        for whole, fraction, unit in re.findall(_DURATION_PART, text, re.ASCII):
            scale = _NANOSECONDS[unit]
            total += int(whole) * scale + int(fraction or 0) * scale // 10 ** len(fraction)
        if total > _LONGEST_NS:
            raise ValueError("must be at most 2562047h, the longest duration of the dialect")
        return cls(total)

    @property
    def seconds(self) -> float:
        """The same length in seconds."""
        return self / 1_000_000_000

    def __str__(self) -> str:
        if not self:
            return "0s"
        parts = []
        rest = int(self)
        for unit in ("h", "m", "s", "ms", "us", "ns"):
            count, rest = divmod(rest, _NANOSECONDS[unit])
            if count:
                parts.append(f"{count}{unit}")
        return "".join(parts)

    def __repr__(self) -> str:
        return f"Duration.parse({str(self)!r})"

    @classmethod
    def _validate(cls, value: Any) -> "Duration":
        if isinstance(value, Duration):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, int) and not isinstance(value, bool):
            # The reference would take a bare number as nanoseconds, which nobody means.
            return cls.parse(str(value))
        raise ValueError("must be a duration with a unit, such as 200ms, 5s or 1m30s")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "pattern": f"^(?:0|(?:{_DURATION_PART})+)$"}, {"const": 0}]}


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Where a server listens: a host name or address, and a port (0 lets the system choose one)."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "TcpAddress":
        """Read `host:port`, `[ipv6]:port`, or `:port` for all interfaces. Raises ValueError for other forms."""
        if "://" in text:
            raise ValueError("must be host:port without a scheme")
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:/\[\]@]*)):(\d{1,5})", text, re.ASCII)
        if match is None:
            raise ValueError("must be host:port, such as localhost:4317 or [::1]:4317")
        port = int(match[3])
        if port > 65_535:
            raise ValueError("must have a port from 0 to 65535")
        return cls(match[1] or match[2] or "0.0.0.0", port)  # noqa: S104 - Go's reading of ":port"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """Where a server listens: the path of a Unix domain socket."""

    path: str

    @classmethod
    def parse(cls, text: str) -> "UnixAddress":
        """Read a socket's path. Raises ValueError when it is empty, a URL, or longer than a socket may be."""
        if text.startswith("unix:"):
            raise ValueError("must be the path alone, without unix:")
        if not text or "\0" in text or "/" not in text:
            raise ValueError("must be the path of a socket, such as /run/spanhouse/otlp.sock, with transport: unix")
        if len(text.encode()) > _UNIX_PATH_BYTES:
            raise ValueError(f"must be a path of at most {_UNIX_PATH_BYTES} bytes, the longest a socket can have")
        return cls(text)

    def __str__(self) -> str:
        return self.path


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine itself: what listens there can be reached from here alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refuse_booleans(value: Any) -> Any:
    """Before a number is read: YAML's booleans are none, whatever Python says."""
    if isinstance(value, bool):
        raise PydanticKnownError("int_type")
    return value


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError("must be text, a number or a boolean")  # noqa: TRY004 - what pydantic takes for a fault of the value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("must be a whole number of at most 64 bits")
    return value


def _tcp_endpoint(text: str) -> str:
    TcpAddress.parse(text)
    return text


def _identifier(text: str) -> str:
    if not _IDENTIFIER.fullmatch(text):
        raise ValueError("must be a plain name of letters, digits and underscores")
    return text


def zero_means(default: int) -> AfterValidator:
    """A limit of 0 stands for `default`, never for "no limit" (receiver contract LIMIT-07)."""
    return AfterValidator(lambda value: value or default)


AnyCase = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
"""For words that may be written in any case."""

Count = Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(refuse_booleans)]
"""A whole number from 0."""

PositiveCount = Annotated[int, Field(ge=1, le=2**63 - 1), BeforeValidator(refuse_booleans)]
"""A whole number from 1."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(refuse_booleans)]
"""A number from 0 to 1."""

Scalar = Annotated[Any, AfterValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean"]})]
"""The value of an attribute: text, a whole number of 64 bits, a number or a boolean, as YAML tells them apart."""

TcpEndpoint = Annotated[str, AfterValidator(_tcp_endpoint)]
"""Text that `TcpAddress.parse` reads."""

Identifier = Annotated[str, AfterValidator(_identifier)]
"""A name that ClickHouse takes without quotes."""
