"""Which backends there are: a list, or the addresses of a name."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class ResolveError(Exception):
    """It could not be found out which backends there are."""


class Resolver(Protocol):
    """Finds out which backends there are.

    Attributes:
        kind: a word for metrics.
        interval_s: seconds until it may have changed; None where it never does.
    """

    @property
    def kind(self) -> str: ...

    @property
    def interval_s(self) -> float | None: ...

    async def resolve(self) -> Sequence[str]:
        """Their addresses, `host:port` each, at least one. Raises ResolveError."""


@dataclass(frozen=True, slots=True)
class StaticResolver:
    """Backends that are listed."""

    addresses: Sequence[str]

    @property
    def kind(self) -> str:
        return "static"

    @property
    def interval_s(self) -> None:
        return None

    async def resolve(self) -> Sequence[str]:
        return self.addresses


@dataclass(frozen=True, slots=True)
class DnsResolver:
    """The addresses of a name, IPv4 and IPv6, all with one port.

    Attributes:
        hostname: the name.
        port: of all backends.
        interval_s: as in Resolver.
        timeout_s: seconds that a look may take.
    """

    hostname: str
    port: int
    interval_s: float
    timeout_s: float

    @property
    def kind(self) -> str:
        return "dns"

    async def resolve(self) -> Sequence[str]:
        looked_up = asyncio.get_running_loop().getaddrinfo(self.hostname, self.port, type=socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(self.timeout_s):
                found = await looked_up
        except TimeoutError as error:
            raise ResolveError(f"{self.hostname}: no answer within {self.timeout_s:g} s") from error
        except OSError as error:
            raise ResolveError(f"{self.hostname}: {error.strerror or error}") from error
        except UnicodeError as error:
            raise ResolveError(f"{self.hostname}: is no host name: {error}") from error
        return sorted({_address(str(where[0]), self.port) for *_, where in found})


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
