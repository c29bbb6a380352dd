"""Encryption of connections: the `tls` of listeners and of clients, with keys of the Collector's `configtls`."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from config.section import Section
from config.values import Duration


def _version_text(value: Any) -> Any:
    return str(value) if isinstance(value, float) else value


def _spoken_by_grpc(version: str) -> str:
    if version != "1.2":
        raise ValueError("must be 1.2: the gRPC library speaks 1.2 and 1.3, and cannot be told to refuse 1.2")
    return version


_File = Annotated[str, Field(min_length=1)]
_Version = Annotated[Literal["1.2", "1.3"], BeforeValidator(_version_text, json_schema_input_type=Literal["1.2", "1.3"] | float)]
_GrpcVersion = Annotated[_Version, AfterValidator(_spoken_by_grpc)]
_IN_FILES = "put it into a file, and name that"
_LIBRARY_CHOOSES = "leave it out: the TLS library's own choice is kept up to date"

_SHARED_REFERENCE_ONLY = {
    "cert_pem": _IN_FILES,
    "key_pem": _IN_FILES,
    "ca_pem": _IN_FILES,
    "max_version": _LIBRARY_CHOOSES,
    "cipher_suites": _LIBRARY_CHOOSES,
    "curve_preferences": _LIBRARY_CHOOSES,
    "tpm": "keep the key in a file that only the daemon can read",
}


class ServerTls(Section):
    """TLS of a listener (receiver contract NET-05 to NET-07)."""

    cert_file: _File
    """The listener's certificate, PEM, followed by those of intermediate authorities."""
    key_file: _File
    """The certificate's private key, PEM, without a passphrase."""
    client_ca_file: str = ""
    """Certificates of authorities, PEM: clients must show a certificate that one of them has signed. Empty asks for none."""
    min_version: _Version = "1.2"
    """The oldest version of TLS that is spoken: `1.2` or `1.3`."""
    reload_interval: Duration = Duration.parse("1m")
    """How often the files are looked at for changes, which count from the next connection on; 0 never does."""

    reference_only: ClassVar[Mapping[str, str]] = {
        **_SHARED_REFERENCE_ONLY,
        "ca_file": "use client_ca_file, which says whose clients are let in",
        "client_ca_file_reload": "use reload_interval, which goes for all files",
        "include_system_ca_certs_pool": "use client_ca_file, which says whose clients are let in",
    }

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are read."""
        return tuple(filter(None, (self.cert_file, self.key_file, self.client_ca_file)))


class ClientTls(Section):
    """TLS of connections to a server."""

    insecure: bool = False
    """Says that connections are not encrypted, as `http://` in the endpoint already does."""
    ca_file: str = ""
    """Certificates of the authorities that may sign the server's, PEM; empty for the system's authorities."""
    include_system_ca_certs_pool: bool = False
    """Whether the system's authorities count besides `ca_file`."""
    cert_file: str = ""
    """The client's own certificate, PEM, for servers that ask for one."""
    key_file: str = ""
    """Its private key, PEM, without a passphrase."""
    server_name_override: str = ""
    """The name that the server's certificate must have, if it is not that of the endpoint."""
    insecure_skip_verify: bool = False
    """Whether any certificate will do. Whoever is on the way can then read and change everything."""
    min_version: _Version = "1.2"
    """The oldest version of TLS that is spoken: `1.2` or `1.3`."""
    reload_interval: Duration = Duration.parse("1m")
    """How often the files are looked at for changes, which count from the next connection on; 0 never does."""

    reference_only: ClassVar[Mapping[str, str]] = _SHARED_REFERENCE_ONLY

    @model_validator(mode="after")
    def _a_whole_pair(self) -> "ClientTls":
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("must have both cert_file and key_file, or neither")
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are read."""
        return tuple(filter(None, (self.ca_file, self.cert_file, self.key_file)))


class GrpcClientTls(ClientTls):
    """TLS of connections to a gRPC server."""

    min_version: _GrpcVersion = "1.2"
    """The oldest version of TLS that is spoken: `1.2`."""

    @field_validator("insecure_skip_verify")
    @classmethod
    def _always_verified(cls, skips: bool) -> bool:
        if skips:
            raise ValueError(
                "must be false: the gRPC library checks every certificate; name its authority in ca_file, and the name that it "
                "bears in server_name_override"
            )
        return skips
