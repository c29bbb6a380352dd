"""HTTP connections that lead to checked addresses only, whatever a session asks for.

session = aiohttp.ClientSession(connector=GuardedConnector(policy))
"""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection

from collector.egress.destination import Destination, EgressRefused
from collector.egress.policy import Policy
from collector.egress.resolving import Lookup, resolve, system_lookup


class GuardedConnector(aiohttp.TCPConnector):
    """Checks the destination of every request, redirects among them, before it is connected or taken from the pool.

    Requests raise EgressRefused for what is not allowed. A connection is made to an address that was checked for it: names are
    looked up once, here, and nothing is kept of that.

    Args:
        policy: what is allowed.
        lookup: finds addresses.
        options: as of aiohttp.TCPConnector, but for those that are about looking up names.
    """

    def __init__(self, policy: Policy, lookup: Lookup = system_lookup, **options: Any) -> None:
        super().__init__(resolver=_Resolver(policy, lookup), use_dns_cache=False, **options)
        self._policy = policy

    async def connect(self, req: aiohttp.ClientRequest, *args: Any, **options: Any) -> Connection:
        if req.proxy is not None:
            raise EgressRefused("proxy", "must be reached without a proxy")
        destination = Destination.of_url(req.url)
        if destination.address is not None:
            # Addresses are connected without asking the resolver.
            self._policy.check(destination, destination.address)
        return await super().connect(req, *args, **options)


class _Resolver(AbstractResolver):
    def __init__(self, policy: Policy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        addresses = await resolve(self._policy, Destination.of(host, port), self._lookup)
        families = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=families[address.version],
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept open."""
