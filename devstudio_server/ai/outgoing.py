"""The last look at what leaves for a model: secrets are taken out, and digests tell later what a call carried."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from devstudio_server.ai.ports import (
    AssistantMessage,
    Message,
    ModelRequest,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from devstudio_server.ai.restricted import is_outside
from devstudio_server.ai.schemas import Model
from devstudio_server.ai.secret_scan import mask

_MOST_NAME = 200
_MOST_CARRIED = 1000
_DATA = re.compile(r'<data id="([0-9a-f]{8,32})" name="([^"\n]{1,300})">\n')
_PATH_IN_NAME = re.compile(r"^(?:file|read_file|test) (\S.*)$")


@dataclass(frozen=True)
class Carried:
    """One thing that a call carried: what it was, the SHA-256 of its UTF-8 as it was sent, and its size in bytes."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class MaskedSecret:
    """``count`` secrets of one kind that were taken out of the thing ``name``."""

    kind: str
    name: str
    count: int


@dataclass(frozen=True)
class Outgoing:
    """A request as it may leave, what it carries, and what was taken out of it."""

    request: ModelRequest
    carried: tuple[Carried, ...]
    masked: tuple[MaskedSecret, ...]

    def warnings(self) -> list[str]:
        """Say to a person what was taken out, without saying it."""
        return [
            f"Secrets in {secret.name} were removed before it was sent to the model: {secret.count} ({secret.kind})."
            for secret in self.masked
        ]


def prepare(request: ModelRequest, model: Model) -> Outgoing:
    """Return ``request`` as it may go to ``model``: without secrets when that runs outside the company's house.

    Everything that the adapter sends is looked at: the system text, the prompt, the results of tools, and the turns
    before. Our own tools' descriptions have no text of others. The work is linear in the size of the request.
    """
    cleaner = _Cleaner(outside=is_outside(model))
    system = cleaner.clean("system", request.system)
    messages = tuple(cleaner.message(message) for message in request.messages)
    return Outgoing(
        replace(request, system=system, messages=messages),
        tuple(cleaner.carried[:_MOST_CARRIED]),
        tuple(MaskedSecret(kind, name, count) for (kind, name), count in cleaner.masked.items()),
    )


class _Cleaner:
    """Goes through the parts of one request."""

    def __init__(self, *, outside: bool) -> None:
        self._outside = outside
        self._reads: dict[str, str] = {}
        self.carried: list[Carried] = []
        self.masked: dict[tuple[str, str], int] = {}

    def message(self, message: Message) -> Message:
        if isinstance(message, UserMessage):
            return UserMessage(self._prompt(message.text))
        if isinstance(message, ToolMessage):
            results = (
                replace(result, content=self.clean(self._reads.get(result.call_id, "tool result"), result.content))
                for result in message.results
            )
            return ToolMessage(tuple(results))
        return self._turn(message)

    def clean(self, name: str, text: str, *, keep: bool = True) -> str:
        """Mask one part, and note its digest unless ``keep`` is off."""
        if self._outside:
            path = _PATH_IN_NAME.match(name)
            masked = mask(text, path=path.group(1) if path else "")
            text = masked.text
            for kind, count in masked.kinds.items():
                self.masked[kind, name] = self.masked.get((kind, name), 0) + count
        if keep and text:
            data = text.encode("utf-8", "replace")
            self.carried.append(Carried(name[:_MOST_NAME], hashlib.sha256(data).hexdigest(), len(data)))
        return text

    def _prompt(self, text: str) -> str:
        """Look at each delimited part by itself, so that its name tells what was in it; then at what is between."""
        pieces, between = [], []
        for name, piece in _parts(text):
            if name:
                pieces.append(self.clean(name, piece))
            else:
                between.append(self.clean("prompt", piece, keep=False))
                pieces.append(between[-1])
        if "".join(between).strip():
            data = "".join(between).encode("utf-8", "replace")
            self.carried.append(Carried("prompt", hashlib.sha256(data).hexdigest(), len(data)))
        return "".join(pieces)

    def _turn(self, message: AssistantMessage) -> AssistantMessage:
        text = self.clean("earlier answer", message.text)
        calls = tuple(self._call(call) for call in message.tool_calls)
        if text == message.text and calls == message.tool_calls:
            return message
        return AssistantMessage(text, calls)  # what the adapter kept of the turn still has the secret

    def _call(self, call: ToolCall) -> ToolCall:
        path = (call.arguments or {}).get("path", "")
        self._reads[call.id] = mask(f"{call.name} {path}".strip()[:_MOST_NAME]).text
        name = f"earlier call of {call.name}"[:_MOST_NAME]
        raw = self.clean(name, call.raw)
        if raw == call.raw:
            return call
        arguments = _in_strings(call.arguments, lambda text: self.clean(name, text, keep=False))
        return replace(call, arguments=arguments, raw=raw if arguments is None else json.dumps(arguments))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the delimited parts of a prompt with their names, and with an empty name what is between them."""
    closings: dict[str, list[int]] = {}
    for match in re.finditer(r'</data id="([0-9a-f]{8,32})">', text):
        closings.setdefault(match.group(1), []).append(match.start())
    end = 0
    for match in _DATA.finditer(text):
        after = closings.get(match.group(1), [])
        index = bisect_left(after, match.end() + 1)
        if match.start() < end or index == len(after):
            continue
        closing = after[index] - 1  # without the line break before the closing tag
        yield "", text[end : match.end()]
        yield match.group(2), text[match.end() : closing]
        end = closing
    yield "", text[end:]


def _in_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _in_strings(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_strings(item, change) for item in value]
    return value
