"""The offline provider behind the port of the models."""

from __future__ import annotations

from devstudio_server.ai.ports import ModelReply, ModelRequest


class OfflineAdapter:
    """Answers by rules, from the subject of a request."""

    def reply(self, request: ModelRequest) -> ModelReply:
        """Answer at once, with the terminal tool of the request."""
        raise NotImplementedError

    def close(self) -> None:
        """Close nothing: there are no connections."""
