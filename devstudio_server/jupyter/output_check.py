"""What a browser asks of a kernel that was started again waits until the kernel's output can be heard.

A kernel that starts again has the addresses of the one before, and the sockets of a browser's connection find it by
themselves, each at its own time. ZeroMQ keeps a question until then, but nobody keeps output to which nobody has
subscribed: a cell that arrives before the subscription would run, say nothing, and never be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from devstudio_server.jupyter.studio_kernels import StudioKernel

ASK_S = 0.1
"""How long after a question without an answer the next one is asked."""
MOST_S = 60.0
"""How long messages wait at most; a kernel that says nothing for so long gets them all the same."""


class OutputCheck:
    """The messages of one connection that wait, and the questions by which it is found out for how long."""

    def __init__(self, kernel: StudioKernel, output: Any, session: Any, send: Callable[[Any], None]) -> None:
        """Look after ``output``, the socket of the kernel's output; ``send`` gets what has waited, in its order."""
        self._kernel, self._output, self._session, self._send = kernel, output, session, send
        self._held: list[Any] = []
        self._questions: dict[str, int] = {}
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_due(self) -> bool:
        """Tell whether the socket was last heard in an earlier life of the kernel than this one."""
        return self._kernel.is_starting_again or getattr(self._output, "life", None) != self._kernel.life

    @property
    def is_asking(self) -> bool:
        """Tell whether what the kernel says may answer a question."""
        return bool(self._questions)

    def passed(self, life: int) -> None:
        """Take it that the socket hears the kernel's ``life``; the socket remembers it for its next connection."""
        self._output.life = life

    def hold(self, message: Any) -> bool:
        """Keep a message when it has to wait, and tell whether it does."""
        if not self._held and not self.is_due:
            return False
        self._held.append(message)
        if self._task is None:
            self._task = asyncio.ensure_future(self._ask())
        return True

    def hear(self, parent_id: str) -> None:
        """Notice output by the id of the message that it is about."""
        if (life := self._questions.get(parent_id)) is not None:
            self.passed(life)
            self._heard.set()

    def end(self) -> None:
        """Send what waits now: the browser has gone, and what it asked for is done all the same."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        held, self._held = self._held, []
        for message in held:
            self._send(message)

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        until, channel = loop.time() + MOST_S, self._kernel.connect_control()
        try:
            while self.is_due and loop.time() < until and not self._output.closed():
                self._heard.clear()
                if not self._kernel.is_starting_again:
                    question = self._session.msg("kernel_info_request")
                    self._questions[question["header"]["msg_id"]] = self._kernel.life
                    self._session.send(channel, question)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._heard.wait(), ASK_S)
        finally:
            channel.close()
            self._questions.clear()
        self._task = None
        self.end()
