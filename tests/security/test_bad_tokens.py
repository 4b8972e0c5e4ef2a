"""No bad token opens anything, all are refused in the same words, and a good one beside them is accepted."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from support.forged_tokens import BAD, Forger
from support.studio import TOKEN, Studio
from support.team import Team

ME = "/api/v1/me"
NOT_SIGNED_IN = {
    "type": "urn:devstudio:problem:Unauthorized",
    "title": "Not signed in",
    "status": 401,
    "detail": "Sign in, or send `Authorization: token <JUPYTER_TOKEN>` (local mode) "
    "or `Authorization: Bearer <token>` (team mode).",
    "errors": [],
}
REASONS = {
    "scheme", "oversized", "malformed", "algorithm", "key", "signature", "expired", "not_yet_valid", "audience",
    "issuer", "claims", "roles", "lifetime", "revoked", "cookie", "launch_code", "local_token",
}  # fmt: skip


class Trap(BaseHTTPRequestHandler):
    """Counts whoever asks for a key that a token names."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_error(404)


@dataclass
class World:
    """A running server of a team, and who attacks it."""

    studio: Studio
    team: Team
    tenant: UUID
    forger: Forger
    http: httpx.Client
    sent: list[str] = field(default_factory=list)

    def get(self, headers: Any = None, path: str = ME) -> httpx.Response:
        return self.http.get(path, headers=headers)

    def bearer(self, token: str) -> httpx.Response:
        self.sent.append(token)
        return self.get({"Authorization": f"Bearer {token}"})

    def raw(self, head: str) -> str:
        """Send the head of a request byte for byte; return the status line of the answer."""
        with socket.create_connection(("127.0.0.1", self.studio.port), timeout=20) as connection:
            connection.sendall(head.encode("latin-1"))
            return connection.makefile("rb").readline().decode("latin-1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("bad-tokens")
    trap = ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    Thread(target=trap.serve_forever, daemon=True).start()
    team, tenant = Team(folder / "team"), uuid4()
    forger = Forger(team, tenant, f"http://127.0.0.1:{trap.server_port}/keys.json")
    with (
        team.studio(folder / "data") as studio,
        httpx.Client(base_url=studio.url, timeout=60, trust_env=False) as client,
    ):
        yield World(studio, team, tenant, forger, client)
    trap.shutdown()
    trap.server_close()


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer realm="devstudio"'
    body = answer.json()
    assert body.pop("request_id") == answer.headers["x-request-id"]
    assert body == NOT_SIGNED_IN


def test_there_are_enough_of_them_and_they_differ(world: World) -> None:
    made = [make(world.forger) for make in BAD.values()]
    assert len(set(made)) == len(made) > 120


def test_good_tokens_are_accepted(world: World) -> None:
    issued = world.forger.claims()["iat"]
    good = {
        "as it is": world.team.token(world.tenant),
        "with a UUID as sub": world.team.token(world.tenant, user=str(uuid4())),
        "with several audiences": world.team.token(world.tenant, aud=["other", "devstudio"]),
        "with an unknown role beside a known one": world.team.token(world.tenant, roles=("root", "viewer")),
        "with nbf": world.team.token(world.tenant, nbf=1),
        "expired within the skew": world.team.token(world.tenant, iat=issued - 600, exp=issued - 5),
        "issued within the skew": world.team.token(world.tenant, iat=issued + 10),
        "as an access token": world.forger.header(typ="at+jwt"),
        "with a certificate's thumbprint": world.forger.header(x5t="abc"),
    }
    for what, token in good.items():
        answer = world.bearer(token)
        assert answer.status_code == 200, f"{what}: {answer.text}"
        assert answer.json()["tenant_id"] == str(world.tenant)


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_a_bad_token_is_refused_and_a_good_one_beside_it_is_not(world: World, make: Callable[[Forger], str]) -> None:
    refused(world.bearer(make(world.forger)))
    assert world.bearer(world.team.token(world.tenant)).status_code == 200


def test_nothing_that_a_token_names_is_fetched() -> None:
    assert Trap.asked == 0


def schemes(token: str) -> dict[str, list[tuple[str, str]]]:
    """Return ways to send a good token that are not the one way."""
    basic = {
        "bearer": f"bearer {token}",
        "BEARER": f"BEARER {token}",
        "two spaces": f"Bearer  {token}",
        "a tab": f"Bearer\t{token}",
        "a colon": f"Bearer: {token}",
        "no space": f"Bearer{token}",
        "no scheme": token,
        "Jupyter's scheme": f"token {token}",
        "Basic": f"Basic {token}",
        "JWT": f"JWT {token}",
        "quoted": f'Bearer "{token}"',
        "twice in one": f"Bearer {token}, Bearer {token}",
        "with more behind": f"Bearer {token} x",
        "empty": "",
        "only the scheme": "Bearer",
        "Jupyter's own token": f"token {TOKEN}",
        "Jupyter's own token as Bearer": f"Bearer {TOKEN}",
    }
    return {what: [("Authorization", value)] for what, value in basic.items()} | {
        "two headers, one good": [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")],
        "two headers, both good": [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")],
        "in another header": [("X-Authorization", f"Bearer {token}")],
        "in Proxy-Authorization": [("Proxy-Authorization", f"Bearer {token}")],
        "as a cookie": [("Cookie", f"Authorization={token}; token={token}; access_token={token}")],
        "as the cookie of a sign-in": [("Cookie", f"username-127-0-0-1={token}")],
    }


@pytest.mark.parametrize("how", schemes("x"))
def test_a_good_token_sent_in_another_way_is_refused(world: World, how: str) -> None:
    token = world.team.token(world.tenant)
    refused(world.get(schemes(token)[how]))
    assert world.bearer(token).status_code == 200


@pytest.mark.parametrize("name", ["token", "access_token", "jwt", "Authorization", "bearer"])
def test_a_token_in_the_address_is_not_read(world: World, name: str) -> None:
    token = world.team.token(world.tenant)
    world.sent.append(token)
    refused(world.get(path=f"{ME}?{name}={token}"))
    page = world.get(path=f"/lab?{name}={token}")
    assert page.status_code == 302
    assert token not in page.headers["location"]
    assert world.bearer(token).status_code == 200


def test_jupyters_own_ways_in_are_closed(world: World) -> None:
    refused(world.get(path=f"{ME}?token={TOKEN}"))
    for body in ({"password": TOKEN}, {"password": "", "token": TOKEN}):
        answer = world.http.post("/login", data=body)
        assert answer.status_code in {401, 403, 405}
        assert "set-cookie" not in answer.headers or "username" not in answer.headers["set-cookie"]
    for headers in ({"Authorization": f"token {TOKEN}"}, {}):
        assert world.get(headers, "/api/contents").status_code in {401, 403}


def test_a_header_is_not_continued_on_another_line(world: World) -> None:
    token = world.team.token(world.tenant)
    host = f"Host: 127.0.0.1:{world.studio.port}"
    good = world.raw(f"GET {ME} HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {token}\r\n\r\n")
    assert " 200 " in good
    for head in (
        f"GET {ME} HTTP/1.1\r\n{host}\r\nAuthorization: Bearer\r\n {token}\r\n\r\n",
        f"GET {ME} HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {token}\r\n x\r\n\r\n",
        f"GET {ME} HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {token[:40]}\r\n{token[40:]}: x\r\n\r\n",
        f"GET {ME} HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {token}\x00\r\n\r\n",
    ):
        status = world.raw(head)
        assert re.match(r"HTTP/1\.1 40[01] ", status), status


SOCKET_BAD = (
    "alg none, rightly signed",
    "HS256 with the public PEM",
    "kid as SQL",
    "another key",
    "jku of the attacker",
    "expired",
    "another audience",
    "no tenant_id",
    "tenant a list",
    "roles empty",
    "lives too long",
    "payload changed",
)


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/events/subscribe", f"/api/kernels/{uuid4()}/channels"])
def test_no_socket_opens_for_a_bad_token(world: World, path: str) -> None:
    address = world.studio.url.replace("http", "ws") + path
    for what in SOCKET_BAD:
        headers = {"Authorization": f"Bearer {BAD[what](world.forger)}"}
        with pytest.raises(InvalidStatus) as error, connect(address, additional_headers=headers):
            pass
        assert error.value.response.status_code in {401, 403}, what
    with pytest.raises(InvalidStatus) as error, connect(f"{address}?token={world.team.token(world.tenant)}"):
        pass
    assert error.value.response.status_code in {401, 403}


def test_a_socket_opens_for_a_good_token(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.team.token(world.tenant)}"}
    with connect(world.studio.url.replace("http", "ws") + "/api/v1/events", additional_headers=headers) as opened:
        assert opened.response is not None
        assert opened.response.status_code == 101


def test_refusals_are_counted_by_a_bounded_reason(world: World) -> None:
    operator = {"Authorization": f"Bearer {world.team.token(world.tenant, roles=('operator',))}"}

    def counted() -> dict[str, float]:
        text = world.get(operator, "/metrics").text
        return {
            reason: float(value)
            for reason, value in re.findall(r'devstudio_auth_failures_total\{reason="(\w+)"\} ([\d.e+]+)', text)
        }

    before = counted()
    assert set(before) <= REASONS
    assert len(before) >= 10
    world.bearer(world.forger.said(aud="grafana"))
    world.get()  # nobody said who they are: that is no failed attempt
    after = counted()
    assert after["audience"] == before["audience"] + 1
    assert sum(after.values()) == sum(before.values()) + 1


def test_no_token_is_in_the_log(world: World) -> None:
    world.bearer(BAD["expired"](world.forger))
    signatures = {token.rsplit(".", 1)[-1] for token in world.sent if token.count(".") == 2}
    assert len(signatures) > 80
    assert "sign_in_refused" in world.studio.log
    found = [signature for signature in signatures if len(signature) > 40 and signature in world.studio.log]
    assert found == []
    assert TOKEN not in world.studio.log


def test_a_team_server_keeps_no_token_of_jupyter(world: World) -> None:
    home = world.studio.data_dir.parent / "home"
    files = [path for path in home.rglob("jpserver-*") if path.is_file()]
    assert files
    assert all(TOKEN not in path.read_text() for path in files)
