"""Every route and every socket of the running server, Jupyter's included: who reaches it without credentials.

The routes are read from the server while it runs. For each, Hypothesis finds an address that the server gives to that
route and to no other, and it is asked for with every method that its handler has.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from devstudio_server.auth import Role, permissions_of
from devstudio_server.auth.surface import ROUTES
from devstudio_server.operations import all_operations
from support import route_dump
from support.jupyter_people import Person
from support.studio import CHECKOUT, TOKEN, Studio
from support.team import Team

LOGIN = "/login"
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
REFUSED = {401, 403}
STRANGER = "/stranger/"
TOO_LARGE = "devstudio_server.web.too_large.TooLargeHandler"

PUBLIC = {
    ("jupyter_server.base.handlers.FileFindHandler", "/static/"): "style and script of the login page, from packages",
    ("jupyter_server.base.handlers.FileFindHandler", "/favicon.ico"): "an icon",
    ("jupyter_server.base.handlers.FileFindHandler", "/robots.txt"): "keeps search engines out",
    ("jupyter_server.auth.login.LoginFormHandler", "/login"): "the way in, in local mode",
    ("jupyter_server.auth.logout.LogoutHandler", "/logout"): "the way out; tells nobody anything",
    ("devstudio_server.auth.launch.TeamLogoutHandler", "/logout"): "the way out; tells nobody anything",
}
"""What answers without credentials, and why."""

OWN_STATE = {
    "config": "settings of a page, the person's own",
    "labstate": "layout and settings of JupyterLab, the person's own",
    "nbconvert": "converts what is sent, and stores nothing",
}
"""Resources of Jupyter that a viewer may send something to, and why it is no write to the tenant's data."""


@dataclass(frozen=True)
class Route:
    """One rule of the server's router, with an address that is given to it."""

    pattern: str
    answers: str
    methods: tuple[str, ...]
    socket: bool
    address: str

    @property
    def public(self) -> bool:
        return any(self.answers == name and self.address.startswith(prefix) for name, prefix in PUBLIC)


@dataclass
class Server:
    """A running server and what its router knows."""

    studio: Studio
    team: Team | None
    rules: list[dict[str, Any]]

    @property
    def url(self) -> str:
        return self.studio.url

    def routes(self) -> list[Route]:
        found = []
        for number, rule in enumerate(self.rules):
            if rule["answers"] == TOO_LARGE:
                continue
            before = tuple(other["pattern"] for other in self.rules[:number] if other["by_path"])
            address = address_of(rule["pattern"], before)
            if address is not None:
                methods = tuple(rule["methods"])
                found.append(Route(rule["pattern"], rule["answers"], methods, rule["socket"], address))
        return found


_SEARCH = settings(
    max_examples=400, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)  # fmt: skip


@cache
def address_of(pattern: str, before: tuple[str, ...]) -> str | None:
    """Return the simplest path of a rule; None when the rules ``before`` it, which look at the path alone, take all."""
    compiled = [re.compile(earlier) for earlier in before]

    def is_given(path: str) -> bool:
        return path.startswith("/") and not any(earlier.match(path) for earlier in compiled)

    try:
        return find(st.from_regex(re.compile(pattern), fullmatch=True, alphabet=_ALPHABET), is_given, settings=_SEARCH)
    except NoSuchExample:
        return None


_ALPHABET = st.characters(codec="ascii", min_codepoint=0x2D, max_codepoint=0x7A, exclude_characters="[\\]^`:;<=>?@")


