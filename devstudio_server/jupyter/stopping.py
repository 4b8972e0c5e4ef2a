"""Ends the server when it is asked to, whatever it is doing at that moment."""

from __future__ import annotations

import signal
import sys
import threading

from jupyter_server.serverapp import ServerApp


def stop_between_callbacks(server: ServerApp) -> None:
    """Let the event loop take SIGTERM, in place of Jupyter's own handler.

    Jupyter's handler logs. When the signal comes while a line is being written, that is a reentrant write, which fails,
    and the request to end is lost. The loop takes a signal between two callbacks, where no line is half written.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return
    loop = server.io_loop.asyncio_loop  # type: ignore[attr-defined]
    loop.add_signal_handler(signal.SIGTERM, server._signal_stop, signal.SIGTERM, None)  # noqa: SLF001 - no other name
