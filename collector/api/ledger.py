"""GET /api/v1/ledger."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from collector.api import rendering, schemas
from collector.api.routing import CALLER, JSON, LEDGER, Route
from collector.ledger import OTHERS, Account, Ledger
from collector.tokens import Principal
from exporters.tally import by_workspace, service_of


async def show_ledger(request: web.Request) -> web.Response:
    """What became of every span, for each workspace that the caller may see and each service in it."""
    ledger, principal = request.app[LEDGER], request[CALLER].principal
    return rendering.json_response(
        {
            "lasting": ledger.lasting,
            "refused": _refused(ledger, principal),
            "exporters": [
                {"exporter": exporter, "workspaces": _workspaces(account, principal)}
                for exporter, account in ledger.accounts.items()
            ],
        }
    )


def _refused(ledger: Ledger, principal: Principal) -> list[dict[str, Any]]:
    return [
        {
            "workspace": workspace,
            "reasons": ledger.reasons(owners),
            "services": [{"service": service_of(owner), "reasons": ledger.refused[owner]} for owner in owners],
        }
        for workspace, owners in by_workspace(ledger.refused).items()
        if _sees(principal, workspace)
    ]


def _workspaces(account: Account, principal: Principal) -> list[dict[str, Any]]:
    return [
        {
            "workspace": workspace,
            **account.of(*owners),
            "services": [{"service": service_of(owner), **account.of(owner)} for owner in owners],
        }
        for workspace, owners in account.owners().items()
        if _sees(principal, workspace)
    ]


def _sees(principal: Principal, workspace: str) -> bool:
    return principal.workspaces is None if workspace == OTHERS else principal.sees(workspace)


ROUTES: Final = (
    Route(
        "/api/v1/ledger",
        show_ledger,
        "What became of every span that was received",
        {JSON: schemas.reference("Ledger")},
    ),
)
