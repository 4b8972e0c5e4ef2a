"""What pages of other origins may do with Jupyter's services, and what is there when nothing is configured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from support.jupyter_people import Person
from support.studio import TOKEN, Studio
from support.team import Team

GOOD, PATTERN = "https://good.example", r"https://good\.example"
EVIL = [
    "https://good.example.evil.test", "https://good.exampleevil.test", "https://evil.test/https://good.example",
    "https://xgood.example", "http://good.example", "https://good.example:444", "null", "https://goodxexample",
]  # fmt: skip


@dataclass
class World:
    """A team server as it is configured by default, but for one allowed origin; and somebody who may do everything."""

    studio: Studio
    person: Person


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("pages")
    team = Team(folder / "team")
    with team.studio(folder / "data", arguments=(f"--ServerApp.allow_origin_pat={PATTERN}",)) as studio:
        tenant = uuid4()
        person = Person(studio.url, team.token(tenant), tenant)
        yield World(studio, person)
        person.close()


@pytest.mark.parametrize("origin", EVIL)
def test_an_origin_that_only_begins_like_an_allowed_one_is_not_allowed(world: World, origin: str) -> None:
    answer = world.person.send("GET", "/api/contents", Origin=origin)
    assert "access-control-allow-origin" not in answer.headers
    preflight = httpx.options(f"{world.studio.url}/api/contents", headers={"Origin": origin}, trust_env=False)
    assert "access-control-allow-origin" not in preflight.headers
    allowed = world.person.send("GET", "/api/contents", Origin=GOOD)
    assert allowed.headers["access-control-allow-origin"] == GOOD


def test_only_kernels_in_a_sandbox_are_offered_and_no_other_starts(world: World) -> None:
    offered = world.person.get("/api/kernelspecs").json()
    assert offered["default"] == "devstudio-python"
    assert sorted(offered["kernelspecs"]) == ["devstudio-javascript", "devstudio-python"]
    for name in ("python3", "../python3", "no-such-kernel"):
        answer = world.person.send("POST", "/api/kernels", {"name": name})
        assert answer.status_code == 404
        assert "sandbox" in answer.json()["message"]
        body = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": name}}
        assert world.person.send("POST", "/api/sessions", body).status_code == 501
    assert world.person.get("/api/kernelspecs/python3").status_code == 404
    assert world.person.get("/kernelspecs/python3/logo-64x64.png").status_code == 404
    assert world.person.get("/api/kernels").json() == []
    assert world.person.get("/lab").status_code == 200


def test_a_socket_does_not_open_for_nobody(world: World) -> None:
    nobody = Person(world.studio.url)
    for path in (f"/api/kernels/{uuid4()}/channels", "/api/events/subscribe", "/api/v1/events"):
        for headers in ({}, {"Origin": world.studio.url}, {"Origin": "https://evil.test"}):
            status, location = nobody.handshake(path, **headers)
            assert status in {401, 403} or location.startswith("/login"), (path, status)
    nobody.close()


def test_a_cookie_of_the_local_mode_opens_no_socket_for_another_origin(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Studio(tmp_path_factory.mktemp("local") / "data") as studio:
        with httpx.Client(base_url=studio.url, trust_env=False) as browser:
            assert browser.get(f"/lab?token={TOKEN}").status_code == 200
            sanitizer = browser.get("/lab/api/settings/@jupyterlab/apputils-extension:sanitizer").json()
            assert sanitizer["schema"]["properties"]["allowCommandLinker"]["default"] is False
            assert browser.get("/lab/api/settings/..%2f..%2fetc:x").status_code == 404
            cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        page = Person(studio.url)
        assert page.handshake("/api/events/subscribe", Cookie=cookie, Origin=studio.url)[0] == 101
        for origin in (*EVIL, f"{studio.url}.evil.test", studio.url.replace("127.0.0.1", "127.0.0.1.evil.test")):
            assert page.handshake("/api/events/subscribe", Cookie=cookie, Origin=origin)[0] in {403, 404}
        page.close()
