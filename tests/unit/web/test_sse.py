"""Server-sent events on the wire."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_server.web.sse import HEARTBEAT, ServerEvent


def test_an_event_on_the_wire() -> None:
    assert ServerEvent("log", {"a": "é\nb"}, id="7").encode() == (b'event: log\nid: 7\ndata: {"a": "\xc3\xa9\\nb"}\n\n')
    assert ServerEvent("done", None).encode() == b"event: done\ndata: null\n\n"
    assert HEARTBEAT.startswith(b":")
    assert HEARTBEAT.endswith(b"\n\n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a\r\n\u2028", max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(data=JSON)
def test_no_text_breaks_out_of_its_line(data: Any) -> None:
    lines = ServerEvent("x", data, id="1").encode().decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert lines[:2] == ["event: x", "id: 1"]
    assert lines[3:] == ["", ""]
    assert json.loads(lines[2].removeprefix("data: ")) == data
