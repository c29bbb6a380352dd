"""A service made with Django, with threads and with asyncio: `/cart/7`, `/broken` and `/stream`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import path
from opentelemetry import propagate
from opentelemetry.instrumentation.django import DjangoInstrumentor
from spanhouse_sdk import get_trace_id


def _told() -> JsonResponse:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return JsonResponse({"ids": [get_trace_id()], "out": carrier})


def _cart(request: HttpRequest, number: int) -> HttpResponseBase:
    return _told()


async def _cart_with_asyncio(request: HttpRequest, number: int) -> HttpResponseBase:
    return _told()


def _broken(request: HttpRequest) -> HttpResponseBase:
    raise RuntimeError("broken")


async def _broken_with_asyncio(request: HttpRequest) -> HttpResponseBase:
    raise RuntimeError("broken")


def _stream(request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(get_trace_id() or "-" for _ in range(3))


async def _stream_with_asyncio(request: HttpRequest) -> HttpResponseBase:
    async def parts() -> AsyncIterator[str]:
        for _ in range(3):
            yield get_trace_id() or "-"

    return StreamingHttpResponse(parts())


def _configure(cart: Any, broken: Any, stream: Any) -> None:
    """Say what the next application is made of; a process has its settings once."""
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["cart"], SECRET_KEY="secret", MIDDLEWARE=[], LOGGING_CONFIG=None)
    settings.ROOT_URLCONF = (path("cart/<int:number>", cart), path("broken", broken), path("stream", stream))


def django_wsgi(*, instrumented: bool) -> Any:
    """The service for WSGI.

    Args:
        instrumented: whether with OpenTelemetry's instrumentation.
    """
    _configure(_cart, _broken, _stream)
    return _made(get_wsgi_application, instrumented=instrumented)


def django_asgi(*, instrumented: bool) -> Any:
    """The same for ASGI."""
    _configure(_cart_with_asyncio, _broken_with_asyncio, _stream_with_asyncio)
    return _made(get_asgi_application, instrumented=instrumented)


def _made(make: Callable[..., Any], *, instrumented: bool) -> Any:
    if not instrumented:
        return make()
    # It adds to the settings, from which applications take their middlewares when they are made.
    DjangoInstrumentor().instrument()
    try:
        return make()
    finally:
        DjangoInstrumentor().uninstrument()
