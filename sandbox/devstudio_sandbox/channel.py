"""The host's end of the conversation with a supervisor."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from devstudio_sandbox.archive import END_OF_ARCHIVE, header, padding
from devstudio_sandbox.errors import ArtifactTooLarge, SandboxError, SandboxLost, WorkspaceRejected
from devstudio_sandbox.ports import Command, Completed, Limits, OnOutput, Stream
from devstudio_sandbox.supervisor import wire

ANSWER_S = 60.0
"""How long a supervisor may stay silent when it has something to do other than to run a command."""
GRACE_S = 20.0
"""How long after a command's deadline its EXIT may come before the sandbox counts as lost (its sweep takes 10 s)."""
MAX_ENTRY = 16 * 1024
"""Bytes that the announcement of a file may have, more or less: a path has at most 4 KiB."""
ADOPT_S = 2.0
"""How long a parked supervisor may take to answer: one that takes longer is not worth the wait."""
PIECE = 256 * 1024
MAX_STDIN = wire.MAX_STDIN


class Transport(Protocol):
    """A byte stream to and from the supervisor."""

    def read(self, timeout_s: float) -> bytes:
        """Read what is there; ``b""`` when the other side is gone; TimeoutError after ``timeout_s`` seconds."""

    def write(self, data: bytes) -> None:
        """Write everything; OSError when the other side is gone."""

    def quiet(self) -> bool:
        """Tell whether there is nothing to read, not even the end."""

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
                    if len(content) > max_bytes:  # it stops there by itself, unless something has taken it over
                        self._destroy()
                        raise SandboxLost("the sandbox sent more than was asked for, and was destroyed")
                elif kind == wire.DONE:
                    return bytes(content)
                elif json.loads(payload)["code"] == "missing":
                    return None
                else:
                    raise refusal(payload)

    def export(self, patterns: Sequence[str], *, max_bytes: int, max_files: int) -> Iterator[bytes]:
        """See :meth:`devstudio_sandbox.ports.Sandbox.export`. What the supervisor says is held against the bounds."""
        with self._turn:
            self._ask(wire.EXPORT, patterns=list(patterns), max_bytes=max_bytes, max_files=max_files)
            frames, whole = self._frames_until_done(), False
            try:
                yield from Export(max_bytes, max_files).members(frames)
                whole = True
            finally:
                if not whole:
                    self._drop(frames, max_bytes + max_files * MAX_ENTRY)
            yield END_OF_ARCHIVE

    def adopt(self, ttl_s: float) -> None:
        """Take a parked supervisor over for a run: from now it lives ``ttl_s``.

        Raises `SandboxError` when it does not answer, and then is destroyed.
        """
        with self._turn:
            self._ask(wire.ADOPT, ttl_s=ttl_s)
            self._expect(wire.DONE, ADOPT_S)

    def quiet(self) -> bool:
        """Tell whether a supervisor that was asked nothing says nothing: it would speak, or close, only at its end."""
        return self._transport.quiet()

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

    def _drop(self, frames: Iterator[tuple[int, bytes]], most: int) -> None:
        """Skip the rest of an export that nobody reads: the next answer has to be that to the next question."""
        with suppress(SandboxError):
            for _, payload in frames:
                most -= len(payload)
                if most < 0:
                    self._destroy()
                    return

    def _frames_until_done(self) -> Iterator[tuple[int, bytes]]:
        while True:
            kind, payload = self._receive(ANSWER_S)
            if kind == wire.DONE:
                return
            if kind == wire.ERROR:
                raise refusal(payload)
            yield kind, payload

    def _expect(self, wanted: int, timeout_s: float = ANSWER_S) -> None:
        kind, payload = self._receive(timeout_s)
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


class Export:
    """Turns what a supervisor sends of an export into members of a tar stream."""

    def __init__(self, max_bytes: int, max_files: int) -> None:
        self._bytes_left, self._files_left = max_bytes, max_files

    def members(self, frames: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
        """Yield the members; raises `SandboxLost` for what is not as agreed."""
        due = behind = 0
        for kind, payload in frames:
            if kind == wire.ENTRY and not due:
                told = json.loads(payload)
                due = behind = told["size"]
                self._count(due)
                yield header(told["path"], due, executable=told["executable"])
            elif kind == wire.DATA and len(payload) <= due:
                due -= len(payload)
                yield payload
            else:
                raise SandboxLost("the sandbox sent something else than it announced; run it again")
            if not due:
                yield padding(behind)
        if due:
            raise SandboxLost("the sandbox sent less than it announced; run it again")

    def _count(self, size: int) -> None:
        self._files_left -= 1
        self._bytes_left -= size
        if self._files_left < 0 or self._bytes_left < 0 or size < 0:
            raise ArtifactTooLarge("the sandbox sent more than was asked for")


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
        cpu_s=round(told["user_s"] + told["system_s"], 6),
        max_rss_bytes=told["max_rss_bytes"],
        oom_killed=told["oom_killed"],
    )


def refusal(payload: bytes) -> SandboxError:
    """Turn an ERROR frame into the exception of the port."""
    told = json.loads(payload)
    kinds = {"path": WorkspaceRejected, "archive": WorkspaceRejected, "too_large": ArtifactTooLarge}
    return kinds.get(told["code"], SandboxError)(told["message"])
