"""From a destination to addresses that were checked. Who connects, connects to these and asks no name server again."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from collector.egress.destination import Destination
from collector.egress.policy import Policy
from config.destinations import Address

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Finds the addresses of a host name, for a port; raises OSError when there are none."""


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """What the system says, from its hosts file or by DNS."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(address[0]) for _, _, _, _, address in found]


async def resolve(policy: Policy, destination: Destination, lookup: Lookup = system_lookup) -> tuple[Address, ...]:
    """The addresses of a destination, in the order in which they should be tried; at least one.

    All of them must be allowed: a name that leads to allowed and other addresses is trusted with none.

    Raises:
        EgressRefused: one may not be sent to.
        OSError: there are none.
    """
    if destination.address is not None:
        addresses: tuple[Address, ...] = (destination.address,)
    else:
        texts = await lookup(destination.host, destination.port)
        # A zone at the end says through which interface; it changes nothing about whether.
        addresses = tuple(dict.fromkeys(ipaddress.ip_address(text.partition("%")[0]) for text in texts))
    if not addresses:
        raise OSError(f"{destination.host} has no addresses")
    for address in addresses:
        policy.check(destination, address)
    return addresses
