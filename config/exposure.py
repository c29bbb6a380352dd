"""Checks that nobody is let in by mistake: what listeners say about access, and where tokens stand."""

from collections.abc import Iterator

from config.access import HASHED, Auth, TokensExtension
from config.alerting import AlertingExtension
from config.document import Document
from config.exporters import ClickHouseExporter
from config.extensions import QueryExtension
from config.load_tests import LoadTestsExtension
from config.model import Config
from config.problems import KeyPath, Problem, alternatives, key_path
from config.receivers import OtlpGrpc, OtlpHttp, ZipkinReceiver
from config.remote_sampling import RemoteSamplingExtension, SamplingGrpc, SamplingHttp
from config.values import TcpAddress, UnixAddress, is_loopback

_OPTIONS = (
    "listen on localhost; or name a tokens extension in auth, or the clients' authorities in tls.client_ca_file; "
    "or say insecure_listen: true where every machine that reaches this address may do as it likes"
)


def check_access(config: Config, document: Document) -> Iterator[Problem]:
    """Find listeners that let everybody in from outside, authenticators that are none, tokens and secrets in clear, and users of
    nothing."""
    used = set()
    for path, listener in listeners(config):
        if listener.auth is not None:
            used.add(listener.auth.authenticator)
            yield from _authenticator(config, listener.auth, (*path, "auth", "authenticator"), document)
        address = listener.address
        asks = listener.auth is not None or (listener.tls is not None and listener.tls.client_ca_file)
        if isinstance(address, TcpAddress) and not (is_loopback(address.host) or asks or listener.insecure_listen):
            message = f"listens on {address}, beyond this machine, and lets in whoever comes"
            yield _problem(document, (*path, "endpoint"), message, _OPTIONS)
    for name, extension in config.extensions.items():
        if isinstance(extension, TokensExtension):
            if name not in used:
                yield _problem(document, ("extensions", name), "is named by no listener", f"say auth: {{authenticator: {name}}}")
            yield from _tokens_in_clear(extension, ("extensions", name, "tokens"), document)
        elif isinstance(extension, AlertingExtension | LoadTestsExtension):
            yield from _secrets_in_clear(extension, ("extensions", name, "secrets"), document)
    for name, exporter in config.stores.items():
        if exporter.is_embedded:
            yield from _embedded_database(exporter, ("exporters", name), document)


def open_listeners(config: Config) -> Iterator[tuple[str, str]]:
    """Listeners beyond this machine that deserve a warning at every start: their keys, and what is to be said of them."""
    for path, listener in listeners(config):
        if isinstance(listener.address, UnixAddress) or is_loopback(listener.address.host):
            continue
        if listener.auth is None and not (listener.tls is not None and listener.tls.client_ca_file):
            yield key_path(path), "whoever reaches it is let in"
        elif listener.tls is None:
            yield key_path(path), "tokens and spans travel in clear text; add tls, unless a proxy in front encrypts"
    for name, exporter in config.exporters.items():
        if not isinstance(exporter, ClickHouseExporter) or not exporter.is_embedded:
            continue
        if exporter.embedded.tls is None and not is_loopback(exporter.embedded.address.host):
            yield (
                key_path(("exporters", name, "embedded")),
                "passwords and spans travel in clear text; add tls, unless a proxy in front encrypts",
            )


Listener = OtlpGrpc | OtlpHttp | ZipkinReceiver | QueryExtension | SamplingHttp | SamplingGrpc


def listeners(config: Config) -> Iterator[tuple[KeyPath, Listener]]:
    """Every listener that takes spans or answers queries, and the key where it stands."""
    for name, receiver in config.receivers.items():
        for keys, server in receiver.listeners.items():
            yield ("receivers", name, *keys), server
    for name, extension in config.extensions.items():
        if isinstance(extension, QueryExtension):
            yield ("extensions", name), extension
        elif isinstance(extension, RemoteSamplingExtension):
            for key, listener in extension.listeners.items():
                yield ("extensions", name, key), listener


def _authenticator(config: Config, auth: Auth, path: KeyPath, document: Document) -> Iterator[Problem]:
    known = [name for name, extension in config.extensions.items() if isinstance(extension, TokensExtension)]
    if auth.authenticator not in known:
        remedy = "define extensions.tokens, and list it in service.extensions"
        hint = alternatives(auth.authenticator, known, "there are") or remedy
        yield _problem(document, path, "is not the id of a tokens extension", hint)


def _tokens_in_clear(extension: TokensExtension, path: KeyPath, document: Document) -> Iterator[Problem]:
    for position, token in enumerate(extension.tokens):
        at = (*path, position, "token")
        in_clear = token.token is not None and not token.token.get_secret_value().startswith(HASHED)
        if in_clear and at not in document.written:
            hint = f"write {HASHED} and what `printf %s TOKEN | sha256sum` prints, or ${{env:NAME}}, or use token_file"
            yield _problem(document, at, "must not stand in the file in clear", hint)


def _secrets_in_clear(extension: AlertingExtension | LoadTestsExtension, path: KeyPath, document: Document) -> Iterator[Problem]:
    for name, secret in extension.secrets.items():
        at = (*path, name, "value")
        if secret.value is not None and at not in document.written:
            yield _problem(document, at, "must not stand in the file in clear", "write ${env:NAME}, or use file")


def _embedded_database(exporter: ClickHouseExporter, path: KeyPath, document: Document) -> Iterator[Problem]:
    for key, is_set in (("username", exporter.username != "default"), ("password", exporter.password.get_secret_value())):
        if is_set:
            hint = "list who may read under embedded.users"
            yield _problem(
                document, (*path, key), "is for servers: in an embedded database the daemon has a user of its own", hint
            )
    tls = exporter.embedded.tls
    if tls is not None and tls.client_ca_file and not exporter.tls.cert_file:
        message = "asks for certificates, and the daemon, which stores its spans there, has none to show"
        hint = "let tls.cert_file and tls.key_file of the exporter name one that such an authority has signed"
        yield _problem(document, (*path, "embedded", "tls", "client_ca_file"), message, hint)
    address = exporter.embedded.address
    without = [user.name for user in exporter.embedded.readers if not user.has_password]
    if without and not is_loopback(address.host):
        message = f"listens on {address}, beyond this machine, and there is no password for {', '.join(without)}"
        hint = "give every user in embedded.users a password, or listen on 127.0.0.1"
        yield _problem(document, (*path, "embedded", "listen"), message, hint)


def _problem(document: Document, path: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(key_path(path), document.line(path), message, hint)
