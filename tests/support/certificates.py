"""Certificates for tests, made by an authority of their own."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key, as files and as bytes."""

    cert_file: Path
    key_file: Path

    @property
    def cert(self) -> bytes:
        return self.cert_file.read_bytes()

    @property
    def key(self) -> bytes:
        return self.key_file.read_bytes()

    @property
    def settings(self) -> dict[str, str]:
        """As keys of `tls`."""
        return {"cert_file": str(self.cert_file), "key_file": str(self.key_file)}


class Authority:
    """Signs certificates and writes them into a directory."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._ca = trustme.CA()
        self.file = directory / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    @property
    def cert(self) -> bytes:
        return self.file.read_bytes()

    def issue(self, *names: str, file: str | None = None, common_name: str | None = None) -> Identity:
        """A certificate for hosts, addresses or mail addresses, in `file`.pem and `file`.key."""
        file = file or names[0]
        issued = self._ca.issue_cert(*names, common_name=common_name)
        identity = Identity(self._directory / f"{file}.pem", self._directory / f"{file}.key")
        identity.cert_file.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(identity.key_file))
        return identity

    def client_context(self, identity: Identity | None = None, **attributes: Any) -> ssl.SSLContext:
        """A client's context that trusts this authority alone."""
        context = ssl.create_default_context(cadata=self.cert.decode())
        if identity is not None:
            context.load_cert_chain(identity.cert_file, identity.key_file)
        for name, value in attributes.items():
            setattr(context, name, value)
        return context
