"""GET /api/v1/sampling/decisions/{trace_id}: why a trace was kept or dropped."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from collector.api import params, rendering, schemas
from collector.api.routing import CALLER, EXPLAINERS, JSON, Route
from collector.processors.tail_sampling.decided import trace_key
from collector.processors.tail_sampling.recent import Decision, Explanation


async def explain_trace(request: web.Request) -> web.Response:
    """What tail sampling has decided about a trace of the caller's workspace, on the way to each exporter."""
    trace_id = params.path_trace_id(request)
    key = trace_key(request[CALLER].workspace, bytes.fromhex(trace_id))
    explanations = {exporter: await explainer.explain(key) for exporter, explainer in request.app[EXPLAINERS].items()}
    return rendering.json_response(
        {
            "traceId": trace_id,
            "exporters": [{"exporter": exporter, **_explained(each)} for exporter, each in explanations.items()],
        }
    )


def _explained(explanation: Explanation) -> dict[str, Any]:
    decisions = explanation.decisions
    state = "pending" if explanation.pending else "unknown"
    if decisions and not explanation.pending:
        state = "kept" if decisions[0].kept else "dropped"
    return {"state": state, "decisions": [_rendered(decision) for decision in decisions]}


def _rendered(decision: Decision) -> dict[str, Any]:
    votes = decision.votes
    return {
        "timeUnixNano": str(decision.time_ns),
        "kept": decision.kept,
        "decidedBy": decision.decided_by,
        "late": decision.late,
        "probability": decision.probability,
        "votes": None if votes is None else [{"policy": policy, "keeps": keeps} for policy, keeps in votes.items()],
    }


ROUTES: Final = (
    Route(
        "/api/v1/sampling/decisions/{trace_id}",
        explain_trace,
        "Why tail sampling has kept or dropped a trace",
        {JSON: schemas.reference("SamplingDecisions")},
    ),
)
