"""Exchanges recorded and replayed beneath an HTTP client, and what their files hold."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from devstudio_server.ai.cassette import Cassette
from devstudio_server.ai.cassette_miss import CassetteMiss, differences
from devstudio_server.ai.cassette_settings import CassetteSettings
from support.ai_world import KEY
from support.model_server import Answer, Fault, Flow, ModelServer, ScriptBrain

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Olá, quem é você?"}]}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(ScriptBrain([Answer("Um modelo — só isso.")])) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cassette"


def recorder(folder: Path, endpoint: str = "openai") -> Cassette:
    return Cassette(CassetteSettings.parse(f"record:{folder}"), endpoint, KEY)


def player(folder: Path, endpoint: str = "openai") -> Cassette:
    return Cassette(CassetteSettings.parse(f"replay:{folder}"), endpoint, None)


def ask(cassette: Cassette, server: ModelServer | None = None, **fields: Any) -> httpx2.Response:
    """Send as an SDK does; without a server to an address where nobody listens."""
    base = server.openai_base_url if server else "http://127.0.0.1:9/v1"
    headers = {"authorization": f"Bearer {KEY}", "x-secret": "canary-header"}
    with httpx2.Client(trust_env=False, timeout=5, **cassette.options({"request": []})) as client:
        return client.post(f"{base}/chat/completions", json={**HELLO, **fields}, headers=headers)


def files(folder: Path) -> list[str]:
    return [path.read_text("utf-8") for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("stream", [False, True])
def test_replayed_bytes_are_the_recorded_ones(server: ModelServer, folder: Path, *, stream: bool) -> None:
    recorded = ask(recorder(folder), server, stream=stream)
    replayed = ask(player(folder), stream=stream)
    assert replayed.content == recorded.content
    assert replayed.headers["content-type"] == recorded.headers["content-type"]
    assert len(server.requests) == 1
    assert "Olá, quem é você?" in files(folder)[0]  # it can be read, and reviewed


def test_equal_requests_have_their_answers_in_order(server: ModelServer, folder: Path) -> None:
    server.brain = ScriptBrain([Fault(429, {"retry-after": "7"}), Answer("one"), Answer("two")])
    recording = recorder(folder)
    came = [ask(recording, server) for _ in range(3)]
    playing = player(folder)
    replayed = [ask(playing) for _ in range(3)]
    assert [answer.content for answer in replayed] == [answer.content for answer in came]
    assert [answer.status_code for answer in replayed] == [429, 200, 200]
    assert replayed[0].headers["retry-after"] == "7"
    with pytest.raises(CassetteMiss, match="has 3 answers to this request"):
        ask(playing)


def test_what_is_recorded_later_is_added(server: ModelServer, folder: Path) -> None:
    server.brain = ScriptBrain([Answer("one"), Answer("two")])
    ask(recorder(folder), server)
    ask(recorder(folder), server)
    playing = player(folder)
    assert [ask(playing).json()["choices"][0]["message"]["content"] for _ in range(2)] == ["one", "two"]


def test_endpoints_do_not_share_answers(server: ModelServer, folder: Path) -> None:
    ask(recorder(folder, "here"), server)
    with pytest.raises(CassetteMiss, match="no exchange with this endpoint"):
        ask(player(folder, "there"))


def test_a_miss_names_what_differs_from_the_nearest(server: ModelServer, folder: Path) -> None:
    recording = recorder(folder)
    ask(recording, server)
    ask(recording, server, model="another", temperature=1)
    long = "The same beginning. " * 20
    ask(recording, server, messages=[{"role": "user", "content": f"{long}Write tests."}])
    changed = [{"role": "user", "content": f"{long}Write documents."}]
    with pytest.raises(CassetteMiss) as raised:
        ask(player(folder), messages=changed)
    detail = raised.value.detail
    assert "messages[0].content was" in detail
    assert "Write tests." in detail
    assert "Write documents." in detail
    assert len(detail) < 600
    assert raised.value.status == 503


def test_the_nearest_is_the_one_with_the_smallest_difference(server: ModelServer, folder: Path) -> None:
    recording = recorder(folder)
    for name in ("Alpha", "Betas", "Gamma"):
        ask(recording, server, messages=[{"role": "user", "content": f"Plan {name} for me, please."}])
    with pytest.raises(CassetteMiss, match="Plan Betas for me"):
        ask(player(folder), messages=[{"role": "user", "content": "Plan Beta for me, please."}])


def test_ids_that_this_server_made_are_matched_by_their_order(server: ModelServer, folder: Path) -> None:
    text = '<data id="{}" name="x">\n1. One <!-- id:{} -->\n2. Two <!-- id:{} -->\n</data id="{}">'
    recorded = text.format("2a92d118", "b55hgkccs3", "m6929vd56j", "2a92d118")
    ask(recorder(folder), server, messages=[{"role": "user", "content": recorded}])
    other = text.format("00aa00aa", "zzzzzzzzzz", "yyyyyyyyyy", "00aa00aa")
    assert ask(player(folder), messages=[{"role": "user", "content": other}]).status_code == 200
    mixed = text.format("00aa00aa", "zzzzzzzzzz", "zzzzzzzzzz", "00aa00aa")
    with pytest.raises(CassetteMiss):
        ask(player(folder), messages=[{"role": "user", "content": mixed}])


def test_neither_key_nor_headers_are_in_files(server: ModelServer, folder: Path) -> None:
    server.keys = frozenset({"another-key"})  # the refusal repeats the key that was sent
    answer = ask(recorder(folder), server, note=f"my key is {KEY}")
    assert KEY in answer.text
    (text,) = files(folder)
    assert KEY not in text
    assert "canary-header" not in text
    assert "authorization" not in text.lower()
    assert "[key]" in text


@pytest.mark.parametrize("then", ["cut", "reset"])
def test_a_broken_answer_breaks_again(server: ModelServer, folder: Path, then: Any) -> None:
    flow = Flow(piece=4, after=2, then=then)
    server.brain = ScriptBrain([Answer("A longer answer.", flow=flow)])
    with pytest.raises(httpx2.TransportError):
        ask(recorder(folder), server, stream=True)
    with pytest.raises(httpx2.RemoteProtocolError, match="recorded answer ends here"):
        ask(player(folder), stream=True)


def test_an_answer_that_was_not_read_to_its_end_is_kept_so_far(server: ModelServer, folder: Path) -> None:
    server.brain = ScriptBrain([Answer("A longer answer.", flow=Flow(piece=4, after=2, then="silent"))])
    options = recorder(folder).options({})
    with httpx2.Client(trust_env=False, timeout=5, **options) as client:
        headers = {"authorization": f"Bearer {KEY}"}
        body = {**HELLO, "stream": True}
        url = f"{server.openai_base_url}/chat/completions"
        with client.stream("POST", url, json=body, headers=headers) as response:
            seen = ""
            for line in response.iter_lines():
                seen += line
                if "nger" in line:
                    break
    (text,) = files(folder)
    assert not json.loads(text)["whole"]
    assert "nger" in text


def test_packed_bodies_are_replayed_as_they_came(server: ModelServer, folder: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(b'{"packed": true}') + packer.flush()
    server.brain = ScriptBrain([Fault(headers={"content-encoding": "gzip"}, body=packed)])
    assert ask(recorder(folder), server).json() == {"packed": True}
    assert ask(player(folder)).json() == {"packed": True}
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_file_that_is_no_exchange_is_named(server: ModelServer, folder: Path) -> None:
    ask(recorder(folder), server)
    (path,) = folder.iterdir()
    path.write_text('{"status": 200}')
    with pytest.raises(CassetteMiss, match=f"{path.name} is no recorded exchange"):
        ask(player(folder))


@pytest.mark.parametrize("text", ["", "replay", "record:", "play:/tmp", "replay:/not/there"])
def test_settings_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"takes record:|not there"):
        CassetteSettings.parse(text)


def test_differences_are_named_by_place() -> None:
    found = list(differences({"a": [1, {"b": "x"}], "c": True}, {"a": [1, {"b": "y"}, 2], "d": None}))
    assert [difference.text for difference in found] == [
        "a[1].b was 'x', and is 'y'",
        "a[2] was not there, and is 2",
        "c was True, and is not there",
        "d was not there, and is None",
    ]
