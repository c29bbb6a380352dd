"""Connections for calls over gRPC, to addresses that were checked."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from collector.egress.destination import Destination
from config.tls import ClientTls

LARGEST_ANSWER: Final = 4 << 20
"""In bytes."""
_RECONNECT_MS: Final = (100, 1000)
"""What could not be connected is tried again so soon: who sends waits, or wants to see when a server is back."""


class Unusable(ValueError):
    """The call cannot be made; the text says why, as a sentence."""


class NotConnected(Exception):
    """There is no connection."""


def open_channel(addresses: Sequence[tuple[str, int]], authority: str, tls: ClientTls, server_name: str) -> grpc.aio.Channel:
    """What makes connections to some addresses, when it is asked to.

    Args:
        addresses: IP addresses and ports.
        authority: whom calls are for.
        tls: the files for TLS.
        server_name: that the certificate must show, unless `tls` says another one; empty for clear text.

    Raises:
        Unusable: a file for TLS cannot be read.
    """
    # The library tries them in turn. It asks neither a name server nor a proxy for addresses.
    version = ip_address(addresses[0][0]).version
    usable = [str(Destination(host, port)) for host, port in addresses if ip_address(host).version == version]
    target = f"ipv{version}:{','.join(usable)}"
    options: list[tuple[str, Any]] = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.default_authority", authority),
        ("grpc.max_receive_message_length", LARGEST_ANSWER),
        ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS[0]),
        ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS[1]),
        # Channels with the same options would share connections, and then nobody would see how long one takes.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if not server_name:
        return grpc.aio.insecure_channel(target, options)
    try:
        files = [Path(name).read_bytes() if name else None for name in (tls.ca_file, tls.key_file, tls.cert_file)]
    except OSError as error:
        raise Unusable(f"A file for TLS cannot be read: {error}.") from None
    options.append(("grpc.ssl_target_name_override", tls.server_name_override or server_name))
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(*files), options)


async def connected(channel: grpc.aio.Channel) -> None:
    """Wait for a connection. The library would try for ever; here once is enough.

    Raises:
        NotConnected: there is none.
    """
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            raise NotConnected("No connection could be made, or no encryption agreed on.")
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
