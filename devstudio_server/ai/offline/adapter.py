"""The offline provider behind the port of the models."""

from __future__ import annotations

from devstudio_server.ai.contract import TERMINAL_TOOLS
from devstudio_server.ai.offline.generator import propose
from devstudio_server.ai.offline.names import LABEL
from devstudio_server.ai.offline.planner import plan
from devstudio_server.ai.ports import Delta, Listener, ModelReply, ModelRequest, TokenUsage, ToolCall
from devstudio_server.ai.subjects import PlanSubject, TextSubject

_NO_WORDS = (
    f"{LABEL}\n\nThey plan documents and write code by rules, and have no words of their own. Choose another model of "
    "`GET ai/models` for this."
)


class OfflineAdapter:
    """Answers by rules, from the subject of a request. It never reads the prompt."""

    def reply(self, request: ModelRequest, listener: Listener) -> ModelReply:
        """Answer at once, with the terminal tool that the subject asks for."""
        subject = request.subject
        if isinstance(subject, TextSubject):
            listener.delta(Delta("text", _NO_WORDS))
            return ModelReply(_NO_WORDS, (), "end", TokenUsage(0, 0))
        answer = plan(subject) if isinstance(subject, PlanSubject) else propose(subject, request.reader)
        arguments = answer.model_dump(mode="json", exclude_none=True)
        call = ToolCall("offline", TERMINAL_TOOLS[type(answer)], arguments, answer.model_dump_json(exclude_none=True))
        listener.delta(Delta("tool", call.raw, call.name))
        return ModelReply(LABEL, (call,), "tool_calls", TokenUsage(0, 0))

    def close(self) -> None:
        """Close nothing: there are no connections."""
