"""TLS of the gRPC server, which has credentials of its own instead of Python's contexts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import grpc

from collector.tls import read_file, reloading, server_context
from config.tls import ServerTls


def grpc_credentials(settings: ServerTls, setting: str) -> Any:
    """The credentials of a gRPC listener. The library speaks TLS 1.2 and newer, and negotiates h2.

    Args:
        settings: which files.
        setting: the key of `tls` in the configuration, for messages.

    Raises:
        TlsError: the files cannot be used.
    """

    def make() -> Any:
        # Tried out first: the library says nothing but that the files are unusable.
        server_context(settings, setting)
        pair = (read_file(settings.key_file, f"{setting}.key_file"), read_file(settings.cert_file, f"{setting}.cert_file"))
        authorities = read_file(settings.client_ca_file, f"{setting}.client_ca_file") if settings.client_ca_file else None
        return grpc.ssl_server_certificate_configuration([pair], authorities)

    newest = reloading(settings, make)
    lock = threading.Lock()
    first = given = newest.current()

    def changed() -> Any:
        """The configuration, if it is not the one that was given last; asked at every connection, by the library's threads."""
        nonlocal given
        with lock:
            if (now := newest.current()) is given:
                return None
            given = now
            return now

    return grpc.dynamic_ssl_server_credentials(first, changed, require_client_authentication=bool(settings.client_ca_file))


def names_in(certificate: Mapping[str, Iterable[bytes]]) -> Iterator[str]:
    """The common name and the alternative names in the certificate of a peer, as the library gives it."""
    for kind in ("x509_common_name", "x509_subject_alternative_name"):
        yield from (name.decode(errors="replace") for name in certificate.get(kind, ()))
