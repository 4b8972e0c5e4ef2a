"""The event stream over HTTP: SSE and WebSocket from any number, nothing lost, nothing twice, own tenant only."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_sync

from devstudio_server.kit.ids import new_id
from support.services import Postgres, RedisServer
from support.studio import TOKEN, Api, Studio
from support.team import Team

RECHECK_S = 1.0
WAIT_S = 60


def headers(api: Api) -> dict[str, str]:
    return {"Authorization": f"{api.scheme} {api.token}"}


def socket_url(api: Api, query: str = "") -> str:
    return f"{api.url.replace('http', 'ws')}/api/v1/events{query}"


def newest(api: Api) -> int:
    return int(api.get("events", limit=1).expect(200)["newest"])


class Reader:
    """A client that goes away and comes back at random, and keeps the numbers that it was told."""

    def __init__(self, api: Api, seed: int, first: int, last: int) -> None:
        self.api, self.last = api, last
        self.random = random.Random(seed)
        self.after = first
        self.seen: list[int] = []
        self.visits = 0

    def note(self, event: dict[str, Any]) -> bool:
        """Keep an event; tell whether to stay."""
        assert event["event"] in {"ready", "change"}, event
        if event["event"] == "change":
            assert event["id"] == str(event["data"]["seq"])
            self.after = event["data"]["seq"]
            self.seen.append(self.after)
            self.patience -= 1
        return self.patience > 0 and self.after < self.last

    async def read(self) -> None:
        while self.after < self.last:
            self.visits += 1
            self.patience = self.random.randrange(1, 60)
            await self.visit()

    async def visit(self) -> None:
        raise NotImplementedError


class SseReader(Reader):
    async def visit(self) -> None:
        asked = headers(self.api) | {"Accept": "text/event-stream", "Last-Event-ID": str(self.after)}
        async with (
            httpx.AsyncClient(timeout=WAIT_S, trust_env=False) as client,
            client.stream("GET", f"{self.api.url}/api/v1/events", headers=asked) as response,
        ):
            assert response.status_code == 200
            event: dict[str, Any] = {}
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name in {"event", "id"}:
                    event[name] = value
                elif name == "data":
                    event["data"] = json.loads(value)
                    if not self.note(event):
                        return
                    event = {}


class SocketReader(Reader):
    async def visit(self) -> None:
        url = socket_url(self.api, f"?after={self.after}")
        async with connect(url, additional_headers=headers(self.api), proxy=None) as stream:
            async for message in stream:
                if not self.note(json.loads(message)):
                    return


def write(api: Api, project_id: str, count: int, name: str) -> None:
    with Api(api.url, api.token, scheme=api.scheme) as own:
        for number in range(count):
            own.put(f"projects/{project_id}", {"name": f"{name} {number}"}).expect(200)


@pytest.mark.timeout(280)
def test_ten_readers_that_come_and_go_see_each_of_400_commits_once_and_in_order(api: Api) -> None:
    projects = [api.project()["id"] for _ in range(2)]
    first = newest(api)
    last = first + 400
    kinds = [SseReader] * 5 + [SocketReader] * 5
    readers = [kind(api, seed, first, last) for seed, kind in enumerate(kinds)]

    async def work() -> None:
        async with asyncio.timeout(240):
            writers = [asyncio.to_thread(write, api, project, 200, str(n)) for n, project in enumerate(projects)]
            await asyncio.gather(*writers, *(reader.read() for reader in readers))

    asyncio.run(work())
    for reader in readers:
        assert reader.seen == list(range(first + 1, last + 1))
        assert reader.visits > 3


def test_a_page_and_both_streams_say_the_same(api: Api) -> None:
    before = newest(api)
    project = api.project()
    api.put(f"projects/{project['id']}", {"name": "Changed"}).expect(200)
    page = api.get("events", after=before).expect(200)
    assert [item["type"] for item in page["items"]] == ["project.created", "project.updated"]
    assert page["next_cursor"] is None
    stream = api.events("GET", f"events?after={before}")
    by_sse = [next(stream) for _ in range(3)]
    stream.close()  # type: ignore[attr-defined]
    with connect_sync(socket_url(api, f"?after={before}"), additional_headers=headers(api), proxy=None) as opened:
        by_socket = [json.loads(opened.recv(timeout=WAIT_S)) for _ in range(3)]
    assert by_sse == by_socket
    assert by_sse[0] == {"event": "ready", "id": str(before), "data": {"seq": before}}
    assert [event["data"] for event in by_sse[1:]] == page["items"]


def test_an_event_has_the_id_of_the_request_that_made_it(api: Api) -> None:
    before = newest(api)
    name = {"name": "P", "type": "api", "template": "python"}
    request_id = api.send("POST", "projects", json=name, headers={"X-Request-ID": "my-own-request-1"}).headers
    assert request_id["x-request-id"] == "my-own-request-1"
    (event,) = api.get("events", after=before).expect(200)["items"]
    assert event["payload"]["request_id"] == "my-own-request-1"
    (entry,) = api.get("audit", request_id="my-own-request-1").expect(200)["items"]
    assert (entry["action"], entry["resource_id"]) == ("project.created", event["subject_id"])


def test_filters_hold_for_pages_and_streams(api: Api) -> None:
    before = newest(api)
    project, other = api.project(), api.project()
    session = api.session(project["id"])
    api.put(f"projects/{other['id']}", {"name": "x"}).expect(200)
    query = f"events?after={before}&project_id={project['id']}&types=project,spec_session.created"
    items = api.send("GET", query).expect(200)["items"]
    assert [(i["type"], i["subject_id"]) for i in items] == [
        ("project.created", project["id"]),
        ("spec_session.created", session["id"]),
    ]
    stream = api.events("GET", query)
    assert [next(stream)["data"]["seq"] for _ in range(3)][1:] == [item["seq"] for item in items]
    stream.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("after=-1", 422),
        ("after=x", 422),
        (f"after={2**63}", 422),
        (f"after={2**62}", 410),
        ("limit=0", 422),
        ("limit=201", 422),
        ("project_id=1", 422),
        ("types=" + ",".join(["x"] * 60), 422),
        ("unknown=1", 422),
        ("after=1&after=zzz", 422),
    ],
)
def test_bad_questions_are_refused_before_any_stream_begins(api: Api, query: str, status: int) -> None:
    answer = api.send("GET", f"events?{query}").problem(status)
    if status == 410:
        assert answer["newest"] == newest(api)
        return
    api.send("GET", f"events?{query}", headers={"Accept": "text/event-stream"}).problem(status)
    with pytest.raises(InvalidStatus) as refused:
        connect_sync(socket_url(api, f"?{query}"), additional_headers=headers(api), proxy=None)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["status"] == status


def test_a_bad_last_event_id_is_refused(api: Api) -> None:
    for sent in ("-1", "1e9", "x" * 500, "9" * 19):
        answer = api.send("GET", "events", headers={"Accept": "text/event-stream", "Last-Event-ID": sent})
        assert answer.problem(422)["errors"][0]["loc"] == ["header", "Last-Event-ID"]


def test_a_client_that_was_told_too_much_starts_anew(api: Api) -> None:
    stream = api.events("GET", f"events?after={2**60}")
    told = next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert (told["event"], told["data"]) == ("reset", {"seq": newest(api)})


def test_pages_of_other_origins_and_strangers_open_no_socket(api: Api, studio: Studio) -> None:
    own = f"http://127.0.0.1:{studio.port}"
    for origin in (
        "http://evil.example",
        "null",
        own + ".evil.example",
        f"http://127.0.0.1:{studio.port}0",
        "http://127.0.0.1",
        f"http://evil.example:{studio.port}",
        f"http://127.0.0.1:{studio.port}@evil.example",
    ):
        with pytest.raises(InvalidStatus) as refused:
            connect_sync(socket_url(api), origin=origin, additional_headers=headers(api), proxy=None)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403, origin
    with connect_sync(socket_url(api), origin=own, additional_headers=headers(api), proxy=None) as opened:  # type: ignore[arg-type]
        assert json.loads(opened.recv(timeout=WAIT_S))["event"] == "ready"
    for wrong in ({}, {"Authorization": "token wrong"}, {"Authorization": f"Bearer {TOKEN}x"}):
        with pytest.raises(InvalidStatus) as refused:
            connect_sync(socket_url(api), additional_headers=wrong, proxy=None)
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body)["type"].endswith("Unauthorized")


def test_what_a_client_says_changes_nothing_and_too_much_of_it_ends_the_socket(api: Api) -> None:
    with connect_sync(socket_url(api), additional_headers=headers(api), proxy=None) as opened:
        for message in ("", "x", '{"event": "change"}', b"\x00\xff", "y" * 4000):
            opened.send(message)
        opened.ping().wait(WAIT_S)
        assert json.loads(opened.recv(timeout=WAIT_S))["event"] == "ready"
        api.project()
        assert json.loads(opened.recv(timeout=WAIT_S))["data"]["type"] == "project.created"
        opened.send("z" * 100_000)
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(timeout=WAIT_S)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009


def test_a_client_that_takes_nothing_holds_up_nobody(api: Api, studio: Studio) -> None:
    project = api.project()["id"]
    first = newest(api)
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", studio.port))
        request = f"GET /api/v1/events?after=0 HTTP/1.1\r\nHost: 127.0.0.1:{studio.port}\r\n"
        request += f"Authorization: token {TOKEN}\r\nAccept: text/event-stream\r\n\r\n"
        stuck.sendall(request.encode())
        reader = SocketReader(api, 1, first, first + 60)

        async def work() -> None:
            async with asyncio.timeout(WAIT_S):
                await asyncio.gather(asyncio.to_thread(write, api, project, 60, "w"), reader.read())

        asyncio.run(work())
    assert reader.seen == list(range(first + 1, first + 61))


@pytest.fixture(scope="module")
def replicas(
    tmp_path_factory: pytest.TempPathFactory, team: Team, postgres: Postgres, redis_server: RedisServer
) -> Iterator[list[Studio]]:
    """Two servers of one team: one database, one Redis."""
    folder = tmp_path_factory.mktemp("replicas")
    environment = {
        "DEVSTUDIO_DATABASE_URL": postgres.app_url(postgres.database()),
        "DEVSTUDIO_REDIS_URL": redis_server.url,
    }
    arguments = (f"--DevStudioApp.stream_recheck_s={RECHECK_S}", "--TeamIdentityProvider.clock_skew_s=0")
    with (
        team.studio(folder / "one" / "data", environment, arguments) as one,
        team.studio(folder / "two" / "data", environment, arguments) as two,
    ):
        yield [one, two]


@pytest.mark.timeout(280)
def test_what_one_server_writes_the_other_tells_at_once_and_each_tenant_only_its_own(
    replicas: list[Studio], team: Team
) -> None:
    tenants: list[UUID] = [new_id(), new_id()]
    apis = [[team.api(server.url, tenant) for server in replicas] for tenant in tenants]
    projects = [writers[0].project()["id"] for writers in apis]
    assert [newest(writers[1]) for writers in apis] == [2, 2]  # the person, and the project
    readers = [
        kind(own[server], seed, 2, 42)
        for own in apis
        for seed, (kind, server) in enumerate([(SseReader, 0), (SseReader, 1), (SocketReader, 0), (SocketReader, 1)])
    ]

    async def work() -> None:
        async with asyncio.timeout(200):
            writers = [
                asyncio.to_thread(write, own[server], project, 20, f"by {server}")
                for own, project in zip(apis, projects, strict=True)
                for server in (0, 1)
            ]
            await asyncio.gather(*writers, *(reader.read() for reader in readers))

    asyncio.run(work())
    for reader in readers:
        assert reader.seen == list(range(3, 43))
    for own, project in zip(apis, projects, strict=True):
        told = own[1].get("events", limit=200, types="project").expect(200)["items"]
        assert {item["subject_id"] for item in told} == {project}
        assert len(told) == 41
        for api in own:
            api.close()


def test_a_wake_up_by_redis_is_quicker_than_looking(replicas: list[Studio], team: Team) -> None:
    tenant = new_id()
    with closing(team.api(replicas[0].url, tenant)) as writer, closing(team.api(replicas[1].url, tenant)) as reader:
        writer.project()
        with connect_sync(socket_url(reader), additional_headers=headers(reader), proxy=None) as opened:
            assert json.loads(opened.recv(timeout=WAIT_S))["event"] == "ready"
            for _ in range(5):
                writer.project()
                # Without Redis the other server would look every second, and with it every fifteen.
                assert json.loads(opened.recv(timeout=5))["event"] == "change"


def test_roles_that_may_read_may_follow_and_a_stranger_tenant_sees_nothing(replicas: list[Studio], team: Team) -> None:
    tenant = new_id()
    with closing(team.api(replicas[0].url, tenant)) as writer:
        writer.project()
    for role in ("viewer", "reviewer", "executor"):
        with closing(team.api(replicas[0].url, tenant, roles=(role,))) as api:
            assert api.get("events", types="project").expect(200)["items"][0]["type"] == "project.created"
    with closing(team.api(replicas[0].url, new_id())) as eve:
        told = eve.get("events").expect(200)["items"]
        assert {item["type"].split(".")[0] for item in told} <= {"user"}
        stream = eve.events("GET", "events?after=100")
        assert next(stream)["event"] == "reset"
        stream.close()  # type: ignore[attr-defined]


def last_words(opened: ClientConnection) -> ConnectionClosed:
    """Listen until the server closes, and return how it did."""
    while True:
        try:
            opened.recv(timeout=WAIT_S)
        except ConnectionClosed as closed:
            return closed


def test_a_stream_ends_when_its_token_is_revoked_or_expires(replicas: list[Studio], team: Team) -> None:
    tenant = new_id()
    url = replicas[0].url
    admin = team.api(url, tenant, user="root")
    for end in ("revoked", "expired"):
        life: dict[str, Any] = {"jti": f"stream-{end}"}
        if end == "expired":
            issued = int(team.claims(tenant)["iat"])
            life |= {"iat": issued, "exp": issued + 4}
        api = Api(url, team.token(tenant, user="ana", roles=("viewer",), **life), scheme="Bearer")
        ended: list[str] = []

        def follow(api: Api = api, ended: list[str] = ended) -> None:
            for _event in api.events("GET", "events"):
                pass
            ended.append("sse")

        thread = threading.Thread(target=follow)
        thread.start()
        with connect_sync(socket_url(api), additional_headers=headers(api), proxy=None) as opened:
            assert json.loads(opened.recv(timeout=WAIT_S))["event"] == "ready"
            if end == "revoked":
                admin.post("auth/revocations", {"token_id": life["jti"]}).expect(201)
            closed = last_words(opened)
            assert closed.rcvd is not None
            assert closed.rcvd.code == 1008
        api.get("me").problem(401)
        for _ in range(30):  # what is written goes to nobody who is no longer signed in
            admin.project()
            thread.join(1)
            if not thread.is_alive():
                break
        assert ended == ["sse"]
        api.close()
    admin.close()


def test_no_text_of_people_is_in_events_or_audit(api: Api) -> None:
    before = newest(api)
    secret = "a name that only its project knows"
    project = api.project(name=secret, description=secret)
    api.session(project["id"], title=secret, description=secret)
    assert secret not in json.dumps(api.get("events", after=before).expect(200))
    assert secret not in json.dumps(api.get("audit", limit=50).expect(200))
