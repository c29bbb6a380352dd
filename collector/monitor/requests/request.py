"""What a request is, as people describe it, and the HTTP that is made of it.

Values of headers may name secrets of the configuration, as `Bearer ${secret:NAME}`. Descriptions are stored and shown with the
names; the secrets themselves are put in when the request is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator, Base64Bytes, Field, field_validator
from yarl import URL

from collector.control.objects import ObjectModel
from collector.egress.destination import read_url
from collector.monitor.fields import Url

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}")
_METADATA_NAME: Final = re.compile(r"[a-z0-9_.-]{1,100}", re.ASCII)
_SECRET: Final = re.compile(r"\$\{secret:([^}]*)\}")
_OURS: Final = frozenset({"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade", "expect"})
"""What is said in these follows from the request."""
_TRACE_CONTEXT: Final = frozenset({"traceparent", "tracestate", "x-trace-id", "x-span-id", "x-parent-span-id"})
"""Each request that is sent has a trace of its own."""
_LONGEST_BODY: Final = 48 << 10
"""The API takes 64 KiB for a whole object, of which lists show a thousand; in base64 this much fills it."""


def _header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("must be a name of a header, such as Accept")
    if name.lower() in _OURS | _TRACE_CONTEXT:
        raise ValueError("is set for each request; leave it out")
    return name


def _header_value(value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise ValueError("must be of at most 8000 characters of ISO 8859-1, without line breaks")
    return value


def _metadata_name(name: str) -> str:
    if not _METADATA_NAME.fullmatch(name) or name.startswith("grpc-") or name.endswith("-bin"):
        raise ValueError("must be lower case letters, digits, dots, underscores and hyphens, not grpc-... and not ...-bin")
    if name in _OURS | _TRACE_CONTEXT:
        raise ValueError("is set for each request; leave it out")
    return name


Metadata = Annotated[
    Mapping[Annotated[str, AfterValidator(_metadata_name)], Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,8000}$")]],
    Field(max_length=50),
]
"""Names and values of gRPC metadata."""
Headers = Annotated[
    Mapping[Annotated[str, AfterValidator(_header_name)], Annotated[str, AfterValidator(_header_value)]], Field(max_length=50)
]
"""Names and values of headers."""


class HttpRequest(ObjectModel):
    """A request over HTTP."""

    kind: Literal["http"] = "http"
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    url: Url
    """Where to, with path and query."""
    headers: Headers = Field(default_factory=dict)
    """`Host`, the length of the body and the trace context are set for each request. `${secret:NAME}` in a value stands for a
    secret of the configuration."""
    body: Annotated[str, Field(max_length=_LONGEST_BODY)] = ""
    """Sent as UTF-8."""


class GraphqlRequest(ObjectModel):
    """A GraphQL operation, sent by POST as JSON. It succeeds only without `errors` in the answer."""

    kind: Literal["graphql"] = "graphql"
    url: Url
    """Where to."""
    headers: Headers = Field(default_factory=dict)
    """As of HTTP requests."""
    query: Annotated[str, Field(min_length=1, max_length=_LONGEST_BODY)]
    """The document."""
    variables: Mapping[str, Any] = Field(default_factory=dict)
    """Values of its variables."""
    operation_name: Annotated[str, Field(max_length=200)] = ""
    """Which of its operations, where it has several."""


class GrpcRequest(ObjectModel):
    """A unary call over gRPC. What its messages are, the server is asked (server reflection), unless that is said here."""

    kind: Literal["grpc"] = "grpc"
    url: Url
    """Where to, without a path: `http://host:port` in clear text, `https://host:port` with TLS."""
    method: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*/[A-Za-z_]\w*$", max_length=400)]
    """The full name of the service, a slash, and the name of the method."""
    metadata: Metadata = Field(default_factory=dict)
    """Names in lower case, and values, which may name secrets as those of headers."""
    message: Mapping[str, Any] = Field(default_factory=dict)
    """The request's message, in the JSON form of protobuf."""
    descriptors: Annotated[Base64Bytes, Field(max_length=_LONGEST_BODY)] = b""
    """A `FileDescriptorSet` with all files that the messages need, for servers without reflection, as base64."""
    expected_status: Annotated[str, Field(pattern="^[A-Z_]{2,30}$")] = "OK"
    """The status that counts as a success."""

    @field_validator("url")
    @classmethod
    def _without_path(cls, text: str) -> str:
        url = URL(text)
        if url.raw_path not in ("", "/") or url.raw_query_string or url.raw_fragment:
            raise ValueError("must be without a path: method says what is called")
        return text


AnyRequest = Annotated[HttpRequest | GraphqlRequest | GrpcRequest, Field(discriminator="kind")]
"""Whatever can be sent."""


def server_name_of(url: URL) -> str:
    """Whose certificate a server must show; empty where connections are in clear text."""
    return (url.raw_host or "") if url.scheme == "https" else ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request, as it goes over the wire, but for its trace context.

    Attributes:
        method, url: and where to.
        headers: names and values, `Host` first, secrets put in.
        body: as bytes.
        no_errors: whether an answer with GraphQL errors is a failure.
        own_headers: those of the headers that the request does not say itself.
    """

    method: str
    url: URL
    headers: tuple[tuple[str, str], ...]
    body: bytes
    no_errors: bool = False
    own_headers: tuple[tuple[str, str], ...] = ()


def prepare(request: HttpRequest | GraphqlRequest, secret: Callable[[str], str], agent: str) -> Prepared:
    """Make the HTTP of a request.

    Args:
        secret: the value of a secret's name; what it raises goes through.
        agent: says who asks, where the request does not.
    """
    url = read_url(request.url)
    headers = {"User-Agent": agent, "Accept": "*/*"}
    if isinstance(request, GraphqlRequest):
        method, no_errors = "POST", True
        headers |= {"Content-Type": "application/json", "Accept": "application/graphql-response+json, application/json;q=0.9"}
        operation: dict[str, Any] = {"query": request.query, "variables": request.variables}
        if request.operation_name:
            operation["operationName"] = request.operation_name
        body = orjson.dumps(operation)
    else:
        method, no_errors = request.method, False
        body = request.body.encode()
    said_there = {name.lower() for name in request.headers}
    own = [("Host", url.host_port_subcomponent or "")]
    own += [(name, text) for name, text in headers.items() if name.lower() not in said_there]
    said = [(name, with_secrets(text, secret)) for name, text in request.headers.items()]
    return Prepared(method, url, (*own, *said), body, no_errors, tuple(own))


def with_secrets(text: str, secret: Callable[[str], str]) -> str:
    """A text in which `${secret:NAME}` gives way to the value of that secret."""
    return _SECRET.sub(lambda found: secret(found[1]), text)
