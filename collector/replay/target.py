"""Where requests are sent, and with what: an endpoint, and what the standard variables of OTLP exporters add to it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc

from collector.cli import UserError


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver of OTLP.

    Attributes:
        address: `host:port`, or what stands after the scheme of a URL; `unix:PATH` for a socket in the file system.
        encrypted: whether TLS is spoken.
        headers: of every request, names in lower case.
        ca_file, cert_file, key_file: authorities of the server's certificate, and the client's own pair; empty for none.
    """

    address: str
    encrypted: bool
    headers: Mapping[str, str]
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    @classmethod
    def of(cls, endpoint: str, environment: Mapping[str, str]) -> Target:
        """The target of an endpoint, `host:port` or a URL, as an OTLP exporter in this environment would see it."""

        def variable(name: str) -> str:
            return environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environment.get(f"OTEL_EXPORTER_OTLP_{name}") or ""

        scheme, found, address = endpoint.rpartition("://")
        return cls(
            f"unix:{address}" if scheme == "unix" else address,
            bool(found) and scheme == "https",
            _parsed_headers(variable("HEADERS")),
            variable("CERTIFICATE"),
            variable("CLIENT_CERTIFICATE"),
            variable("CLIENT_KEY"),
        )

    @property
    def socket_path(self) -> str:
        """Where the socket in the file system is; empty if it is none."""
        scheme, _, path = self.address.partition(":")
        return path if scheme == "unix" else ""

    def adding(self, headers: Mapping[str, str]) -> Target:
        """The same with more headers."""
        return replace(self, headers={**self.headers, **headers})

    def grpc_credentials(self) -> Any:
        """What a secure gRPC channel needs.

        Raises:
            UserError: a file cannot be read.
        """
        return grpc.ssl_channel_credentials(*map(_content, (self.ca_file, self.key_file, self.cert_file)))

    def ssl_context(self) -> ssl.SSLContext:
        """What an HTTPS connection needs.

        Raises:
            UserError: a file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(filter(None, (self.ca_file, self.cert_file, self.key_file)))
            raise UserError(f"one of {files} cannot be used for TLS: {error}") from error
        return context


def _parsed_headers(text: str) -> dict[str, str]:
    """Headers as `OTEL_EXPORTER_OTLP_HEADERS` has them: `name=value,name=value`, percent-encoded."""
    pairs = (item.partition("=") for item in text.split(",") if "=" in item)
    return {unquote(name).strip().lower(): unquote(value).strip() for name, _, value in pairs}


def _content(file: str) -> bytes | None:
    if not file:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
