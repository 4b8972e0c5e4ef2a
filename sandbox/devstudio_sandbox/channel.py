"""The host's end of the conversation with a supervisor."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from devstudio_sandbox.errors import ArtifactTooLarge, SandboxError, SandboxLost, WorkspaceRejected
from devstudio_sandbox.ports import Command, Completed, Limits, OnOutput, Stream
from devstudio_sandbox.supervisor import wire

ANSWER_S = 60.0
"""How long a supervisor may stay silent when it has something to do other than to run a command."""
GRACE_S = 20.0
"""How long after a command's deadline its EXIT may come before the sandbox counts as lost (its sweep takes 10 s)."""
PIECE = 256 * 1024
MAX_STDIN = wire.MAX_STDIN


class Transport(Protocol):
    """A byte stream to and from the supervisor."""

    def read(self, timeout_s: float) -> bytes:
        """Read what is there; ``b""`` when the other side is gone; TimeoutError after ``timeout_s`` seconds."""

    def write(self, data: bytes) -> None:
        """Write everything; OSError when the other side is gone."""

    def close(self) -> None:
        """Close both directions. May be called again."""

    def diagnosis(self) -> str:
        """Return what the supervisor said on its own standard error, bounded."""


class Channel:
    """Questions to one supervisor, one at a time, and its answers.

    Parameters
    ----------
    transport
        The stream to it. The channel closes it.
    destroy
        Called when the supervisor does not keep to a deadline: takes the sandbox away from outside.

    """

    def __init__(self, transport: Transport, destroy: Callable[[], object]) -> None:
        self._transport = transport
        self._destroy = destroy
        self._turn = threading.Lock()
        self._writing = threading.Lock()
        self._buffer = bytearray()
        self._killed = threading.Event()

    def greet(self) -> None:
        """Wait for the supervisor to be ready."""
        kind, payload = self._receive(ANSWER_S)
        if kind != wire.READY or json.loads(payload)["protocol"] != wire.PROTOCOL:
            raise SandboxError("the image speaks another protocol; build it again with `make sandbox-image`")

    def put(self, archive: Iterable[bytes], limits: Limits) -> None:
        """See :meth:`devstudio_sandbox.ports.Sandbox.put`."""
        with self._turn:
            self._ask(wire.PUT, max_bytes=limits.workspace_bytes, max_files=limits.workspace_files)
            for piece in archive:
                self._send_pieces(piece)
            self._send(wire.END)
            self._expect(wire.DONE)

    def run(self, command: Command, env: Mapping[str, str], on_output: OnOutput) -> Completed:
        """See :meth:`devstudio_sandbox.ports.Sandbox.run`; ``env`` is already complete."""
        if not command.argv or len(command.stdin) > MAX_STDIN:
            raise SandboxError("a command needs a program, and at most 16 MiB of standard input")
        with self._turn:
            if self._killed.is_set():
                return CANCELLED
            self._send_pieces(command.stdin)
            self._ask(wire.START, argv=command.argv, cwd=command.cwd, env=dict(env), deadline_s=command.deadline_s)
            if self._killed.is_set():  # between the look above and START: the supervisor had nothing to kill yet
                self._send(wire.KILL)
            return self._follow(command.deadline_s, on_output)

    def get(self, path: str, max_bytes: int) -> bytes | None:
        """See :meth:`devstudio_sandbox.ports.Sandbox.get`."""
        with self._turn:
            self._ask(wire.GET, path=path, max_bytes=max_bytes)
            content = bytearray()
            while True:
                kind, payload = self._receive(ANSWER_S)
                if kind == wire.DATA:
                    content += payload
                elif kind == wire.DONE:
                    return bytes(content)
                elif json.loads(payload)["code"] == "missing":
                    return None
                else:
                    raise refusal(payload)

    def kill(self) -> None:
        """See :meth:`devstudio_sandbox.ports.Sandbox.kill`."""
        self._killed.set()
        try:
            self._send(wire.KILL)
        except SandboxLost:  # what is gone needs no killing
            return

    def close(self) -> None:
        """Say goodbye and close the stream."""
        self._killed.set()
        try:
            self._send(wire.QUIT)
        except SandboxLost:
            pass
        finally:
            self._transport.close()

    def _follow(self, deadline_s: float, on_output: OnOutput) -> Completed:
        until = time.monotonic() + deadline_s + GRACE_S
        streams: dict[int, Stream] = {wire.STDOUT: "stdout", wire.STDERR: "stderr"}
        while True:
            # A slow reader of the output may find itself past the deadline: what is already there still counts.
            kind, payload = self._receive(max(GRACE_S, until - time.monotonic()))
            if kind in streams:
                on_output(streams[kind], payload)
            elif kind == wire.EXIT:
                return completed(json.loads(payload))
            else:
                raise refusal(payload)

    def _expect(self, wanted: int) -> None:
        kind, payload = self._receive(ANSWER_S)
        if kind != wanted:
            raise refusal(payload)

    def _ask(self, kind: int, **fields: object) -> None:
        payload = json.dumps(fields).encode()
        if len(payload) > wire.MAX_FRAME:
            raise SandboxError("the arguments and the environment of a command may have 1 MiB together")
        self._send(kind, payload)

    def _send_pieces(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            self._send(wire.CHUNK, data[start : start + PIECE])

    def _send(self, kind: int, payload: bytes = b"") -> None:
        with self._writing:
            try:
                self._transport.write(wire.HEADER.pack(kind, len(payload)) + payload)
            except OSError as problem:
                raise self._lost() from problem

    def _receive(self, timeout_s: float) -> tuple[int, bytes]:
        until = time.monotonic() + timeout_s
        while (frame := self._pop()) is None:
            try:
                piece = self._transport.read(max(0.0, until - time.monotonic()))
            except TimeoutError as problem:
                self._destroy()
                raise SandboxLost("the sandbox did not answer in time and was destroyed; run it again") from problem
            except OSError as problem:
                raise self._lost() from problem
            if not piece:
                raise self._lost()
            self._buffer += piece
        return frame

    def _pop(self) -> tuple[int, bytes] | None:
        if len(self._buffer) < wire.HEADER.size:
            return None
        kind, size = wire.HEADER.unpack_from(self._buffer)
        if size > wire.MAX_FRAME:
            raise self._lost()
        end = wire.HEADER.size + size
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[wire.HEADER.size : end])
        del self._buffer[:end]
        return kind, payload

    def _lost(self) -> SandboxLost:
        said = self._transport.diagnosis().strip()
        return SandboxLost(
            "the sandbox went away (its engine stopped, it was removed, or its time to live ran out); run it again"
            + (f". It last said: {said[-500:]}" if said else "")
        )


CANCELLED = Completed(
    exit_code=137, signal=9, timed_out=False, cancelled=True, duration_s=0.0, cpu_s=0.0, max_rss_bytes=0
)
"""The end of a command that was cancelled before it began."""


def completed(told: dict[str, Any]) -> Completed:
    """Turn an EXIT frame into what the caller gets."""
    return Completed(
        exit_code=told["exit_code"],
        signal=told["signal"],
        timed_out=told["timed_out"],
        cancelled=told["cancelled"],
        duration_s=told["duration_s"],
        cpu_s=told["user_s"] + told["system_s"],
        max_rss_bytes=told["max_rss_bytes"],
        oom_killed=told["oom_killed"],
    )


def refusal(payload: bytes) -> SandboxError:
    """Turn an ERROR frame into the exception of the port."""
    told = json.loads(payload)
    kinds = {"path": WorkspaceRejected, "archive": WorkspaceRejected, "too_large": ArtifactTooLarge}
    return kinds.get(told["code"], SandboxError)(told["message"])
