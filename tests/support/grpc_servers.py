"""A gRPC server of ours with methods for tests, which fails whatever leaves something behind on it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from collector.receivers.answers import answer_to
from collector.receivers.grpc_server.call import Call, CallFailed, Method, Serve
from collector.receivers.grpc_server.calls import Service
from collector.receivers.grpc_server.headers import Status
from collector.receivers.grpc_server.server import GrpcServer
from collector.receivers.in_flight import InFlight
from collector.receivers.settings import GrpcSettings
from collector.receivers.unserved import unserved
from tests.support.http2 import Http2Client, framed
from tests.support.waiting import until

ECHO: Final = "/test.Service/Echo"
WATCH: Final = "/test.Service/Watch"
LARGEST: Final = 1 << 20
MOST_CALLS: Final = 500


@dataclass
class TestService:
    """What is served: a method that answers with its message, and one that does so without ever ending.

    Attributes:
        in_flight: counts the bytes of both.
        gate: answers wait until it is open.
        failures: what refused calls and connections, by kind.
        reasons: the same in words.
        answered: messages that came.
    """

    __test__ = False

    in_flight: InFlight = field(default_factory=lambda: InFlight(64 << 20))
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failures: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)
    failure: Exception | None = None
    """What happens instead of answers."""

    def __post_init__(self) -> None:
        self.gate.set()
        limits: dict[str, Any] = {"max_bytes": LARGEST, "max_calls": MOST_CALLS, "in_flight": self.in_flight}
        self.methods: Mapping[str, Method] = {
            ECHO: Method(lambda _: self._echo, **limits),
            WATCH: Method(self._watching, **limits, lasts=True),
        }

    @property
    def open_calls(self) -> int:
        """Of all methods."""
        return sum(method.open_calls for method in self.methods.values())

    @property
    def holds_nothing(self) -> bool:
        """Whether no call is open and no byte is held."""
        return not self.open_calls and not self.in_flight.held_bytes

    def failed(self, error: Exception) -> Status:
        """Count why a call or a connection was refused."""
        if isinstance(error, CallFailed):
            self.failures[error.kind] += 1
            return error.status
        answer = answer_to(error)
        self.failures[answer.kind] += 1
        self.reasons.append(answer.message)
        return Status(answer.grpc_code, answer.message, answer.trailers())

    async def _echo(self, message: bytes) -> bytes:
        self.answered.append(bytes(message))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return bytes(message)

    def _watching(self, call: Call) -> Serve:
        async def watch(message: bytes) -> None:
            call.send(bytes(message))
            await asyncio.Event().wait()

        return watch


def refuse(call: Call) -> Serve:
    """What is there for all other paths."""
    raise unserved(call.head.path, "only tests are")


@dataclass
class Serving:
    """A server that was started."""

    service: TestService
    server: GrpcServer

    @property
    def port(self) -> int:
        return self.server.port


@asynccontextmanager
async def serving(
    settings: GrpcSettings | None = None, *, service: TestService | None = None, message_timeout_s: float = 60.0
) -> AsyncIterator[Serving]:
    """Serve on a free port. At the end, nothing may be held any more, and nothing may have gone wrong unseen."""
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    service = service or TestService()
    settings = replace(settings or GrpcSettings(), host="127.0.0.1", port=0)
    server = GrpcServer(settings, Service(service.methods, Method(refuse, max_bytes=0), service.failed, message_timeout_s))
    await server.start()
    try:
        yield Serving(service, server)
    finally:
        await server.stop(0)
    await until(lambda: service.holds_nothing)
    assert service.open_calls == service.in_flight.held_bytes == 0
    assert not unseen


async def echoes(client: Http2Client, message: bytes = b"a message", headers: dict[str, str] | None = None) -> bool:
    """Whether a call is answered as it must be."""
    reply = await client.call(framed(message), headers, ECHO)
    return reply.grpc_status == 0 and reply.data == framed(message)
