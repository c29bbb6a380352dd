"""What both servers need to open a listening socket."""

from __future__ import annotations

import asyncio
import errno
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from collector.receivers.settings import GrpcSettings, HttpSettings

_BACKLOG: Final = 1024
"""Connections that the kernel may hold until they are accepted."""


class ListenError(OSError):
    """An address cannot be listened on; the message names it, the cause and the remedy (NET-16)."""

    def __str__(self) -> str:
        return str(self.strerror)


def listen_error(address: str, setting: str, cause: Exception) -> ListenError:
    """The error to raise when `address`, configured as `setting`, could not be opened because of `cause`."""
    if isinstance(cause, OSError) and cause.errno not in (errno.EADDRINUSE, None):
        return ListenError(cause.errno, f"cannot listen on {address}: {cause.strerror or cause}. Correct {setting}")
    return ListenError(
        errno.EADDRINUSE,
        f"cannot listen on {address}: it is in use, or not an address of this machine. "
        f"Stop the other program (perhaps another collector), or change {setting}",
    )


async def listen(
    connect: Callable[[], asyncio.BaseProtocol], where: GrpcSettings | HttpSettings, encryption: Mapping[str, Any]
) -> tuple[asyncio.Server, int]:
    """Listen where the settings say.

    Args:
        connect: makes what speaks over a connection.
        where: the address.
        encryption: what the event loop needs for it, as `listening_options` gives it.

    Returns:
        What listens, and the port in use; 0 for a unix socket.

    Raises:
        ListenError: the address cannot be listened on.
    """
    loop = asyncio.get_running_loop()
    if where.unix_path is not None:
        claim_unix_path(where.unix_path)
    try:
        if where.unix_path is not None:
            return await loop.create_unix_server(connect, where.unix_path, **encryption), 0
        listener = await loop.create_server(connect, where.host, where.port, backlog=_BACKLOG, **encryption)
        return listener, listener.sockets[0].getsockname()[1]
    except OSError as error:
        raise listen_error(where.unix_path or f"{where.host}:{where.port}", f"{where.key}.endpoint", error) from None


def check_free(host: str, port: int, setting: str) -> None:
    """Find out that an address is taken before anything slow is done for the server that is to listen there.

    It may be taken in the meantime, so the server still has to expect it.

    Raises:
        ListenError: another program listens there.
    """
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            # Of several addresses of a name, such as an IPv6 one on a machine without it, some may be impossible.
            if error.errno == errno.EADDRINUSE:
                raise listen_error(f"{host}:{port}", setting, error) from None


def claim_unix_path(path: str) -> None:
    """Make room for a unix socket: remove one that nobody listens on any more (NET-09).

    Raises:
        ListenError: something listens there, or the path is not a socket.
    """
    file = Path(path)
    if not file.exists():
        return
    if not stat.S_ISSOCK(file.stat().st_mode):
        raise ListenError(errno.EEXIST, f"cannot listen on {path}: a file that is not a socket is there. Move it away")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            file.unlink(missing_ok=True)
            return
    raise ListenError(errno.EADDRINUSE, f"cannot listen on {path}: another program does. Stop it or choose another path")


def release_unix_path(path: str) -> None:
    """Remove the socket's file, if it is still there."""
    Path(path).unlink(missing_ok=True)
