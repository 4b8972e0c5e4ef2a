"""The attached socket of a container, with the engine's stream headers taken off."""

import contextlib
import socket
import struct
import time
from typing import Any

import docker

from devstudio_sandbox.host import is_quiet

STREAM_HEADER = struct.Struct("!BxxxI")
"""Docker Engine API, "Attach to a container": one byte of stream, three of nothing, four of length."""
STDERR = 2
PIECE = 256 * 1024
STALLED_S = 60.0
DIAGNOSIS_BYTES = 4096


class AttachedStream:
    """A transport over the hijacked connection; works for unix, tcp and TLS engines alike.

    It has to be made before the container starts, or the first frames are lost.
    """

    def __init__(self, api: docker.APIClient, container: str) -> None:
        options = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        self._wrapper: Any = api.attach_socket(container, params=options)
        self._response = getattr(self._wrapper, "_response", None)
        # docker-py hands out a file object around the socket; only the socket can both time out and be written to
        self._socket: socket.socket = getattr(self._wrapper, "_sock", self._wrapper)
        self._buffer = bytearray()
        self._diagnosis = bytearray()

    def read(self, timeout_s: float) -> bytes:
        """Return the next piece of the supervisor's standard output."""
        until = time.monotonic() + timeout_s
        while True:
            if out := self._demultiplex():
                return out
            self._socket.settimeout(max(0.001, until - time.monotonic()))
            piece = self._socket.recv(PIECE)
            if not piece:
                return b""
            self._buffer += piece

    def write(self, data: bytes) -> None:
        """Send everything, or fail when the other side takes nothing for a minute."""
        rest = memoryview(data)
        until = time.monotonic() + STALLED_S
        while rest:
            try:
                sent = self._socket.send(rest)
            except TimeoutError:  # the reader's timeout holds for the whole socket
                if time.monotonic() > until:
                    raise
                continue
            rest = rest[sent:]
            until = time.monotonic() + STALLED_S

    def quiet(self) -> bool:
        """Tell whether there is nothing to read, not even the end."""
        return not self._buffer and is_quiet(self._socket.fileno())

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._response is not None:
            self._response.close()
            self._response = None
        self._wrapper.close()
        self._socket.close()

    def diagnosis(self) -> str:
        """Return the end of the supervisor's standard error."""
        return self._diagnosis.decode(errors="replace")

    def _demultiplex(self) -> bytes:
        out = bytearray()
        while len(self._buffer) >= STREAM_HEADER.size:
            stream, size = STREAM_HEADER.unpack_from(self._buffer)
            end = STREAM_HEADER.size + size
            if len(self._buffer) < end:
                break
            payload = self._buffer[STREAM_HEADER.size : end]
            del self._buffer[:end]
            if stream == STDERR:
                self._diagnosis = (self._diagnosis + payload)[-DIAGNOSIS_BYTES:]
            else:
                out += payload
        return bytes(out)
