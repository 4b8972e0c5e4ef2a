"""A signal to stop that acts at once: whoever works registers how, whoever waits no more sets it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# How often an event is looked at that calls nobody back.
_LOOK_S = 0.05


class StopSignal(threading.Event):
    """An event that also calls back, in the thread that sets it, so that a thread that reads can be woken."""

    def __init__(self, also: threading.Event | None = None) -> None:
        """Be unset. ``also`` is another event whose setting counts here, too, though it calls nobody back."""
        super().__init__()
        self._also = also
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._guard = threading.Lock()
        self._next = 0

    @classmethod
    def of(cls, event: threading.Event | None) -> StopSignal:
        """Return ``event`` when it is a signal, else a signal that follows it."""
        return event if isinstance(event, StopSignal) else cls(also=event)

    def is_set(self) -> bool:
        """Tell whether to stop."""
        return super().is_set() or (self._also is not None and self._also.is_set())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, ``timeout`` seconds at most; tell whether it is."""
        if self._also is None:
            return super().wait(timeout)
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (left := until - time.monotonic()) > 0:
            super().wait(min(left, _LOOK_S))
        return self.is_set()

    def set(self) -> None:
        """Stop: call back whoever registered, once."""
        with self._guard:
            super().set()
            callbacks, self._callbacks = list(self._callbacks.values()), {}
        for callback in callbacks:
            callback()

    @contextmanager
    def on_set(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call ``callback`` when the signal is set within the block; at once when it is set already.

        The callback runs in the thread that sets the signal: it must be quick and must not raise.
        """
        with self._guard:
            stopped = self.is_set()
            self._next += 1
            key = self._next
            if not stopped:
                self._callbacks[key] = callback
        if stopped:
            callback()
        try:
            yield
        finally:
            with self._guard:
                self._callbacks.pop(key, None)
