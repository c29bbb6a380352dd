"""Requests that a web page of somebody else makes a browser on this machine send, which are refused.

A browser says in `Origin` and `Sec-Fetch-Site` whose page asks. A page whose own name has been made to lead here (DNS rebinding)
passes for ours there; but then that name stands in `Host`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping

from aiohttp import hdrs

_SITES_OF_OTHERS = ("cross-site", "same-site")


def foreign(headers: Mapping[str, str], scheme: str, allowed_hosts: Collection[str]) -> str:
    """Why a request is refused; empty if it is not.

    Args:
        headers: names compare without regard to case.
        scheme: `http` or `https`.
        allowed_hosts: names in small letters that lead here, besides `localhost`.
    """
    host = headers.get(hdrs.HOST, "")
    name = _without_port(host)
    if host and name not in ("localhost", *allowed_hosts) and not _is_address(name):
        return (
            f"The request is for the host {name!r}, and this server does not go by that name. "
            "To allow it, add it to exporters.clickhouse.embedded.allowed_hosts."
        )
    origin = headers.get(hdrs.ORIGIN)
    if origin is not None and origin.lower() != f"{scheme}://{host}".lower():
        return f"The request comes from a web page of {origin!r}, and those of other sites may not ask this server."
    if headers.get("Sec-Fetch-Site", "").lower() in _SITES_OF_OTHERS:
        return "The request comes from a web page of another site, and those may not ask this server."
    return ""


def is_this_machine(address: str | None) -> bool:
    """Whether a peer's address is a loopback one."""
    if address is None or not _is_address(address):
        return False
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def _without_port(host: str) -> str:
    name = host[: host.rfind("]")].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