@pytest.fixture(scope="module", params=["team", "local"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("routes")
    extension = folder / "extension"
    (extension / "jupyter_server_config.d").mkdir(parents=True)
    shutil.copy(str(route_dump.__file__), extension / "route_dump.py")
    enabled = {"ServerApp": {"jpserver_extensions": {"route_dump": True}}}
    (extension / "jupyter_server_config.d" / "route_dump.json").write_text(json.dumps(enabled))
    dump = folder / "routes.json"
    env = {
        "JUPYTER_CONFIG_PATH": str(extension),
        route_dump.DUMP_VARIABLE: str(dump),
        "PYTHONPATH": os.pathsep.join(map(str, (CHECKOUT, CHECKOUT / "sandbox", extension))),
    }
    team = Team(folder / "team") if request.param == "team" else None
    with team.studio(folder / "data", env) if team else Studio(folder / "data", env) as studio:
        yield Server(studio, team, json.loads(dump.read_text()))


def ask(person: Person, method: str, address: str) -> tuple[int, str]:
    """Send a request, follow redirects inside the server, and return the last status and path."""
    for _ in range(5):
        answer = person.http.request(method, httpx_safe(address), follow_redirects=False)
        if answer.status_code not in {301, 302, 303, 307, 308}:
            return answer.status_code, address
        target = urlsplit(answer.headers["location"])
        assert target.netloc in {"", urlsplit(person.url).netloc}, f"{address} leads to {answer.headers['location']}"
        if target.path == LOGIN:
            return 401, LOGIN
        address, method = target.path, "GET"
    raise AssertionError(f"{address} leads in circles")


def httpx_safe(address: str) -> str:
    """Keep a path that begins with two slashes from being read as a host."""
    return "/%2F" + address[2:] if address.startswith("//") else address


def opens(person: Person, address: str) -> int:
    """Return 101 when a socket opens at ``address``, else the status that refuses it."""
    status, location = person.handshake(address)
    return 401 if urlsplit(location).path == LOGIN else status


def test_every_route_is_one_that_can_be_asked(server: Server) -> None:
    assert len(server.rules) > 80
    assert [rule for rule in server.rules if rule["answers"] is None] == []
    routes = server.routes()
    assert len(routes) > 80
    hidden = {rule["pattern"] for rule in server.rules} - {route.pattern for route in routes}
    assert all(("api/v1" not in pattern and "contents" not in pattern) for pattern in hidden), hidden
    for word in ("/api/kernels", "/api/events/subscribe", "/files/", "/lab/api/settings", "/metrics", "/nbconvert/"):
        assert any(word in route.pattern for route in routes), word
    assert sum(route.socket for route in routes) >= 2


def test_a_body_that_is_too_large_is_refused_before_anybody_is_known(server: Server) -> None:
    """That rule and those of sockets look at more than the path; this one goes before all others of the API."""
    others = {rule["answers"] for rule in server.rules if not rule["by_path"]} - {TOO_LARGE}
    assert others == {"devstudio_server.web.sockets.OperationSocket"}
    for method in sorted(WRITES):
        with closing(HTTPConnection(urlsplit(server.url).netloc, timeout=60)) as connection:
            connection.putrequest(method, "/api/v1/projects")
            connection.putheader("Content-Length", str(1 << 40))
            connection.endheaders()
            answer = connection.getresponse()
            assert answer.status == 413, method
            assert json.loads(answer.read())["type"].endswith(":PayloadTooLarge")


def test_nothing_is_reached_without_credentials(server: Server) -> None:
    nobody = Person(server.url)
    reached, asked = [], 0
    for route in server.routes():
        if route.public or (server.team is None and route.address.startswith(STRANGER)):
            continue
        for method in route.methods:
            status, last = ask(nobody, method, route.address)
            asked += 1
            if status not in REFUSED:
                reached.append((method, route.address, last, route.answers, status))
        if route.socket:
            asked += 1
            status = opens(nobody, route.address)
            if status not in REFUSED:
                reached.append(("socket", route.address, route.address, route.answers, status))
    nobody.close()
    assert reached == []
    assert asked > 200


def test_bad_credentials_reach_nothing_either(server: Server) -> None:
    for token in ("wrong", TOKEN if server.team else "x" * 48, "null", "' OR 1=1 --"):
        stranger = Person(server.url, token)
        reached = [
            (method, route.address)
            for route in server.routes()
            if not route.public and not route.address.startswith(STRANGER) and "GET" in route.methods
            for method in ("GET",)
            if ask(stranger, method, route.address)[0] not in REFUSED
        ]
        stranger.close()
        assert reached == []


def test_what_is_public_is_no_more_than_the_list_says(server: Server) -> None:
    public = {route.answers for route in server.routes() if route.public}
    named = {name for name, _prefix in PUBLIC}
    assert public <= named
    assert len(public) == (2 if server.team else 3)


def viewer_may(route: Route, method: str) -> bool:
    """Tell whether a viewer may send ``method`` to ``route``: their own state, or what they may read."""
    if ROUTES.get(route.answers) in OWN_STATE:
        return True
    permitted = permissions_of([Role.VIEWER])
    own = [
        operation
        for operation in all_operations()
        if operation.method == method and re.fullmatch(route.pattern, _example(operation.path))
    ]
    return bool(own) and all(operation.permission is None or operation.permission in permitted for operation in own)


def _example(path: str) -> str:
    return "/api/v1/" + re.sub(r"\{[^}]+\}", "0", path).lstrip("/").removeprefix("api/v1/")


def test_a_viewer_reaches_no_write(server: Server) -> None:
    if server.team is None:
        viewer = Person(server.url)  # the local mode has one user; its viewer is nobody
        tenant = None
    else:
        tenant = uuid4()
        viewer = Person(server.url, server.team.token(tenant, user="vera", roles=(Role.VIEWER,)), tenant)
    reached, asked = [], 0
    for route in server.routes():
        ways_out = route.answers.startswith("devstudio_server.auth.launch.")
        if route.public or ways_out or (server.team is None and route.address.startswith(STRANGER)):
            continue
        for method in sorted(WRITES & set(route.methods)):
            if tenant is not None and viewer_may(route, method):
                continue
            status, _last = ask(viewer, method, route.address)
            asked += 1
            if status not in {*REFUSED, 404, 405}:
                reached.append((method, route.address, route.answers, status))
    viewer.close()
    assert reached == []
    assert asked > 60
    if tenant is not None:
        assert list((server.studio.data_dir / "workspaces" / str(tenant)).glob("*")) == []


def test_a_viewer_starts_and_joins_no_kernel(server: Server) -> None:
    if server.team is None:
        viewer = Person(server.url)
    else:
        viewer = Person(server.url, server.team.token(uuid4(), user="vera", roles=(Role.VIEWER,)))
    body = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "python3"}}
    assert viewer.send("POST", "/api/kernels", {"name": "python3"}).status_code == 403
    assert viewer.send("POST", "/api/sessions", body).status_code == 403
    assert opens(viewer, f"/api/kernels/{uuid4()}/channels") == 403
    viewer.close()


