"""TLS of every listener and client, from files that may change while connections go on.

Servers and clients get theirs here, so that the same files mean the same thing and fail with the same words.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Never, TypeVar

from collector.reloading import Reloading
from config.tls import ClientTls, ServerTls

HANDSHAKE_TIMEOUT_S: Final = 10.0
"""How long a peer may take for a handshake, during which it holds a connection without having shown who it is."""

T = TypeVar("T")
HandshakeRefused = Callable[[ssl.SSLError], object]

_AT_EVERY_CONNECTION_S: Final = 1e-9
_KNOWN_CERTIFICATES: Final = 4
# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name.
_NO_CHECK_TIME: Final = 0x200000
_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
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


def http_server_context(
    settings: ServerTls, setting: str, refused: HandshakeRefused | None = None, protocol: str = "http/1.1"
) -> ssl.SSLContext:
    """The context of a listener.

    Args:
        settings: which files.
        setting: the key of `tls` in the configuration, for messages.
        refused: is told of each handshake that fails.
        protocol: what is spoken, by its name for ALPN.

    Raises:
        TlsError: the files cannot be used.
    """

    def make() -> ssl.SSLContext:
        context = server_context(settings, setting)
        context.set_alpn_protocols([protocol])
        if refused is not None:
            context.sslobject_class = _telling(refused)
        return context

    return ReloadingContext.of(reloading(settings, make), ssl.PROTOCOL_TLS_SERVER)


def listening_options(
    settings: ServerTls | None, setting: str, refused: HandshakeRefused | None = None, protocol: str = "http/1.1"
) -> dict[str, Any]:
    """What an event loop's `create_server` needs beyond an address: nothing for clear text. As `http_server_context`."""
    if settings is None:
        return {}
    return {"ssl": http_server_context(settings, setting, refused, protocol), "ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S}


def _telling(refused: HandshakeRefused) -> type[ssl.SSLObject]:
    """What connections of a context are made of, where event loops say nothing of handshakes that fail."""

    class Telling(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                refused(error)
                raise

    return Telling


def client_context(settings: ClientTls, setting: str) -> ssl.SSLContext:
    """The context of connections to a server, as `http_server_context`."""
    newest = reloading(settings, lambda: current_client_context(settings, setting))
    return ReloadingContext.of(newest, ssl.PROTOCOL_TLS_CLIENT, settings.server_name_override)


def current_client_context(settings: ClientTls, setting: str) -> ssl.SSLContext:
    """The context that the files of a client make now, as `http_server_context`."""
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


def own_listener_context(listener: ServerTls, client: ClientTls, exporter: str) -> ssl.SSLContext:
    """The context of connections to the embedded database: it is known by its very certificate, whatever that says of itself.

    When the file changes, the certificates before it count as well, because the listener goes on with them until it looks.

    Args:
        listener: the database's files.
        client: whose certificate to show, if it asks for one.
        exporter: the key of the exporter in the configuration, for messages.

    Raises:
        TlsError: the files cannot be used.
    """
    known: tuple[str, ...] = ()

    def make() -> ssl.SSLContext:
        nonlocal known
        setting = f"{exporter}.embedded.tls"
        first = _CERTIFICATE.search(read_file(listener.cert_file, f"{setting}.cert_file"))
        if first is None:
            raise _no_certificate(listener.cert_file, setting)
        certificates = (*known, first[0].decode())[-_KNOWN_CERTIFICATES:]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = _VERSIONS[listener.min_version]
        context.check_hostname = False
        # Nor does its age matter: others must not trust it any longer, but it is still the one that was configured.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
        context.load_verify_locations(cadata="\n".join(certificates))
        if client.cert_file:
            _load_pair(context, client.cert_file, client.key_file, f"{exporter}.tls")
        known = certificates
        return context

    files = (listener.cert_file, *client.files)
    return ReloadingContext.of(Reloading(files, _AT_EVERY_CONNECTION_S, make), ssl.PROTOCOL_TLS_CLIENT)


def reloading(settings: ServerTls | ClientTls, make: Callable[[], T]) -> Reloading[T]:
    """What `make` makes of the files that are configured."""
    return Reloading(settings.files, settings.reload_interval.seconds, make)


def server_context(settings: ServerTls, setting: str) -> ssl.SSLContext:
    """The context that the files of a listener make now, as `http_server_context`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.min_version]
    _load_pair(context, settings.cert_file, settings.key_file, setting)
    if settings.client_ca_file:
        _load_authorities(context, settings.client_ca_file, f"{setting}.client_ca_file")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def read_file(file: str, setting: str) -> bytes:
    """The bytes of a file that the key `setting` names. Raises TlsError."""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise TlsError(f"{setting}: cannot read {file}: {error.strerror}. Correct the path, or let the daemon read it") from None


def _load_pair(context: ssl.SSLContext, cert_file: str, key_file: str, setting: str) -> None:
    if b"-----BEGIN CERTIFICATE-----" not in read_file(cert_file, f"{setting}.cert_file"):
        raise _no_certificate(cert_file, setting)
    if b"PRIVATE KEY-----" not in read_file(key_file, f"{setting}.key_file"):
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
    read_file(file, setting)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        what = "holds no certificates in PEM form" if error.reason in (None, "NO_CERTIFICATE_OR_CRL_FOUND") else error.reason
        raise TlsError(f"{setting}: {file} {what}. Name a file with the certificates of the authorities") from None


def _no_certificate(file: str, setting: str) -> TlsError:
    return TlsError(f"{setting}.cert_file: {file} holds no certificate in PEM form. Name a file with BEGIN CERTIFICATE")


class _PassphraseError(Exception):
    pass


def _no_passphrase() -> Never:
    # Without this, OpenSSL would ask for it at the terminal.
    raise _PassphraseError
