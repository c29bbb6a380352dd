"""Destinations that an operator allows: names, addresses and ports to which something may be sent."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator

from config.patterns import compile_globs

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

EVERY_PORT = range(1, 65_536)

_WITH_PORTS = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]]+?))(?::(\d{1,5})(?:-(\d{1,5}))?)?", re.ASCII)
_NAME = re.compile(r"[a-z0-9_*?-]{1,63}(\.[a-z0-9_*?-]{1,63})*", re.ASCII)
_NUMBER = re.compile(r"0x[0-9a-f]*|\d+", re.ASCII)
_FORMS = "must be a name, a glob such as *.example.com, an address, or a network such as 10.0.0.0/8, each with or without :port"


@dataclass(frozen=True, slots=True)
class AllowedDestination:
    """One rule of an allow-list.

    Attributes:
        text: as it was written.
        network: addresses that it allows, whatever name led there; None for a rule on names.
        ports: which ports, of EVERY_PORT.
    """

    text: str
    network: Network | None
    ports: range
    _names: Any = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> "AllowedDestination":
        """Read `host`, `glob`, `address` or `network`, alone or with `:port` or `:from-to`; IPv6 with ports in brackets.

        Raises ValueError for other forms.
        """
        if "%" in text:
            raise ValueError("must be without a zone")
        network = _network(text)
        if network is not None:
            return cls(text, network, EVERY_PORT, None)
        parts = _WITH_PORTS.fullmatch(text)
        if parts is None:
            raise ValueError(_FORMS)
        bracketed, plain, first, last = parts.groups()
        ports = _ports(first, last)
        network = _network(bracketed or plain)
        if network is not None:
            return cls(text, network, ports, None)
        name = (plain or "").lower().removesuffix(".")
        if not _NAME.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
            raise ValueError(_FORMS)
        return cls(text, None, ports, compile_globs([name]))

    def allows_name(self, host: str, port: int) -> bool:
        """Whether it is a rule on names, and this is one of them; `host` in lower case."""
        return self._names is not None and port in self.ports and self._names.fullmatch(host) is not None

    def allows_address(self, address: Address, port: int) -> bool:
        """Whether it is a rule on addresses, and this is one of them."""
        return self.network is not None and port in self.ports and address in self.network


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        if "has host bits set" in str(error):
            raise ValueError(f"must be the network itself, {ipaddress.ip_network(text, strict=False)}") from None
        return None


def _ports(first: str | None, last: str | None) -> range:
    if first is None:
        return EVERY_PORT
    lowest, highest = int(first), int(last or first)
    if not 0 < lowest <= highest < 65_536:
        raise ValueError("must have ports from 1 to 65535, the lower one first")
    return range(lowest, highest + 1)


def _checked(text: str) -> str:
    AllowedDestination.parse(text)
    return text


Destinations = tuple[Annotated[str, AfterValidator(_checked)], ...]
"""Texts that `AllowedDestination.parse` reads."""
