"""TLS of every listener and client, from files that may change while connections go on.

HTTP servers and the gRPC server get theirs here, so that the same files mean the same thing and fail with the same words.
"""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import Any, Final, Never

import grpc

from collector.reloading import Reloading
from config.tls import ClientTls, ServerTls

HANDSHAKE_TIMEOUT_S: Final = 10.0
"""How long a peer may take for a handshake, during which it holds a connection without having shown who it is."""

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class TlsError(OSError):
    """Files cannot be used for TLS; the message names the key, the file, what is wrong and the remedy."""


class ReloadingContext(ssl.SSLContext):
    """An SSLContext that lets each connection be made by the newest context, so that changed files need no restart.

    Connections keep what they began with. A context of its own for every change, instead of loading into the old one, because
    authorities can be added to a context but not taken away.
    """

    _newest: Reloading[ssl.SSLContext]
    _server_name: str

    @classmethod
    def of(cls, newest: Reloading[ssl.SSLContext], protocol: int, server_name: str = "") -> ReloadingContext:
        """A context that asks `newest`; `server_name` is what a server's certificate must name, if not the host of its URL."""
        context = cls(protocol)
        context._newest = newest
        context._server_name = server_name
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """What event loops make connections with."""
        return self._newest.current().wrap_bio(incoming, outgoing, server_side, self._server_name or server_hostname, session)


def http_server_context(settings: ServerTls, setting: str) -> ssl.SSLContext:
    """The context of an HTTP listener, for HTTP/1.1.

    Args:
        settings: which files.
        setting: the key of `tls` in the configuration, for messages.

    Raises:
        TlsError: the files cannot be used.
    """

    def make() -> ssl.SSLContext:
        context = _server_context(settings, setting)
        context.set_alpn_protocols(["http/1.1"])
        return context

    return ReloadingContext.of(_reloading(settings, make), ssl.PROTOCOL_TLS_SERVER)


def listening_options(settings: ServerTls | None, setting: str) -> dict[str, Any]:
    """What an event loop's `create_server` needs beyond an address: nothing for clear text. As `http_server_context`."""
    if settings is None:
        return {}
    return {"ssl": http_server_context(settings, setting), "ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S}


def grpc_credentials(settings: ServerTls, setting: str) -> Any:
    """The credentials of a gRPC listener, as `http_server_context`. The library speaks TLS 1.2 and newer, and negotiates h2."""

    def make() -> Any:
        # Tried out first: the library says nothing but that the files are unusable.
        _server_context(settings, setting)
        pair = (_read(settings.key_file, f"{setting}.key_file"), _read(settings.cert_file, f"{setting}.cert_file"))
        authorities = _read(settings.client_ca_file, f"{setting}.client_ca_file") if settings.client_ca_file else None
        return grpc.ssl_server_certificate_configuration([pair], authorities)

    newest = _reloading(settings, make)
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


def client_context(settings: ClientTls, setting: str) -> ssl.SSLContext:
    """The context of connections to a server, as `http_server_context`."""

    def make() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = _VERSIONS[settings.min_version]
        if settings.ca_file:
            _load_authorities(context, settings.ca_file, f"{setting}.ca_file")
        if settings.include_system_ca_certs_pool or not settings.ca_file:
            context.load_default_certs()
        if settings.cert_file:
            _load_pair(context, settings.cert_file, settings.key_file, setting)
        if settings.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    return ReloadingContext.of(_reloading(settings, make), ssl.PROTOCOL_TLS_CLIENT, settings.server_name_override)


def _reloading(settings: ServerTls | ClientTls, make: Any) -> Reloading[Any]:
    return Reloading(settings.files, settings.reload_interval.seconds, make)


def _server_context(settings: ServerTls, setting: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.min_version]
    _load_pair(context, settings.cert_file, settings.key_file, setting)
    if settings.client_ca_file:
        _load_authorities(context, settings.client_ca_file, f"{setting}.client_ca_file")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load_pair(context: ssl.SSLContext, cert_file: str, key_file: str, setting: str) -> None:
    if b"-----BEGIN CERTIFICATE-----" not in _read(cert_file, f"{setting}.cert_file"):
        raise TlsError(f"{setting}.cert_file: {cert_file} holds no certificate in PEM form. Name a file with BEGIN CERTIFICATE")
    if b"PRIVATE KEY-----" not in _read(key_file, f"{setting}.key_file"):
        raise TlsError(f"{setting}.key_file: {key_file} holds no private key in PEM form. Name a file with BEGIN PRIVATE KEY")
    try:
        context.load_cert_chain(cert_file, key_file, _no_passphrase)
    except _PassphraseError:
        remedy = "Store it without one, readable by the daemon alone"
        raise TlsError(f"{setting}.key_file: the key in {key_file} has a passphrase. {remedy}") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            what = f"the key in {key_file} is not that of the certificate in {cert_file}. Name the two that belong together"
        else:
            what = f"{cert_file} and {key_file} cannot be used: {error.reason or error}. Make them anew"
        raise TlsError(f"{setting}: {what}") from None


def _load_authorities(context: ssl.SSLContext, file: str, setting: str) -> None:
    _read(file, setting)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        what = "holds no certificates in PEM form" if error.reason in (None, "NO_CERTIFICATE_OR_CRL_FOUND") else error.reason
        raise TlsError(f"{setting}: {file} {what}. Name a file with the certificates of the authorities") from None


def _read(file: str, setting: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise TlsError(f"{setting}: cannot read {file}: {error.strerror}. Correct the path, or let the daemon read it") from None


class _PassphraseError(Exception):
    pass


def _no_passphrase() -> Never:
    # Without this, OpenSSL would ask for it at the terminal.
    raise _PassphraseError
