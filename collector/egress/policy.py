"""Which addresses may be sent to: by their kind without further ado, by rules of the operator, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from collector.egress.addresses import Kind, embedded, kind_of
from collector.egress.destination import Destination, EgressRefused
from config.destinations import EVERY_PORT, Address, AllowedDestination

_NEVER: Final = frozenset({Kind.UNSPECIFIED, Kind.MULTICAST, Kind.RESERVED})
_BY_ADDRESS: Final = frozenset({Kind.LINK_LOCAL, Kind.METADATA})
"""No name vouches for these: whoever sets up a name can let it lead there."""
_WEB_PORTS: Final = frozenset({80, 443})
_FIRST_FREE_PORT: Final = 1024
"""Below it are the well-known ports, where servers may take HTTP for a language of their own."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be sent to.

    Attributes:
        open_to: the kind of addresses that needs no rule: on the ports of the web, and from 1024 on.
        allowed: rules for others. A name allows whatever it leads to, apart from link-local addresses and metadata services;
            a network allows the addresses in it, apart from metadata services; an address allows itself.
        setting: key of `allowed` in the configuration, for messages.
        own_ports: ports of this machine that need a rule which names ports, since what listens there is the daemon's own store.
    """

    open_to: Kind
    allowed: tuple[AllowedDestination, ...]
    setting: str
    own_ports: frozenset[int] = frozenset()

    def check(self, destination: Destination, address: Address) -> None:
        """Raise EgressRefused unless `address`, which is that of `destination` or one of those, may be sent to."""
        kind = kind_of(address)
        if kind in _NEVER:
            raise EgressRefused("address", f"{destination} leads to {kind.value}", kind)
        rules = [rule for rule in self.allowed if self._applies(rule, destination, address, kind)]
        if kind is Kind.LOOPBACK and destination.port in self.own_ports:
            if not any(rule.ports != EVERY_PORT for rule in rules):
                remedy = f"name {destination} with its port in {self.setting} to allow it"
                raise EgressRefused("own_port", f"{destination} is the store of the collector itself; {remedy}", kind)
            return
        if rules:
            return
        remedy = f"name it in {self.setting} to allow it"
        if kind is not self.open_to:
            raise EgressRefused("address", f"{destination} leads to {kind.value}; {remedy}", kind)
        if destination.port not in _WEB_PORTS and destination.port < _FIRST_FREE_PORT:
            raise EgressRefused("port", f"{destination} is a port of another protocol than HTTP; {remedy}", kind)

    def _applies(self, rule: AllowedDestination, destination: Destination, address: Address, kind: Kind) -> bool:
        port = destination.port
        if kind not in _BY_ADDRESS and rule.allows_name(destination.host, port):
            return True
        if kind is Kind.METADATA and rule.network is not None and rule.network.num_addresses > 1:
            return False
        return rule.allows_address(address, port) or rule.allows_address(embedded(address), port)


def for_notifications(allowed: Iterable[str], setting: str, own_ports: Iterable[int] = ()) -> Policy:
    """The policy of what tells people: public addresses, and what the operator allows.

    Args:
        allowed: texts that `AllowedDestination.parse` reads.
        setting: their key in the configuration.
        own_ports: as of Policy.
    """
    return _policy(Kind.PUBLIC, allowed, setting, own_ports)


def for_targets(allowed: Iterable[str], setting: str, own_ports: Iterable[int] = ()) -> Policy:
    """The policy of requests and load tests: this machine, and what the operator allows; as `for_notifications`."""
    return _policy(Kind.LOOPBACK, allowed, setting, own_ports)


def _policy(open_to: Kind, allowed: Iterable[str], setting: str, own_ports: Iterable[int]) -> Policy:
    return Policy(open_to, tuple(map(AllowedDestination.parse, allowed)), setting, frozenset(own_ports))
