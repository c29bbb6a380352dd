"""Where something is to be sent, read from a URL so strictly that nobody can read it in another way."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from yarl import URL

from collector.egress.addresses import Kind
from config.destinations import Address

HTTP_SCHEMES: Final = ("http", "https")

_LONGEST_NAME: Final = 253
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_-]{1,63})*", re.ASCII)
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|\d+", re.ASCII)
_AMBIGUOUS: Final = re.compile(r"[^\x21-\x7e\u00a1-\U0010ffff]|\\")
"""White space, control characters and backslashes, which every program takes for something else."""

Rule = Literal["url", "scheme", "user", "host", "port", "proxy", "own_port", "address"]


class EgressRefused(Exception):
    """Nothing may be sent there. The message says which rule refused, and what would be allowed; it has no path of the URL in it,
    since that may be a secret.

    Attributes:
        rule: what refused: `url`, `scheme`, `user`, `host` and `port` how the destination is written, `proxy` how it is reached,
            `own_port` and `address` where it leads.
        kind: of the address; None for other rules.
    """

    def __init__(self, rule: Rule, detail: str, kind: Kind | None = None) -> None:
        super().__init__(detail)
        self.rule = rule
        self.kind = kind

    @property
    def sentence(self) -> str:
        """The message as a whole sentence, where it does not stand behind the name of a field."""
        return f"{'The destination ' if str(self).startswith('must ') else ''}{self}."


@dataclass(frozen=True, slots=True)
class Destination:
    """A host and a port.

    Attributes:
        host: a name in lower case, ASCII, without a dot at its end, or an address without brackets.
        port: from 1 to 65535.
        address: the host, where it is an address.
    """

    host: str
    port: int
    address: Address | None = None

    @classmethod
    def of(cls, host: str, port: int) -> Destination:
        """Read a host and a port. Raises EgressRefused for what is none, or can be read in several ways."""
        if not 0 < port < 65_536:
            raise EgressRefused("port", f"must have a port from 1 to 65535, not {port}")
        name = host.lower().removesuffix(".")
        try:
            # Takes four decimal numbers without leading zeros, and not what only the C library takes for an address.
            address = ipaddress.ip_address(name)
        except ValueError:
            pass
        else:
            if "%" in name:
                raise EgressRefused("host", "must have an address without a zone")
            return cls(str(address), port, address)
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise EgressRefused("host", "must have a host name of letters, digits, hyphens and dots, or an address")
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            raise EgressRefused("host", "must have an IPv4 address as four decimal numbers, such as 192.0.2.1")
        return cls(name, port)

    @classmethod
    def of_url(cls, url: URL, schemes: Collection[str] = HTTP_SCHEMES) -> Destination:
        """Where a URL leads. Raises EgressRefused for one that may not be used."""
        if url.scheme not in schemes:
            raise EgressRefused("scheme", f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        if url.raw_user is not None or url.raw_password is not None:
            raise EgressRefused("user", "must not have a user or a password in it; use a secret")
        try:
            host, port = url.raw_host, url.port
        except ValueError:
            raise EgressRefused("port", "must have a port from 1 to 65535") from None
        if not host:
            raise EgressRefused("host", "must name a host")
        if port is None:
            raise EgressRefused("port", "must name a port")
        return cls.of(host, port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_url(text: str, schemes: Collection[str] = HTTP_SCHEMES) -> URL:
    """A URL whose destination is well-formed; whether it is allowed, a policy says. Raises EgressRefused for others."""
    if _AMBIGUOUS.search(text):
        raise EgressRefused("url", "must be a URL without spaces, control characters and backslashes")
    try:
        url = URL(text)
    except ValueError:
        raise EgressRefused("url", "must be a URL, such as https://example.com/path") from None
    Destination.of_url(url, schemes)
    return url
