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
from pydantic import AfterValidator, Field
from yarl import URL

from collector.control.objects import ObjectModel
from collector.egress.destination import EgressRefused, read_url

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}")
_SECRET: Final = re.compile(r"\$\{secret:([^}]*)\}")
_OURS: Final = frozenset({"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade", "expect"})
"""What is said in these follows from the request."""
_TRACE_CONTEXT: Final = frozenset({"traceparent", "tracestate", "x-trace-id", "x-span-id", "x-parent-span-id"})
"""Each request that is sent has a trace of its own."""
_LONGEST_BODY: Final = 1 << 20


def _url(text: str) -> str:
    try:
        read_url(text)
    except EgressRefused as error:
        raise ValueError(str(error)) from None
    return text


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


Url = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_url)]
"""An absolute URL of HTTP, without user and password. Whether it may be asked, is found out when it is."""
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


WebRequest = Annotated[HttpRequest | GraphqlRequest, Field(discriminator="kind")]
"""What is sent over HTTP."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request, as it goes over the wire, but for its trace context.

    Attributes:
        method, url: and where to.
        headers: names and values, `Host` first, secrets put in.
        body: as bytes.
        no_errors: whether an answer with GraphQL errors is a failure.
    """

    method: str
    url: URL
    headers: tuple[tuple[str, str], ...]
    body: bytes
    no_errors: bool = False


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
        said: dict[str, Any] = {"query": request.query, "variables": request.variables}
        if request.operation_name:
            said["operationName"] = request.operation_name
        body = orjson.dumps(said)
    else:
        method, no_errors = request.method, False
        body = request.body.encode()
    said_there = {name.lower() for name in request.headers}
    lines = [("Host", url.host_port_subcomponent or "")]
    lines += [(name, text) for name, text in headers.items() if name.lower() not in said_there]
    lines += [(name, _SECRET.sub(lambda found: secret(found[1]), text)) for name, text in request.headers.items()]
    return Prepared(method, url, tuple(lines), body, no_errors)
