"""GET /api/v1/ledger."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from collector.api import rendering, schemas
from collector.api.routing import CALLER, JSON, LEDGER, Route
from collector.ledger import OTHERS


async def show_ledger(request: web.Request) -> web.Response:
    """What became of every span, for each workspace that the caller may see."""
    ledger, principal = request.app[LEDGER], request[CALLER].principal
    everything = principal.workspaces is None
    seen = [name for name in ledger.workspaces() if (everything if name == OTHERS else principal.sees(name))]
    return rendering.json_response(
        {
            "lasting": ledger.lasting,
            "refused": [{"workspace": name, "reasons": dict(ledger.refused[name])} for name in seen if ledger.refused.get(name)],
            "exporters": [
                {
                    "exporter": exporter,
                    "workspaces": [{"workspace": name, **account.of(name)} for name in seen if account.accepted[name]],
                }
                for exporter, account in ledger.accounts.items()
            ],
        }
    )


ROUTES: Final = (
    Route(
        "/api/v1/ledger",
        show_ledger,
        "What became of every span that was received",
        {JSON: schemas.reference("Ledger")},
    ),
)
