"""What waits while it is unknown whether a kernel's output can be heard; whole restarts are in tests/kernels."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from jupyter_client.session import Session

from devstudio_server.jupyter import output_check
from devstudio_server.jupyter.output_check import OutputCheck


class Socket:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_closed = False

    def closed(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Messages(Session):
    """Sends nothing, and keeps the ids."""

    def send(self, stream: Any, msg_or_type: Any, *_: Any, **_more: Any) -> None:  # type: ignore[override]
        stream.sent.append(msg_or_type["header"]["msg_id"])


@dataclass
class Kernel:
    """A kernel that may be in the middle of a restart."""

    life: int = 0
    is_starting_again: bool = False
    control: list[Socket] = field(default_factory=list)

    def connect_control(self) -> Socket:
        self.control.append(Socket())
        return self.control[-1]


class Case:
    def __init__(self) -> None:
        self.kernel, self.output, self.passed_on = Kernel(), Socket(), list[str]()
        self.check = self.connection()

    def connection(self) -> OutputCheck:
        return OutputCheck(self.kernel, self.output, Messages(), self.passed_on.append)  # type: ignore[arg-type]

    async def asked(self, count: int) -> list[str]:
        async with asyncio.timeout(10):
            while not self.kernel.control or len(self.kernel.control[-1].sent) < count:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        return self.kernel.control[-1].sent


def test_nothing_waits_where_the_output_was_heard() -> None:
    async def run() -> None:
        case = Case()
        case.check.passed(0)
        assert not case.check.hold("cell")
        assert not case.kernel.control

    asyncio.run(run())


def test_cells_wait_in_their_order_until_the_output_of_the_new_life_is_heard() -> None:
    async def run() -> None:
        case = Case()
        case.check.passed(0)
        case.kernel.is_starting_again = True
        assert case.check.hold("one")
        await asyncio.sleep(3 * output_check.ASK_S)
        assert case.kernel.control[0].sent == [], "nobody is asked before the kernel is there"
        case.kernel.life, case.kernel.is_starting_again = 1, False
        questions = await case.asked(2)
        assert case.check.hold("two")
        case.check.hear("of something else")
        await asyncio.sleep(2 * output_check.ASK_S)
        assert case.passed_on == []
        case.check.hear(questions[0])
        await asyncio.sleep(0.01)
        assert case.passed_on == ["one", "two"]
        assert not case.check.hold("three")
        assert not case.check.is_asking
        assert case.kernel.control[0].is_closed

    asyncio.run(run())


def test_an_answer_of_a_life_that_is_over_proves_nothing() -> None:
    async def run() -> None:
        case = Case()
        assert case.check.hold("cell")
        old = (await case.asked(1))[0]
        case.kernel.life = 1
        case.check.hear(old)
        await asyncio.sleep(2 * output_check.ASK_S)
        assert case.passed_on == []
        case.check.hear((await case.asked(3))[-1])
        await asyncio.sleep(0.01)
        assert case.passed_on == ["cell"]

    asyncio.run(run())


def test_a_connection_that_comes_back_to_the_same_socket_knows_what_it_heard() -> None:
    async def run() -> None:
        case = Case()
        case.check.passed(0)
        assert not case.connection().hold("cell")
        case.kernel.life = 1
        later = case.connection()
        assert later.hold("cell")
        later.end()
        assert case.passed_on == ["cell"], "what a browser asked for is done when it has gone"

    asyncio.run(run())


def test_a_kernel_that_says_nothing_gets_its_cells_in_the_end(monkeypatch: Any) -> None:
    async def run() -> None:
        monkeypatch.setattr(output_check, "MOST_S", 0.3)
        case = Case()
        assert case.check.hold("cell")
        await case.asked(2)
        async with asyncio.timeout(10):
            while not case.passed_on:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)

    asyncio.run(run())