def test_handlers_of_strangers_are_closed_to_a_team_and_work_for_the_one_user(server: Server) -> None:
    addresses = [f"{STRANGER}{name}" for name in ("authenticated", "open", "plain")]
    if server.team is None:
        person = Person(server.url)
        person.http.headers["Authorization"] = f"token {TOKEN}"
        assert [person.get(address).text for address in addresses] == ["reached"] * 3
        nobody = Person(server.url)
        assert nobody.get(f"{STRANGER}open").status_code == 403
        nobody.close()
    else:
        person = Person(server.url, server.team.token(uuid4()))
        for address in addresses:
            answer = person.get(address)
            assert answer.status_code == 403
            assert "reached" not in answer.text
            assert "extension" in answer.json()["message"]
        assert opens(person, f"{STRANGER}socket") == 403
    person.close()


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "GETX"])
def test_unknown_methods_reach_nothing(server: Server, method: str) -> None:
    nobody = Person(server.url)
    for address in ("/api/contents", "/api/kernels", "/lab", "/api/v1/projects"):
        assert nobody.raw(method, address)[0] in {401, 403, 405}
    nobody.close()


def test_paths_written_another_way_reach_nothing(server: Server) -> None:
    nobody = Person(server.url)
    ways = ["/api/contents/", "//api/contents", "/api//contents", "/api/contents?token=x", "/API/CONTENTS",
            "/api/contents%2f", "/./api/contents", "/static/../api/contents", "/static/%2e%2e/%2e%2e/api/contents",
            "/static/lab/../../../../../../etc/passwd", "/static/%2fetc%2fpasswd", "/api/contents;x", "/lab/../files/a",
            "/favicon.ico/../api/contents"]  # fmt: skip
    for way in ways:
        status, body = nobody.raw("GET", way)
        assert status in {301, 302, 400, 401, 403, 404}, (way, status)
        assert "root:x:0" not in body
        assert '"content"' not in body
    nobody.close()
