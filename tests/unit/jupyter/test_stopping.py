"""SIGTERM waits for what the event loop is doing, such as writing a line, and is not lost."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from types import SimpleNamespace
from typing import Any, cast

from devstudio_server.jupyter.stopping import stop_between_callbacks


def test_the_signal_is_taken_between_two_callbacks() -> None:
    loop = asyncio.new_event_loop()
    order: list[Any] = []

    def stop(*arguments: Any) -> None:
        order.append(arguments)
        loop.stop()

    def write_a_line() -> None:
        os.kill(os.getpid(), signal.SIGTERM)  # Python runs a handler of its own before the next statement
        order.append("the line is written")

    before = signal.getsignal(signal.SIGTERM)
    try:
        server = SimpleNamespace(io_loop=SimpleNamespace(asyncio_loop=loop), _signal_stop=stop)
        stop_between_callbacks(cast("Any", server))
        loop.call_soon(write_a_line)
        loop.call_later(10, loop.stop)
        loop.run_forever()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
        loop.close()
    assert order == ["the line is written", (signal.SIGTERM, None)]


def test_a_server_in_another_thread_keeps_its_handlers() -> None:
    before = signal.getsignal(signal.SIGTERM)
    started = threading.Thread(target=stop_between_callbacks, args=(SimpleNamespace(),))
    started.start()
    started.join(10)
    assert signal.getsignal(signal.SIGTERM) is before
