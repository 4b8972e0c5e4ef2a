"""Logs of real runs over HTTP: byte-exact for whoever follows, cut where it is said, live on another server, too."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_sync

from devstudio_server.kit.ids import new_id
from support.services import Postgres
from support.studio import Api, Studio
from support.team import Team

WAIT_S = 120
LIMITS = (1000, 3000, 9000)
BLOCK = b"".join(b"%015d\n" % number for number in range(4096))
"""64 KiB, each line of which says where it is."""
FLOOD = """
import os, sys
block = b"".join(b"%015d\\n" % number for number in range(4096))
for _ in range({blocks}):
    view = memoryview(block)
    while view:
        view = view[os.write(1, view):]
print("the very end", file=sys.stderr)
"""
CAP = 16 * 1024 * 1024
TAIL = 64 * 1024
MEMORY = 64 * 1024 * 1024
LINES = """
import sys, time
for number in range({lines}):
    print("línea 🙂", number, flush=True)
    print("warnung", number, file=sys.stderr, flush=True)
    time.sleep({pause})
"""


def headers(api: Api) -> dict[str, str]:
    return {"Authorization": f"{api.scheme} {api.token}"}


def socket_url(api: Api, run_id: str, query: str = "") -> str:
    return f"{api.url.replace('http', 'ws')}/api/v1/exec/{run_id}/logs{query}"


def start(api: Api, program: str) -> str:
    """Run a Python program in a sandbox."""
    body = {"project_id": api.project()["id"], "type": "test", "command": ["python3", "-u", "-c", program]}
    return str(api.post("exec", body).expect(202)["id"])


def last_words(opened: ClientConnection) -> tuple[str, tuple[int, str]]:
    """Listen until the server closes; return the text of the log, and with which code and reason it did."""
    text = ""
    with suppress(ConnectionClosed):
        for message in opened:
            text += json.loads(message)["data"]["content"]
    return text, (opened.close_code or 0, opened.close_reason or "")


def page(api: Api, run_id: str, **query: Any) -> dict[str, Any]:
    return dict(api.get(f"exec/{run_id}/logs", **query).expect(200))


def download(api: Api, run_id: str) -> bytes:
    with httpx.Client(headers=headers(api), trust_env=False, timeout=WAIT_S) as client:
        answer = client.get(f"{api.url}/api/v1/exec/{run_id}/logs/download")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{run_id}.log"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.content


@contextmanager
def memory_of(studio: Studio) -> Iterator[list[int]]:
    """Collect the resident memory of the server's process, in bytes, beginning with what it has now."""
    status = Path(f"/proc/{studio.process.pid}/status")
    found: list[int] = []
    done = threading.Event()

    def look() -> None:
        while True:
            kib = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
            found.append(int(kib[1]) * 1024 if kib else 0)
            if done.wait(0.05):
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


@pytest.mark.timeout(3600)
def test_endless_output_is_cut_at_the_cap_and_its_end_is_kept(
    studio: Studio, api: Api, request: pytest.FixtureRequest
) -> None:
    blocks = 163_840 if request.config.getoption("--bench-scale") == "full" else 1280  # 10 GiB or 80 MiB
    check_flood([studio], api, blocks)


def check_flood(studios: Sequence[Studio], api: Api, blocks: int) -> None:
    """Have a run print ``blocks`` times 64 KiB; check the server's memory and every byte of the log."""
    api.wait_for_run(start(api, FLOOD.format(blocks=1)))  # what a first run loads is no cost of a large one
    with ExitStack() as stack:
        memories = [stack.enter_context(memory_of(studio)) for studio in studios]
        run = api.wait_for_run(start(api, FLOOD.format(blocks=blocks)))
    assert run["status"] == "success", run["reason"]
    for memory in memories:
        print(f"{blocks / 16:.0f} MiB printed; memory of the server {(max(memory) - memory[0]) / 2**20:+.1f} MiB")
        assert max(memory) - memory[0] <= MEMORY
    data = download(api, run["id"])
    begin = data.index(b"000000000000000\n")
    assert data.startswith(b"[devstudio] Opening a python sandbox"), "our notes come before the output"
    kept = CAP - begin
    whole, rest = divmod(kept, len(BLOCK))
    digest = sha256(BLOCK * whole + BLOCK[:rest]).hexdigest()
    assert sha256(data[begin:CAP]).hexdigest() == digest, "exactly the first bytes, up to the cap"
    mark = f"\n[devstudio] The log is cut here: more than {CAP} bytes. The end of the output follows.\n".encode()
    assert data[CAP : CAP + len(mark)] == mark
    missing = len(BLOCK) * blocks + len(b"the very end\n") - kept - TAIL
    said = f"[devstudio] {missing} bytes are left out here.\n".encode()
    after = data[CAP + len(mark) :]
    assert after.startswith(said)
    end = (BLOCK + b"the very end\n")[-TAIL:]
    assert after[len(said) : len(said) + TAIL] == end
    assert b"[devstudio] success" in after[len(said) + TAIL :]
    last = page(api, run["id"], offset=len(data) - 10)
    assert (last["eof"], last["truncated_bytes"], last["next_offset"]) == (True, missing, len(data))
    assert run["metrics_json"]["log_bytes_dropped"] == missing


