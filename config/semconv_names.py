"""Names of spans by the semantic conventions: of which versions, and what they are made of."""

from __future__ import annotations

import re
from typing import Final

VERSIONS: Final = "from 1.37.0 to 1.43.0"
_VERSION: Final = re.compile(r"v?1\.(?:(?:37|38|39|40|41|42)(?:\.[0-9]+)?|43(?:\.0)?)")

NAMING_KEYS: Final = (
    *("http.request.method", "http.method", "http.route", "url.template"),
    *("rpc.system.name", "rpc.system", "rpc.method", "rpc.grpc.method", "rpc.service", "rpc.grpc.service"),
    *("db.system.name", "db.system", "db.query.summary", "db.operation.name", "db.operation", "db.namespace", "db.name"),
    *("db.collection.name", "db.stored_procedure.name", "server.address", "server.port"),
    *("messaging.system", "messaging.operation.name", "messaging.operation", "messaging.destination.temporary"),
    *("messaging.destination.anonymous", "messaging.destination.template", "messaging.destination.name", "messaging.destination"),
)
"""Attributes of spans that name them, with those of earlier versions."""


def is_known_version(version: str) -> bool:
    """Whether names are made as this version of the semantic conventions says."""
    return _VERSION.fullmatch(version) is not None
