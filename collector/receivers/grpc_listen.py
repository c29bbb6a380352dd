"""How gRPC servers open the address that they listen on."""

from __future__ import annotations

from typing import Any

from collector.receivers.listen import listen_error


async def listen(server: Any, address: str, credentials: Any, setting: str) -> int:
    """Have a server listen, and say on which port; 0 for a unix socket.

    Args:
        server: of `grpc.aio`; it is stopped if it cannot listen.
        address: as gRPC writes it.
        credentials: for TLS; None for clear text.
        setting: where the address stands in the configuration, for messages.

    Raises:
        ListenError: the address cannot be listened on.
    """
    try:
        return int(server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address))
    except RuntimeError as error:
        await server.stop(None)
        raise listen_error(address, setting, error) from None