class Follower:
    """A client that goes away and comes back at random, with the offset that it has come to."""

    def __init__(self, api: Api, run_id: str, seed: int) -> None:
        self.api, self.run_id = api, run_id
        self.random = random.Random(seed)
        self.offset = 0
        self.text = ""
        self.visits = 0
        self.eof = False
        self.truncated = 0

    def take(self, event: dict[str, Any]) -> bool:
        """Keep the text of an event; tell whether to stay."""
        data = event["data"]
        assert (event["event"], data["offset"]) == ("log", self.offset), "nothing is skipped, and nothing comes twice"
        assert event["id"] == str(data["next_offset"])
        self.text += data["content"]
        self.offset, self.eof, self.truncated = data["next_offset"], data["eof"], data["truncated_bytes"]
        self.patience -= 1
        return self.patience > 0 and not self.eof

    async def follow(self) -> None:
        while not self.eof:
            self.visits += 1
            self.patience = self.random.randint(1, 3)
            await self.visit()

    async def visit(self) -> None:
        raise NotImplementedError


class SseFollower(Follower):
    async def visit(self) -> None:
        asked = headers(self.api) | {"Accept": "text/event-stream", "Last-Event-ID": str(self.offset)}
        limit = self.random.choice(LIMITS)
        url = f"{self.api.url}/api/v1/exec/{self.run_id}/logs?limit={limit}"
        async with (
            httpx.AsyncClient(timeout=WAIT_S, trust_env=False) as client,
            client.stream("GET", url, headers=asked) as response,
        ):
            assert response.status_code == 200
            event: dict[str, Any] = {}
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name in {"event", "id"}:
                    event[name] = value
                elif name == "data" and not self.take(event | {"data": json.loads(value)}):
                    return


class SocketFollower(Follower):
    async def visit(self) -> None:
        limit = self.random.choice(LIMITS)
        url = socket_url(self.api, self.run_id, f"?offset={self.offset}&limit={limit}")
        async with connect(url, additional_headers=headers(self.api), proxy=None, max_size=2**24) as stream:
            async for message in stream:
                if not self.take(json.loads(message)):
                    return


@pytest.mark.timeout(300)
def test_followers_that_come_and_go_have_the_same_text_byte_for_byte(api: Api) -> None:
    run_id = start(api, LINES.format(lines=3000, pause=0.0005))
    followers = [kind(api, run_id, seed) for seed, kind in enumerate([SseFollower, SocketFollower] * 3)]

    async def work() -> None:
        async with asyncio.timeout(240):
            await asyncio.gather(*(follower.follow() for follower in followers))

    asyncio.run(work())
    data = download(api, run_id)
    out = "".join(f"línea 🙂 {number}\n" for number in range(3000))
    err = "".join(f"warnung {number}\n" for number in range(3000))
    for follower in followers:
        assert follower.text.encode() == data
        assert (follower.offset, follower.truncated) == (len(data), 0)
        assert follower.visits > 2
    for stream, text in (("stdout", out), ("stderr", err)):
        found = ""
        offset = 0
        while True:
            got = page(api, run_id, offset=offset, limit=100_000, stream=stream)
            assert {piece["stream"] for piece in got["pieces"]} <= {stream}
            assert sum(piece["chars"] for piece in got["pieces"]) == len(got["content"].encode("utf-16-le")) // 2
            found, offset = found + got["content"], got["next_offset"]
            if got["eof"]:
                break
        assert found == text


def test_a_socket_is_opened_before_anything_is_said_and_ends_with_the_run(api: Api) -> None:
    run_id = start(api, "import time; print('one', flush=True); time.sleep(1.5); print('two')")
    with connect_sync(socket_url(api, run_id), additional_headers=headers(api), proxy=None) as opened:
        text, end = last_words(opened)
        assert end == (1000, "The stream has ended.")
    assert text.encode() == download(api, run_id)
    assert "one\ntwo\n" in text
    with connect_sync(socket_url(api, run_id, "?offset=5"), additional_headers=headers(api), proxy=None) as again:
        event = json.loads(again.recv(timeout=WAIT_S))
        assert (event["data"]["offset"], event["data"]["eof"]) == (5, True)


@pytest.mark.parametrize(
    ("query", "status"),
    [("?offset=-1", 422), ("?limit=0", 422), ("?limit=2000000", 422), ("?stream=stdin", 422), ("?x=1", 422)],
)
def test_bad_questions_open_no_socket_and_no_stream(api: Api, query: str, status: int) -> None:
    run_id = str(new_id())
    for accept in ("application/json", "text/event-stream"):
        api.send("GET", f"exec/{run_id}/logs{query}", headers={"Accept": accept}).problem(status)
    with pytest.raises(InvalidStatus) as refused:
        connect_sync(socket_url(api, run_id, query), additional_headers=headers(api), proxy=None)
    assert refused.value.response.status_code == status


