"""HTTP of what is sent to models."""

from __future__ import annotations

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import NotFound, Unavailable
from devstudio_server.planning.optimize import OptimizeService
from devstudio_server.planning.optimize_schemas import OptimizeRequest, OptimizeResult
from devstudio_server.web import Call, Operations

operations = Operations("ai")


@operations.operation(
    "POST",
    "ai/optimize",
    permission=Permission.CODE_GENERATE,
    summary="Show what is sent to a model",
    errors=(NotFound, Unavailable),
    outside=True,
)
def optimize_context(call: Call, body: OptimizeRequest) -> OptimizeResult:
    """Tell, part by part, what generation or planning would send: sizes, cuts, duplicates, cache and cost.

    No model is asked and nothing is changed.
    """
    return OptimizeService(call.units, call.actor, call.ports).optimize(body)
