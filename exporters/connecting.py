"""Why no connection to a server came about, with what to do about it, in words that name keys of the configuration."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from typing import Final

import aiohttp

# OpenSSL's X509_V_ERR_*, for which Python has no names.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_OTHER_NAME: Final = (62, 64)
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


@dataclass(frozen=True, slots=True)
class TlsKeys:
    """Where the configuration says how servers are known.

    Attributes:
        setting: path of the section with the keys of `tls`.
        ca_file: what it names as such; empty for the system's authorities.
        renames: whether it may say which name a server's certificate bears.
    """

    setting: str = "tls"
    ca_file: str = ""
    renames: bool = True


UNNAMED: Final = TlsKeys()
"""For servers that no configuration names."""


def connection_trouble(error: aiohttp.ClientConnectorError, keys: TlsKeys) -> str:
    """A sentence without the name of the server, which whoever asked has in front of it."""
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error.os_error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _distrust(cause, keys)
    if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
        return "there is no TLS. Correct the port, or begin the endpoint with http:// to send unencrypted"
    if isinstance(cause, ssl.SSLError):
        return f"TLS fails: {cause.reason or cause}"
    if isinstance(cause, OSError) and cause.errno and not isinstance(cause, socket.gaierror):
        return os.strerror(cause.errno)
    return str(getattr(cause, "strerror", None) or cause)


def _distrust(error: ssl.SSLCertVerificationError, keys: TlsKeys) -> str:
    if error.verify_code in _OTHER_NAME:
        override = f", or give that in {keys.setting}.server_name_override" if keys.renames else ""
        remedy = f"Use a name in the endpoint that it bears{override}"
    elif error.verify_code == _EXPIRED:
        remedy = "Renew it there"
    elif error.verify_code == _NOT_YET_VALID:
        remedy = "Correct the clocks, or wait"
    else:
        now = keys.ca_file or "the system's authorities count"
        remedy = f"Name the file with its authority in {keys.setting}.ca_file (now {now})"
    return f"its certificate is not accepted: {error.verify_message}. {remedy}"
