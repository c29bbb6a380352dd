"""Addresses and networks in texts, read as Go's library reads them, which rules were written for."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_CIDR: Final = re.compile(r"[^/%]+/[0-9]{1,3}")
_MAPPED_BITS: Final = 96
"""Bits of an IPv6 address in front of an IPv4 address that it stands for."""


def address_in(text: str) -> Address | None:
    """An address; one of IPv4 that is written as IPv6 is one of IPv4. None where the text is none, or names a zone."""
    if "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=1024)
def network_in(text: str) -> Network:
    """The network in which an address with so many bits in front lies. Raises ValueError."""
    refusal = ValueError(f"{text} is no network; write 10.0.0.0/8 or fd00::/8")
    if not _CIDR.fullmatch(text):
        raise refusal
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise refusal from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
