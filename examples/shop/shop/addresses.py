"""Where the services are: ports on this machine, from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Self

HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class Addresses:
    """The ports of the services."""

    storefront: int = 8080
    catalog: int = 8081
    stock: int = 8082

    @classmethod
    def from_environment(cls) -> Self:
        """What SHOP_STOREFRONT_PORT, SHOP_CATALOG_PORT and SHOP_STOCK_PORT say, or the usual."""
        return cls(
            int(os.environ.get("SHOP_STOREFRONT_PORT", cls.storefront)),
            int(os.environ.get("SHOP_CATALOG_PORT", cls.catalog)),
            int(os.environ.get("SHOP_STOCK_PORT", cls.stock)),
        )
