"""What a model answered, as it came: kept beside the patch that was made of it, and read back the way it was read.

Of an exchange, the answer alone is kept, which is what became the patch; of what was sent, the digest. So nothing of a
prompt is kept, and nothing of what only models of the house may see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from devstudio_evidence import strict_json
from devstudio_server.ai.contract import TERMINAL_TOOLS, ContractViolation, ProposeChanges, arguments_of, read_answer
from devstudio_server.ai.ports import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage

Files = dict[str, str | None]

MOST_REPLY_BYTES = 8 * 1024 * 1024
"""The answers of one patch together; what is longer is kept as a digest."""
_TOOL = TERMINAL_TOOLS[ProposeChanges]


@dataclass(frozen=True)
class RecordedAnswer:
    """An answer of a model. ``reply`` is None where it was too long to keep."""

    model: str
    request_sha256: str
    reply_sha256: str
    reply: str | None


def recorded(turns: Sequence[Message], model: str) -> Iterator[RecordedAnswer]:
    """Yield the answers of a conversation that were taken, in their order: the last one, and those it goes on from."""
    left = MOST_REPLY_BYTES
    for at, turn in enumerate(turns):
        if not isinstance(turn, AssistantMessage) or not _taken(turn, turns[at + 1 :]):
            continue
        reply = strict_json.canonical([_call(call) for call in turn.tool_calls])
        left -= len(reply)
        request = strict_json.canonical([_plain(earlier) for earlier in turns[:at]])
        yield RecordedAnswer(model, _sha256(request), _sha256(reply), reply if left >= 0 else None)


def read_back(answer: RecordedAnswer) -> ProposeChanges:
    """Read an answer as the model's own was read; raises `ContractViolation` for one that is not what was recorded."""
    if answer.reply is None:
        raise ContractViolation("The answer was too long to be kept.")
    if _sha256(answer.reply) != answer.reply_sha256:
        raise ContractViolation("The answer that was kept is not the one that came: its digest is another.")
    calls = [ToolCall(one["id"], one["name"], arguments_of(one["raw"]), one["raw"]) for one in _read(answer.reply)]
    for call in calls:
        if call.name == _TOOL:
            return read_answer(call, ProposeChanges)
    raise ContractViolation("The answer that was kept proposes nothing.")


def files_of(answer: ProposeChanges) -> Files:
    """Return the files of an answer; None deletes one."""
    return {file.path: None if file.action == "delete" else file.content for file in answer.files}


def on_top(earlier: Files, answer: ProposeChanges, existing: Collection[str]) -> Files:
    """Put an answer on top of those before it: files that it does not name stay as they were proposed."""
    files = {**earlier, **files_of(answer)}
    return {path: text for path, text in files.items() if text is not None or path in existing}


def _taken(turn: AssistantMessage, after: Sequence[Message]) -> bool:
    """Tell whether an answer was taken: it proposes, and was not sent back as broken."""
    if not any(call.name == _TOOL for call in turn.tool_calls):
        return False
    following = after[0] if after else None
    return following is None or (
        isinstance(following, ToolMessage) and not any(result.is_error for result in following.results)
    )


def _call(call: ToolCall) -> dict[str, str]:
    return {"id": call.id, "name": call.name, "raw": call.raw}


def _plain(turn: Message) -> dict[str, Any]:
    if isinstance(turn, UserMessage):
        return {"user": turn.text}
    if isinstance(turn, AssistantMessage):
        return {"assistant": turn.text, "calls": [_call(call) for call in turn.tool_calls]}
    return {"results": [{"id": result.call_id, "content": result.content} for result in turn.results]}


def _read(reply: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = strict_json.loads(reply)
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
