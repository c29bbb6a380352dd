"""How services that speak HTTP are served."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

from shop.addresses import HOST


def serve(application: ASGIApp, port: int) -> None:
    """Serve until a signal asks for the end."""
    uvicorn.run(application, host=HOST, port=port, log_level="warning")
