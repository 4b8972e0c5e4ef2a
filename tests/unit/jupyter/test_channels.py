"""The way of a kernel's messages to a browser, without a server; whole bursts are in tests/kernels."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

from devstudio_server.jupyter.channels import HIGH_WATER, LOW_WATER, Flow, header_of


def test_a_flow_pauses_above_its_mark_and_goes_on_below_the_other() -> None:
    async def run() -> list[str]:
        calls: list[str] = []
        flow = Flow(lambda: calls.append("pause"), lambda: calls.append("resume"))
        writes: list[asyncio.Future[None]] = []
        for _ in range(HIGH_WATER // LOW_WATER + 1):
            writes.append(asyncio.get_running_loop().create_future())
            flow.sent(LOW_WATER, writes[-1])
        assert calls == ["pause"]
        assert flow.waiting == HIGH_WATER + LOW_WATER
        for number, write in enumerate(writes):
            assert "resume" not in calls, number
            if number == len(writes) - 1:
                write.set_exception(ConnectionResetError())  # a socket that closes lets the kernel go on, too
            else:
                write.set_result(None)
            await asyncio.sleep(0)
        assert flow.waiting == 0
        return calls

    assert asyncio.run(run()) == ["pause", "resume"]


def message(**header: Any) -> dict[str, Any]:
    return {"header": header, "parent_header": {}, "metadata": {}, "content": {}}


def test_both_forms_of_a_message_tell_their_header() -> None:
    sent = message(msg_id="one", msg_type="execute_request")
    packed = serialize_msg_to_ws_v1(sent, "shell", lambda part: json.dumps(part).encode())
    assert header_of(packed, v1=True) == ("shell", sent["header"])
    assert header_of(json.dumps(sent | {"channel": "control"}), v1=False) == ("control", sent["header"])


@pytest.mark.parametrize(
    "broken", [b"", b"\0" * 8, b"\x01" + b"\0" * 30, "", "{", "[]", "null", '{"header": 1}', b"\xff" * 64]
)
def test_what_is_no_message_has_no_header(broken: str | bytes) -> None:
    assert header_of(broken, v1=not (isinstance(broken, bytes) and broken[:1] == b"\xff"))[1] == {}