def test_no_run_and_no_credentials_open_no_socket(api: Api) -> None:
    run_id = str(new_id())
    api.get(f"exec/{run_id}/logs/download").problem(404)
    for asked, status in ((headers(api), 404), ({}, 401), ({"Authorization": "token wrong"}, 401)):
        with pytest.raises(InvalidStatus) as refused:
            connect_sync(socket_url(api, run_id), additional_headers=asked, proxy=None)
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["status"] == status


def test_bytes_that_are_no_text_are_shown_and_downloaded_as_they_are(api: Api) -> None:
    run_id = start(api, "import os; os.write(1, bytes(range(128, 256)) * 3); os.write(1, b'\\xf0\\x9f')")
    assert api.wait_for_run(run_id)["status"] == "success"
    data = download(api, run_id)
    assert bytes(range(128, 256)) * 3 + b"\xf0\x9f" in data
    got = page(api, run_id)
    assert got["content"] == data.decode("utf-8", "replace")
    assert got["next_offset"] == len(data)


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[list[Studio]]:
    """Two servers of one team on one PostgreSQL. They tell each other nothing, and share repositories, but no logs."""
    folder = tmp_path_factory.mktemp("replicas")
    team = Team(folder / "keys")
    url = postgres.app_url(postgres.database())
    environment = {"DEVSTUDIO_DATABASE_URL": url}
    for shared in ("repositories", "workspaces"):
        for name in ("one", "two"):
            (folder / name / "data").mkdir(parents=True, exist_ok=True)
        (folder / "one" / "data" / shared).mkdir()
        (folder / "two" / "data" / shared).symlink_to(folder / "one" / "data" / shared)
    with (
        team.studio(folder / "one" / "data", environment, ("--DevStudioApp.stream_recheck_s=0.5",)) as one,
        team.studio(folder / "two" / "data", environment, ("--DevStudioApp.stream_recheck_s=0.5",)) as two,
    ):
        one.team = two.team = team  # type: ignore[attr-defined]
        yield [one, two]


@pytest.mark.timeout(300)
def test_what_a_run_writes_by_one_server_is_followed_live_on_the_other(replicas: list[Studio]) -> None:
    team: Team = replicas[0].team  # type: ignore[attr-defined]
    tenant = new_id()
    one, two = (team.api(server.url, tenant) for server in replicas)
    program = "import time\nfor _ in range(40):\n    print(time.time(), flush=True)\n    time.sleep(0.1)\n"
    run_id = start(one, program)
    delays: dict[str, list[float]] = {"one": [], "two": []}
    texts = dict.fromkeys(delays, "")

    def follow(name: str, api: Api) -> None:
        for event in api.events("GET", f"exec/{run_id}/logs"):
            at = time.time()
            text = event["data"]["content"]
            texts[name] += text
            delays[name] += [at - float(line) for line in text.splitlines() if re.fullmatch(r"\d+\.\d+", line)]

    threads = [threading.Thread(target=follow, args=pair) for pair in (("one", one), ("two", two))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert one.get(f"exec/{run_id}").expect(200)["status"] == "success"
    data = download(two, run_id)
    assert texts["one"].encode() == texts["two"].encode() == data == download(one, run_id)
    for name, found in delays.items():
        assert len(found) == 40
        print(f"lines on server {name}: median {median(found) * 1000:.0f} ms, most {max(found) * 1000:.0f} ms")
        assert median(found) < 3
    assert not [path for server in replicas for path in (server.data_dir / "logs").rglob("*.log")]
    one.close()
    two.close()


@pytest.mark.timeout(300)
def test_endless_output_is_cut_alike_where_logs_are_rows(replicas: list[Studio]) -> None:
    team: Team = replicas[0].team  # type: ignore[attr-defined]
    with team.api(replicas[0].url, new_id()) as api:
        check_flood(replicas, api, 640)


def test_a_stream_of_a_log_ends_when_its_token_is_revoked(replicas: list[Studio]) -> None:
    team: Team = replicas[0].team  # type: ignore[attr-defined]
    tenant = new_id()
    admin = team.api(replicas[0].url, tenant, user="root")
    run_id = start(admin, "import time; time.sleep(60)")
    viewer = Api(replicas[1].url, team.token(tenant, user="ana", roles=("viewer",), jti="log-viewer"), scheme="Bearer")
    with connect_sync(socket_url(viewer, run_id), additional_headers=headers(viewer), proxy=None) as opened:
        first = json.loads(opened.recv(timeout=WAIT_S))
        assert (first["event"], first["data"]["eof"]) == ("log", False), first
        admin.post("auth/revocations", {"token_id": "log-viewer"}).expect(201)
        text, (code, _) = last_words(opened)
        assert code == 1008, (text, admin.get(f"exec/{run_id}").body)
    foreign = team.api(replicas[0].url, new_id())
    for path in (f"exec/{run_id}/logs", f"exec/{run_id}/logs/download"):
        foreign.get(path).problem(404)
    admin.post(f"exec/{run_id}/cancel", {}).expect(200)
    assert admin.wait_for_run(run_id)["status"] == "cancelled"
    for api in (admin, viewer, foreign):
        api.close()
