"""What a request is called where it is looked at: by failure rules before it is sent, and in its span afterwards."""

from __future__ import annotations

from yarl import URL

from collector.egress.destination import read_url
from collector.monitor.failures.injecting import Request as Subject
from collector.monitor.requests.request import AnyRequest, GrpcRequest, HttpRequest


def service_of(request: AnyRequest, said: str) -> str:
    """The service that is asked: as people have said it, else the host of the URL."""
    return said or read_url(request.url).host or ""


def subject_of(request: AnyRequest, said: str) -> Subject:
    """The request, as failure rules are asked about it.

    Args:
        said: which service is asked, as people have said it; may be empty.
    """
    url, service = read_url(request.url), service_of(request, said)
    server = {"server.address": url.host or ""}
    if isinstance(request, GrpcRequest):
        attributes = {"rpc.system": "grpc", "rpc.method": request.method, **server}
        return Subject(service, f"/{request.method}", request.method, attributes, dict(request.metadata))
    attributes = {"http.request.method": _method(request), "url.path": url.path, "url.full": str(url), **server}
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Subject(service, url.path, span_name(request), attributes, headers)


def span_name(request: AnyRequest) -> str:
    """The name of the span of the request, as its client would give it."""
    return request.method if isinstance(request, GrpcRequest) else f"{_method(request)} {URL(request.url).path}"


def span_attributes(request: AnyRequest, status: int, *, answered: bool) -> dict[str, str | int]:
    """Attributes of the span of the request.

    Args:
        status: of HTTP or gRPC.
        answered: whether there is one.
    """
    url = read_url(request.url)
    attributes: dict[str, str | int] = {"server.address": url.host or "", "server.port": url.port or 0}
    if isinstance(request, GrpcRequest):
        attributes |= {"rpc.system": "grpc", "rpc.method": request.method}
        return attributes | ({"rpc.grpc.status_code": status} if answered else {})
    attributes |= {"http.request.method": _method(request), "url.full": request.url}
    return attributes | ({"http.response.status_code": status} if answered else {})


def _method(request: AnyRequest) -> str:
    return request.method if isinstance(request, HttpRequest) else "POST"
