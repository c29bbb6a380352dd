"""What listeners need to know their callers and to be known: certificates and tokens, and whom they let in."""

from __future__ import annotations

from collections.abc import Iterator

from collector.doctor.finding import Finding
from collector.tls import TlsError, http_server_context
from collector.tokens import read_token
from config.access import TokensExtension
from config.exporters import ClickHouseExporter
from config.exposure import listeners, open_listeners
from config.model import Config
from config.problems import key_path
from config.tls import ServerTls


def access(config: Config) -> Iterator[Finding]:
    """Whether every file of certificates and tokens can be used, and which listeners let everybody in."""
    for path, listener in listeners(config):
        if listener.tls is not None:
            yield _certificate(key_path((*path, "tls")), listener.tls)
    for name, exporter in config.exporters.items():
        if isinstance(exporter, ClickHouseExporter) and exporter.is_embedded and exporter.embedded.tls is not None:
            yield _certificate(f"exporters.{name}.embedded.tls", exporter.embedded.tls)
    for name, extension in config.extensions.items():
        if isinstance(extension, TokensExtension):
            yield from _tokens(f"extensions.{name}.tokens", extension)
    for key, what in open_listeners(config):
        yield Finding("warn", key, what)


def _certificate(key: str, tls: ServerTls) -> Finding:
    try:
        http_server_context(tls, key)
    except TlsError as error:
        return Finding("fail", key, str(error))
    return Finding("ok", key, f"{tls.cert_file} and {tls.key_file} belong together")


def _tokens(key: str, extension: TokensExtension) -> Iterator[Finding]:
    for position, token in enumerate(extension.tokens):
        if token.token_file:
            subject = f"{key}[{position}].token_file"
            _, fault = read_token(token.token_file)
            if fault:
                yield Finding(
                    "fail", subject, f"{token.token_file} {fault}", f"until then nobody is let in as {token.name} by it"
                )
            else:
                yield Finding("ok", subject, f"{token.token_file} holds a token")
