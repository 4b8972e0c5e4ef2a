"""HTTP of the AI gateway."""

from __future__ import annotations

from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.schemas import ModelList
from devstudio_server.auth import Permission
from devstudio_server.web import Call, Operations

operations = Operations("ai")


@operations.operation("GET", "ai/models", permission=Permission.SPEC_READ, summary="List models")
def list_models(call: Call) -> ModelList:
    """List the models that this server can call, from its configuration; nothing outside is asked."""
    return ModelList(items=call.port(Gateway).models())
