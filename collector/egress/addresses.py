"""What kind of address one is: who may be at its other end."""

from __future__ import annotations

import ipaddress
from enum import Enum
from typing import Final

from config.destinations import Address


class Kind(Enum):
    """Kinds of addresses. The value is what a message calls them."""

    PUBLIC = "a public address"
    LOOPBACK = "this machine"
    PRIVATE = "a private address"
    LINK_LOCAL = "a link-local address"
    METADATA = "the metadata service of a cloud"
    UNSPECIFIED = "an unspecified address"
    MULTICAST = "a multicast address"
    RESERVED = "a reserved address"


_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # Amazon, Azure, Google and most others
            "169.254.170.2",  # Amazon ECS
            "169.254.170.23",  # Amazon EKS
            "fd00:ec2::254",  # Amazon, over IPv6
            "fd00:ec2::23",
            "fd20:ce::254",  # Google, over IPv6
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's host agent
            "192.0.0.192",  # Oracle
        ),
    )
)
_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
_FUTURE_USE: Final = ipaddress.IPv4Network("240.0.0.0/4")
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to (mapped, compatible, 6to4, NAT64), and any other address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return inner
    # ::0 and ::1 are no IPv4 addresses but unspecified and loopback.
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def kind_of(address: Address) -> Kind:
    """The kind of an address; of one that leads to another, that one's."""
    address = embedded(address)
    if address in _METADATA:
        return Kind.METADATA
    if address.is_unspecified or address in _THIS_NETWORK:
        return Kind.UNSPECIFIED
    if address.is_loopback:
        return Kind.LOOPBACK
    if address.is_link_local:
        return Kind.LINK_LOCAL
    if address.is_multicast:
        return Kind.MULTICAST
    if address in _FUTURE_USE:
        return Kind.RESERVED
    # What is global of IPv6 is in one block; outside it, Python takes for global whatever it has no name for.
    is_public = address.is_global and (address.version == 4 or address in _GLOBAL_UNICAST)
    return Kind.PUBLIC if is_public else Kind.PRIVATE
