"""The two protocols: each reads requests into the common form, and writes answers and errors out of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from support.model_server.forms import Answer, Call, Fault, SeenRequest, Turn

IDS = itertools.count(1)


class Dialect(Protocol):
    """One protocol."""

    def read(self, body: dict[str, Any], headers: dict[str, str]) -> SeenRequest:
        """Read a request."""
        ...

    def write(self, request: SeenRequest, answer: Answer) -> dict[str, Any]:
        """Return the body of an answer."""
        ...

    def error(self, fault: Fault) -> dict[str, Any]:
        """Return the body of an error."""
        ...


def text_of(content: Any) -> str:
    """Return the text of a message's content, which both protocols allow as one text, as blocks, or not at all."""
    if isinstance(content, list):
        return "".join(block["text"] for block in content if block["type"] == "text")
    return str(content or "")


class OpenAI:
    """Chat Completions."""

    stops: Mapping[str, str] = {
        "tool_calls": "tool_calls",
        "end": "stop",
        "length": "length",
        "refusal": "content_filter",
    }

    def read(self, body: dict[str, Any], headers: dict[str, str]) -> SeenRequest:
        """Read a request."""
        messages = body["messages"]
        return SeenRequest(
            protocol="openai",
            model=body["model"],
            system="\n".join(text_of(message["content"]) for message in messages if message["role"] == "system"),
            turns=tuple(self._turn(message) for message in messages if message["role"] != "system"),
            tools=tuple(tool["function"]["name"] for tool in body.get("tools", ())),
            max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
            body=body,
            headers=headers,
        )

    def _turn(self, message: dict[str, Any]) -> Turn:
        calls = tuple(
            Call(call["function"]["name"], json.loads(call["function"]["arguments"]), call["id"])
            for call in message.get("tool_calls") or ()
        )
        return Turn(message["role"], text_of(message.get("content")), calls, message.get("tool_call_id", ""))

    def write(self, request: SeenRequest, answer: Answer) -> dict[str, Any]:
        """Return the body of an answer."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.calls:
            message["tool_calls"] = [
                {"id": f"call_{next(IDS):08d}", "type": "function", "function": self._function(call)}
                for call in answer.calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": self.finish(answer), "logprobs": None}
        return {**self.head(request, "chat.completion"), "choices": [choice], **self.usage(answer)}

    def head(self, request: SeenRequest, kind: str) -> dict[str, Any]:
        """Return what an answer and each of its chunks begin with."""
        identity = f"chatcmpl-{next(IDS):08d}"
        return {"id": identity, "object": kind, "created": 1_790_000_000, "model": request.model}

    def finish(self, answer: Answer) -> str:
        """Return why the answer ends."""
        return self.stops[answer.stop or ("tool_calls" if answer.calls else "end")]

    def usage(self, answer: Answer) -> dict[str, Any]:
        """Return the usage as a field, or none."""
        if answer.usage is None:
            return {}
        tokens_input, tokens_output = answer.usage
        numbers = isinstance(tokens_input, int) and isinstance(tokens_output, int)
        usage = {
            "prompt_tokens": tokens_input,
            "completion_tokens": tokens_output,
            "total_tokens": tokens_input + tokens_output if numbers else None,
        }
        if answer.cached[0]:
            usage["prompt_tokens_details"] = {"cached_tokens": answer.cached[0]}
        return {"usage": usage}

    def _function(self, call: Call) -> dict[str, str]:
        return {"name": call.name, "arguments": arguments_text(call)}

    def error(self, fault: Fault) -> dict[str, Any]:
        """Return the body of an error."""
        return {"error": {"message": fault.message, "type": "error", "param": None, "code": fault.code}}


class Anthropic:
    """Messages."""

    stops: Mapping[str, str] = {
        "tool_calls": "tool_use",
        "end": "end_turn",
        "length": "max_tokens",
        "refusal": "refusal",
    }
    errors: Mapping[int, str] = {
        400: "invalid_request_error",
        401: "authentication_error",
        404: "not_found_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }

    def read(self, body: dict[str, Any], headers: dict[str, str]) -> SeenRequest:
        """Read a request."""
        return SeenRequest(
            protocol="anthropic",
            model=body["model"],
            system=text_of(body.get("system")),
            turns=tuple(turn for message in body["messages"] for turn in self._turns(message)),
            tools=tuple(tool["name"] for tool in body.get("tools", ())),
            max_tokens=body.get("max_tokens"),
            body=body,
            headers=headers,
        )

    def _turns(self, message: dict[str, Any]) -> Iterator[Turn]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            if block["type"] == "tool_result":
                failed = bool(block.get("is_error"))
                yield Turn("tool", text_of(block.get("content")), (), block["tool_use_id"], failed)
        text = text_of(blocks)
        calls = tuple(
            Call(block["name"], block["input"], block["id"]) for block in blocks if block["type"] == "tool_use"
        )
        if text or calls:
            yield Turn(message["role"], text, calls)

    def write(self, request: SeenRequest, answer: Answer) -> dict[str, Any]:
        """Return the body of an answer."""
        content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
        for call in answer.calls:
            arguments = {} if isinstance(call.arguments, str) else dict(call.arguments)
            content.append({**self.tool_use(call), "input": arguments})
        body = self.head(request) | {"content": content, "stop_reason": self.finish(answer)}
        return body | ({} if answer.usage is None else {"usage": self.usage(answer)})

    def head(self, request: SeenRequest) -> dict[str, Any]:
        """Return a message without content."""
        return {
            "id": f"msg_{next(IDS):08d}",
            "type": "message",
            "role": "assistant",
            "model": request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def tool_use(self, call: Call) -> dict[str, Any]:
        """Return a block with a tool call without its input."""
        return {"type": "tool_use", "id": f"toolu_{next(IDS):08d}", "name": call.name, "input": {}}

    def finish(self, answer: Answer) -> str:
        """Return why the answer ends."""
        return self.stops[answer.stop or ("tool_calls" if answer.calls else "end")]

    def usage(self, answer: Answer) -> dict[str, Any]:
        """Return the usage; what the cache gave and took is not part of the input here."""
        assert answer.usage is not None
        read, written = answer.cached
        fresh = answer.usage[0] - read - written if read or written else answer.usage[0]
        cached = {"cache_read_input_tokens": read, "cache_creation_input_tokens": written} if read or written else {}
        return {"input_tokens": fresh, "output_tokens": answer.usage[1], **cached}

    def error(self, fault: Fault) -> dict[str, Any]:
        """Return the body of an error."""
        return {
            "type": "error",
            "error": {"type": self.errors.get(fault.status, "api_error"), "message": fault.message},
        }


def arguments_text(call: Call) -> str:
    """Return a call's arguments as they are sent."""
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
