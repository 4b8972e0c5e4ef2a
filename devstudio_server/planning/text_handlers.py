"""HTTP of text from a model."""

from __future__ import annotations

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import BadGateway, NotFound, TooManyRequests, Unavailable
from devstudio_server.planning.text import TextService
from devstudio_server.planning.text_schemas import TextRequest, TextResult
from devstudio_server.web import Call, Limit, Operations

operations = Operations("ai")


@operations.operation(
    "POST",
    "ai/generate",
    permission=Permission.CODE_GENERATE,
    summary="Have a model write text",
    errors=(NotFound, BadGateway, TooManyRequests, Unavailable),
    outside=True,
    limit=Limit.GENERATE,
)
def generate_text(call: Call, body: TextRequest) -> TextResult:
    """Ask a model. By SSE each piece comes as it is written; a client that leaves stops the model.

    Nothing is kept but what it cost.
    """
    return TextService(call.units, call.actor, call.ports, call.progress, call.left).generate(body)
